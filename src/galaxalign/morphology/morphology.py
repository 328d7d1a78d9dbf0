"""What a galaxy looks like, as one small value from which words, symbols and simulated images are made."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields, is_dataclass, replace
from typing import Any, Literal, get_args

from galaxalign.errors import InputError
from galaxalign.strict_toml import TomlTable

Form = Literal["smooth", "featured", "artifact"]
Handedness = Literal["clockwise", "anticlockwise"]
BulgeShape = Literal["round", "boxy", "none"]

_FRACTIONS = (
    "bulge",
    "bar",
    "arm_strength",
    "winding",
    "inner_ring",
    "outer_ring",
    "disturbance",
    "irregularity",
    "dust",
    "flocculence",
)
_CHOICES: dict[str, tuple[str, ...]] = {
    "form": get_args(Form),
    "handedness": get_args(Handedness),
    "bulge_shape": get_args(BulgeShape),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Morphology:
    """The visible structure of one galaxy; any field may be None, which means unknown, never "no".

    Parameters
    ----------
    form : {"smooth", "featured", "artifact"}
        Smooth light without structure, a galaxy with a disc or features, or not a galaxy at all.
    axis_ratio : float
        Apparent minor over major axis b/a of the whole galaxy, in (0, 1].
    edge_on : bool
        A disc seen from its side. A smooth, elongated ("cigar") galaxy is not edge-on.
    bulge : float
        Bulge-to-total light ratio, 0 to 1.
    bulge_shape : {"round", "boxy", "none"}
        Shape of the bulge of an edge-on disc.
    bar : float
        Length and strength of the bar, 0 (none) to 1 (crosses the disc).
    arms : int
        Number of spiral arms; 0 means there are none, 5 stands for five and more.
    arm_strength : float
        Prominence of the arms, 0 to 1.
    winding : float
        0 loose (open) to 1 tight arms.
    handedness : {"clockwise", "anticlockwise"}
        Sense in which the arms rotate if they trail, as Galaxy Zoo 1 asks it: an arm of a
        clockwise galaxy, followed from the centre outwards, turns anticlockwise (an S is
        anticlockwise, a Z is clockwise) on an image with its first row on top.
    inner_ring, outer_ring : float
        Prominence of a ring inside the disc or around it, 0 to 1.
    merger : bool
        Two or more bodies that collide or merge.
    disturbance : float
        Tidal tails, warps, asymmetry, 0 to 1.
    irregularity : float
        Patchy, clumpy light without symmetry, 0 to 1.
    dust : float
        Dust lanes, 0 to 1.
    flocculence : float
        Arms broken into patches, 0 to 1.
    """

    form: Form | None = None
    axis_ratio: float | None = None
    edge_on: bool | None = None
    bulge: float | None = None
    bulge_shape: BulgeShape | None = None
    bar: float | None = None
    arms: int | None = None
    arm_strength: float | None = None
    winding: float | None = None
    handedness: Handedness | None = None
    inner_ring: float | None = None
    outer_ring: float | None = None
    merger: bool | None = None
    disturbance: float | None = None
    irregularity: float | None = None
    dust: float | None = None
    flocculence: float | None = None

    def __post_init__(self) -> None:
        for name in _FRACTIONS:
            value = getattr(self, name)
            if value is not None and not 0 <= value <= 1:
                raise InputError(f"morphology field {name} is {value}; it must lie between 0 and 1")
        if self.axis_ratio is not None and not 0 < self.axis_ratio <= 1:
            raise InputError(f"morphology field axis_ratio is {self.axis_ratio}; it must lie in (0, 1]")
        if self.arms is not None and not 0 <= self.arms <= 5:
            raise InputError(f"morphology field arms is {self.arms}; it must be 0 to 5 (5: five and more)")
        for name, allowed in _CHOICES.items():
            value = getattr(self, name)
            if value is not None and value not in allowed:
                raise InputError(f"morphology field {name} is {value!r}; known are {', '.join(allowed)}")

    def flipped(self) -> Morphology:
        """Return the morphology of the mirrored image: only the handedness changes."""
        if self.handedness is None:
            return self
        other: Handedness = "anticlockwise" if self.handedness == "clockwise" else "clockwise"
        return replace(self, handedness=other)

    def known(self) -> dict[str, Any]:
        """Return the fields that are not unknown, by name."""
        return {name: value for name, value in asdict(self).items() if value is not None}

    @classmethod
    def field_names(cls) -> tuple[str, ...]:
        """Return the names of all fields."""
        return tuple(field.name for field in fields(cls))


_FIELD_TYPES: dict[str, type | tuple[type, ...]] = {
    "bool | None": bool,
    "int | None": int,
    "float | None": (int, float),
}


def morphology_from_table(table: TomlTable) -> Morphology:
    """Return the Morphology under the key ``morphology`` of a table of a taxonomy file; an empty one without it."""
    fields = TomlTable(table.get("morphology", Mapping, {}), f"{table.where}, morphology", Morphology.field_names())
    types = Morphology.__annotations__
    values = {name: fields.get(name, _FIELD_TYPES.get(types[name], str)) for name in fields.data}
    try:
        return Morphology(**values)
    except InputError as error:
        raise InputError(f"{fields.where}: {error}") from error


def as_table(value: Any) -> Any:
    """Return a part of a taxonomy (dataclass or tuple) as JSON-able values with the keys of the TOML files."""
    if isinstance(value, Morphology):
        return value.known()
    if isinstance(value, tuple):
        return [as_table(entry) for entry in value]
    if not is_dataclass(value):
        return value
    entries = {field.name: getattr(value, field.name) for field in fields(value)}
    return {name: as_table(entry) for name, entry in entries.items() if entry is not None}
