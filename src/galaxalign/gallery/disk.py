"""A gallery on disk or in an object store: a LanceDB database that `galaxalign.index` made."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from galaxalign.data.images import OK
from galaxalign.errors import InputError
from galaxalign.gallery.database import (
    GALAXIES,
    HEALPIX,
    SAMPLE,
    awaited,
    connect,
    open_galaxies,
    read_about,
    readable_errors,
)
from galaxalign.gallery.filters import SqlFilter, in_moc, real_positions, unanswered
from galaxalign.gallery.memory import PIECE, Candidates, MemoryRows, Sieve, unknown_columns
from galaxalign.gallery.scoring import contributions, moments, similarities
from galaxalign.gallery.sky_condition import sky_condition

if TYPE_CHECKING:
    from mocpy import MOC

_REFETCHED = 2000  # vectors that one part has compared exactly, at most
_IDS = 500  # ids in one condition
_LARGE = 2_000_000


class DiskRows:
    """The rows of an index that is too large to compare every galaxy: candidates by its vector index, then exact.

    Parameters
    ----------
    path : path
        Folder, or address of an object store.

    Raises
    ------
    InputError
        There is no index, or it is not finished.
    """

    exact = False
    probes = 20
    """Cells of the vector index that are looked into at least: more find more, and take longer."""
    spare = 4
    """How many times as many galaxies as are asked for lie in these cells, at least."""
    few = 10_000
    """Up to so many galaxies that a filter lets through are compared one by one."""

    def __init__(self, path: str | Path) -> None:
        self._path = path
        self._database = connect(path)
        with readable_errors(path):
            about = read_about(self._database, path)
            if about["building"]:
                raise InputError(f"the index {path} is not finished; run the same galaxalign index again")
            # All three now: what is opened later may be another version, or gone.
            self._galaxies = self._database.open_table(GALAXIES)
            self._samples = self._database.open_table(SAMPLE)
            # LanceDB's blocking interface asks the table for its schema three times in every search.
            self._searched = awaited(open_galaxies(path, self._galaxies.version))
        self.metadata: dict[str, Any] = about["metadata"]
        self._count = int(about["rows"])
        # How many times the answers are compared exactly. Among more galaxies neighbours are closer to each other than
        # the codes of the vector index tell; see "How fast" in docs/howto/search.md.
        self.refine = 10 if self._count <= _LARGE else 20
        self._sample: MemoryRows | None = None
        schema = self._galaxies.schema
        self.dimension = int(schema.field("embedding").type.list_size)
        shown = [entry for entry in schema if entry.name not in ("embedding", HEALPIX)]
        self.columns = {entry.name: str(entry.type) for entry in shown}
        self._sql = SqlFilter(pa.schema(shown).empty_table())

    def __len__(self) -> int:
        return self._count

    def in_memory(self) -> MemoryRows:
        """Return all rows in memory."""
        with readable_errors(self._path):
            table = self._galaxies.to_arrow()
        return MemoryRows(table.drop_columns(_hidden(table)), _matrix(table.column("embedding")), self.metadata)

    def rows(self, ids: Sequence[str], columns: Sequence[str] | None = None) -> pa.Table:
        """Return rows in the order of the ids; InputError for an id or a column that is not there."""
        wanted = self._known(columns)
        found = self._of_ids(ids, list(dict.fromkeys(["id_str", *wanted])))
        return found.select(wanted)

    def table(
        self,
        columns: Sequence[str] | None = None,
        where: str | None = None,
        limit: int | None = None,
        offset: int = 0,
        order: str | None = None,
    ) -> pa.Table:
        """Return rows that fulfil a condition; see `Gallery.table`."""
        wanted = self._known(columns)
        if order is None:
            return self._filtered(where, wanted, len(self) if limit is None else limit, offset)
        name = order.removeprefix("-")
        unknown_columns([name], self.columns)
        # Only the row numbers of what fulfils the condition are sorted, so a wide table need not fit in memory.
        keys = self._filtered(where, [name], len(self), 0, numbered=True)
        side = "descending" if order.startswith("-") else "ascending"
        places = pc.sort_indices(keys, sort_keys=[(name, side)])
        chosen = keys.column("_rowid").take(places)[offset : None if limit is None else offset + limit].to_pylist()
        if not chosen:
            return self._filtered("1 = 0", wanted, 1, 0)
        found = self._galaxies.take_row_ids(chosen).select(wanted).with_row_id().to_arrow()
        place_of = {row: place for place, row in enumerate(found.column("_rowid").to_pylist())}
        return found.take(pa.array([place_of[row] for row in chosen])).select(wanted)

    def vectors(self, ids: Sequence[str]) -> NDArray[np.float32]:
        """Return unit vectors (len(ids), D), float32; InputError as `MemoryRows.vectors`."""
        found = self._of_ids(ids, ["id_str", "status", "embedding"])
        for identity, reason in zip(ids, found.column("status").to_pylist(), strict=True):
            if reason != OK:
                raise InputError(f"galaxy {identity} has no embedding ({reason}); search with another galaxy")
        return _matrix(found.column("embedding"))

    def pieces(self) -> Iterator[tuple[pa.Array, NDArray[np.float32]]]:
        """Yield ids and unit vectors (B, D) of all galaxies that have an embedding, some at a time."""
        query = self._galaxies.search().where("status = 'ok'").select(["id_str", "embedding"])
        for batch in query.to_batches(batch_size=PIECE):
            yield batch.column("id_str"), _matrix(pa.chunked_array([batch.column("embedding")]))

    def best(
        self, parts: NDArray[np.float32], weights: NDArray[np.float64], n: int, sieve: Sieve | None = None
    ) -> Candidates:
        """Return the galaxies with the highest score among those let through, nearly always the n best.

        The score is linear in the vector of a galaxy but for what is not wanted, which only takes away; so the nearest
        galaxies to a few sums of the parts are candidates, and among all of these the scores are exact. See
        `MemoryRows.best` for the parameters.
        """
        sieve = sieve or Sieve()
        condition, moc = self._condition(sieve)
        excluded = set(sieve.excluded)
        # The cosine to a single part is its score as it is.
        mean, spread = np.zeros(len(parts)), np.ones(len(parts))
        if len(parts) > 1:
            mean, spread = moments(self.sampled(len(self)).unit_vectors @ parts.T)
        passing = len(self)
        if condition:
            passing = self._asked(lambda: self._galaxies.count_rows(condition), sieve.where)
        # What the best lack in a sum of parts may be made up for by what is not wanted.
        unwanted = bool((weights < 0).any())
        asked = (max(2000, 20 * n) if unwanted else n) + len(excluded)
        more = moc is not None or (not unwanted and (bool(condition) or len(parts) > 1))
        more = more or weights.sum() < 0  # then the best are far down every list
        fetched = 4 * asked if more else asked
        directions = _directions(parts, weights, spread)
        tables = self._asked(lambda: self._nearest(directions, fetched, condition, passing), sieve.where)
        all_found = all(len(found) < fetched for found in tables)
        table = _unique(pa.concat_tables(tables)) if len(tables) > 1 else tables[0]
        ra, dec = real_positions(_numbers(table, "ra"), _numbers(table, "dec"))
        keep = np.asarray(pc.invert(pc.is_in(table.column("id_str"), value_set=pa.array(list(excluded), pa.string()))))
        if moc is not None:
            keep &= in_moc(ra, dec, moc)
        vectors = _matrix(table.column("embedding"))
        cosines = similarities(vectors, np.arange(len(vectors)), parts)
        scores = contributions(cosines, weights, mean, spread).sum(axis=1)
        kept = np.flatnonzero(keep)
        chosen = kept[np.argsort(-scores[kept], kind="stable")][:n]
        return Candidates(
            table.column("id_str").take(pa.array(chosen)).to_pylist(),
            cosines[chosen], ra[chosen], dec[chosen], vectors[chosen], mean, spread,
            all_found and n >= len(kept),
        )  # fmt: skip

    def _nearest(self, directions: NDArray[np.float32], fetched: int, condition: str, passing: int) -> list[pa.Table]:
        """Return the galaxies nearest to each direction, of which `passing` fulfil a condition."""
        places = [name for name in ("ra", "dec") if name in self.columns]

        async def near(direction: NDArray[np.float32]) -> pa.Table:
            query = self._searched.query().nearest_to(direction).column("embedding").distance_type("cosine")
            if condition:
                query = query.where(condition)
            if condition and passing <= self.few:
                query = query.bypass_vector_index()
            else:
                # Without an end to the cells a filter that lets through only what is far away would find nothing.
                query = query.maximum_nprobes(0).minimum_nprobes(self._probes_for(fetched, passing))
                query = query.refine_factor(max(1, min(self.refine, _REFETCHED // fetched)))
            found = await query.select(["id_str", "embedding", *places, "_distance"]).limit(fetched).to_arrow()
            return found.drop_columns(["_distance"])

        async def all_of_them() -> list[pa.Table]:
            return await asyncio.gather(*map(near, directions))

        return awaited(all_of_them())

    def _probes_for(self, count: int, passing: int) -> int:
        """Return how many cells are looked into for so many galaxies of those that pass a filter.

        Each cell holds about as many galaxies as there are cells.
        """
        in_a_cell = max(passing, 1) / max(1.0, float(np.sqrt(len(self))))
        return max(self.probes, int(np.ceil(self.spare * count / max(in_a_cell, 1e-9))))

    def sampled(self, n: int) -> MemoryRows:
        """Return at most n galaxies of the random sample that the index keeps."""
        if self._sample is None:
            with readable_errors(self._path):
                table = self._samples.to_arrow()
            self._sample = MemoryRows(
                table.drop_columns(_hidden(table)), _matrix(table.column("embedding")), self.metadata
            )
        return self._sample if n >= len(self._sample) else self._sample.sampled(n)

    def _condition(self, sieve: Sieve) -> tuple[str, MOC | None]:
        """Return the condition of a query in SQL, and the MOC where the condition lets too much through."""
        if sieve.where is not None:
            self._sql.rows(sieve.where)
        sky, left = sky_condition(sieve, self.columns)
        return " AND ".join([f"({sieve.where})"] * (sieve.where is not None) + sky), left

    def _filtered(
        self, where: str | None, columns: Sequence[str], limit: int, offset: int, *, numbered: bool = False
    ) -> pa.Table:
        query = self._galaxies.search().select(list(columns)).offset(offset).limit(limit)
        if where is not None:
            self._sql.rows(where)
            query = query.where(where)
        found = self._asked((query.with_row_id(True) if numbered else query).to_arrow, where)
        return found if numbered else found.select(list(columns))

    def _of_ids(self, ids: Sequence[str], columns: Sequence[str]) -> pa.Table:
        tables = []
        for start in range(0, len(ids), _IDS):
            quoted = ", ".join("'" + identity.replace("'", "''") + "'" for identity in ids[start : start + _IDS])
            query = self._galaxies.search().where(f"id_str IN ({quoted})").select(list(columns))
            tables.append(self._asked(query.limit(2 * _IDS).to_arrow, None))
        table = pa.concat_tables(tables) if tables else self._filtered("1 = 0", columns, 1, 0)
        place_of = {identity: place for place, identity in enumerate(table.column("id_str").to_pylist())}
        for identity in ids:
            if identity not in place_of:
                raise InputError(f"no galaxy has the id {identity!r}; give an id of the index")
        return table.take(pa.array([place_of[identity] for identity in ids], pa.int64()))

    def _asked(self, ask: Callable[[], Any], where: str | None) -> Any:
        """Return an answer of the database; InputError for a condition that cannot be answered, or a damaged file."""
        with readable_errors(self._path):
            try:
                return ask()
            except (ValueError, RuntimeError) as error:
                # What is wrong with the files is not the condition's fault.
                if where is None or re.search(r"LanceError\(IO\)|not found:|no longer exists", str(error), re.I):
                    raise
                raise InputError(unanswered(where, error, self.columns)) from None

    def _known(self, columns: Sequence[str] | None) -> list[str]:
        if columns is None:
            return list(self.columns)
        unknown_columns(columns, self.columns)
        return list(columns)


def _directions(
    parts: NDArray[np.float32], weights: NDArray[np.float64], spread: NDArray[np.float64]
) -> NDArray[np.float32]:
    """Return the vectors (M, D) to which the best galaxies of a query are near.

    The score of `scoring.contributions` is never above the sum of the standardised similarities in which what
    is not wanted counts by any share from 0 to 1; where it is above average it is that with share 1, elsewhere with 0.
    """
    if len(parts) == 1:
        return parts
    pull = np.divide(weights, spread, out=np.zeros_like(weights), where=spread > 1e-7)
    shares = (0.0, 0.5, 1.0) if (weights < 0).any() else (0.0,)
    found = [np.where(weights < 0, share * pull, pull) @ parts for share in shares]
    return np.array([one for one in found if np.linalg.norm(one) > 0] or parts[weights > 0], dtype=np.float32)


def _unique(table: pa.Table) -> pa.Table:
    """Return the rows with each id once, in order."""
    _, first = np.unique(table.column("id_str").to_numpy(zero_copy_only=False), return_index=True)
    return table if len(first) == len(table) else table.take(pa.array(np.sort(first)))


def _hidden(table: pa.Table) -> list[str]:
    return [name for name in ("embedding", HEALPIX) if name in table.column_names]


def _matrix(column: pa.ChunkedArray) -> NDArray[np.float32]:
    """Return vectors (N, D) as float32; zeros where there is none."""
    dimension = column.type.list_size
    result = np.zeros((len(column), dimension), dtype=np.float32)
    filled = np.asarray(column.is_valid())
    values = column.drop_null().combine_chunks() if column.null_count else column.combine_chunks()
    chunks = values.chunks if isinstance(values, pa.ChunkedArray) else [values]
    flat = [chunk.flatten().to_numpy(zero_copy_only=False) for chunk in chunks]
    if flat:
        result[filled] = np.concatenate(flat).reshape(-1, dimension)
    return result


def _numbers(table: pa.Table, name: str) -> NDArray[np.float64]:
    if name not in table.column_names:
        return np.full(len(table), np.nan)
    return np.asarray(pc.fill_null(pc.cast(table.column(name), pa.float64()), np.nan), dtype=np.float64)
