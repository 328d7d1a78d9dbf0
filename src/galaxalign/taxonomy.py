"""A taxonomy: the classes and attributes of one labelling scheme, each tied to a Morphology and to words.

One TOML file per scheme; nothing downstream names a class. Loading is strict: a misspelt key is an error.
"""

from __future__ import annotations

import difflib
import math
import re
from collections.abc import Hashable, Iterable, Mapping
from dataclasses import asdict, dataclass
from functools import cached_property
from importlib import resources
from numbers import Real
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from galaxalign.errors import InputError
from galaxalign.morphology import Morphology, morphology_from_table
from galaxalign.toml_table import TomlTable, parse_toml, read_toml
from galaxalign.tree import QUESTION_KEYS, DecisionTree

__all__ = ["Attribute", "GalaxyClass", "Level", "Taxonomy", "load_taxonomy", "taxonomy_names"]

_SNAKE_CASE = re.compile(r"[a-z][a-z0-9]*(_[a-z0-9]+)*")
_NUMBER = re.compile(r"[+-]?\d+(\.\d*)?")


@dataclass(frozen=True)
class GalaxyClass:
    """One class of a taxonomy.

    Parameters
    ----------
    name : str
        Canonical name, lower_snake_case: ``"round_smooth"``.
    title : str
        Official name, as the survey prints it: ``"Round Smooth Galaxies"``.
    aliases : tuple of str
        Other spellings that real files use; compared without regard to case, spaces, ``_`` and ``-``.
    code : int or None
        Integer that stands for the class in published files.
    morphology : Morphology
        What the class determines; what it leaves open is None.
    phrases : tuple of str
        Singular noun phrases without article. The first is the readable class name.
    when : tuple of str
        Where the scheme is a decision tree: the answers (`DecisionTree.stems`) that most volunteers must have
        given on their way for a galaxy to be of this class; the first class that fits is taken.
    """

    name: str
    title: str
    morphology: Morphology
    phrases: tuple[str, ...]
    aliases: tuple[str, ...] = ()
    code: int | None = None
    when: tuple[str, ...] = ()


@dataclass(frozen=True)
class Level:
    """One value of an attribute, its words ("" = nothing to say) and the Morphology fields it fixes."""

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
    field : str
        Morphology field that takes the number itself, unless the level fixes that field, or "".
    levels : tuple of Level
        Words by value, ascending. If the words of the lowest begin with "no ", the attribute grades
        a presence (a bar, dust); otherwise it orders appearances (face-on to edge-on).
        Words are noun phrases that can follow "with", or begin with "seen".
    smooth_levels : tuple of Level
        Levels for smooth galaxies where the number means something else there; () = as `levels`.
    needs : str
        Morphology field that must not be zero for this attribute to mean anything
        (arms have no winding where there are none), or "".
    """

    name: str
    title: str
    levels: tuple[Level, ...]
    field: str = ""
    smooth_levels: tuple[Level, ...] = ()
    needs: str = ""


@dataclass(frozen=True)
class Taxonomy:
    """A labelling scheme: its classes in official order, and its attributes.

    Parameters
    ----------
    name, title, description, citation : str
        Short name (that of the file), name for display, what it is, and the paper.
    classes : tuple of GalaxyClass
        In the order of the class index.
    ignored : tuple of str
        Labels that are no class and are left out, such as ``dont_know``.
    attributes : tuple of Attribute
        Graded properties, if the scheme has any.
    tree : DecisionTree, optional
        The questions put to volunteers, if the scheme is made of their votes.

    Raises
    ------
    InputError
        If a label would mean two classes, a handed class has no mirror image, or a class is told by an answer that
        the tree does not have.
    """

    name: str
    title: str
    description: str
    citation: str
    classes: tuple[GalaxyClass, ...]
    ignored: tuple[str, ...] = ()
    attributes: tuple[Attribute, ...] = ()
    tree: DecisionTree | None = None

    def __post_init__(self) -> None:
        if len(self.classes) < 2:
            raise InputError(f"taxonomy {self.name} has {len(self.classes)} classes; give it at least two")
        self.flip_permutation()
        _ = self._lookup
        stems = () if self.tree is None else self.tree.stems
        for galaxy_class in self.classes:
            for stem in galaxy_class.when:
                if stem not in stems:
                    raise InputError(
                        f"taxonomy {self.name}: class {galaxy_class.name} needs the unknown answer {stem!r}"
                    )

    def __len__(self) -> int:
        return len(self.classes)

    @property
    def class_names(self) -> tuple[str, ...]:
        """Canonical names in the order of the class index."""
        return tuple(galaxy_class.name for galaxy_class in self.classes)

    @property
    def handed(self) -> bool:
        """Whether a class depends on the handedness, so that a mirrored image changes its class."""
        return any(galaxy_class.morphology.handedness for galaxy_class in self.classes)

    @cached_property
    def _lookup(self) -> dict[str, int | None]:
        """Normalised label -> class index, None where ignored."""
        lookup: dict[str, int | None] = {}

        def add(label: str, index: int | None) -> None:
            key = _normalise(label)
            if lookup.setdefault(key, index) != index:
                raise InputError(f"taxonomy {self.name} gives the label {label!r} to two classes; keep one")

        for label in self.ignored:
            add(label, None)
        for index, galaxy_class in enumerate(self.classes):
            spellings = (galaxy_class.name, galaxy_class.title, *galaxy_class.aliases)
            for label in spellings if galaxy_class.code is None else (*spellings, str(galaxy_class.code)):
                add(label, index)
        return lookup

    def index(self, label: object) -> int | None:
        """Return the class index of a label, None where the taxonomy ignores that label.

        Canonical names, titles, aliases and integer codes (3, 3.0, "3", "3.0") are read,
        without regard to case, spaces, underscores and hyphens.

        Raises
        ------
        InputError
            If the label is missing or unknown; the closest known class is named.
        """
        return self._find(label, "")

    def encode(self, labels: Iterable[object]) -> NDArray[np.int64]:
        """Return the class index of each label; -1 where it is missing (None, NaN, "") or ignored.

        Raises
        ------
        InputError
            If a label is unknown; its row (the first is row 1) and the closest known class are named.
        """
        # The type belongs to the key: to a dict, True and 1 are one and the same.
        seen: dict[tuple[type, Hashable], int] = {}
        codes = []
        for row, label in enumerate(labels):
            if _is_missing(label):
                codes.append(-1)
                continue
            key = (type(label), label if isinstance(label, Hashable) else str(label))
            if key not in seen:
                index = self._find(label, f" in row {row + 1}")
                seen[key] = -1 if index is None else index
            codes.append(seen[key])
        return np.array(codes, dtype=np.int64)

    def flip_permutation(self) -> NDArray[np.int64]:
        """Return, for each class, the index of the class that its mirrored image belongs to."""
        permutation = np.arange(len(self.classes))
        for index, galaxy_class in enumerate(self.classes):
            if galaxy_class.morphology.handedness is None:
                continue
            mirrored = galaxy_class.morphology.flipped()
            twins = [other for other, twin in enumerate(self.classes) if twin.morphology == mirrored]
            if len(twins) != 1:
                raise InputError(
                    f"taxonomy {self.name} has {len(twins)} mirror images of the class {galaxy_class.name}; "
                    "give it exactly one, with the same morphology and the opposite handedness"
                )
            permutation[index] = twins[0]
        return permutation

    def to_dict(self) -> dict[str, Any]:
        """Return the taxonomy as JSON-able values with the keys of the TOML files."""
        data: dict[str, Any] = {key: getattr(self, key) for key in _TEXTS}
        data["ignored"] = list(self.ignored)
        data["classes"] = [_class_to_dict(galaxy_class) for galaxy_class in self.classes]
        data["attributes"] = [_attribute_to_dict(attribute) for attribute in self.attributes]
        data["questions"] = [] if self.tree is None else self.tree.to_list()
        return data

    @classmethod
    def from_dict(cls, data: Mapping[str, Any], source: str = "taxonomy") -> Taxonomy:
        """Return the taxonomy that `to_dict` wrote; `source` is named in errors.

        Raises
        ------
        InputError
            If a key is misspelt, missing or of the wrong type.
        """
        table = TomlTable(data, source, (*_TEXTS, "classes", "ignored", "attributes", "questions"))
        questions = table.tables("questions", QUESTION_KEYS, ())
        return cls(
            name=table.text("name"),
            title=table.text("title"),
            description=table.text("description"),
            citation=table.text("citation"),
            classes=tuple(_class_from_table(entry) for entry in table.tables("classes", _CLASS_KEYS)),
            ignored=table.texts("ignored", ()),
            attributes=tuple(_attribute_from_table(entry) for entry in table.tables("attributes", _ATTRIBUTE_KEYS, ())),
            tree=DecisionTree.from_tables(questions) if questions else None,
        )

    def _find(self, label: object, where: str) -> int | None:
        if _is_missing(label):
            raise InputError(f"the label{where} is missing; give one of {', '.join(self.class_names)}")
        text = _as_text(label)
        # A minus is a separator in words, but must not turn the code -1 into 1.
        key = text if _NUMBER.fullmatch(text) else _normalise(text)
        if key in self._lookup:
            return self._lookup[key]
        known = ", ".join(self.class_names)
        if _NUMBER.fullmatch(text):
            codes = ", ".join(str(entry.code) for entry in self.classes if entry.code is not None)
            hint = f"its integer codes are {codes}" if codes else f"it has no integer codes, but the names {known}"
            raise InputError(f"label {label!r}{where} is not in the taxonomy {self.name}; {hint}")
        words = [spelling for spelling in self._lookup if not _NUMBER.fullmatch(spelling)]
        closest = difflib.get_close_matches(key, words, n=1, cutoff=0.0)[0]
        index = self._lookup[closest]
        meant = closest if index is None else self.classes[index].name
        raise InputError(
            f"label {label!r}{where} is not in the taxonomy {self.name}; the closest known is {meant!r} "
            f"(known: {known})"
        )


def taxonomy_names() -> tuple[str, ...]:
    """Return the names of the taxonomies that come with the package."""
    files = resources.files("galaxalign").joinpath("taxonomies").iterdir()
    return tuple(sorted(file.name.removesuffix(".toml") for file in files if file.name.endswith(".toml")))


def load_taxonomy(name_or_path: str | Path) -> Taxonomy:
    """Return a taxonomy of the package by its name, or one's own from a TOML file.

    Raises
    ------
    InputError
        If the name is unknown, the file is missing or no TOML, or a key is misspelt.
    """
    text = str(name_or_path)
    if text in taxonomy_names():
        source = f"{text}.toml"
        content = resources.files("galaxalign").joinpath("taxonomies", source).read_text("utf-8")
        return Taxonomy.from_dict(parse_toml(content, source), source)
    if text.endswith(".toml"):
        return Taxonomy.from_dict(read_toml(text), text)
    known = ", ".join(taxonomy_names())
    raise InputError(f"taxonomy {text!r} is unknown; known are {known}, or give the path of a .toml file")


def _normalise(label: str) -> str:
    """Fold case and separators, and drop the word galaxy at the end."""
    words = [word for word in re.split(r"[\s_,-]+", label.lower()) if word]
    if len(words) > 1 and words[-1] in {"galaxy", "galaxies"}:
        words.pop()
    return "_".join(words)


def _as_text(label: object) -> str:
    """Return a label as text, whole numbers without a decimal point: CSV readers turn codes into floats."""
    text = str(label).strip()
    return text.split(".")[0] if re.fullmatch(r"[+-]?\d+\.0*", text) else text


def _is_missing(label: object) -> bool:
    """Tell None, NaN, pandas.NA and NaT, and blank text from a label, without importing pandas."""
    if label is None or type(label).__name__ in {"NAType", "NaTType"}:
        return True
    if isinstance(label, Real):
        return math.isnan(label)
    return isinstance(label, str) and not label.strip()


# --- reading and writing -------------------------------------------------------------------------------

_TEXTS = ("name", "title", "description", "citation")
_CLASS_KEYS = ("name", "title", "aliases", "code", "morphology", "phrases", "when")
_ATTRIBUTE_KEYS = ("name", "title", "field", "needs", "levels", "smooth_levels")
_LEVEL_KEYS = ("value", "words", "morphology")


def _class_from_table(table: TomlTable) -> GalaxyClass:
    name = table.text("name")
    phrases = table.texts("phrases")
    if not _SNAKE_CASE.fullmatch(name):
        raise InputError(f"{table.where}: the class name {name!r} must be lower_snake_case")
    if not phrases:
        raise InputError(f"{table.where}: the class {name} has no phrases; give it at least one")
    return GalaxyClass(
        name=name,
        title=table.text("title"),
        aliases=table.texts("aliases", ()),
        code=table.get("code", int, None),
        morphology=morphology_from_table(table),
        phrases=phrases,
        when=table.texts("when", ()),
    )


def _attribute_from_table(table: TomlTable) -> Attribute:
    attribute = Attribute(
        name=table.text("name"),
        title=table.text("title"),
        field=table.text("field", ""),
        needs=table.text("needs", ""),
        levels=_levels_from_tables(table, table.tables("levels", _LEVEL_KEYS)),
        smooth_levels=_levels_from_tables(table, table.tables("smooth_levels", _LEVEL_KEYS, ())),
    )
    if not attribute.levels:
        raise InputError(f"{table.where}: the attribute {attribute.name} has no levels; give it at least one")
    for key in (attribute.field, attribute.needs):
        if key:
            TomlTable({key: None}, f"{table.where}, field or needs", Morphology.field_names())
    return attribute


def _levels_from_tables(owner: TomlTable, tables: list[TomlTable]) -> tuple[Level, ...]:
    levels = tuple(
        Level(float(table.get("value", (int, float))), table.text("words"), morphology_from_table(table))
        for table in tables
    )
    values = [level.value for level in levels]
    if values != sorted(set(values)):
        raise InputError(f"{owner.where}: the values of the levels must ascend, found {values}")
    return levels


def _class_to_dict(galaxy_class: GalaxyClass) -> dict[str, Any]:
    data = asdict(galaxy_class) | {
        "morphology": galaxy_class.morphology.known(),
        "phrases": list(galaxy_class.phrases),
        "aliases": list(galaxy_class.aliases),
        "when": list(galaxy_class.when),
    }
    if galaxy_class.code is None:
        del data["code"]
    return data


def _attribute_to_dict(attribute: Attribute) -> dict[str, Any]:
    data = asdict(attribute)
    for key in ("levels", "smooth_levels"):
        data[key] = [asdict(level) | {"morphology": level.morphology.known()} for level in getattr(attribute, key)]
    return data
