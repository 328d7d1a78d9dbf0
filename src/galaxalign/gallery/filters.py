"""Which rows of a table a condition in SQL or a part of the sky lets through."""

from __future__ import annotations

import json
import re
import sqlite3
from collections import OrderedDict
from collections.abc import Iterable
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

_FUNCTIONS = frozenset({"abs", "round", "lower", "upper", "length", "substr", "coalesce", "nullif", "like", "trim"})
_STEPS, _MOST_STEPS = 10_000, 50_000  # a condition is stopped after 500 million steps of SQLite
_ALLOWED = (sqlite3.SQLITE_SELECT, sqlite3.SQLITE_READ)
_KEPT = 8  # sets of columns that are kept ready: each is a copy of them
_LONGEST = 100_000  # characters: a list of some thousand ids
_SHOWN = 200
_MOC_ORDER = 29  # the finest that there is


class SqlFilter:
    """Conditions over the columns of a table in memory, answered by SQLite.

    A gallery on disk asks one of a table without rows, so that both take the same conditions.

    Parameters
    ----------
    table : pyarrow.Table
        Not-a-number counts as missing, as in every table of a catalogue.
    """

    def __init__(self, table: pa.Table) -> None:
        self._table = table
        self._kept: OrderedDict[tuple[str, ...], sqlite3.Connection] = OrderedDict()
        self._lock = Lock()
        # A name of our own: a catalogue may have a column called rowid.
        self._key = "galaxy_row"
        while self._key in (name.lower() for name in table.column_names):
            self._key += "_"

    def rows(self, where: str) -> NDArray[np.bool_]:
        """Return which rows fulfil a condition, bool (N,)."""
        check_where(where)
        lowered = where.lower()
        named = [name for name in self._table.column_names if name.lower() in lowered]
        # Of columns that differ only in upper and lower case, the one that is written so.
        twins = {name for name in named if sum(other.lower() == name.lower() for other in named) > 1}
        names = tuple(name for name in named if name not in twins or name in where)
        steps = [0]

        def tired() -> int:
            steps[0] += 1
            return int(steps[0] > _MOST_STEPS)

        try:
            with self._lock:
                database = self._database(names)
                database.set_progress_handler(tired, _STEPS)
                found = [row for (row,) in database.execute(f"SELECT {self._key} FROM galaxies WHERE (\n{where}\n)")]
        except (sqlite3.Error, sqlite3.Warning, OverflowError, UnicodeError) as error:
            raise InputError(unanswered(where, error, self._table.column_names)) from None
        mask = np.zeros(len(self._table), dtype=bool)
        mask[np.asarray(found, dtype=np.int64)] = True
        return mask

    def _database(self, names: tuple[str, ...]) -> sqlite3.Connection:
        """Return a database of the columns that a condition names, made at its first use."""
        if names not in self._kept:
            database = sqlite3.connect(":memory:", check_same_thread=False)
            # With the kind of each column '0.1' is a number beside numbers; without, it is greater than all of them.
            kinds = [f"{_quoted(name)} {_sql_kind(self._table.schema.field(name).type)}" for name in names]
            columns = ", ".join([f"{self._key} INTEGER PRIMARY KEY", *kinds])
            database.execute(f"CREATE TABLE galaxies ({columns}) WITHOUT ROWID")
            values = [range(len(self._table)), *(_plain(self._table.column(name)) for name in names)]
            marks = ", ".join("?" * len(values))
            database.executemany(f"INSERT INTO galaxies VALUES ({marks})", zip(*values, strict=True))
            database.commit()
            database.execute("PRAGMA case_sensitive_like = ON")
            database.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, 10_000_000)
            database.set_authorizer(_reading_only)
            self._kept[names] = database
            while len(self._kept) > _KEPT:
                self._kept.popitem(last=False)[1].close()
        self._kept.move_to_end(names)
        return self._kept[names]


def unanswered(where: str, reason: object, columns: Iterable[str]) -> str:
    """Return the sentence about a condition that cannot be answered."""
    told = " ".join(str(reason).split())[:_SHOWN]
    return f"the condition {_short(where)} cannot be answered ({told}); the columns are {', '.join(columns)}"


def check_where(where: str) -> None:
    """Refuse what no condition needs; InputError.

    A double-quoted word is a column to one database and text to another; both read `name` as a column and 'text' as
    text.
    """
    if len(where) > _LONGEST:
        raise InputError(f"the condition {_short(where)} has more than {_LONGEST} characters; ask in several pieces")
    bare = re.sub(r"'(?:[^']|'')*'", "''", where)
    if '"' in bare:
        raise InputError(
            f"the condition {_short(where)} has double quotes; write 'text' for text and `name` for a column"
        )
    if ";" in bare or "--" in bare or "/*" in bare:
        raise InputError(f"the condition {_short(where)} must be a single condition, such as redshift < 0.1")
    if re.search(r"\bselect\b", bare, re.IGNORECASE):
        raise InputError(
            f"the condition {_short(where)} holds a query of its own; only comparisons of columns can be used"
        )
    unquoted = re.sub(r"`[^`]*`", "", bare)
    if re.search(r"[?@$:]", unquoted):
        raise InputError(
            f"the condition {_short(where)} has a place to be filled in (?, :, @ or $); write the value itself"
        )
    depth = 0
    for character in unquoted:
        depth += {"(": 1, ")": -1}.get(character, 0)
        if depth < 0:
            break
    if depth or not bare.strip():
        raise InputError(f"the condition {_short(where)} is not whole; check its brackets and quotes")


def _short(where: str) -> str:
    """Return a condition as a sentence quotes it."""
    shown = repr(where)
    return shown if len(shown) <= _SHOWN else f"{shown[:_SHOWN]}…"


def real_positions(
    ra: NDArray[np.float64], dec: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return positions (degrees) with NaN for both where one is missing or no place on the sky, as -99 is none."""
    there = np.isfinite(ra) & np.isfinite(dec) & (np.abs(dec) <= 90)
    return np.where(there, ra, np.nan), np.where(there, dec, np.nan)


def in_cone(ra: NDArray[np.float64], dec: NDArray[np.float64], cone: Cone) -> NDArray[np.bool_]:
    """Return which positions (degrees) lie in a circle; those that are missing do not."""
    ra, dec = real_positions(ra, dec)
    half = np.radians(ra - cone.ra) / 2
    lat, centre = np.radians(dec), np.radians(cone.dec)
    # Haversine: exact for the smallest radii, where the cosine of a distance is not.
    chord = np.sin((lat - centre) / 2) ** 2 + np.cos(lat) * np.cos(centre) * np.sin(half) ** 2
    return np.asarray(chord <= np.sin(np.radians(cone.radius) / 2) ** 2 * (1 + 1e-12))


def in_moc(ra: NDArray[np.float64], dec: NDArray[np.float64], moc: MOC) -> NDArray[np.bool_]:
    """Return which positions (degrees) lie in a part of the sky; those that are missing do not."""
    import astropy.units as u

    inside = np.zeros(len(ra), dtype=bool)
    ra, dec = real_positions(ra, dec)
    placed = np.isfinite(ra)
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
            _check_cells(_of_json(bare))
            return MOC.from_string(bare, format="json")
        if re.fullmatch(r"\d+/[\d\s,/-]*", bare):
            _check_cells(_of_text(bare))
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


def _of_json(text: str) -> dict[int, list[tuple[int, int]]]:
    """Return first and last cells of a MOC in JSON, by order."""
    cells: dict[int, list[tuple[int, int]]] = {}
    for order, numbers in json.loads(text).items():
        if not isinstance(numbers, list) or not all(type(number) is int for number in numbers):
            raise ValueError(f"order {order} has no list of whole numbers")
        cells[int(order)] = [(number, number) for number in numbers]
    return cells


def _of_text(text: str) -> dict[int, list[tuple[int, int]]]:
    """Return first and last cells of a MOC as text, by order."""
    cells: dict[int, list[tuple[int, int]]] = {}
    for order, numbers in re.findall(r"(\d+)/([^/]*?)(?=\d+/|$)", text):
        pairs = (number.partition("-") for number in re.split(r"[\s,]+", numbers.strip()) if number)
        cells.setdefault(int(order), []).extend((int(first), int(last or first)) for first, _, last in pairs)
    return cells


def _check_cells(cells: dict[int, list[tuple[int, int]]]) -> None:
    """Refuse what mocpy takes without a word for an empty MOC, or for another one; ValueError."""
    for order, pairs in cells.items():
        if not 0 <= order <= _MOC_ORDER:
            raise ValueError(f"order {order} is not within 0 to {_MOC_ORDER}")
        for first, last in pairs:
            if not 0 <= first <= last < 12 * 4**order:
                raise ValueError(f"order {order} has no cells {first} to {last}")


def _reading_only(action: int, first: Any, second: Any, *rest: Any) -> int:
    if action in _ALLOWED or (action == sqlite3.SQLITE_FUNCTION and str(second).lower() in _FUNCTIONS):
        return sqlite3.SQLITE_OK
    return sqlite3.SQLITE_DENY


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _sql_kind(kind: pa.DataType) -> str:
    if pa.types.is_floating(kind):
        return "REAL"
    return "INTEGER" if pa.types.is_integer(kind) or pa.types.is_boolean(kind) else "TEXT"


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
