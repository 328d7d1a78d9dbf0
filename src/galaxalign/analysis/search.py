"""Which galaxies look most like a picture, a sentence, a drawing, or several of these at once."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

import numpy as np

from galaxalign.analysis.embeddings import Embeddings
from galaxalign.errors import InputError

__all__ = [
    "Entry",
    "best",
    "combine_scores",
    "contributions",
    "moments",
    "search_vectors",
    "similarities",
    "standardised",
]

_CHUNK = 65_536


@dataclass(frozen=True, slots=True)
class Entry:
    """One answer of a search.

    Parameters
    ----------
    rank : int
        1 for the best.
    id_str : str
        Id of the galaxy.
    score : float
        Cosine similarity to a single query; for several parts see `combine_scores`.
    """

    rank: int
    id_str: str
    score: float


def search_vectors(
    embeddings: Embeddings,
    query_vectors: np.ndarray,
    weights: Sequence[float] | None = None,
    k: int = 20,
    exclude_ids: Collection[str] = (),
) -> list[Entry]:
    """Return the k galaxies that fit the query best, by exact comparison with all of them.

    Parameters
    ----------
    embeddings : Embeddings
        The gallery; rows without an embedding are never found.
    query_vectors : array_like, shape (P, D) or (D,)
        One vector per part of the query (text, image, symbol, known galaxy), from the encoder
        that made the gallery.
    weights : sequence of float, optional
        One per part, negative for what is not wanted; 1 by default.
    k : int
        Number of answers; fewer where the gallery is smaller.
    exclude_ids : collection of str
        Galaxies to leave out: the query itself, usually.

    Returns
    -------
    list of Entry
        Best first; equal scores in the order of the file.

    Raises
    ------
    InputError
        k is below 1, nothing has a positive weight, or the vectors come from another encoder.
    """
    parts = np.atleast_2d(np.asarray(query_vectors, dtype=np.float32))
    factors = np.ones(len(parts)) if weights is None else np.asarray(weights, dtype=np.float64)
    if factors.shape != (len(parts),):
        raise ValueError(f"{len(parts)} query vectors but weights of shape {factors.shape}")
    if k < 1:
        raise InputError(f"a search for {k} galaxies finds nothing; ask for at least 1")
    if not (factors > 0).any():
        raise InputError("the query only says what is not wanted; add a text, image, symbol or id to look for")
    if parts.shape[1] != embeddings.dimension:
        raise InputError(
            f"the query has {parts.shape[1]} dimensions but the embeddings have {embeddings.dimension}; "
            "use the model that made the embeddings file"
        )
    norms = np.linalg.norm(parts, axis=1, keepdims=True)
    if not (np.isfinite(norms).all() and (norms > 0).all()):
        raise InputError("a query vector is zero or not finite; check the query image or text")
    rows = np.flatnonzero(embeddings.ok)
    if not rows.size:
        return []
    cosines = similarities(embeddings.vectors, rows, parts / norms)
    # Standardised over everything readable, before anything is excluded: a score must not depend on that.
    scores = combine_scores(cosines, factors)
    if exclude_ids:
        unwanted = set(exclude_ids)
        kept = np.array([embeddings.ids[row] not in unwanted for row in rows], dtype=bool)
        rows, scores = rows[kept], scores[kept]
    return [
        Entry(rank, embeddings.ids[rows[place]], float(scores[place]))
        for rank, place in enumerate(best(scores, k), start=1)
    ]


def combine_scores(cosines: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Return one score per galaxy (N,) from its similarity to each part of a query: the sum of its `contributions`."""
    return contributions(cosines, weights, *moments(cosines)).sum(axis=1)


def moments(cosines: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return mean and standard deviation (P,) of the similarities (N, P) of a gallery to each part of a query."""
    values = cosines.astype(np.float64)
    return values.mean(axis=0), values.std(axis=0)


def standardised(cosines: np.ndarray, mean: np.ndarray, spread: np.ndarray) -> np.ndarray:
    """Return similarities (N, P) as standard deviations above the average of the gallery.

    A part to which all galaxies are equally similar cannot tell them apart and says nothing: 0.
    """
    centred = cosines.astype(np.float64) - mean
    return np.divide(centred, spread, out=np.zeros_like(centred), where=spread > 1e-7)


def contributions(cosines: np.ndarray, weights: np.ndarray, mean: np.ndarray, spread: np.ndarray) -> np.ndarray:
    """Return what each part of a query adds to the score of each galaxy.

    Texts, symbols and images occupy different regions of the embedding space (the modality gap, Liang et
    al. 2022): a galaxy may have a cosine of 0.9 to every picture and 0.2 to every sentence, with a spread
    of 0.05 in one and 0.01 in the other. Adding vectors or raw cosines would let one part
    decide alone. So the cosines to each part are first standardised over the gallery (mean 0, standard
    deviation 1), then averaged with their weights.

    A part with negative weight only ever takes away: it counts where a galaxy is more like it than
    the average one is. Otherwise the galaxy least like a merger would win a search for "a barred spiral,
    not a merger" without having a bar.

    Parameters
    ----------
    cosines : ndarray, shape (N, P)
        Cosine similarities to each part.
    weights : ndarray, shape (P,)
        Weights, negative for what is not wanted.
    mean, spread : ndarray, shape (P,)
        Of the similarities over the gallery, or over a random sample of it; see `moments`.

    Returns
    -------
    ndarray, shape (N, P), float64
        The cosine itself where there is a single part; otherwise standard deviations above the average
        of the gallery, by the share of the part in the sizes of all weights.
    """
    if cosines.shape[1] == 1:
        return cosines.astype(np.float64)
    standard = standardised(cosines, mean, spread)
    standard = np.where(weights < 0, np.maximum(standard, 0), standard)
    return standard * (weights / np.abs(weights).sum())


def similarities(vectors: np.ndarray, rows: np.ndarray, parts: np.ndarray) -> np.ndarray:
    """Return the similarities (len(rows), P), copying only one chunk of the gallery at a time."""
    result = np.empty((len(rows), len(parts)), dtype=np.float32)
    for start in range(0, len(rows), _CHUNK):
        some = rows[start : start + _CHUNK]
        result[start : start + len(some)] = vectors[some] @ parts.T
    return result


def best(scores: np.ndarray, k: int) -> np.ndarray:
    """Return the positions of the k highest scores, best first, ties in order."""
    if k >= len(scores):
        return np.argsort(-scores, kind="stable")
    threshold = np.partition(scores, len(scores) - k)[len(scores) - k]
    candidates = np.flatnonzero(scores >= threshold)
    return candidates[np.argsort(-scores[candidates], kind="stable")][:k]
