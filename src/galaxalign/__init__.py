"""GalaxAlign: galaxies, the words for them and their schematic symbols in one space.

Nothing heavy is imported until a name is used.
"""

from __future__ import annotations

import sys
from importlib import import_module
from types import ModuleType
from typing import Any

__version__ = "0.1.0"

_HOME = {
    # the verbs, as on the command line
    "train": "galaxalign.training.run",
    "transfer": "galaxalign.training.transfer",
    "classify": "galaxalign.verbs",
    "evaluate": "galaxalign.verbs",
    "embed": "galaxalign.verbs",
    "fit_votes": "galaxalign.vote_fitting",
    "index": "galaxalign.indexing",
    "search": "galaxalign.searching",
    "project": "galaxalign.verbs",
    "benchmark": "galaxalign.benchmark.run",
    "symbols": "galaxalign.verbs",
    "simulate": "galaxalign.simulate",
    "split": "galaxalign.splitting",
    "audit": "galaxalign.auditing",
    "demo": "galaxalign.demo",
    "serve": "galaxalign.web.serve",
    "explore": "galaxalign.web.serve",
    "data_sets": "galaxalign.data_verbs",
    "fetch": "galaxalign.data_verbs",
    "convert": "galaxalign.data_verbs",
    "prepare": "galaxalign.data_verbs",
    # what they are made of
    "Embeddings": "galaxalign.analysis.embeddings",
    "Cone": "galaxalign.gallery.query",
    "Gallery": "galaxalign.gallery.gallery",
    "InputError": "galaxalign.errors",
    "Morphology": "galaxalign.morphology",
    "Part": "galaxalign.gallery.query",
    "Query": "galaxalign.gallery.query",
    "Result": "galaxalign.gallery.results",
    "Results": "galaxalign.gallery.results",
    "Taxonomy": "galaxalign.taxonomy",
    "load_encoder": "galaxalign.encoders.load",
    "load_model": "galaxalign.encoders.folder",
    "load_recipe": "galaxalign.training.recipe",
    "load_taxonomy": "galaxalign.taxonomy",
    "open_gallery": "galaxalign.gallery.gallery",
    "read_catalog": "galaxalign.data.catalog",
    "read_split": "galaxalign.data.splits",
    "sky_pairs": "galaxalign.data.sky",
    "recipe_names": "galaxalign.training.recipe",
    "taxonomy_names": "galaxalign.taxonomy",
}

__all__ = ["__version__", *_HOME]


def __getattr__(name: str) -> Any:
    """Import a public name at its first use."""
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(_HOME[name]), name)
    setattr(sys.modules[__name__], name, value)
    return value


def __dir__() -> list[str]:
    """Name what is there for completion in a shell."""
    return sorted({*globals(), *__all__})


class _Package(ModuleType):
    """The package, in which a verb keeps its name although a module has the same one.

    Importing `galaxalign.symbols` (the module) would otherwise put the module in the place of
    `galaxalign.symbols(...)` (the verb), depending on what was imported first.
    """

    def __setattr__(self, name: str, value: object) -> None:
        if not (name in _HOME and isinstance(value, ModuleType)):
            super().__setattr__(name, value)


sys.modules[__name__].__class__ = _Package
