"""Graded attributes of one galaxy: which are defined, how certain they are, and the Morphology they give."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

from galaxalign.errors import InputError
from galaxalign.morphology.attributes import Attribute, Level
from galaxalign.morphology.morphology import Morphology
from galaxalign.morphology.taxonomy import Taxonomy

_OF_ARMS = frozenset({"arms", "arm_strength", "winding", "handedness"})
IN_DISC_PLANE = _OF_ARMS | {"bar", "inner_ring", "outer_ring"}
"""Morphology fields that are visible neither in an edge-on disc nor without a disc."""


@dataclass(frozen=True)
class AttributeValue:
    """One attribute of one galaxy, with the level that its value stands for.

    Parameters
    ----------
    attribute : Attribute
        What is graded.
    levels : tuple of Level
        Those that apply to this kind of galaxy.
    value, low, high : float
        The value and its bounds, low <= value <= high.
    """

    attribute: Attribute
    levels: tuple[Level, ...]
    value: float
    low: float
    high: float

    @cached_property
    def level(self) -> Level:
        """The level nearest to the value."""
        return min(self.levels, key=lambda level: abs(level.value - self.value))

    @property
    def grades_presence(self) -> bool:
        """Whether the attribute grades a presence rather than an appearance."""
        return self.levels[0].words.startswith("no ")

    @cached_property
    def is_absent(self) -> bool:
        """Whether the value means that there is none."""
        return self.grades_presence and self.level == self.levels[0]

    @property
    def is_certain(self) -> bool:
        """Whether it is present even at the lower bound."""
        return not self.is_absent and self.low > self.levels[0].value

    @cached_property
    def fields(self) -> frozenset[str]:
        """Morphology fields of the attribute, at any level."""
        fixed = {name for level in self.levels for name in level.fixes}
        return frozenset(fixed | {self.attribute.field} - {""})

    def words(self) -> str:
        """Return the words of the level, hedged by the bounds; "" if these are too wide."""
        words = self.level.words
        if self.is_absent:
            if self.high <= self.levels[0].value:
                return words
            is_near = len(self.levels) > 1 and self.high <= self.levels[1].value
            return words.replace("no ", "no clear ", 1) if is_near else ""
        if self.grades_presence:
            hedged = not self.is_certain
        else:
            spread = self.high - self.low
            if spread > 0.75:
                return ""
            hedged = spread > 0.5
        return f"possibly {words}" if hedged and words and not words.startswith("possibly ") else words


def read_attributes(taxonomy: Taxonomy, row: Mapping[str, Any], base: Morphology) -> list[AttributeValue]:
    """Return the attributes that are defined for a galaxy and visible in a galaxy of its kind.

    Leaves out arms, bars and rings of a spheroid or an edge-on disc, arms if the class has none, attributes whose
    `needs` is not certain, and the inclination if it is unknown whether there is a disc.
    """
    smooth = base.form == "smooth"
    found = list(_defined(taxonomy, row, smooth))
    edge_on = not smooth and (bool(base.edge_on) or any(r.level.fixes.get("edge_on") for r in found))
    hidden: set[str] = set()
    if smooth or edge_on:
        hidden |= IN_DISC_PLANE
    if smooth:
        hidden.add("flocculence")
    if base.arms == 0:
        hidden |= _OF_ARMS
    found = [graded for graded in found if not (graded.fields | {graded.attribute.needs}) & hidden]
    certain = {graded.attribute.field for graded in found if graded.is_certain}
    is_disc = base.form == "featured" or edge_on or bool(certain & IN_DISC_PLANE)
    return [
        graded
        for graded in found
        if (not graded.attribute.needs or graded.attribute.needs in certain)
        and (smooth or is_disc or not graded.attribute.smooth_levels)
    ]


def attribute_morphology(taxonomy: Taxonomy, row: Mapping[str, Any], base: Morphology) -> Morphology:
    """Return the Morphology of a class refined by the attributes of one of its galaxies."""
    changes: dict[str, Any] = {}
    for graded in read_attributes(taxonomy, row, base):
        # Without words the bounds are too wide, or the level has no meaning.
        if not graded.words():
            continue
        found = {graded.attribute.field: graded.value} if graded.attribute.field else {}
        found |= graded.level.fixes
        # Of two attributes with one field (ring, pseudo-ring), the one with a presence counts.
        changes |= {name: value for name, value in found.items() if not changes.get(name)}
    if changes.get("arm_strength") == 0:
        changes |= {"arms": 0, "winding": None, "handedness": None}
    if base.form != "smooth" and changes.get("edge_on", base.edge_on):
        changes |= dict.fromkeys(IN_DISC_PLANE)
        if changes.get("bulge") == 0:
            changes["bulge_shape"] = "none"
    return replace(base, **changes)


def _defined(taxonomy: Taxonomy, row: Mapping[str, Any], smooth: bool) -> Iterator[AttributeValue]:
    """Yield the attributes that are defined for this galaxy."""
    columns = {str(key).lower(): value for key, value in row.items()}
    for attribute in taxonomy.attributes:
        value = _number(columns, attribute.name)
        if value is None:
            continue
        low, high = (_number(columns, attribute.name + end) for end in ("_inf", "_sup"))
        yield AttributeValue(
            attribute,
            levels=(attribute.smooth_levels if smooth else ()) or attribute.levels,
            value=value,
            low=value if low is None else min(low, value),
            high=value if high is None else max(high, value),
        )


def _number(columns: Mapping[str, Any], name: str) -> float | None:
    """Return a value of the row, None if undefined."""
    value = columns.get(name.lower())
    if value is None or str(value) == "<NA>":  # what pandas calls a missing integer
        return None
    try:
        number = float(value)
    except (TypeError, ValueError) as error:
        raise InputError(f"column {name} holds {value!r}; it must be a number, or -1 for undefined") from error
    return number if number >= 0 else None
