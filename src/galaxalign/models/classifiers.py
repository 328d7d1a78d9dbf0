"""Embeddings to class probabilities: by words, symbols, both, or a linear head, chosen on validation data.

All of these are linear in the unit embedding v of a galaxy, logits = W v + b, and differ in where W and b
come from. So whatever is chosen is stored as one matrix and one vector.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np

from galaxalign.errors import InputError
from galaxalign.models.calibration import apply_temperature

Criterion = Literal["log_loss", "macro_f1", "accuracy", "mean"]

# From the simplest to the one with most parameters; a tie goes to the simpler.
CLASSIFIERS = ("prompts", "symbols", "both", "head", "linear")

_SAVED = ("name", "temperature", "settings", "criterion", "validation", "n_validation")


@dataclass(frozen=True)
class ClassifierChoice:
    """A chosen, calibrated classifier of embeddings.

    Parameters
    ----------
    name : str
        One of `CLASSIFIERS`.
    class_names : tuple of str
        The K classes, in the order of the columns.
    weights : ndarray, shape (K, D), float32
        W of logits = W v + b.
    bias : ndarray, shape (K,), float32
        b: intercepts and log prior.
    temperature : float
        What the logits are divided by, from validation data.
    settings : dict
        What was chosen with it: ``logit_scale``, ``prompt_share`` (1: words only, 0: symbols only),
        ``prior_strength``, ``C``.
    criterion : str
        What was compared.
    validation : dict
        By candidate: ``accuracy``, ``macro_f1`` and ``settings`` of its best, or ``skipped`` with the reason.
    n_validation : int
        Galaxies these numbers rest on.
    """

    name: str
    class_names: tuple[str, ...]
    weights: np.ndarray
    bias: np.ndarray
    temperature: float = 1.0
    settings: dict[str, Any] = field(default_factory=dict)
    criterion: str = ""
    validation: dict[str, Any] = field(default_factory=dict)
    n_validation: int = 0

    def logits(self, embeddings: np.ndarray) -> np.ndarray:
        """Return the uncalibrated logits, float32, shape (N, K), of unit embeddings (N, D)."""
        vectors = np.asarray(embeddings, dtype=np.float32)
        if vectors.ndim != 2 or vectors.shape[1] != self.weights.shape[1]:
            raise InputError(
                f"the classifier takes embeddings of {self.weights.shape[1]} dimensions and was given "
                f"shape {vectors.shape}; use the model it was chosen with"
            )
        return np.asarray(vectors @ self.weights.T + self.bias)

    def predict_proba(self, embeddings: np.ndarray) -> np.ndarray:
        """Return calibrated probabilities, float32, shape (N, K), of unit embeddings (N, D)."""
        return apply_temperature(self.logits(embeddings), self.temperature)

    def to_dict(self) -> dict[str, Any]:
        """Return everything but the arrays, JSON-able."""
        return {
            "name": self.name,
            "class_names": list(self.class_names),
            "temperature": self.temperature,
            "settings": self.settings,
            "criterion": self.criterion,
            "validation": self.validation,
            "n_validation": self.n_validation,
        }

    def arrays(self) -> dict[str, np.ndarray]:
        """Return the arrays for a safetensors file."""
        return {"weights": np.ascontiguousarray(self.weights), "bias": np.ascontiguousarray(self.bias)}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any], arrays: Mapping[str, np.ndarray]) -> ClassifierChoice:
        """Restore what `to_dict` and `arrays` gave.

        Raises
        ------
        InputError
            Something is missing, or the arrays do not fit the classes.
        """
        try:
            choice = cls(
                class_names=tuple(values["class_names"]),
                weights=np.asarray(arrays["weights"], dtype=np.float32),
                bias=np.asarray(arrays["bias"], dtype=np.float32),
                **{key: values[key] for key in _SAVED},
            )
        except KeyError as error:
            raise InputError(
                f"the saved classifier lacks {error.args[0]!r}; the model folder is damaged, copy it again"
            ) from error
        count = len(choice.class_names)
        if choice.weights.shape[:1] != (count,) or choice.bias.shape != (count,):
            raise InputError(
                f"the saved classifier has {count} classes but arrays of shape {choice.weights.shape} and "
                f"{choice.bias.shape}; the model folder is damaged, copy it again"
            )
        return choice


def prototypes(ensembles: Sequence[np.ndarray] | np.ndarray) -> np.ndarray:
    """Return unit class embeddings: the normalised mean of each class's prompts or symbols.

    Parameters
    ----------
    ensembles : sequence of K array_like, shape (M_k, D)
        Unit embeddings of the prompts or symbols of each class; their number may differ.

    Returns
    -------
    ndarray, shape (K, D), float32
    """
    centres = np.stack([np.asarray(vectors, dtype=np.float32).mean(axis=0) for vectors in ensembles])
    return np.asarray(centres / np.linalg.norm(centres, axis=1, keepdims=True))


def zero_shot(class_names: Sequence[str], prompts: np.ndarray, *, logit_scale: float) -> ClassifierChoice:
    """Return the classifier by words alone, for classes without a labelled galaxy; it is not calibrated.

    Parameters
    ----------
    class_names : sequence of str
        The K classes.
    prompts : array_like, shape (K, D)
        Unit class embeddings, see `prototypes`.
    logit_scale : float
        What cosines are multiplied by: the model's learned inverse temperature.
    """
    weights = (logit_scale * np.asarray(prompts)).astype(np.float32)
    bias = np.zeros(len(weights), dtype=np.float32)
    return ClassifierChoice("prompts", tuple(class_names), weights, bias, settings={"logit_scale": float(logit_scale)})
