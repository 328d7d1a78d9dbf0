"""A selection of galaxies as a table file to download."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Literal

import pyarrow as pa

from galaxalign.data.arrow import to_frame
from galaxalign.data.tables import write_table

__all__ = ["MEDIA_TYPES", "ExportFormat", "table_bytes"]

ExportFormat = Literal["csv", "parquet", "fits", "votable"]

MEDIA_TYPES: dict[ExportFormat, str] = {
    "csv": "text/csv; charset=utf-8",
    "parquet": "application/vnd.apache.parquet",
    "fits": "application/fits",
    "votable": "application/x-votable+xml",
}
SUFFIXES: dict[ExportFormat, str] = {"csv": ".csv", "parquet": ".parquet", "fits": ".fits", "votable": ".vot"}


def table_bytes(table: pa.Table, form: ExportFormat) -> bytes:
    """Return a table as the bytes of a file, with units and descriptions where the format has them.

    Parameters
    ----------
    table : pyarrow.Table
    form : {"csv", "parquet", "fits", "votable"}
    """
    with tempfile.TemporaryDirectory(prefix="galaxalign-") as folder:
        path = Path(folder) / f"galaxies{SUFFIXES[form]}"
        write_table(to_frame(table, ()), path)
        return path.read_bytes()
