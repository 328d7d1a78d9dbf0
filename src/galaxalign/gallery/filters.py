"""Which rows of a table a condition in SQL or a part of the sky lets through."""

from __future__ import annotations

import re
import sqlite3
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from galaxalign.errors import InputError
from galaxalign.gallery.query import Cone

if TYPE_CHECKING:
    from mocpy import MOC

__all__ = ["SqlFilter", "check_where", "in_cone", "in_moc", "read_moc"]

_FUNCTIONS = frozenset({"abs", "round", "lower", "upper", "length", "substr", "coalesce", "nullif", "like", "trim"})
_STEPS, _MOST_STEPS = 10_000, 50_000  # a condition is stopped after 500 million steps of SQLite
_ALLOWED = (sqlite3.SQLITE_SELECT, sqlite3.SQLITE_READ)


class SqlFilter:
    """Conditions over the columns of a table in memory, answered by SQLite.

    Parameters
    ----------
    table : pyarrow.Table
        Not-a-number counts as missing, as in every table of a catalogue.
    """

    def __init__(self, table: pa.Table) -> None:
        self._table = table
        self._kept: dict[tuple[str, ...], sqlite3.Connection] = {}
        self._lock = Lock()

    def rows(self, where: str) -> NDArray[np.bool_]:
        """Return which rows fulfil a condition, bool (N,).

        Raises
        ------
        InputError
            The condition is no SQL, names a column that is not there, or does more than compare.
        """
        check_where(where)
        lowered = where.lower()
        names = tuple(name for name in self._table.column_names if name.lower() in lowered)
        steps = [0]

        def tired() -> int:
            steps[0] += 1
            return int(steps[0] > _MOST_STEPS)

        try:
            with self._lock:
                database = self._database(names)
                database.set_progress_handler(tired, _STEPS)
                found = [row for (row,) in database.execute(f"SELECT rowid FROM galaxies WHERE (\n{where}\n)")]
        except (sqlite3.Error, sqlite3.Warning, OverflowError) as error:
            raise InputError(
                f"the condition {where!r} cannot be answered ({error}); the columns are "
                f"{', '.join(self._table.column_names)}"
            ) from None
        mask = np.zeros(len(self._table), dtype=bool)
        mask[np.asarray(found, dtype=np.int64) - 1] = True
        return mask

    def _database(self, names: tuple[str, ...]) -> sqlite3.Connection:
        """Return a database of the columns that a condition names, made at its first use."""
        if names not in self._kept:
            database = sqlite3.connect(":memory:", check_same_thread=False)
            columns = ", ".join(_quoted(name) for name in names) or "nothing"
            database.execute(f"CREATE TABLE galaxies ({columns})")
            values = [_plain(self._table.column(name)) for name in names] or [[None] * len(self._table)]
            marks = ", ".join("?" * len(values))
            database.executemany(f"INSERT INTO galaxies VALUES ({marks})", zip(*values, strict=True))
            database.commit()
            database.execute("PRAGMA case_sensitive_like = ON")
            database.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, 10_000_000)
            database.set_authorizer(_reading_only)
            self._kept[names] = database
        return self._kept[names]


def check_where(where: str) -> None:
    """Refuse what no condition needs; InputError.

    A double-quoted word is a column to one database and text to another; both read `name` as a column and 'text' as
    text.
    """
    bare = re.sub(r"'(?:[^']|'')*'", "''", where)
    if '"' in bare:
        raise InputError(f"the condition {where!r} has double quotes; write 'text' for text and `name` for a column")
    if ";" in bare or "--" in bare or "/*" in bare:
        raise InputError(f"the condition {where!r} must be a single condition, such as redshift < 0.1")
    if re.search(r"\bselect\b", bare, re.IGNORECASE):
        raise InputError(f"the condition {where!r} holds a query of its own; only comparisons of columns can be used")
    depth = 0
    for character in re.sub(r"`[^`]*`", "", bare):
        depth += {"(": 1, ")": -1}.get(character, 0)
        if depth < 0:
            break
    if depth or not bare.strip():
        raise InputError(f"the condition {where!r} is not whole; check its brackets and quotes")


def in_cone(ra: NDArray[np.float64], dec: NDArray[np.float64], cone: Cone) -> NDArray[np.bool_]:
    """Return which positions (degrees) lie in a circle; those that are missing do not."""
    half = np.radians(ra - cone.ra) / 2
    lat, centre = np.radians(dec), np.radians(cone.dec)
    # Haversine: exact for the smallest radii, where the cosine of a distance is not.
    chord = np.sin((lat - centre) / 2) ** 2 + np.cos(lat) * np.cos(centre) * np.sin(half) ** 2
    return np.asarray(chord <= np.sin(np.radians(cone.radius) / 2) ** 2 * (1 + 1e-12))


def in_moc(ra: NDArray[np.float64], dec: NDArray[np.float64], moc: MOC) -> NDArray[np.bool_]:
    """Return which positions (degrees) lie in a part of the sky; those that are missing do not."""
    import astropy.units as u

    inside = np.zeros(len(ra), dtype=bool)
    placed = np.isfinite(ra) & np.isfinite(dec)
    inside[placed] = moc.contains_lonlat(ra[placed] * u.deg, dec[placed] * u.deg)
    return inside


def read_moc(text: str, *, files: bool = True) -> MOC:
    """Return a MOC from a file, or written as text or JSON.

    Parameters
    ----------
    text : str
        Path of a FITS, JSON or text file, "6/1-5 99" or {"6": [1, 2]}.
    files : bool
        False: a path is refused.

    Raises
    ------
    InputError
        There is no such file, or it is no MOC; or the library mocpy is missing.
    """
    try:
        from mocpy import MOC
    except ImportError:
        raise InputError("a part of the sky as MOC needs mocpy; pip install 'galaxalign[explore]'") from None
    bare = text.strip()
    try:
        if bare.startswith("{"):
            return MOC.from_string(bare, format="json")
        if re.fullmatch(r"\d+/[\d\s,/-]*", bare):
            return MOC.from_string(bare)
        if not files:
            raise InputError("the MOC is neither text (6/1-5 99) nor JSON; files cannot be named here")
        if not Path(bare).is_file():
            raise InputError(f"there is no MOC at {bare}; give a file, or a MOC as text such as 6/1-5")
        with open(bare, "rb") as file:
            start = file.read(1)
        return MOC.load(bare, format={b"{": "json", b"S": "fits"}.get(start, "ascii"))
    except InputError:
        raise
    except Exception as error:
        # The parser is in another language and raises whatever it likes on damaged text.
        reason = " ".join(str(error).split())[:200]
        raise InputError(f"{bare[:80]} is no MOC ({reason}); write it again as FITS, JSON or text") from None


def _reading_only(action: int, first: Any, second: Any, *rest: Any) -> int:
    if action in _ALLOWED or (action == sqlite3.SQLITE_FUNCTION and str(second).lower() in _FUNCTIONS):
        return sqlite3.SQLITE_OK
    return sqlite3.SQLITE_DENY


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _plain(column: pa.ChunkedArray) -> list[Any]:
    """Return the values of a column as SQLite takes them."""
    kind = column.type
    if pa.types.is_floating(kind):
        return [None if value is None or value != value else value for value in column.to_pylist()]
    if pa.types.is_integer(kind) or pa.types.is_boolean(kind) or pa.types.is_string(kind):
        if kind == pa.uint64():
            return [None if value is None else value if value < 2**63 else str(value) for value in column.to_pylist()]
        return list(column.to_pylist())
    return [None if value is None else str(value) for value in column.to_pylist()]
