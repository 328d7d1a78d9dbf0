"""Table files in and out: CSV, Parquet, FITS and VOTable, with no digit of an id lost on the way."""

from __future__ import annotations

import json
import os
import warnings
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from galaxalign.errors import InputError

if TYPE_CHECKING:
    import pandas as pd

__all__ = [
    "TABLE_SUFFIXES",
    "cell_text",
    "check_output",
    "read_table",
    "table_suffix",
    "write_json",
    "write_table",
    "write_text",
]

TABLE_SUFFIXES = (".csv", ".csv.gz", ".parquet", ".fits", ".vot")
"""The kinds of table that are read and written."""

_MISSING = ["", "#N/A", "N/A", "NA", "n/a", "NaN", "nan", "-nan", "NULL", "null", "None", "--"]


def table_suffix(path: Path) -> str:
    """Return the suffix that tells the kind of table, in lower case and both parts of ".csv.gz"."""
    return ".csv.gz" if path.name.lower().endswith(".csv.gz") else path.suffix.lower()


def cell_text(value: object) -> str:
    """Return the text of a cell without blanks around it; "" where the value is missing."""
    if isinstance(value, bytes):
        value = value.decode("utf-8")
    text = str(value).strip()
    return "" if value is None or text in ("nan", "<NA>") else text


def read_table(path: str | Path, *, text_columns: Collection[str] = ()) -> pd.DataFrame:
    """Read a table.

    Parameters
    ----------
    path : path
        .csv, .csv.gz, .parquet, .fits or .vot.
    text_columns : collection of str
        Columns, in lower case (those of the file may have any case), whose cells must not pass through a
        number on the way: 19-digit ids, paths, an id that reads "NA".

    Returns
    -------
    pandas.DataFrame
        The columns as named in the file. Columns that hold several numbers in each row of a FITS table or
        VOTable are left out.

    Raises
    ------
    InputError
        If the suffix is not known or the file cannot be read.
    """
    path = Path(path)
    readers = {
        ".csv": _read_csv,
        ".csv.gz": _read_csv,
        ".parquet": _read_parquet,
        ".fits": _read_astropy,
        ".vot": _read_astropy,
    }
    kind = table_suffix(path)
    if kind not in readers:
        raise InputError(f"{path} is no kind of table that is known; use {', '.join(TABLE_SUFFIXES)}")
    try:
        if path.stat().st_size == 0:
            raise InputError(f"{path} is empty (zero bytes); a table needs a header and rows")
        return readers[kind](path, text_columns)
    except (InputError, MemoryError):
        raise
    except FileNotFoundError:
        raise InputError(f"there is no table at {path}") from None
    except PermissionError:
        raise InputError(f"{path} may not be read; check the permissions of the file") from None
    except Exception as error:
        # Each library has errors of its own for damaged bytes; to the user they are all this sentence.
        reason = " ".join(str(error).split()).rstrip(".") or type(error).__name__
        raise InputError(f"{path} cannot be read as {kind} ({reason}); write or fetch it again") from error


def _read_csv(path: Path, text_columns: Collection[str]) -> pd.DataFrame:
    import pandas as pd

    compression: Any = "gzip" if path.suffix.lower() == ".gz" else None
    header = pd.read_csv(path, nrows=0, index_col=False, encoding="utf-8-sig", compression=compression)
    text = [name for name in header.columns if str(name).strip().lower() in text_columns]
    with warnings.catch_warnings():
        # A row with more fields than the header is an error, not a warning and a shifted column.
        warnings.simplefilter("error", pd.errors.ParserWarning)
        return pd.read_csv(
            path,
            dtype=dict.fromkeys(text, object),
            keep_default_na=False,
            na_values={name: [""] if name in text else _MISSING for name in header.columns},
            index_col=False,
            low_memory=False,
            encoding="utf-8-sig",
            compression=compression,
        )


def _read_parquet(path: Path, text_columns: Collection[str]) -> pd.DataFrame:
    import pyarrow as pa
    import pyarrow.parquet as pq

    table = pq.ParquetFile(path).read()
    for position, field in enumerate(table.schema):
        # Where a value is missing pandas would make floats of whole numbers, and ids would lose digits.
        if field.name.strip().lower() in text_columns and pa.types.is_integer(field.type):
            table = table.set_column(position, field.name, table.column(position).cast(pa.string()))
    return table.to_pandas(ignore_metadata=True)


def _read_astropy(path: Path, text_columns: Collection[str]) -> pd.DataFrame:
    from astropy.table import Table
    from astropy.utils.exceptions import AstropyWarning

    with warnings.catch_warnings():
        # Units and conventions that astropy would rather see otherwise do not touch ids and labels.
        warnings.simplefilter("ignore", AstropyWarning)
        table = Table.read(path, format="fits" if table_suffix(path) == ".fits" else "votable")
    frame = table[[name for name in table.colnames if table[name].ndim == 1]].to_pandas()
    for name in frame.columns:
        if frame[name].dtype == object:
            frame[name] = [cell_text(value) if isinstance(value, bytes) else value for value in frame[name]]
    return frame


def check_output(path: str | Path, *, folder: bool = False, suffixes: Sequence[str] = ()) -> None:
    """Check, before long work, that a file can be written; nothing is left behind.

    Parameters
    ----------
    path : path
        The file to be written. Folders above it need not exist yet.
    folder : bool
        The output is a folder of files instead.
    suffixes : sequence of str
        Suffixes to choose from, as `TABLE_SUFFIXES`. Default: any.

    Raises
    ------
    InputError
        If something of the other kind stands there, the suffix is not known, or nothing may be written.
    """
    path = Path(path)
    if suffixes and table_suffix(path) not in suffixes:
        raise InputError(f"the output {path} must end in one of {', '.join(suffixes)}")
    if path.exists() and path.is_dir() != folder:
        what = "a file, not a folder" if folder else "a folder, not a file"
        raise InputError(f"the output {path} is {what}; choose another name")
    if path.is_file() and not os.access(path, os.W_OK):
        raise InputError(f"the output {path} exists and is write-protected; choose another name")
    place = path if folder else path.parent
    while not place.exists() and place != place.parent:
        place = place.parent
    if not place.is_dir():
        raise InputError(f"the output {path} cannot be written, because {place} is not a folder")
    probe = place / f".galaxalign-{os.getpid()}.tmp"
    try:
        probe.touch()
        probe.unlink()
    except OSError as error:
        raise InputError(_cannot_write(path, error)) from None


def write_table(frame: pd.DataFrame, path: str | Path, *, metadata: Mapping[str, str] | None = None) -> Path:
    """Write a table whole or not at all (to a temporary file, which then takes its name).

    Parameters
    ----------
    frame : pandas.DataFrame
        The table; its index is not written. A column of vectors needs .parquet.
    path : path
        The suffix (.csv, .csv.gz, .parquet, .fits, .vot) tells the kind. Missing folders are made.
    metadata : mapping of str to str, optional
        Kept in the schema of a Parquet file, as HISTORY cards "key = value" of FITS, as INFO elements of
        a VOTable; CSV has no place for it and goes without.

    Returns
    -------
    Path
        The file.

    Raises
    ------
    InputError
        If the path cannot be written or its suffix is not known.
    """
    path = Path(path)
    check_output(path, suffixes=TABLE_SUFFIXES)
    writers = {
        ".csv": _write_csv,
        ".csv.gz": _write_csv,
        ".parquet": _write_parquet,
        ".fits": _write_fits,
        ".vot": _write_votable,
    }
    part = path.with_name(f".{os.getpid()}.{path.name}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        writers[table_suffix(path)](frame, part, dict(metadata or {}))
        part.replace(path)
    except OSError as error:
        raise InputError(_cannot_write(path, error)) from error
    finally:
        part.unlink(missing_ok=True)
    return path


def write_json(value: Any, path: str | Path) -> Path:
    """Write JSON whole or not at all; raises InputError if the path cannot be written."""
    return write_text(json.dumps(value, indent=2), path)


def write_text(text: str, path: str | Path) -> Path:
    """Write text whole or not at all; raises InputError if the path cannot be written."""
    path = Path(path)
    part = path.with_name(f".{os.getpid()}.{path.name}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        part.write_text(text, encoding="utf-8")
        part.replace(path)
    except OSError as error:
        raise InputError(_cannot_write(path, error)) from error
    finally:
        part.unlink(missing_ok=True)
    return path


def _cannot_write(path: Path, error: OSError) -> str:
    return f"the output {path} cannot be written ({error.strerror or error}); choose another place"


def _write_csv(frame: pd.DataFrame, path: Path, metadata: Mapping[str, str]) -> None:
    _refuse_vectors(frame, path)
    # Without the time of writing in its header, the same table gives the same bytes.
    gzip: Any = {"method": "gzip", "mtime": 0} if path.suffix.lower() == ".gz" else None
    frame.to_csv(path, index=False, compression=gzip)


def _write_parquet(frame: pd.DataFrame, path: Path, metadata: Mapping[str, str]) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    table = pa.Table.from_pandas(frame, preserve_index=False)
    pq.write_table(table.replace_schema_metadata(dict(metadata)), path, compression="zstd")


def _write_fits(frame: pd.DataFrame, path: Path, metadata: Mapping[str, str]) -> None:
    table = _astropy_table(frame, path)
    table.meta["HISTORY"] = [f"{key} = {value}" for key, value in metadata.items()]
    table.write(path, format="fits", overwrite=True)


def _write_votable(frame: pd.DataFrame, path: Path, metadata: Mapping[str, str]) -> None:
    from astropy.io.votable import from_table
    from astropy.io.votable.tree import Info

    document = from_table(_astropy_table(frame, path))
    document.infos.extend(Info(name=key, value=value) for key, value in metadata.items())
    document.to_xml(str(path))


def _astropy_table(frame: pd.DataFrame, path: Path) -> Any:
    """Return the frame as an astropy table, everything but numbers and booleans as text."""
    from astropy.table import Table

    _refuse_vectors(frame, path)
    table = Table()
    for name in frame.columns:
        column = frame[name]
        if column.dtype.kind in "biuf" and not column.isna().any():
            table[str(name)] = column.to_numpy()
        elif column.dtype.kind in "biuf":
            table[str(name)] = column.to_numpy(dtype=np.float64, na_value=np.nan)
        else:
            table[str(name)] = np.array([cell_text(value) for value in column], dtype=str)
    return table


def _refuse_vectors(frame: pd.DataFrame, path: Path) -> None:
    for name in frame.columns:
        if len(frame) and isinstance(frame[name].iloc[0], np.ndarray | list | tuple):
            raise InputError(f"the column {name} holds vectors, which {path} has no place for; use .parquet")
