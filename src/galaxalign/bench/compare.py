"""Methods over their seeds: means, spread, intervals over the galaxies, and differences on the same galaxies.

An interval is that of the mean over the seeds: each galaxy (more exactly, each group of rows that the split keeps
together) is drawn with all its predictions of all seeds, so more seeds do not count as more galaxies.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from galaxalign.bench.config import Cell
from galaxalign.bench.results import CellResult
from galaxalign.evaluation import (
    counts,
    from_sums,
    mean_columns,
    mean_from_sums,
    percentiles,
    rates,
    resampled_sums,
    summands,
)

# What a galaxy adds to each metric comes from one table for all metrics of classification.
_CLASSIFICATION = ("accuracy", "macro_f1", "balanced_accuracy", "ece", "brier", "f1")
_RETRIEVAL = ("map", "map_at_5", "map_class_mean")
_METRICS = (*_CLASSIFICATION, *_RETRIEVAL)


@dataclass(frozen=True)
class Figure:
    """A figure of the tables."""

    mean: float  # over the seeds, or the difference of two such means
    sd: float | None = None  # standard deviation of the seeds
    low: float | None = None  # 95 % interval of the mean over the test galaxies
    high: float | None = None
    decimals: int = 3  # digits to print


@dataclass(frozen=True)
class Key:
    """What the seeds of a method have in common; `share` is in percent, and 0 for zero-shot."""

    dataset: str
    encoder: str
    training: str
    share: float
    protocol: str = "clean"
    shuffled: bool = False

    @classmethod
    def of(cls, cell: Cell) -> Key:
        """Return the key of a cell."""
        share = 0.0 if cell.training == "zero-shot" else cell.share
        return cls(cell.dataset, cell.encoder, cell.training, share, cell.protocol, cell.shuffled)


class Method:
    """All finished seeds of one method on one data set with one share of labels; `draws` are resamples."""

    def __init__(self, key: Key, cells: Sequence[CellResult], draws: int = 1000) -> None:
        self.key, self.draws = key, draws
        self.cells = sorted(cells, key=lambda cell: cell.cell.seed)
        self.seeds = [cell.cell.seed for cell in self.cells]
        self.classes: list[str] = list(self.cells[0].about["classes"])

    @cached_property
    def tables(self) -> list[pd.DataFrame]:
        """The predictions of each seed."""
        return [cell.predictions() for cell in self.cells]

    def figure(self, metric: str) -> Figure | None:
        """Return a metric with spread and interval; None if undefined (no two galaxies of a class)."""
        values, draws = self._measured[metric]
        return _summary(metric, values, draws) if np.isfinite(values).all() else None

    def class_f1(self) -> list[Figure]:
        """Return the F1 of each class."""
        values, draws = self._measured["f1"]
        return [_summary("f1", values[:, k], draws[..., k]) for k in range(len(self.classes))]

    @cached_property
    def _measured(self) -> dict[str, tuple[NDArray[np.float64], NDArray[np.float64]]]:
        return _resampled(self.tables, self.classes, _METRICS, self.draws)

    def shared(self, other: Method) -> list[int]:
        """Return the seeds that both have."""
        return sorted(set(self.seeds) & set(other.seeds))

    def minus(self, other: Method, metrics: Sequence[str]) -> dict[str, Figure | None]:
        """Return the differences to another method on the seeds of both; {} without common seeds.

        Both are measured on the same resamples of galaxies, so common fluctuations cancel.
        """
        if self.classes != other.classes:
            raise ValueError(f"{self.key} and {other.key} have different classes")
        seeds = self.shared(other)
        if not seeds:
            return {}
        n = len(seeds)
        tables = [method.tables[method.seeds.index(seed)] for method in (self, other) for seed in seeds]
        differences: dict[str, Figure | None] = {}
        for metric, (values, draws) in _resampled(tables, self.classes, metrics, self.draws).items():
            low, high = percentiles(draws[:n].mean(0) - draws[n:].mean(0))
            difference = float(values[:n].mean() - values[n:].mean())
            differences[metric] = Figure(difference, None, low, high) if np.isfinite(values).all() else None
        return differences

    def validation(self, metric: str) -> float | None:
        """Return the mean over the seeds of a figure on validation galaxies; None if a seed lacks it."""
        return _mean([cell.about["validation"].get(metric) for cell in self.cells])

    def cost(self, name: str) -> float | None:
        """Return the mean over the seeds of a cost; None if a seed lacks it."""
        return _mean([cell.about["cost"].get(name) for cell in self.cells])


def gather(results: Sequence[CellResult], draws: int = 1000) -> dict[Key, Method]:
    """Return the methods of the finished cells, in their order; a zero-shot seed under several shares counts once."""
    seeds: dict[Key, dict[int, CellResult]] = defaultdict(dict)
    for result in results:
        seeds[Key.of(result.cell)].setdefault(result.cell.seed, result)
    return {key: Method(key, list(cells.values()), draws) for key, cells in seeds.items()}


def _mean(values: list[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return float(np.mean(known)) if len(known) == len(values) else None


def _resampled(
    tables: Sequence[pd.DataFrame], classes: Sequence[str], metrics: Sequence[str], n: int
) -> dict[str, tuple[NDArray[np.float64], NDArray[np.float64]]]:
    """Return each metric of the T tables (T,) and of their resamples (T, n); "f1" has a last axis of classes.

    All tables are resampled together, by the groups of any of them.
    """
    names, member = np.unique(np.concatenate([table["group"].astype(str) for table in tables]), return_inverse=True)
    rows = np.split(member, np.cumsum([len(table) for table in tables])[:-1])
    kinds = list(dict.fromkeys(_kind(metric) for metric in metrics))
    sums = []
    for kind in kinds:
        for table, groups in zip(tables, rows, strict=True):
            columns = _columns(kind, table, classes)
            sums.append(np.zeros((len(names), columns.shape[1])))
            np.add.at(sums[-1], groups, columns)
    draws = np.split(
        resampled_sums(np.concatenate(sums, axis=1), None, n, 0),
        np.cumsum([each.shape[1] for each in sums])[:-1],
        axis=1,
    )
    measured = {}
    for metric in metrics:
        start = len(tables) * kinds.index(_kind(metric))
        part = slice(start, start + len(tables))
        values = np.stack([_value(metric, each.sum(0), len(classes)) for each in sums[part]])
        measured[metric] = values, np.stack([_value(metric, each, len(classes)) for each in draws[part]])
    return measured


def _kind(metric: str) -> str:
    return "classification" if metric in _CLASSIFICATION else metric


def _columns(kind: str, table: pd.DataFrame, classes: Sequence[str]) -> NDArray[np.float64]:
    """Return what each galaxy adds to the metrics of a kind, (N, C)."""
    labels = table["label"].to_numpy(np.int64)
    if kind == "classification":
        scores = table[[f"probability_{name}" for name in classes]].to_numpy(np.float64)
        return summands(labels, scores, len(classes))
    if kind == "map_at_5":  # as torchmetrics: a query without an answer counts 0
        return mean_columns(table["average_precision_at_5"].fillna(0).to_numpy(np.float64))
    values = table["average_precision"].to_numpy(np.float64)
    return mean_columns(values, labels if kind == "map_class_mean" else None)


def _value(metric: str, sums: NDArray[np.float64], classes: int) -> NDArray[np.float64]:
    if metric == "f1":
        return np.asarray(rates(*counts(sums, classes))[2])
    return from_sums(metric, sums, classes) if metric in _CLASSIFICATION else mean_from_sums(sums)


def _summary(metric: str, values: NDArray[np.float64], draws: NDArray[np.float64]) -> Figure:
    """Return the figure of S seeds (S,) with resamples (S, n)."""
    means = draws.mean(0)
    low, high = percentiles(means)
    if metric == "ece":  # noise never cancels in an absolute value, so resamples are too high
        excess = float(np.nanmean(means) - values.mean())
        low, high = max(0.0, low - excess), max(0.0, high - excess)
    return Figure(float(values.mean()), float(values.std(ddof=1)) if len(values) > 1 else None, low, high)
