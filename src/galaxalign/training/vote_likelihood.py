"""How probable the votes of volunteers are, question by question: Zoobot's Dirichlet-multinomial likelihood.

A model gives each answer a concentration. Of a question they are the parameters of a Dirichlet distribution over the
fractions of volunteers, from which the votes are drawn: their ratios say what is expected, their sum how sure that is.
Walmsley et al. 2020 (MNRAS 491, 1554) introduce it for one question, Walmsley et al. 2022 (MNRAS 509, 3966, section 4)
for a decision tree.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

__all__ = ["concentrations", "dirichlet_multinomial_loss", "vote_log_likelihood"]

# As in Zoobot. Below 1 the density would grow without bound at fractions of 0 and 1; the ceiling keeps a question
# that everybody answers alike from drawing its concentrations to infinity.
_LEAST, _RANGE = 1.0, 100.0


def concentrations(outputs: Tensor) -> Tensor:
    """Return Dirichlet concentrations between 1 and 101 of unbounded outputs of any shape."""
    return _LEAST + _RANGE * torch.sigmoid(outputs)


def vote_log_likelihood(concentrations: Tensor, counts: Tensor, slices: Sequence[slice]) -> Tensor:
    """Return the log probability of the votes on each question.

    Parameters
    ----------
    concentrations : Tensor, shape (N, A)
        Positive, of the A answers.
    counts : Tensor, shape (N, A)
        Votes for each answer. They need not be whole numbers (weighted votes are not): the gamma function continues
        the factorials.
    slices : sequence of Q slices
        Which columns belong to each question, as `DecisionTree.slices`.

    Returns
    -------
    Tensor, shape (N, Q)
        In nats, the multinomial coefficient included; exactly 0, with a gradient of exactly 0, where nobody was asked.

    Raises
    ------
    ValueError
        Shapes do not fit, or a count is negative or not finite.
    """
    if concentrations.shape != counts.shape or counts.ndim != 2:
        raise ValueError(
            f"concentrations of shape {tuple(concentrations.shape)} do not fit counts of shape {tuple(counts.shape)}"
        )
    if not bool((torch.isfinite(counts) & (counts >= 0)).all()):
        raise ValueError("a count of votes is negative or not finite")
    # Every term of an answer with no votes is a difference of two equal numbers, so unasked questions cancel exactly.
    terms = torch.lgamma(counts + concentrations) - torch.lgamma(concentrations) - torch.lgamma(counts + 1)
    found = []
    for part in slices:
        alpha, total = concentrations[:, part].sum(1), counts[:, part].sum(1)
        whole = torch.lgamma(alpha) - torch.lgamma(total + alpha) + torch.lgamma(total + 1)
        found.append(terms[:, part].sum(1) + whole)
    return torch.stack(found, dim=1)


def dirichlet_multinomial_loss(concentrations: Tensor, counts: Tensor, slices: Sequence[slice]) -> Tensor:
    """Return the negative log likelihood of all votes on each galaxy, shape (N,), in nats.

    The sum of `vote_log_likelihood` over the questions: each weighs as much as its votes tell, and questions that
    nobody was asked weigh nothing.

    Parameters
    ----------
    concentrations, counts, slices
        As for `vote_log_likelihood`.
    """
    return -vote_log_likelihood(concentrations, counts, slices).sum(1)
