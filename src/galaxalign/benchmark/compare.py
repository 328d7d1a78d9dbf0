"""Methods over their seeds: means, spread, intervals over the galaxies, and differences on the same galaxies.

An interval is that of the mean over the seeds: every galaxy (more exactly, every group of rows that the split keeps
together) is drawn with all its predictions, of all seeds, so that seeds are not taken for more galaxies.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from galaxalign.benchmark.bootstrap import (
    counts,
    from_sums,
    mean_columns,
    mean_from_sums,
    percentiles,
    rates,
    resampled_sums,
    summands,
)
from galaxalign.benchmark.config import Cell
from galaxalign.benchmark.results import CellResult

__all__ = ["Difference", "Figure", "Key", "Method", "gather"]

CLASSIFICATION = ("accuracy", "macro_f1", "balanced_accuracy", "ece", "brier")
RETRIEVAL = ("map", "map_at_5", "map_class_mean")
KINDS = ("classification", *RETRIEVAL)
_KIND_OF = {metric: "classification" for metric in CLASSIFICATION} | {metric: metric for metric in RETRIEVAL}


@dataclass(frozen=True)
class Figure:
    """A metric of a method.

    Attributes
    ----------
    mean : float
        Over the seeds.
    sd : float, optional
        Standard deviation of the seeds; None for one seed.
    low, high : float
        95 % interval of the mean over the test galaxies.
    """

    mean: float
    sd: float | None
    low: float
    high: float


@dataclass(frozen=True)
class Difference:
    """A metric of one method less that of another, on the seeds that both have.

    Attributes
    ----------
    mean, low, high : float
    """

    mean: float
    low: float
    high: float

    @property
    def excludes_zero(self) -> bool:
        """Whether the 95 % interval lies on one side of 0."""
        return self.low > 0 or self.high < 0


@dataclass(frozen=True)
class Key:
    """What the seeds of a method have in common.

    Attributes
    ----------
    dataset, encoder, training : str
    share : float
        Percent of the training labels; 0 for zero-shot, which learns from none.
    protocol : str
    shuffled : bool
    """

    dataset: str
    encoder: str
    training: str
    share: float
    protocol: str = "clean"
    shuffled: bool = False

    @classmethod
    def of(cls, cell: Cell) -> Key:
        """Return the key of a cell; zero-shot has the share 0, whatever the configuration names."""
        share = 0.0 if cell.training == "zero-shot" else cell.share
        return cls(cell.dataset, cell.encoder, cell.training, share, cell.protocol, cell.shuffled)


class Method:
    """All finished seeds of one method on one data set with one share of labels.

    Parameters
    ----------
    key : Key
    cells : sequence of CellResult
        One for each seed.
    draws : int
        Resamples of the intervals.
    """

    def __init__(self, key: Key, cells: Sequence[CellResult], draws: int = 1000) -> None:
        self.key, self.draws = key, draws
        self.cells = sorted(cells, key=lambda cell: cell.cell.seed)

    @property
    def seeds(self) -> list[int]:
        """The seeds."""
        return [cell.cell.seed for cell in self.cells]

    @property
    def classes(self) -> list[str]:
        """Names of the K classes."""
        return list(self.cells[0].about["classes"])

    @cached_property
    def tables(self) -> list[pd.DataFrame]:
        """The predictions of each seed."""
        return [cell.predictions() for cell in self.cells]

    def figure(self, metric: str) -> Figure | None:
        """Return a metric with spread and interval; None where it cannot be had (no two galaxies of a class)."""
        return self._measured[0][metric]

    def class_f1(self) -> list[Figure]:
        """Return the F1 of each class."""
        return self._measured[1]

    @cached_property
    def _measured(self) -> tuple[dict[str, Figure | None], list[Figure]]:
        """Every metric, and the F1 of every class, from one set of resamples."""
        size, seeds = len(self.classes), len(self.cells)
        sums, draws = _drawn(self.tables, self.classes, KINDS, self.draws)
        figures: dict[str, Figure | None] = {}
        for metric, kind in _KIND_OF.items():
            part = slice(KINDS.index(kind) * seeds, (KINDS.index(kind) + 1) * seeds)
            values = np.array([float(_value(metric, each, size)) for each in sums[part]])
            means = np.mean([_value(metric, each, size) for each in draws[part]], axis=0)
            figures[metric] = _summary(metric, values, means) if np.isfinite(values).all() else None
        by_class = np.array([_f1(each, size) for each in sums[:seeds]])
        drawn = np.mean([_f1(each, size) for each in draws[:seeds]], axis=0)
        return figures, [_summary("f1", by_class[:, k], drawn[:, k]) for k in range(size)]

    def shared(self, other: Method) -> list[int]:
        """Return the seeds that both have."""
        return sorted(set(self.seeds) & set(other.seeds))

    def minus(self, other: Method, metrics: Sequence[str]) -> dict[str, Difference | None]:
        """Return the differences to another on the seeds that both have; {} where there are none.

        Both are counted on the same resamples of galaxies, so what they have in common cancels.
        """
        if self.classes != other.classes:
            raise ValueError(f"{self.key} and {other.key} tell other classes apart")
        seeds, size = self.shared(other), len(self.classes)
        if not seeds:
            return {}
        n = len(seeds)
        tables = [method.tables[method.seeds.index(seed)] for method in (self, other) for seed in seeds]
        kinds = list(dict.fromkeys(_KIND_OF[metric] for metric in metrics))
        sums, draws = _drawn(tables, self.classes, kinds, self.draws)
        found: dict[str, Difference | None] = {}
        for metric in metrics:
            start = 2 * n * kinds.index(_KIND_OF[metric])
            part = slice(start, start + 2 * n)
            values = np.array([float(_value(metric, each, size)) for each in sums[part]])
            drawn = np.array([_value(metric, each, size) for each in draws[part]])
            interval = percentiles(drawn[:n].mean(0) - drawn[n:].mean(0))
            known = np.isfinite(values).all()
            found[metric] = Difference(float(values[:n].mean() - values[n:].mean()), *interval) if known else None
        return found

    def validation(self, metric: str) -> float | None:
        """Return the mean over the seeds of a figure on validation galaxies; None where a seed has none."""
        values = [cell.about["validation"].get(metric) for cell in self.cells]
        return None if None in values else float(np.mean(values))

    def cost(self, name: str) -> float | None:
        """Return the mean over the seeds of a number of what the cells cost; None where a seed has none."""
        values = [cell.about["cost"].get(name) for cell in self.cells]
        return None if None in values else float(np.mean(values))


def gather(results: Sequence[CellResult], draws: int = 1000) -> dict[Key, Method]:
    """Return the methods of the finished cells, in their order.

    Where zero-shot stands under several shares, each of its seeds counts once.
    """
    found: dict[Key, dict[int, CellResult]] = defaultdict(dict)
    for result in results:
        found[Key.of(result.cell)].setdefault(result.cell.seed, result)
    return {key: Method(key, list(cells.values()), draws) for key, cells in found.items()}


def _columns(kind: str, table: pd.DataFrame, classes: Sequence[str]) -> NDArray[np.float64]:
    """Return what each galaxy adds to the metrics of a kind, (N, C)."""
    labels = table["label"].to_numpy(np.int64)
    if kind == "classification":
        scores = table[[f"probability_{name}" for name in classes]].to_numpy(np.float64)
        return summands(labels, scores, len(classes))
    if kind == "map_at_5":  # as torchmetrics: a query that has no answer counts 0
        return mean_columns(table["average_precision_at_5"].fillna(0).to_numpy(np.float64))
    values = table["average_precision"].to_numpy(np.float64)
    return mean_columns(values, labels if kind == "map_class_mean" else None)


def _value(metric: str, sums: NDArray[np.float64], classes: int) -> NDArray[np.float64]:
    return from_sums(metric, sums, classes) if metric in CLASSIFICATION else mean_from_sums(sums)


def _f1(sums: NDArray[np.float64], classes: int) -> NDArray[np.float64]:
    return np.asarray(rates(*counts(sums, classes))[2])


def _drawn(
    tables: Sequence[pd.DataFrame], classes: Sequence[str], kinds: Sequence[str], n: int
) -> tuple[list[NDArray[np.float64]], list[NDArray[np.float64]]]:
    """Return the sums (C,) of each kind of summands of each table, and their resamples (n, C).

    All are drawn together, by the groups that any of the tables has.
    """
    names, member = np.unique(np.concatenate([table["group"].astype(str) for table in tables]), return_inverse=True)
    rows = np.split(member, np.cumsum([len(table) for table in tables])[:-1])
    whole = []
    for kind in kinds:
        for table, mine in zip(tables, rows, strict=True):
            columns = _columns(kind, table, classes)
            of_group = np.zeros((len(names), columns.shape[1]))
            np.add.at(of_group, mine, columns)
            whole.append(of_group)
    draws = resampled_sums(np.concatenate(whole, axis=1), None, n, 0)
    ends = np.cumsum([each.shape[1] for each in whole])[:-1]
    return [each.sum(0) for each in whole], np.split(draws, ends, axis=1)


def _summary(metric: str, seeds: NDArray[np.float64], means: NDArray[np.float64]) -> Figure:
    low, high = percentiles(means)
    if metric == "ece":  # noise never cancels in an absolute value, so resamples are too high
        excess = float(np.nanmean(means) - seeds.mean())
        low, high = max(0.0, low - excess), max(0.0, high - excess)
    return Figure(float(seeds.mean()), _spread(seeds), low, high)


def _spread(seeds: NDArray[np.float64]) -> float | None:
    return float(seeds.std(ddof=1)) if len(seeds) > 1 else None
