"""A taxonomy: the classes, attributes and questions of one labelling scheme, tied to a Morphology and to words.

Each scheme is a TOML file; no other code names a class. Loading is strict: a misspelt key is an error.
A file may extend another one; see `load_taxonomy`.
"""

from __future__ import annotations

import re
from collections.abc import Hashable, Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from galaxalign.errors import InputError
from galaxalign.morphology.attributes import ATTRIBUTE_KEYS, Attribute
from galaxalign.morphology.decision_tree import QUESTION_KEYS, DecisionTree
from galaxalign.morphology.labels import LabelLookup, is_missing
from galaxalign.morphology.morphology import Morphology, as_table, morphology_from_table
from galaxalign.strict_toml import TomlTable, parse_toml, read_toml

_SNAKE_CASE = re.compile(r"[a-z][a-z0-9]*(_[a-z0-9]+)*")
_TEXTS = ("name", "title", "description", "citation")
_KEYS = (*_TEXTS, "classes", "ignored", "attributes", "questions")
_CLASS_KEYS = ("name", "title", "aliases", "code", "morphology", "phrases", "when")


@dataclass(frozen=True)
class GalaxyClass:
    """One class of a taxonomy.

    Parameters
    ----------
    name : str
        Canonical name, lower_snake_case: ``"round_smooth"``.
    title : str
        Official name of the survey: ``"Round Smooth Galaxies"``.
    morphology : Morphology
        What the class determines; what it leaves open is None.
    phrases : tuple of str
        Singular noun phrases without article. The first is the readable class name.
    aliases : tuple of str
        Other spellings in real files, compared without regard to case, spaces, ``_`` and ``-``.
    code : int or None
        Integer that stands for the class in published files.
    when : tuple of str
        Answers of the decision tree (`DecisionTree.stems`) that make a galaxy this class; the first class whose
        answers are all on the majority path applies.
    """

    name: str
    title: str
    morphology: Morphology
    phrases: tuple[str, ...]
    aliases: tuple[str, ...] = ()
    code: int | None = None
    when: tuple[str, ...] = ()

    @classmethod
    def from_table(cls, table: TomlTable) -> GalaxyClass:
        """Return the class of a table ``[[classes]]`` of a taxonomy file."""
        name, phrases = table.text("name"), table.texts("phrases")
        if not _SNAKE_CASE.fullmatch(name):
            raise InputError(f"{table.where}: the class name {name!r} must be lower_snake_case")
        if not phrases:
            raise InputError(f"{table.where}: the class {name} has no phrases; give it at least one")
        return cls(
            name=name,
            title=table.text("title"),
            aliases=table.texts("aliases", ()),
            code=table.get("code", int, None),
            morphology=morphology_from_table(table),
            phrases=phrases,
            when=table.texts("when", ()),
        )


@dataclass(frozen=True)
class Taxonomy:
    """A labelling scheme: its classes in official order, its attributes and its decision tree.

    Parameters
    ----------
    name, title, description, citation : str
        Short name (that of the file), name for display, what it is, and the paper.
    classes : tuple of GalaxyClass
        In the order of the class index.
    ignored : tuple of str
        Labels that are not a class and are left out, such as ``dont_know``.
    attributes : tuple of Attribute
        Graded properties, if the scheme has any.
    tree : DecisionTree, optional
        The questions put to volunteers, if the scheme has votes.

    Raises
    ------
    InputError
        If two classes share a label, a handed class has no mirror image, or a class needs an unknown answer.
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
    def _lookup(self) -> LabelLookup:
        codes = tuple(entry.code for entry in self.classes if entry.code is not None)
        spellings: list[tuple[str, int | None]] = [(label, None) for label in self.ignored]
        for index, entry in enumerate(self.classes):
            labels = [entry.name, entry.title, *entry.aliases, *([] if entry.code is None else [str(entry.code)])]
            spellings += [(label, index) for label in labels]
        return LabelLookup(self.name, self.class_names, codes, spellings)

    def index(self, label: object) -> int | None:
        """Return the class index of a label, None if the taxonomy ignores the label.

        Reads canonical names, titles, aliases and integer codes (3, 3.0, "3", "3.0"), without regard to case, spaces,
        underscores and hyphens.

        Raises
        ------
        InputError
            If the label is missing or unknown; names the closest known class.
        """
        return self._lookup.find(label)

    def encode(self, labels: Iterable[object]) -> NDArray[np.int64]:
        """Return the class index of each label; -1 where it is missing (None, NaN, "") or ignored.

        Raises
        ------
        InputError
            If a label is unknown; names its row (the first is row 1) and the closest known class.
        """
        # The type belongs to the key: a dict cannot tell True from 1.
        known: dict[tuple[type, Hashable], int] = {}
        codes = []
        for row, label in enumerate(labels, 1):
            key = (type(label), label if isinstance(label, Hashable) else str(label))
            if is_missing(label):
                codes.append(-1)
                continue
            if key not in known:
                index = self._lookup.find(label, f" in row {row}")
                known[key] = -1 if index is None else index
            codes.append(known[key])
        return np.array(codes, dtype=np.int64)

    def flip_permutation(self) -> NDArray[np.int64]:
        """Return, for each class, the index of the class of its mirrored image."""
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
        return {
            **{key: getattr(self, key) for key in _TEXTS},
            "ignored": list(self.ignored),
            "classes": as_table(self.classes),
            "attributes": as_table(self.attributes),
            "questions": [] if self.tree is None else self.tree.to_list(),
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any], source: str = "taxonomy") -> Taxonomy:
        """Return the taxonomy that `to_dict` wrote; errors name `source`.

        Raises
        ------
        InputError
            If a key is misspelt, missing or of the wrong type.
        """
        table = TomlTable(data, source, _KEYS)
        questions = table.tables("questions", QUESTION_KEYS, ())
        return cls(
            name=table.text("name"),
            title=table.text("title"),
            description=table.text("description"),
            citation=table.text("citation"),
            classes=tuple(map(GalaxyClass.from_table, table.tables("classes", _CLASS_KEYS))),
            ignored=table.texts("ignored", ()),
            attributes=tuple(map(Attribute.from_table, table.tables("attributes", ATTRIBUTE_KEYS, ()))),
            tree=DecisionTree.from_tables(questions) if questions else None,
        )


def taxonomy_names() -> tuple[str, ...]:
    """Return the names of the taxonomies that come with the package."""
    return tuple(sorted(file.name.removesuffix(".toml") for file in _SHIPPED.iterdir() if file.name.endswith(".toml")))


def load_taxonomy(name_or_path: str | Path) -> Taxonomy:
    """Return a taxonomy of the package by its name, or of a TOML file by its path.

    A file with ``extends = "gz_decals"`` (a taxonomy of the package) or ``extends = "survey.toml"`` (a file in the same
    folder) states only what differs: a key replaces that of the base; tables in ``classes``, ``attributes``,
    ``questions`` and ``answers`` change the table of the same name or come after those of the base. Such a file needs
    a ``name`` of its own.

    Raises
    ------
    InputError
        If the name or a base is unknown, bases form a circle, the file is missing or not TOML, or a key is misspelt.
    """
    text = str(name_or_path)
    return Taxonomy.from_dict(_resolved(text, ()), text if text.endswith(".toml") else f"{text}.toml")


_SHIPPED = resources.files("galaxalign.morphology").joinpath("taxonomies")
_NAMED = ("classes", "attributes", "questions", "answers")


def _resolved(name: str, extending: tuple[str, ...]) -> dict[str, Any]:
    """Return the content of a taxonomy file, merged into that of its base; `extending` are the files that led here."""
    if Path(name).resolve() in (Path(other).resolve() for other in extending):
        raise InputError(
            f"taxonomies extend each other in a circle: {' → '.join((*extending, name))}; drop one extends"
        )
    if name in taxonomy_names():
        content = parse_toml(_SHIPPED.joinpath(f"{name}.toml").read_text("utf-8"), f"{name}.toml")
    elif name.endswith(".toml"):
        content = read_toml(name)
    else:
        by = f"{extending[-1]} extends the taxonomy {name!r}, which" if extending else f"taxonomy {name!r}"
        raise InputError(f"{by} is unknown; known are {', '.join(taxonomy_names())}, or give the path of a .toml file")
    if "extends" not in content:
        return content
    base = TomlTable(content, name, ("extends", *_KEYS)).text("extends")
    if "name" not in content:
        raise InputError(f"{name} extends {base}, but has no name of its own; add one")
    if base.endswith(".toml"):
        base = str(Path(name).parent / base)
    return _merged(_resolved(base, (*extending, name)), {key: content[key] for key in content if key != "extends"})


def _merged(base: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    """Return a table with the keys of `changes` replaced; lists of named tables are merged by name."""
    merged = dict(base) | dict(changes)
    for key in _NAMED:
        tables, new = base.get(key), changes.get(key)
        if not (isinstance(tables, list) and isinstance(new, list)):
            continue
        if not all(isinstance(entry, Mapping) and "name" in entry for entry in (*tables, *new)):
            continue  # a mistake that reading the table reports
        by_name = {entry["name"]: entry for entry in tables}
        by_name |= {entry["name"]: _merged(by_name.get(entry["name"], {}), entry) for entry in new}
        merged[key] = list(by_name.values())
    return merged
