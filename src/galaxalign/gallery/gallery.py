"""Ask a gallery: an embeddings file in memory, or an index on disk, by one query language."""

from __future__ import annotations

import json
import time
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from galaxalign.data.images import Preprocessing, prepare
from galaxalign.errors import InputError
from galaxalign.gallery.collapse import collapsed
from galaxalign.gallery.database import EXACT_BELOW, is_index
from galaxalign.gallery.disk import DiskRows
from galaxalign.gallery.encode_query import PartEncoder
from galaxalign.gallery.memory import Candidates, MemoryRows, Sieve
from galaxalign.gallery.precision import chance_of_being_right
from galaxalign.gallery.query import Part, Query
from galaxalign.gallery.results import Result, Results
from galaxalign.gallery.scoring import contributions

_SAMPLE = 10_000
_WORDS = ("string", "large_string")


def open_gallery(
    path: str | Path,
    model: str | Path | None = None,
    device: str | None = None,
    *,
    exact_below: int = EXACT_BELOW,
) -> Gallery:
    """Open an embeddings file, or an index.

    Parameters
    ----------
    path : path
        File that ``galaxalign embed`` wrote, or folder that ``galaxalign index`` made.
    model : path, optional
        The model that made the embeddings, by default the one that they name. It is loaded when a query needs it:
        for words, pictures and symbols.
    device : str, optional
    exact_below : int
        An index of at most so many galaxies is read into memory and searched exactly, as embeddings files are.

    Raises
    ------
    InputError
        There is no such file, or it is none of the two; or an index that is not finished.
    """
    if not is_index(path):
        if Path(path).is_dir():
            raise InputError(f"the folder {path} is no index; make one with galaxalign index EMBEDDINGS --out {path}")
        return Gallery(MemoryRows.read(path), model=model, device=device)
    rows = DiskRows(path)
    return Gallery(rows.in_memory() if len(rows) <= exact_below else rows, model=model, device=device)


class Gallery:
    """Galaxies with embeddings, and what the catalogue knows of them.

    Parameters
    ----------
    rows : MemoryRows or DiskRows
        Where the galaxies are.
    model : path, optional
    device : str, optional
    """

    def __init__(
        self, rows: MemoryRows | DiskRows, *, model: str | Path | None = None, device: str | None = None
    ) -> None:
        self._rows = rows
        self._encoder = PartEncoder(rows.metadata, model, device)
        self._sample: MemoryRows | None = None

    def __len__(self) -> int:
        return len(self._rows)

    @property
    def dimension(self) -> int:
        """Length D of a vector."""
        return self._rows.dimension

    @property
    def metadata(self) -> dict[str, Any]:
        """What the embeddings say of themselves: model, fingerprint, taxonomy …"""
        return self._rows.metadata

    @property
    def fingerprint(self) -> str:
        """That of the encoder that made the embeddings."""
        return str(self._rows.metadata.get("fingerprint", ""))

    @property
    def columns(self) -> dict[str, str]:
        """The columns of the catalogue, with ``id_str`` and ``status``, and the Arrow type of each."""
        return self._rows.columns

    @property
    def encoder(self) -> PartEncoder:
        """What turns words, pictures, symbols and sketches into vectors."""
        return self._encoder

    def vector(self, id: str) -> NDArray[np.float32]:
        """Return the unit vector (D,) of a galaxy; InputError where there is none."""
        return np.asarray(self._rows.vectors([id])[0])

    def vectors(self, ids: Sequence[str]) -> NDArray[np.float32]:
        """Return unit vectors (len(ids), D); InputError where there is none."""
        return self._rows.vectors(ids)

    def galaxy(self, id: str) -> dict[str, Any]:
        """Return the columns of one galaxy; InputError if it is not there."""
        found: dict[str, Any] = self._rows.rows([id]).to_pylist()[0]
        return found

    def rows(self, ids: Sequence[str], columns: Sequence[str] | None = None) -> pa.Table:
        """Return columns (all by default) of some galaxies, in the order of the ids.

        Raises
        ------
        InputError
            An id or a column is not there.
        """
        return self._rows.rows(ids, columns)

    def table(
        self,
        columns: Sequence[str] | None = None,
        where: str | None = None,
        limit: int | None = None,
        offset: int = 0,
        order: str | None = None,
    ) -> pa.Table:
        """Return the columns of galaxies that fulfil a condition, also of those without an embedding.

        Parameters
        ----------
        columns : sequence of str, optional
            All by default.
        where : str, optional
            SQL.
        limit : int, optional
            At most so many rows.
        offset : int
            How many to skip.
        order : str, optional
            A column to sort by; with a minus in front from high to low. Missing values come last.

        Raises
        ------
        InputError
            A column is not there, or the condition cannot be answered.
        """
        if offset < 0 or (limit is not None and limit < 0):
            raise InputError(f"{limit} rows from row {offset} on cannot be given; use numbers from 0")
        return self._rows.table(columns, where, limit, offset, order)

    def neighbours(self, id: str, k: int = 20) -> Results:
        """Return the k galaxies that look most like one of the gallery."""
        return self.search(Query(parts=[Part(kind="id", value=id)], k=k))

    def pieces(self) -> Iterator[tuple[pa.Array, NDArray[np.float32]]]:
        """Yield ids and unit vectors (B, D) of all galaxies that have an embedding, some at a time."""
        return self._rows.pieces()

    def sample(self, n: int) -> NDArray[np.float32]:
        """Return the unit vectors (at most n, D) of random galaxies, always the same ones."""
        return self._rows.sampled(n).unit_vectors

    def search(self, query: Query, *, files: bool = True, leave_out: Collection[str] = ()) -> Results:
        """Return the galaxies that fit a query best.

        Parameters
        ----------
        query : Query
        files : bool
            Whether images and a MOC may be paths of files; False for queries of strangers.
        leave_out : collection of str
            Ids that are not among the answers.

        Returns
        -------
        Results

        Raises
        ------
        InputError
            Nothing is looked for, a part cannot be read, an id is not there, a condition cannot be answered.
        """
        start = time.perf_counter()
        vectors, weights = self._parts(query, files)
        own = [str(part.value) for part in query.parts if part.kind == "id"] if query.exclude_self else []
        sieve = Sieve(query.where, query.cone, query.moc, files, {*own, *leave_out})
        found, why, groups = self._groups(query, vectors, weights, sieve)
        scores = why.sum(axis=1)
        firsts = [group[0] for group in groups[: query.offset + query.k]]
        chances = self._chances(query, vectors, weights, sieve, found, scores[firsts])
        entries = [
            Result(
                rank,
                found.ids[first],
                float(scores[first]),
                tuple(float(value) for value in why[first]),
                _known(found.ra[first]),
                _known(found.dec[first]),
                tuple(found.ids[row] for row in others),
            )
            for rank, (first, *others) in enumerate(groups[: query.offset + query.k], start=1)
        ][query.offset :]
        known = None if isinstance(chances, str) else np.cumsum(chances) / np.arange(1, len(firsts) + 1)
        return Results(
            tuple(entries),
            query,
            time.perf_counter() - start,
            known if known is None else known[query.offset :],
            chances if isinstance(chances, str) else "",
            self.picture if "image_path" in self.columns else None,
        )

    def picture(self, id: str) -> NDArray[np.uint8]:
        """Return the image of a galaxy as the model sees it, uint8 (S, S, 3); InputError if it cannot be read."""
        if "image_path" not in self.columns or "preprocessing" not in self.metadata:
            raise InputError("the gallery does not say where images lie and how they are read")
        then = Preprocessing.from_dict(json.loads(str(self.metadata["preprocessing"])))
        return prepare(self.rows([id], ["image_path"]).column(0)[0].as_py(), then)

    def label_of(self, query: Query) -> str | None:
        """Return what right answers are called in the column ``label``, where the query or its one part says so."""
        wanted = [part for part in query.parts if part.weight > 0]
        if query.label or len(wanted) != 1 or self.columns.get("label") not in _WORDS:
            return query.label
        if wanted[0].kind == "id":
            return self.galaxy(str(wanted[0].value))["label"] or None
        return str(wanted[0].value) if wanted[0].kind == "symbol" else None

    def _parts(self, query: Query, files: bool) -> tuple[NDArray[np.float32], NDArray[np.float64]]:
        """Return unit vectors (P, D) and weights (P,)."""
        if not query.parts:
            raise InputError("the query is empty; add a text, image, symbol, sketch or id to look for")
        weights = np.array([part.weight for part in query.parts], dtype=np.float64)
        if not (weights > 0).any():
            raise InputError("the query only says what is not wanted; add a text, image, symbol or id to look for")
        vectors = np.stack([self._vector(part, files) for part in query.parts])
        norms = np.linalg.norm(vectors, axis=1, keepdims=True)
        if not (np.isfinite(norms).all() and (norms > 0).all()):
            raise InputError("a query vector is zero or not finite; check the query image or text")
        return vectors / norms, weights

    def _vector(self, part: Part, files: bool) -> NDArray[np.float32]:
        if part.kind == "id":
            return self.vector(str(part.value))
        found = np.asarray(part.value if part.kind == "vector" else self._encoder.vector(part, files=files), np.float32)
        if found.shape != (self.dimension,):
            raise InputError(
                f"the query has {found.size} dimensions but the embeddings have {self.dimension}; "
                "use the model that made the embeddings file"
            )
        return found

    def _groups(
        self, query: Query, vectors: NDArray[np.float32], weights: NDArray[np.float64], sieve: Sieve
    ) -> tuple[Candidates, NDArray[np.float64], list[list[int]]]:
        """Return candidates, what each part adds to their scores, and which of them are one answer, best first."""
        wanted = query.offset + query.k
        asked = wanted + max(10, wanted // 2) if query.collapse else wanted
        while True:
            found = self._rows.best(vectors, weights, asked, sieve)
            why = contributions(found.cosines, weights, found.mean, found.spread)
            count = len(why) if query.floor is None else int((why.sum(axis=1) >= query.floor).sum())
            groups = collapsed(found, count) if query.collapse else [[row] for row in range(count)]
            # Below the floor there is nothing more to find, however many more are asked for.
            if len(groups) >= wanted or found.all or count < len(why):
                return found, why, groups
            asked *= 4

    def _chances(
        self,
        query: Query,
        vectors: NDArray[np.float32],
        weights: NDArray[np.float64],
        sieve: Sieve,
        found: Candidates,
        scores: NDArray[np.float64],
    ) -> NDArray[np.float64] | str:
        """Return the estimated chance of each answer to be right, or why there is none."""
        if self.columns.get("label") not in _WORDS:
            return "the gallery has no column of labels to estimate precision with"
        label = self.label_of(query)
        if not label:
            return "the query does not say what right answers are called in the column label"
        if self._sample is None:
            self._sample = self._rows.sampled(_SAMPLE)
        rows, cosines = self._sample.similarities(vectors, sieve)
        names = self._sample.labels[rows]
        has_label = names != ""
        right = (names == label)[has_label]
        labelled = contributions(cosines, weights, found.mean, found.spread).sum(axis=1)[has_label]
        return chance_of_being_right(scores, labelled, right)


def _known(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None
