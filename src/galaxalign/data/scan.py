"""Catalogues larger than memory: looked through once, then given out in pieces."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from galaxalign.data.arrow import CellKinds
from galaxalign.data.catalog import (
    Catalog,
    beside,
    catalog_file,
    catalog_rows,
    copied_catalog,
    read_catalog,
    short_name,
)
from galaxalign.data.doubts import PositionLook, half_lacking, positions_unused
from galaxalign.data.hats import is_hats
from galaxalign.data.identity import Fingerprint, IdHashes, check_unique, hashes, plain_strings
from galaxalign.data.locations import is_remote
from galaxalign.data.reader import PIECE
from galaxalign.errors import InputError

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["CatalogScan", "scan_catalog"]

_COLUMNS = ("id_str", "file_loc", "label", "ra", "dec", "pixel_scale", "pxscale")


@dataclass(frozen=True, eq=False)
class CatalogScan:
    """A catalogue that was looked through: its ids are whole and unique, and it can be read in pieces.

    Attributes
    ----------
    rows : int
    source : str
        Its short name, as `Catalog.source`.
    fingerprint : str
        As `Catalog.fingerprint`.
    store : Path, optional
        As `Catalog.store`.
    doubts : tuple of str
        What is wrong with the positions, as `positions_unused`.
    """

    rows: int
    source: str
    fingerprint: str
    _pieces: Callable[[int], Iterator[Catalog]] = field(repr=False)
    store: Path | None = None
    doubts: tuple[str, ...] = ()

    def __len__(self) -> int:
        return self.rows

    def pieces(self, size: int = 8192) -> Iterator[Catalog]:
        """Yield the rows in order, at most `size` at a time, as catalogues with the fingerprint of the whole."""
        return self._pieces(size)


def scan_catalog(
    source: str | Path,
    *,
    require: Sequence[str] = ("id_str", "file_loc"),
    columns: Mapping[str, str] | None = None,
    keep: Sequence[str] | None = (),
    quiet: bool = False,
) -> CatalogScan:
    """Look through a catalogue without holding it: the checks, errors and notes are those of `read_catalog`.

    Parameters
    ----------
    source : path
        As for `read_catalog`. A VOTable is held in memory all the same, and so are the names of bare images.
    require : sequence of str
        Columns that must be there.
    columns : mapping, optional
        New name: name in the file.
    keep : sequence of str, optional
        Columns to have in the pieces beside ids, images, labels, positions and pixel scales, where the file has
        them; those of a CSV file come as text. None: every column, those of a CSV file as numbers where all cells are.
    quiet : bool

    Returns
    -------
    CatalogScan
        Looking through takes 8 bytes of temporary disk for each row, and memory for a piece and at most 4 million
        hashes of ids.

    Raises
    ------
    InputError
        See `read_catalog`.
    """
    if is_remote(source):
        with copied_catalog(str(source)) as copy:
            found = scan_catalog(copy, require=require, columns=columns, keep=keep, quiet=quiet)
        return replace(
            found,
            source=short_name(Path(source)),
            _pieces=lambda size: (beside(piece, str(source)) for piece in found.pieces(size)),
        )
    path = Path(source)
    if not path.is_file() and not is_hats(path):
        whole = read_catalog(source, require=require, columns=columns, quiet=quiet)
        doubts = tuple(positions_unused(whole))
        pieces = lambda size: _slices(whole, size)  # noqa: E731
        return CatalogScan(len(whole), whole.source, whole.fingerprint, pieces, whole.store, doubts)
    where = str(path)
    file, names = catalog_file(path, columns=columns, require=require, quiet=quiet)
    wanted = [name for name in dict.fromkeys((*_COLUMNS, *(names if keep is None else keep))) if name in names]
    units = {name: file.units.get(names[name], "") for name in wanted}
    text = [names[name] for name in ("id_str", "file_loc", "label") if name in names]
    further = [name for name in wanted if name not in _COLUMNS] if keep is None and file.kind.startswith(".csv") else []
    kinds = CellKinds()

    def tables(size: int) -> Iterator[pd.DataFrame]:
        first = 0
        for piece in file.pieces([names[name] for name in wanted], text=text, size=size):
            piece = piece[[names[name] for name in wanted]].set_axis(wanted, axis=1)
            yield catalog_rows(piece, where, units=units, first_row=first)
            first += len(piece)

    rows, fingerprint, look = 0, Fingerprint(positions="id_str" not in names), PositionLook()
    with IdHashes() as seen:
        for table in tables(PIECE):
            fingerprint.add(table)
            seen.add(plain_strings(table["id_str"]))
            kinds.add(table[further])
            rows += len(table)
            if {"ra", "dec"} <= set(table):
                look.add(table["ra"], table["dec"])
        suspects = seen.repeated()
    if not rows:
        raise InputError(f"{where} has no rows; a catalogue needs at least one galaxy")
    if len(suspects):
        check_unique(_ids_among(tables(PIECE), suspects), where)
    short, digest = short_name(file.path), fingerprint.hexdigest()
    return CatalogScan(
        rows,
        short,
        digest,
        lambda size: (
            Catalog(table.assign(**kinds.convert(table[further])), file.path.parent, short, digest)
            for table in tables(size)
        ),
        doubts=(*half_lacking(names), *look.impossible(), *look.hours()),
    )


def _ids_among(tables: Iterator[pd.DataFrame], suspects: np.ndarray) -> Iterator[str]:
    """Yield the ids whose hash is a suspect."""
    for table in tables:
        ids = plain_strings(table["id_str"])
        yield from (ids[row] for row in np.flatnonzero(np.isin(hashes(ids), suspects)))


def _slices(whole: Catalog, size: int) -> Iterator[Catalog]:
    for first in range(0, len(whole), size):
        yield whole.select(np.arange(first, min(first + size, len(whole))))
