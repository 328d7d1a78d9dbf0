"""The likelihood of votes is that of scipy, and silent where nobody was asked."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.special import gammaln
from scipy.stats import dirichlet_multinomial

from galaxalign.models.vote_likelihood import (
    START,
    concentrations,
    constant_outputs,
    dirichlet_multinomial_loss,
    question_loss,
    vote_log_likelihood,
)
from galaxalign.morphology.taxonomy import load_taxonomy

SLICES = (slice(0, 3), slice(3, 5), slice(5, 11))


def _draws(n: int = 40) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    return rng.uniform(1, 101, (n, 11)), rng.integers(0, 30, (n, 11))


def test_likelihood_is_that_of_scipy() -> None:
    alpha, counts = _draws()
    expected = np.stack(
        [dirichlet_multinomial.logpmf(counts[:, p], alpha[:, p], counts[:, p].sum(1)) for p in SLICES], axis=1
    )
    found = vote_log_likelihood(torch.tensor(alpha), torch.tensor(counts, dtype=torch.float64), SLICES)
    np.testing.assert_allclose(found.numpy(), expected, rtol=1e-9)
    loss = dirichlet_multinomial_loss(torch.tensor(alpha), torch.tensor(counts, dtype=torch.float64), SLICES)
    np.testing.assert_allclose(loss.numpy(), -expected.sum(1), rtol=1e-9)


def test_single_precision_is_close_enough_to_train_with() -> None:
    alpha, counts = _draws()
    exact = dirichlet_multinomial_loss(torch.tensor(alpha), torch.tensor(counts, dtype=torch.float64), SLICES)
    single = dirichlet_multinomial_loss(torch.tensor(alpha).float(), torch.tensor(counts).float(), SLICES)
    np.testing.assert_allclose(single.numpy(), exact.numpy(), atol=2e-3)


def test_unasked_questions_add_nothing_to_loss_and_gradient() -> None:
    alpha, counts = _draws()
    counts[:, SLICES[1]] = 0
    given = torch.tensor(alpha, dtype=torch.float32, requires_grad=True)
    votes = torch.tensor(counts, dtype=torch.float32)
    assert (vote_log_likelihood(given, votes, SLICES)[:, 1] == 0).all()
    dirichlet_multinomial_loss(given, votes, SLICES).sum().backward()
    assert (given.grad[:, SLICES[1]] == 0).all()
    assert (given.grad[:, SLICES[0]] != 0).any()
    without = dirichlet_multinomial_loss(given, votes, (SLICES[0], SLICES[2]))
    assert torch.equal(dirichlet_multinomial_loss(given, votes, SLICES), without)


def test_votes_need_not_be_whole_numbers() -> None:
    alpha, counts = np.array([[2.0, 5.0]]), np.array([[3.4, 0.7]])
    total, whole = counts.sum(), alpha.sum()
    expected = gammaln(total + 1) + gammaln(whole) - gammaln(total + whole)
    expected += (gammaln(counts + alpha) - gammaln(alpha) - gammaln(counts + 1)).sum()
    found = vote_log_likelihood(torch.tensor(alpha), torch.tensor(counts), (slice(0, 2),))
    assert float(found) == pytest.approx(expected)


def test_likelihood_peaks_at_the_fractions_of_the_votes() -> None:
    counts = torch.tensor([[30.0, 10.0]])
    losses = [
        float(dirichlet_multinomial_loss(torch.tensor([[a, 40 - a]]), counts, (slice(0, 2),)))
        for a in (10.0, 20.0, 30.0, 38.0)
    ]
    assert min(losses) == losses[2]


def test_concentrations_lie_between_1_and_101() -> None:
    found = concentrations(torch.tensor([-1e3, 0.0, 1e3]))
    assert found.tolist() == [1.0, 51.0, 101.0]


def test_a_whole_tree_can_be_fitted() -> None:
    tree = load_taxonomy("galaxy_zoo_2").tree
    counts = torch.zeros(1, len(tree.stems))
    counts[0, 0], counts[0, 1] = 30, 10
    outputs = torch.zeros(1, len(tree.stems), requires_grad=True)
    optimizer = torch.optim.Adam([outputs], lr=0.3)
    for _ in range(200):
        optimizer.zero_grad()
        dirichlet_multinomial_loss(concentrations(outputs), counts, tree.slices).sum().backward()
        optimizer.step()
    alpha = concentrations(outputs.detach())[0]
    assert float(alpha[0] / alpha[tree.slices[0]].sum()) == pytest.approx(0.75, abs=0.02)


@pytest.mark.parametrize("bad", [-1.0, float("nan"), float("inf")])
def test_impossible_counts_are_refused(bad: float) -> None:
    counts = torch.tensor([[bad, 1.0]])
    with pytest.raises(ValueError, match="negative or not finite"):
        vote_log_likelihood(torch.ones(1, 2), counts, (slice(0, 2),))


def test_shapes_that_do_not_fit_are_refused() -> None:
    with pytest.raises(ValueError, match="do not fit"):
        vote_log_likelihood(torch.ones(1, 3), torch.ones(1, 2), (slice(0, 2),))


def test_loss_of_training_is_of_scipy_per_question_answered() -> None:
    alpha, counts = _draws(3)
    counts[0, SLICES[1]] = 0
    counts[2] = 0
    logs = [
        dirichlet_multinomial.logpmf(counts[row, p], alpha[row, p], counts[row, p].sum())
        for row, p in ((0, SLICES[0]), (0, SLICES[2]), (1, SLICES[0]), (1, SLICES[1]), (1, SLICES[2]))
    ]
    found = question_loss(torch.tensor(alpha), torch.tensor(counts, dtype=torch.float64), SLICES)
    assert float(found) == pytest.approx(-sum(logs) / 5, rel=1e-9)
    assert float(question_loss(torch.ones(2, 11), torch.zeros(2, 11), SLICES)) == 0


def test_no_constant_makes_votes_more_probable_than_one_found() -> None:
    rng = np.random.default_rng(1)
    counts = torch.from_numpy(rng.multinomial(40, (0.7, 0.2, 0.1), 200)).float()
    counts = torch.cat([counts, torch.zeros(200, 2)], 1)
    slices = (slice(0, 3), slice(3, 5))
    outputs = constant_outputs(counts, slices)
    assert outputs[3:].tolist() == [START, START]
    alpha = concentrations(outputs)
    np.testing.assert_allclose((alpha[:3] / alpha[:3].sum()).numpy(), counts[:, :3].mean(0).numpy() / 40, atol=0.03)

    def loss(candidate: torch.Tensor) -> float:
        return float(question_loss(concentrations(candidate.double()).expand(200, -1), counts.double(), slices))

    for column in range(3):
        for step in (-0.3, 0.3):
            moved = outputs.clone()
            moved[column] = (moved[column] + step).clamp(-6, 6)
            assert loss(moved) >= loss(outputs) - 1e-6
