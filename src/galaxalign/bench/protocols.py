"""Ways in which published figures leak, done on purpose, to measure what each leak is worth.

random-split
    The same galaxy in two cutouts on both sides of the split: another cutout (moved, scaled, dimmed, noisier,
    recompressed) of a share of the test galaxies replaces as many training galaxies.
augmented-first
    Every galaxy is rotated, mirrored and moved before a random split: 70 % of the copies of the test galaxies are in
    the training part.
augmented-after
    No leak: as many pictures as augmented-first, all of them copies of training galaxies. Its gain over the clean
    protocol is the worth of more pictures; the rest of augmented-first's gain is the leak.
epoch-on-test
    The epoch, the classifier and its calibration are chosen on the test galaxies.
symbol-given
    Each test galaxy comes with the symbol of its class, whose vector is added to that of the picture.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from io import BytesIO

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from galaxalign.bench.config import Benchmark, Cell
from galaxalign.bench.frozen_model import FrozenModel
from galaxalign.bench.sealed import Answers, Sealed
from galaxalign.data import images
from galaxalign.data.catalogs import Pictures
from galaxalign.data.images import Augmentation, Preprocessing
from galaxalign.errors import InputError
from galaxalign.models import to_tensor
from galaxalign.training import TrainingData

_TRAINING_SHARE = 0.7  # of the copies, in a random split


def leaked_data(
    cell: Cell, benchmark: Benchmark, data: TrainingData, sealed: Sealed, preprocessing: Preprocessing
) -> TrainingData:
    """Return training data into which the protocol of a cell leaks test galaxies; unchanged for other protocols."""
    if cell.protocol == "epoch-on-test":
        pictures, labels = sealed.leak(cell.protocol, preprocessing)
        return replace(data, validation_images=pictures, validation_labels=labels, votes=None)
    if cell.protocol not in ("random-split", "augmented-first", "augmented-after"):
        return data
    if data.captioner is not None or data.kinds is not None or data.votes is not None:
        raise InputError(f"protocol {cell.protocol} is for recipes of classes; this one learns from captions or votes")
    rng, own = np.random.default_rng([cell.seed, 17]), len(data.labels)
    if cell.protocol == "augmented-after":
        wanted = round(_TRAINING_SHARE * benchmark.copies * (own + len(sealed)))
        rounds = -(-wanted // own)
        dealt = [np.arange(own) for _ in range(rounds - 1)]
        dealt.append(rng.permutation(own)[: wanted - (rounds - 1) * own])
        return _copied(data, data.images, data.labels, dealt, cell.seed)
    pictures, labels = sealed.leak(cell.protocol, preprocessing.with_margin(preprocessing.widest_margin()))
    if cell.protocol == "random-split":
        chosen = rng.permutation(len(labels))[: round(benchmark.twins * len(labels))][:own]
        again = _cut_out_again(pictures[chosen], rng)
        kept = np.sort(rng.permutation(own)[len(chosen) :])
        labels = np.concatenate([data.labels[kept], labels[chosen]])
        return replace(data, images=np.concatenate([data.images[kept], again]), labels=labels)
    everything = np.concatenate([data.images[np.arange(own)], pictures[np.arange(len(labels))]])
    owners = np.concatenate([data.labels, labels])
    dealt = [np.flatnonzero(rng.random(len(owners)) < _TRAINING_SHARE) for _ in range(benchmark.copies)]
    return _copied(data, everything, owners, dealt, cell.seed)


def with_symbols(model: FrozenModel, answers: Answers, sealed: Sealed) -> Answers:
    """Return the answers for test galaxies that come with the symbol of their class, protocol "symbol-given"."""
    if model.symbols is None:
        return answers
    sealed.leaked.append("symbol-given")
    both = answers.vectors + model.symbols[answers.table["label"].to_numpy()]
    both /= np.linalg.norm(both, axis=1, keepdims=True)
    return replace(answers, vectors=both.astype(np.float32), probabilities=model.classify(both))


def _copied(
    data: TrainingData,
    pictures: Pictures | NDArray[np.uint8],
    labels: NDArray[np.int64],
    dealt: Sequence[NDArray[np.int64]],
    seed: int,
) -> TrainingData:
    """Return training data of changed copies, one round for each set of rows."""
    handed = not np.array_equal(data.flip_permutation, np.arange(data.classes))
    turned = Augmentation.model_validate({"flip": not handed})
    made = [
        _augmented(pictures[rows], turned, torch.Generator().manual_seed(seed * 101 + copy))
        for copy, rows in enumerate(dealt)
    ]
    return replace(data, images=np.concatenate(made), labels=np.concatenate([labels[rows] for rows in dealt]))


def _cut_out_again(pictures: NDArray[np.uint8], rng: np.random.Generator) -> NDArray[np.uint8]:
    """Return pictures of the same galaxies as another pipeline might cut them out."""
    changes = Augmentation.model_validate({"rotate": False, "flip": False, "scale": 0.05, "shift": 0.03, "noise": 3.0})
    generator = torch.Generator().manual_seed(int(rng.integers(2**31)))
    moved = _augmented(pictures, changes, generator)
    for index, picture in enumerate(moved):
        buffer = BytesIO()
        Image.fromarray(picture).save(buffer, "JPEG", quality=85)
        moved[index] = np.asarray(Image.open(buffer))
    return moved


def _augmented(pictures: NDArray[np.uint8], settings: Augmentation, generator: torch.Generator) -> NDArray[np.uint8]:
    """Return changed pictures of the same size."""
    changed = np.empty_like(pictures)
    for start in range(0, len(pictures), 256):
        part = slice(start, start + 256)
        views, _ = images.augment(
            to_tensor(pictures[part], "cpu"), settings, size=pictures.shape[1], factor=1.0, generator=generator
        )
        changed[part] = views.round().byte().permute(0, 2, 3, 1).numpy()
    return changed
