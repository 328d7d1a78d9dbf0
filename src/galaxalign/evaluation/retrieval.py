"""How well nearest neighbours share the class of the query: mAP, mAP@5 and recall@k of unit embeddings."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch

from galaxalign.errors import InputError
from galaxalign.evaluation.bootstrap import mean_columns, mean_from_sums

_TOP = 5
_RECALLS = (1, 5, 10)
RETRIEVAL_METRICS = ("map", "map_class_mean", "map_at_5", *(f"recall_at_{k}" for k in _RECALLS))
# A block of similarities is held in float32 beside its sorted copies: 8 million of them are about 100 MB.
_BLOCK_ELEMENTS = 2**23
_ROWS = 8192


@dataclass(frozen=True)
class RetrievalScores:
    """The scores of each query, from which means and bootstrap intervals are made.

    Attributes
    ----------
    average_precision : ndarray, shape (N,), float64
        Average precision over the whole gallery; NaN where the gallery holds nothing relevant.
    average_precision_at_5 : ndarray, shape (N,), float64
        Precision averaged over the relevant among the first five; 0 where there is none.
    first_hit : ndarray, shape (N,), int64
        Rank (from 1) of the first relevant entry among the first ten; 0 where there is none.
    labels : ndarray, shape (N,), int64
        Class of each query.
    """

    average_precision: np.ndarray
    average_precision_at_5: np.ndarray
    first_hit: np.ndarray
    labels: np.ndarray

    def of(self, metric: str) -> np.ndarray:
        """Return what each query adds to a metric of `retrieval_metrics`, for bootstraps and paired differences.

        Parameters
        ----------
        metric : str
            Its name, such as ``"recall_at_5"``.

        Returns
        -------
        ndarray, shape (N,), float64
            Average precision for ``map`` and ``map_class_mean``; 1 or 0 for ``recall_at_<k>``. NaN where the
            query has no answer, but for ``map_at_5``, which is 0 there.
        """
        if metric in ("map", "map_class_mean"):
            return self.average_precision
        if metric == "map_at_5":
            return self.average_precision_at_5
        if metric not in RETRIEVAL_METRICS:
            raise ValueError(f"unknown retrieval metric {metric!r}; known are {', '.join(RETRIEVAL_METRICS)}")
        k = int(metric.removeprefix("recall_at_"))
        found = (self.first_hit > 0) & (self.first_hit <= k)
        return np.where(np.isfinite(self.average_precision), found, np.nan)

    def summary(self) -> dict[str, float]:
        """Return ``map``, ``map_class_mean``, ``map_at_5`` and ``recall_at_<k>``; see `retrieval_metrics`.

        Where no two galaxies share a class, all but ``map_at_5`` are NaN.
        """
        result = {}
        for metric in RETRIEVAL_METRICS:
            columns = mean_columns(self.of(metric), self.labels if metric == "map_class_mean" else None)
            result[metric] = float(mean_from_sums(columns.sum(axis=0)))
        return result


def retrieval_metrics(vectors: np.ndarray, labels: np.ndarray, *, chunk: int = 1024) -> dict[str, float]:
    """Return the retrieval metrics of a labelled set that is both queries and gallery.

    Each galaxy asks for its neighbours by cosine similarity, itself excluded; relevant is what has
    its class (Wang, Wang & Luo, arXiv 2411.19475, section 4).

    Parameters
    ----------
    vectors : array_like, shape (N, D)
        Embeddings; normalised here.
    labels : array_like of int, shape (N,)
        Class indices; no negative ones.
    chunk : int
        Most queries compared at once; fewer are taken where the gallery is large.

    Returns
    -------
    dict
        ``map``: mean over queries with at least one relevant entry in the gallery of the average
        precision over the whole gallery (tied scores share one precision, as in scikit-learn's
        ``average_precision_score``, so the order of the catalogue cannot raise it);
        ``map_class_mean``: the same averaged within classes first;
        ``map_at_5``: torchmetrics' ``RetrievalMAP(top_k=5)``, a mean over all queries, where a query
        without a relevant entry counts 0 (on the ranking alone: torchmetrics 1.9 takes entries with a
        cosine of 0 or less for irrelevant, so feed it 1 + cosine to compare);
        ``recall_at_1``, ``recall_at_5``, ``recall_at_10``: Recall@k of metric learning (Jegou et al. 2011;
        Oh Song et al. 2016), the share of the queries with at least one relevant entry in the gallery that
        have at least one among the first k. Not the share of the relevant entries that is found.
        Ties among the first ten fall in an order drawn once and for all, not in that of the catalogue.

    Raises
    ------
    InputError
        A vector is zero or not finite, or a label is negative.
    """
    return retrieval_scores(vectors, labels, chunk=chunk).summary()


def retrieval_scores(vectors: np.ndarray, labels: np.ndarray, *, chunk: int = 1024) -> RetrievalScores:
    """Return the scores of every query; parameters and errors as for `retrieval_metrics`."""
    gallery = _finite(vectors)
    classes = np.asarray(labels, dtype=np.int64)
    if classes.shape != (len(gallery),):
        raise ValueError(f"{len(gallery)} vectors but labels of shape {classes.shape}")
    if (classes < 0).any():
        raise InputError(
            f"{int((classes < 0).sum())} of {len(classes)} galaxies have no label; "
            "leave them out of the retrieval metrics"
        )
    # Ties among the first ten fall in storage order. A catalogue sorted by class would then flatter a
    # collapsed encoder, so the gallery is shuffled (always alike) and the answers are put back in order.
    shuffle = np.random.default_rng(0).permutation(len(classes))
    gallery, classes = _normalised(gallery[shuffle]), classes[shuffle]
    precision = np.full(len(classes), np.nan)
    precision_at_5 = np.zeros(len(classes))
    first_hit = np.zeros(len(classes), dtype=np.int64)
    top = min(max(_RECALLS), len(classes) - 1)
    for rows, block in _similarities(gallery, classes, chunk):
        same = classes == classes[rows[0]]
        if same.sum() > 1:
            precision[rows] = _average_precision(block, same)
        if top > 0:
            nearest = torch.from_numpy(block).topk(top, dim=1).indices.numpy()
            relevant = same[nearest]
            precision_at_5[rows] = _average_precision_of_list(relevant[:, :_TOP])
            first_hit[rows] = np.where(relevant.any(axis=1), relevant.argmax(axis=1) + 1, 0)
    back = np.argsort(shuffle)
    return RetrievalScores(precision[back], precision_at_5[back], first_hit[back], classes[back])


def _unit(vectors: np.ndarray) -> np.ndarray:
    return _normalised(_finite(vectors).copy())


def _finite(vectors: np.ndarray) -> np.ndarray:
    """Return the embeddings as float32 (not a copy where they are), every one with a length."""
    matrix = np.ascontiguousarray(vectors, dtype=np.float32)
    if matrix.ndim != 2:
        raise ValueError(f"embeddings have shape {matrix.shape}; expected (N, D)")
    norms = np.concatenate([np.zeros(0), *(np.linalg.norm(part, axis=1) for part in _parts(matrix))])
    broken = np.flatnonzero(~np.isfinite(norms) | (norms == 0))
    if broken.size:
        raise InputError(
            f"the embedding in row {broken[0]} is zero or not finite ({broken.size} such rows); "
            "leave out galaxies whose image could not be read"
        )
    return matrix


def _normalised(matrix: np.ndarray) -> np.ndarray:
    """Return the matrix with its rows made unit vectors in place: a large gallery is held once, not three times."""
    for part in _parts(matrix):
        part /= np.linalg.norm(part, axis=1, keepdims=True)
    return matrix


def _parts(matrix: np.ndarray) -> Iterator[np.ndarray]:
    """Yield views of some rows at a time."""
    return (matrix[start : start + _ROWS] for start in range(0, len(matrix), _ROWS))


def _similarities(gallery: np.ndarray, classes: np.ndarray, chunk: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yield (query rows of one class, their similarities to the gallery with -inf for the query itself)."""
    stored = torch.from_numpy(gallery)
    step = max(1, min(chunk, _BLOCK_ELEMENTS // max(1, len(gallery))))
    for name in np.unique(classes):
        members = np.flatnonzero(classes == name)
        for start in range(0, len(members), step):
            rows = members[start : start + step]
            block = (stored[torch.from_numpy(rows)] @ stored.T).numpy()
            block[np.arange(len(rows)), rows] = -np.inf
            yield rows, block


def _average_precision(block: np.ndarray, same: np.ndarray) -> np.ndarray:
    """Return the average precision of each row, where ``same`` marks the relevant columns.

    Only the relevant entries matter: the precision at one of them is (relevant at or above it) over
    (all at or above it), and counting by bisection is several times faster than ranking everything.
    """
    # The query itself is among the relevant with -inf, hence first after sorting, hence cut off.
    relevant = np.sort(block[:, same], axis=1)[:, 1:]
    others = np.sort(block[:, ~same], axis=1)
    result = np.empty(len(block))
    for row, (wanted, unwanted) in enumerate(zip(relevant, others, strict=True)):
        hits = len(wanted) - np.searchsorted(wanted, wanted, side="left")
        misses = len(unwanted) - np.searchsorted(unwanted, wanted, side="left")
        result[row] = np.mean(hits / (hits + misses))
    return result


def _average_precision_of_list(relevant: np.ndarray) -> np.ndarray:
    """Return the precision averaged over the relevant entries of each ranked list (B, k); 0 where none."""
    precision = relevant.cumsum(axis=1) / np.arange(1, relevant.shape[1] + 1)
    return np.asarray((precision * relevant).sum(axis=1) / np.maximum(relevant.sum(axis=1), 1))
