"""Chooses and calibrates the classifier of an encoder on validation galaxies, as its weights stand."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from galaxalign.analysis.classifiers import ClassifierChoice, compare_classifiers, zero_shot
from galaxalign.analysis.encode import encode_array, prompt_prototypes, symbol_prototypes
from galaxalign.encoders.base import to_tensor
from galaxalign.encoders.clip import ClipEncoder
from galaxalign.encoders.vision import VisionEncoder
from galaxalign.taxonomy import Taxonomy
from galaxalign.training.sources import framed
from galaxalign.training.step import TrainingData

__all__ = ["Chooser", "by_words", "drawn_symbols"]

_BATCH = 64


def by_words(encoder: ClipEncoder | VisionEncoder, scheme: Taxonomy) -> ClassifierChoice:
    """Return the classifier by words alone, which needs no labelled galaxy."""
    return zero_shot(scheme.class_names, prompt_prototypes(encoder, scheme), logit_scale=_scale(encoder))


def _scale(encoder: ClipEncoder | VisionEncoder) -> float:
    """Return what the model multiplies cosines with words by."""
    if isinstance(encoder, VisionEncoder):
        return 1.0
    learnt: Any = encoder.model.logit_scale
    return float(learnt.detach().exp())


def drawn_symbols(encoder: ClipEncoder | VisionEncoder, scheme: Taxonomy, drawings: Path | None) -> np.ndarray | None:
    """Return one unit vector per class (K, D) of its symbols; None where the encoder has no symbol tower."""
    if getattr(encoder, "symbol", None) is None:
        return None
    return symbol_prototypes(encoder, scheme, drawings=drawings)


@dataclass
class Chooser:
    """Chooses and calibrates the classifier of the encoder as its weights stand.

    Parameters
    ----------
    encoder : ClipEncoder or VisionEncoder
    data : TrainingData
        The galaxies to learn from and to choose on.
    scheme : Taxonomy
    drawings : Path, optional
        Folder with a drawing of each class in place of ours.
    """

    encoder: ClipEncoder | VisionEncoder
    data: TrainingData
    scheme: Taxonomy
    drawings: Path | None

    def __post_init__(self) -> None:
        self._framed = framed(self.data, self.encoder.preprocessing.size)

    def symbols(self) -> np.ndarray | None:
        """Return one unit vector per class (K, D) of its symbols, where there is a tower for them."""
        return drawn_symbols(self.encoder, self.scheme, self.drawings)

    def choose(self, head: Tensor | None, *, quick: bool = False, **options: Any) -> ClassifierChoice:
        """Return the choice; `quick` looks at each galaxy once, not in eight views."""
        name, found = self.compare(head, quick=quick, **options)
        return found[name]

    def compare(
        self, head: Tensor | None, *, quick: bool = False, **options: Any
    ) -> tuple[str, dict[str, ClassifierChoice]]:
        """Return the name of the choice, and the best of each candidate."""
        words = isinstance(self.encoder, ClipEncoder)
        encode: Callable[[Any], np.ndarray] = self._one_view if quick else self._all_views
        return compare_classifiers(
            (encode(self._framed), self.data.labels),
            (encode(self.data.validation_images), self.data.validation_labels),
            class_names=self.scheme.class_names,
            prompts=prompt_prototypes(self.encoder, self.scheme) if words else None,
            symbols=self.symbols(),
            logit_scale=_scale(self.encoder),
            head=self._for_unit_vectors(head),
            **options,
        )

    def probe(self) -> Tensor:
        """Return the linear head (K, D + 1), for vectors before normalisation, that is best on the frozen tower."""
        choice = self.choose(None, quick=True, candidates=("linear",), prior_strengths=(0.0,))
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
