"""Temperature scaling finds the right temperature and survives extreme logits."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, strategies as st
from hypothesis.extra import numpy as hnp

from galaxalign.errors import InputError
from galaxalign.models.calibration import apply_temperature, fit_temperature


def honest_logits(seed: int, n: int, classes: int) -> tuple[np.ndarray, np.ndarray]:
    """Logits with labels drawn from their own softmax: perfectly calibrated."""
    rng = np.random.default_rng(seed)
    logits = rng.normal(scale=2, size=(n, classes))
    probabilities = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    labels = (rng.random((n, 1)) > probabilities.cumsum(axis=1)).sum(axis=1)
    return logits, np.minimum(labels, classes - 1)


@pytest.mark.parametrize("factor", [0.2, 1.0, 8.0])
def test_the_temperature_undoes_a_known_factor(factor: float) -> None:
    logits, labels = honest_logits(0, 20_000, 5)
    assert fit_temperature(factor * logits, labels) == pytest.approx(factor, rel=0.05)


def test_calibration_lowers_the_loss_and_keeps_the_class() -> None:
    logits, labels = honest_logits(1, 500, 4)
    logits = 5 * logits
    before, after = apply_temperature(logits, 1), apply_temperature(logits, fit_temperature(logits, labels))
    rows = np.arange(500)
    assert np.log(after[rows, labels]).mean() > np.log(before[rows, labels] + 1e-30).mean() + 0.1
    np.testing.assert_array_equal(before.argmax(axis=1), after.argmax(axis=1))


def test_a_few_right_answers_do_not_make_certainty() -> None:
    labels = np.array([0, 1, 2])
    logits = np.eye(3)
    confidence = apply_temperature(logits, fit_temperature(logits, labels)).max()
    assert 0.5 < confidence < 0.75  # three galaxies and three virtual ones: (3 + 1) / (3 + 3)


def test_logits_that_say_nothing_or_the_opposite_become_uniform() -> None:
    labels = np.arange(40) % 4
    wrong = np.eye(4)[(labels + 1) % 4]
    probabilities = apply_temperature(wrong, fit_temperature(wrong, labels))
    np.testing.assert_allclose(probabilities, 0.25, atol=0.01)
    assert np.isfinite(fit_temperature(np.zeros((40, 4)), labels))


@given(logits=hnp.arrays(np.float64, (3, 4), elements=st.floats(-1e30, 1e30)), temperature=st.floats(1e-3, 1e3))
def test_probabilities_stay_probabilities(logits: np.ndarray, temperature: float) -> None:
    probabilities = apply_temperature(logits, temperature)
    assert probabilities.dtype == np.float32
    assert (probabilities >= 0).all()
    np.testing.assert_allclose(probabilities.sum(axis=1), 1, atol=1e-5)


def test_what_cannot_be_calibrated_is_refused() -> None:
    with pytest.raises(InputError, match="there are none"):
        fit_temperature(np.zeros((0, 3)), np.zeros(0, int))
    with pytest.raises(InputError, match="row 1 are not finite"):
        apply_temperature(np.array([[0, 1], [np.nan, 1]]), 1.0)
    with pytest.raises(InputError, match="must be a positive number"):
        apply_temperature(np.zeros((1, 2)), 0.0)
