"""Ways in which published figures leak, done on purpose, to measure what each is worth.

random-split
    A galaxy was observed or cut out twice and the split does not know it: of a share of the test galaxies another
    cutout (moved, scaled, dimmed, noisier, compressed anew) stands among the training galaxies, with its label, in
    place of as many others.
augmented-first
    Every galaxy of the catalogue was turned, mirrored and moved before the split, and the copies were dealt at random:
    70 % of the copies of the test galaxies are in the training part.
augmented-after
    No leak: as many pictures as augmented-first trains on, all of them copies of the training galaxies. What it gains
    over the clean protocol is what more changed pictures are worth; what augmented-first has beyond it is the leak.
epoch-on-test
    The epoch (by what the recipe chooses by, as ever), the classifier and its calibration are chosen on the test
    galaxies.
symbol-given
    The test galaxy comes with the symbol of its class, whose vector is added to that of the picture.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from io import BytesIO

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from galaxalign.benchmark.sealed import Sealed
from galaxalign.data.augment import Augmentation, augment
from galaxalign.data.preprocessing import Preprocessing
from galaxalign.data.store import Pictures
from galaxalign.encoders.base import to_tensor
from galaxalign.errors import InputError
from galaxalign.training.step import TrainingData

__all__ = ["leaked_training", "leaked_validation"]

_DEALT = 0.7  # share of copies that a random split deals to the training part


def leaked_training(
    protocol: str,
    data: TrainingData,
    sealed: Sealed,
    canvas: Preprocessing,
    *,
    twins: float,
    copies: int,
    seed: int,
) -> TrainingData:
    """Return training data into which test galaxies have leaked, or the same data where the protocol leaks elsewhere.

    Parameters
    ----------
    protocol : str
    data : TrainingData
    sealed : Sealed
    canvas : Preprocessing
        That of the training pictures.
    twins : float
        "random-split": share of the test galaxies that have another cutout in the training part.
    copies : int
        "augmented-first": copies made of each galaxy.
    seed : int

    Raises
    ------
    InputError
        The catalogue has captions of its own, which the copies would need.
    """
    if protocol not in ("random-split", "augmented-first", "augmented-after"):
        return data
    if data.captioner is not None or data.kinds is not None or data.votes is not None:
        raise InputError(f"protocol {protocol} is for recipes of classes; this one learns from captions or votes")
    rng = np.random.default_rng([seed, 17])
    if protocol == "augmented-after":
        wanted = round(_DEALT * copies * (len(data.labels) + len(sealed)))
        every = -(-wanted // len(data.labels))
        dealt = [np.arange(len(data.labels)) for _ in range(every - 1)]
        dealt.append(rng.permutation(len(data.labels))[: wanted - (every - 1) * len(data.labels)])
        return _copied(data, data.images, data.labels, dealt, seed)
    pictures, labels = sealed.leak(protocol, canvas)
    if protocol == "random-split":
        chosen = rng.permutation(len(labels))[: round(twins * len(labels))][: len(data.labels)]
        again = _cut_out_again(pictures[chosen], rng)
        kept = np.sort(rng.permutation(len(data.labels))[len(chosen) :])
        images = np.concatenate([data.images[kept], again])
        return replace(data, images=images, labels=np.concatenate([data.labels[kept], labels[chosen]]))
    everything = np.concatenate([data.images[np.arange(len(data.labels))], pictures[np.arange(len(labels))]])
    owners = np.concatenate([data.labels, labels])
    dealt = [np.flatnonzero(rng.random(len(owners)) < _DEALT) for _ in range(copies)]
    return _copied(data, everything, owners, dealt, seed)


def leaked_validation(protocol: str, data: TrainingData, sealed: Sealed, frame: Preprocessing) -> TrainingData:
    """Return training data whose validation part is the test part, for the protocol that chooses on it."""
    if protocol != "epoch-on-test":
        return data
    pictures, labels = sealed.leak(protocol, frame)
    return replace(data, validation_images=pictures, validation_labels=labels, votes=None)


def _copied(
    data: TrainingData,
    pictures: Pictures | NDArray[np.uint8],
    labels: NDArray[np.int64],
    dealt: Sequence[NDArray[np.int64]],
    seed: int,
) -> TrainingData:
    """Return training data of changed copies, a round of them for each set of rows."""
    handed = not np.array_equal(data.flip_permutation, np.arange(data.classes))
    turned = Augmentation.model_validate({"flip": not handed})
    made = [
        _seen(pictures[rows], turned, torch.Generator().manual_seed(seed * 101 + copy))
        for copy, rows in enumerate(dealt)
    ]
    return replace(data, images=np.concatenate(made), labels=np.concatenate([labels[rows] for rows in dealt]))


def _cut_out_again(pictures: NDArray[np.uint8], rng: np.random.Generator) -> NDArray[np.uint8]:
    """Return pictures of the same galaxies as another pipeline might have cut them out."""
    seen = Augmentation.model_validate({"rotate": False, "flip": False, "scale": 0.05, "shift": 0.03, "noise": 3.0})
    generator = torch.Generator().manual_seed(int(rng.integers(2**31)))
    moved = _seen(pictures, seen, generator)
    for index, picture in enumerate(moved):
        buffer = BytesIO()
        Image.fromarray(picture).save(buffer, "JPEG", quality=85)
        moved[index] = np.asarray(Image.open(buffer))
    return moved


def _seen(pictures: NDArray[np.uint8], settings: Augmentation, generator: torch.Generator) -> NDArray[np.uint8]:
    """Return changed pictures of the same size."""
    found = np.empty_like(pictures)
    for start in range(0, len(pictures), 256):
        part = slice(start, start + 256)
        views, _ = augment(
            to_tensor(pictures[part], "cpu"), settings, size=pictures.shape[1], factor=1.0, generator=generator
        )
        found[part] = views.round().byte().permute(0, 2, 3, 1).numpy()
    return found
