"""The model of a cell, which stays as it is while it predicts for test galaxies."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from galaxalign.data.catalogs import Pictures
from galaxalign.inference import encode_array
from galaxalign.models import ClassifierChoice, ClipEncoder, VisionEncoder
from galaxalign.morphology import Taxonomy


@dataclass
class FrozenModel:
    """An encoder with its calibrated classifiers."""

    encoder: ClipEncoder | VisionEncoder
    taxonomy: Taxonomy
    chosen: str  # the classifier chosen on validation galaxies
    choices: dict[str, ClassifierChoice]  # every candidate
    symbols: NDArray[np.float32] | None  # (K, D)
    training: dict[str, Any]  # recipe, best epoch, history and numbers of galaxies, as in cell.json

    def digest(self) -> str:
        """Return 16 hex digits of its weights and classifiers."""
        hashed = hashlib.sha256(self.encoder.fingerprint.encode())
        for name, choice in sorted(self.choices.items()):
            hashed.update(f"{name} {choice.temperature!r}".encode())
            hashed.update(choice.weights.tobytes() + choice.bias.tobytes())
        return hashed.hexdigest()[:16]

    def predict(self, pictures: Pictures) -> tuple[NDArray[np.float32], dict[str, NDArray[np.float64]]]:
        """Return unit vectors (N, D) over all views of framed pictures, and probabilities (N, K) by classifier."""
        vectors = encode_array(self.encoder, pictures, mirror=not self.taxonomy.handed)
        return vectors, self.classify(vectors)

    def classify(self, vectors: NDArray[np.float32]) -> dict[str, NDArray[np.float64]]:
        """Return probabilities (N, K) of unit vectors (N, D) by classifier."""
        return {name: choice.predict_proba(vectors) for name, choice in self.choices.items()}
