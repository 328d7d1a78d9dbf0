"""The parts of a query each have their say."""

from __future__ import annotations

import numpy as np
import pytest

from galaxalign.gallery.scoring import combine_scores


def test_part_with_large_cosines_does_not_drown_one_with_small() -> None:
    # Pictures answer with cosines around 0.9 that vary widely, words around 0.2 that vary little.
    image = np.array([0.95, 0.90, 0.60, 0.55])
    words = np.array([0.199, 0.215, 0.216, 0.200])
    scores = combine_scores(np.stack([image, words], axis=1), np.array([1.0, 1.0]))
    assert scores.argmax() == 1
    assert (image + words).argmax() == 0


def test_scaling_and_shifting_a_part_changes_nothing() -> None:
    cosines = np.random.default_rng(1).normal(size=(40, 2))
    weights = np.array([1.0, 0.5])
    expected = combine_scores(cosines, weights)
    np.testing.assert_allclose(combine_scores(cosines * [0.01, 3] + [0.9, -0.2], weights), expected)


def test_not_takes_away_but_never_rewards() -> None:
    wanted = np.array([1.0, 0.9, 0.0, 0.0])
    unwanted = np.array([1.0, 0.0, 0.0, -9.0])
    scores = combine_scores(np.stack([wanted, unwanted], axis=1), np.array([1.0, -1.0]))
    assert scores.argmax() == 1
    plain = combine_scores(np.stack([wanted, wanted], axis=1), np.array([1.0, 1.0]))
    assert (scores <= plain / 2 + 1e-12).all()
    assert scores[3] == pytest.approx(plain[3] / 2)


def test_a_part_that_cannot_tell_galaxies_apart_says_nothing() -> None:
    cosines = np.stack([np.linspace(0, 1, 5), np.full(5, 0.3)], axis=1)
    scores = combine_scores(cosines, np.array([1.0, 1.0]))
    assert np.isfinite(scores).all()
    assert (np.diff(scores) > 0).all()
