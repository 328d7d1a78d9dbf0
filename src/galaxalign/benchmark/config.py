"""What a benchmark runs: data sets, encoders and ways of training, read from TOML. Every default is on this screen."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterable, Mapping
from difflib import get_close_matches
from itertools import product
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from galaxalign.benchmark.systems import load_systems
from galaxalign.errors import InputError
from galaxalign.training.recipe import Recipe, load_recipe

__all__ = [
    "UNTRAINED",
    "Benchmark",
    "Cell",
    "Dataset",
    "Pretraining",
    "Protocol",
    "Tower",
    "Training",
    "load_benchmark",
]

UNTRAINED = ("zero-shot", "frozen")
"""Trainings that leave the tower as it is: classes by words alone, or a linear head on its vectors."""

Protocol = Literal["clean", "random-split", "augmented-first", "augmented-after", "epoch-on-test", "symbol-given"]

_NAME = r"^[a-z0-9][a-z0-9_.+-]*$"


class _Table(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Dataset(_Table):
    """A catalogue with the taxonomy of its labels.

    Parameters
    ----------
    name, title : str
    catalog : str
        As for `galaxalign train`; relative to the configuration file, "{data}" is what --data names.
    taxonomy : str
    split : str
        A saved split; without one it is made (70, 10 and 20 %, grouped on the sky) and kept with the results.
    crop, stretch, bands, pixel_scale : optional
        How the pictures are looked at, see `galaxalign train`.
    columns : dict
        What columns are to be called, new name first.
    cuts : tuple of str
        Columns of the catalogue by which the report tells the figures apart: apparent size, magnitude, redshift …
    radius : str
        How close on the sky rows of different parts must not be.
    """

    name: str = Field(pattern=_NAME)
    title: str = ""
    catalog: str
    taxonomy: str
    split: str = ""
    crop: float | str | None = None
    stretch: str | None = None
    bands: str | None = None
    pixel_scale: float | str | None = None
    columns: dict[str, str] = Field(default_factory=dict)
    cuts: tuple[str, ...] = ()
    radius: str = "60arcsec"


class Tower(_Table):
    """An encoder to start from.

    Parameters
    ----------
    name, title : str
    load : str
        As for `galaxalign train --encoder`; "pretrained:NAME" is the model of a [[pretraining]].
    weights : str
        Which weights these are, in words, for the tables.
    size : int, optional
        Side of the pictures in pixels; that of the weights by default.
    pretrained : bool
        False: the image tower starts from random weights ("from scratch").
    """

    name: str = Field(pattern=_NAME)
    title: str = ""
    load: str
    weights: str = ""
    size: int | None = Field(None, ge=8)
    pretrained: bool = True

    def source(self, out: Path) -> str:
        """Return what `load_encoder` is to load, with the models of pretrainings in the folder of the benchmark."""
        kind, _, name = self.load.partition(":")
        return f"local-dir:{out / 'pretrained' / name}" if kind == "pretrained" else self.load


class Training(_Table):
    """A way of training.

    Parameters
    ----------
    name, title : str
    recipe : str
        A recipe by name or a TOML file; by default the one of this name. "zero-shot" and "frozen" have none.
    """

    name: str = Field(pattern=_NAME)
    title: str = ""
    recipe: str = ""


class Pretraining(_Table):
    """A model that encoders start from, made by `galaxalign train` before the cells that need it.

    Parameters
    ----------
    name : str
    recipe, encoder : str
    size : int, optional
    catalogs, taxonomies : tuple of str
    weights : tuple of float
    views : tuple of str
    split : str
        A saved split of all catalogues.
    seed : int
    """

    name: str = Field(pattern=_NAME)
    recipe: str
    encoder: str
    size: int | None = Field(None, ge=8)
    catalogs: tuple[str, ...] = Field(min_length=1)
    taxonomies: tuple[str, ...] = Field(min_length=1)
    weights: tuple[float, ...] = ()
    views: tuple[str, ...] = ()
    split: str = ""
    seed: int = 0


class Row(_Table):
    """What the tables call an encoder with a training, and which published row it stands beside.

    Parameters
    ----------
    encoder, training : str
    title : str
    published : tuple of str
        Methods in the file of published figures.
    """

    encoder: str
    training: str
    title: str = ""
    published: tuple[str, ...] = ()


class Run(_Table):
    """Cells: every combination of what is listed.

    Parameters
    ----------
    datasets : tuple of str
        All by default.
    encoders, trainings : tuple of str
    systems : tuple of str
        Beside the encoders and trainings: systems of the papers by name, see `galaxalign.benchmark.systems`.
    shares : tuple of float
        Percent of the training labels.
    seeds : tuple of int
    protocols : tuple of str
        "clean", those that leak, and what these are to be held against, see `galaxalign.benchmark.protocols`.
    controls : bool
        False: no label-shuffle controls for the sake of these cells; the tables say so.
    """

    datasets: tuple[str, ...] = ()
    encoders: tuple[str, ...] = ()
    trainings: tuple[str, ...] = ()
    systems: tuple[str, ...] = ()
    shares: tuple[float, ...] = (100.0,)
    seeds: tuple[int, ...] = (0, 1, 2)
    protocols: tuple[Protocol, ...] = ("clean",)
    controls: bool = True


class Cell(_Table):
    """One training and its test.

    Parameters
    ----------
    dataset, encoder, training : str
    share : float
        Percent of the training labels.
    seed : int
    protocol : str
    shuffled : bool
        The control: labels of the training and validation parts are dealt anew at random.
    """

    dataset: str
    encoder: str
    training: str
    share: float
    seed: int
    protocol: Protocol = "clean"
    shuffled: bool = False

    @property
    def name(self) -> str:
        """Return the name, which is that of the cell's folder."""
        words = [self.dataset, self.encoder, self.training, f"p{self.share:g}", f"s{self.seed}"]
        words += [self.protocol] if self.protocol != "clean" else []
        return "-".join(words + (["shuffled"] if self.shuffled else []))


class Benchmark(_Table):
    """A benchmark.

    Parameters
    ----------
    name, title, description : str
    published : str
        A table of published figures (source, method, dataset, training_share_percent, metric, value, spread).
    classifiers : tuple of str
        Candidates; which of them a cell's figures are of is chosen on its validation galaxies.
    steps : int
        A recipe's epochs are multiplied where labels are so few that it would take fewer steps.
    control_share : float
        Percent of the labels that the label-shuffle control of each encoder, training and data set learns from; 0: no
        controls.
    twins : float
        Protocol "random-split": the share of test galaxies of which another cutout is among the training galaxies.
    copies : int
        Protocols "augmented-first" and "augmented-after": how many changed copies are made of each galaxy.
    bootstrap : int
        Resamples of the intervals.
    threads : int
        Threads of each process; 0: the cores divided by the processes.
    """

    name: str = Field(pattern=_NAME)
    title: str = ""
    description: str = ""
    published: str = ""
    classifiers: tuple[Literal["prompts", "symbols", "both", "head", "linear"], ...] = (
        "prompts",
        "symbols",
        "both",
        "head",
        "linear",
    )
    steps: int = Field(300, ge=1)
    control_share: float = Field(10.0, ge=0, le=100)
    twins: float = Field(0.65, gt=0, le=1)
    copies: int = Field(3, ge=1)
    bootstrap: int = Field(1000, ge=10)
    threads: int = Field(0, ge=0)
    datasets: tuple[Dataset, ...] = Field(alias="dataset", min_length=1)
    encoders: tuple[Tower, ...] = Field((), alias="encoder")
    trainings: tuple[Training, ...] = Field((), alias="training")
    pretrainings: tuple[Pretraining, ...] = Field((), alias="pretraining")
    rows: tuple[Row, ...] = Field((), alias="row")
    runs: tuple[Run, ...] = Field(alias="run", min_length=1)

    def dataset(self, name: str) -> Dataset:
        """Return a data set by name."""
        return _by_name(self.datasets, name, "data set")

    def encoder(self, name: str) -> Tower:
        """Return an encoder by name: one of the configuration's, which comes first, or that of a system."""
        return _by_name((*(_tower(s.encoder) for s in load_systems().values()), *self.encoders), name, "encoder")

    def training(self, name: str) -> Training:
        """Return a way of training by name: one of the configuration's, one that trains nothing, or a recipe."""
        for found in self.trainings:
            if found.name == name:
                return found
        if not re.match(_NAME, name):
            raise InputError(
                f"{name!r} is no name of a training; give a recipe file in a [[training]] with a name of its own"
            )
        return Training(name=name)

    def pretraining(self, name: str) -> Pretraining:
        """Return a pretraining by name."""
        return _by_name(self.pretrainings, name, "pretraining")

    def row(self, encoder: str, training: str) -> Row:
        """Return what the tables call an encoder with a training."""
        for row in self.rows:
            if (row.encoder, row.training) == (encoder, training):
                return row
        for system in load_systems().values():
            if (system.encoder["name"], system.training) == (encoder, training):
                return Row(encoder=encoder, training=training, title=system.title, published=system.published)
        titles = self.encoder(encoder).title or encoder, self.training(training).title or training
        return Row(encoder=encoder, training=training, title=", ".join(titles))

    def cells(self) -> list[Cell]:
        """Return every cell once, seed after seed, the controls after the first: tables are whole early on."""
        found: dict[Cell, None] = {}
        kinds: dict[tuple[str, str, str], None] = {}
        for run in self.runs:
            pairs = list(product(run.encoders, run.trainings))
            pairs += [(s.encoder["name"], s.training) for s in map(_system, run.systems)]
            datasets = run.datasets or tuple(each.name for each in self.datasets)
            for seed, dataset, (encoder, training), share, protocol in product(
                run.seeds, datasets, pairs, run.shares, run.protocols
            ):
                found[
                    Cell(dataset=dataset, encoder=encoder, training=training, share=share, seed=seed, protocol=protocol)
                ] = None
                if run.controls and training != "zero-shot":
                    kinds[dataset, encoder, training] = None
        ordered = sorted(found, key=lambda cell: cell.seed)
        controls = [
            Cell(dataset=dataset, encoder=encoder, training=training, share=self.control_share, seed=0, shuffled=True)
            for dataset, encoder, training in kinds
            if self.control_share
        ]
        first = sum(cell.seed == min(c.seed for c in ordered) for cell in ordered)
        return ordered[:first] + controls + ordered[first:]


def load_benchmark(path: str | Path, *, data: str | Path | None = None) -> Benchmark:
    """Read a configuration.

    Parameters
    ----------
    path : path
        TOML.
    data : path, optional
        What stands for "{data}" in it.

    Raises
    ------
    InputError
        No such file, an unknown key, a value out of range, or a name that nothing has.
    """
    file = Path(path)
    if not file.is_file():
        raise InputError(f"there is no configuration {file}; give a TOML file, such as benchmarks/smoke.toml")
    try:
        tables = tomllib.loads(file.read_text())
        found = Benchmark.model_validate(_resolved(tables, file.parent, data, str(file)))
    except tomllib.TOMLDecodeError as error:
        raise InputError(f"{file} is not valid TOML: {error}") from error
    except ValidationError as error:
        raise InputError(f"{file}: {_first_problem(error)}") from error
    for what, names in (
        ("data set", [d.name for d in found.datasets]),
        ("encoder", [e.name for e in found.encoders]),
        ("training", [t.name for t in found.trainings]),
        ("pretraining", [p.name for p in found.pretrainings]),
    ):
        if len(set(names)) < len(names):
            raise InputError(f"{file}: two of [[{what.replace(' ', '')}]] are called {max(names, key=names.count)}")
    if found.published and not Path(found.published).is_file():
        raise InputError(f"{file}: there is no table of published figures at {found.published}")
    if not found.cells():
        raise InputError(f"{file}: there is nothing to run; each [[run]] needs encoders and trainings, or systems")
    places = [cell.name for cell in found.cells()]
    if len(set(places)) < len(places):
        twice = max(places, key=places.count)
        raise InputError(f"{file}: two cells are called {twice}; name encoders and trainings otherwise")
    for cell in found.cells():
        try:
            found.dataset(cell.dataset)
            tower = found.encoder(cell.encoder)
            if tower.load.startswith("pretrained:"):
                found.pretraining(tower.load.partition(":")[2])
            training = found.training(cell.training)
            plan = None if training.name in UNTRAINED else load_recipe(training.recipe or training.name)
            _check_protocol(cell, plan)
        except InputError as error:
            raise InputError(f"{file}: {error}") from error
        if not 0 < cell.share <= 100:
            raise InputError(f"{file}: a share is {cell.share:g}; give percent, above 0 and up to 100")
    return found


def _check_protocol(cell: Cell, plan: Recipe | None) -> None:
    """Refuse a leak that a way of training cannot have, whose row would look like the clean one."""
    if cell.protocol != "clean" and cell.training == "zero-shot":
        raise InputError(f"protocol {cell.protocol} leaks into training, and zero-shot has none; leave it out there")
    if cell.protocol == "symbol-given" and not (plan and any(stage.uses("symbol") for stage in plan.stages)):
        raise InputError(f"protocol symbol-given is for recipes with symbols, and {cell.training} has none")


def _by_name(tables: Iterable[Any], name: str, what: str) -> Any:
    known = {table.name: table for table in tables}
    if name in known:
        return known[name]
    close = get_close_matches(name, known, n=1, cutoff=0)
    hint = f"; did you mean {close[0]}?" if close else ""
    raise InputError(f"there is no {what} {name!r}{hint}")


def _tower(table: Mapping[str, Any]) -> Tower:
    return Tower.model_validate(dict(table))


def _system(name: str) -> Any:
    systems = load_systems()
    if name not in systems:
        close = get_close_matches(name, systems, n=1, cutoff=0)
        raise InputError(f"there is no system {name!r}; did you mean {close[0]!r}? known are {', '.join(systems)}")
    return systems[name]


_PATHS = {"dataset": ("catalog", "split"), "pretraining": ("catalogs", "split", "recipe"), "training": ("recipe",)}


def _resolved(tables: dict[str, Any], folder: Path, data: str | Path | None, file: str) -> dict[str, Any]:
    """Return the tables with paths relative to the configuration, and "{data}" filled in."""

    def fill(text: str) -> str:
        if "{data}" not in text:
            return text
        if data is None:
            raise InputError(f"{file} has {text!r}; say with --data which folder {{data}} is")
        return text.replace("{data}", str(data))

    def path(text: str) -> str:
        if "{data}" in text:
            return fill(text)
        named = not text or "://" in text or not re.search(r"[./*]", text)
        return text if named else str(folder / text)

    found = dict(tables)
    if isinstance(found.get("published"), str):
        found["published"] = path(found["published"])
    for kind, keys in _PATHS.items():
        for table in found.get(kind, ()):
            for key in keys:
                if isinstance(table.get(key), str):
                    table[key] = path(table[key])
                elif isinstance(table.get(key), list):
                    table[key] = [path(each) for each in table[key]]
    for table in (*found.get("encoder", ()), *found.get("pretraining", ())):
        for key in ("load", "encoder"):
            if isinstance(table.get(key), str):
                table[key] = fill(table[key])
    return found


def _first_problem(error: ValidationError) -> str:
    problem = error.errors()[0]
    where = ".".join(str(part) for part in problem["loc"])
    if problem["type"] == "extra_forbidden":
        known = [
            field.alias or name
            for model in (Benchmark, Dataset, Tower, Training, Pretraining, Row, Run)
            for name, field in model.model_fields.items()
        ]
        close = get_close_matches(str(problem["loc"][-1]), known, n=1, cutoff=0)
        return f"unknown key {where}; did you mean {close[0]!r}?"
    if problem["type"] == "missing":
        return f"{where} is missing"
    given: Any = problem.get("input")
    return f"{where} is {given!r}: {problem['msg'].removeprefix('Value error, ')}"
