"""Labels against which a model's probabilities speak are found, the worst first."""

from __future__ import annotations

import builtins

import numpy as np
import pytest

from galaxalign.errors import InputError
from galaxalign.evaluation.label_errors import improbable_labels


def confident(labels: np.ndarray, k: int, sure: float = 0.9) -> np.ndarray:
    probabilities = np.full((len(labels), k), (1 - sure) / (k - 1))
    probabilities[np.arange(len(labels)), labels] = sure
    return probabilities


def test_swapped_labels_are_found_worst_first() -> None:
    truth = np.random.default_rng(0).integers(0, 3, 300)
    probabilities = confident(truth, 3)
    labels = truth.copy()
    labels[[7, 50]] = (truth[[7, 50]] + 1) % 3
    probabilities[50] = confident(truth[[50]], 3, sure=0.98)[0]
    assert improbable_labels(labels, probabilities).tolist() == [50, 7]


def test_good_labels_and_absent_classes_give_nothing() -> None:
    labels = np.array([0, 2] * 20)
    assert len(improbable_labels(labels, confident(labels, 4))) == 0
    assert len(improbable_labels(np.zeros(5, int), confident(np.zeros(5, int), 4))) == 0


def test_without_cleanlab_the_line_that_installs_it_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    real = builtins.__import__

    def without(name: str, *args: object, **kwargs: object) -> object:
        if name.startswith("cleanlab"):
            raise ImportError(name)
        return real(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(InputError, match=r"pip install 'galaxalign\[audit\]'"):
        improbable_labels(np.array([0, 1]), confident(np.array([0, 1]), 2))
