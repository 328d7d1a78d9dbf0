"""A catalogue of galaxies in memory, one row each."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike, NDArray

from galaxalign.data.catalogs.columns import SCALE_COLUMNS, catalog_rows, column_names, lacks, numbers, require_columns
from galaxalign.data.catalogs.fingerprint import Fingerprint, check_unique, plain_strings, plain_texts
from galaxalign.data.images import Location, Preprocessing, located
from galaxalign.errors import InputError

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True, eq=False)
class Catalog:
    """A table of galaxies, one row each.

    Attributes
    ----------
    table : pandas.DataFrame
        Known columns (`id_str`, `file_loc`, `label`, `ra`, `dec`) have these names; ids, images and labels are text
        ("" where missing) and positions are in degrees. Rows are numbered from 0. Do not change it in place.
    root : path
        The folder, or the address, that `file_loc` is relative to.
    source : str
        A short name: that of the file, or of its folder where the file is called "catalog".
    fingerprint : str
        The `Fingerprint` of the catalogue as read; a selection keeps that of the whole.
    store : Path, optional
        The prepared store that holds its pictures.
    """

    table: pd.DataFrame
    root: Location
    source: str
    fingerprint: str
    store: Path | None = None

    def __len__(self) -> int:
        return len(self.table)

    @cached_property
    def ids(self) -> list[str]:
        """The id of each row."""
        return plain_strings(self.table["id_str"])

    def paths(self) -> list[Location]:
        """Return the location of each image; {id} in it is replaced by the id of the row.

        Raises
        ------
        InputError
            The catalogue has no column file_loc.
        """
        if "file_loc" not in self.table:
            raise InputError(lacks(self.source, "file_loc", self.table.columns))
        rows = zip(self.ids, plain_strings(self.table["file_loc"]), strict=True)
        return [located(self.root, name.replace("{id}", identity)) for identity, name in rows]

    def pixel_scales(self, preprocessing: Preprocessing) -> NDArray[np.float64] | None:
        """Return arcsec per pixel of each row if preprocessing takes them from the catalogue, else None.

        Raises
        ------
        InputError
            The catalogue has neither a column pixel_scale nor pxscale, or a cell is no number.
        """
        if preprocessing.pixel_scale != "column":
            return None
        found = next((name for name in SCALE_COLUMNS if name in self.table), None)
        if found is None:
            raise InputError(lacks(self.source, " or ".join(SCALE_COLUMNS), self.table.columns))
        return numbers(self.table[found], found, self.source)

    def texts(self, column: str) -> list[str]:
        """Return a column as text: "" for missing values, "3" for 3.0."""
        return plain_texts(self.table[column])

    def select(self, rows: ArrayLike) -> Catalog:
        """Return the catalogue of some rows, by a boolean mask or by indices."""
        chosen = np.asarray(rows)
        if chosen.dtype != bool:
            chosen = chosen.astype(np.int64)
        elif len(chosen) != len(self):
            raise ValueError(f"a mask of {len(chosen)} rows does not fit a catalogue of {len(self)}")
        return replace(self, table=self.table.loc[chosen].reset_index(drop=True))


def as_catalog(
    table: pd.DataFrame,
    *,
    root: str | Path = ".",
    source: str = "table",
    require: Sequence[str] = ("id_str", "file_loc"),
    where: str = "",
) -> Catalog:
    """Return a table in memory as a catalogue; checks and errors are those of `read_catalog`.

    Parameters
    ----------
    table : pandas.DataFrame
        One row for each galaxy.
    root : path
        The folder that `file_loc` is relative to.
    source : str
        A short name.
    require : sequence of str
        Columns that must be there.
    where : str
        What errors call the table, if not by its short name.
    """
    where = where or source
    names = column_names([str(name) for name in table.columns], {}, where)
    require_columns(names, table.columns, require, where)
    if len(table) == 0:
        raise InputError(f"{where} has no rows; a catalogue needs at least one galaxy")
    table = catalog_rows(table.set_axis(list(names), axis=1).reset_index(drop=True), where)
    check_unique(plain_strings(table["id_str"]), where)
    fingerprint = Fingerprint(positions="id_str" not in names)
    fingerprint.add(table)
    return Catalog(table, Path(root), source, fingerprint.hexdigest())


def order_digest(catalog: Catalog) -> str:
    """Return the sha256 of ids, labels and image names in the order of the rows."""
    labels = catalog.texts("label") if "label" in catalog.table else [""] * len(catalog)
    digest = hashlib.sha256()
    for row in zip(catalog.ids, labels, (str(path).rpartition("/")[2] for path in catalog.paths()), strict=True):
        digest.update("\x1f".join(row).encode() + b"\x1e")
    return digest.hexdigest()
