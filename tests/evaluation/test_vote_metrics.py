"""Figures of expected votes are what their definitions say, where anybody was asked."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import dirichlet_multinomial

from galaxalign.evaluation.vote_metrics import score_votes
from galaxalign.morphology.taxonomy import load_taxonomy
from galaxalign.morphology.votes import Votes

TREE = load_taxonomy("galaxy_zoo_2").tree
FIRST, EDGE = TREE.slices[0], TREE.slices[1]


def _votes(rows: list[tuple[list[int], list[int]]]) -> Votes:
    """Return votes on the first two questions; nobody was asked the others."""
    counts = np.zeros((len(rows), len(TREE.stems)))
    for row, (first, second) in enumerate(rows):
        counts[row, FIRST], counts[row, EDGE] = first, second
    voters = np.stack([counts[:, part].sum(1) for part in TREE.slices], axis=1)
    with np.errstate(invalid="ignore"):
        fractions = counts / TREE.spread(voters)
    return Votes(TREE, fractions.astype(np.float32), voters.astype(np.float32), "count")


VOTES = _votes([([10, 10, 0], [5, 5]), ([40, 0, 0], [0, 0])])
ALPHA = np.full((2, len(TREE.stems)), 2.0)


def _fractions(first: float, edge: float) -> np.ndarray:
    fractions = np.full((2, len(TREE.stems)), 0.5)
    fractions[:, FIRST], fractions[:, EDGE] = [first, 1 - first, 0], [edge, 1 - edge]
    return fractions


def test_error_weighted_by_volunteers_and_counts_who_asked_only() -> None:
    found = score_votes(VOTES, _fractions(0.8, 0.7), ALPHA).summary(n=50)
    # 20 volunteers: errors .3, .3, 0; 40 volunteers: .2, .2, 0
    expected = np.sqrt((20 * 2 * 0.09 / 3 + 40 * 2 * 0.04 / 3) / 60)
    assert found["t01_smooth_or_features"]["rmse"] == pytest.approx(expected, rel=1e-5)
    assert found["t02_edgeon"]["rmse"] == pytest.approx(0.2, rel=1e-5)
    assert found["t02_edgeon"]["galaxies"] == 1
    assert found["t02_edgeon"]["votes"] == 10
    assert found["all"]["rmse"] == pytest.approx(np.sqrt((60 * expected**2 + 10 * 0.04) / 70), rel=1e-5)
    low, high = found["t01_smooth_or_features"]["rmse_ci"]
    assert low < expected < high
    assert list(found) == ["t01_smooth_or_features", "t02_edgeon", "all"]


def test_likelihood_is_the_mean_over_the_galaxies_asked() -> None:
    found = score_votes(VOTES, _fractions(0.8, 0.7), ALPHA).summary(n=50)
    first = [dirichlet_multinomial.logpmf(row, [2, 2, 2], sum(row)) for row in ([10, 10, 0], [40, 0, 0])]
    edge = dirichlet_multinomial.logpmf([5, 5], [2, 2], 10)
    assert found["t01_smooth_or_features"]["log_likelihood"] == pytest.approx(np.mean(first))
    assert found["t02_edgeon"]["log_likelihood"] == pytest.approx(edge)
    assert found["all"]["log_likelihood"] == pytest.approx((sum(first) + edge) / 2)


def test_noise_is_the_error_of_the_truth() -> None:
    rng = np.random.default_rng(0)
    rows = [(list(rng.multinomial(15, [0.5, 0.3, 0.2])), [0, 0]) for _ in range(4000)]
    truth = np.full((4000, len(TREE.stems)), 0.5)
    truth[:, FIRST] = [0.5, 0.3, 0.2]
    found = score_votes(_votes(rows), truth, np.full_like(truth, 2)).summary(n=2)["t01_smooth_or_features"]
    assert found["noise"] == pytest.approx(found["rmse"], rel=0.02)


def test_better_prediction_differs_from_worse_on_same_galaxies() -> None:
    rows = [([18, 2, 0], [1, 1]), ([16, 4, 0], [1, 1]), ([19, 1, 0], [1, 1])] * 20
    votes, fractions = _votes(rows), np.tile(_fractions(0.9, 0.5)[:1], (60, 1))
    good = score_votes(votes, fractions, 30 * fractions + 0.1)
    bad = score_votes(votes, np.tile(_fractions(0.4, 0.5)[:1], (60, 1)), np.full((60, len(TREE.stems)), 2.0))
    difference = good.minus(bad, n=200)["t01_smooth_or_features"]
    assert difference["rmse"][0] < difference["rmse"][2] < 0
    assert difference["log_likelihood"][1] > 0
    with pytest.raises(ValueError, match="other votes"):
        good.minus(score_votes(VOTES, _fractions(0.5, 0.5), ALPHA))
