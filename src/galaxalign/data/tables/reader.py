"""Table files read a piece at a time: memory does not grow with the number of rows.

CSV is read in blocks, Parquet by row group, FITS by slices of the file. A VOTable is read whole by astropy.
"""

from __future__ import annotations

import csv
import gzip
import re
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from galaxalign.data.tables.arrow import to_frame, typed, units_of
from galaxalign.data.tables.files import TABLE_SUFFIXES, cell_text, table_suffix
from galaxalign.data.tables.fits_rows import fits_rows, quiet_astropy
from galaxalign.errors import InputError, reason

if TYPE_CHECKING:
    import pandas as pd

PIECE = 65_536
"""Rows in a piece by default."""

_CSV_BLOCK = 4 * 2**20

_Pieces = Callable[[Sequence[str], Collection[str], int], "Iterator[pd.DataFrame]"]


@dataclass(frozen=True, eq=False)
class TableFile:
    """A table on disk.

    Attributes
    ----------
    path : Path
    names : list of str
        Its columns with one value in each row.
    units : dict of str to str
        The units that FITS, VOTable or the field metadata of Parquet give, for columns that have one.
    rows : int or None
        None for CSV, whose rows are not counted.
    kind : str
        The suffix of its format; "HATS" for a directory.
    positions : dict of str to str
        The columns that HATS properties name as right ascension ("ra") and declination ("dec").
    """

    path: Path
    names: list[str]
    units: dict[str, str]
    rows: int | None
    _read: _Pieces = field(repr=False)
    kind: str = ""
    positions: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        object.__setattr__(self, "kind", self.kind or table_suffix(self.path))

    def pieces(
        self, names: Sequence[str] | None = None, *, text: Collection[str] = (), size: int = PIECE
    ) -> Iterator[pd.DataFrame]:
        """Yield the rows in order, at most `size` at a time.

        Parameters
        ----------
        names : sequence of str, optional
            The columns to read, as the file has them; all by default.
        text : collection of str
            Columns whose cells never become numbers: 19-digit ids, an id that reads "NA". All cells of CSV pieces
            are text.
        size : int

        Raises
        ------
        InputError
            The file is damaged; the sentence names the line or the row group.
        """
        with _one_sentence(self.path, self.kind):
            yield from self._read(list(self.names if names is None else names), text, size)

    def whole(self, *, text: Collection[str] = ()) -> pd.DataFrame:
        """Return all rows in one table; the columns of CSV are numbers where all their cells are."""
        import pandas as pd

        parts = list(self.pieces(text=text))
        if not parts:
            return pd.DataFrame({name: np.empty(0, dtype=object) for name in self.names})
        table = pd.concat(parts, ignore_index=True) if len(parts) > 1 else parts[0]
        if self.kind.startswith(".csv"):
            for name in table.columns:
                if name not in text:
                    table[name] = typed(table[name])
        return table


def read_table(path: str | Path, *, text_columns: Collection[str] = ()) -> pd.DataFrame:
    """Read a whole table; formats and errors are those of `open_table`.

    Parameters
    ----------
    path : path
    text_columns : collection of str
        Columns, in lower case, whose cells never become numbers; case in the file makes no difference.

    Returns
    -------
    pandas.DataFrame
        The columns as named in the file; integers stay integers where some are missing.
    """
    file = open_table(path)
    return file.whole(text=[name for name in file.names if name.strip().lower() in text_columns])


def open_table(path: str | Path, *, kind: str = "") -> TableFile:
    """Open a table (.csv, .csv.gz, .parquet, .fits or .vot).

    Parameters
    ----------
    path : path
    kind : str
        One of these suffixes in place of that of the file.

    Raises
    ------
    InputError
        The suffix is not known or the file cannot be read.
    """
    path = Path(path)
    kind = kind or table_suffix(path)
    if kind not in _OPENERS:
        raise InputError(f"{path} is no kind of table that is known; use {', '.join(TABLE_SUFFIXES)}")
    with _one_sentence(path, kind):
        if path.stat().st_size == 0:
            raise InputError(f"{path} is empty (zero bytes); a table needs a header and rows")
        return _OPENERS[kind](path)


@contextmanager
def _one_sentence(path: Path, kind: str) -> Iterator[None]:
    try:
        yield
    except (InputError, MemoryError):
        raise
    except FileNotFoundError:
        raise InputError(f"there is no table at {path}") from None
    except PermissionError:
        raise InputError(f"{path} may not be read; check the permissions of the file") from None
    except Exception as error:
        # Each library has its own errors for damaged bytes.
        raise InputError(f"{path} cannot be read as {kind} ({reason(error)}); write or fetch it again") from error


def _open_csv(path: Path) -> TableFile:
    names = _csv_header(path)

    def read(wanted: Sequence[str], text: Collection[str], size: int) -> Iterator[pd.DataFrame]:
        import pyarrow as pa
        from pyarrow import csv as arrow

        options = arrow.ConvertOptions(
            column_types=dict.fromkeys(names, pa.string()), include_columns=list(wanted), strings_can_be_null=False
        )
        layout = arrow.ReadOptions(use_threads=False, block_size=_CSV_BLOCK, column_names=names, skip_rows=0)
        rules = arrow.ParseOptions(newlines_in_values=True)
        first = True
        try:
            with (
                pa.input_stream(path, compression="gzip" if path.suffix.lower() == ".gz" else None) as stream,
                arrow.open_csv(stream, read_options=layout, parse_options=rules, convert_options=options) as batches,
            ):
                for batch in batches:
                    if first:  # the header, which was given names of its own above
                        batch, first = batch.slice(1), False
                    for start in range(0, len(batch), size):
                        yield to_frame(pa.Table.from_batches([batch.slice(start, size)]), ())
        except pa.ArrowInvalid as error:
            _refuse_ragged(path, len(names))
            raise error

    return TableFile(path, names, {}, None, read)


def _csv_rows(path: Path) -> Any:
    opener: Any = gzip.open if path.suffix.lower() == ".gz" else open
    return opener(path, "rt", encoding="utf-8-sig", newline="")


def _csv_header(path: Path) -> list[str]:
    """Return the names of the columns; repeated names are numbered, as pandas does."""
    with _csv_rows(path) as file:
        header = next((row for row in csv.reader(file) if row), [])
    names: list[str] = []
    for place, name in enumerate(header):
        name = name or f"Unnamed: {place}"
        repeats = header[:place].count(name)
        names.append(f"{name}.{repeats}" if repeats else name)
    if len(header) == 1 and re.search(r"[;\t|]", header[0]):
        raise InputError(f"{path} has one column called {header[0][:60]!r}; separate its columns by commas")
    if "\x00" in "".join(names):
        raise InputError(f"{path} holds no text; a CSV file starts with a line of column names")
    return names


def _refuse_ragged(path: Path, width: int) -> None:
    """Raise InputError with the line of the first row that has more or fewer fields than the header."""
    with _csv_rows(path) as file:
        rows = csv.reader(file)
        for row in rows:
            if row and len(row) != width:
                raise InputError(
                    f"{path} has {len(row)} fields in line {rows.line_num}, where the header has {width}; "
                    "mend that line"
                )


def _open_parquet(path: Path) -> TableFile:
    import pyarrow.parquet as pq

    with pq.ParquetFile(path) as file:
        schema, rows = file.schema_arrow, file.metadata.num_rows

    def read(wanted: Sequence[str], text: Collection[str], size: int) -> Iterator[pd.DataFrame]:
        import pyarrow as pa

        with pq.ParquetFile(path, page_checksum_verification=True) as file:
            first = 0
            for group in range(file.num_row_groups):
                last = first + file.metadata.row_group(group).num_rows
                try:
                    for batch in file.iter_batches(size, row_groups=[group], columns=list(wanted)):
                        table = pa.Table.from_batches([batch])
                        table.validate(full=True)
                        yield to_frame(table, text)
                except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
                    raise InputError(
                        f"{path} is damaged in row group {group + 1} of {file.num_row_groups}, rows {first + 1} to "
                        f"{last} ({reason(error)}); fetch it again, or leave these rows out by writing "
                        "the other row groups to a new file"
                    ) from error
                first = last

    return TableFile(path, schema.names, units_of(schema), rows, read)


def _open_votable(path: Path) -> TableFile:
    from astropy.table import Table

    with quiet_astropy():
        table = Table.read(path, format="votable", use_names_over_ids=True)
    names = [name for name in table.colnames if table[name].ndim == 1]
    units = {name: str(table[name].unit) for name in names if table[name].unit}

    def read(wanted: Sequence[str], text: Collection[str], size: int) -> Iterator[pd.DataFrame]:
        import pandas as pd

        for first in range(0, len(table), size):
            part = table[first : first + size]
            frame = part[list(wanted)].to_pandas() if wanted else pd.DataFrame(index=range(len(part)))
            for name in frame.columns:
                if frame[name].dtype.kind in "OT":
                    frame[name] = np.array([_votable_cell(value) for value in frame[name]], dtype=object)
            yield frame

    return TableFile(path, names, units, len(table), read)


def _votable_cell(value: object) -> object:
    if isinstance(value, bytes):
        return cell_text(value)
    return value if isinstance(value, str | bool) else None if cell_text(value) == "" else value


_OPENERS: dict[str, Callable[[Path], TableFile]] = {
    ".csv": _open_csv,
    ".csv.gz": _open_csv,
    ".parquet": _open_parquet,
    ".fits": lambda path: TableFile(path, *fits_rows(path)),
    ".vot": _open_votable,
}
