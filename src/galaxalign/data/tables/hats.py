"""HATS catalogues (https://www.ivoa.net/documents/Notes/HATS/): Parquet files for parts of the sky, as one table.

The library hats lists the partitions in order and the Parquet reader reads their rows, a piece at a time.
"""

from __future__ import annotations

import warnings
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from galaxalign.data.tables.arrow import units_of
from galaxalign.data.tables.reader import TableFile, open_table
from galaxalign.errors import InputError, reason

if TYPE_CHECKING:
    import pandas as pd

_COLLECTION, _CATALOGUE, _ALSO_OF_HIPS = "collection.properties", "hats.properties", "properties"


def is_hats(path: str | Path) -> bool:
    """Tell whether a folder is a HATS catalogue or a HATS collection."""
    path = Path(path)
    if (path / _COLLECTION).is_file() or (path / _CATALOGUE).is_file():
        return True
    return (path / _ALSO_OF_HIPS).is_file() and (path / "dataset").is_dir()


def open_hats(path: str | Path) -> TableFile:
    """Open a HATS catalogue, or the main one of a collection.

    Parameters
    ----------
    path : path
        The directory.

    Returns
    -------
    TableFile
        Rows in the order of HATS partitions, without columns of lists and structures and without the spatial index
        (`_healpix_29`). `positions` are the columns in the properties.

    Raises
    ------
    InputError
        The library is missing, the properties or the partitions cannot be read, or it is no catalogue of objects
        (a margin, a map).
    """
    path = Path(path) if Path(path).name not in ("", "..") else Path(path).resolve()
    catalogue = _main_catalogue(path)
    files = _partition_files(catalogue, path)
    about = catalogue.catalog_info
    names, units = _columns(catalogue, files)

    def read(wanted: Sequence[str], text: Collection[str], size: int) -> Iterator[pd.DataFrame]:
        rows = 0
        for file in files:
            partition = open_table(file, kind=".parquet")
            lacking = [name for name in wanted if name not in partition.names]
            if lacking:
                raise InputError(
                    f"{file} has no column {lacking[0]}, which other partitions of {path} have; fetch this file again"
                )
            for piece in partition.pieces(wanted, text=text, size=size):
                rows += len(piece)
                yield piece
        if about.total_rows is not None and rows != about.total_rows:
            raise InputError(
                f"{path} has {rows} rows in its {len(files)} partition files, where its properties say "
                f"{about.total_rows} (hats_nrows); fetch the missing partitions, or write the catalogue again"
            )

    positions = {"ra": about.ra_column, "dec": about.dec_column}
    return TableFile(
        path,
        names,
        units,
        about.total_rows,
        read,
        kind="HATS",
        positions={name: column for name, column in positions.items() if column in names},
    )


def _main_catalogue(path: Path) -> Any:
    """Return the catalogue of objects as hats reads it."""
    try:
        import hats
    except ImportError:
        raise InputError(
            f"{path} is a HATS catalogue, for which lsdb is needed; install it with: pip install 'galaxalign[hats]'"
        ) from None
    try:
        with warnings.catch_warnings():  # it warns where it reads the partitions from the files themselves
            warnings.simplefilter("ignore")
            found: Any = hats.read_hats(path, read_moc=False)
    except Exception as error:  # damaged properties, lists and schemas each raise their own
        raise InputError(
            f"{path} cannot be opened as a HATS catalogue ({reason(error)}); write or fetch it again"
        ) from error
    found = getattr(found, "main_catalog", found)
    kind = str(found.catalog_info.catalog_type)
    if kind not in ("object", "source"):
        raise InputError(f"{path} is the {kind} of a HATS catalogue and not one itself; give the catalogue of objects")
    if found.catalog_path.protocol not in ("", "file", "local"):
        raise InputError(f"{path} has its main catalogue at {found.catalog_path}; fetch it and give its folder")
    return found


def _partition_files(catalogue: Any, path: Path) -> list[Path]:
    """Return the Parquet files of all partitions in order; a partition may be a folder of several files."""
    from hats.io.paths import pixel_catalog_file

    suffix = catalogue.catalog_info.npix_suffix
    files: list[Path] = []
    missing: list[Path] = []
    for pixel in catalogue.get_healpix_pixels():
        file = Path(str(pixel_catalog_file(catalogue.catalog_path, pixel, npix_suffix=suffix)))
        parts = [file] if file.is_file() else sorted(part for part in file.glob("[!._]*") if part.is_file())
        files += parts
        if not parts:
            missing.append(file)
    if missing:
        others = f" and {len(missing) - 1} more" if len(missing) > 1 else ""
        raise InputError(f"{path} lacks the partition {missing[0]}{others}; fetch what is missing")
    return files


def _columns(catalogue: Any, files: Sequence[Path]) -> tuple[list[str], dict[str, str]]:
    """Return the columns that hold one value in each row, and their units."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    if files:
        open_table(files[0], kind=".parquet")  # raises InputError if it cannot be opened
        schema = pq.read_schema(files[0])
    else:
        schema = catalogue.schema or pa.schema([])
    index = catalogue.catalog_info.healpix_column
    names = [entry.name for entry in schema if entry.name != index and not pa.types.is_nested(entry.type)]
    return names, {name: unit for name, unit in units_of(schema).items() if name in names}
