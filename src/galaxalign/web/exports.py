"""A selection of galaxies, or marked ones, as a table file to download."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Literal

import pyarrow as pa

from galaxalign.data.tables import read_table, to_frame, write_table
from galaxalign.gallery import Gallery, export_marks
from galaxalign.web.schemas import MarksRequest

ExportFormat = Literal["csv", "parquet", "fits", "votable"]

MEDIA_TYPES: dict[ExportFormat, str] = {
    "csv": "text/csv; charset=utf-8",
    "parquet": "application/vnd.apache.parquet",
    "fits": "application/fits",
    "votable": "application/x-votable+xml",
}
SUFFIXES: dict[ExportFormat, str] = {"csv": ".csv", "parquet": ".parquet", "fits": ".fits", "votable": ".vot"}


def table_bytes(table: pa.Table, form: ExportFormat) -> bytes:
    """Return a table as the bytes of a file, with units and descriptions where the format has them."""
    with tempfile.TemporaryDirectory(prefix="galaxalign-") as folder:
        path = Path(folder) / f"galaxies{SUFFIXES[form]}"
        write_table(to_frame(table, ()), path)
        return path.read_bytes()


def marks_bytes(gallery: Gallery, marks: MarksRequest, *, folders: bool) -> bytes:
    """Return marked galaxies as the bytes of a CSV file; see `galaxalign.gallery.export_marks`."""
    with tempfile.TemporaryDirectory(prefix="galaxalign-") as folder:
        path = export_marks(
            gallery,
            marks.good,
            marks.bad,
            Path(folder) / "m.csv",
            label=marks.label.strip(),
            other=marks.other.strip(),
            manifest=marks.manifest,
        )
        if not folders and not marks.manifest:
            table = read_table(path, text_columns=("id_str", "label"))
            if "file_loc" in table:
                table["file_loc"] = [Path(str(place)).name for place in table["file_loc"]]
                write_table(table, path)
        return path.read_bytes()
