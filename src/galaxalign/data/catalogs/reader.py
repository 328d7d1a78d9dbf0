"""Reading a catalogue: a table, a HATS directory, a folder or a glob of images, a prepared store."""

from __future__ import annotations

import glob
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from galaxalign.data.catalogs.catalog import Catalog, as_catalog
from galaxalign.data.catalogs.columns import TEXT_COLUMNS, column_names, in_degrees, require_columns
from galaxalign.data.catalogs.folder import folder_catalog, glob_catalog, pattern_catalog
from galaxalign.data.catalogs.store import is_store, store_catalog
from galaxalign.data.images import is_remote, local_copy
from galaxalign.data.tables import (
    TABLE_SUFFIXES,
    TableFile,
    degrees_per,
    is_hats,
    open_hats,
    open_table,
    refuse_address,
    table_suffix,
)
from galaxalign.errors import InputError
from galaxalign.progress import note


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
        A table (.csv, .csv.gz, .parquet, .fits, .vot), a HATS directory, a folder of images (without sub-folders), a
        glob such as ``"cutouts/**/*.jpg"``, a pattern such as ``"cutouts/{id}_{band}.fits"``, or a prepared store. A
        remote table ("s3://survey/catalog.parquet") is copied while this process runs; its images are beside the
        original. The id of a bare image is its name without suffix.
    require : sequence of str
        Required columns. If `id_str` is not among them and absent, ids are row numbers from 0.
    columns : mapping, optional
        New names of columns, {"id_str": "objid"}: the new name, then the name in the file. A column of the file with
        the new name is left out.
    quiet : bool
        Do not print notes about positions converted to degrees.

    Returns
    -------
    Catalog
        Ids are text, stripped of blanks and unique; names of columns match in any case. Columns with several numbers
        in each row are left out. Positions in other units are converted to degrees.

    Raises
    ------
    InputError
        The catalogue is missing, damaged or empty, lacks a required column, has repeated or missing ids or ids that
        lost digits as floats, or positions in a unit that is no unit of angle.
    """
    if is_remote(source):
        with copied_catalog(str(source)) as copy:
            copied = read_catalog(copy, require=require, columns=columns, quiet=quiet)
        return beside(copied, str(source))
    path = Path(source)
    if is_store(path):
        return store_catalog(path, require)
    if path.is_dir() and not is_hats(path):
        return folder_catalog(path, require)
    if path.is_file() or is_hats(path):
        file, names = catalog_file(path, columns=columns, require=require, quiet=quiet)
        found = file.whole(text=[names[name] for name in TEXT_COLUMNS if name in names])
        frame = found[list(names.values())].set_axis(list(names), axis=1)
        frame = in_degrees(frame, {name: file.units.get(old, "") for name, old in names.items()}, str(path))
        return as_catalog(frame, root=file.path.parent, source=short_name(file.path), require=require, where=str(path))
    refuse_address(source, "fetch the table or the HATS directory first (its images may stay where they are)")
    if "{id}" in str(source):
        return pattern_catalog(str(source), require)
    if glob.has_magic(str(source)):
        return glob_catalog(str(source), require)
    raise InputError(
        f"there is no catalogue at {source}; give a table ({', '.join(TABLE_SUFFIXES)}), "
        "a HATS catalogue, a folder of images or a glob such as 'images/*.jpg'"
    )


@contextmanager
def copied_catalog(address: str) -> Iterator[Path]:
    """Copy a remote table; errors about the copy name its address."""
    if "{" in address or glob.has_magic(address.partition("?")[0]):
        raise InputError(f"{address} is a pattern of remote files; write their addresses as file_loc of a table")
    copy = local_copy(address)
    try:
        yield copy
    except InputError as error:
        raise InputError(str(error).replace(str(copy), address)) from error


def beside(catalog: Catalog, address: str) -> Catalog:
    """Return a copied catalogue with the images of the original."""
    return replace(catalog, root=address.rpartition("/")[0], source=short_name(Path(address)))


def catalog_file(
    path: Path, *, columns: Mapping[str, str] | None, require: Sequence[str], quiet: bool
) -> tuple[TableFile, dict[str, str]]:
    """Open the table of a catalogue; return it and the name in the file of each column of the catalogue."""
    file = open_hats(path) if is_hats(path) else open_table(path)
    names = column_names(file.names, {**file.positions, **(columns or {})}, str(path))
    require_columns(names, file.names, require, str(path))
    for name in ("ra", "dec"):
        unit = file.units.get(names.get(name, ""), "")
        factor = degrees_per(unit, name, str(path))
        if factor != 1:
            note(f"{name} of {path} is in {unit}; multiplied by {factor:.8g} to have degrees", quiet=quiet)
    return file, names


def short_name(path: Path) -> str:
    """Return the name of a table without suffix, or that of its folder if the table is called catalog."""
    stem = path.name if path.is_dir() else path.name[: -len(table_suffix(path))]
    return path.resolve().parent.name if stem.lower() == "catalog" else stem
