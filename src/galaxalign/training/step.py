"""One training step: pictures and symbols through their towers, and the loss of each catalogue."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from galaxalign.data.images import augment
from galaxalign.models import bf16_is_fast, to_tensor
from galaxalign.training.batch import Batch, Epoch, TrainingData
from galaxalign.training.batch_norm import SymbolStatistics
from galaxalign.training.pair_losses import View, pair_losses
from galaxalign.training.recipe import Recipe, Stage


@dataclass(frozen=True)
class Step:
    """What a step works with: the encoder, its towers as they are trained, the recipe, the stage and the chance."""

    encoder: Any
    towers: Any
    recipe: Recipe
    stage: Stage
    statistics: SymbolStatistics | None
    generator: torch.Generator

    def autocast(self) -> torch.autocast:
        """Return the mixed precision that is fastest on this device."""
        device = self.encoder.device.type
        return torch.autocast(device, torch.bfloat16, enabled=bf16_is_fast(device))


def step_losses(
    step: Step, sources: Sequence[TrainingData], epochs: Sequence[Epoch], batches: Sequence[Batch]
) -> tuple[Tensor, dict[str, float]]:
    """Return the loss of one step, and that of each pair (the mean over the catalogues, by their galaxies).

    The pictures of all catalogues go through the tower together, so that batch normalisation sees the mixture. Words,
    symbols and other galaxies are compared within a catalogue, so that what tells the catalogues apart teaches nothing.
    """
    present = [index for index, batch in enumerate(batches) if len(batch.rows)]
    sizes = [len(batches[index].rows) for index in present]
    features, flips = _features(step, [sources[i] for i in present], [batches[i] for i in present])
    symbols = _symbols(step, [sources[i] for i in present], [batches[i] for i in present])
    total = torch.zeros((), device=features.device)
    values: dict[str, list[tuple[float, int]]] = {}
    parts = features.split(sizes)
    for index, own, flipped, symbol in zip(present, parts, flips, symbols, strict=True):
        view = View(
            step.towers, step.stage, step.generator, index, sources[index], epochs[index], batches[index],
            own, flipped, symbol,
        )  # fmt: skip
        losses, weights = pair_losses(view), epochs[index].weights
        loss = sum((losses[pair] * weight for pair, weight in weights.items()), torch.zeros((), device=own.device))
        total = total + loss / sum(weights.values()) * (len(own) / len(features))
        for pair, value in losses.items():
            values.setdefault(pair, []).append((float(value.detach()), len(own)))
    return total, {pair: sum(v * n for v, n in each) / sum(n for _, n in each) for pair, each in values.items()}


def _features(
    step: Step, sources: Sequence[TrainingData], batches: Sequence[Batch]
) -> tuple[Tensor, list[NDArray[np.bool_]]]:
    """Return vectors of augmented pictures before normalisation, and which of each catalogue are mirrored."""
    encoder = step.encoder
    views, flips = [], []
    for data, batch in zip(sources, batches, strict=True):
        pixels, mirrored = augment(
            to_tensor(data.images[batch.rows], encoder.device),
            step.recipe.augmentation,
            size=encoder.preprocessing.size,
            factor=data.canvas_factor,
            generator=step.generator,
            views=data.views,
        )
        views.append(pixels)
        flips.append(mirrored.numpy())
    with step.autocast():
        features = step.towers.visual(encoder.normalize(torch.cat(views)))
    return features.float(), flips


def _symbols(
    step: Step, sources: Sequence[TrainingData], batches: Sequence[Batch]
) -> list[tuple[Tensor, Tensor] | None]:
    """Return for each catalogue unit vectors of symbols and which they are; None where the stage has no symbols."""
    if not step.stage.uses("symbol"):
        return [None] * len(sources)
    drawn = [
        _draw_symbols(step, data, None if data.kinds is None else data.kinds[batch.rows])
        for data, batch in zip(sources, batches, strict=True)
    ]
    tower = step.towers.visual if step.towers.symbol is None else step.towers.symbol
    with step.autocast(), step.statistics.active() if step.statistics is not None else nullcontext():
        vectors = tower(step.encoder.normalize(torch.cat([pixels for pixels, _ in drawn])))
    parts = F.normalize(vectors.float(), dim=-1).split([len(labels) for _, labels in drawn])
    return [(part, labels) for part, (_, labels) in zip(parts, drawn, strict=True)]


def _draw_symbols(step: Step, data: TrainingData, kinds: NDArray[np.int64] | None) -> tuple[Tensor, Tensor]:
    """Return symbols (n, 3, S, S) in 0..255 and which they are: of every class, or of the kinds of these galaxies."""
    recipe, generator, device = step.recipe, step.generator, step.encoder.device
    size = step.encoder.preprocessing.size
    classes, variants = data.symbols.shape[:2]
    if kinds is None:
        labels = torch.arange(classes).repeat_interleave(min(recipe.symbols_per_class, variants))
    else:
        labels = torch.from_numpy(np.unique(kinds))
    picks = torch.randint(variants, (len(labels),), generator=generator)
    pixels = to_tensor(data.symbols[labels.numpy(), picks.numpy()], device)
    if variants > 1:
        settings = recipe.augmentation.model_copy(update={"colour": 0.0, "noise": 0.0, "telescopes": 0.0})
        pixels, mirrored = augment(pixels, settings, size=size, factor=1.0, generator=generator)
        if kinds is None:
            flipped = torch.from_numpy(data.flip_permutation)[labels]
            labels = torch.where(mirrored, flipped, labels)
    return pixels, labels.to(device)
