"""Sentences on their way into the loss: the prompts of classes, and the captions of galaxies."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from galaxalign.morphology import flip_caption
from galaxalign.training.recipe import Recipe

Captioner = Callable[[NDArray[np.int64], "np.random.Generator | None"], list[str]]
"""Returns one sentence for each of some galaxies: a fresh one with a generator, the same for ever without."""


class _Sentences:
    """Distinct sentences and their vectors: embedded once while the text tower is frozen, else at each use."""

    def __init__(self, encoder: Any, sentences: Sequence[str], *, frozen: bool) -> None:
        self.encoder = encoder
        numbers: dict[str, int] = {}
        self.index = np.array([numbers.setdefault(sentence, len(numbers)) for sentence in sentences], np.int64)
        self.vectors: Tensor | None = None
        self.tokens: Tensor | None = None
        if frozen:
            with encoder.autocast():
                self.vectors = encoder.encode_texts(list(numbers)).clone()
        else:
            self.tokens = encoder.tokenize(list(numbers))

    def take(self, index: NDArray[np.int64]) -> Tensor:
        """Return unit vectors (len(index), D) of sentences by their number."""
        chosen = torch.from_numpy(index)
        if self.vectors is not None:
            return self.vectors[chosen.to(self.vectors.device)]
        assert self.tokens is not None
        distinct, back = torch.unique(chosen, return_inverse=True)
        with self.encoder.autocast():
            encoded = self.encoder.model.encode_text(self.tokens[distinct.to(self.tokens.device)])
        return F.normalize(encoded.float(), dim=-1)[back.to(encoded.device)]


class Prompts:
    """The prompts of all classes, or of all symbols."""

    def __init__(self, encoder: Any, prompts: list[list[str]], recipe: Recipe, *, frozen: bool) -> None:
        self.per_class = recipe.prompts_per_class
        chosen = [list(p) if recipe.prompts == "ensemble" else list(p[:1]) for p in prompts]
        self.sizes = [len(p) for p in chosen]
        self.starts = np.cumsum([0, *self.sizes[:-1]])
        self.sentences = _Sentences(encoder, [sentence for group in chosen for sentence in group], frozen=frozen)

    def draw(self, generator: torch.Generator, classes: Sequence[int] | None = None) -> tuple[Tensor, Tensor]:
        """Return vectors (K * per_class, D) and their classes; of some classes only where they are named."""
        picked, labels = [], []
        for label in range(len(self.sizes)) if classes is None else classes:
            for _ in range(self.per_class):
                offset = int(torch.randint(self.sizes[label], (), generator=generator))
                picked.append(int(self.starts[label]) + offset)
                labels.append(label)
        vectors = self.sentences.take(self.sentences.index[picked])
        return vectors, torch.tensor(labels, device=vectors.device)


class Captions:
    """One sentence for every galaxy drawn in an epoch, as it is and for its mirror image.

    Parameters
    ----------
    encoder : ClipEncoder
    captioner : callable
    rows : ndarray (n,), int64
        The galaxies in the order in which the epoch sees them.
    rng : numpy.random.Generator or None
        None: each galaxy's one sentence.
    frozen : bool
        Whether each distinct sentence can be embedded once.
    """

    def __init__(
        self,
        encoder: Any,
        captioner: Captioner,
        rows: NDArray[np.int64],
        rng: np.random.Generator | None,
        *,
        frozen: bool,
    ) -> None:
        drawn = captioner(rows, rng)
        flipped = {sentence: flip_caption(sentence) for sentence in set(drawn)}
        both = [*drawn, *(flipped[sentence] for sentence in drawn)]
        self.rows = rows
        self.sentences = _Sentences(encoder, both, frozen=frozen)
        self.numbers = self.sentences.index.reshape(2, len(rows))

    def take(self, places: NDArray[np.int64], mirrored: NDArray[np.bool_]) -> tuple[Tensor, Tensor]:
        """Return the vectors (n, D) and the numbers (n,) of the sentences at some places of the epoch.

        Equal numbers are equal sentences.
        """
        numbers = self.numbers[mirrored.astype(np.int64), places]
        vectors = self.sentences.take(numbers)
        return vectors, torch.from_numpy(numbers).to(vectors.device)
