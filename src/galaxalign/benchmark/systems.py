"""The systems that the papers compare, each with the weights that it had."""

from __future__ import annotations

import tomllib
from functools import cache
from importlib.resources import files
from typing import Any

from pydantic import BaseModel, ConfigDict

__all__ = ["System", "load_systems"]


class System(BaseModel):
    """A row of the papers' tables.

    Parameters
    ----------
    name, title : str
    encoder : dict
        What to start from, as an [[encoder]] of a benchmark's configuration.
    training : str
        "zero-shot", "frozen" or the name of a recipe.
    published : tuple of str
        What the tables of published figures call it.
    note : str
        What is not known of it, or differs from the paper.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str
    title: str
    encoder: dict[str, Any]
    training: str
    published: tuple[str, ...] = ()
    note: str = ""


@cache
def load_systems() -> dict[str, System]:
    """Return the systems by name, in the order of the papers' tables."""
    text = (files("galaxalign.benchmark") / "systems.toml").read_text()
    systems = [System.model_validate(table) for table in tomllib.loads(text)["system"]]
    return {system.name: system for system in systems}
