"""Catalogues larger than memory: checked in one pass, then read in pieces."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from galaxalign.data.catalogs.catalog import Catalog
from galaxalign.data.catalogs.columns import KNOWN_COLUMNS, TEXT_COLUMNS, catalog_rows
from galaxalign.data.catalogs.fingerprint import Fingerprint, IdHashes, check_unique, hashes, plain_strings
from galaxalign.data.catalogs.position_checks import PositionLook, half_lacking, positions_unused
from galaxalign.data.catalogs.reader import beside, catalog_file, copied_catalog, read_catalog, short_name
from galaxalign.data.images import is_remote
from galaxalign.data.tables import PIECE, CellKinds, TableFile, is_hats
from galaxalign.errors import InputError

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True, eq=False)
class CatalogScan:
    """A checked catalogue, whose ids are whole and unique, that is read in pieces.

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
        Problems of the positions, see `positions_unused`.
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
    """Check a catalogue without holding it in memory; checks, errors and notes are those of `read_catalog`.

    Parameters
    ----------
    source : path
        As for `read_catalog`. A VOTable and the names of bare images are held in memory.
    require : sequence of str
        Required columns.
    columns : mapping, optional
        New name: name in the file.
    keep : sequence of str, optional
        Further columns of the pieces; those of a CSV file are text. None keeps every column, those of a CSV file as
        numbers where all cells are.
    quiet : bool

    Returns
    -------
    CatalogScan
        Takes 8 bytes of temporary disk for each row, and memory for a piece and at most 4 million hashes of ids.

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
    if path.is_file() or is_hats(path):
        file, names = catalog_file(path, columns=columns, require=require, quiet=quiet)
        return _scan(_Rows.of(file, names, keep), str(path))
    whole = read_catalog(source, require=require, columns=columns, quiet=quiet)
    doubts = tuple(positions_unused(whole))
    return CatalogScan(len(whole), whole.source, whole.fingerprint, partial(_slices, whole), whole.store, doubts)


@dataclass(frozen=True, eq=False)
class _Rows:
    """The rows of a table as a catalogue has them; `names` maps columns of the catalogue to those of the file."""

    file: TableFile
    names: Mapping[str, str]
    untyped: Sequence[str]

    @classmethod
    def of(cls, file: TableFile, names: Mapping[str, str], keep: Sequence[str] | None) -> _Rows:
        wanted = [name for name in dict.fromkeys((*KNOWN_COLUMNS, *(names if keep is None else keep))) if name in names]
        typed = keep is not None or not file.kind.startswith(".csv")
        untyped = [] if typed else [name for name in wanted if name not in KNOWN_COLUMNS]
        return cls(file, {name: names[name] for name in wanted}, untyped)

    def tables(self, size: int) -> Iterator[pd.DataFrame]:
        units = {name: self.file.units.get(old, "") for name, old in self.names.items()}
        text = [self.names[name] for name in TEXT_COLUMNS if name in self.names]
        first = 0
        for piece in self.file.pieces(list(self.names.values()), text=text, size=size):
            piece = piece[list(self.names.values())].set_axis(list(self.names), axis=1)
            yield catalog_rows(piece, str(self.file.path), units=units, first_row=first)
            first += len(piece)


def _scan(source: _Rows, where: str) -> CatalogScan:
    """Read the rows once: count, fingerprint, unique ids, kinds of cells, positions."""
    count, fingerprint, look = 0, Fingerprint(positions="id_str" not in source.names), PositionLook()
    kinds = CellKinds()
    with IdHashes() as ids:
        for table in source.tables(PIECE):
            fingerprint.add(table)
            ids.add(plain_strings(table["id_str"]))
            kinds.add(table[source.untyped])
            count += len(table)
            if {"ra", "dec"} <= set(table):
                look.add(table["ra"], table["dec"])
        suspects = ids.repeated()
    if not count:
        raise InputError(f"{where} has no rows; a catalogue needs at least one galaxy")
    if len(suspects):
        check_unique(_ids_among(source.tables(PIECE), suspects), where)
    short, digest = short_name(source.file.path), fingerprint.hexdigest()

    def pieces(size: int) -> Iterator[Catalog]:
        for table in source.tables(size):
            table = table.assign(**kinds.convert(table[source.untyped]))
            yield Catalog(table, source.file.path.parent, short, digest)

    return CatalogScan(
        count, short, digest, pieces, doubts=(*half_lacking(source.names), *look.impossible(), *look.hours())
    )


def _ids_among(tables: Iterator[pd.DataFrame], suspects: np.ndarray) -> Iterator[str]:
    """Yield the ids whose hash is a suspect."""
    for table in tables:
        ids = plain_strings(table["id_str"])
        yield from (ids[row] for row in np.flatnonzero(np.isin(hashes(ids), suspects)))


def _slices(whole: Catalog, size: int) -> Iterator[Catalog]:
    for first in range(0, len(whole), size):
        yield whole.select(np.arange(first, min(first + size, len(whole))))
