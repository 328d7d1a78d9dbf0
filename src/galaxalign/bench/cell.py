"""One cell of a benchmark: develop a model without the test galaxies, freeze it, predict, measure."""

from __future__ import annotations

import hashlib
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from filelock import FileLock

from galaxalign import training
from galaxalign.bench.config import Benchmark, Cell, Dataset
from galaxalign.bench.develop import develop, load_tower
from galaxalign.bench.digest import cell_digest
from galaxalign.bench.frozen_model import FrozenModel
from galaxalign.bench.protocols import with_symbols
from galaxalign.bench.results import NO_LEAK, cell_folder, write_result
from galaxalign.bench.sealed import Answers, Development, Sealed, open_dataset
from galaxalign.data.catalogs import Catalog, arcsec, prepare_store, read_catalog
from galaxalign.data.images import Preprocessing
from galaxalign.data.splits import Split
from galaxalign.data.tables import write_text
from galaxalign.evaluation import Meter, classification_metrics, evaluate_predictions, parameters, retrieval_scores
from galaxalign.models import ClipEncoder, Model, VisionEncoder, save_model, starting_folder
from galaxalign.training import Recipe, read_trained_on, seen_rows

_SHORT = ("accuracy", "macro_f1", "balanced_accuracy")
_TRAINING_FILES = ("checkpoint.safetensors", "settings.txt", "metrics.csv")  # the history is in cell.json


def run_cell(
    cell: Cell,
    benchmark: Benchmark,
    split: Split,
    out: Path,
    *,
    device: str | None = None,
    keep_model: bool = False,
    quiet: bool = False,
) -> dict[str, Any]:
    """Run a cell and write its results; a killed run resumes from its last checkpoint."""
    digest, recipe = cell_digest(cell, benchmark, split), benchmark.recipe(cell)
    folder = _begun(cell_folder(out, cell), digest)
    tower, dataset = benchmark.encoder(cell.encoder), benchmark.dataset(cell.dataset)
    words = cell.training == "zero-shot" if recipe is None else recipe.needs_words
    torch.manual_seed(cell.seed)  # of random weights
    encoder = load_tower(tower, out, words=words, dataset=dataset, device=device)
    catalog = _stored(dataset, encoder.preprocessing, out)
    development, sealed = open_dataset(catalog, dataset, split, share=cell.share, seed=cell.seed)
    with Meter(encoder.device) as developing:
        model = develop(cell, benchmark, development, sealed, encoder, folder=folder, digest=digest, quiet=quiet)
    with Meter(encoder.device) as encoding:
        answers = sealed.answer(model)
    if cell.protocol == "symbol-given":
        answers = with_symbols(model, answers, sealed)
    leaks = development.leaks + _trained_on_test(tower.source(out), sealed, arcsec(dataset.radius))
    about = {
        "name": cell.name,
        **cell.model_dump(),
        "digest": digest,
        **_figures(model, answers, benchmark.bootstrap),
        **model.training,
        "fingerprints": development.fingerprints | {"encoder": encoder.fingerprint, "model": answers.digest},
        "gates": _gates(leaks, development, sealed, answers),
        "cost": _cost(encoder, recipe, developing, encoding, model.training["images_seen"]),
        "provenance": training.provenance(),
    }
    if keep_model:
        choice = model.choices[model.chosen]
        card = f"# {cell.name}\n\nA cell of the benchmark {benchmark.name}; its figures are in cell.json."
        save_model(Model(encoder, model.taxonomy, choice, model.symbols, {}), folder / "model", card=card)
    write_result(folder, about, _predictions(model, answers), answers.vectors)
    for name in _TRAINING_FILES:
        (folder / name).unlink(missing_ok=True)
    shutil.rmtree(folder / "tensorboard", ignore_errors=True)
    return about


def _begun(folder: Path, digest: str) -> Path:
    """Return the folder of a cell, emptied if other settings began it."""
    mark = folder / "settings.txt"
    if folder.exists() and not (mark.is_file() and mark.read_text() == digest):
        shutil.rmtree(folder)
    folder.mkdir(parents=True, exist_ok=True)
    write_text(digest, mark)
    return folder


def _stored(dataset: Dataset, frame: Preprocessing, out: Path) -> Catalog:
    """Return the catalogue with its pictures prepared for the encoder, once for all cells with this preprocessing."""
    catalog = read_catalog(dataset.catalog, columns=dataset.columns, quiet=True)
    if catalog.store is not None:
        return catalog
    name = hashlib.sha256(f"{catalog.fingerprint} {frame}".encode()).hexdigest()[:12]
    folder = out / "stores" / f"{dataset.name}-{frame.size}-{name}"
    folder.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(folder.with_suffix(".lock")):
        prepare_store(catalog, folder, frame, canvas=frame.with_margin(frame.widest_margin()), quiet=True)
    return read_catalog(folder)


def _cost(
    encoder: ClipEncoder | VisionEncoder, recipe: Recipe | None, developing: Meter, encoding: Meter, images: int
) -> dict[str, Any]:
    """Return seconds, energy, and the number of parameters; those of linear heads do not count."""
    towers = [encoder.visual]
    if isinstance(encoder, ClipEncoder) and encoder.symbol is not None:
        towers.append(encoder.symbol)
    total = trained = sum(parameters(tower)[0] for tower in towers)
    if isinstance(encoder, ClipEncoder):
        words = parameters(encoder.model)[0] - parameters(encoder.visual)[0]
        total += words
        trained += words if recipe is not None and any(stage.lr_text for stage in recipe.stages) else 0
    return {
        "seconds_training": developing.seconds,
        "seconds_encoding": encoding.seconds,
        "images_per_second": images / developing.seconds if developing.seconds else 0.0,
        "parameters": total,
        "parameters_trained": trained if recipe is not None else 0,
        "joules": developing.joules,
        "energy_source": developing.energy_source,
        "device": str(encoder.device),
        "threads": torch.get_num_threads(),
    }


def _figures(model: FrozenModel, answers: Answers, n: int) -> dict[str, Any]:
    labels, names = answers.table["label"].to_numpy(), model.taxonomy.class_names
    test = evaluate_predictions(
        labels,
        answers.probabilities[model.chosen],
        names,
        vectors=answers.vectors,
        groups=answers.table["group"].to_numpy(),
        n_failed=answers.n_failed,
        n_bootstrap=n,
    )
    metrics = {name: classification_metrics(labels, p, names) for name, p in answers.probabilities.items()}
    return {
        "classes": list(names),
        "n_failed": answers.n_failed,
        "classifier": model.chosen,
        "test": test,
        "by_classifier": {name: {key: values[key] for key in _SHORT} for name, values in metrics.items()},
    }


def _predictions(model: FrozenModel, answers: Answers) -> pd.DataFrame:
    """Return the test galaxies with their probabilities and their average precision as queries."""
    table = answers.table.copy()
    names = [f"probability_{name}" for name in model.taxonomy.class_names]
    table[names] = answers.probabilities[model.chosen].astype(np.float32)
    scores = retrieval_scores(answers.vectors, table["label"].to_numpy())
    table["average_precision"] = scores.average_precision.astype(np.float32)
    table["average_precision_at_5"] = scores.average_precision_at_5.astype(np.float32)
    return table


def _gates(
    leaks: list[str], development: Development, sealed: Sealed, answers: Answers
) -> dict[str, dict[str, bool | str]]:
    """Return the gates of a cell; the report judges the shuffled control."""
    leaked = ", ".join(dict.fromkeys(sealed.leaked))
    part = "test" if "epoch-on-test" in sealed.leaked else "validation"
    unchanged = f"model {answers.digest} saw only the test pictures and was the same before and after"
    return {
        "leaks": {"passed": not leaks, "detail": "; ".join(leaks or development.remarks or [NO_LEAK])},
        "sealed": {
            "passed": not leaked,
            "detail": f"the protocol leaks test galaxies: {leaked}" if leaked else unchanged,
        },
        "selection": {
            "passed": part == "validation",
            "detail": f"epoch, classifier and temperature were chosen on the {part} part",
        },
    }


def _trained_on_test(load: str, sealed: Sealed, radius: float) -> list[str]:
    """Return a sentence if the model that the cell starts from was trained on galaxies of the test part."""
    known = read_trained_on(starting_folder(load))
    if known is None:
        return []
    rows = seen_rows(sealed.identities, np.arange(len(sealed)), known, radius=radius)
    if rows is None or not len(rows):
        return []
    return [f"{load} was trained or chosen on {len(rows)} of the {len(sealed)} test galaxies"]
