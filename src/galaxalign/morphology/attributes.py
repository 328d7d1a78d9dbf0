"""Graded attributes of a taxonomy: a number per galaxy, and the words and Morphology that its levels stand for."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

from galaxalign.errors import InputError
from galaxalign.morphology.morphology import Morphology, morphology_from_table
from galaxalign.strict_toml import TomlTable

ATTRIBUTE_KEYS = ("name", "title", "field", "needs", "levels", "smooth_levels")
_LEVEL_KEYS = ("value", "words", "morphology")


@dataclass(frozen=True)
class Level:
    """One value of an attribute, its words ("" for none) and the Morphology fields it fixes."""

    value: float
    words: str
    morphology: Morphology = Morphology()  # noqa: RUF009 (frozen, therefore safe to share)

    @cached_property
    def fixes(self) -> dict[str, Any]:
        """The Morphology fields that this level fixes, by name."""
        return self.morphology.known()


@dataclass(frozen=True)
class Attribute:
    """A graded property with optional bounds in the columns ``<name>_inf`` and ``<name>_sup``.

    Parameters
    ----------
    name : str
        Column of the catalogue: ``"Bar_Length"``. A negative or missing value means undefined.
    title : str
        Name for display: ``"bar length"``.
    levels : tuple of Level
        Ascending by value. If the words of the lowest begin with "no ", the attribute grades a presence (a bar,
        dust); otherwise an appearance (face-on to edge-on). Words are noun phrases that can follow "with", or begin
        with "seen".
    field : str
        Morphology field that takes the number itself unless the level fixes it, or "".
    smooth_levels : tuple of Level
        Levels for smooth galaxies if they differ, else ().
    needs : str
        Morphology field that must not be zero for the attribute to have a meaning (winding needs arms), or "".
    """

    name: str
    title: str
    levels: tuple[Level, ...]
    field: str = ""
    smooth_levels: tuple[Level, ...] = ()
    needs: str = ""

    @classmethod
    def from_table(cls, table: TomlTable) -> Attribute:
        """Return the attribute of a table ``[[attributes]]`` of a taxonomy file."""
        attribute = cls(
            name=table.text("name"),
            title=table.text("title"),
            field=table.text("field", ""),
            needs=table.text("needs", ""),
            levels=_levels(table, table.tables("levels", _LEVEL_KEYS)),
            smooth_levels=_levels(table, table.tables("smooth_levels", _LEVEL_KEYS, ())),
        )
        if not attribute.levels:
            raise InputError(f"{table.where}: the attribute {attribute.name} has no levels; give it at least one")
        for key in filter(None, (attribute.field, attribute.needs)):
            TomlTable({key: None}, f"{table.where}, field or needs", Morphology.field_names())
        return attribute


def _levels(owner: TomlTable, tables: list[TomlTable]) -> tuple[Level, ...]:
    levels = tuple(
        Level(float(table.get("value", (int, float))), table.text("words"), morphology_from_table(table))
        for table in tables
    )
    values = [level.value for level in levels]
    if values != sorted(set(values)):
        raise InputError(f"{owner.where}: the values of the levels must ascend, found {values}")
    return levels
