"""The loss of each pair of kinds of input; a new pair, target or comparison is an entry in a table."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from galaxalign.models import concentrations, question_loss
from galaxalign.training.batch import Batch, Epoch, TrainingData
from galaxalign.training.losses import alignment_loss, same, same_class_loss, sigmoid_loss
from galaxalign.training.recipe import Stage

Labelled = tuple[Tensor, Tensor]
"""Unit vectors (n, D), and which class, kind or galaxy each is of (n,)."""


@dataclass
class View:
    """What a step sees of one catalogue."""

    towers: Any
    stage: Stage
    generator: torch.Generator
    index: int
    data: TrainingData
    epoch: Epoch
    batch: Batch
    features: Tensor
    mirrored: NDArray[np.bool_]
    symbols: Labelled | None

    @cached_property
    def labels(self) -> Tensor:
        """The class of each galaxy as it is shown: of a mirrored one that of the mirror image."""
        labels = self.data.labels[self.batch.rows]
        labels = np.where(self.mirrored, self.data.flip_permutation[labels], labels)
        return torch.from_numpy(labels).to(self.features.device)

    @cached_property
    def images(self) -> Tensor:
        """Unit vectors (n, D) of the galaxies."""
        return F.normalize(self.features, dim=-1)

    def scale(self, pair: str) -> Tensor:
        """The inverse temperature of a pair."""
        scale: Tensor = self.towers.log_scale[pair].exp()
        return scale


def pair_losses(view: View) -> dict[str, Tensor]:
    """Return the loss of each pair that the stage has for the galaxies of one catalogue."""
    pairs = view.epoch.weights
    losses = {pair: loss(view) for pair, loss in _OWN_LOSSES.items() if pair in pairs}
    kinds: dict[str, Labelled] = {"image": (view.images, view.labels)}
    if any("text" in pair.split("-") for pair in pairs) and view.epoch.prompts is not None:
        kinds["text"] = view.epoch.prompts.draw(view.generator)
    if view.symbols is not None:
        kinds["symbol"] = view.symbols
    return losses | {pair: _compare(view, pair, kinds) for pair in pairs if pair not in losses}


def _label_loss(view: View) -> Tensor:
    logits = view.towers.heads[view.index](view.features)
    return F.cross_entropy(logits, view.labels, label_smoothing=view.stage.label_smoothing)


def _vote_loss(view: View) -> Tensor:
    votes = view.data.votes
    assert votes is not None
    counts = torch.from_numpy(votes.take(view.batch.rows, view.mirrored)).to(view.features.device)
    alpha = concentrations(view.towers.vote_heads[str(view.index)](view.features))
    return question_loss(alpha, counts, votes.tree.slices)


def _image_loss(view: View) -> Tensor:
    margin = view.towers.margin["image-image"]
    smoothing = view.stage.label_smoothing
    return same_class_loss(view.images, view.labels, view.scale("image-image"), margin, smoothing=smoothing)


def _caption_loss(view: View) -> Tensor:
    """Return the loss of bringing galaxies to their own sentences, and away from those of other galaxies.

    Sentences cost little beside pictures, so `stage.other_captions` sentences of galaxies outside the batch are
    compared, too.
    """
    stage, captions = view.stage, view.epoch.captions
    assert captions is not None
    n = len(view.images)
    places, flips = view.batch.places, view.mirrored
    if stage.other_captions:
        others = torch.randint(len(captions.rows), (stage.other_captions,), generator=view.generator).numpy()
        places, flips = np.concatenate([places, others]), np.concatenate([flips, np.zeros(len(others), bool)])
    text, numbers = captions.take(places, flips)
    match = _CAPTION_TARGETS[stage.caption_targets](view, places, numbers)
    if stage.loss == "sigmoid":
        margin = view.towers.margin["image-caption"]
        return sigmoid_loss(view.images, text, match, view.scale("image-caption"), margin)
    return alignment_loss(view.images, text, match, view.scale("image-caption"), askers=n)


def _own_caption(view: View, places: NDArray[np.int64], numbers: Tensor) -> Tensor:
    return torch.eye(len(view.images), len(places), device=view.images.device)


def _same_caption(view: View, places: NDArray[np.int64], numbers: Tensor) -> Tensor:
    return same(numbers[: len(view.images)], numbers)


def _alike_in_votes(view: View, places: NDArray[np.int64], numbers: Tensor) -> Tensor:
    """Return how much the votes of every two galaxies agree; without votes, whether their sentences are the same."""
    captions, roots_of_all = view.epoch.captions, view.data.vote_roots
    if roots_of_all is None or captions is None:
        return _same_caption(view, places, numbers)
    roots = torch.from_numpy(roots_of_all[captions.rows[places]]).to(view.images.device)
    return torch.exp((roots[: len(view.images)] @ roots.T - 1) / view.stage.soft_temperature)


def _compare(view: View, pair: str, kinds: dict[str, Labelled]) -> Tensor:
    """Return the loss of bringing two kinds of input together."""
    stage, data, epoch = view.stage, view.data, view.epoch
    first, second = pair.split("-")
    (a, ya), (b, yb) = kinds[first], kinds[second]
    own = view.labels
    if data.kinds is not None and "symbol" in (first, second):
        # Symbols are those of each galaxy's own Morphology, and so are their words.
        own = torch.from_numpy(data.kinds[view.batch.rows]).to(view.features.device)
        if first == "image":
            ya = own
        else:
            assert epoch.kind_prompts is not None
            b, yb = epoch.kind_prompts.draw(view.generator, sorted(set(ya.tolist())))
    (a, ya), (b, yb), match = _TARGETS[stage.targets]((a, ya), (b, yb), own, view.generator)
    if stage.loss == "sigmoid":
        return sigmoid_loss(a, b, match, view.scale(pair), view.towers.margin[pair])
    by_class = stage.targets == "same_class"
    prior = None
    if stage.prior and first == "image" and own is view.labels and by_class:
        assert epoch.log_prior is not None
        prior = stage.prior * epoch.log_prior[yb]
    smoothing = stage.label_smoothing if by_class else 0.0
    return alignment_loss(a, b, match, view.scale(pair), smoothing=smoothing, log_prior=prior)


def _by_class(a: Labelled, b: Labelled, own: Tensor, generator: torch.Generator) -> tuple[Labelled, Labelled, Tensor]:
    """Everything of one class belongs together."""
    return a, b, same(a[1], b[1])


def _by_pair(a: Labelled, b: Labelled, own: Tensor, generator: torch.Generator) -> tuple[Labelled, Labelled, Tensor]:
    """Every galaxy of the batch has one of the words or symbols of its class, so that rows correspond."""

    def matched(vectors: Tensor, labels: Tensor) -> Labelled:
        if len(vectors) == len(own) and bool((labels == own).all()):
            return vectors, labels
        same_class = same(own, labels).cpu()
        index = torch.multinomial(same_class, 1, generator=generator)[:, 0].to(vectors.device)
        return vectors[index], own

    a, b = matched(*a), matched(*b)
    return a, b, torch.eye(len(a[0]), device=a[0].device)


# In the order in which they draw from the generator.
_OWN_LOSSES: dict[str, Callable[[View], Tensor]] = {
    "image-label": _label_loss,
    "image-votes": _vote_loss,
    "image-image": _image_loss,
    "image-caption": _caption_loss,
}
_TARGETS = {"same_class": _by_class, "pair": _by_pair}
_CAPTION_TARGETS = {"same_text": _same_caption, "pair": _own_caption, "soft": _alike_in_votes}
