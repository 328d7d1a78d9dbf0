"""Chooses and calibrates the classifier of an encoder on validation galaxies, as its weights stand."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from galaxalign.inference import encode_array, prompt_prototypes, symbol_prototypes
from galaxalign.models import (
    ClassifierChoice,
    ClassVectors,
    ClipEncoder,
    VisionEncoder,
    compare_classifiers,
    to_tensor,
    zero_shot,
)
from galaxalign.morphology import Taxonomy
from galaxalign.training.batch import TrainingData
from galaxalign.training.recipe import Recipe
from galaxalign.training.sources import framed

_BATCH = 64
_MOST_VARIANTS = 16


def by_words(encoder: ClipEncoder | VisionEncoder, scheme: Taxonomy) -> ClassifierChoice:
    """Return the classifier by words alone, which needs no labelled galaxy."""
    return zero_shot(scheme.class_names, prompt_prototypes(encoder, scheme), logit_scale=encoder.logit_scale)


def symbol_vectors(
    encoder: ClipEncoder | VisionEncoder, scheme: Taxonomy, plan: Recipe | None = None, drawings: Path | None = None
) -> np.ndarray:
    """Return one unit vector per class (K, D) of its symbols: the mean over the recipe's drawings, at most 16."""
    variants = _MOST_VARIANTS if plan is None else min(_MOST_VARIANTS, plan.symbol_variants)
    return symbol_prototypes(encoder, scheme, variants=variants, drawings=drawings)


@dataclass
class Chooser:
    """Chooses and calibrates the classifier of the encoder as its weights stand.

    Parameters
    ----------
    encoder : ClipEncoder or VisionEncoder
    data : TrainingData
        The galaxies to learn from and to choose on.
    scheme : Taxonomy
    """

    encoder: ClipEncoder | VisionEncoder
    data: TrainingData
    scheme: Taxonomy

    def __post_init__(self) -> None:
        self._framed = framed(self.data, self.encoder.preprocessing.size)

    def choose(
        self, head: Tensor | None = None, *, symbols: np.ndarray | None = None, quick: bool = False, **options: Any
    ) -> ClassifierChoice:
        """Return the choice; `quick` looks at each galaxy once, not in eight views."""
        name, choices = self.compare(head, symbols=symbols, quick=quick, **options)
        return choices[name]

    def compare(
        self, head: Tensor | None = None, *, symbols: np.ndarray | None = None, quick: bool = False, **options: Any
    ) -> tuple[str, dict[str, ClassifierChoice]]:
        """Return the name of the choice, and the best of each candidate."""
        encode: Callable[[Any], np.ndarray] = self._one_view if quick else self._all_views
        classes = ClassVectors(
            self.scheme.class_names,
            prompts=prompt_prototypes(self.encoder, self.scheme) if self.encoder.has_words else None,
            symbols=symbols,
            logit_scale=self.encoder.logit_scale,
            head=self._for_unit_vectors(head),
        )
        return compare_classifiers(
            (encode(self._framed), self.data.labels),
            (encode(self.data.validation_images), self.data.validation_labels),
            classes,
            **options,
        )

    def probe(self) -> Tensor:
        """Return the linear head (K, D + 1), for vectors before normalisation, that is best on the frozen tower."""
        choice = self.choose(quick=True, candidates=("linear",), prior_strengths=(0.0,))
        weights, bias = choice.weights / self._length(), choice.bias
        return torch.from_numpy(np.column_stack([weights, bias])).float() / choice.temperature

    def _for_unit_vectors(self, head: Tensor | None) -> tuple[np.ndarray, np.ndarray] | None:
        """Return a head for vectors before normalisation as one for unit vectors of the mean length."""
        if head is None:
            return None
        return head[:, :-1].numpy() * self._length(), head[:, -1].numpy()

    def _all_views(self, images: Any) -> np.ndarray:
        return encode_array(self.encoder, images, mirror=not self.scheme.handed)

    def _one_view(self, images: Any) -> np.ndarray:
        starts = range(0, len(images), _BATCH)
        return np.concatenate([self.encoder.encode_images(images[i : i + _BATCH]).cpu().numpy() for i in starts])

    @torch.inference_mode()
    def _length(self) -> float:
        """Return the mean length of the training galaxies' vectors before normalisation."""
        lengths = []
        for start in range(0, len(self._framed), _BATCH):
            pixels = to_tensor(self._framed[start : start + _BATCH], self.encoder.device)
            lengths.append(self.encoder.visual(self.encoder.normalize(pixels)).float().norm(dim=-1).cpu())
        return float(torch.cat(lengths).mean())
