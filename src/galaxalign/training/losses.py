"""Losses between two kinds of input, and among one kind."""

from __future__ import annotations

from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor

__all__ = ["Targets", "alignment_loss", "same_class_loss"]

Targets = Literal["pair", "same_class"]


def _cross_entropy(logits: Tensor, positive: Tensor, smoothing: float) -> Tensor:
    """Return the mean cross-entropy of each row against a uniform distribution over its positives.

    Rows without a positive are left out. `smoothing` moves that share of the target to all columns.
    """
    count = positive.sum(1)
    target = positive / count.clamp(min=1).unsqueeze(1)
    target = target * (1 - smoothing) + smoothing / logits.shape[1]
    loss = -(target * F.log_softmax(logits, 1)).sum(1)
    used = count > 0
    return loss[used].mean() if bool(used.any()) else logits.sum() * 0


def alignment_loss(
    a: Tensor,
    b: Tensor,
    labels_a: Tensor,
    labels_b: Tensor,
    scale: Tensor,
    *,
    targets: Targets,
    smoothing: float = 0.0,
    log_prior: Tensor | None = None,
) -> Tensor:
    """Return the symmetric InfoNCE loss between two sets of unit vectors.

    Parameters
    ----------
    a, b : Tensor (N, D), (M, D)
        Unit vectors of two kinds of input, a the images where there are images.
    labels_a, labels_b : Tensor (N,), (M,), int64
        Classes.
    scale : Tensor ()
        Inverse temperature.
    targets : {"pair", "same_class"}
        "pair" (CLIP's, used by GalaxAlign, arXiv 2411.19475): row i of `a` belongs to row i of `b` and to
        no other, even one of its class; N must equal M. "same_class" (multi-positive, as SupCon's L_out,
        arXiv 2004.11362): every row of the same class is a match, with equal weight.
    smoothing : float
        Share of the target spread over all candidates.
    log_prior : Tensor (K,), optional
        Added to the logits of the candidates by class when `a` chooses among `b` with "same_class"
        (logit adjustment, arXiv 2007.07314): what is learnt is then free of the class frequencies.

    Returns
    -------
    Tensor ()
    """
    logits = scale * a @ b.T
    if targets == "pair":
        if len(a) != len(b):
            raise ValueError(f"pair targets need equally many of both, got {len(a)} and {len(b)}")
        positive = torch.eye(len(a), device=a.device)
        forward = logits
    else:
        positive = (labels_a[:, None] == labels_b[None, :]).float()
        forward = logits if log_prior is None else logits + log_prior[labels_b][None, :]
    return (_cross_entropy(forward, positive, smoothing) + _cross_entropy(logits.T, positive.T, smoothing)) / 2


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
    target = (labels[:, None] == labels[None, :]).float() * (1 - smoothing) + smoothing / 2
    if len(a) < 2:
        return logits.sum() * 0
    return F.binary_cross_entropy_with_logits(logits[different], target[different])
