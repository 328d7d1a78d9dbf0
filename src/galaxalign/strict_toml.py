"""TOML read strictly: a misspelt or missing key or a wrong type is an error with its place."""

from __future__ import annotations

import difflib
import tomllib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from galaxalign.errors import InputError

if TYPE_CHECKING:
    from pydantic import ValidationError

_REQUIRED = object()


class TomlTable:
    """A mapping whose keys and types are checked as they are read.

    Parameters
    ----------
    data : mapping
        The parsed content.
    where : str
        File and place in it, for errors.
    keys : iterable of str
        The known keys.

    Raises
    ------
    InputError
        `data` is no mapping or has an unknown key; the sentence names the closest known one.
    """

    def __init__(self, data: object, where: str, keys: Iterable[str]) -> None:
        if not isinstance(data, Mapping):
            raise InputError(f"{where}: expected a table of keys and values, found {data!r}")
        self.data, self.where = data, where
        known = tuple(keys)
        for key in data:
            if key not in known:
                closest = difflib.get_close_matches(str(key), known, n=1, cutoff=0.0)[0]
                raise InputError(f"{where}: unknown key {key!r}; the closest known key is {closest!r}")

    def get(self, key: str, kind: type | tuple[type, ...], default: Any = _REQUIRED) -> Any:
        """Return a value of the given type, or the default where the key is absent."""
        value = self.data.get(key, default)
        if value is _REQUIRED:
            raise InputError(f"{self.where}: the key {key!r} is missing; add it")
        # bool is an int to Python, but true is no number.
        is_stray_bool = isinstance(value, bool) and kind is not bool
        if value is not default and (is_stray_bool or not isinstance(value, kind)):
            kinds = kind if isinstance(kind, tuple) else (kind,)
            names = " or ".join(kind.__name__ for kind in kinds)
            raise InputError(f"{self.where}: the key {key!r} holds {value!r}; it must be of type {names}")
        return value

    def text(self, key: str, default: Any = _REQUIRED) -> str:
        """Return a text."""
        return str(self.get(key, str, default))

    def texts(self, key: str, default: Any = _REQUIRED) -> tuple[str, ...]:
        """Return a list of texts as a tuple."""
        values = tuple(self.get(key, (list, tuple), default))
        if not all(isinstance(value, str) for value in values):
            raise InputError(f"{self.where}: the key {key!r} must be a list of texts")
        return values

    def tables(self, key: str, keys: Iterable[str], default: Any = _REQUIRED) -> list[TomlTable]:
        """Return a list of tables, each of which may hold `keys`."""
        known = tuple(keys)
        entries = self.get(key, (list, tuple), default)
        return [TomlTable(entry, f"{self.where}, {key}[{i}]", known) for i, entry in enumerate(entries)]


def read_toml(path: str | Path) -> dict[str, Any]:
    """Return the content of a TOML file; InputError if it cannot be read or is not valid."""
    try:
        content = Path(path).read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"the file {path} cannot be read ({error}); check the path") from error
    return parse_toml(content, str(path))


def parse_toml(content: str, source: str) -> dict[str, Any]:
    """Return the content of a TOML text; InputError naming `source` if it is not valid."""
    try:
        return tomllib.loads(content)
    except tomllib.TOMLDecodeError as error:
        raise InputError(f"the file {source} is not valid TOML ({error}); correct it there") from error


def first_problem(error: ValidationError, known: Iterable[str]) -> str:
    """Return the first problem that pydantic reports, as one sentence; an unknown key names the closest of `known`."""
    problem = error.errors()[0]
    where = ".".join(map(str, problem["loc"]))
    if problem["type"] == "extra_forbidden":
        closest = difflib.get_close_matches(str(problem["loc"][-1]), known, n=1, cutoff=0)[0]
        return f"unknown key {where}; did you mean {closest!r}?"
    if problem["type"] == "missing":
        return f"{where} is missing"
    if problem["type"] == "value_error":
        return f"{where}: {problem['ctx']['error']}"
    return f"{where} is {problem.get('input')!r}: {problem['msg']}"
