"""Figures of the galaxies in each bin of a column: apparent size, magnitude, redshift, seeing, source."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import pandas as pd

from galaxalign.errors import InputError
from galaxalign.evaluation.metrics import bootstrap_intervals, bootstrap_mean, classification_metrics

_CLASSIFICATION, _RETRIEVAL = ("accuracy", "macro_f1"), ("map", "map_at_5")


@dataclass(frozen=True)
class _Bin:
    kind: Literal["range", "value", "other", "unknown"]
    name: str
    members: np.ndarray
    low: float | None = None
    high: float | None = None


def by_column(
    values: np.ndarray | pd.Series | Sequence[Any],
    *,
    y_true: np.ndarray,
    probabilities: np.ndarray,
    precisions: Mapping[str, np.ndarray] | None = None,
    groups: np.ndarray | None = None,
    bins: int = 4,
    n_bootstrap: int = 1000,
    seed: int = 0,
) -> list[dict[str, Any]]:
    """Return the figures of one method in each bin of a column, with 95 % bootstrap intervals.

    Numbers are cut where each bin gets as near as can be the same number of galaxies; equal numbers stay
    together, so a column with few different numbers has fewer bins. A column with no more than ``bins``
    different numbers has a bin for each. Of text the ``bins`` most frequent values (of equally frequent ones
    the first in the alphabet) have a bin each and the others one together.
    A galaxy of a bin is still ranked against the whole gallery: its average precision is the one it has there.

    Parameters
    ----------
    values : array_like, shape (N,)
        The column, numbers or text, in the order of the galaxies. Missing, infinite or empty values make a bin
        of their own, and so do words among numbers. Stand-ins such as -999 are numbers: make them NaN first.
    y_true : array_like of int, shape (N,)
        True class indices.
    probabilities : array_like, shape (N, K)
        Predicted probabilities.
    precisions : mapping of str to array_like, shape (N,), optional
        ``map`` and ``map_at_5``: the average precisions of each galaxy as a query, as in `RetrievalScores`.
    groups : array_like, shape (N,), optional
        Rows of one group are drawn together.
    bins : int
        Number of bins, or of text values with a bin of their own.
    n_bootstrap, seed : int
        Number and seed of the resamples of each bin.

    Returns
    -------
    list of dict
        Ranges from low to high, values from the most frequent to the least, then ``"other"`` and ``"unknown"``
        where there are such. Each has ``bin`` (how to print it), ``kind`` (``"range"``, ``"value"``,
        ``"other"``, ``"unknown"``), ``low`` and ``high`` (least and greatest number in it, both included; None
        where it is no range), ``n``, ``accuracy``, ``macro_f1`` (over the classes that the bin has), ``map`` and
        ``map_at_5`` (None where not given, or where no galaxy of the bin has an answer), and ``<name>_ci``
        (``[low, high]``; None where the bin has fewer than two groups, whose scatter cannot be known).

    Raises
    ------
    InputError
        There is no galaxy, a probability is not finite, or ``bins`` is less than 1.
    ValueError
        Shapes do not fit together.
    """
    if bins < 1:
        raise InputError(f"{bins} bins cannot be made; give 1 or more")
    column = pd.Series(np.asarray(values) if isinstance(values, (list, tuple)) else values).reset_index(drop=True)
    truth, scores = np.asarray(y_true), np.asarray(probabilities)
    given = {name: np.asarray(array, dtype=np.float64) for name, array in (precisions or {}).items()}
    of_group = np.arange(len(truth)) if groups is None else np.unique(np.asarray(groups), return_inverse=True)[1]
    for name, length in [("values", len(column)), ("groups", len(of_group)), *((k, len(v)) for k, v in given.items())]:
        if length != len(truth):
            raise ValueError(f"{length} {name} for {len(truth)} galaxies")
    if scores.ndim != 2:
        raise ValueError(f"probabilities have shape {scores.shape}; expected (N, K)")
    names = [str(index) for index in range(scores.shape[1])]
    # Of all rows, so that a prediction that is not finite is named by its row.
    classification_metrics(truth, scores, names)
    found = []
    for part in _numbers(column, bins) if _is_number(column) else _words(column, bins):
        rows = part.members
        entry: dict[str, Any] = {"bin": part.name, "kind": part.kind, "low": part.low, "high": part.high}
        entry["n"] = len(rows)
        several = len(np.unique(of_group[rows])) > 1
        drawing: dict[str, Any] = {"groups": of_group[rows], "n": n_bootstrap, "seed": seed}
        told = classification_metrics(truth[rows], scores[rows], names)
        intervals = bootstrap_intervals(truth[rows], scores[rows].argmax(axis=1), **drawing) if several else {}
        for metric in _CLASSIFICATION:
            entry |= {metric: told[metric], f"{metric}_ci": _pair(intervals.get(metric))}
        for metric in _RETRIEVAL:
            mine = given[metric][rows] if metric in given else np.zeros(0)
            answered = mine[np.isfinite(mine)]
            entry[metric] = float(answered.mean()) if answered.size else None
            between = several and answered.size
            entry[f"{metric}_ci"] = _pair(bootstrap_mean(mine, **drawing)) if between else None
        found.append(entry)
    return found


def _pair(interval: tuple[float, float] | None) -> list[float] | None:
    return None if interval is None else list(interval)


def _is_number(column: pd.Series) -> bool:
    """Whether the values that are there are numbers; truth values are words."""
    if not pd.api.types.is_numeric_dtype(column):
        told = column.dropna().astype(str).str.strip()
        told = told[told != ""]
        # a column of numbers with a word here and there ("n/a", "--") is a column of numbers
        return bool(len(told)) and pd.to_numeric(told, errors="coerce").notna().mean() > 0.5
    return pd.api.types.is_numeric_dtype(column) and not pd.api.types.is_bool_dtype(column)


def _numbers(column: pd.Series, bins: int) -> Iterator[_Bin]:
    """Yield bins of numbers from low to high."""
    numbers = pd.to_numeric(column, errors="coerce").to_numpy(dtype=np.float64, na_value=np.nan)
    known = np.isfinite(numbers)
    rest = np.sort(numbers[known])
    few = len(np.unique(rest)) <= bins
    left = bins
    while rest.size:
        last = rest[0] if few else rest[int(np.ceil(len(rest) / max(left, 1))) - 1]
        inside, rest = rest[rest <= last], rest[rest > last]
        low, high = float(inside[0]), float(inside[-1])
        name = f"{low:.4g}" if low == high else f"{low:.4g} to {high:.4g}"
        yield _Bin("range", name, np.flatnonzero(known & (numbers >= low) & (numbers <= high)), low, high)
        left -= 1
    if not known.all():
        yield _Bin("unknown", "unknown", np.flatnonzero(~known))


def _words(column: pd.Series, bins: int) -> Iterator[_Bin]:
    """Yield bins of text, the most frequent value first."""
    words = np.array(
        ["" if missing else str(value).strip() for value, missing in zip(column, column.isna(), strict=True)]
    )
    known = words != ""
    values, counts = np.unique(words[known], return_counts=True)
    shown = values[np.argsort(-counts, kind="stable")][:bins]
    for value in shown:
        yield _Bin("value", str(value), np.flatnonzero(known & (words == value)))
    other = known & ~np.isin(words, shown)
    if other.any():
        yield _Bin("other", "other", np.flatnonzero(other))
    if not known.all():
        yield _Bin("unknown", "unknown", np.flatnonzero(~known))
