"""The galaxies, words and symbols of each catalogue, and how they are dealt to batches."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from galaxalign.data.catalogs import Pictures
from galaxalign.morphology import DecisionTree
from galaxalign.training.prompt_sampling import Captioner, Captions, Prompts
from galaxalign.training.recipe import Stage


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
    """Deal the galaxies of several catalogues to batches of like composition."""
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
