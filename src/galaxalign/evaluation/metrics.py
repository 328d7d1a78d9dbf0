"""The numbers that GalaxAlign reports of a classifier, each with its bootstrap interval."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import numpy as np

from galaxalign.errors import InputError
from galaxalign.evaluation.bootstrap import (
    SCALARS,
    checked,
    class_count,
    counts,
    from_sums,
    mean_columns,
    mean_from_sums,
    percentiles,
    rates,
    resampled_sums,
    summands,
)
from galaxalign.evaluation.retrieval import (
    RETRIEVAL_METRICS,
    RetrievalScores,
    retrieval_scores,
)

Metric = Literal[
    "accuracy",
    "macro_f1",
    "balanced_accuracy",
    "ece",
    "brier",
    "map",
    "map_class_mean",
    "map_at_5",
    "recall_at_1",
    "recall_at_5",
    "recall_at_10",
]


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
    truth, scores = checked(y_true, probabilities)
    if scores.shape[1] != len(names):
        raise ValueError(f"{scores.shape[1]} probability columns for {len(names)} classes")
    sums = summands(truth, scores, len(names)).sum(axis=0)
    result: dict[str, Any] = {name: float(from_sums(name, sums, len(names))) for name in SCALARS}
    support, given, hits = counts(sums, len(names))
    precision, recall, f1 = rates(support, given, hits)
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
    truth, scores = checked(y_true, predictions)
    classes = class_count(truth, scores)
    columns = summands(truth, scores, classes)
    point, draws = columns.sum(axis=0), resampled_sums(columns, groups, n, seed)
    intervals = {}
    for name in SCALARS if scores.ndim == 2 else SCALARS[:3]:
        values = from_sums(name, draws, classes)
        low, high = percentiles(values)
        if name == "ece":
            excess = float(values.mean() - from_sums(name, point, classes))
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
    draws = resampled_sums(mean_columns(values), groups, n, seed)
    return percentiles(mean_from_sums(draws))


def retrieval_intervals(
    scores: RetrievalScores, *, groups: np.ndarray | None = None, n: int = 1000, seed: int = 0
) -> dict[str, tuple[float, float]]:
    """Return 95 % bootstrap percentile intervals of the retrieval metrics.

    Queries are resampled against a fixed gallery. A resample that happens to miss a class averages
    ``map_class_mean`` over the classes it has.
    """
    if not np.isfinite(scores.average_precision).any():
        return {}
    tables = [
        mean_columns(scores.of(metric), scores.labels if metric == "map_class_mean" else None)
        for metric in RETRIEVAL_METRICS
    ]
    ends = np.cumsum([table.shape[1] for table in tables])
    draws = np.split(resampled_sums(np.concatenate(tables, axis=1), groups, n, seed), ends[:-1], axis=1)
    return {metric: percentiles(mean_from_sums(sums)) for metric, sums in zip(RETRIEVAL_METRICS, draws, strict=True)}


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
        A metric of `classification_metrics` or `retrieval_metrics`.
    a, b : array_like
        For a classification metric probabilities (N, K) or predicted classes (N,); for retrieval what
        each query adds, (N,), as `RetrievalScores.of` returns it.
    y_true : array_like of int, shape (N,)
        True classes; needed for the classification metrics and ``"map_class_mean"``.
    groups, n, seed
        As for `bootstrap_intervals`.

    Returns
    -------
    difference, low, high : float
        The interval excludes 0 where the difference is significant at the 5 % level.
    """
    if metric not in (*SCALARS, *RETRIEVAL_METRICS):
        raise ValueError(f"unknown metric {metric!r}; known are {', '.join((*SCALARS, *RETRIEVAL_METRICS))}")
    if metric in RETRIEVAL_METRICS:
        if y_true is None and metric == "map_class_mean":
            raise ValueError(f"{metric} needs y_true")
        if not np.array_equal(np.isfinite(a), np.isfinite(b)):
            raise ValueError("the two methods answer different queries; score both on the same galaxies")
        classes_of = y_true if metric == "map_class_mean" else None
        first, second = mean_columns(a, classes_of), mean_columns(b, classes_of)

        def value(sums: np.ndarray) -> np.ndarray:
            return mean_from_sums(sums)
    else:
        if y_true is None:
            raise ValueError(f"{metric} needs y_true")
        (truth, left), (_, right) = checked(y_true, a), checked(y_true, b)
        if metric in ("ece", "brier") and (left.ndim == 1 or right.ndim == 1):
            raise ValueError(f"{metric} needs probabilities of both methods, not predicted classes")
        classes = max(class_count(truth, left), class_count(truth, right))
        first, second = summands(truth, left, classes), summands(truth, right, classes)

        def value(sums: np.ndarray) -> np.ndarray:
            return from_sums(metric, sums, classes)

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
    n_bootstrap: int = 1000,
    seed: int = 0,
) -> dict[str, Any]:
    """Return the metrics of ``metrics.json``, ready for ``json.dump``.

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
    n_bootstrap, seed : int
        Number and seed of the resamples.

    Returns
    -------
    dict
        ``n``, ``n_failed``, ``n_unlabelled``, the metrics of `classification_metrics` and
        `retrieval_metrics`, and ``<name>_ci`` for each with an interval.

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
        result |= dict.fromkeys(RETRIEVAL_METRICS)
    else:
        found = retrieval_scores(np.asarray(vectors)[kept], truth)
        ranked = retrieval_intervals(found, groups=members, n=n_bootstrap, seed=seed)
        # Nothing to find: JSON has no NaN, and the 0 of map_at_5 would be read as a bad ranking.
        result |= found.summary() if ranked else dict.fromkeys(RETRIEVAL_METRICS)
        intervals |= ranked
    return result | {f"{name}_ci": [low, high] for name, (low, high) in intervals.items()}
