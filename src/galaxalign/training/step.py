"""What one training step sees, galaxies, words and symbols, and the loss of each pair of them."""

from __future__ import annotations

from contextlib import nullcontext
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from galaxalign.captions import flip_caption
from galaxalign.data.augment import augment
from galaxalign.data.store import Pictures
from galaxalign.encoders.base import to_tensor
from galaxalign.encoders.cpu import bf16_is_fast
from galaxalign.errors import InputError
from galaxalign.training.losses import alignment_loss, same_class_loss
from galaxalign.training.norms import SymbolStatistics
from galaxalign.training.recipe import Recipe, Stage

__all__ = ["Prompts", "TrainingData", "caption_vectors", "step_losses"]


@dataclass
class TrainingData:
    """What a run learns from and chooses its epoch on; never a test galaxy.

    Attributes
    ----------
    images : ndarray or Pictures (N, L, L, 3), uint8
        Canvases, `canvas_factor` times as wide as the encoder's frame; in memory or in a store.
    labels : ndarray (N,), int64
    validation_images : ndarray or Pictures (M, S, S, 3), uint8
        Framed as at use.
    validation_labels : ndarray (M,), int64
    prompts : list of K lists of sentences
        The first of each class is the paper's caption.
    symbols : ndarray (K, V, S, S, 3), uint8
    flip_permutation : ndarray (K,), int64
        Class of the mirror image.
    canvas_factor : float
    captions : list of N lists of sentences, optional
        What each galaxy's own attributes say, in several wordings; equally many for each galaxy.
    """

    images: np.ndarray | Pictures
    labels: np.ndarray
    validation_images: np.ndarray | Pictures
    validation_labels: np.ndarray
    prompts: list[list[str]]
    symbols: np.ndarray
    flip_permutation: np.ndarray
    canvas_factor: float = 1.0
    captions: list[list[str]] | None = None

    @property
    def classes(self) -> int:
        """Return the number of classes K."""
        return len(self.prompts)


class Prompts:
    """The prompts of all classes: embedded once while the text tower is frozen, else at each step."""

    def __init__(self, encoder: Any, prompts: list[list[str]], recipe: Recipe, *, frozen: bool) -> None:
        self.encoder = encoder
        self.per_class = recipe.prompts_per_class
        chosen = [list(p) if recipe.prompts == "ensemble" else list(p[:1]) for p in prompts]
        self.sizes = [len(p) for p in chosen]
        self.starts = np.cumsum([0, *self.sizes[:-1]])
        sentences = [sentence for group in chosen for sentence in group]
        self.tokens: Tensor | None = None
        self.vectors: Tensor | None = None
        if frozen:
            self.vectors = encoder.encode_texts(sentences).clone()
        else:
            self.tokens = encoder.tokenize(sentences)

    def draw(self, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """Return vectors (K * per_class, D) and their classes."""
        picked, labels = [], []
        for label, (start, size) in enumerate(zip(self.starts, self.sizes, strict=True)):
            for _ in range(self.per_class):
                picked.append(int(start) + int(torch.randint(size, (), generator=generator)))
                labels.append(label)
        index = torch.tensor(picked)
        if self.vectors is not None:
            vectors = self.vectors[index.to(self.vectors.device)]
        else:
            assert self.tokens is not None
            distinct, back = torch.unique(index, return_inverse=True)
            with self.encoder.autocast():
                encoded = self.encoder.model.encode_text(self.tokens[distinct.to(self.tokens.device)])
            vectors = F.normalize(encoded.float(), dim=-1)[back.to(encoded.device)]
        return vectors, torch.tensor(labels, device=vectors.device)


def step_losses(
    encoder: Any,
    towers: Any,
    data: TrainingData,
    recipe: Recipe,
    stage: Stage,
    rows: np.ndarray,
    texts: Prompts | None,
    captions: Tensor | None,
    statistics: SymbolStatistics | None,
    log_prior: Tensor,
    generator: torch.Generator,
) -> dict[str, Tensor]:
    """Return the loss of each pair of the stage for one batch."""
    device = encoder.device
    size = encoder.preprocessing.size
    canvases = to_tensor(data.images[rows], device)
    pixels, mirrored = augment(canvases, recipe.augmentation, size=size, factor=data.canvas_factor, generator=generator)
    labels = data.labels[rows]
    labels = np.where(mirrored.numpy(), data.flip_permutation[labels], labels)
    y = torch.from_numpy(labels).to(device)
    fast = torch.autocast(device.type, torch.bfloat16, enabled=bf16_is_fast(device.type))
    with fast:
        features = towers.visual(encoder.normalize(pixels))
    features = features.float()
    image = F.normalize(features, dim=-1)
    losses: dict[str, Tensor] = {}
    if "image-label" in stage.pairs:
        losses["image-label"] = F.cross_entropy(towers.head(features), y, label_smoothing=stage.label_smoothing)
    if "image-image" in stage.pairs:
        losses["image-image"] = same_class_loss(
            image, y, towers.log_scale["image-image"].exp(), towers.margin, smoothing=stage.label_smoothing
        )
    kinds: dict[str, tuple[Tensor, Tensor]] = {"image": (image, y)}
    if stage.uses("text") and texts is not None:
        kinds["text"] = texts.draw(generator)
    if captions is not None:
        picks = torch.randint(captions.shape[2], (len(rows),), generator=generator)
        own = captions[mirrored.long(), torch.from_numpy(rows), picks].to(device)
        itself = torch.arange(len(rows), device=device)
        losses["image-caption"] = alignment_loss(
            image, own, itself, itself, towers.log_scale["image-caption"].exp(), targets="pair"
        )
    if stage.uses("symbol"):
        drawn, symbol_labels = _draw_symbols(data, recipe, size, generator, device)
        tower = towers.visual if towers.symbol is None else towers.symbol
        with fast, statistics.active() if statistics is not None else nullcontext():
            vectors = tower(encoder.normalize(drawn))
        kinds["symbol"] = (F.normalize(vectors.float(), dim=-1), symbol_labels)
    for pair in stage.pairs:
        if pair in losses:
            continue
        first, second = pair.split("-")
        (a, ya), (b, yb) = kinds[first], kinds[second]
        if stage.targets == "pair":
            a, ya, b, yb = _paired(a, ya, b, yb, y, generator)
        losses[pair] = alignment_loss(
            a,
            b,
            ya,
            yb,
            towers.log_scale[pair].exp(),
            targets=stage.targets,
            smoothing=stage.label_smoothing if stage.targets == "same_class" else 0.0,
            log_prior=stage.prior * log_prior if stage.prior and first == "image" else None,
        )
    return losses


def caption_vectors(encoder: Any, data: TrainingData) -> Tensor:
    """Return unit vectors (2, N, V, D) of every galaxy's captions, as they are and for its mirror image."""
    if data.captions is None:
        raise InputError("the recipe has the pair image-caption, but there are no attributes to make captions of")
    sentences = [sentence for wordings in data.captions for sentence in wordings]
    both = [*sentences, *(flip_caption(sentence) for sentence in sentences)]
    vectors = encoder.encode_texts(both).clone()
    return vectors.reshape(2, len(data.captions), -1, vectors.shape[1])


def _paired(
    a: Tensor, ya: Tensor, b: Tensor, yb: Tensor, y: Tensor, generator: torch.Generator
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Give every galaxy of the batch one of the words or symbols of its class, so that rows correspond."""

    def matched(vectors: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        if len(vectors) == len(y) and bool((labels == y).all()):
            return vectors, labels
        same = (labels[None, :] == y[:, None]).float().cpu()
        index = torch.multinomial(same, 1, generator=generator)[:, 0].to(vectors.device)
        return vectors[index], y

    return (*matched(a, ya), *matched(b, yb))


def _draw_symbols(
    data: TrainingData, recipe: Recipe, size: int, generator: torch.Generator, device: torch.device
) -> tuple[Tensor, Tensor]:
    """Return symbols (K * per_class, 3, S, S) in 0..255 and their classes."""
    classes, variants = data.symbols.shape[:2]
    per_class = min(recipe.symbols_per_class, variants)
    labels = torch.arange(classes).repeat_interleave(per_class)
    picks = torch.randint(variants, (len(labels),), generator=generator)
    pixels = to_tensor(data.symbols[labels.numpy(), picks.numpy()], device)
    if variants > 1:
        settings = recipe.augmentation.model_copy(update={"colour": 0.0, "noise": 0.0})
        pixels, mirrored = augment(pixels, settings, size=size, factor=1.0, generator=generator)
        flipped = torch.from_numpy(data.flip_permutation)[labels]
        labels = torch.where(mirrored, flipped, labels)
    return pixels, labels.to(device)
