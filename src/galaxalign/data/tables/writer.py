"""Table files written a piece at a time, whole or not at all, with units, UCDs and descriptions.

A FITS or VOTable header needs the width of text and the number of rows before the first row: both formats go through
a temporary Parquet file beside the output, in constant memory.
"""

from __future__ import annotations

import gzip
import io
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import IO, TYPE_CHECKING, Any, Self

import numpy as np

from galaxalign.data.tables.columns import meaning
from galaxalign.data.tables.files import TABLE_SUFFIXES, cannot_write, cell_text, check_output, table_suffix
from galaxalign.data.tables.votable import parquet_metadata, votable_lines
from galaxalign.errors import InputError

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

_GROUP = 65_536
_BLOCK = 2880


class TableWriter:
    """Write a table in pieces: a context manager, after which the file is there; after an exception it is not.

    Parameters
    ----------
    path : path
        Its suffix (.csv, .csv.gz, .parquet, .fits, .vot) sets the format. Missing folders are made.
    metadata : mapping of str to str, optional
        Written to the schema of Parquet, HISTORY cards "key = value" of FITS, INFO elements of VOTable; CSV has no
        place for it.

    Raises
    ------
    InputError
        The path cannot be written, its suffix is not known, or the format cannot hold a column of vectors.
    """

    def __init__(self, path: str | Path, *, metadata: Mapping[str, str] | None = None) -> None:
        self.path = Path(path)
        self.rows = 0
        self._kind = table_suffix(self.path)
        self._metadata = dict(metadata or {})
        self._part = self.path.with_name(f".{os.getpid()}.{self.path.name}")
        self._spool = self._part.with_name(self._part.name + ".spool")
        self._schema: pa.Schema | None = None
        self._waiting: list[pa.Table] = []
        self._sink: Any = None
        self._text: dict[str, _Text] = {}
        self._with_null: set[str] = set()

    def __enter__(self) -> Self:
        check_output(self.path, suffixes=TABLE_SUFFIXES)
        with self._output_errors():
            self.path.parent.mkdir(parents=True, exist_ok=True)
        return self

    def write(self, frame: pd.DataFrame) -> None:
        """Append rows; their index is not written. The first piece fixes names and types of the columns."""
        if self._kind != ".parquet":
            _refuse_vectors(frame, self.path)
        with self._output_errors():
            if self._kind.startswith(".csv"):
                if self._sink is None:
                    self._sink = _open_text(self._part, packed=self._kind == ".csv.gz")
                frame.to_csv(self._sink, index=False, header=self.rows == 0)
            else:
                self._keep(frame)
            self.rows += len(frame)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if kind is None:
                with self._output_errors():
                    self._finish()
                    self._part.replace(self.path)
        finally:
            if self._sink is not None:
                self._sink.close()
            for leftover in (self._part, self._spool):
                leftover.unlink(missing_ok=True)

    @contextmanager
    def _output_errors(self) -> Iterator[None]:
        """Turn errors of the system into the sentence about the output."""
        try:
            yield
        except OSError as error:
            raise InputError(cannot_write(self.path, error)) from error

    def _keep(self, frame: pd.DataFrame) -> None:
        import pyarrow as pa

        if self._kind != ".parquet":
            frame = frame.copy(deep=False)
            for name in [name for name in frame.columns if frame[name].dtype == object]:
                frame[name] = np.array([cell_text(value) or None for value in frame[name]], dtype=object)
        table = pa.Table.from_pandas(frame, preserve_index=False).replace_schema_metadata(None)
        if self._schema is None:
            self._schema = pa.schema([described(entry) for entry in table.schema])
        table = table.cast(self._schema)
        if self._kind != ".parquet":
            self._measure(table)
        self._waiting.append(table)
        if sum(map(len, self._waiting)) >= _GROUP:
            self._flush()

    def _flush(self) -> None:
        import pyarrow as pa
        import pyarrow.parquet as pq

        assert self._schema is not None
        if self._sink is None:
            path, about = self._spool, self._metadata
            if self._kind == ".parquet":
                path, about = self._part, about | parquet_metadata(self._schema, self._metadata)
            schema = self._schema.with_metadata(about or None)
            self._sink = pq.ParquetWriter(path, schema, compression="zstd", write_page_checksum=True)
        self._sink.write_table(pa.concat_tables(self._waiting))
        self._waiting = []

    def _finish(self) -> None:
        import pandas as pd
        import pyarrow as pa
        import pyarrow.parquet as pq

        if self._sink is None and not self._waiting:
            self.write(pd.DataFrame())
        if self._waiting:
            self._flush()
        self._sink.close()
        if self._kind not in (".fits", ".vot"):
            return
        assert self._schema is not None
        with pq.ParquetFile(self._spool) as file:
            pieces = (pa.Table.from_batches([batch]) for batch in file.iter_batches(_GROUP))
            if self._kind == ".fits":
                with self._part.open("wb") as out:
                    _write_fits(out, self._schema, pieces, self.rows, self._text, self._with_null, self._metadata)
                return
            simple = [name for name, text in self._text.items() if text.ascii]
            lines = votable_lines(self._schema, pieces, metadata=self._metadata, ascii_columns=simple)
            with self._part.open("w", encoding="utf-8") as document:
                document.writelines(lines)

    def _measure(self, table: pa.Table) -> None:
        """Update what a FITS or VOTable header needs."""
        import pyarrow as pa
        import pyarrow.compute as pc

        for name, column in zip(table.column_names, table.columns, strict=True):
            if column.null_count:
                self._with_null.add(name)
            if not _is_number(column.type):
                words = column.cast(pa.string())
                text = self._text.setdefault(name, _Text())
                text.width = max(text.width, pc.max(pc.binary_length(words)).as_py() or 0)
                text.ascii = text.ascii and bool(pc.all(pc.string_is_ascii(words)).as_py() is not False)


def write_table(frame: pd.DataFrame, path: str | Path, *, metadata: Mapping[str, str] | None = None) -> Path:
    """Write a table whole or not at all; see `TableWriter` for the parameters and errors."""
    with TableWriter(path, metadata=metadata) as writer:
        writer.write(frame)
    return writer.path


class _Text:
    """A column of text: bytes of its longest cell, and whether all is ASCII."""

    def __init__(self) -> None:
        self.width = 1
        self.ascii = True


def _open_text(path: Path, *, packed: bool) -> IO[str]:
    if not packed:
        return path.open("w", encoding="utf-8", newline="")
    # Without a name and the time of writing in its header, the same table gives the same bytes.
    return io.TextIOWrapper(gzip.GzipFile("", "wb", fileobj=path.open("wb"), mtime=0), encoding="utf-8", newline="")


def described(entry: pa.Field) -> pa.Field:
    """Return a column with its unit, UCD and description; large_string, which pandas prefers, as string."""
    import pyarrow as pa

    what = meaning(entry.name)
    about = {"unit": what.unit, "ucd": what.ucd, "description": what.description}
    kind = pa.string() if pa.types.is_large_string(entry.type) or pa.types.is_null(entry.type) else entry.type
    return pa.field(entry.name, kind, metadata={key: value for key, value in about.items() if value} or None)


def _is_number(kind: pa.DataType) -> bool:
    import pyarrow as pa

    # No table format but Parquet has unsigned 64-bit integers: they become text, and keep all their digits.
    return (pa.types.is_integer(kind) and str(kind) != "uint64") or pa.types.is_floating(kind) or kind == pa.bool_()


def _refuse_vectors(frame: pd.DataFrame, path: Path) -> None:
    for name in frame.columns:
        if len(frame) and isinstance(frame[name].iloc[0], np.ndarray | list | tuple):
            raise InputError(f"the column {name} holds vectors, which {path} has no place for; use .parquet")


_FITS_INTEGERS = {"uint8": "B", "int8": "I", "int16": "I", "uint16": "J", "int32": "J", "uint32": "K", "int64": "K"}
_BYTES = {"B": "u1", "I": ">i2", "J": ">i4", "K": ">i8", "E": ">f4", "D": ">f8", "L": "S1"}


def _write_fits(
    out: IO[bytes],
    schema: pa.Schema,
    pieces: Iterator[pa.Table],
    rows: int,
    text: Mapping[str, _Text],
    with_null: set[str],
    metadata: Mapping[str, str],
) -> None:
    """Write a binary table; text is UTF-8 (the standard knows ASCII only, which most text is)."""
    from astropy.io import fits

    forms = {entry.name: _fits_form(entry, text, entry.name in with_null) for entry in schema}
    nulls = {
        name: int(np.iinfo(_BYTES[form]).min) for name, form in forms.items() if form in "IJK" and name in with_null
    }
    columns = [fits.Column(name, form, null=nulls.get(name)) for name, form in forms.items()]
    header = fits.BinTableHDU.from_columns(columns, nrows=0).header
    header["NAXIS2"] = rows
    for number, name in enumerate(forms, start=1):
        what = meaning(name)
        after = f"TFORM{number}"
        for keyword, value in (("TCOMM", what.description), ("TUCD", what.ucd), ("TUNIT", what.unit)):
            if value:
                header.set(f"{keyword}{number}", value, after=after)
    for key, value in metadata.items():
        header["HISTORY"] = f"{key} = {value}".encode("ascii", "backslashreplace").decode().replace("\n", " ")
    out.write(fits.PrimaryHDU().header.tostring().encode("ascii"))
    out.write(header.tostring().encode("ascii"))
    layout = np.dtype(
        [(f"f{n}", _BYTES[form] if form in _BYTES else f"S{form[:-1]}") for n, form in enumerate(forms.values())]
    )
    size = 0
    for piece in pieces:
        cells = np.zeros(len(piece), layout)
        for n, (name, form) in enumerate(forms.items()):
            cells[f"f{n}"] = _fits_cells(piece.column(name), form, nulls.get(name))
        size += out.write(cells.tobytes())
    out.write(b"\0" * (-size % _BLOCK))


def _fits_form(entry: pa.Field, text: Mapping[str, _Text], with_null: bool) -> str:
    import pyarrow as pa

    if entry.name in text:
        return f"{text[entry.name].width}A"
    if entry.type == pa.bool_():
        return "L"
    if pa.types.is_floating(entry.type):
        return "D" if entry.type == pa.float64() else "E"
    form = _FITS_INTEGERS[str(entry.type)]
    return "I" if form == "B" and with_null else form


def _fits_cells(column: Any, form: str, null: int | None) -> np.ndarray:
    import pyarrow as pa

    if form.endswith("A"):
        words = column.cast(pa.string()).fill_null("").to_pylist()
        return np.array([word.encode() for word in words], dtype=f"S{form[:-1]}")
    if form == "L":
        return np.array([b"\0" if value is None else b"T" if value else b"F" for value in column.to_pylist()], "S1")
    if form in "ED":
        return np.asarray(column.cast(pa.float64()).fill_null(np.nan))
    return np.asarray(column if null is None else column.cast(pa.int64()).fill_null(null))
