"""Metrics agree with scikit-learn and torchmetrics, and intervals are what bootstrap says they are."""

from __future__ import annotations

import json
import tracemalloc

import numpy as np
import pytest
import torch
from hypothesis import given, settings, strategies as st
from sklearn import metrics as sk
from torchmetrics.functional.classification import multiclass_calibration_error
from torchmetrics.retrieval import RetrievalHitRate, RetrievalMAP

from galaxalign.errors import InputError
from galaxalign.evaluation import retrieval
from galaxalign.evaluation.metrics import (
    RetrievalScores,
    bootstrap_intervals,
    bootstrap_mean,
    classification_metrics,
    evaluate_predictions,
    paired_difference,
    retrieval_intervals,
    retrieval_scores,
)
from galaxalign.evaluation.retrieval import retrieval_metrics


def random_predictions(seed: int, n: int, classes: int, *, ties: bool = False) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    truth = rng.integers(0, classes, n)
    logits = rng.normal(size=(n, classes)) + 1.5 * np.eye(classes)[truth]
    if ties:
        logits = np.round(logits)
    probabilities = np.exp(logits)
    return truth, probabilities / probabilities.sum(axis=1, keepdims=True)


def names(classes: int) -> list[str]:
    return [f"class_{k}" for k in range(classes)]


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 10_000), n=st.integers(1, 60), classes=st.integers(2, 6), ties=st.booleans())
def test_classification_agrees_with_scikit_learn(seed: int, n: int, classes: int, ties: bool) -> None:
    truth, probabilities = random_predictions(seed, n, classes, ties=ties)
    result = classification_metrics(truth, probabilities, names(classes))
    guess = probabilities.argmax(axis=1)
    present = np.unique(truth)
    assert result["accuracy"] == pytest.approx(sk.accuracy_score(truth, guess))
    expected = sk.f1_score(truth, guess, labels=present, average="macro", zero_division=0)
    assert result["macro_f1"] == pytest.approx(expected)
    recall = sk.recall_score(truth, guess, labels=present, average="macro", zero_division=0)
    assert result["balanced_accuracy"] == pytest.approx(recall)
    onehot = np.eye(classes)[truth]
    assert result["brier"] == pytest.approx(((probabilities - onehot) ** 2).sum(axis=1).mean())
    table = sk.precision_recall_fscore_support(truth, guess, labels=range(classes), zero_division=0)
    for k, entry in enumerate(result["per_class"].values()):
        assert list(entry.values()) == pytest.approx([column[k] for column in table])
    assert result["confusion"] == sk.confusion_matrix(truth, guess, labels=range(classes)).tolist()


def test_calibration_error_agrees_with_torchmetrics() -> None:
    truth, probabilities = random_predictions(3, 4000, 5)
    expected = multiclass_calibration_error(
        torch.tensor(probabilities), torch.tensor(truth), num_classes=5, n_bins=15, norm="l1"
    )
    result = classification_metrics(truth, probabilities, names(5))
    assert result["ece"] == pytest.approx(float(expected), abs=1e-6)


def test_calibration_error_of_certain_predictions_is_error_rate() -> None:
    truth = np.array([0, 0, 0, 1])
    assert classification_metrics(truth, np.eye(2)[[0, 0, 1, 1]], names(2))["ece"] == pytest.approx(0.25)


def test_class_without_support_is_left_out_of_the_averages_only() -> None:
    truth, guess = np.array([0, 0, 1, 1]), np.array([0, 2, 1, 1])
    result = classification_metrics(truth, np.eye(3)[guess], names(3))
    assert result["balanced_accuracy"] == pytest.approx((0.5 + 1) / 2)
    assert result["macro_f1"] == pytest.approx((2 / 3 + 1) / 2)
    assert result["per_class"]["class_2"] == {"precision": 0, "recall": 0, "f1": 0, "support": 0}


def reference_retrieval(vectors: np.ndarray, labels: np.ndarray) -> tuple[np.ndarray, float]:
    """Average precisions by scikit-learn and mAP@5 by torchmetrics."""
    unit = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    similarity = (unit @ unit.T).astype(np.float32)
    precision, at_5 = np.full(len(labels), np.nan), RetrievalMAP(top_k=5)
    for query in range(len(labels)):
        others = np.arange(len(labels)) != query
        relevant, score = labels[others] == labels[query], similarity[query, others]
        if relevant.any():
            precision[query] = sk.average_precision_score(relevant, score)
        index = torch.full((len(score),), query)
        at_5.update(torch.tensor(score) + 1.5, torch.tensor(relevant), indexes=index)
    return precision, float(at_5.compute())


@settings(max_examples=15, deadline=None)
@given(
    seed=st.integers(0, 10_000),
    n=st.integers(2, 50),
    classes=st.integers(1, 5),
    chunk=st.sampled_from([1, 7, 64]),
)
def test_retrieval_agrees_with_scikit_learn_and_torchmetrics(seed: int, n: int, classes: int, chunk: int) -> None:
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, classes, n)
    vectors = (rng.normal(size=(n, 8)) + 0.7 * np.eye(8)[labels]).astype(np.float32)
    precision, at_5 = reference_retrieval(vectors, labels)
    scores = retrieval_scores(vectors, labels, chunk=chunk)
    np.testing.assert_allclose(scores.average_precision, precision, rtol=1e-5)
    result = retrieval_metrics(vectors, labels, chunk=chunk)
    assert result["map_at_5"] == pytest.approx(at_5, abs=1e-5)
    if np.isfinite(precision).any():
        assert result["map"] == pytest.approx(np.nanmean(precision))


@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 10_000), n=st.integers(4, 50), classes=st.integers(1, 5))
def test_map_and_recall_agree_with_torchmetrics(seed: int, n: int, classes: int) -> None:
    rng = np.random.default_rng(seed)
    labels = np.r_[0, 0, rng.integers(0, classes, n - 2)]
    vectors = (rng.normal(size=(n, 8)) + 0.7 * np.eye(8)[labels]).astype(np.float32)
    unit = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    others = ~np.eye(n, dtype=bool)
    # Above 0, because torchmetrics takes what scores less for irrelevant.
    score = torch.tensor(1.5 + (unit @ unit.T)[others])
    relevant = torch.tensor((labels[:, None] == labels)[others])
    query = torch.arange(n).repeat_interleave(n - 1)
    result = retrieval_metrics(vectors, labels)
    whole = RetrievalMAP(empty_target_action="skip")(score, relevant, indexes=query)
    assert result["map"] == pytest.approx(float(whole), abs=1e-5)
    for k in (1, 5, 10):
        hit = RetrievalHitRate(top_k=k, empty_target_action="skip")(score, relevant, indexes=query)
        assert result[f"recall_at_{k}"] == pytest.approx(float(hit), abs=1e-5)


def test_what_each_query_adds_gives_the_means() -> None:
    rng = np.random.default_rng(4)
    labels = np.r_[rng.integers(0, 3, 60), 3]  # the last is alone in its class
    scores = retrieval_scores(rng.normal(size=(61, 4)), labels)
    summary = scores.summary()
    for name in ("map", "map_at_5", "recall_at_1", "recall_at_5", "recall_at_10"):
        assert summary[name] == pytest.approx(np.nanmean(scores.of(name)))
    assert np.isnan(scores.of("recall_at_5")[-1])
    assert scores.of("map_at_5")[-1] == 0
    with pytest.raises(ValueError, match="known are map, map_class_mean"):
        scores.of("recall_at_3")


def test_order_catalogue_and_length_of_vectors_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retrieval, "_ROWS", 64)  # so that these are more rows than are normalised at once
    rng = np.random.default_rng(5)
    labels = rng.integers(0, 3, 500)
    vectors = (rng.normal(size=(500, 4)) + np.eye(4)[labels]).astype(np.float32)
    given, order = vectors.copy(), rng.permutation(500)
    scores = retrieval_scores(vectors, labels)
    again = retrieval_scores(vectors[order] * rng.uniform(0.1, 10, (500, 1)).astype(np.float32), labels[order])
    np.testing.assert_array_equal(vectors, given)
    np.testing.assert_allclose(again.average_precision, scores.average_precision[order], atol=1e-4)
    assert (again.first_hit == scores.first_hit[order]).mean() > 0.99  # rounding may swap two neighbours


def test_a_large_gallery_is_held_once_beside_the_callers() -> None:
    rng = np.random.default_rng(6)
    vectors = rng.standard_normal((100_000, 64), dtype=np.float32)
    tracemalloc.start()
    retrieval._normalised(retrieval._finite(vectors)[rng.permutation(100_000)])
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert vectors.nbytes <= peak < 1.4 * vectors.nbytes


def test_tied_similarities_score_as_in_scikit_learn() -> None:
    # Vectors along axes: every similarity is exactly 0 or 1, so nearly everything is tied.
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 3, 60)
    vectors = np.eye(4, dtype=np.float32)[np.where(rng.random(60) < 0.7, labels, 3)]
    precision, _ = reference_retrieval(vectors, labels)
    np.testing.assert_allclose(retrieval_scores(vectors, labels).average_precision, precision, rtol=1e-6)


def test_collapsed_encoder_gains_nothing_from_sorted_rows() -> None:
    labels = np.repeat(np.arange(10), 60)
    result = retrieval_metrics(np.ones((600, 4)), labels)
    assert result["map"] == pytest.approx(59 / 599)
    assert result["recall_at_1"] < 0.2
    assert result["map_at_5"] < 0.35  # chance is about .2; storage order would give class 0 a full 1


def test_lone_galaxy_of_class_counts_in_map_at_5_but_not_in_map() -> None:
    vectors = np.array([[1, 0], [1, 0.1], [0, 1]])
    result = retrieval_metrics(vectors, np.array([0, 0, 1]))
    assert result["map"] == pytest.approx(1.0)
    assert result["map_at_5"] == pytest.approx(2 / 3)


def test_map_class_mean_weighs_classes_alike() -> None:
    rng = np.random.default_rng(1)
    labels = np.repeat([0, 1], [90, 10])
    scores = retrieval_scores(rng.normal(size=(100, 3)), labels)
    expected = (scores.average_precision[:90].mean() + scores.average_precision[90:].mean()) / 2
    assert scores.summary()["map_class_mean"] == pytest.approx(expected)


def test_recall_at_k_asks_for_one_relevant_among_the_first_k() -> None:
    angles = np.deg2rad([0, 1, 3, 50])
    vectors = np.stack([np.cos(angles), np.sin(angles)], axis=1)
    scores = retrieval_scores(vectors, np.array([0, 1, 0, 1]))
    assert scores.first_hit.tolist() == [2, 3, 2, 2]
    assert scores.summary()["recall_at_1"] == 0
    assert scores.summary()["recall_at_5"] == 1


def test_retrieval_refuses_what_would_be_quietly_wrong() -> None:
    good = np.eye(3)
    with pytest.raises(InputError, match="row 1 is zero or not finite"):
        retrieval_metrics(np.array([[1, 0], [0, 0], [0, 1.0]]), np.zeros(3, int))
    with pytest.raises(InputError, match="1 of 3 galaxies have no label"):
        retrieval_metrics(good, np.array([0, -1, 0]))


def test_bootstrap_of_accuracy_has_the_binomial_width() -> None:
    truth, probabilities = random_predictions(5, 2000, 4)
    low, high = bootstrap_intervals(truth, probabilities)["accuracy"]
    share = (probabilities.argmax(axis=1) == truth).mean()
    assert low < share < high
    assert high - low == pytest.approx(2 * 1.96 * np.sqrt(share * (1 - share) / 2000), rel=0.1)


def test_macro_f1_interval_agrees_with_resampling_row_by_row() -> None:
    truth, probabilities = random_predictions(6, 150, 3)
    guess, rng = probabilities.argmax(axis=1), np.random.default_rng(9)
    slow = []
    for _ in range(600):
        rows = rng.integers(0, 150, 150)
        slow.append(sk.f1_score(truth[rows], guess[rows], average="macro"))
    expected = np.percentile(slow, [2.5, 97.5])
    np.testing.assert_allclose(bootstrap_intervals(truth, guess)["macro_f1"], expected, atol=0.02)


def test_intervals_hold_their_estimate_and_repeat_with_the_seed() -> None:
    truth, probabilities = random_predictions(7, 400, 5)
    point = classification_metrics(truth, probabilities, names(5))
    first = bootstrap_intervals(truth, probabilities, seed=3)
    assert first == bootstrap_intervals(truth, probabilities, seed=3)
    for name, (low, high) in first.items():
        assert low < point[name] < high


def test_rows_of_a_group_are_drawn_together() -> None:
    # Every galaxy ten times: ungrouped, the interval would pretend to ten times the evidence.
    truth, probabilities = random_predictions(8, 100, 3)
    repeated = np.repeat(np.arange(100), 10)
    once = bootstrap_intervals(truth, probabilities)["accuracy"]
    grouped = bootstrap_intervals(truth[repeated], probabilities[repeated], groups=repeated)["accuracy"]
    loose = bootstrap_intervals(truth[repeated], probabilities[repeated])["accuracy"]
    np.testing.assert_allclose(grouped, once)
    assert loose[1] - loose[0] < 0.5 * (once[1] - once[0])


def test_intervals_retrieval_agree_resampling_query_by_query() -> None:
    rng = np.random.default_rng(14)
    labels = np.repeat([0, 1, 2], [100, 40, 10])
    scores = retrieval_scores(rng.normal(size=(150, 4)) + np.eye(4)[labels], labels)
    found = retrieval_intervals(scores)
    slow: dict[str, list[float]] = {name: [] for name in found}
    for _ in range(1000):
        rows = rng.integers(0, 150, 150)
        drawn = RetrievalScores(
            scores.average_precision[rows], scores.average_precision_at_5[rows], scores.first_hit[rows], labels[rows]
        )
        for name, value in drawn.summary().items():
            slow[name].append(value)
    assert list(found) == list(scores.summary())
    for name, interval in found.items():
        np.testing.assert_allclose(interval, np.percentile(slow[name], [2.5, 97.5]), atol=0.015)
    assert found["map"] == pytest.approx(bootstrap_mean(scores.average_precision), rel=1e-12)


def test_queries_of_a_group_are_drawn_together() -> None:
    rng = np.random.default_rng(15)
    labels = rng.integers(0, 3, 80)
    once = retrieval_scores(rng.normal(size=(80, 4)) + np.eye(4)[labels], labels)
    rows = np.repeat(np.arange(80), 5)
    repeated = RetrievalScores(
        once.average_precision[rows], once.average_precision_at_5[rows], once.first_hit[rows], labels[rows]
    )
    grouped, alone = retrieval_intervals(repeated, groups=rows), retrieval_intervals(once)
    for name, interval in alone.items():
        np.testing.assert_allclose(grouped[name], interval)


def test_bootstrap_mean_leaves_unanswered_queries_out() -> None:
    values = np.r_[np.random.default_rng(0).random(300), np.full(50, np.nan)]
    low, high = bootstrap_mean(values)
    assert low < np.nanmean(values) < high
    assert high - low == pytest.approx(2 * 1.96 * np.nanstd(values) / np.sqrt(300), rel=0.15)


@pytest.mark.parametrize("metric", ["accuracy", "macro_f1", "balanced_accuracy", "brier", "ece"])
def test_a_method_does_not_differ_from_itself(metric: str) -> None:
    truth, probabilities = random_predictions(10, 200, 3)
    assert paired_difference(metric, probabilities, probabilities, y_true=truth) == (0, 0, 0)  # type: ignore[arg-type]


def test_pairing_finds_a_small_difference_between_like_methods() -> None:
    truth, probabilities = random_predictions(11, 1000, 4)
    worse = probabilities.copy()
    right = np.flatnonzero(probabilities.argmax(axis=1) == truth)[:20]
    worse[right] = np.eye(4)[(truth[right] + 1) % 4]
    difference, low, high = paired_difference("accuracy", probabilities, worse, y_true=truth)
    assert difference == pytest.approx(0.02)
    assert 0 < low < difference < high < 0.04
    by_class = paired_difference("macro_f1", probabilities.argmax(1), worse.argmax(1), y_true=truth)
    assert by_class[0] > 0


def test_paired_map_uses_the_scores_of_the_queries() -> None:
    rng = np.random.default_rng(12)
    labels = rng.integers(0, 3, 120)
    signal = np.eye(3)[labels]
    good = retrieval_scores(rng.normal(size=(120, 3)) + 3 * signal, labels)
    bad = retrieval_scores(rng.normal(size=(120, 3)), labels)
    difference, low, high = paired_difference("map", good.average_precision, bad.average_precision)
    assert difference == pytest.approx(good.summary()["map"] - bad.summary()["map"])
    assert 0 < low < difference < high


def test_paired_recall_and_class_mean() -> None:
    rng = np.random.default_rng(16)
    labels = rng.integers(0, 3, 120)
    good = retrieval_scores(rng.normal(size=(120, 3)) + 3 * np.eye(3)[labels], labels)
    bad = retrieval_scores(rng.normal(size=(120, 3)), labels)
    for metric in ("map_class_mean", "recall_at_1"):
        difference, low, high = paired_difference(
            metric,  # type: ignore[arg-type]
            good.of(metric),
            bad.of(metric),
            y_true=labels,
        )
        assert difference == pytest.approx(good.summary()[metric] - bad.summary()[metric])
        assert 0 < low < difference < high


def test_paired_difference_refuses_methods_cannot_be_compared() -> None:
    with pytest.raises(ValueError, match="needs y_true"):
        paired_difference("accuracy", np.zeros(3, int), np.zeros(3, int))
    with pytest.raises(ValueError, match="map_class_mean needs y_true"):
        paired_difference("map_class_mean", np.zeros(3), np.zeros(3))
    with pytest.raises(ValueError, match="unknown metric 'f1'"):
        paired_difference("f1", np.zeros(3, int), np.zeros(3, int))  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="same galaxies"):
        paired_difference("map", np.array([0.5, np.nan]), np.array([0.5, 0.5]))
    with pytest.raises(ValueError, match="needs probabilities"):
        paired_difference("ece", np.zeros(3, int), np.zeros(3, int), y_true=np.zeros(3, int))


def test_evaluation_is_what_metrics_json_holds() -> None:
    truth, probabilities = random_predictions(13, 200, 3)
    truth[:5] = -1
    vectors = np.log(probabilities)
    result = evaluate_predictions(
        truth,
        probabilities,
        names(3),
        vectors=vectors,
        n_failed=2,
    )
    assert (result["n"], result["n_failed"], result["n_unlabelled"]) == (195, 2, 5)
    for name in ("accuracy", "macro_f1", "balanced_accuracy", "ece", "brier", "map", "map_class_mean", "map_at_5"):
        low, high = result[f"{name}_ci"]
        assert low < result[name] < high
    for k in (1, 5, 10):
        low, high = result[f"recall_at_{k}_ci"]
        assert low <= result[f"recall_at_{k}"] <= high
    assert set(result["per_class"]) == set(names(3))
    json.dumps(result, allow_nan=False)


def test_evaluation_without_neighbours_or_labels() -> None:
    probabilities = np.eye(3)
    alone = evaluate_predictions(np.arange(3), probabilities, names(3), vectors=np.eye(3))
    ranking = ("map", "map_class_mean", "map_at_5", "recall_at_1", "recall_at_5", "recall_at_10")
    without = evaluate_predictions(np.arange(3), probabilities, names(3))
    for result in (alone, without):
        assert [result[name] for name in ranking] == [None] * 6
        assert "map_at_5_ci" not in result
    json.dumps(alone, allow_nan=False)
    with pytest.raises(InputError, match="none of the 3 readable galaxies has a label"):
        evaluate_predictions(np.full(3, -1), probabilities, names(3))
    with pytest.raises(InputError, match="row 1 is not finite"):
        classification_metrics(np.zeros(2), np.array([[1, 0], [np.nan, 1]]), names(2))
