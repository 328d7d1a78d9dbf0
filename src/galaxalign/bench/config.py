"""The configuration of a benchmark: data sets, encoders, trainings and runs, read from TOML, with every default."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from difflib import get_close_matches
from functools import cache
from importlib.resources import files
from itertools import product
from pathlib import Path
from typing import Annotated, Literal, TypeVar

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, ValidationInfo

from galaxalign.data.images import ImageOptions
from galaxalign.errors import InputError
from galaxalign.strict_toml import first_problem, read_toml
from galaxalign.training import Recipe, load_recipe

UNTRAINED = ("zero-shot", "frozen")
"""Trainings that leave the tower as it is: classes by words alone, or a linear head on its vectors."""

Protocol = Literal["clean", "random-split", "augmented-first", "augmented-after", "epoch-on-test", "symbol-given"]
Candidate = Literal["prompts", "symbols", "both", "head", "linear"]
Share = Annotated[float, Field(gt=0, le=100)]
Pixels = Annotated[int, Field(ge=8)]
T = TypeVar("T")

_NAME = r"^[a-z0-9][a-z0-9_.+-]*$"
Name = Annotated[str, Field(pattern=_NAME)]


def _filled(text: str, info: ValidationInfo) -> str:
    """Return a text with "{data}" replaced by the folder of --data."""
    if info.context is None or "{data}" not in text:
        return text
    if info.context["data"] is None:
        raise InputError(f"{text!r} needs a folder for {{data}}; give one with --data")
    return text.replace("{data}", str(info.context["data"]))


def _located(text: str, info: ValidationInfo) -> str:
    """Return a path relative to the configuration; names (without dot or slash) and URLs stay as they are."""
    if info.context is None or "{data}" in text:
        return _filled(text, info)
    named = not text or "://" in text or not re.search(r"[./*]", text)
    return text if named else str(info.context["folder"] / text)


Source = Annotated[str, AfterValidator(_filled)]
Location = Annotated[str, AfterValidator(_located)]


class _Table(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Dataset(_Table):
    """A catalogue with the taxonomy of its labels, `[[dataset]]`."""

    name: Name
    title: str = ""
    catalog: Location  # as for `galaxalign train`; "{data}" is the folder of --data
    taxonomy: str
    split: Location = ""  # a saved split; by default 70, 10 and 20 %, grouped on the sky, kept with the results
    crop: float | str | None = None  # this and the next three: how pictures are prepared, see `galaxalign train`
    stretch: str | None = None
    bands: str | None = None
    pixel_scale: float | str | None = None
    columns: dict[str, str] = Field(default_factory=dict)  # renamed columns, new name first
    cuts: tuple[str, ...] = ()  # columns by which the report breaks figures down: size, magnitude, redshift …
    radius: str = "60arcsec"  # rows of different parts must lie farther apart on the sky

    def image_options(self, size: int | None) -> ImageOptions:
        """Return how its pictures are prepared, with a side of `size` pixels."""
        return ImageOptions(self.crop, size, self.stretch, self.bands, self.pixel_scale)


class Tower(_Table):
    """An encoder to start from, `[[encoder]]`."""

    name: Name
    title: str = ""
    load: Source  # as for `galaxalign train --encoder`; "pretrained:NAME" is the model of a [[pretraining]]
    weights: str = ""  # which weights these are, for the tables
    size: Pixels | None = None  # side of the pictures in pixels; by default that of the weights
    pretrained: bool = True  # False: the image tower starts from random weights

    @property
    def pretraining(self) -> str:
        """Return the name of the pretraining that makes its weights; "" for weights from elsewhere."""
        kind, _, name = self.load.partition(":")
        return name if kind == "pretrained" else ""

    def source(self, out: Path) -> str:
        """Return the argument of `load_encoder`; pretrained models lie in the folder of the benchmark."""
        return f"local-dir:{out / 'pretrained' / self.pretraining}" if self.pretraining else self.load


class Training(_Table):
    """A way of training, `[[training]]`."""

    name: Name
    title: str = ""
    recipe: Location = ""  # a recipe by name or a TOML file; by default the recipe of this name


class Pretraining(_Table):
    """A model that encoders start from, made by `galaxalign train` before the cells that need it, `[[pretraining]]`."""

    name: Name
    recipe: Location
    encoder: Source
    size: Pixels | None = None
    catalogs: tuple[Location, ...] = Field(min_length=1)
    taxonomies: tuple[str, ...] = Field(min_length=1)
    weights: tuple[float, ...] = ()
    views: tuple[str, ...] = ()
    split: Location = ""  # a saved split of all catalogues
    seed: int = 0


class Line(_Table):
    """A row of the tables, `[[row]]`: an encoder with a training, its title, and the published methods beside it."""

    encoder: str
    training: str
    title: str = ""
    published: tuple[str, ...] = ()


class System(_Table):
    """A system of the papers: an encoder with a training, and its names in the tables of published figures."""

    name: str
    title: str
    encoder: Tower
    training: str
    published: tuple[str, ...] = ()
    note: str = ""  # what is unknown or differs from the paper


class Run(_Table):
    """Cells: every combination of the listed values, `[[run]]`."""

    datasets: tuple[str, ...] = ()  # all by default
    encoders: tuple[str, ...] = ()
    trainings: tuple[str, ...] = ()
    systems: tuple[str, ...] = ()  # systems of the papers, beside the encoders and trainings
    shares: tuple[Share, ...] = (100.0,)  # percent of the training labels
    seeds: tuple[int, ...] = (0, 1, 2)
    protocols: tuple[Protocol, ...] = ("clean",)  # see `galaxalign.bench.protocols`
    controls: bool = True  # False: no label-shuffle controls for these cells


class Cell(_Table):
    """One training and its test."""

    dataset: str
    encoder: str
    training: str
    share: float  # percent of the training labels
    seed: int
    protocol: Protocol = "clean"
    shuffled: bool = False  # the control: labels of the training and validation parts are shuffled

    @property
    def name(self) -> str:
        """Return the name, which is that of the cell's folder."""
        parts = [self.dataset, self.encoder, self.training, f"p{self.share:g}", f"s{self.seed}"]
        parts += [self.protocol] if self.protocol != "clean" else []
        return "-".join(parts + (["shuffled"] if self.shuffled else []))


class Benchmark(_Table):
    """A benchmark."""

    name: Name
    title: str = ""
    description: str = ""
    published: Location = (
        ""  # published figures: source, method, dataset, training_share_percent, metric, value, spread
    )
    # Candidates for the classifier of a cell, which is chosen on validation galaxies.
    classifiers: tuple[Candidate, ...] = ("prompts", "symbols", "both", "head", "linear")
    steps: int = Field(300, ge=1)  # few labels: the epochs of a recipe are multiplied to reach this many steps
    control_share: float = Field(10.0, ge=0, le=100)  # percent of the labels of label-shuffle controls; 0: no controls
    twins: float = Field(0.65, gt=0, le=1)  # random-split: share of test galaxies with another cutout in training
    copies: int = Field(3, ge=1)  # augmented-first and augmented-after: changed copies of each galaxy
    bootstrap: int = Field(1000, ge=10)  # resamples of the intervals
    threads: int = Field(0, ge=0)  # of each process; 0: the cores divided by the processes
    datasets: tuple[Dataset, ...] = Field(alias="dataset", min_length=1)
    encoders: tuple[Tower, ...] = Field((), alias="encoder")
    trainings: tuple[Training, ...] = Field((), alias="training")
    pretrainings: tuple[Pretraining, ...] = Field((), alias="pretraining")
    rows: tuple[Line, ...] = Field((), alias="row")
    runs: tuple[Run, ...] = Field(alias="run", min_length=1)

    def dataset(self, name: str) -> Dataset:
        """Return a data set by name."""
        return _by_name({each.name: each for each in self.datasets}, name, "data set")

    def encoder(self, name: str) -> Tower:
        """Return an encoder by name: one of the configuration, or else that of a system."""
        towers = (*(system.encoder for system in load_systems().values()), *self.encoders)
        return _by_name({each.name: each for each in towers}, name, "encoder")

    def training(self, name: str) -> Training:
        """Return a way of training by name: one of the configuration, or else one without training or a recipe."""
        if not re.match(_NAME, name):
            raise InputError(f"{name!r} is no name of a training; name the recipe file in a [[training]]")
        return next((each for each in self.trainings if each.name == name), Training(name=name))

    def pretraining(self, name: str) -> Pretraining:
        """Return a pretraining by name."""
        return _by_name({each.name: each for each in self.pretrainings}, name, "pretraining")

    def recipe(self, cell: Cell) -> Recipe | None:
        """Return the recipe of a cell; None for one that trains no tower."""
        training = self.training(cell.training)
        return None if training.name in UNTRAINED else load_recipe(training.recipe or training.name)

    def line(self, encoder: str, training: str) -> Line:
        """Return the row of the tables for an encoder with a training."""
        title = f"{self.encoder(encoder).title or encoder}, {self.training(training).title or training}"
        for line in self.rows:
            if (line.encoder, line.training) == (encoder, training):
                return line if line.title else line.model_copy(update={"title": title})
        for system in load_systems().values():
            if (system.encoder.name, system.training) == (encoder, training):
                title = system.title or title
                return Line(encoder=encoder, training=training, title=title, published=system.published)
        return Line(encoder=encoder, training=training, title=title)

    def cells(self) -> list[Cell]:
        """Return each cell once, seed after seed, the controls after the first seed, so that tables fill early."""
        cells: dict[Cell, None] = {}
        controls: dict[Cell, None] = {}
        for run in self.runs:
            pairs = list(product(run.encoders, run.trainings))
            systems = [_by_name(load_systems(), name, "system") for name in run.systems]
            pairs += [(system.encoder.name, system.training) for system in systems]
            datasets = run.datasets or [each.name for each in self.datasets]
            for seed, dataset, (encoder, training), share, protocol in product(
                run.seeds, datasets, pairs, run.shares, run.protocols
            ):
                cell = Cell(
                    dataset=dataset, encoder=encoder, training=training, share=share, seed=seed, protocol=protocol
                )
                cells[cell] = None
                if run.controls and self.control_share and training != "zero-shot":
                    changes = {"share": self.control_share, "seed": 0, "protocol": "clean", "shuffled": True}
                    controls[cell.model_copy(update=changes)] = None
        first = min((cell.seed for cell in cells), default=0)
        later = sorted((cell for cell in cells if cell.seed > first), key=lambda cell: cell.seed)
        return [*(cell for cell in cells if cell.seed == first), *controls, *later]


@cache
def load_systems() -> dict[str, System]:
    """Return the systems of the papers by name, in the order of the papers' tables."""
    text = (files("galaxalign.bench") / "systems.toml").read_text()
    return {table["name"]: System.model_validate(table) for table in tomllib.loads(text)["system"]}


def load_benchmark(path: str | Path, *, data: str | Path | None = None) -> Benchmark:
    """Read a configuration; `data` is the folder that "{data}" in it stands for.

    Raises
    ------
    InputError
        No such file, an unknown key, a value out of range, or an unknown name.
    """
    file = Path(path)
    if not file.is_file():
        raise InputError(f"there is no configuration {file}; give a TOML file, such as benchmarks/smoke.toml")
    try:
        benchmark = Benchmark.model_validate(read_toml(file), context={"folder": file.parent, "data": data})
        _check(benchmark)
    except ValidationError as error:
        tables = (Benchmark, Dataset, Tower, Training, Pretraining, Line, Run)
        known = [field.alias or name for table in tables for name, field in table.model_fields.items()]
        raise InputError(f"{file}: {first_problem(error, known)}") from error
    except InputError as error:
        raise error if str(file) in str(error) else InputError(f"{file}: {error}") from error
    return benchmark


def _check(benchmark: Benchmark) -> None:
    """Refuse names that are used twice or unknown, and cells that make no sense."""
    cells = benchmark.cells()
    for what, tables in (
        ("dataset", benchmark.datasets),
        ("encoder", benchmark.encoders),
        ("training", benchmark.trainings),
        ("pretraining", benchmark.pretrainings),
    ):
        if twice := _twice([table.name for table in tables]):
            raise InputError(f"two of [[{what}]] are called {twice}")
    if benchmark.published and not Path(benchmark.published).is_file():
        raise InputError(f"there is no table of published figures at {benchmark.published}")
    if not cells:
        raise InputError("there is nothing to run; each [[run]] needs encoders and trainings, or systems")
    if twice := _twice([cell.name for cell in cells]):
        raise InputError(f"two cells are called {twice}; rename an encoder or a training")
    for cell in cells:
        benchmark.dataset(cell.dataset)
        tower = benchmark.encoder(cell.encoder)
        if tower.pretraining:
            benchmark.pretraining(tower.pretraining)
        recipe = benchmark.recipe(cell)
        if cell.protocol != "clean" and cell.training == "zero-shot":
            raise InputError(f"protocol {cell.protocol} changes training, and zero-shot has none; leave it out there")
        if cell.protocol == "symbol-given" and not (recipe and any(stage.uses("symbol") for stage in recipe.stages)):
            raise InputError(f"protocol symbol-given is for recipes with symbols, and {cell.training} has none")


def _twice(names: list[str]) -> str:
    """Return the most frequent name if it occurs more than once, else ""."""
    return max(names, key=names.count) if len(set(names)) < len(names) else ""


def _by_name(known: Mapping[str, T], name: str, what: str) -> T:
    if name in known:
        return known[name]
    close = get_close_matches(name, known, n=1, cutoff=0)
    raise InputError(f"there is no {what} {name!r}" + (f"; did you mean {close[0]!r}?" if close else ""))
