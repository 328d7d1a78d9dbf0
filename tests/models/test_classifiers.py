"""The classifier is chosen on validation data only, calibrated, and survives saving."""

from __future__ import annotations

import json
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file
from sklearn.linear_model import LogisticRegression

from galaxalign.errors import InputError
from galaxalign.models.classifier_choice import ClassVectors, compare_classifiers
from galaxalign.models.classifiers import (
    CLASSIFIERS,
    ClassifierChoice,
    prototypes,
    zero_shot,
)

NAMES = ("elliptical", "spiral", "merger")
Labelled = tuple[np.ndarray, np.ndarray]


def unit(vectors: np.ndarray) -> np.ndarray:
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)


def galaxies(seed: int, n: int, *, noise: float = 0.6, shares: tuple[float, ...] = (1 / 3, 1 / 3, 1 / 3)) -> Labelled:
    """Embeddings around three axes of an eight-dimensional space."""
    rng = np.random.default_rng(seed)
    labels = rng.choice(3, n, p=shares)
    return unit(np.eye(8)[labels] + noise * rng.normal(size=(n, 8))), labels


AXES = np.eye(8, dtype=np.float32)[:3]
TURNED = np.eye(8, dtype=np.float32)[[1, 2, 0]]


def choose_classifier(train: Labelled | None, validation: Labelled, **settings: Any) -> ClassifierChoice:
    """Return the choice, with all settings by keyword."""
    names = {field.name for field in fields(ClassVectors)}
    classes = ClassVectors(**{key: value for key, value in settings.items() if key in names})
    options = {key: value for key, value in settings.items() if key not in names}
    name, choices = compare_classifiers(train, validation, classes, **options)
    return choices[name]


def accuracy(choice: ClassifierChoice, data: Labelled) -> float:
    return float((choice.predict_proba(data[0]).argmax(axis=1) == data[1]).mean())


def test_good_prompts_win_over_bad_symbols_and_the_reverse() -> None:
    data = galaxies(0, 300)
    settings: dict[str, Any] = {"class_names": NAMES, "logit_scale": 10, "prior_strengths": (0,)}
    two = ("prompts", "symbols")
    words = choose_classifier(None, data, prompts=AXES, symbols=TURNED, candidates=two, **settings)
    pictures = choose_classifier(None, data, prompts=TURNED, symbols=AXES, candidates=two, **settings)
    assert (words.name, pictures.name) == ("prompts", "symbols")
    assert accuracy(words, galaxies(1, 300)) > 0.8


def test_both_wins_where_words_and_symbols_each_know_a_part() -> None:
    # Words cannot tell spiral from merger, symbols cannot tell elliptical from spiral.
    words = unit(np.array([AXES[0], AXES[1] + AXES[2], AXES[1] + AXES[2]]))
    pictures = unit(np.array([AXES[0] + AXES[1], AXES[0] + AXES[1], AXES[2]]))
    choice = choose_classifier(
        None,
        galaxies(2, 400, noise=0.4),
        class_names=NAMES,
        prompts=words,
        symbols=pictures,
        candidates=("prompts", "symbols", "both"),
    )
    assert choice.name == "both"
    assert 0 < choice.settings["prompt_share"] < 1
    assert accuracy(choice, galaxies(3, 400, noise=0.4)) > 0.8


def test_of_equals_the_simpler_is_chosen() -> None:
    clean = galaxies(4, 200, noise=0.01)
    head = (AXES, np.zeros(len(AXES)))
    choice = choose_classifier(clean, clean, class_names=NAMES, prompts=AXES, symbols=AXES, head=head)
    assert choice.name == "prompts"
    assert choice.settings["prior_strength"] == 0
    assert {entry["accuracy"] for entry in choice.validation.values()} == {1.0}
    assert set(choice.validation) == set(CLASSIFIERS)


def test_a_linear_head_is_scikit_learns() -> None:
    train, validation = galaxies(5, 300), galaxies(6, 300)
    choice = choose_classifier(
        train, validation, class_names=NAMES, candidates=("linear",), penalties=(10.0,), prior_strengths=(0,)
    )
    reference = LogisticRegression(C=10, max_iter=2000).fit(*train)
    logits = choice.logits(validation[0])
    expected = reference.decision_function(validation[0])
    centred = logits - logits.mean(axis=1, keepdims=True)
    np.testing.assert_allclose(centred, expected - expected.mean(axis=1, keepdims=True), atol=2e-2)


def test_linear_head_two_classes_never_gives_one_has_not_seen() -> None:
    train = galaxies(7, 200, shares=(0.5, 0.5, 0))
    choice = choose_classifier(train, galaxies(8, 200, shares=(0.5, 0.5, 0)), class_names=NAMES, candidates=("linear",))
    probabilities = choice.predict_proba(galaxies(9, 200)[0])
    assert set(probabilities.argmax(axis=1)) == {0, 1}
    assert probabilities[:, 2].max() < 1e-3
    assert accuracy(choice, galaxies(10, 200, shares=(0.5, 0.5, 0))) > 0.85


def test_the_log_prior_helps_accuracy_where_classes_are_uneven() -> None:
    shares = (0.9, 0.08, 0.02)
    train, validation, test = (galaxies(s, 1500, noise=0.8, shares=shares) for s in (11, 12, 13))
    settings: dict[str, Any] = {
        "class_names": NAMES,
        "prompts": AXES,
        "logit_scale": 8,
        "candidates": ("prompts",),
        "criterion": "accuracy",
    }
    plain = choose_classifier(train, validation, prior_strengths=(0,), **settings)
    choice = choose_classifier(train, validation, **settings)
    assert choice.settings["prior_strength"] > 0
    assert plain.settings["prior_strength"] == 0
    assert accuracy(choice, test) > accuracy(plain, test) + 0.02


def test_the_linear_head_may_give_the_prior_back_for_macro_f1() -> None:
    shares = (0.9, 0.08, 0.02)
    train, validation = galaxies(14, 800, shares=shares), galaxies(15, 1500, shares=shares)
    settings: dict[str, Any] = {"class_names": NAMES, "candidates": ("linear",), "penalties": (1.0,)}
    settings["criterion"] = "macro_f1"
    choice = choose_classifier(train, validation, **settings)
    plain = choose_classifier(train, validation, prior_strengths=(0,), **settings)
    assert choice.settings["prior_strength"] < 0
    assert choice.validation["linear"]["macro_f1"] > plain.validation["linear"]["macro_f1"] + 0.02


def test_a_given_prior_replaces_the_counted_one() -> None:
    prior = np.log([0.98, 0.01, 0.01])
    choice = choose_classifier(
        None, galaxies(16, 50), class_names=NAMES, prompts=AXES, log_prior=prior, prior_strengths=(1.0,)
    )
    np.testing.assert_allclose(choice.bias, prior, rtol=1e-5)


def test_the_criterion_decides() -> None:
    shares = (0.95, 0.03, 0.02)
    train, validation = (
        galaxies(17, 800, noise=1.0, shares=shares),
        galaxies(18, 800, noise=1.0, shares=shares),
    )
    found = {
        criterion: choose_classifier(
            train, validation, class_names=NAMES, prompts=AXES, criterion=criterion, logit_scale=8
        )
        for criterion in ("accuracy", "macro_f1", "mean", "log_loss")
    }
    scores = {key: choice.validation[choice.name] for key, choice in found.items()}
    assert scores["accuracy"]["accuracy"] > scores["macro_f1"]["accuracy"]
    assert scores["macro_f1"]["macro_f1"] > scores["accuracy"]["macro_f1"]
    assert scores["log_loss"]["log_loss"] < scores["macro_f1"]["log_loss"] - 0.03
    assert found["mean"].criterion == "mean"


def test_probabilities_are_calibrated_whatever_scale_of_logits() -> None:
    data, test = galaxies(19, 2000), galaxies(20, 2000)
    for scale in (1, 1000):
        choice = choose_classifier(
            None, data, class_names=NAMES, prompts=AXES, logit_scale=scale, candidates=("prompts",)
        )
        probabilities = choice.predict_proba(test[0])
        assert probabilities.dtype == np.float32
        assert probabilities.max(axis=1).mean() == pytest.approx(accuracy(choice, test), abs=0.04)


def test_unlabelled_galaxies_are_left_out() -> None:
    vectors, labels = galaxies(21, 100)
    masked = labels.copy()
    masked[:40] = -1
    choice = choose_classifier((vectors, masked), (vectors, masked), class_names=NAMES, prompts=AXES)
    same = choose_classifier((vectors[40:], labels[40:]), (vectors[40:], labels[40:]), class_names=NAMES, prompts=AXES)
    assert choice.to_dict() == same.to_dict()
    assert choice.n_validation == 60


def test_a_saved_choice_predicts_the_same(tmp_path: Path) -> None:
    data = galaxies(22, 200)
    choice = choose_classifier(data, data, class_names=NAMES, prompts=AXES, symbols=TURNED)
    save_file(choice.arrays(), tmp_path / "classifier.safetensors")
    text = json.dumps(choice.to_dict())
    again = ClassifierChoice.from_dict(json.loads(text), load_file(tmp_path / "classifier.safetensors"))
    np.testing.assert_array_equal(again.predict_proba(data[0]), choice.predict_proba(data[0]))
    assert again.to_dict() == choice.to_dict()


def test_a_damaged_saved_choice_is_named() -> None:
    choice = zero_shot(NAMES, AXES, logit_scale=10)
    values = choice.to_dict()
    with pytest.raises(InputError, match="lacks 'bias'"):
        ClassifierChoice.from_dict(values, {"weights": choice.weights})
    with pytest.raises(InputError, match="lacks 'temperature'"):
        ClassifierChoice.from_dict({k: v for k, v in values.items() if k != "temperature"}, choice.arrays())
    with pytest.raises(InputError, match="has 3 classes but arrays of shape"):
        ClassifierChoice.from_dict(values, {"weights": choice.weights[:2], "bias": choice.bias[:2]})


def test_zero_shot_takes_the_nearest_prompt() -> None:
    vectors, _ = galaxies(23, 50)
    choice = zero_shot(NAMES, AXES, logit_scale=10)
    np.testing.assert_array_equal(choice.predict_proba(vectors).argmax(axis=1), (vectors @ AXES.T).argmax(axis=1))


def test_prototypes_are_unit_means_of_ensembles_of_any_size() -> None:
    found = prototypes([np.eye(2), np.array([[0, 1.0]])])
    np.testing.assert_allclose(found, [[2**-0.5, 2**-0.5], [0, 1]], rtol=1e-6)


def test_what_is_missing_is_said() -> None:
    data = galaxies(24, 50)
    choice = choose_classifier(None, data, class_names=NAMES, prompts=AXES)
    assert choice.validation["linear"] == {"skipped": "no training galaxies"}
    assert choice.validation["both"] == {"skipped": "no symbol embeddings"}
    with pytest.raises(InputError, match="no classifier can be made"):
        choose_classifier(None, data, class_names=NAMES)
    with pytest.raises(InputError, match="no validation galaxy has a label"):
        choose_classifier(None, (data[0], np.full(50, -1)), class_names=NAMES, prompts=AXES)
    with pytest.raises(InputError, match="unknown classifier 'knn'; known are prompts"):
        choose_classifier(None, data, class_names=NAMES, prompts=AXES, candidates=("knn",))
    with pytest.raises(InputError, match="takes embeddings of 8 dimensions"):
        choice.predict_proba(np.zeros((2, 5)))
    one_class = (data[0], np.zeros(50, int))
    lone = choose_classifier(one_class, data, class_names=NAMES, prompts=AXES)
    assert "fewer than two classes" in lone.validation["linear"]["skipped"]
