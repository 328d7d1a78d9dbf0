"""Table files in and out as a whole: CSV, Parquet, FITS and VOTable, with no digit of an id lost on the way."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from galaxalign.data.files import TABLE_SUFFIXES, cell_text, check_output, table_suffix, write_json, write_text
from galaxalign.data.reader import open_table
from galaxalign.data.writer import TableWriter

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
        The columns as named in the file; integers stay integers where some are missing. Columns that hold
        several numbers in each row of a FITS table or VOTable are left out.

    Raises
    ------
    InputError
        If the suffix is not known or the file cannot be read.
    """
    file = open_table(path)
    return file.whole(text=[name for name in file.names if name.strip().lower() in text_columns])


def write_table(frame: pd.DataFrame, path: str | Path, *, metadata: Mapping[str, str] | None = None) -> Path:
    """Write a table whole or not at all; see `TableWriter` for the parameters and errors."""
    with TableWriter(path, metadata=metadata) as writer:
        writer.write(frame)
    return writer.path
