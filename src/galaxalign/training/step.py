"""What one training step sees, galaxies, words and symbols of each catalogue, and the loss of each pair of them."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from galaxalign.data.augment import augment
from galaxalign.data.store import Pictures
from galaxalign.encoders.base import to_tensor
from galaxalign.encoders.cpu import bf16_is_fast
from galaxalign.training.losses import alignment_loss, same, same_class_loss, sigmoid_loss
from galaxalign.training.norms import SymbolStatistics
from galaxalign.training.recipe import Recipe, Stage
from galaxalign.training.vote_likelihood import concentrations, question_loss
from galaxalign.training.words import Captioner, Captions, Prompts
from galaxalign.tree import DecisionTree

__all__ = [
    "Batch",
    "Epoch",
    "TrainingData",
    "VoteCounts",
    "applicable",
    "drawn_per_epoch",
    "mixed_batches",
    "step_losses",
]


@dataclass
class VoteCounts:
    """The votes on the galaxies of one catalogue, all 0 of a galaxy without.

    Attributes
    ----------
    tree : DecisionTree
        With A answers.
    counts : ndarray (N, A), float32
        On the training galaxies.
    validation_counts : ndarray (M, A), float32
    """

    tree: DecisionTree
    counts: np.ndarray
    validation_counts: np.ndarray

    def __post_init__(self) -> None:
        self._mirrored = self.tree.flip_permutation()

    def take(self, rows: NDArray[np.int64], mirrored: NDArray[np.bool_]) -> np.ndarray:
        """Return the votes on some training galaxies, of mirrored ones those on the mirror image, shape (n, A)."""
        found = self.counts[rows]
        return np.where(mirrored[:, None], found[:, self._mirrored], found)


@dataclass
class TrainingData:
    """What a run learns from one catalogue and chooses its epoch on; never a test galaxy.

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
        V drawings of each class, or (J, V, ...) of each of the kinds that `kinds` names.
    flip_permutation : ndarray (K,), int64
        Class of the mirror image.
    canvas_factor : float
    captioner : callable, optional
        Makes a sentence of each galaxy's own attributes or votes.
    kinds : ndarray (N,), int64, optional
        Which of the symbols is that of each galaxy, where it is more particular than its class.
    kind_prompts : list of J lists of sentences, optional
        What each of these symbols shows.
    vote_roots : ndarray (N, A), float32, optional
        Unit vectors whose products say how alike galaxies were seen, see `Votes.roots`.
    votes : VoteCounts, optional
        What "image-votes" learns.
    name : str
        For the columns of figures of a run over several catalogues.
    weight : float
        How often a galaxy is seen in an epoch.
    views : (float, float), optional
        Smallest and largest share of the canvas that a view shows; by default `augmentation.scale` around the frame.
    """

    images: np.ndarray | Pictures
    labels: np.ndarray
    validation_images: np.ndarray | Pictures
    validation_labels: np.ndarray
    prompts: list[list[str]]
    symbols: np.ndarray
    flip_permutation: np.ndarray
    canvas_factor: float = 1.0
    captioner: Captioner | None = None
    kinds: np.ndarray | None = None
    kind_prompts: list[list[str]] | None = None
    vote_roots: np.ndarray | None = None
    votes: VoteCounts | None = None
    name: str = ""
    weight: float = 1.0
    views: tuple[float, float] | None = None

    @property
    def classes(self) -> int:
        """Return the number of classes K."""
        return len(self.prompts)


@dataclass
class Batch:
    """The galaxies of one catalogue in one step: their rows, and their places among those of the epoch."""

    rows: NDArray[np.int64]
    places: NDArray[np.int64]


@dataclass
class Epoch:
    """The words of one catalogue in one epoch."""

    prompts: Prompts | None = None
    kind_prompts: Prompts | None = None
    captions: Captions | None = None
    log_prior: Tensor | None = None
    weights: dict[str, float] = field(default_factory=dict)


def applicable(stage: Stage, data: TrainingData) -> dict[str, float]:
    """Return the pairs of a stage for one catalogue, with their weights.

    Where there are neither votes nor attributes to make captions of, the prompts of the class take their place.
    Without votes there is no "image-votes"; a catalogue that is left with no pair is not seen in the stage.
    """
    pairs: dict[str, float] = {str(pair): weight for pair, weight in stage.pairs.items()}
    if "image-caption" in pairs and data.captioner is None:
        pairs["image-text"] = pairs.pop("image-caption") + pairs.get("image-text", 0.0)
    if data.votes is None or not data.votes.counts.any():
        pairs.pop("image-votes", None)
    return pairs


def drawn_per_epoch(stage: Stage, sources: Sequence[TrainingData]) -> list[int]:
    """Return how many galaxies of each catalogue an epoch of a stage sees: none where no pair applies."""
    return [max(1, round(len(s.labels) * s.weight)) if applicable(stage, s) else 0 for s in sources]


def mixed_batches(
    sizes: list[int], wanted: list[int], batch_size: int, generator: torch.Generator
) -> tuple[list[NDArray[np.int64]], list[list[Batch]]]:
    """Deal the galaxies of several catalogues to batches of like composition.

    Parameters
    ----------
    sizes : list of int
    wanted : list of int
        How many galaxies of each catalogue are drawn, see `drawn_per_epoch`; each once before one is drawn again.
    batch_size : int
    generator : torch.Generator

    Returns
    -------
    rows : list of ndarray
        For each catalogue its galaxies in the order of the epoch.
    batches : list of list of Batch
        For each step one batch per catalogue, which may be empty; the last galaxies that fill no batch are left out.
    """
    drawn: list[NDArray[np.int64]] = []
    for size, number in zip(sizes, wanted, strict=True):
        turns = [torch.randperm(size, generator=generator).numpy() for _ in range(-(-number // size))]
        drawn.append(np.concatenate([np.zeros(0, np.int64), *turns])[:number])
    # The i-th of n galaxies stands at (i + 1/2) / n of the epoch: every batch has its share of each catalogue.
    position = np.concatenate([(np.arange(len(rows)) + 0.5) / len(rows) for rows in drawn])
    owner = np.repeat(np.arange(len(drawn)), [len(rows) for rows in drawn])
    place = np.concatenate([np.arange(len(rows)) for rows in drawn])
    order = np.argsort(position, kind="stable")
    batches = []
    for start in range(0, len(order) - batch_size + 1, batch_size):
        chosen = order[start : start + batch_size]
        places = [place[chosen[owner[chosen] == index]] for index in range(len(drawn))]
        batches.append([Batch(rows[at], at) for rows, at in zip(drawn, places, strict=True)])
    return drawn, batches


def step_losses(
    encoder: Any,
    towers: Any,
    sources: list[TrainingData],
    epochs: list[Epoch],
    batches: list[Batch],
    recipe: Recipe,
    stage: Stage,
    statistics: SymbolStatistics | None,
    generator: torch.Generator,
) -> tuple[Tensor, dict[str, float]]:
    """Return the loss of one step, and that of each pair (the mean over the catalogues, by their galaxies).

    The pictures of all catalogues go through the tower together, so that batch normalisation sees the mixture;
    words, symbols and other galaxies are compared within a catalogue, so that nothing can be learnt from what tells
    the catalogues apart.
    """
    device, size = encoder.device, encoder.preprocessing.size
    present = [index for index, batch in enumerate(batches) if len(batch.rows)]
    views, flips = [], []
    for index in present:
        data = sources[index]
        canvases = to_tensor(data.images[batches[index].rows], device)
        pixels, mirrored = augment(
            canvases,
            recipe.augmentation,
            size=size,
            factor=data.canvas_factor,
            generator=generator,
            views=data.views,
        )
        views.append(pixels)
        flips.append(mirrored.numpy())
    fast = torch.autocast(device.type, torch.bfloat16, enabled=bf16_is_fast(device.type))
    with fast:
        features = towers.visual(encoder.normalize(torch.cat(views)))
    features = features.float()
    symbols: list[tuple[Tensor, Tensor] | None] = [None] * len(present)
    if stage.uses("symbol"):
        drawn = []
        for index in present:
            data = sources[index]
            seen = None if data.kinds is None else data.kinds[batches[index].rows]
            drawn.append(_draw_symbols(data, seen, recipe, size, generator, device))
        tower = towers.visual if towers.symbol is None else towers.symbol
        with fast, statistics.active() if statistics is not None else nullcontext():
            vectors = tower(encoder.normalize(torch.cat([pixels for pixels, _ in drawn])))
        split = F.normalize(vectors.float(), dim=-1).split([len(labels) for _, labels in drawn])
        symbols = [(part, labels) for part, (_, labels) in zip(split, drawn, strict=True)]
    total = torch.zeros((), device=device)
    told: dict[str, list[tuple[float, int]]] = {}
    parts = features.split([len(batches[index].rows) for index in present])
    n = len(features)
    for index, own, flipped, symbol in zip(present, parts, flips, symbols, strict=True):
        losses = _source_losses(
            towers, index, sources[index], epochs[index], batches[index], own, flipped, symbol, stage, generator
        )
        weights = epochs[index].weights
        loss = sum((losses[pair] * weight for pair, weight in weights.items()), torch.zeros((), device=device))
        total = total + loss / sum(weights.values()) * (len(own) / n)
        for pair, value in losses.items():
            told.setdefault(pair, []).append((float(value.detach()), len(own)))
    return total, {pair: sum(v * w for v, w in seen) / sum(w for _, w in seen) for pair, seen in told.items()}


def _source_losses(
    towers: Any,
    index: int,
    data: TrainingData,
    epoch: Epoch,
    batch: Batch,
    features: Tensor,
    mirrored: NDArray[np.bool_],
    symbols: tuple[Tensor, Tensor] | None,
    stage: Stage,
    generator: torch.Generator,
) -> dict[str, Tensor]:
    """Return the loss of each pair for the galaxies of one catalogue."""
    device = features.device
    pairs = epoch.weights
    labels = data.labels[batch.rows]
    labels = np.where(mirrored, data.flip_permutation[labels], labels)
    y = torch.from_numpy(labels).to(device)
    image = F.normalize(features, dim=-1)
    losses: dict[str, Tensor] = {}
    if "image-label" in pairs:
        logits = towers.heads[index](features)
        losses["image-label"] = F.cross_entropy(logits, y, label_smoothing=stage.label_smoothing)
    if "image-votes" in pairs:
        assert data.votes is not None
        counts = torch.from_numpy(data.votes.take(batch.rows, mirrored)).to(device)
        alpha = concentrations(towers.vote_heads[str(index)](features))
        losses["image-votes"] = question_loss(alpha, counts, data.votes.tree.slices)
    if "image-image" in pairs:
        losses["image-image"] = same_class_loss(
            image,
            y,
            towers.log_scale["image-image"].exp(),
            towers.margin["image-image"],
            smoothing=stage.label_smoothing,
        )
    if "image-caption" in pairs:
        assert epoch.captions is not None
        losses["image-caption"] = _caption_loss(towers, data, epoch.captions, batch, image, mirrored, stage, generator)
    kinds: dict[str, tuple[Tensor, Tensor]] = {"image": (image, y)}
    if any("text" in pair.split("-") for pair in pairs) and epoch.prompts is not None:
        kinds["text"] = epoch.prompts.draw(generator)
    if symbols is not None:
        kinds["symbol"] = symbols
    for pair in pairs:
        if pair in losses:
            continue
        first, second = pair.split("-")
        (a, ya), (b, yb) = kinds[first], kinds[second]
        own = y
        if data.kinds is not None and "symbol" in (first, second):
            # Symbols are those of each galaxy's own Morphology, and so are their words.
            own = torch.from_numpy(data.kinds[batch.rows]).to(device)
            if first == "image":
                ya = own
            else:
                assert epoch.kind_prompts is not None
                b, yb = epoch.kind_prompts.draw(generator, sorted(set(ya.tolist())))
        if stage.targets == "pair":
            a, ya, b, yb = _paired(a, ya, b, yb, own, generator)
            match = torch.eye(len(a), device=device)
        else:
            match = same(ya, yb)
        if stage.loss == "sigmoid":
            losses[pair] = sigmoid_loss(a, b, match, towers.log_scale[pair].exp(), towers.margin[pair])
            continue
        prior = None
        if stage.prior and first == "image" and own is y and stage.targets == "same_class":
            assert epoch.log_prior is not None
            prior = stage.prior * epoch.log_prior[yb]
        losses[pair] = alignment_loss(
            a,
            b,
            match,
            towers.log_scale[pair].exp(),
            smoothing=stage.label_smoothing if stage.targets == "same_class" else 0.0,
            log_prior=prior,
        )
    return losses


def _caption_loss(
    towers: Any,
    data: TrainingData,
    captions: Captions,
    batch: Batch,
    image: Tensor,
    mirrored: NDArray[np.bool_],
    stage: Stage,
    generator: torch.Generator,
) -> Tensor:
    """Return the loss of bringing galaxies to their own sentences, and away from those of other galaxies.

    Sentences cost little beside pictures, so that those of `stage.other_captions` galaxies that are not in the batch
    are there to be told apart from.
    """
    n, device = len(image), image.device
    places, flips = batch.places, mirrored
    if stage.other_captions:
        others = torch.randint(len(captions.rows), (stage.other_captions,), generator=generator).numpy()
        places, flips = np.concatenate([places, others]), np.concatenate([flips, np.zeros(len(others), bool)])
    text, numbers = captions.take(places, flips)
    if stage.caption_targets == "pair":
        match = torch.eye(n, len(places), device=device)
    else:
        match = same(numbers[:n], numbers)
        if stage.caption_targets == "soft" and data.vote_roots is not None:
            roots = torch.from_numpy(data.vote_roots[captions.rows[places]]).to(device)
            match = torch.exp((roots[:n] @ roots.T - 1) / stage.soft_temperature)
    scale = towers.log_scale["image-caption"].exp()
    if stage.loss == "sigmoid":
        return sigmoid_loss(image, text, match, scale, towers.margin["image-caption"])
    return alignment_loss(image, text, match, scale, askers=n)


def _paired(
    a: Tensor, ya: Tensor, b: Tensor, yb: Tensor, y: Tensor, generator: torch.Generator
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Give every galaxy of the batch one of the words or symbols of its class, so that rows correspond."""

    def matched(vectors: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        if len(vectors) == len(y) and bool((labels == y).all()):
            return vectors, labels
        same_class = (labels[None, :] == y[:, None]).float().cpu()
        index = torch.multinomial(same_class, 1, generator=generator)[:, 0].to(vectors.device)
        return vectors[index], y

    return (*matched(a, ya), *matched(b, yb))


def _draw_symbols(
    data: TrainingData,
    kinds: NDArray[np.int64] | None,
    recipe: Recipe,
    size: int,
    generator: torch.Generator,
    device: torch.device,
) -> tuple[Tensor, Tensor]:
    """Return symbols (n, 3, S, S) in 0..255 and which they are: of every class, or of the kinds of these galaxies."""
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
