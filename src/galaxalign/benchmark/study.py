"""A benchmark as far as it is finished: its methods by row, data set and share, their gates, and what is missing."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import pandas as pd

from galaxalign.benchmark.compare import Key, Method, gather
from galaxalign.benchmark.config import Benchmark, Cell
from galaxalign.benchmark.published import Published, read_published
from galaxalign.benchmark.results import CellResult, read_results
from galaxalign.benchmark.verdicts import Control, Trained, Verdict, judge, tested
from galaxalign.data.catalog import read_catalog
from galaxalign.encoders.folder import starting_folder
from galaxalign.errors import InputError
from galaxalign.progress import note
from galaxalign.taxonomy import load_taxonomy, taxonomy_names
from galaxalign.training.seen import read_trained_on

__all__ = ["Line", "Study", "read_study"]

_RARE = 5  # of so few galaxies resamples say little


@dataclass(frozen=True)
class Line:
    """A row of the tables: an encoder with a training.

    Attributes
    ----------
    encoder, training : str
    title, weights : str
    published : tuple of str
        What papers call it.
    """

    encoder: str
    training: str
    title: str
    weights: str
    published: tuple[str, ...]


@dataclass(frozen=True, eq=False)
class Study:
    """What tables and figures are made of.

    Attributes
    ----------
    out : Path
    benchmark : Benchmark
    results : list of CellResult
        The finished cells.
    published : Published
    """

    out: Path
    benchmark: Benchmark
    results: list[CellResult]
    published: Published

    @cached_property
    def methods(self) -> dict[Key, Method]:
        """The methods, with all seeds that are finished."""
        return gather(self.results, self.benchmark.bootstrap)

    @cached_property
    def planned(self) -> dict[Key, int]:
        """How many seeds of each method there are to be."""
        found: dict[Key, set[int]] = {}
        for cell in self.benchmark.cells():
            found.setdefault(Key.of(cell), set()).add(cell.seed)
        return {key: len(seeds) for key, seeds in found.items()}

    @cached_property
    def missing(self) -> list[Cell]:
        """The cells that are not finished."""
        done = {result.cell for result in self.results}
        return [cell for cell in self.benchmark.cells() if cell not in done]

    @cached_property
    def lines(self) -> list[Line]:
        """The rows, in the order of the configuration."""
        found = []
        for encoder, training in dict.fromkeys((key.encoder, key.training) for key in self.planned):
            row, tower = self.benchmark.row(encoder, training), self.benchmark.encoder(encoder)
            title = row.title or f"{tower.title or encoder}, {self.benchmark.training(training).title or training}"
            found.append(Line(encoder, training, title, tower.weights, row.published))
        return found

    @cached_property
    def datasets(self) -> list[str]:
        """The data sets that there are cells of."""
        return list(dict.fromkeys(key.dataset for key in self.planned))

    def title(self, dataset: str) -> str:
        """Return what a data set is called, one of this benchmark or one that papers name like a taxonomy of ours."""
        if dataset in (own.name for own in self.benchmark.datasets):
            return self.benchmark.dataset(dataset).title or dataset
        return load_taxonomy(dataset).title if dataset in taxonomy_names() else dataset

    def key(self, line: Line, dataset: str, share: float = 100.0, protocol: str = "clean") -> Key:
        """Return the key of a row's method; zero-shot always has the share 0."""
        return Key(dataset, line.encoder, line.training, 0.0 if line.training == "zero-shot" else share, protocol)

    def method(self, line: Line, dataset: str, share: float = 100.0, protocol: str = "clean") -> Method | None:
        """Return a row's method, None where no seed is finished."""
        return self.methods.get(self.key(line, dataset, share, protocol))

    def shares(self, line: Line | None = None, dataset: str | None = None) -> list[float]:
        """Return the shares of labels in percent that are planned under the clean protocol, from low to high."""
        return sorted(
            {
                key.share
                for key in self.planned
                if key.protocol == "clean"
                and not key.shuffled
                and (line is None or (key.encoder, key.training) == (line.encoder, line.training))
                and dataset in (None, key.dataset)
            }
        )

    def top(self, dataset: str) -> list[tuple[Line, Method]]:
        """Return the rows of a data set with all labels (or the most that there are), as far as finished."""
        share = max(self.shares(dataset=dataset), default=100.0)
        found = ((line, self.method(line, dataset, share)) for line in self.lines)
        return [(line, method) for line, method in found if method is not None]

    def best(self, dataset: str) -> list[tuple[Line, Method]]:
        """Return the rows of `top` that have figures on validation galaxies, the best macro F1 there first."""
        told = [(method.validation("macro_f1"), line, method) for line, method in self.top(dataset)]
        known = [(value, line, method) for value, line, method in told if value is not None]
        return [(line, method) for _, line, method in sorted(known, key=lambda each: -each[0])]

    @cached_property
    def controls(self) -> dict[Trained, Control]:
        """How each control with shuffled labels compares with chance."""
        return tested(method for key, method in self.methods.items() if key.shuffled)

    def unlisted(self, encoder: str) -> bool:
        """Whether an encoder starts from weights that do not list the galaxies that they were trained on."""
        tower = self.benchmark.encoder(encoder)
        return tower.pretrained and read_trained_on(starting_folder(tower.source(self.out))) is None

    def column(self, dataset: str, name: str) -> pd.Series | None:
        """Return a column of a data set's catalogue by `id_str`; None where the catalogue or the column is gone."""
        table = self._catalogs.get(dataset)
        return None if table is None or name not in table else table[name]

    @cached_property
    def _catalogs(self) -> dict[str, pd.DataFrame]:
        found = {}
        for dataset in self.datasets:
            own = self.benchmark.dataset(dataset)
            if own.cuts:
                try:
                    catalog = read_catalog(own.catalog, columns=own.columns, quiet=True)
                except InputError as error:
                    note(f"no figures of {dataset} by {', '.join(own.cuts)}: {error}")
                else:
                    found[dataset] = catalog.table.set_index(pd.Index(catalog.ids))
        return found

    def verdicts(self, method: Method) -> list[Verdict]:
        """Return what the gates say of a method."""
        return judge(method, self.controls)

    def notes(self, methods: list[Method | None], keys: list[Key]) -> list[str]:
        """Return the footnotes of a row: gates that it does not pass, seeds that are missing."""
        found = []
        for method, key in zip(methods, keys, strict=True):
            where = f"{self.title(key.dataset)}: "
            if method is not None:
                found += [where + verdict.note for verdict in self.verdicts(method) if verdict.note]
                found += [where + remark for remark in _remarks(method)]
            done, planned = (len(method.cells) if method else 0), self.planned.get(key, 0)
            if done < planned:
                found.append(f"{where}{done} of {planned} seeds finished")
        return found


def _remarks(method: Method) -> list[str]:
    """Return what else is to be known of the figures of a method."""
    found = []
    failed = max(cell.about["n_failed"] for cell in method.cells)
    if failed:
        found.append(f"{failed} test pictures could not be read and are left out")
    support = method.tables[0]["label"].value_counts()
    rare = [(name, int(support.get(k, 0))) for k, name in enumerate(method.classes)]
    rare = [(name, number) for name, number in rare if 0 < number < _RARE]
    if rare:
        told = ", ".join(f"{name} {number}" for name, number in rare)
        found.append(f"too few test galaxies for the intervals of means over classes ({told}), which are too narrow")
    return found


def read_study(out: str | Path, benchmark: Benchmark, digests: Mapping[str, str] | None = None) -> Study:
    """Read what a benchmark has left so far; with `digests` only cells of these settings, see `read_results`."""
    return Study(Path(out), benchmark, read_results(out, benchmark, digests), read_published(benchmark.published))
