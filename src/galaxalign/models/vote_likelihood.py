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

START = -2.5
"""Output that a fit begins with: concentrations of a few pseudo-votes, where the first steps are long enough."""

# As in Zoobot. Below 1 the density would grow without bound at fractions of 0 and 1; the ceiling keeps a question
# that everybody answers alike from drawing its concentrations to infinity.
_LEAST, _RANGE = 1.0, 100.0
_FARTHEST = 6.0  # beyond it the sigmoid is so flat that training could not come back


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


def question_loss(concentrations: Tensor, counts: Tensor, slices: Sequence[slice]) -> Tensor:
    """Return the negative log likelihood per question that somebody answered, a scalar, in nats.

    `dirichlet_multinomial_loss` summed over the galaxies, divided by how many questions of theirs have votes. A galaxy
    has up to a dozen questions of a few nats each, so the sum of a galaxy would outweigh every other loss of a recipe;
    divided, it is a few nats, as a cross-entropy is. The divisor is one for the batch: questions and galaxies keep the
    weight among one another that the likelihood gives them. 0 where nobody answered anything.

    Parameters
    ----------
    concentrations, counts, slices
        As for `vote_log_likelihood`.
    """
    answered = sum(int((counts[:, part].sum(1) > 0).sum()) for part in slices)
    return dirichlet_multinomial_loss(concentrations, counts, slices).sum() / max(answered, 1)


def constant_outputs(counts: Tensor, slices: Sequence[slice]) -> Tensor:
    """Return the outputs, shape (A,), that make the votes most probable if they are the same for every galaxy.

    What can be said without looking. A linear head that starts there need not spend the training on it. Questions
    that nobody answered stay at `START`; no output lies farther than 6 from 0.

    Parameters
    ----------
    counts : Tensor, shape (N, A)
    slices : sequence of slice
        As for `vote_log_likelihood`.
    """
    votes = counts.detach().double().cpu()
    outputs = torch.full((votes.shape[1],), START, dtype=torch.float64, requires_grad=True)
    optimizer = torch.optim.LBFGS([outputs], max_iter=50, line_search_fn="strong_wolfe")

    def closure() -> Tensor:
        optimizer.zero_grad()
        value = question_loss(concentrations(outputs).expand(len(votes), -1), votes, slices)
        value.backward()
        return value

    with torch.enable_grad():
        optimizer.step(closure)
    return outputs.detach().clamp(-_FARTHEST, _FARTHEST).float()
