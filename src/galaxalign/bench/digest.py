"""A fingerprint of each cell's settings, so that a cell runs again only when they change."""

from __future__ import annotations

import hashlib
from functools import cache
from pathlib import Path

from galaxalign.bench.config import Benchmark, Cell
from galaxalign.data.catalogs import read_catalog
from galaxalign.data.splits import Split
from galaxalign.errors import InputError
from galaxalign.training import load_recipe, split_fingerprint


def cell_digest(cell: Cell, benchmark: Benchmark, split: Split) -> str:
    """Return 16 hex digits of all that a cell's predictions depend on, except pictures and package versions."""
    tower, dataset, recipe = benchmark.encoder(cell.encoder), benchmark.dataset(cell.dataset), benchmark.recipe(cell)
    load, _, file = tower.load.partition("@")
    kind, _, name = load.partition(":")
    contents = [dataset.taxonomy] if dataset.taxonomy.endswith(".toml") else []
    if kind == "local-dir":
        contents += sorted(map(str, Path(name).glob("*.safetensors")))
    elif kind == "pretrained":
        begun = benchmark.pretraining(name)
        load += begun.model_dump_json() + load_recipe(begun.recipe).model_dump_json()
        load += "".join(_catalog_fingerprint(path, ()) for path in begun.catalogs)
        contents += filter(None, (begun.encoder.partition("@")[2], begun.split))
    frame = dataset.model_dump(include={"taxonomy", "crop", "stretch", "bands", "pixel_scale"}, mode="json")
    parts = [
        cell.model_dump_json(),
        _catalog_fingerprint(dataset.catalog, tuple(dataset.columns.items())),
        _split_fingerprint(split),
        repr(sorted(frame.items())),
        load,
        _sha256(Path(file)) if file else "",
        repr((tower.size, tower.pretrained)),
        recipe.model_dump_json() if recipe is not None else "",
        repr((benchmark.classifiers, benchmark.steps, benchmark.threads)),
        repr((benchmark.twins, benchmark.copies)) if cell.protocol != "clean" else "",
        *(_sha256(Path(path)) for path in contents),
    ]
    return hashlib.sha256("\x1f".join(parts).encode()).hexdigest()[:16]


# The cells of a configuration share a few catalogues, splits and files; each is read once per run.
@cache
def _catalog_fingerprint(source: str, columns: tuple[tuple[str, str], ...]) -> str:
    return read_catalog(source, columns=dict(columns), quiet=True).fingerprint


@cache
def _split_fingerprint(split: Split) -> str:
    return split_fingerprint(split)


@cache
def _sha256(path: Path) -> str:
    if not path.is_file():
        raise InputError(f"there is no file {path}")
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def forget_files() -> None:
    """Read catalogues, splits and files again: they may have changed since the last benchmark of this process."""
    for cached in (_catalog_fingerprint, _split_fingerprint, _sha256):
        cached.cache_clear()
