"""The cells of a benchmark and an estimate of their duration."""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch

from galaxalign.bench.config import Benchmark, Cell
from galaxalign.bench.develop import load_tower
from galaxalign.bench.results import finished
from galaxalign.data.catalogs import read_catalog
from galaxalign.errors import InputError
from galaxalign.models import bf16_is_fast
from galaxalign.morphology import load_taxonomy
from galaxalign.training import catalog_labels

_BATCH = 16
_VIEWS = 8
_PARTS = (0.7, 0.3)  # of a catalogue: for training, for validation and test
_VALIDATION = 0.12  # of it, encoded after an epoch


def print_estimate(
    plan: Benchmark,
    cells: list[Cell],
    folder: Path,
    digests: Mapping[str, str],
    *,
    jobs: int,
    device: str | None,
) -> None:
    """Print each cell with its state or its estimated seconds, and their sum.

    Each encoder is timed on one step of noise; the benchmark takes half to twice as long as estimated.
    """
    sizes: dict[str, int] = {}
    rates: dict[str, tuple[float, float] | str] = {}
    total, done = 0.0, 0
    for cell in cells:
        if finished(folder, cell, digests.get(cell.name)) is not None:
            done += 1
            print(f"{cell.name:60} done")
            continue
        if cell.dataset not in sizes:
            sizes[cell.dataset] = _galaxies(plan, cell.dataset)
        if cell.encoder not in rates:
            rates[cell.encoder] = _rate(plan, cell, folder, device)
        rate = rates[cell.encoder]
        if isinstance(rate, str):
            print(f"{cell.name:60} not known")
            continue
        n, recipe = sizes[cell.dataset], plan.recipe(cell)
        labelled = max(2, round(n * _PARTS[0] * cell.share / 100))
        seconds = (labelled + n * _PARTS[1]) * _VIEWS / rate[1]
        if recipe is not None:
            longer = recipe.at_least(labelled, plan.steps)
            seconds += labelled * longer.epochs / rate[0]
            seconds += n * _VALIDATION * longer.epochs / longer.validate_every / rate[1]
        total += seconds
        print(f"{cell.name:60} {_readable(seconds)}")
    print(f"{len(cells)} cells, {done} done; about {_readable(total / jobs)} for the others with --jobs {jobs}")
    for name, rate in rates.items():
        if isinstance(rate, str):
            print(f"without the cells of the encoder {name}: {rate}")


def _galaxies(plan: Benchmark, name: str) -> int:
    """Return the number of labelled galaxies of a data set."""
    dataset = plan.dataset(name)
    catalog = read_catalog(dataset.catalog, columns=dataset.columns, quiet=True)
    return int((catalog_labels(catalog, load_taxonomy(dataset.taxonomy)) >= 0).sum())


def _rate(plan: Benchmark, cell: Cell, folder: Path, device: str | None) -> tuple[float, float] | str:
    """Return pictures per second in training and in use, from one step each, or the reason why they are unknown."""
    tower = plan.encoder(cell.encoder)
    if tower.pretraining:  # not made yet, perhaps; its own encoder is as fast
        begun = plan.pretraining(tower.pretraining)
        tower = tower.model_copy(update={"load": begun.encoder, "size": begun.size})
    try:
        encoder = load_tower(tower, folder, words=False, dataset=plan.dataset(cell.dataset), device=device)
    except InputError as error:
        return str(error)
    size = encoder.preprocessing.size
    pixels = np.random.default_rng(0).integers(0, 256, (_BATCH, 3, size, size), np.uint8)
    noise = torch.from_numpy(pixels)
    encoder.encode_images(noise)
    started = time.monotonic()
    encoder.encode_images(noise)
    used = time.monotonic() - started
    encoder.visual.requires_grad_(True)
    for _ in range(2):
        started = time.monotonic()
        with torch.autocast(encoder.device.type, torch.bfloat16, enabled=bf16_is_fast(encoder.device.type)):
            features = encoder.visual(encoder.normalize(noise.to(encoder.device)))
        features.float().square().mean().backward()
    return _BATCH / (time.monotonic() - started), _BATCH / used


def _readable(seconds: float) -> str:
    """Return a duration in seconds, minutes or hours."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"
