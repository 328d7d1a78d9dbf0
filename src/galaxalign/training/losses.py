"""Losses between two kinds of input, and among one kind.

What belongs to what is a matrix `match` (N, M) of weights in 0..1: the identity for pairs, 1 wherever classes or
sentences coincide, and something in between where volunteers saw two galaxies more or less alike.
"""

from __future__ import annotations

from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor

Targets = Literal["pair", "same_class"]


def same(a: Tensor, b: Tensor) -> Tensor:
    """Return the match (N, M) of two lists of classes, or of numbers of sentences: 1 where they are equal."""
    return (a[:, None] == b[None, :]).float()


def _cross_entropy(logits: Tensor, match: Tensor, smoothing: float) -> Tensor:
    """Return the mean cross-entropy of each row against its match, made to sum to 1.

    Rows without a match are left out. `smoothing` moves that share of the target to all columns.
    """
    total = match.sum(1, keepdim=True)
    target = match / total.clamp(min=1e-12)
    target = target * (1 - smoothing) + smoothing / logits.shape[1]
    loss = -(target * F.log_softmax(logits, 1)).sum(1)
    used = total[:, 0] > 0
    return loss[used].mean() if bool(used.any()) else logits.sum() * 0


def alignment_loss(
    a: Tensor,
    b: Tensor,
    match: Tensor,
    scale: Tensor,
    *,
    smoothing: float = 0.0,
    log_prior: Tensor | None = None,
    askers: int | None = None,
) -> Tensor:
    """Return the symmetric InfoNCE loss between two sets of unit vectors.

    Parameters
    ----------
    a, b : Tensor (N, D), (M, D)
        Unit vectors of two kinds of input, a the images where there are images.
    match : Tensor (N, M), 0..1
        What belongs to what. The identity: row i of `a` belongs to row i of `b` and to no other (CLIP's, used by
        GalaxAlign, arXiv 2411.19475). 1 wherever classes or sentences coincide: every one is a match with equal
        weight (multi-positive, as SupCon's L_out, arXiv 2004.11362). In between: soft targets.
    scale : Tensor ()
        Inverse temperature.
    smoothing : float
        Share of the target spread over all candidates.
    log_prior : Tensor (M,), optional
        Added to the logits of the candidates when `a` chooses among `b` (logit adjustment, arXiv 2007.07314): what
        is learnt is then free of how frequent they are.
    askers : int, optional
        Only the first so many rows of `b` choose among `a`; the others are there to be told apart from.

    Returns
    -------
    Tensor ()
    """
    logits = scale * a @ b.T
    forward = logits if log_prior is None else logits + log_prior[None, :]
    backward = logits.T[:askers], match.T[:askers]
    return (_cross_entropy(forward, match, smoothing) + _cross_entropy(*backward, smoothing)) / 2


def sigmoid_loss(a: Tensor, b: Tensor, match: Tensor, scale: Tensor, margin: Tensor) -> Tensor:
    """Return SigLIP's loss (arXiv 2303.15343): for each of all pairs the question whether they belong together.

    Parameters
    ----------
    a, b : Tensor (N, D), (M, D)
        Unit vectors.
    match : Tensor (N, M), 0..1
        Target of each pair.
    scale : Tensor ()
        Inverse temperature.
    margin : Tensor ()
        Cosine at which belonging together is as likely as not (SigLIP's bias is -scale times margin).

    Returns
    -------
    Tensor ()
        Sum of the binary cross-entropies over all pairs, divided by N.
    """
    logits = scale * (a @ b.T - margin)
    return F.binary_cross_entropy_with_logits(logits, match, reduction="sum") / len(a)


def same_class_loss(a: Tensor, labels: Tensor, scale: Tensor, margin: Tensor, *, smoothing: float = 0.0) -> Tensor:
    """Return the loss of telling for every two rows whether they share a class (SigLIP's sigmoid, arXiv 2303.15343).

    Each pair is judged by itself, so that the cosine comes to rise with the probability that two galaxies are of one
    class, which is the order that a search wants.

    Parameters
    ----------
    a : Tensor (N, D)
        Unit vectors of one kind of input.
    labels : Tensor (N,), int64
    scale : Tensor ()
        Inverse temperature.
    margin : Tensor ()
        Cosine at which sharing a class is as likely as not.
    smoothing : float
        Targets are `smoothing` / 2 and 1 - `smoothing` / 2.

    Returns
    -------
    Tensor ()
        Mean binary cross-entropy over all pairs of different rows; zero for a single row.
    """
    different = ~torch.eye(len(a), dtype=torch.bool, device=a.device)
    logits = scale * (a @ a.T - margin)
    target = same(labels, labels) * (1 - smoothing) + smoothing / 2
    if len(a) < 2:
        return logits.sum() * 0
    return F.binary_cross_entropy_with_logits(logits[different], target[different])
