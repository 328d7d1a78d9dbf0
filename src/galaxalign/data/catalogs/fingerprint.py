"""The identity of a catalogue: ids that are whole and unique, and a fingerprint of its rows."""

from __future__ import annotations

import hashlib
import re
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from galaxalign.data.tables import cell_text
from galaxalign.errors import InputError

if TYPE_CHECKING:
    import pandas as pd

# "587.0" and "5.87e+17", but not "587e17", which may be the hexadecimal id it looks like.
_FLOAT_ID = re.compile(r"-?\d+\.0*|-?\d(\.\d+)?[eE]\+\d+")
_FLOAT_LABEL = re.compile(r"\d+\.0")
# Hashes that are compared at a time: 32 MB.
_AT_A_TIME = 2**22


def id_texts(values: pd.Series, where: str, *, first_row: int = 0) -> list[str]:
    """Return ids as text."""
    if values.dtype.kind in "iu" and not values.isna().any():
        return [str(value) for value in values.tolist()]
    texts = _arrow_texts(values)
    if texts is not None and not _any_like(texts, _FLOAT_ID) and "" not in (found := texts.to_pylist()):
        return list(found)
    # Above this not every whole number is a float of this width.
    inexact = 2**24 if values.dtype == np.float32 else 2**53
    return [_id_text(value, row, where, inexact) for row, value in enumerate(values, start=first_row)]


def check_unique(ids: Iterable[str], where: str) -> None:
    """Raise InputError with the number of repeated ids and the first of them."""
    seen: set[str] = set()
    repeated: dict[str, None] = {}
    for identity in ids:
        if identity in seen:
            repeated[identity] = None
        seen.add(identity)
    if repeated:
        first = ", ".join(list(repeated)[:3])
        raise InputError(
            f"{where} has {len(repeated)} id_str more than once (first: {first}); give each galaxy one row"
        )


class IdHashes:
    """Finds ids that may be repeated, by 64-bit hashes in a temporary file; a context manager.

    Takes 8 bytes of disk for each row and at most 4 million hashes in memory. Ids with a unique hash are unique;
    compare the others as text.
    """

    def __enter__(self) -> IdHashes:
        self._file = tempfile.TemporaryFile()
        self._count = 0
        return self

    def __exit__(self, *about: object) -> None:
        self._file.close()

    def add(self, ids: Sequence[str]) -> None:
        """Add the ids of some rows."""
        self._file.write(hashes(ids).tobytes())
        self._count += len(ids)

    def repeated(self) -> NDArray[np.uint64]:
        """Return the repeated hashes, sorted."""
        passes = -(-self._count // _AT_A_TIME)
        found = [self._repeated_of(share, passes) for share in range(passes)]
        return np.sort(np.concatenate(found)) if found else np.empty(0, np.uint64)

    def _repeated_of(self, share: int, passes: int) -> NDArray[np.uint64]:
        ordered = np.concatenate([block[block % np.uint64(passes) == share] for block in self._blocks()])
        ordered.sort()
        return np.unique(ordered[1:][ordered[1:] == ordered[:-1]])

    def _blocks(self) -> Iterator[NDArray[np.uint64]]:
        self._file.seek(0)
        while block := self._file.read(2**20):
            yield np.frombuffer(block, np.uint64)


def hashes(ids: Sequence[str]) -> NDArray[np.uint64]:
    """Return a 64-bit hash of each id."""
    from pandas.util import hash_array

    return hash_array(np.array(ids, dtype=object), categorize=False)


class Fingerprint:
    """sha256 of each row's id, label and image name, summed modulo 2^256; the order of rows makes no difference.

    Parameters
    ----------
    positions : bool
        Include `ra` and `dec`: for a table without ids, whose row numbers do not identify it.
    """

    def __init__(self, *, positions: bool = False) -> None:
        self._sum = 0
        self._positions = positions

    def add(self, table: pd.DataFrame) -> None:
        """Add rows: `id_str`, and `label`, `file_loc` and positions if there are such columns."""
        blank = [""] * len(table)
        labels = plain_texts(table["label"]) if "label" in table else blank
        names = _file_names(table["file_loc"]) if "file_loc" in table else blank
        places = [_places(table[name]) for name in ("ra", "dec") if name in table] if self._positions else []
        total = 0
        for row in zip(plain_strings(table["id_str"]), labels, names, *places, strict=True):
            total += int.from_bytes(hashlib.sha256("\x1f".join(row).encode()).digest())
        self._sum = (self._sum + total) % 2**256

    def hexdigest(self) -> str:
        """Return 64 hexadecimal digits."""
        return f"{self._sum:064x}"


def _places(values: pd.Series) -> list[str]:
    """Return coordinates as canonical text."""
    import pandas as pd

    texts = plain_texts(values)
    numbers = pd.to_numeric(pd.Series(texts, dtype=object), errors="coerce").to_numpy(np.float64)
    return [text if np.isnan(number) else repr(float(number)) for text, number in zip(texts, numbers, strict=True)]


def plain_strings(values: pd.Series) -> list[str]:
    """Return a column of text as a list, faster than pandas."""
    import pyarrow as pa

    return list(pa.array(values, pa.string(), from_pandas=True).to_pylist())


def cell_texts(values: pd.Series) -> list[str]:
    """Return the `cell_text` of each cell."""
    texts = _arrow_texts(values)
    return [cell_text(value) for value in values] if texts is None else texts.to_pylist()


def plain_texts(values: pd.Series) -> list[str]:
    """Return cells as text: "" for missing values, "3" for 3.0."""
    texts = _arrow_texts(values)
    if texts is not None and not _any_like(texts, _FLOAT_LABEL):
        return list(texts.to_pylist())
    cells = cell_texts(values)
    return [text[:-2] if text.endswith(".0") and text[:-2].isdigit() else text for text in cells]


def _arrow_texts(values: pd.Series) -> Any:
    """Return the `cell_text` of each cell as an Arrow array; None if not all cells are text."""
    import pyarrow as pa
    import pyarrow.compute as pc

    if values.dtype.kind not in "OT":
        return None
    try:
        cells = pc.utf8_trim_whitespace(pa.array(values, pa.string(), from_pandas=True))
    except (pa.ArrowInvalid, pa.ArrowTypeError):
        return None
    return pc.if_else(pc.is_in(cells, value_set=pa.array(["nan", "<NA>", None])), "", cells)


def _any_like(texts: Any, pattern: re.Pattern[str]) -> bool:
    import pyarrow.compute as pc

    return bool(pc.any(pc.match_substring_regex(texts, f"^({pattern.pattern})$")).as_py())


def _file_names(values: pd.Series) -> list[str]:
    """Return what follows the last slash of each path."""
    import pyarrow as pa
    import pyarrow.compute as pc

    paths = pc.utf8_rtrim(pa.array(values, pa.string(), from_pandas=True), characters="/")
    return list(pc.replace_substring_regex(paths, "(?s)^.*/", "").to_pylist())


def _id_text(value: object, row: int, where: str, inexact: int) -> str:
    """Return an id as text; InputError if it lost digits."""
    text = cell_text(value)
    if not text:
        raise InputError(f"{where} has no id_str in row {row + 1} (the first is row 1); give every galaxy one")
    written_as_float = isinstance(value, float | np.floating) or _FLOAT_ID.fullmatch(text)
    if not written_as_float:
        return text
    number = float(text)
    if number != int(number):
        raise InputError(f"{where} has the id_str {text} in row {row + 1}; an id is text or a whole number")
    if abs(number) >= inexact:
        raise InputError(
            f"{where} holds id_str as floating-point numbers, which lost digits (row {row + 1}: {text}); "
            "save the ids as text or as 64-bit integers"
        )
    return str(int(number))
