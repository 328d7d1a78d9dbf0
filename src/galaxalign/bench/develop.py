"""Develops the model of a cell without the test galaxies: train, choose epoch and classifier, calibrate."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from galaxalign.bench.config import Benchmark, Cell, Dataset, Tower
from galaxalign.bench.frozen_model import FrozenModel
from galaxalign.bench.protocols import leaked_data
from galaxalign.bench.sealed import Development, Sealed
from galaxalign.data.catalogs import Pictures
from galaxalign.models import ClipEncoder, VisionEncoder, load_encoder, starting_folder
from galaxalign.progress import note, progress
from galaxalign.training import (
    Chooser,
    TrainingData,
    by_words,
    drawn_per_epoch,
    fit,
    load_recipe,
    prepare_source,
    symbol_vectors,
)


def load_tower(
    tower: Tower, out: Path, *, words: bool, dataset: Dataset, device: str | None = None
) -> ClipEncoder | VisionEncoder:
    """Return an encoder that prepares pictures as the data set says; pretrained models are in the folder `out`."""
    load = tower.source(out)
    # a model folder brings its own preprocessing
    look = dataset.image_options(tower.size) if starting_folder(load) is None else None
    return load_encoder(load, look=look, words=words, device=device, pretrained=tower.pretrained)


def develop(
    cell: Cell,
    benchmark: Benchmark,
    development: Development,
    sealed: Sealed,
    encoder: ClipEncoder | VisionEncoder,
    *,
    folder: Path,
    digest: str,
    quiet: bool,
) -> FrozenModel:
    """Train, choose the epoch and the classifier, and calibrate; only protocols that leak use `sealed`."""
    taxonomy, recipe = development.taxonomy, benchmark.recipe(cell)
    training: dict[str, Any] = {"recipe": None, "best_epoch": None, "epochs": 0, "history": [], "images_seen": 0}
    if cell.training == "zero-shot":
        choice = by_words(encoder, taxonomy)
        training |= {"n_train": 0, "n_validation": 0, "validation": {}}
        symbols = symbol_vectors(encoder, taxonomy) if encoder.symbol is not None else None
        return FrozenModel(encoder, taxonomy, choice.name, {choice.name: choice}, symbols, training)
    data, skipped = prepare_source(
        development.source, encoder.preprocessing, recipe or load_recipe("supervised"), None, cell.seed, quiet=True
    )
    if skipped:
        note(f"{cell.name}: {len(skipped)} pictures could not be read, first {skipped[0]}", quiet=quiet)
    data = leaked_data(cell, benchmark, data, sealed, encoder.preprocessing)
    if cell.shuffled:
        data = _shuffled(data, cell.seed)
    head = None
    if recipe is not None:
        recipe = recipe.at_least(len(data.labels), benchmark.steps)
        images = sum(sum(drawn_per_epoch(stage, [data])) * stage.epochs for stage in recipe.stages)
        with progress(cell.name, images, quiet=quiet) as done:
            result = fit(encoder, recipe, data, out=folder, seed=cell.seed, settings={"digest": digest}, on_step=done)
        head = result.head
        training |= {
            "recipe": recipe.model_dump(mode="json"),
            "best_epoch": result.best_epoch,
            "epochs": recipe.epochs,
            "history": result.history,
            "images_seen": images,
        }
    symbols = symbol_vectors(encoder, taxonomy, recipe) if encoder.symbol is not None else None
    chooser = Chooser(encoder, data, taxonomy)
    name, choices = chooser.compare(head, symbols=symbols, candidates=benchmark.classifiers)
    training |= {"n_train": len(data.labels), "n_validation": len(data.validation_labels)}
    training["validation"] = choices[name].validation[name]
    return FrozenModel(encoder, taxonomy, name, choices, symbols, training)


def _shuffled(data: TrainingData, seed: int) -> TrainingData:
    """Return the control: each label, caption and vote belongs to the picture of another galaxy of the same part."""
    rng = np.random.default_rng([seed, 23])

    def shuffle(pictures: NDArray[np.uint8] | Pictures) -> Pictures:
        whole = pictures if isinstance(pictures, Pictures) else Pictures(pictures)
        return whole.take(rng.permutation(len(whole)))

    return replace(data, images=shuffle(data.images), validation_images=shuffle(data.validation_images))
