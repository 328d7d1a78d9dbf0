"""The numbers that GalaxAlign reports of a classifier, each with its bootstrap interval."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

import numpy as np

from galaxalign.benchmark.retrieval import (
    RetrievalScores,
    precision_at_k,
    retrieval_metrics,
    retrieval_scores,
)
from galaxalign.errors import InputError

__all__ = [
    "Metric",
    "RetrievalScores",
    "bootstrap_intervals",
    "bootstrap_mean",
    "classification_metrics",
    "evaluate_predictions",
    "paired_difference",
    "precision_at_k",
    "retrieval_metrics",
    "retrieval_scores",
]

Metric = Literal["accuracy", "macro_f1", "balanced_accuracy", "ece", "brier", "map", "map_at_5"]

_BINS = 15
_SCALARS = ("accuracy", "macro_f1", "balanced_accuracy", "ece", "brier")
# Weights of a block of resamples: 4 million float64 are 32 MB.
_BLOCK_ELEMENTS = 2**22


def classification_metrics(y_true: np.ndarray, probabilities: np.ndarray, class_names: Sequence[str]) -> dict[str, Any]:
    """Return the classification metrics of one set of galaxies.

    Classes without support (no galaxy in ``y_true``) are left out of ``macro_f1`` and
    ``balanced_accuracy``; what is wrongly given to them still costs the recall of the true class.

    Parameters
    ----------
    y_true : array_like of int, shape (N,)
        True class indices, 0 to K - 1.
    probabilities : array_like, shape (N, K)
        Predicted probabilities; the class is the first of the highest.
    class_names : sequence of str
        The K names, in the order of the columns.

    Returns
    -------
    dict
        ``accuracy``, ``macro_f1``, ``balanced_accuracy``; ``ece``: expected calibration error of the
        predicted class in 15 bins of equal width (Guo et al. 2017, eq. 3); ``brier``: sum over classes
        of squared errors, mean over galaxies, 0 to 2 (Brier 1950, eq. 2); ``per_class``: by name, precision
        (0 where nothing was given to the class), recall, f1, support; ``confusion``: rows true,
        columns predicted.

    Raises
    ------
    InputError
        There is no galaxy, or a probability is not finite.
    ValueError
        Shapes or labels do not fit together.
    """
    names = tuple(class_names)
    truth, scores = _checked(y_true, probabilities)
    if scores.shape[1] != len(names):
        raise ValueError(f"{scores.shape[1]} probability columns for {len(names)} classes")
    sums = _columns(truth, scores, len(names)).sum(axis=0)
    result: dict[str, Any] = {name: float(_from_sums(name, sums, len(names))) for name in _SCALARS}
    support, given, hits = _counts(sums, len(names))
    precision, recall, f1 = _rates(support, given, hits)
    result["per_class"] = {
        name: {
            "precision": float(precision[k]),
            "recall": float(recall[k]),
            "f1": float(f1[k]),
            "support": int(support[k]),
        }
        for k, name in enumerate(names)
    }
    cells = truth * len(names) + scores.argmax(axis=1)
    confusion = np.bincount(cells, minlength=len(names) ** 2).reshape(len(names), len(names))
    result["confusion"] = confusion.tolist()
    return result


def bootstrap_intervals(
    y_true: np.ndarray,
    predictions: np.ndarray,
    *,
    groups: np.ndarray | None = None,
    n: int = 1000,
    seed: int = 0,
) -> dict[str, tuple[float, float]]:
    """Return 95 % bootstrap percentile intervals of the classification metrics.

    A resample that happens to miss a class averages over the classes it has. The calibration error of a
    resample is biased upwards (noise never cancels in an absolute value), so its interval is shifted by
    the mean excess over the estimate.

    Parameters
    ----------
    y_true : array_like of int, shape (N,)
        True class indices.
    predictions : array_like, shape (N, K) or (N,)
        Probabilities, or predicted classes (then without ``ece`` and ``brier``).
    groups : array_like, shape (N,), optional
        Rows of one group (one sky object, say) are drawn together.
    n : int
        Number of resamples.
    seed : int
        Seed of the resamples.

    Returns
    -------
    dict
        (low, high) by metric.
    """
    truth, scores = _checked(y_true, predictions)
    classes = _class_count(truth, scores)
    columns = _columns(truth, scores, classes)
    point, draws = columns.sum(axis=0), resampled_sums(columns, groups, n, seed)
    intervals = {}
    for name in _SCALARS if scores.ndim == 2 else _SCALARS[:3]:
        values = _from_sums(name, draws, classes)
        low, high = percentiles(values)
        if name == "ece":
            excess = float(values.mean() - _from_sums(name, point, classes))
            low, high = max(0.0, low - excess), max(0.0, high - excess)
        intervals[name] = (low, high)
    return intervals


def bootstrap_mean(
    values: np.ndarray, *, groups: np.ndarray | None = None, n: int = 1000, seed: int = 0
) -> tuple[float, float]:
    """Return the 95 % bootstrap percentile interval of a mean, such as of average precisions.

    Queries are resampled against a fixed gallery. NaN values (queries without an answer) are left out.

    Parameters
    ----------
    values : array_like, shape (N,)
        One number per galaxy.
    groups, n, seed
        As for `bootstrap_intervals`.
    """
    draws = resampled_sums(_mean_columns(values), groups, n, seed)
    return percentiles(_mean_from_sums(draws))


def paired_difference(
    metric: Metric,
    a: np.ndarray,
    b: np.ndarray,
    *,
    y_true: np.ndarray | None = None,
    groups: np.ndarray | None = None,
    n: int = 1000,
    seed: int = 0,
) -> tuple[float, float, float]:
    """Compare two methods on the same galaxies: the difference a - b with its 95 % interval.

    Both methods are scored on the same resamples, so what they have in common cancels.

    Parameters
    ----------
    metric : str
        A classification metric, or ``"map"`` or ``"map_at_5"``.
    a, b : array_like
        For a classification metric probabilities (N, K) or predicted classes (N,); for retrieval the
        scores of the queries (N,), as in `RetrievalScores`.
    y_true : array_like of int, shape (N,)
        True classes; needed for the classification metrics.
    groups, n, seed
        As for `bootstrap_intervals`.

    Returns
    -------
    difference, low, high : float
        The interval excludes 0 where the difference is significant at the 5 % level.
    """
    if metric in ("map", "map_at_5"):
        first, second = _mean_columns(a), _mean_columns(b)
        if not np.array_equal(first[:, 1], second[:, 1]):
            raise ValueError("the two methods answer different queries; score both on the same galaxies")

        def value(sums: np.ndarray) -> np.ndarray:
            return _mean_from_sums(sums)
    else:
        if y_true is None:
            raise ValueError(f"{metric} needs y_true")
        (truth, left), (_, right) = _checked(y_true, a), _checked(y_true, b)
        if metric in ("ece", "brier") and (left.ndim == 1 or right.ndim == 1):
            raise ValueError(f"{metric} needs probabilities of both methods, not predicted classes")
        classes = max(_class_count(truth, left), _class_count(truth, right))
        first, second = _columns(truth, left, classes), _columns(truth, right, classes)

        def value(sums: np.ndarray) -> np.ndarray:
            return _from_sums(metric, sums, classes)

    if len(first) != len(second):
        raise ValueError(f"the methods have {len(first)} and {len(second)} rows; they must be the same galaxies")
    width = first.shape[1]
    both = np.concatenate([first, second], axis=1)
    point, draws = both.sum(axis=0), resampled_sums(both, groups, n, seed)
    difference = value(point[:width]) - value(point[width:])
    return float(difference), *percentiles(value(draws[:, :width]) - value(draws[:, width:]))


def evaluate_predictions(
    y_true: np.ndarray,
    probabilities: np.ndarray,
    class_names: Sequence[str],
    *,
    vectors: np.ndarray | None = None,
    groups: np.ndarray | None = None,
    n_failed: int = 0,
    provenance: Mapping[str, Any] | None = None,
    n_bootstrap: int = 1000,
    seed: int = 0,
) -> dict[str, Any]:
    """Return everything that ``metrics.json`` holds, ready for ``json.dump``.

    Parameters
    ----------
    y_true : array_like of int, shape (N,)
        Class indices; rows with -1 (no label, or one the taxonomy ignores) are left out and counted.
    probabilities : array_like, shape (N, K)
        Predicted probabilities.
    class_names : sequence of str
        The K names.
    vectors : array_like, shape (N, D), optional
        Embeddings for the retrieval metrics, which are null without them.
    groups : array_like, shape (N,), optional
        Rows resampled together.
    n_failed : int
        Galaxies whose image could not be read; they are not among the N rows.
    provenance : mapping
        ``taxonomy``, ``model``, ``fingerprint``, ``classifier``, copied into the result.
    n_bootstrap, seed : int
        Number and seed of the resamples.

    Returns
    -------
    dict
        ``n``, ``n_failed``, ``n_unlabelled``, the metrics of `classification_metrics` and
        `retrieval_metrics`, ``<name>_ci`` for each with an interval, and the provenance.

    Raises
    ------
    InputError
        No row has a label.
    """
    truth = np.asarray(y_true, dtype=np.int64)
    kept = truth >= 0
    if not kept.any():
        raise InputError(
            f"none of the {len(truth)} readable galaxies has a label; give a catalogue with a label column"
        )
    truth, scores = truth[kept], np.asarray(probabilities)[kept]
    members = None if groups is None else np.asarray(groups)[kept]
    result: dict[str, Any] = {
        "n": int(kept.sum()),
        "n_failed": int(n_failed),
        "n_unlabelled": int((~kept).sum()),
        **classification_metrics(truth, scores, class_names),
    }
    intervals = bootstrap_intervals(truth, scores, groups=members, n=n_bootstrap, seed=seed)
    if vectors is None:
        result |= {"map": None, "map_at_5": None}
    else:
        found = retrieval_scores(np.asarray(vectors)[kept], truth)
        result |= {
            name: value if np.isfinite(value) else None  # JSON has no NaN
            for name, value in found.summary().items()
        }
        if result["map"] is not None:
            intervals["map"] = bootstrap_mean(found.average_precision, groups=members, n=n_bootstrap, seed=seed)
            intervals["map_at_5"] = bootstrap_mean(
                found.average_precision_at_5, groups=members, n=n_bootstrap, seed=seed
            )
    result |= {f"{name}_ci": [low, high] for name, (low, high) in intervals.items()}
    return result | dict(provenance or {})


# Every metric here is a function of sums over galaxies. A table with one row per galaxy and one column per
# summand gives the estimate (sum of the rows) and all resamples (weights times rows, one matrix product).


def _columns(truth: np.ndarray, scores: np.ndarray, classes: int) -> np.ndarray:
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


def _counts(sums: np.ndarray, classes: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the galaxies of each class, those given to it, and those rightly so, (..., K) each."""
    return sums[..., :classes], sums[..., classes : 2 * classes], sums[..., 2 * classes : 3 * classes]


def _rates(support: np.ndarray, given: np.ndarray, hits: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return precision, recall and F1, each 0 where its denominator is."""
    return (
        hits / np.maximum(given, 1),
        hits / np.maximum(support, 1),
        2 * hits / np.maximum(given + support, 1),
    )


def _from_sums(metric: str, sums: np.ndarray, classes: int) -> np.ndarray:
    """Return the metric (...) of sums (..., C) of the columns of `_columns`."""
    support, given, hits = _counts(sums, classes)
    total = sums[..., 3 * classes]
    if metric == "accuracy":
        return hits.sum(axis=-1) / total
    if metric == "brier":
        return sums[..., 3 * classes + 1] / total
    if metric == "ece":
        return np.abs(sums[..., 3 * classes + 2 :]).sum(axis=-1) / total
    _, recall, f1 = _rates(support, given, hits)
    if metric == "balanced_accuracy":
        values = recall
    elif metric == "macro_f1":
        values = f1
    else:
        raise ValueError(f"unknown metric {metric!r}; known are {', '.join((*_SCALARS, 'map', 'map_at_5'))}")
    present = support > 0
    return (values * present).sum(axis=-1) / present.sum(axis=-1)


def _mean_columns(values: np.ndarray) -> np.ndarray:
    numbers = np.asarray(values, dtype=np.float64)
    finite = np.isfinite(numbers)
    return np.stack([np.where(finite, numbers, 0), finite], axis=1)


def _mean_from_sums(sums: np.ndarray) -> np.ndarray:
    # A resample of queries that all lack an answer has no mean; NaN, which the percentiles leave out.
    count = sums[..., 1]
    return np.where(count > 0, sums[..., 0] / np.maximum(count, 1), np.nan)


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
    low, high = np.nanpercentile(values, [2.5, 97.5])
    return float(low), float(high)


def _class_count(truth: np.ndarray, scores: np.ndarray) -> int:
    return scores.shape[1] if scores.ndim == 2 else int(max(truth.max(), scores.max())) + 1


def _checked(y_true: np.ndarray, predictions: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
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
