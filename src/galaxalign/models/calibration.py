"""Temperature scaling: one number, fitted on validation data, that makes probabilities mean what they say."""

from __future__ import annotations

import numpy as np
from scipy.optimize import minimize_scalar
from scipy.special import log_softmax, softmax

from galaxalign.errors import InputError

# Far outside what networks need; keeps the search finite where the logits say nothing at all.
_BOUNDS = (1e-3, 1e3)


def fit_temperature(logits: np.ndarray, labels: np.ndarray) -> float:
    """Return the temperature T that maximises the likelihood of softmax(logits / T) (Guo et al. 2017, eq. 9).

    A classifier that is right on every validation galaxy would be told to be infinitely sure. As in Platt
    (1999) the targets are therefore smoothed by one virtual galaxy per class: (n + 1) / (n + K) for the
    true class instead of 1, with n galaxies and K classes; for large n that makes no difference.

    Parameters
    ----------
    logits : array_like, shape (N, K)
        Unnormalised log probabilities on validation data.
    labels : array_like of int, shape (N,)
        True classes.

    Returns
    -------
    float
        Temperature, between 0.001 and 1000; above 1 where the logits were overconfident.

    Raises
    ------
    InputError
        There is no validation galaxy, or a logit is not finite.
    """
    scores, truth = _checked(logits), np.asarray(labels, dtype=np.int64)
    if truth.shape != scores.shape[:1]:
        raise ValueError(f"labels of shape {truth.shape} do not fit logits of shape {scores.shape}")
    if truth.size == 0:
        raise InputError("calibration needs labelled validation galaxies and there are none; enlarge the split")
    count, classes = scores.shape
    targets = np.full(scores.shape, 1 / (count + classes))
    targets[np.arange(count), truth] = (count + 1) / (count + classes)

    # Convex in 1/T, hence with one minimum in log T as well.
    def loss(log_temperature: float) -> float:
        return float(-float((targets * log_softmax(scores / np.exp(log_temperature), axis=1)).sum()) / count)

    found = minimize_scalar(loss, bounds=tuple(np.log(_BOUNDS)), method="bounded", options={"xatol": 1e-6})
    return float(np.exp(found.x))


def apply_temperature(logits: np.ndarray, temperature: float) -> np.ndarray:
    """Return softmax(logits / temperature), float32, shape (N, K); safe for logits of any size."""
    if not (np.isfinite(temperature) and temperature > 0):
        raise InputError(f"the temperature is {temperature}; it must be a positive number")
    return softmax(_checked(logits) / temperature, axis=1).astype(np.float32)


def _checked(logits: np.ndarray) -> np.ndarray:
    scores = np.asarray(logits, dtype=np.float64)
    if scores.ndim != 2:
        raise ValueError(f"logits have shape {scores.shape}; expected (N, K)")
    broken = np.flatnonzero(~np.isfinite(scores).all(axis=1))
    if broken.size:
        raise InputError(f"the logits in row {broken[0]} are not finite; leave out galaxies that failed")
    return scores
