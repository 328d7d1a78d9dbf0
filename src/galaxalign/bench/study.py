"""A benchmark as far as it is finished: its methods by row, data set and share, their gates, and missing cells."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import pandas as pd

from galaxalign.bench.compare import Key, Method, gather
from galaxalign.bench.config import Benchmark, Cell, Line
from galaxalign.bench.published import read_published
from galaxalign.bench.results import CellResult, read_results
from galaxalign.bench.verdicts import Control, Trained, Verdict, judge, judge_controls
from galaxalign.data.catalogs import read_catalog
from galaxalign.errors import InputError
from galaxalign.models import starting_folder
from galaxalign.morphology import load_taxonomy, taxonomy_names
from galaxalign.progress import note
from galaxalign.training import read_trained_on

_RARE = 5  # with fewer galaxies resamples say little


@dataclass(frozen=True, eq=False)
class Study:
    """The source of all tables and figures."""

    out: Path
    benchmark: Benchmark
    results: list[CellResult]  # the finished cells
    published: pd.DataFrame  # from `read_published`

    @cached_property
    def methods(self) -> dict[Key, Method]:
        """The methods, with all finished seeds."""
        return gather(self.results, self.benchmark.bootstrap)

    @cached_property
    def planned(self) -> dict[Key, int]:
        """The planned number of seeds of each method."""
        seeds: dict[Key, set[int]] = {}
        for cell in self.benchmark.cells():
            seeds.setdefault(Key.of(cell), set()).add(cell.seed)
        return {key: len(each) for key, each in seeds.items()}

    @cached_property
    def missing(self) -> list[Cell]:
        """The unfinished cells."""
        done = {result.cell for result in self.results}
        return [cell for cell in self.benchmark.cells() if cell not in done]

    @cached_property
    def lines(self) -> list[Line]:
        """The rows, in the order of the configuration."""
        return [
            self.benchmark.line(*pair) for pair in dict.fromkeys((key.encoder, key.training) for key in self.planned)
        ]

    @cached_property
    def datasets(self) -> list[str]:
        """The data sets of the cells."""
        return list(dict.fromkeys(key.dataset for key in self.planned))

    @cached_property
    def protocols(self) -> list[str]:
        """The protocols of the cells, "clean" first."""
        return list(dict.fromkeys(["clean", *(key.protocol for key in self.planned)]))

    def title(self, dataset: str) -> str:
        """Return the title of a data set, of this benchmark or of a taxonomy of the same name."""
        if dataset in (own.name for own in self.benchmark.datasets):
            return self.benchmark.dataset(dataset).title or dataset
        return load_taxonomy(dataset).title if dataset in taxonomy_names() else dataset

    def key(self, line: Line, dataset: str, share: float = 100.0, protocol: str = "clean") -> Key:
        """Return the key of a row's method; zero-shot always has the share 0."""
        return Key(dataset, line.encoder, line.training, 0.0 if line.training == "zero-shot" else share, protocol)

    def method(self, line: Line, dataset: str, share: float = 100.0, protocol: str = "clean") -> Method | None:
        """Return a row's method; None if no seed is finished."""
        return self.methods.get(self.key(line, dataset, share, protocol))

    def shares(self, line: Line | None = None, dataset: str | None = None) -> list[float]:
        """Return the planned shares of labels in percent under the clean protocol, from low to high."""
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
        """Return the finished rows of a data set with the largest share of labels."""
        share = max(self.shares(dataset=dataset), default=100.0)
        methods = ((line, self.method(line, dataset, share)) for line in self.lines)
        return [(line, method) for line, method in methods if method is not None]

    def best(self, dataset: str) -> list[tuple[Line, Method]]:
        """Return the rows of `top` with validation figures, the best macro F1 on validation galaxies first."""
        scored = [(method.validation("macro_f1"), line, method) for line, method in self.top(dataset)]
        known = [(value, line, method) for value, line, method in scored if value is not None]
        return [(line, method) for _, line, method in sorted(known, key=lambda each: -each[0])]

    @cached_property
    def controls(self) -> dict[Trained, Control]:
        """How each control with shuffled labels compares with chance."""
        return judge_controls(method for key, method in self.methods.items() if key.shuffled)

    def unlisted(self, encoder: str) -> bool:
        """Whether an encoder starts from weights that do not list their training galaxies."""
        tower = self.benchmark.encoder(encoder)
        return tower.pretrained and read_trained_on(starting_folder(tower.source(self.out))) is None

    def column(self, dataset: str, name: str) -> pd.Series | None:
        """Return a column of a data set's catalogue by `id_str`; None without the catalogue or the column."""
        table = self._catalogs.get(dataset)
        return None if table is None or name not in table else table[name]

    @cached_property
    def _catalogs(self) -> dict[str, pd.DataFrame]:
        tables = {}
        for dataset in self.datasets:
            own = self.benchmark.dataset(dataset)
            if own.cuts:
                try:
                    catalog = read_catalog(own.catalog, columns=own.columns, quiet=True)
                except InputError as error:
                    note(f"no figures of {dataset} by {', '.join(own.cuts)}: {error}")
                else:
                    tables[dataset] = catalog.table.set_index(pd.Index(catalog.ids))
        return tables

    def verdicts(self, method: Method) -> list[Verdict]:
        """Return the verdicts of the gates on a method."""
        return judge(method, self.controls)

    def notes(self, *keys: Key) -> tuple[str, ...]:
        """Return the footnotes of a row of these methods: gates that it fails, and seeds that are missing."""
        notes = []
        for key in keys:
            method, done = self.methods.get(key), 0
            if method is not None:
                notes += [f"{self.title(key.dataset)}: {remark}" for remark in self._remarks(method)]
                done = len(method.cells)
            if done < self.planned.get(key, 0):
                notes.append(f"{self.title(key.dataset)}: {done} of {self.planned[key]} seeds finished")
        return tuple(dict.fromkeys(notes))

    def _remarks(self, method: Method) -> list[str]:
        remarks = [verdict.note for verdict in self.verdicts(method) if verdict.note]
        failed = max(cell.about["n_failed"] for cell in method.cells)
        if failed:
            remarks.append(f"{failed} test pictures could not be read and are left out")
        support = method.tables[0]["label"].value_counts()
        rare = [f"{name} {support[k]}" for k, name in enumerate(method.classes) if 0 < support.get(k, 0) < _RARE]
        if rare:
            remarks.append(
                f"too few test galaxies of {', '.join(rare)}: intervals of means over classes are too narrow"
            )
        return remarks


def read_study(out: str | Path, benchmark: Benchmark, digests: Mapping[str, str] | None = None) -> Study:
    """Read the finished cells of a benchmark; with `digests` only cells of these settings, see `read_results`."""
    return Study(Path(out), benchmark, read_results(out, benchmark, digests), read_published(benchmark.published))
