"""Embeddings on disk: ids, unit vectors and where they come from, as one Parquet file.

The file has the columns ``id_str`` (string), ``embedding`` (fixed-size list of float32 or float16; null where
the image could not be read), ``status`` ("ok" or why not) and any further column of the catalogue. Its schema
metadata holds one JSON object under ``galaxalign``: model, fingerprint, taxonomy and what else the
writer gave. Everything after encoding works from this file alone.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, Self

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from galaxalign.data.images import OK, is_read
from galaxalign.data.tables import described, parquet_metadata
from galaxalign.errors import InputError

_KEY = b"galaxalign"
_FORMAT = 1
_GROUP_BYTES = 64 * 2**20
_OWN = ("id_str", "embedding", "status")
# float16 keeps a cosine of unit vectors to about 0.0005; anything further off was never normalised.
_UNIT_TOLERANCE = 0.01


@dataclass(frozen=True)
class Embeddings:
    """The embeddings of a catalogue.

    Parameters
    ----------
    ids : list of str
        One id per galaxy.
    vectors : ndarray, shape (N, D), float32
        Unit vectors; zeros where ``status`` is not "ok".
    status : list of str
        "ok", or why the image could not be read.
    metadata : dict
        JSON-able: ``model``, ``fingerprint``, ``taxonomy`` …
    columns : dict of str to ndarray
        Further columns of the catalogue (``label``, ``file_loc``, ``ra`` …), N values each.
    """

    ids: list[str]
    vectors: np.ndarray
    status: list[str]
    metadata: dict[str, Any]
    columns: dict[str, np.ndarray] = field(default_factory=dict)

    def __post_init__(self) -> None:
        sizes = {len(self.ids), len(self.vectors), len(self.status), *map(len, self.columns.values())}
        if len(sizes) != 1 or self.vectors.ndim != 2:
            raise ValueError(
                f"embeddings do not fit together: {len(self.ids)} ids, vectors {self.vectors.shape}, "
                f"{len(self.status)} statuses, columns of {[len(c) for c in self.columns.values()]}"
            )

    def __len__(self) -> int:
        return len(self.ids)

    @property
    def dimension(self) -> int:
        """Length of one vector."""
        return int(self.vectors.shape[1])

    @property
    def ok(self) -> np.ndarray:
        """Rows that have an embedding: bool, shape (N,)."""
        return is_read(self.status)

    def vector(self, id_str: str) -> np.ndarray:
        """Return the unit vector (D,) of one galaxy.

        Raises
        ------
        InputError
            The id is not there, or its image could not be read.
        """
        try:
            row = self.ids.index(id_str)
        except ValueError:
            example = f", such as {self.ids[0]}" if self.ids else ""
            raise InputError(f"no galaxy has the id {id_str!r}; give an id of the embeddings file{example}") from None
        if self.status[row] != OK:
            raise InputError(f"galaxy {id_str} has no embedding ({self.status[row]}); search with another galaxy")
        return np.asarray(self.vectors[row])

    def write(self, path: str | Path, *, dtype: Literal["float32", "float16"] = "float32") -> Path:
        """Write the Parquet file; see `EmbeddingWriter` for the parameters and errors."""
        with EmbeddingWriter(path, dimension=self.dimension, metadata=self.metadata, dtype=dtype) as writer:
            writer.write(self.ids, self.vectors, self.status, self.columns)
        return writer.path

    @classmethod
    def read(cls, path: str | Path) -> Embeddings:
        """Read a file that `Embeddings.write`, `EmbeddingWriter` or ``galaxalign embed`` wrote.

        Raises
        ------
        InputError
            The file is missing, not Parquet, not an embeddings file, or damaged.
        """
        source = Path(path)
        if not source.is_file():
            raise InputError(f"no embeddings file at {source}; make one with galaxalign embed")
        try:
            with pq.ParquetFile(source) as file:
                return cls._from_parquet(file, source)
        except (pa.ArrowException, OSError) as error:
            reason = str(error).splitlines()[0]
            raise InputError(
                f"{source} cannot be read as Parquet ({reason}); make it again with galaxalign embed"
            ) from error

    @classmethod
    def _from_parquet(cls, file: pq.ParquetFile, source: Path) -> Embeddings:
        schema = file.schema_arrow
        metadata = read_metadata(schema, source)
        dimension = schema.field("embedding").type.list_size
        rows = file.metadata.num_rows
        others = file.read(columns=[name for name in schema.names if name != "embedding"])
        status = others.column("status").to_pylist()
        ok = is_read(status)
        vectors = np.zeros((rows, dimension), dtype=np.float32)
        broken: list[int] = []
        start = 0
        # Batch by batch, so that nothing but the matrix itself is in memory as a whole.
        for batch in file.iter_batches(columns=["embedding"]):
            column = batch.column(0)
            part, good = vectors[start : start + len(batch)], ok[start : start + len(batch)]
            filled = np.asarray(column.is_valid())
            values = column.drop_null().flatten().to_numpy(zero_copy_only=False)
            part[filled] = values.reshape(-1, dimension)
            norms = np.linalg.norm(part, axis=1)
            broken += (start + np.flatnonzero(good & ~(np.abs(norms - 1) < _UNIT_TOLERANCE))).tolist()
            part[good] /= np.where(norms > 0, norms, 1)[good, None]
            start += len(batch)
        if broken:
            raise InputError(
                f"{source} has {len(broken)} embeddings that are not unit vectors, first in row {broken[0]}; "
                "make it again with galaxalign embed"
            )
        columns = {
            name: others.column(name).to_numpy(zero_copy_only=False) for name in others.column_names if name not in _OWN
        }
        return cls(others.column("id_str").to_pylist(), vectors, status, metadata, columns)


class EmbeddingWriter:
    """Write an embeddings file in pieces: constant memory, and nothing at the path until all is there.

    A context manager. Rows gather into row groups of a temporary file beside ``path`` (64 MB of vectors each: with
    small ones the file's footer, which stays in memory, would grow with the catalogue); leaving the block renames
    it, an exception inside removes it and leaves what stood at ``path`` alone.

    Parameters
    ----------
    path : path-like
        The Parquet file.
    dimension : int
        Length of a vector.
    metadata : mapping
        JSON-able: ``model``, ``fingerprint``, ``taxonomy`` …
    dtype : {"float32", "float16"}
        float16 halves the file and moves a cosine by less than 0.001.

    Raises
    ------
    InputError
        The file cannot be written.
    """

    def __init__(
        self,
        path: str | Path,
        *,
        dimension: int,
        metadata: Mapping[str, Any],
        dtype: Literal["float32", "float16"] = "float32",
    ) -> None:
        self.path = Path(path)
        self.rows = 0
        self._dimension = dimension
        self._dtype = np.dtype(dtype)
        self._note = json.dumps({**metadata, "format": _FORMAT}).encode()
        self._part = self.path.with_name(f".{self.path.name}.{os.getpid()}.part")
        self._writer: pq.ParquetWriter | None = None
        self._waiting: list[pa.Table] = []
        self._group = max(1024, _GROUP_BYTES // (self._dimension * self._dtype.itemsize))

    def __enter__(self) -> Self:
        try:
            self._part.touch()
        except OSError as error:
            raise self._unwritable(error) from error
        return self

    def write(
        self,
        ids: Sequence[str],
        vectors: np.ndarray,
        status: Sequence[str] | None = None,
        columns: Mapping[str, Any] | None = None,
    ) -> None:
        """Append galaxies.

        Parameters
        ----------
        ids : sequence of str
            Ids of the B galaxies.
        vectors : array_like, shape (B, D)
            Unit vectors; rows whose status is not "ok" are stored as null.
        status : sequence of str, optional
            "ok" or why not; all "ok" by default.
        columns : mapping of str to sequence, optional
            Further columns, the same in each call.
        """
        table = self._table(ids, np.asarray(vectors), status or [OK] * len(ids), columns or {})
        try:
            if self._writer is None:
                # The first piece fixes the types: a later one that is all integers or all missing follows.
                schema = pa.schema([described(entry) for entry in table.schema])
                about = {_KEY.decode(): self._note.decode(), **parquet_metadata(schema, {})}
                self._writer = pq.ParquetWriter(
                    self._part, schema.with_metadata(about), compression="zstd", write_page_checksum=True
                )
            self._waiting.append(table.cast(self._writer.schema))
            if sum(map(len, self._waiting)) >= self._group:
                self._flush()
        except OSError as error:
            raise self._unwritable(error) from error
        self.rows += len(ids)

    def _flush(self) -> None:
        assert self._writer is not None
        self._writer.write_table(pa.concat_tables(self._waiting))
        self._waiting = []

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        try:
            if kind is None and self._writer is None:
                self.write([], np.zeros((0, self._dimension)))
            if self._writer is not None:
                if kind is None and self._waiting:
                    self._flush()
                self._writer.close()
            if kind is None:
                os.replace(self._part, self.path)
        except OSError as problem:
            raise self._unwritable(problem) from problem
        finally:
            self._part.unlink(missing_ok=True)

    def _unwritable(self, error: OSError) -> InputError:
        reason = error.strerror or error
        return InputError(f"cannot write {self.path} ({reason}); choose another path with --out")

    def _table(
        self, ids: Sequence[str], vectors: np.ndarray, status: Sequence[str], columns: Mapping[str, Any]
    ) -> pa.Table:
        if vectors.shape != (len(ids), self._dimension) or len(status) != len(ids):
            raise ValueError(
                f"{len(ids)} ids, {len(status)} statuses and vectors of shape {vectors.shape} do not fit "
                f"a file of {self._dimension}-dimensional embeddings"
            )
        missing = ~is_read(status)
        norms = np.linalg.norm(vectors[~missing].astype(np.float32), axis=1)
        if not (np.abs(norms - 1) < _UNIT_TOLERANCE).all():
            raise ValueError("embeddings must be unit vectors where their status is ok")
        flat = pa.array(np.ascontiguousarray(vectors, dtype=self._dtype).ravel())
        data = {
            "id_str": pa.array([str(value) for value in ids], pa.string()),
            "embedding": pa.FixedSizeListArray.from_arrays(flat, self._dimension, mask=pa.array(missing)),
            "status": pa.array(list(status), pa.string()),
            **{
                name: values if isinstance(values, pa.Array | pa.ChunkedArray) else pa.array(values)
                for name, values in columns.items()
                if name not in _OWN
            },
        }
        return pa.table(data)


def read_metadata(schema: pa.Schema, source: Path) -> dict[str, Any]:
    """Return the JSON metadata of an embeddings file after checking that it is one."""
    absent = [name for name in _OWN if name not in schema.names]
    note = (schema.metadata or {}).get(_KEY)
    if absent or note is None:
        what = f"has no column {absent[0]}" if absent else "does not say which model made it"
        raise InputError(f"{source} is no embeddings file ({what}); make one with galaxalign embed")
    kind = schema.field("embedding").type
    if not (pa.types.is_fixed_size_list(kind) and pa.types.is_floating(kind.value_type)):
        raise InputError(
            f"column embedding of {source} is {kind}, not a fixed-size list of floats; "
            "make the file again with galaxalign embed"
        )
    metadata: dict[str, Any] = json.loads(note)
    version = metadata.pop("format", None)
    if version != _FORMAT:
        raise InputError(f"{source} has embeddings format {version}, this version reads {_FORMAT}; update galaxalign")
    return metadata
