"""Metrics as sums over galaxies, and resamples of those sums.

Every metric here is a function of sums over galaxies. A table with one row per galaxy and one column per summand gives
the estimate (sum of the rows) and all resamples (weights times rows, one matrix product).
"""

from __future__ import annotations

import numpy as np

from galaxalign.errors import InputError

SCALARS = ("accuracy", "macro_f1", "balanced_accuracy", "ece", "brier")
_BINS = 15
# Weights of a block of resamples: 4 million float64 are 32 MB.
_BLOCK_ELEMENTS = 2**22


def summands(truth: np.ndarray, scores: np.ndarray, classes: int) -> np.ndarray:
    """Return the summands (N, C): one-hot true, predicted and correct class, 1, Brier score, gaps by bin."""
    given = scores if scores.ndim == 1 else scores.argmax(axis=1)
    rows = np.arange(len(truth))
    columns = np.zeros((len(truth), 3 * classes + (2 + _BINS if scores.ndim == 2 else 1)))
    columns[rows, truth] = 1
    columns[rows, classes + given] = 1
    columns[rows, 2 * classes + truth] = truth == given
    columns[:, 3 * classes] = 1
    if scores.ndim == 2:
        confidence = scores[rows, given]
        bins = np.clip((confidence * _BINS).astype(np.int64), 0, _BINS - 1)
        # |p - onehot|^2 = |p|^2 - 2 p_true + 1
        columns[:, 3 * classes + 1] = (scores**2).sum(axis=1) - 2 * scores[rows, truth] + 1
        columns[rows, 3 * classes + 2 + bins] = confidence - (truth == given)
    return columns


def counts(sums: np.ndarray, classes: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the galaxies of each class, those given to it, and those rightly so, (..., K) each."""
    return sums[..., :classes], sums[..., classes : 2 * classes], sums[..., 2 * classes : 3 * classes]


def rates(support: np.ndarray, given: np.ndarray, hits: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return precision, recall and F1, each 0 where its denominator is."""
    return (
        hits / np.maximum(given, 1),
        hits / np.maximum(support, 1),
        2 * hits / np.maximum(given + support, 1),
    )


def from_sums(metric: str, sums: np.ndarray, classes: int) -> np.ndarray:
    """Return the metric (...) of sums (..., C) of the columns of `summands`."""
    support, given, hits = counts(sums, classes)
    total = sums[..., 3 * classes]
    if metric == "accuracy":
        return np.asarray(hits.sum(axis=-1) / total)
    if metric == "brier":
        return np.asarray(sums[..., 3 * classes + 1] / total)
    if metric == "ece":
        return np.asarray(np.abs(sums[..., 3 * classes + 2 :]).sum(axis=-1) / total)
    _, recall, f1 = rates(support, given, hits)
    if metric == "balanced_accuracy":
        values = recall
    elif metric == "macro_f1":
        values = f1
    else:
        raise ValueError(f"unknown metric {metric!r}; known are {', '.join(SCALARS)}")
    present = support > 0
    return np.asarray((values * present).sum(axis=-1) / present.sum(axis=-1))


def mean_columns(values: np.ndarray, classes: np.ndarray | None = None) -> np.ndarray:
    """Return the summands of a mean (N, 2), or of a mean within each of K classes (N, 2 K): values, then 1.

    NaN values count in neither.
    """
    numbers = np.asarray(values, dtype=np.float64)
    finite = np.isfinite(numbers)
    if classes is None:
        return np.stack([np.where(finite, numbers, 0), finite], axis=1)
    labels = np.asarray(classes, dtype=np.int64)
    if labels.shape != numbers.shape:
        raise ValueError(f"{len(numbers)} values but classes of shape {labels.shape}")
    onehot = labels[:, None] == np.unique(labels)
    return np.concatenate([onehot * np.where(finite, numbers, 0)[:, None], onehot & finite[:, None]], axis=1)


def mean_from_sums(sums: np.ndarray) -> np.ndarray:
    """Return the mean (...) of sums (..., 2) of `mean_columns`, or the mean of the K class means of sums (..., 2 K).

    Classes of which nothing counted are left out. NaN where that is all of them (a resample of queries that
    all lack an answer, say), which `percentiles` leaves out.
    """
    total, count = np.split(sums, 2, axis=-1)
    present = count > 0
    means = np.where(present, total / np.maximum(count, 1), 0)
    classes = present.sum(axis=-1)
    return np.where(classes > 0, means.sum(axis=-1) / np.maximum(classes, 1), np.nan)


def resampled_sums(columns: np.ndarray, groups: np.ndarray | None, n: int, seed: int) -> np.ndarray:
    """Return the column sums (n, C) of n resamples with replacement of rows, or of groups of rows."""
    if groups is not None:
        _, member = np.unique(np.asarray(groups), return_inverse=True)
        table = np.zeros((int(member.max()) + 1, columns.shape[1]))
        np.add.at(table, member, columns)
        columns = table
    rng = np.random.default_rng(seed)
    size = len(columns)
    step = max(1, _BLOCK_ELEMENTS // size)
    sums = np.empty((n, columns.shape[1]))
    for start in range(0, n, step):
        count = min(step, n - start)
        drawn = rng.integers(0, size, size=(count, size)) + size * np.arange(count)[:, None]
        weights = np.bincount(drawn.ravel(), minlength=count * size).reshape(count, size)
        sums[start : start + count] = weights.astype(np.float64) @ columns
    return sums


def percentiles(values: np.ndarray) -> tuple[float, float]:
    """Return the ends of the 95 % percentile interval; NaN values are left out."""
    low, high = np.nanpercentile(values, [2.5, 97.5])
    return float(low), float(high)


def class_count(truth: np.ndarray, scores: np.ndarray) -> int:
    """Return K: the columns of probabilities, or one more than the highest class."""
    return scores.shape[1] if scores.ndim == 2 else int(max(truth.max(), scores.max())) + 1


def checked(y_true: np.ndarray, predictions: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return int64 labels and either float64 probabilities (N, K) or int64 classes (N,)."""
    truth, scores = np.asarray(y_true, dtype=np.int64), np.asarray(predictions)
    if truth.size == 0:
        raise InputError("there is no galaxy to evaluate; give a catalogue with labelled, readable images")
    if scores.ndim not in (1, 2) or truth.shape != scores.shape[:1]:
        raise ValueError(f"labels of shape {truth.shape} do not fit predictions of shape {scores.shape}")
    if not np.isfinite(scores).all():
        row = int(np.flatnonzero(~np.isfinite(scores.reshape(len(truth), -1)).all(axis=1))[0])
        raise InputError(f"the prediction in row {row} is not finite; leave out galaxies that failed")
    scores = scores.astype(np.int64 if scores.ndim == 1 else np.float64)
    lowest = min(truth.min(), scores.min() if scores.ndim == 1 else 0)
    if lowest < 0 or (scores.ndim == 2 and truth.max() >= scores.shape[1]):
        raise ValueError("class indices must lie between 0 and the number of classes - 1")
    return truth, scores
