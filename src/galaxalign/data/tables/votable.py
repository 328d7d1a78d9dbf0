"""VOTable written a piece at a time, and the VOTable header that VOParquet keeps in a Parquet file.

VOTable 1.4 (Ochsenbein et al. 2019) with TABLEDATA. VOParquet 1.0 (IVOA note, 2025) stores the same document without
data in the metadata of the file, where TOPCAT and STILTS read units and UCDs.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any
from xml.sax.saxutils import escape, quoteattr

from galaxalign.data.tables.columns import meaning

if TYPE_CHECKING:
    import pyarrow as pa

_NUMBERS = {
    "bool": "boolean",
    "uint8": "unsignedByte",
    "int8": "short",
    "int16": "short",
    "uint16": "int",
    "int32": "int",
    "uint32": "long",
    "int64": "long",
    "halffloat": "float",
    "float": "float",
    "double": "double",
}
# XML 1.0 cannot write these, not even as entities.
_UNPRINTABLE = re.compile(r"[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def votable_lines(
    schema: pa.Schema, pieces: Iterable[pa.Table], *, metadata: Mapping[str, str], ascii_columns: Iterable[str] = ()
) -> Iterator[str]:
    """Yield a VOTable document in pieces of text."""
    yield _head(schema, metadata, set(ascii_columns))
    yield "<DATA>\n<TABLEDATA>\n"
    for piece in pieces:
        columns = [piece.column(name).to_pylist() for name in schema.names]
        yield "".join(
            f"<TR>{''.join(f'<TD>{_cell(value)}</TD>' for value in row)}</TR>\n" for row in zip(*columns, strict=True)
        )
    yield "</TABLEDATA>\n</DATA>\n" + _FOOT


def parquet_metadata(schema: pa.Schema, metadata: Mapping[str, str]) -> dict[str, str]:
    """Return the two keys of VOParquet for a Parquet file of these columns."""
    return {
        "IVOA.VOTable-Parquet.version": "1.0",
        "IVOA.VOTable-Parquet.content": _head(schema, metadata, set()) + _FOOT,
    }


_FOOT = "</TABLE>\n</RESOURCE>\n</VOTABLE>\n"


def _head(schema: pa.Schema, metadata: Mapping[str, str], ascii_columns: set[str]) -> str:
    infos = "".join(f"<INFO name={_quoted(key)} value={_quoted(value)}/>\n" for key, value in metadata.items())
    fields = "".join(_field(entry.name, entry.type, entry.name in ascii_columns) for entry in schema)
    return (
        '<?xml version="1.0" encoding="utf-8"?>\n'
        '<VOTABLE version="1.4" xmlns="http://www.ivoa.net/xml/VOTable/v1.3">\n'
        f'<RESOURCE type="results">\n{infos}<TABLE>\n{fields}'
    )


def _field(name: str, kind: pa.DataType, is_ascii: bool) -> str:
    import pyarrow as pa

    size = ""
    if pa.types.is_fixed_size_list(kind):
        size, kind = f' arraysize="{kind.list_size}"', kind.value_type
    elif pa.types.is_list(kind) or pa.types.is_large_list(kind):
        size, kind = ' arraysize="*"', kind.value_type
    datatype = _NUMBERS.get(str(kind))
    if datatype is None:
        datatype, size = "char" if is_ascii else "unicodeChar", ' arraysize="*"'
    what = meaning(name)
    unit = f" unit={_quoted(what.unit)}" if what.unit else ""
    ucd = f" ucd={_quoted(what.ucd)}" if what.ucd else ""
    about = f"<DESCRIPTION>{_escaped(what.description)}</DESCRIPTION>" if what.description else ""
    return f'<FIELD name={_quoted(name)} datatype="{datatype}"{size}{unit}{ucd}>{about}</FIELD>\n'


def _cell(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return "NaN" if math.isnan(value) else repr(value) if math.isfinite(value) else "+Inf" if value > 0 else "-Inf"
    return _escaped(str(value))


def _escaped(text: str) -> str:
    return escape(_UNPRINTABLE.sub("?", text))


def _quoted(text: str) -> str:
    return quoteattr(_UNPRINTABLE.sub("?", text))
