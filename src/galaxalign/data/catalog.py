"""Catalogues of galaxies, one row each: from a table, a folder or a glob of images."""

from __future__ import annotations

import glob
import hashlib
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike

from galaxalign.data.images import IMAGE_SUFFIXES
from galaxalign.data.tables import (
    TABLE_SUFFIXES,
    cell_text,
    check_output,
    read_table,
    table_suffix,
    write_table,
)
from galaxalign.errors import InputError

if TYPE_CHECKING:
    import pandas as pd

__all__ = [
    "PROGRESS_FILE",
    "STORE_FILE",
    "TABLE_SUFFIXES",
    "Catalog",
    "as_catalog",
    "check_output",
    "order_digest",
    "read_catalog",
    "write_table",
]

STORE_FILE, PROGRESS_FILE = "store.json", "progress.json"
"""What makes a folder a prepared store, and what one that is not finished has in its place."""

_KNOWN_COLUMNS = ("id_str", "file_loc", "label", "ra", "dec")
_TEXT_COLUMNS = ("id_str", "file_loc")

# "587.0" and "5.87e+17", but not "587e17", which may be the hexadecimal id it looks like.
_FLOAT_ID = re.compile(r"-?\d+\.0*|-?\d(\.\d+)?[eE]\+\d+")


@dataclass(frozen=True, eq=False)
class Catalog:
    """A table of galaxies, one row each.

    Attributes
    ----------
    table : pandas.DataFrame
        The columns as in the file, except that the known ones (`id_str`, `file_loc`, `label`, `ra`,
        `dec`) have these very names. Rows are numbered from 0. Not to be changed in place.
    root : Path
        The folder that `file_loc` is relative to.
    source : str
        A short name: that of the file, or of its folder where the file is called "catalog".
    fingerprint : str
        sha256 of the ids, labels and image names of the catalogue *as read*: the order of the rows, the
        kind of file and where it lies make no difference. A selection keeps the fingerprint of its whole.
    store : Path, optional
        The prepared store that the catalogue was read from; its pictures are taken from there.
    """

    table: pd.DataFrame
    root: Path
    source: str
    fingerprint: str
    store: Path | None = None

    def __len__(self) -> int:
        return len(self.table)

    @cached_property
    def ids(self) -> list[str]:
        """The id of each row."""
        return [str(value) for value in self.table["id_str"]]

    def paths(self) -> list[Path]:
        """Return the image file of each row.

        Raises
        ------
        InputError
            If the catalogue has no column file_loc.
        """
        if "file_loc" not in self.table:
            raise InputError(_lacks(self.source, "file_loc", self.table.columns))
        return [self.root / str(value) for value in self.table["file_loc"]]

    def texts(self, column: str) -> list[str]:
        """Return a column as text: "" where it is missing, whole numbers (3.0) without a point ("3")."""
        return _texts(self.table, column)

    def select(self, rows: ArrayLike) -> Catalog:
        """Return the catalogue of some rows, by a boolean mask or by indices (in their order)."""
        chosen = np.asarray(rows)
        if chosen.dtype != bool:
            chosen = chosen.astype(np.int64)
        elif len(chosen) != len(self):
            raise ValueError(f"a mask of {len(chosen)} rows does not fit a catalogue of {len(self)}")
        return replace(self, table=self.table.loc[chosen].reset_index(drop=True))


def read_catalog(
    source: str | Path,
    *,
    require: Sequence[str] = ("id_str", "file_loc"),
    columns: Mapping[str, str] | None = None,
) -> Catalog:
    """Read a catalogue.

    Parameters
    ----------
    source : path
        A table (.csv, .csv.gz, .parquet, .fits, .vot), a folder of images (its sub-folders are not
        searched), a glob such as "cutouts/**/*.jpg", or a prepared store. The id of a bare image is its
        name without suffix.
    require : sequence of str
        Columns that must be there. Where `id_str` is not among them and absent, the ids are the numbers
        of the rows, from 0.
    columns : mapping, optional
        New names for columns of the file, as {"objid": "id_str"}.

    Returns
    -------
    Catalog
        Ids are text, stripped of blanks and unique; names of columns match without regard to case.
        Columns that hold several numbers in each row of a FITS table or VOTable are left out.

    Raises
    ------
    InputError
        If there is no such catalogue, it cannot be read, has no rows, lacks a required column, has
        duplicated or missing ids, or ids that lost digits because they were stored as floats.
    """
    path = Path(source)
    if (path / STORE_FILE).is_file():
        return _store_catalog(path, require)
    if (path / PROGRESS_FILE).is_file() and (path / "images.npy").is_file():
        raise InputError(f"the store {path} is not finished; run the same galaxalign data prepare again")
    if path.is_dir():
        return _image_catalog(path, sorted(path.iterdir()), f"folder {path}", require)
    if path.is_file():
        frame = _renamed(path, dict(columns or {}))
        return as_catalog(frame, root=path.parent, source=_short_name(path), require=require, where=str(path))
    if glob.has_magic(str(source)):
        found = [Path(name) for name in sorted(glob.glob(str(source), recursive=True))]
        return _image_catalog(_fixed_part(path), found, f"glob {source}", require)
    raise InputError(
        f"there is no catalogue at {source}; give a table ({', '.join(TABLE_SUFFIXES)}), "
        "a folder of images or a glob such as 'images/*.jpg'"
    )


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
    table = _canonical_columns(table, where).reset_index(drop=True)
    for name in require:
        if name not in table:
            raise InputError(_lacks(where, name, table.columns))
    if len(table) == 0:
        raise InputError(f"{where} has no rows; a catalogue needs at least one galaxy")
    if "id_str" in table:
        # From here on not every whole number is a float of this width, and ids may have lost digits.
        inexact = 2**24 if table["id_str"].dtype == np.float32 else 2**53
        ids = [_id_text(value, row, where, inexact) for row, value in enumerate(table["id_str"])]
        _check_unique(ids, where)
    else:
        ids = [str(row) for row in range(len(table))]
    table["id_str"] = np.array(ids, dtype=object)
    if "file_loc" in table:
        table["file_loc"] = np.array([cell_text(value) for value in table["file_loc"]], dtype=object)
    return Catalog(table, Path(root), source, _fingerprint(table))


def _renamed(path: Path, columns: Mapping[str, str]) -> pd.DataFrame:
    """Read a table and rename columns of it, matched without regard to case."""
    wanted = {old.lower(): new for old, new in columns.items()}
    text = {old for old, new in wanted.items() if new in _TEXT_COLUMNS}
    frame = read_table(path, text_columns={*_TEXT_COLUMNS, *text})
    found = {str(name).strip().lower(): name for name in frame.columns}
    for old in wanted:
        if old not in found:
            raise InputError(_lacks(str(path), old, frame.columns))
    return frame.rename(columns={found[old]: new for old, new in wanted.items()})


def _image_catalog(root: Path, found: Iterable[Path], where: str, require: Sequence[str]) -> Catalog:
    """Return the catalogue of bare image files."""
    import pandas as pd

    files = [path for path in found if path.suffix.lower() in IMAGE_SUFFIXES and path.is_file()]
    if not files:
        beside = sorted(root.iterdir()) if root.is_dir() else []
        tables = [path for path in beside if table_suffix(path) in TABLE_SUFFIXES]
        hint = f"; the catalogue may be {tables[0]}" if tables else ""
        raise InputError(f"the {where} holds no images ({', '.join(IMAGE_SUFFIXES)}){hint}")
    frame = pd.DataFrame(
        {
            "id_str": [path.stem for path in files],
            "file_loc": [path.relative_to(root).as_posix() for path in files],
        }
    )
    return as_catalog(frame, root=root, source=root.resolve().name, require=require, where=f"the {where}")


def _store_catalog(path: Path, require: Sequence[str]) -> Catalog:
    """Return the catalogue that a prepared store was made of."""
    frame = read_table(path / "catalog.parquet", text_columns=_TEXT_COLUMNS)
    try:
        about = json.loads((path / STORE_FILE).read_text())
        source, fingerprint, order = about["source"], about["catalog_fingerprint"], about["order"]
    except (ValueError, KeyError, TypeError) as error:
        raise InputError(f"{path / STORE_FILE} is damaged ({error}); delete the store and prepare it again") from None
    found = as_catalog(frame, root=path, source=source, require=require, where=f"the store {path}")
    if order_digest(found) != order:
        raise InputError(f"the table of the store {path} is not that of its pictures; delete it and prepare it again")
    return replace(found, fingerprint=fingerprint, store=path)


def order_digest(catalog: Catalog) -> str:
    """Return the sha256 of ids, labels and image names in the order of the rows."""
    labels = catalog.texts("label") if "label" in catalog.table else [""] * len(catalog)
    digest = hashlib.sha256()
    for row in zip(catalog.ids, labels, (path.name for path in catalog.paths()), strict=True):
        digest.update("\x1f".join(row).encode() + b"\x1e")
    return digest.hexdigest()


def _fixed_part(pattern: Path) -> Path:
    """Return the folder of a glob that stands before its first wildcard."""
    parts = pattern.parts
    fixed = next(number for number, part in enumerate(parts) if glob.has_magic(part))
    return Path(*parts[:fixed]) if fixed else Path()


def _short_name(path: Path) -> str:
    stem = path.name[: -len(table_suffix(path))]
    return path.resolve().parent.name if stem.lower() == "catalog" else stem


def _lacks(where: str, column: str, found: Iterable[object]) -> str:
    names = [str(name) for name in found]
    shown = ", ".join(names[:20]) + (f" and {len(names) - 20} more" if len(names) > 20 else "")
    return f"{where} has no column {column}; its columns are {shown}"


def _canonical_columns(table: pd.DataFrame, where: str) -> pd.DataFrame:
    """Give the known columns their canonical names, whatever their case."""
    names: dict[object, str] = {}
    for column in table.columns:
        name = str(column).strip().lower()
        if name in _KNOWN_COLUMNS:
            if name in names.values():
                other = next(key for key, value in names.items() if value == name)
                raise InputError(
                    f"{where} has the columns {other!r} and {column!r}, which both mean {name}; rename one"
                )
            names[column] = name
    return table.rename(columns=names)


def _id_text(value: object, row: int, where: str, inexact: int) -> str:
    """Return an id as text, or say how its digits were lost."""
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


def _check_unique(ids: Sequence[str], where: str) -> None:
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


def _fingerprint(table: pd.DataFrame) -> str:
    """Hash ids, labels and the names (not folders) of the images, in the order of the ids."""
    blank = [""] * len(table)
    labels = _texts(table, "label") if "label" in table else blank
    names = [PurePosixPath(value).name for value in table["file_loc"]] if "file_loc" in table else blank
    digest = hashlib.sha256()
    for row in sorted(zip(table["id_str"], labels, names, strict=True)):
        digest.update("\x1f".join(row).encode() + b"\x1e")
    return digest.hexdigest()


def _texts(table: pd.DataFrame, column: str) -> list[str]:
    texts = [cell_text(value) for value in table[column]]
    return [text[:-2] if text.endswith(".0") and text[:-2].isdigit() else text for text in texts]
