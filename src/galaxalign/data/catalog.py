"""Catalogues of galaxies, one row each: from a table, a folder or a glob of images."""

from __future__ import annotations

import glob
import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike, NDArray

from galaxalign.data.arrow import MISSING
from galaxalign.data.columns import degrees_per
from galaxalign.data.files import TABLE_SUFFIXES, check_output, refuse_address, table_suffix
from galaxalign.data.hats import is_hats, open_hats
from galaxalign.data.identity import Fingerprint, cell_texts, check_unique, id_texts, plain_strings, plain_texts
from galaxalign.data.images import FLUX_SUFFIXES, IMAGE_SUFFIXES
from galaxalign.data.locations import Location, is_remote, local_copy, located, pattern_rows, without_suffix
from galaxalign.data.preprocessing import Preprocessing
from galaxalign.data.reader import TableFile, open_table
from galaxalign.data.tables import read_table, write_table
from galaxalign.errors import InputError
from galaxalign.progress import note

if TYPE_CHECKING:
    import pandas as pd

__all__ = [
    "FAILED",
    "IMAGES",
    "PROGRESS_FILE",
    "STORE_FILE",
    "STORE_TABLE",
    "TABLE_SUFFIXES",
    "Catalog",
    "as_catalog",
    "beside",
    "catalog_file",
    "catalog_rows",
    "check_output",
    "copied_catalog",
    "lost",
    "order_digest",
    "read_catalog",
    "short_name",
    "write_table",
]

STORE_FILE, PROGRESS_FILE = "store.json", "progress.json"
"""What makes a folder a prepared store, and what one that is not finished has in its place."""

STORE_TABLE, IMAGES, FAILED = "catalog.parquet", "images.npy", "failed.parquet"
"""The table of a prepared store, its pictures as a model sees them, and which of them could not be read."""

_SCALE_COLUMNS = ("pixel_scale", "pxscale")
_KNOWN_COLUMNS = ("id_str", "file_loc", "label", "ra", "dec", *_SCALE_COLUMNS)
_TEXT_COLUMNS = ("id_str", "file_loc", "label")
_NONE = frozenset(MISSING)


@dataclass(frozen=True, eq=False)
class Catalog:
    """A table of galaxies, one row each.

    Attributes
    ----------
    table : pandas.DataFrame
        The columns as in the file, except that the known ones (`id_str`, `file_loc`, `label`, `ra`,
        `dec`) have these very names, ids, images and labels are text ("" where missing), and positions are
        in degrees. Rows are numbered from 0. Not to be changed in place.
    root : path
        The folder that `file_loc` is relative to; the address of one for a remote catalogue.
    source : str
        A short name: that of the file, or of its folder where the file is called "catalog".
    fingerprint : str
        Of the ids (or, without them, row numbers and positions), labels and image names of the catalogue *as read*,
        see `Fingerprint`: the order of rows with ids, the kind of file and where it lies make no difference. A
        selection keeps that of its whole.
    store : Path, optional
        The prepared store that the catalogue was read from; its pictures are taken from there.
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
        """Return where the image of each row lies; {id} in it is the id of the row.

        Raises
        ------
        InputError
            If the catalogue has no column file_loc.
        """
        if "file_loc" not in self.table:
            raise InputError(_lacks(self.source, "file_loc", self.table.columns))
        rows = zip(self.ids, plain_strings(self.table["file_loc"]), strict=True)
        return [located(self.root, name.replace("{id}", identity)) for identity, name in rows]

    def pixel_scales(self, preprocessing: Preprocessing) -> NDArray[np.float64] | None:
        """Return arcsec per pixel of each row where preprocessing takes them from the catalogue, else None.

        Raises
        ------
        InputError
            If the catalogue has neither a column pixel_scale nor pxscale, or it holds what is no number.
        """
        if preprocessing.pixel_scale != "column":
            return None
        found = next((name for name in _SCALE_COLUMNS if name in self.table), None)
        if found is None:
            raise InputError(_lacks(self.source, " or ".join(_SCALE_COLUMNS), self.table.columns))
        return _numbers(self.table[found], found, self.source, 0)

    def texts(self, column: str) -> list[str]:
        """Return a column as text: "" where it is missing, whole numbers (3.0) without a point ("3")."""
        return plain_texts(self.table[column])

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
    quiet: bool = False,
) -> Catalog:
    """Read a whole catalogue into memory; `scan_catalog` reads it in pieces.

    Parameters
    ----------
    source : path
        A table (.csv, .csv.gz, .parquet, .fits, .vot), the directory of a HATS catalogue or collection, a folder
        of images (its sub-folders are not searched), a glob such as "cutouts/**/*.jpg", or a prepared store.
        A table may be remote ("s3://survey/catalog.parquet"): it is copied for as long as this process runs, and
        its images are looked for beside it.
        The id of a bare image is its name without suffix.
    require : sequence of str
        Columns that must be there. Where `id_str` is not among them and absent, the ids are the numbers
        of the rows, from 0.
    columns : mapping, optional
        What columns of the file are to be called, as {"id_str": "objid"}: the new name, then the name in
        the file. A column of the file that has the new name already is left out.
    quiet : bool
        Do not say when positions are converted to degrees.

    Returns
    -------
    Catalog
        Ids are text, stripped of blanks and unique; names of columns match without regard to case.
        Columns that hold several numbers in each row of a FITS table or VOTable are left out. Positions whose
        unit (FITS, VOTable, Parquet with units) is another than degrees are converted, which is said.

    Raises
    ------
    InputError
        If there is no such catalogue, it cannot be read, has no rows, lacks a required column, has
        duplicated or missing ids, ids that lost digits because they were stored as floats, or positions in a
        unit that is none of angle.
    """
    if is_remote(source):
        with copied_catalog(str(source)) as copy:
            copied = read_catalog(copy, require=require, columns=columns, quiet=quiet)
        return beside(copied, str(source))
    path = Path(source)
    if (path / STORE_FILE).is_file():
        return _store_catalog(path, require)
    if (path / PROGRESS_FILE).is_file() and ((path / IMAGES).is_file() or (path / STORE_TABLE).is_file()):
        raise InputError(f"the store {path} is not finished; run the same galaxalign data prepare again")
    if _holds_pictures_of_a_store(path):
        raise InputError(lost(path, STORE_FILE))
    if path.is_dir() and not is_hats(path):
        return _image_catalog(path, sorted(path.iterdir()), f"folder {path}", require)
    if path.is_file() or is_hats(path):
        file, names = catalog_file(path, columns=columns, require=require, quiet=quiet)
        found = file.whole(text=[names[name] for name in _TEXT_COLUMNS if name in names])
        frame = found[list(names.values())].set_axis(list(names), axis=1)
        frame = _in_degrees(frame, {name: file.units.get(old, "") for name, old in names.items()}, str(path))
        return as_catalog(frame, root=file.path.parent, source=short_name(file.path), require=require, where=str(path))
    refuse_address(source, "fetch the table or the HATS directory first (its images may stay where they are)")
    if "{id}" in str(source):
        root, rows = pattern_rows(str(source))
        return _listed(root, rows, f"pattern {source}", require)
    if glob.has_magic(str(source)):
        images = [Path(name) for name in sorted(glob.glob(str(source), recursive=True))]
        return _image_catalog(_fixed_part(path), images, f"glob {source}", require)
    raise InputError(
        f"there is no catalogue at {source}; give a table ({', '.join(TABLE_SUFFIXES)}), "
        "a HATS catalogue, a folder of images or a glob such as 'images/*.jpg'"
    )


@contextmanager
def copied_catalog(address: str) -> Iterator[Path]:
    """Copy a remote table here; errors about the copy name the address."""
    if "{" in address or glob.has_magic(address.partition("?")[0]):
        raise InputError(f"{address} is a pattern of remote files; write their addresses as file_loc of a table")
    copy = local_copy(address)
    try:
        yield copy
    except InputError as error:
        raise InputError(str(error).replace(str(copy), address)) from error


def beside(catalog: Catalog, address: str) -> Catalog:
    """Return the copy of a remote catalogue with its images beside the original."""
    return replace(catalog, root=address.rpartition("/")[0], source=short_name(Path(address)))


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
    names = _column_names([str(name) for name in table.columns], {}, where)
    _require(names, table.columns, require, where)
    if len(table) == 0:
        raise InputError(f"{where} has no rows; a catalogue needs at least one galaxy")
    table = catalog_rows(table.set_axis(list(names), axis=1).reset_index(drop=True), where)
    check_unique(plain_strings(table["id_str"]), where)
    fingerprint = Fingerprint(positions="id_str" not in names)
    fingerprint.add(table)
    return Catalog(table, Path(root), source, fingerprint.hexdigest())


def catalog_file(
    path: Path, *, columns: Mapping[str, str] | None, require: Sequence[str], quiet: bool
) -> tuple[TableFile, dict[str, str]]:
    """Open the table of a catalogue; return it and, for each column of the catalogue, its name in the file.

    Raises
    ------
    InputError
        If the table cannot be opened, lacks a column, or has positions in a unit that is none of angle.
    """
    file = open_hats(path) if is_hats(path) else open_table(path)
    names = _column_names(file.names, {**file.positions, **(columns or {})}, str(path))
    _require(names, file.names, require, str(path))
    for name in ("ra", "dec"):
        unit = file.units.get(names.get(name, ""), "")
        factor = degrees_per(unit, name, str(path))
        if factor != 1:
            note(f"{name} of {path} is in {unit}; multiplied by {factor:.8g} to have degrees", quiet=quiet)
    return file, names


def catalog_rows(
    table: pd.DataFrame, where: str, *, units: Mapping[str, str] | None = None, first_row: int = 0
) -> pd.DataFrame:
    """Return rows as a catalogue has them: ids, images and labels as text, positions in degrees.

    Parameters
    ----------
    table : pandas.DataFrame
        Rows of a table whose columns have their names in the catalogue already.
    where : str
        What errors call the table.
    units : mapping of str to str, optional
        Units by column; with them positions become floats.
    first_row : int
        The number of the first of these rows in the whole, from 0: for errors, and for ids where there are none.

    Raises
    ------
    InputError
        If an id is missing or lost digits, or a position is no number.
    """
    table = table.copy(deep=False)
    if "id_str" in table:
        ids = id_texts(table["id_str"], where, first_row=first_row)
    else:
        ids = [str(row) for row in range(first_row, first_row + len(table))]
    table["id_str"] = np.array(ids, dtype=object)
    if "file_loc" in table:
        table["file_loc"] = np.array(cell_texts(table["file_loc"]), dtype=object)
    if "label" in table:
        labels = plain_texts(table["label"])
        table["label"] = np.array(["" if text in _NONE else text for text in labels], dtype=object)
    if units is None:
        return table
    places = [name for name in ("ra", "dec") if name in table]
    for name in places:
        table[name] = _numbers(table[name], name, where, first_row)
    return _in_degrees(table, units, where)


def _in_degrees(table: pd.DataFrame, units: Mapping[str, str], where: str) -> pd.DataFrame:
    """Return the table with ra and dec converted from other units."""
    factors = {name: degrees_per(units.get(name, ""), name, where) for name in ("ra", "dec") if name in table}
    changed = {name: _numbers(table[name], name, where, 0) * factor for name, factor in factors.items() if factor != 1}
    return table.assign(**changed)


def _numbers(values: pd.Series, name: str, where: str, first_row: int) -> np.ndarray:
    """Return a column as floats, NaN where it is missing."""
    import pandas as pd

    if values.dtype.kind in "biuf" and not isinstance(values.dtype, pd.api.extensions.ExtensionDtype):
        return values.to_numpy(np.float64)
    texts = plain_texts(values)
    numbers = pd.to_numeric(pd.Series(texts, dtype=object), errors="coerce").to_numpy(np.float64)
    for row in np.flatnonzero(np.isnan(numbers)):
        if texts[row] not in _NONE:
            raise InputError(
                f"{where} has {name} = {texts[row]!r} in row {first_row + row + 1}, which is no number; give "
                f"{'degrees' if name in ('ra', 'dec') else 'arcsec per pixel'}"
            )
    return numbers


def _image_catalog(root: Path, found: Iterable[Path], where: str, require: Sequence[str]) -> Catalog:
    """Return the catalogue of bare image files."""
    files = [path for path in found if _is_image(path) and path.is_file()]
    if not files:
        beside = sorted(root.iterdir()) if root.is_dir() else []
        tables = [path for path in beside if table_suffix(path) in TABLE_SUFFIXES]
        hint = f"; the catalogue may be {tables[0]}" if tables else ""
        raise InputError(f"the {where} holds no images ({', '.join((*IMAGE_SUFFIXES, *FLUX_SUFFIXES))}){hint}")
    rows = [(without_suffix(path), path.relative_to(root).as_posix()) for path in files]
    return _listed(root, rows, where, require)


def _is_image(path: Path) -> bool:
    """Tell by its name whether a file is an image; a FITS file called catalog is none."""
    name = path.name.lower()
    flux = name.endswith(FLUX_SUFFIXES) and name.partition(".")[0] not in ("catalog", "catalogue")
    return flux or name.endswith(IMAGE_SUFFIXES)


def _listed(root: Path, rows: list[tuple[str, str]], where: str, require: Sequence[str]) -> Catalog:
    """Return the catalogue of ids and where their images lie."""
    import pandas as pd

    if not rows:
        raise InputError(f"the {where} finds no file; check the folder and what stands around {{id}} and {{band}}")
    frame = pd.DataFrame(rows, columns=["id_str", "file_loc"])
    return as_catalog(frame, root=root, source=root.resolve().name, require=require, where=f"the {where}")


def _store_catalog(path: Path, require: Sequence[str]) -> Catalog:
    """Return the catalogue that a prepared store was made of."""
    if not (path / STORE_TABLE).is_file():
        raise InputError(lost(path, STORE_TABLE))
    frame = read_table(path / STORE_TABLE, text_columns=_TEXT_COLUMNS)
    try:
        about = json.loads((path / STORE_FILE).read_text())
        source, fingerprint, order = about["source"], about["catalog_fingerprint"], about["order"]
    except (ValueError, KeyError, TypeError) as error:
        raise InputError(f"{path / STORE_FILE} is damaged ({error}); delete the store and prepare it again") from None
    found = as_catalog(frame, root=path, source=source, require=require, where=f"the store {path}")
    if order_digest(found) != order:
        raise InputError(f"the table of the store {path} is not that of its pictures; delete it and prepare it again")
    return replace(found, fingerprint=fingerprint, store=path)


def _holds_pictures_of_a_store(path: Path) -> bool:
    """Tell whether a folder has the one array of all pictures that a store has, and no image file has four axes."""
    if not (path / IMAGES).is_file():
        return False
    if (path / FAILED).is_file() or (path / STORE_TABLE).is_file():
        return True
    try:
        return np.load(path / IMAGES, mmap_mode="r", allow_pickle=False).ndim == 4
    except (OSError, ValueError):
        return False  # one broken image of a folder, which gets its status like any other


def lost(store: Path, name: str) -> str:
    """Return what to say of a prepared store without one of its files."""
    return (
        f"{store} was a prepared store and has lost its {name}; delete the folder and make it again with "
        f"galaxalign data prepare CATALOG --out {store}"
    )


def order_digest(catalog: Catalog) -> str:
    """Return the sha256 of ids, labels and image names in the order of the rows."""
    labels = catalog.texts("label") if "label" in catalog.table else [""] * len(catalog)
    digest = hashlib.sha256()
    for row in zip(catalog.ids, labels, (str(path).rpartition("/")[2] for path in catalog.paths()), strict=True):
        digest.update("\x1f".join(row).encode() + b"\x1e")
    return digest.hexdigest()


def _fixed_part(pattern: Path) -> Path:
    """Return the folder of a glob that stands before its first wildcard."""
    parts = pattern.parts
    fixed = next(number for number, part in enumerate(parts) if glob.has_magic(part))
    return Path(*parts[:fixed]) if fixed else Path()


def short_name(path: Path) -> str:
    """Return the name of a table without its suffix; that of the folder above it where it is called catalog."""
    stem = path.name if path.is_dir() else path.name[: -len(table_suffix(path))]
    return path.resolve().parent.name if stem.lower() == "catalog" else stem


def _lacks(where: str, column: str, found: Iterable[object]) -> str:
    names = [str(name) for name in found]
    shown = ", ".join(names[:20]) + (f" and {len(names) - 20} more" if len(names) > 20 else "")
    return f"{where} has no column {column}; its columns are {shown or 'none with one value in each row'}"


def _require(names: Iterable[str], found: Iterable[object], require: Sequence[str], where: str) -> None:
    for name in require:
        if name not in names:
            raise InputError(_lacks(where, name, found))


def _column_names(found: Sequence[str], columns: Mapping[str, str], where: str) -> dict[str, str]:
    """Return, for each column of the catalogue, its name in the table: given by `columns`, or known in any case."""
    by_case = {name.strip().lower(): name for name in reversed(found)}
    for old in columns.values():
        if old.strip().lower() not in by_case:
            raise InputError(_lacks(where, old, found))
    given = {_canonical(new): old if old in found else by_case[old.strip().lower()] for new, old in columns.items()}
    names: dict[str, str] = {}
    for name in found:
        news = [new for new, old in given.items() if old == name]
        if not news and (new := _canonical(name)) not in given:
            news = [new]
        for new in news:
            if new in names:
                raise InputError(
                    f"{where} has the columns {names[new]!r} and {name!r}, which both mean {new}; "
                    f"rename one or choose with --columns {new}={name}"
                )
            names[new] = name
    return names


def _canonical(name: str) -> str:
    """Return the known name of a column whatever its case; another as it is."""
    known = name.strip().lower()
    return known if known in _KNOWN_COLUMNS else name
