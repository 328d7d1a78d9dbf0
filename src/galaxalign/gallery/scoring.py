"""How well galaxies fit a query of one or several parts."""

from __future__ import annotations

import numpy as np

_CHUNK = 65_536


def combine_scores(cosines: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Return one score per galaxy (N,) from its similarity to each part of a query: the sum of its `contributions`."""
    return np.asarray(contributions(cosines, weights, *moments(cosines)).sum(axis=1))


def moments(cosines: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return mean and standard deviation (P,) of the similarities (N, P) of a gallery to each part of a query."""
    values = cosines.astype(np.float64)
    return values.mean(axis=0), values.std(axis=0)


def standardised(cosines: np.ndarray, mean: np.ndarray, spread: np.ndarray) -> np.ndarray:
    """Return similarities (N, P) as standard deviations above the average of the gallery.

    A part to which all galaxies are equally similar cannot tell them apart and says nothing: 0.
    """
    centred = cosines.astype(np.float64) - mean
    return np.asarray(np.divide(centred, spread, out=np.zeros_like(centred), where=spread > 1e-7))


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
    return np.asarray(standard * (weights / np.abs(weights).sum()) + 0.0)  # no -0.0, which would be printed


def similarities(vectors: np.ndarray, rows: np.ndarray, parts: np.ndarray) -> np.ndarray:
    """Return the cosines (len(rows), P) of some rows of unit vectors (N, D) to unit vectors (P, D).

    Rows that lie close together are multiplied where they are, with those between them: copying them takes longer. Of
    others one chunk at a time is copied.
    """
    result = np.empty((len(rows), len(parts)), dtype=np.float32)
    for start in range(0, len(rows), _CHUNK):
        some = rows[start : start + _CHUNK]
        first, last = some.min(), some.max() + 1
        near = last - first < 2 * len(some)
        cosines = (vectors[first:last] @ parts.T)[some - first] if near else vectors[some] @ parts.T
        result[start : start + len(some)] = cosines
    return result


def best(scores: np.ndarray, k: int) -> np.ndarray:
    """Return the positions of the k highest scores, best first, ties in order."""
    if k >= len(scores):
        return np.argsort(-scores, kind="stable")
    threshold = np.partition(scores, len(scores) - k)[len(scores) - k]
    candidates = np.flatnonzero(scores >= threshold)
    return candidates[np.argsort(-scores[candidates], kind="stable")][:k]
