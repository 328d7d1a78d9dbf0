"""Search is exact, and several parts of a query each have their say."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from galaxalign.analysis import search
from galaxalign.analysis.embeddings import Embeddings
from galaxalign.analysis.search import Entry, combine_scores, search_vectors
from galaxalign.errors import InputError


def gallery(vectors: np.ndarray, broken: tuple[int, ...] = ()) -> Embeddings:
    unit = np.asarray(vectors, dtype=np.float32)
    unit = unit / np.linalg.norm(unit, axis=1, keepdims=True)
    status = ["ok"] * len(unit)
    for row in broken:
        unit[row], status[row] = 0, "zero bytes"
    return Embeddings([f"g{row}" for row in range(len(unit))], unit, status, {})


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 1000), n=st.integers(1, 60), k=st.integers(1, 70), chunk=st.sampled_from([7, 1000]))
def test_a_single_query_ranks_by_cosine(seed: int, n: int, k: int, chunk: int) -> None:
    rng = np.random.default_rng(seed)
    embeddings, query = gallery(rng.normal(size=(n, 5))), rng.normal(size=5)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(search, "_CHUNK", chunk)
        found = search_vectors(embeddings, query, k=k)
    cosines = embeddings.vectors @ (query / np.linalg.norm(query))
    order = np.argsort(-cosines)[:k]
    assert [entry.id_str for entry in found] == [f"g{row}" for row in order]
    assert [entry.rank for entry in found] == list(range(1, min(n, k) + 1))
    np.testing.assert_allclose([entry.score for entry in found], cosines[order], atol=1e-6)


def test_ties_come_in_the_order_of_the_file() -> None:
    embeddings = gallery(np.array([[0, 1], [1, 0], [1, 0], [1, 0], [1, 0]]))
    assert [entry.id_str for entry in search_vectors(embeddings, np.array([1, 0]), k=3)] == ["g1", "g2", "g3"]


def test_the_query_itself_and_broken_images_are_not_found() -> None:
    embeddings = gallery(np.array([[1, 0], [1, 0.1], [1, 0.2], [0, 1]]), broken=(1,))
    found = search_vectors(embeddings, embeddings.vector("g0"), k=10, exclude_ids=["g0"])
    assert [entry.id_str for entry in found] == ["g2", "g3"]
    assert found[0] == Entry(1, "g2", pytest.approx(1 / np.sqrt(1.04)))


def test_excluding_does_not_change_the_scores_of_others() -> None:
    rng = np.random.default_rng(0)
    embeddings, parts = gallery(rng.normal(size=(30, 4))), rng.normal(size=(2, 4))
    every = {entry.id_str: entry.score for entry in search_vectors(embeddings, parts, k=30)}
    some = {e.id_str: e.score for e in search_vectors(embeddings, parts, k=30, exclude_ids={"g3", "g4"})}
    assert some == {name: score for name, score in every.items() if name not in {"g3", "g4"}}


def test_a_part_with_large_cosines_does_not_drown_one_with_small() -> None:
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


def test_search_with_not_finds_the_wanted_without_the_unwanted() -> None:
    rng = np.random.default_rng(2)
    barred, merging = rng.random(200) < 0.3, rng.random(200) < 0.3
    embeddings = gallery(np.stack([barred, merging, np.ones(200)], axis=1) + 0.1 * rng.normal(size=(200, 3)))
    found = search_vectors(embeddings, np.eye(3)[:2], [1.0, -1.0], k=20)
    rows = [int(entry.id_str[1:]) for entry in found]
    assert barred[rows].all()
    assert not merging[rows].any()


@pytest.mark.parametrize(
    ("query", "weights", "k", "message"),
    [
        (np.eye(2), [-1, -1], 5, "only says what is not wanted"),
        (np.eye(2), None, 0, "at least 1"),
        (np.eye(3), None, 5, "3 dimensions but the embeddings have 2"),
        (np.zeros(2), None, 5, "zero or not finite"),
        (np.array([np.nan, 1]), None, 5, "zero or not finite"),
    ],
)
def test_a_query_that_makes_no_sense_is_refused(
    query: np.ndarray, weights: list[float] | None, k: int, message: str
) -> None:
    with pytest.raises(InputError, match=message):
        search_vectors(gallery(np.eye(2)), query, weights, k)


def test_an_empty_gallery_gives_no_answer() -> None:
    assert search_vectors(gallery(np.ones((1, 2)), broken=(0,)), np.eye(2)) == []
