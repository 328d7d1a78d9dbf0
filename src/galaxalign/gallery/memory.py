"""A gallery in memory: every galaxy is compared with every query."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

from galaxalign.data.images import OK
from galaxalign.errors import InputError
from galaxalign.gallery.embeddings import Embeddings
from galaxalign.gallery.filters import SqlFilter, in_cone, in_moc, read_moc, real_positions
from galaxalign.gallery.query import Cone
from galaxalign.gallery.scoring import best, combine_scores, moments, similarities

PIECE = 32_768
"""Galaxies that are read at a time."""


@dataclass(frozen=True)
class Sieve:
    """What a query lets through.

    Parameters
    ----------
    where : str, optional
    cone : Cone, optional
    moc : str, optional
    files : bool
        Whether `moc` may be a path.
    excluded : collection of str
        Ids to leave out.
    """

    where: str | None = None
    cone: Cone | None = None
    moc: str | None = None
    files: bool = True
    excluded: Collection[str] = ()


@dataclass(frozen=True)
class Candidates:
    """The galaxies that fit a query best, best first, with what is needed to explain and to collapse them.

    Parameters
    ----------
    ids : list of str
    cosines : ndarray, shape (N, P)
        Similarities to each part.
    ra, dec : ndarray, shape (N,)
        Degrees; NaN where not known.
    vectors : ndarray, shape (N, D)
    mean, spread : ndarray, shape (P,)
        Of the similarities over the gallery.
    all : bool
        Whether nothing else is let through.
    """

    ids: list[str]
    cosines: NDArray[np.float32]
    ra: NDArray[np.float64]
    dec: NDArray[np.float64]
    vectors: NDArray[np.float32]
    mean: NDArray[np.float64]
    spread: NDArray[np.float64]
    all: bool


class MemoryRows:
    """The rows of an embeddings file, or of a small index, in memory.

    Parameters
    ----------
    table : pyarrow.Table
        Columns of the catalogue, with ``id_str`` and ``status``.
    vectors : ndarray, shape (N, D), float32
        Unit vectors; zeros where the status is not "ok".
    metadata : dict
        Of the embeddings.
    """

    exact = True

    def __init__(self, table: pa.Table, vectors: NDArray[np.float32], metadata: dict[str, Any]) -> None:
        self._table, self._vectors, self.metadata = table, vectors, metadata
        self._row = {identity: row for row, identity in enumerate(table.column("id_str").to_pylist())}
        self._ok = np.flatnonzero(np.asarray(pc.equal(table.column("status"), OK)))
        self._sql = SqlFilter(table)

    @classmethod
    def read(cls, path: str | Path) -> MemoryRows:
        """Read an embeddings file; errors are those of `Embeddings.read`."""
        embeddings = Embeddings.read(path)
        with pq.ParquetFile(path) as file:
            table = file.read(columns=[name for name in file.schema_arrow.names if name != "embedding"])
        return cls(table, embeddings.vectors, embeddings.metadata)

    def __len__(self) -> int:
        return len(self._table)

    @property
    def dimension(self) -> int:
        """Length D of a vector."""
        return int(self._vectors.shape[1])

    @property
    def columns(self) -> dict[str, str]:
        """Kind of each column."""
        return {entry.name: str(entry.type) for entry in self._table.schema}

    def rows(self, ids: Sequence[str], columns: Sequence[str] | None = None) -> pa.Table:
        """Return rows in the order of the ids; InputError for an id or a column that is not there."""
        places = np.array([self._place(identity) for identity in ids], dtype=np.int64)
        return self._select(columns).take(pa.array(places))

    def table(
        self,
        columns: Sequence[str] | None = None,
        where: str | None = None,
        limit: int | None = None,
        offset: int = 0,
        order: str | None = None,
    ) -> pa.Table:
        """Return rows that fulfil a condition; see `Gallery.table`."""
        rows = np.arange(len(self)) if where is None else np.flatnonzero(self._sql.rows(where))
        if order is not None:
            name = order.removeprefix("-")
            keys = self._select([name]).column(0).take(pa.array(rows))
            side = "descending" if order.startswith("-") else "ascending"
            rows = rows[np.asarray(pc.sort_indices(keys, sort_keys=[("", side)]))]
        rows = rows[offset : None if limit is None else offset + limit]
        return self._select(columns).take(pa.array(rows))

    def vectors(self, ids: Sequence[str]) -> NDArray[np.float32]:
        """Return unit vectors (len(ids), D), float32."""
        places = [self._place(identity) for identity in ids]
        status = self._table.column("status")
        for identity, place in zip(ids, places, strict=True):
            if (reason := status[place].as_py()) != OK:
                raise InputError(f"galaxy {identity} has no embedding ({reason}); search with another galaxy")
        return self._vectors[places]

    def pieces(self) -> Iterator[tuple[pa.Array, NDArray[np.float32]]]:
        """Yield ids and unit vectors (B, D) of all galaxies that have an embedding, some at a time."""
        for start in range(0, len(self._ok), PIECE):
            rows = self._ok[start : start + PIECE]
            ids = self._table.column("id_str").take(pa.array(rows))
            yield ids.combine_chunks(), self._vectors[rows]

    def best(
        self, parts: NDArray[np.float32], weights: NDArray[np.float64], n: int, sieve: Sieve | None = None
    ) -> Candidates:
        """Return the n galaxies with the highest score among those let through; ties in the order of the file.

        Parameters
        ----------
        parts : ndarray, shape (P, D)
            Unit vectors.
        weights : ndarray, shape (P,)
        n : int
        sieve : Sieve, optional
        """
        sieve = sieve or Sieve()
        cosines = similarities(self._vectors, self._ok, parts)
        # Over everything readable, before anything is left out: a score must not depend on a filter.
        scores = combine_scores(cosines, weights) if len(cosines) else np.zeros(0)
        mean, spread = moments(cosines) if len(cosines) else (np.zeros(len(parts)), np.zeros(len(parts)))
        kept = np.flatnonzero(self.let_through(sieve)[self._ok])
        chosen = kept[best(scores[kept], n)]
        rows = self._ok[chosen]
        ra, dec = self._positions
        return Candidates(
            self._table.column("id_str").take(pa.array(rows)).to_pylist(),
            cosines[chosen], ra[rows], dec[rows], self._vectors[rows], mean, spread, n >= len(kept),
        )  # fmt: skip

    def sampled(self, n: int) -> MemoryRows:
        """Return at most n galaxies that have an embedding, always the same random ones."""
        rows = np.sort(np.random.default_rng(0).permutation(self._ok)[:n])
        return MemoryRows(self._table.take(pa.array(rows)), self._vectors[rows], self.metadata)

    def similarities(self, parts: NDArray[np.float32], sieve: Sieve) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        """Return row numbers and cosines (N, P) of the galaxies with an embedding that are let through."""
        rows = self._ok[self.let_through(sieve)[self._ok]]
        return rows, similarities(self._vectors, rows, parts)

    @cached_property
    def labels(self) -> NDArray[np.str_]:
        """The column label, (len(self),); "" where there is none."""
        return np.array([value or "" for value in self._table.column("label").to_pylist()], dtype=str)

    @cached_property
    def unit_vectors(self) -> NDArray[np.float32]:
        """Vectors of the galaxies that have one, (N, D)."""
        return self._vectors[self._ok]

    @cached_property
    def _positions(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        def numbers(name: str) -> NDArray[np.float64]:
            if name not in self.columns:
                return np.full(len(self), np.nan)
            column = pc.cast(self._table.column(name), pa.float64())
            return np.asarray(pc.fill_null(column, np.nan), dtype=np.float64)

        return real_positions(numbers("ra"), numbers("dec"))

    def let_through(self, sieve: Sieve) -> NDArray[np.bool_]:
        """Return which rows a query lets through, bool (N,)."""
        mask = np.ones(len(self), dtype=bool)
        if sieve.where is not None:
            mask &= self._sql.rows(sieve.where)
        if sieve.cone is not None or sieve.moc is not None:
            ra, dec = self._positions
            if not np.isfinite(ra + dec).any():
                raise InputError("the gallery has no positions (ra, dec), so no part of the sky can be chosen")
            if sieve.cone is not None:
                mask &= in_cone(ra, dec, sieve.cone)
            if sieve.moc is not None:
                mask &= in_moc(ra, dec, read_moc(sieve.moc, files=sieve.files))
        mask[[self._row[identity] for identity in sieve.excluded if identity in self._row]] = False
        return mask

    def _place(self, identity: str) -> int:
        try:
            return self._row[identity]
        except KeyError:
            example = f", such as {next(iter(self._row))}" if self._row else ""
            raise InputError(f"no galaxy has the id {identity!r}; give an id of the embeddings file{example}") from None

    def _select(self, columns: Sequence[str] | None) -> pa.Table:
        if columns is None:
            return self._table
        unknown_columns(columns, self.columns)
        return self._table.select(list(columns))


def unknown_columns(columns: Sequence[str], known: Collection[str]) -> None:
    """Refuse columns that are not there; InputError."""
    for name in columns:
        if name not in known:
            raise InputError(f"the gallery has no column {name!r}; its columns are {', '.join(known)}")
