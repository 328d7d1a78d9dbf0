"""Vote fractions from embeddings: fitted ones find what the votes say, and words know the answers apart."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from galaxalign.errors import InputError
from galaxalign.models.vote_head import (
    VoteHead,
    calibrate_votes,
    fit_vote_head,
    vote_columns,
    zero_shot_votes,
)
from galaxalign.morphology.captions import answer_prompts
from galaxalign.morphology.taxonomy import load_taxonomy
from galaxalign.morphology.votes import Votes

TREE = load_taxonomy("galaxy_zoo_2").tree
SMOOTH, ROUND = 0, TREE.stems.index("t07_rounded_a16_completely_round")


def _survey(n: int, seed: int, width: int = 16) -> tuple[np.ndarray, Votes]:
    """Return unit vectors, and votes by forty volunteers whose chances of "smooth" and "round" the vectors tell."""
    rng = np.random.default_rng(seed)
    vectors = rng.normal(size=(n, width))
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    truth = np.zeros((n, len(TREE.stems)))
    for part in TREE.slices:
        truth[:, part] = 1 / (part.stop - part.start)
    smooth = 1 / (1 + np.exp(-8 * vectors[:, 0]))
    truth[:, TREE.slices[0]] = np.stack([0.95 * smooth, 0.95 * (1 - smooth), np.full(n, 0.05)], axis=1)
    round_ = 1 / (1 + np.exp(-8 * vectors[:, 1]))
    truth[:, ROUND : ROUND + 3] = np.stack([0.9 * round_, 0.9 * (1 - round_), np.full(n, 0.1)], axis=1)
    counts = np.zeros_like(truth)
    asked = np.round(40 * TREE.asked(truth)).astype(int)
    for question, part in enumerate(TREE.slices):
        counts[:, part] = [rng.multinomial(k, p) for k, p in zip(asked[:, question], truth[:, part], strict=True)]
    voters = np.stack([counts[:, part].sum(1) for part in TREE.slices], axis=1)
    with np.errstate(invalid="ignore"):
        fractions = counts / TREE.spread(voters)
    return vectors.astype(np.float32), Votes(TREE, fractions.astype(np.float32), voters.astype(np.float32), "count")


@pytest.fixture(scope="module")
def fitted() -> VoteHead:
    return fit_vote_head(_survey(300, 0), _survey(100, 1), penalties=(1.0, 0.1))


def _error(fractions: np.ndarray, votes: Votes, column: int) -> float:
    return float(np.sqrt(np.nanmean((fractions[:, column] - votes.fractions[:, column]) ** 2)))


def test_a_fitted_head_finds_the_votes_of_new_galaxies(fitted: VoteHead) -> None:
    vectors, votes = _survey(200, 2)
    fractions = fitted.fractions(vectors)
    mean = np.tile(np.nanmean(_survey(300, 0)[1].fractions, axis=0), (200, 1))
    for column in (SMOOTH, ROUND):
        assert _error(fractions, votes, column) < 0.6 * _error(mean, votes, column)
    for part in TREE.slices:
        np.testing.assert_allclose(fractions[:, part].sum(1), 1, rtol=1e-5)
    values = fitted.concentrations(vectors)
    assert values.min() >= 1
    assert values.max() <= 101
    assert (fitted.n_train, fitted.n_validation) == (300, 100)
    assert fitted.settings["penalty"] in (1.0, 0.1)


def test_the_same_votes_give_the_same_head(fitted: VoteHead) -> None:
    again = fit_vote_head(_survey(300, 0), _survey(100, 1), penalties=(1.0, 0.1))
    np.testing.assert_array_equal(again.weights, fitted.weights)


def test_galaxies_without_votes_are_left_out(fitted: VoteHead) -> None:
    vectors, votes = _survey(300, 0)
    empty = Votes(TREE, np.full_like(votes.fractions[:5], np.nan), np.zeros_like(votes.voters[:5]), "count")
    both = Votes(
        TREE,
        np.concatenate([votes.fractions, empty.fractions]),
        np.concatenate([votes.voters, empty.voters]),
        "count",
    )
    head = fit_vote_head((np.concatenate([vectors, -vectors[:5]]), both), _survey(100, 1), penalties=(1.0, 0.1))
    np.testing.assert_allclose(head.weights, fitted.weights, rtol=1e-5, atol=1e-6)
    with pytest.raises(InputError, match="no galaxy of the validation part has votes"):
        fit_vote_head((vectors, votes), (vectors[:5], empty))


def test_fractions_of_unknown_number_of_volunteers_need_number() -> None:
    vectors, votes = _survey(60, 0)
    silent = Votes(TREE, votes.fractions, np.where(votes.voters > 0, np.nan, 0).astype(np.float32), "share")
    with pytest.raises(InputError, match="--voters"):
        fit_vote_head((vectors, silent), (vectors, silent))
    assert fit_vote_head((vectors, silent), (vectors, silent), voters=40, penalties=(1.0,)).n_train == 60


def test_a_head_survives_saving(fitted: VoteHead) -> None:
    vectors, _ = _survey(20, 3)
    again = VoteHead.from_dict(fitted.to_dict(), fitted.arrays())
    assert again.tree == fitted.tree
    assert again.to_dict() == fitted.to_dict()
    np.testing.assert_array_equal(again.fractions(vectors), fitted.fractions(vectors))
    with pytest.raises(InputError, match="lacks 'questions'"):
        VoteHead.from_dict({k: v for k, v in fitted.to_dict().items() if k != "questions"}, fitted.arrays())
    with pytest.raises(InputError, match="37 answers but arrays of shape"):
        VoteHead.from_dict(fitted.to_dict(), {"weights": fitted.weights[:5], "bias": fitted.bias[:5]})


def test_embeddings_of_another_model_are_refused(fitted: VoteHead) -> None:
    with pytest.raises(InputError, match="16 dimensions"):
        fitted.fractions(np.ones((3, 8)))


def _encode(texts: list[str]) -> torch.Tensor:
    """Return unit vectors that tell the answers apart: one axis for each."""
    known = [set(answer_prompts(answer)) for answer in TREE.answers]
    vectors = torch.zeros(len(texts), len(known))
    for row, text in enumerate(texts):
        vectors[row, [text in prompts for prompts in known]] = 1
    return torch.nn.functional.normalize(vectors, dim=1)


def test_words_give_each_answer_the_galaxies_that_fit_it() -> None:
    head = zero_shot_votes(TREE, _encode, logit_scale=10.0)
    galaxies = np.eye(len(TREE.stems), dtype=np.float32)
    fractions = head.fractions(galaxies)
    for part in TREE.slices:
        np.testing.assert_allclose(fractions[:, part].sum(1), 1, rtol=1e-5)
    for column in range(len(TREE.stems)):
        assert fractions[:, column].argmax() == column
    assert "not calibrated" in head.about
    with pytest.raises(InputError, match="without a spread"):
        head.concentrations(galaxies)


def test_one_temperature_makes_words_as_sure_as_the_votes() -> None:
    head = zero_shot_votes(TREE, _encode, logit_scale=100.0)
    galaxies = np.eye(len(TREE.stems), dtype=np.float32)[: 2 * 3]
    blunt = VoteHead("prompts", TREE, head.weights / 25, head.bias)
    votes = Votes(TREE, blunt.fractions(galaxies), np.full((6, len(TREE.questions)), 40, np.float32), "fraction")
    assert calibrate_votes(head, galaxies, votes).temperature == pytest.approx(25, rel=1e-3)


def test_columns_say_how_many_come_to_each_question(fitted: VoteHead) -> None:
    fractions = fitted.fractions(_survey(4, 5)[0])
    fractions[2] = np.nan
    columns = vote_columns(TREE, fractions)
    assert list(columns)[:4] == [
        "t01_smooth_or_features_asked",
        "t01_smooth_or_features_a01_smooth_fraction",
        "t01_smooth_or_features_a02_features_or_disk_fraction",
        "t01_smooth_or_features_a03_star_or_artifact_fraction",
    ]
    assert len(columns) == 11 + 37
    np.testing.assert_allclose(
        columns["t07_rounded_asked"], columns["t01_smooth_or_features_a01_smooth_fraction"], rtol=1e-6
    )
    assert (columns["t01_smooth_or_features_asked"][[0, 1, 3]] == 1).all()
    assert all(np.isnan(values[2]) for values in columns.values())
