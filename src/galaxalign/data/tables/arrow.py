"""Arrow columns as pandas columns: integers stay integers and keep every digit."""

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

MISSING = ("", "#N/A", "N/A", "NA", "n/a", "NaN", "nan", "-nan", "NULL", "null", "None", "--")
"""Texts that mean a missing value."""


def units_of(schema: pa.Schema) -> dict[str, str]:
    """Return the units in the metadata of fields, by column."""
    notes = {entry.name: entry.metadata or {} for entry in schema}
    return {name: note[b"unit"].decode() for name, note in notes.items() if note.get(b"unit")}


def to_frame(table: pa.Table, text: Collection[str]) -> pd.DataFrame:
    """Return an Arrow table as a pandas one; integer columns with missing values stay integers."""
    import pandas as pd
    import pyarrow as pa

    columns = {}
    for name, column in zip(table.column_names, table.columns, strict=True):
        if pa.types.is_dictionary(column.type):
            column = column.cast(column.type.value_type)
        # pandas makes floats of whole numbers beside missing ones, and ids would lose digits.
        if name in text and pa.types.is_integer(column.type):
            column = column.cast(pa.string())
        columns[name] = _series(column)
    return pd.DataFrame(columns) if columns else pd.DataFrame(index=range(len(table)))


def _series(column: Any) -> pd.Series:
    import pandas as pd
    import pyarrow as pa

    sizes = {8: "Int8", 16: "Int16", 32: "Int32", 64: "Int64"}
    if pa.types.is_integer(column.type) and column.null_count:
        kind = ("U" if pa.types.is_unsigned_integer(column.type) else "") + sizes[column.type.bit_width]
        missing = np.asarray(column.is_null())
        values = np.asarray(column.fill_null(0))
        return pd.Series(pd.arrays.IntegerArray(values.astype(kind.lower()), missing), dtype=kind)
    if pa.types.is_string(column.type) or pa.types.is_large_string(column.type):
        return pd.Series(np.asarray(column.to_numpy(zero_copy_only=False), dtype=object), dtype=object)
    return pd.Series(column.to_pandas())


def typed(column: pd.Series) -> pd.Series:
    """Return a column of text as integers, floats or booleans where all its cells are."""
    import pandas as pd
    import pyarrow as pa
    import pyarrow.compute as pc

    cells = _cells(column)
    if cells.null_count == len(cells):
        return pd.Series(np.full(len(cells), np.nan), index=column.index)
    for kind in (pa.int64(), pa.uint64(), pa.float64()):
        try:
            return _series(cells.cast(kind)).set_axis(column.index)
        except pa.ArrowInvalid:
            continue
    words = pc.utf8_lower(cells)
    if pc.all(pc.is_in(words.drop_null(), value_set=pa.array(["true", "false"]))).as_py():
        return _series(pc.equal(words, "true")).set_axis(column.index)
    missing = np.asarray(cells.is_null())
    return column.astype(object).where(~missing, None)


def _cells(column: pd.Series) -> Any:
    """Return text without blanks around it, null for the texts of `MISSING`."""
    import pyarrow as pa
    import pyarrow.compute as pc

    cells = pc.utf8_trim_whitespace(pa.array(column.to_numpy(dtype=object), pa.string(), from_pandas=True))
    return pc.if_else(pc.is_in(cells, value_set=pa.array(MISSING)), pa.scalar(None, pa.string()), cells)


class CellKinds:
    """The kinds of columns of text (integers, floats, booleans or text) that come in pieces.

    A first piece of "1" and "2" may be followed by "2.5": add all pieces before converting any.
    """

    def __init__(self) -> None:
        self._kinds: dict[str, str] = {}

    def add(self, table: pd.DataFrame) -> None:
        """Take in a piece."""
        for name in table.columns:
            if _cells(table[name]).null_count < len(table):
                kind = typed(table[name]).dtype.kind
                before = self._kinds.get(name, kind)
                numbers = kind in "iuf" and before in "iuf"
                self._kinds[name] = kind if kind == before else max(kind, before, key="iuf".find) if numbers else "O"

    def convert(self, table: pd.DataFrame) -> pd.DataFrame:
        """Return a piece with each column in the kind of all its pieces."""
        import pandas as pd
        import pyarrow as pa
        import pyarrow.compute as pc

        kinds = {"i": pa.int64(), "u": pa.uint64(), "f": pa.float64()}
        columns = {}
        for name in table.columns:
            cells, kind = _cells(table[name]), self._kinds.get(name, "f")
            if kind == "b":
                cells = pc.equal(pc.utf8_lower(cells), "true")
            elif kind in kinds:
                cells = cells.cast(kinds[kind])
            columns[name] = _series(cells).set_axis(table.index)
        return pd.DataFrame(columns, index=table.index)
