"""Figures that papers published, to stand beside ours: read from a table, each with its source and data set."""

from __future__ import annotations

from dataclasses import dataclass
from importlib.resources import as_file, files
from pathlib import Path

import pandas as pd

from galaxalign.data.tables import read_table
from galaxalign.errors import InputError

__all__ = ["Published", "PublishedFigure", "read_published"]

_COLUMNS = ("source", "method", "dataset", "training_share_percent", "metric", "value", "spread")


@dataclass(frozen=True)
class PublishedFigure:
    """A figure of a paper.

    Attributes
    ----------
    source, method, dataset : str
    share : float
        Percent of the training labels; 0 is zero-shot.
    metric : str
    value : float
    spread : float, optional
        As printed in the paper; what it is a spread of is the paper's to say.
    decimals : int
        Digits after the point that the paper prints.
    """

    source: str
    method: str
    dataset: str
    share: float
    metric: str
    value: float
    spread: float | None
    decimals: int = 4


@dataclass(frozen=True)
class Published:
    """Published figures in the order of their file.

    Attributes
    ----------
    figures : tuple of PublishedFigure
    """

    figures: tuple[PublishedFigure, ...]

    def of(self, *words: str) -> Published:
        """Return the figures whose source has one of these words."""
        return Published(tuple(f for f in self.figures if any(word in f.source for word in words)))

    def beyond(self, *words: str) -> Published:
        """Return the figures whose source has none of these words."""
        return Published(tuple(f for f in self.figures if not any(word in f.source for word in words)))

    @property
    def methods(self) -> list[str]:
        """The methods, first come first."""
        return list(dict.fromkeys(f.method for f in self.figures))

    @property
    def datasets(self) -> list[str]:
        """The data sets, first come first."""
        return list(dict.fromkeys(f.dataset for f in self.figures))

    def shares(self, method: str) -> list[float]:
        """Return the shares of labels that a method has figures of, from low to high."""
        return sorted({f.share for f in self.figures if f.method == method})

    def figure(self, method: str, dataset: str, metric: str, share: float = 100) -> PublishedFigure | None:
        """Return one figure, None where the papers have none."""
        wanted = (method, dataset, metric, share)
        return next((f for f in self.figures if (f.method, f.dataset, f.metric, f.share) == wanted), None)


def read_published(path: str | Path = "") -> Published:
    """Read a table of published figures.

    Parameters
    ----------
    path : path
        With the columns source, method, dataset, training_share_percent, metric, value, spread; by default the one in
        the package.

    Raises
    ------
    InputError
        No such table, a column is missing, or a value is no number.
    """
    if not path:
        with as_file(files("galaxalign.benchmark") / "published.csv") as file:
            return read_published(file)
    table = read_table(path, text_columns=_COLUMNS)
    missing = [name for name in _COLUMNS if name not in table]
    if missing:
        raise InputError(f"{path} lacks the column {missing[0]}; published figures need {', '.join(_COLUMNS)}")
    found = []
    for number, row in enumerate(table[list(_COLUMNS)].itertuples(index=False), start=1):
        source, method, dataset, share, metric, value, spread = ("" if pd.isna(cell) else str(cell) for cell in row)
        try:
            numbers = float(share), float(value), float(spread) if spread else None
        except ValueError:
            raise InputError(
                f"{path}, row {number}: value and training_share_percent must be numbers, spread one or nothing"
            ) from None
        decimals = len(value.partition(".")[2])
        found.append(PublishedFigure(source, method, dataset, numbers[0], metric, *numbers[1:], decimals))
    return Published(tuple(found))
