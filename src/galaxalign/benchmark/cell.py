"""One cell of a benchmark: develop a model without the test galaxies, freeze it, let it answer, count."""

from __future__ import annotations

import hashlib
import shutil
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from filelock import FileLock
from numpy.typing import NDArray

from galaxalign.analysis.classifiers import ClassifierChoice
from galaxalign.analysis.encode import encode_array
from galaxalign.benchmark.config import UNTRAINED, Benchmark, Cell, Dataset, Tower
from galaxalign.benchmark.cost import Meter, parameters
from galaxalign.benchmark.metrics import classification_metrics, evaluate_predictions
from galaxalign.benchmark.protocols import leaked_training, leaked_validation
from galaxalign.benchmark.results import NO_LEAK, cell_folder, write_result
from galaxalign.benchmark.retrieval import retrieval_scores
from galaxalign.benchmark.sealed import Answers, Development, Sealed, open_dataset
from galaxalign.data.catalog import Catalog, read_catalog
from galaxalign.data.files import write_text
from galaxalign.data.prepare import prepare_store
from galaxalign.data.preprocessing import Preprocessing
from galaxalign.data.sky import arcsec
from galaxalign.data.splits import Split
from galaxalign.data.store import Pictures
from galaxalign.encoders.clip import ClipEncoder
from galaxalign.encoders.folder import Model, save_model, starting_folder
from galaxalign.encoders.load import load_encoder
from galaxalign.encoders.vision import VisionEncoder
from galaxalign.errors import InputError
from galaxalign.progress import note, progress
from galaxalign.taxonomy import Taxonomy
from galaxalign.training.chooser import Chooser, by_words, drawn_symbols
from galaxalign.training.provenance import provenance
from galaxalign.training.recipe import Recipe, load_recipe
from galaxalign.training.run import split_fingerprint
from galaxalign.training.seen import read_trained_on, seen_rows
from galaxalign.training.sources import prepare_source
from galaxalign.training.step import TrainingData, drawn_per_epoch
from galaxalign.training.trainer import fit

__all__ = ["cell_digest", "forget", "load_tower", "recipe_of", "run_cell"]

_SHORT = ("accuracy", "macro_f1", "balanced_accuracy")


@dataclass
class Developed:
    """A model that answers for test galaxies and is not changed any more.

    Attributes
    ----------
    encoder : ClipEncoder or VisionEncoder
    taxonomy : Taxonomy
    chosen : str
        The classifier that validation chose.
    choices : dict of ClassifierChoice
        Every candidate.
    symbols : ndarray (K, D), optional
    told : dict
        What there is to tell of the training.
    """

    encoder: ClipEncoder | VisionEncoder
    taxonomy: Taxonomy
    chosen: str
    choices: dict[str, ClassifierChoice]
    symbols: NDArray[np.float32] | None
    told: dict[str, Any]

    @property
    def preprocessing(self) -> Preprocessing:
        """Return how it looks at images."""
        return self.encoder.preprocessing

    def digest(self) -> str:
        """Return 16 hex digits of its weights and classifiers."""
        hashed = hashlib.sha256(self.encoder.fingerprint.encode())
        for name, choice in sorted(self.choices.items()):
            hashed.update(f"{name} {choice.temperature!r}".encode())
            hashed.update(choice.weights.tobytes() + choice.bias.tobytes())
        return hashed.hexdigest()[:16]

    def predict(self, pictures: Pictures) -> tuple[NDArray[np.float32], dict[str, NDArray[np.float64]]]:
        """Return unit vectors (N, D) over all views, and probabilities (N, K) by classifier."""
        vectors = encode_array(self.encoder, pictures, mirror=not self.taxonomy.handed)
        return vectors, {name: choice.predict_proba(vectors) for name, choice in self.choices.items()}


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
    """Run a cell and write what it leaves; a run that was killed goes on from its last checkpoint.

    Returns
    -------
    dict
        What cell.json holds.
    """
    digest = cell_digest(cell, benchmark, split)
    folder = _begun(cell_folder(out, cell), digest)
    encoder = _encoder(cell, benchmark, out, device)
    dataset = benchmark.dataset(cell.dataset)
    catalog = _stored(dataset, encoder.preprocessing, out)
    development, sealed = open_dataset(catalog, dataset, split, share=cell.share, seed=cell.seed)
    plan = recipe_of(cell, benchmark)
    with Meter(encoder.device) as training:
        model = _develop(cell, benchmark, development, sealed, encoder, plan, folder, digest, quiet)
    with Meter(encoder.device) as encoding:
        answers = sealed.answer(model)
    if cell.protocol == "symbol-given":
        answers = _with_symbols(model, answers, sealed)
    seconds = training.seconds
    about = {
        "name": cell.name,
        **cell.model_dump(),
        "digest": digest,
        **_figures(model, answers, benchmark.bootstrap),
        **model.told,
        "fingerprints": development.fingerprints | {"encoder": encoder.fingerprint, "model": answers.digest},
        "gates": _gates(cell, benchmark, development, sealed, answers, out),
        "cost": {
            "seconds_training": seconds,
            "seconds_encoding": encoding.seconds,
            "images_per_second": model.told["images_seen"] / seconds if seconds else 0.0,
            **_sizes(encoder, plan),
            "joules": training.joules,
            "energy_source": training.energy_source,
            "device": str(encoder.device),
            "threads": torch.get_num_threads(),
        },
        "provenance": provenance(),
    }
    if keep_model:
        choice = model.choices[model.chosen]
        card = f"# {cell.name}\n\nA cell of the benchmark {benchmark.name}; its figures are in cell.json."
        save_model(Model(encoder, model.taxonomy, choice, model.symbols, {}), folder / "model", card=card)
    write_result(folder, about, _predictions(model, answers), answers.vectors)
    (folder / "checkpoint.safetensors").unlink(missing_ok=True)
    (folder / "settings.txt").unlink(missing_ok=True)
    (folder / "metrics.csv").unlink(missing_ok=True)  # the history is in cell.json
    shutil.rmtree(folder / "tensorboard", ignore_errors=True)
    return about


def recipe_of(cell: Cell, benchmark: Benchmark) -> Recipe | None:
    """Return the recipe that trains the tower; None: the cell trains none."""
    training = benchmark.training(cell.training)
    return None if training.name in UNTRAINED else load_recipe(training.recipe or training.name)


def cell_digest(cell: Cell, benchmark: Benchmark, split: Split) -> str:
    """Return 16 hex digits of all that a cell's predictions depend on, but for the pictures and the versions."""
    tower, dataset, plan = benchmark.encoder(cell.encoder), benchmark.dataset(cell.dataset), recipe_of(cell, benchmark)
    load, _, file = tower.load.partition("@")
    kind, _, name = load.partition(":")
    contents = [dataset.taxonomy] if dataset.taxonomy.endswith(".toml") else []
    if kind == "local-dir":
        contents += sorted(map(str, Path(name).glob("*.safetensors")))
    elif kind == "pretrained":
        begun = benchmark.pretraining(name)
        load += begun.model_dump_json() + load_recipe(begun.recipe).model_dump_json()
        load += "".join(_catalog_fingerprint(path, ()) for path in begun.catalogs)
        contents += filter(None, (begun.encoder.partition("@")[2], begun.split))
    looks = dataset.model_dump(include={"taxonomy", "crop", "stretch", "bands", "pixel_scale"}, mode="json")
    parts = [
        cell.model_dump_json(),
        _catalog_fingerprint(dataset.catalog, tuple(dataset.columns.items())),
        _split_fingerprint(split),
        repr(sorted(looks.items())),
        load,
        _sha256(Path(file)) if file else "",
        repr((tower.size, tower.pretrained)),
        plan.model_dump_json() if plan is not None else "",
        repr((benchmark.classifiers, benchmark.steps, benchmark.threads)),
        repr((benchmark.twins, benchmark.copies)) if cell.protocol != "clean" else "",
        *(_sha256(Path(path)) for path in contents),
    ]
    return hashlib.sha256("\x1f".join(parts).encode()).hexdigest()[:16]


def _encoder(cell: Cell, benchmark: Benchmark, out: Path, device: str | None) -> ClipEncoder | VisionEncoder:
    plan, dataset = recipe_of(cell, benchmark), benchmark.dataset(cell.dataset)
    words = cell.training == "zero-shot" if plan is None else plan.needs_words
    torch.manual_seed(cell.seed)  # what starts from random weights
    return load_tower(benchmark.encoder(cell.encoder), out, words=words, dataset=dataset, device=device)


def load_tower(
    tower: Tower, out: Path, *, words: bool, dataset: Dataset | None = None, device: str | None = None
) -> ClipEncoder | VisionEncoder:
    """Return the encoder of a benchmark's table, looking at images as the data set says.

    Parameters
    ----------
    tower : Tower
    out : Path
        Folder of the benchmark, which holds the models of its pretrainings.
    words : bool
    dataset : Dataset, optional
    device : str, optional
    """
    load, looks = tower.source(out), {}
    if dataset is not None and starting_folder(load) is None:  # a model of ours looks at images as it learnt to
        names = ("crop", "stretch", "bands", "pixel_scale")
        looks = {name: getattr(dataset, name) for name in names} | {"size": tower.size}
    return load_encoder(load, words=words, device=device, pretrained=tower.pretrained, **looks)


def _begun(folder: Path, digest: str) -> Path:
    """Return the folder of a cell, emptied where it was begun with other settings."""
    mark = folder / "settings.txt"
    if folder.exists() and not (mark.is_file() and mark.read_text() == digest):
        shutil.rmtree(folder)
    folder.mkdir(parents=True, exist_ok=True)
    write_text(digest, mark)
    return folder


def _stored(dataset: Dataset, frame: Preprocessing, out: Path) -> Catalog:
    """Return the catalogue with its pictures prepared as the encoder looks at them, once for all cells that do."""
    catalog = read_catalog(dataset.catalog, columns=dataset.columns, quiet=True)
    if catalog.store is not None:
        return catalog
    name = hashlib.sha256(f"{catalog.fingerprint} {frame}".encode()).hexdigest()[:12]
    folder = out / "stores" / f"{dataset.name}-{frame.size}-{name}"
    folder.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(folder.with_suffix(".lock")):
        prepare_store(catalog, folder, frame, canvas=frame.with_margin(frame.widest_margin()), quiet=True)
    return read_catalog(folder)


def forget() -> None:
    """Look at catalogues, splits and files anew: they may have changed since the last benchmark of this process."""
    for known in (_catalog_fingerprint, _split_fingerprint, _sha256):
        known.cache_clear()


# The cells of a configuration share a few catalogues, splits and files, each of which is looked at once in a run.
@cache
def _catalog_fingerprint(source: str, columns: tuple[tuple[str, str], ...]) -> str:
    return read_catalog(source, columns=dict(columns), quiet=True).fingerprint


@cache
def _split_fingerprint(split: Split) -> str:
    return split_fingerprint(split)


@cache
def _sha256(path: Path) -> str:
    if not path.is_file():
        raise InputError(f"there is no file {path}")
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _sizes(encoder: ClipEncoder | VisionEncoder, plan: Recipe | None) -> dict[str, int]:
    """Return how many parameters there are, and how many of them the recipe trains, but for linear heads."""
    towers = [encoder.visual]
    if isinstance(encoder, ClipEncoder) and encoder.symbol is not None:
        towers.append(encoder.symbol)
    moved = sum(parameters(tower)[0] for tower in towers)
    total = moved
    if isinstance(encoder, ClipEncoder):
        words = parameters(encoder.model)[0] - parameters(encoder.visual)[0]
        total += words
        moved += words if plan is not None and any(stage.lr_text for stage in plan.stages) else 0
    return {"parameters": total, "parameters_trained": moved if plan is not None else 0}


def _develop(
    cell: Cell,
    benchmark: Benchmark,
    development: Development,
    sealed: Sealed,
    encoder: ClipEncoder | VisionEncoder,
    plan: Recipe | None,
    folder: Path,
    digest: str,
    quiet: bool,
) -> Developed:
    """Train, choose the epoch and the classifier, and calibrate; `sealed` is for the protocols that leak alone."""
    scheme, source = development.taxonomy, development.source
    if cell.training == "zero-shot":
        choice = by_words(encoder, scheme)
        told: dict[str, Any] = {"recipe": None, "best_epoch": None, "epochs": 0, "history": [], "images_seen": 0}
        told |= {"n_train": 0, "n_validation": 0, "validation": {}}
        symbols = drawn_symbols(encoder, scheme, None)
        return Developed(encoder, scheme, choice.name, {choice.name: choice}, symbols, told)
    seen_as = plan or load_recipe("supervised")
    data, skipped = prepare_source(source, encoder.preprocessing, seen_as, None, cell.seed, quiet=True)
    if skipped:
        note(f"{cell.name}: {len(skipped)} pictures could not be read, first {skipped[0]}", quiet=quiet)
    canvas = encoder.preprocessing.with_margin(encoder.preprocessing.widest_margin())
    data = leaked_training(
        cell.protocol, data, sealed, canvas, twins=benchmark.twins, copies=benchmark.copies, seed=cell.seed
    )
    data = leaked_validation(cell.protocol, data, sealed, encoder.preprocessing)
    if cell.shuffled:
        data = _shuffled(data, cell.seed)
    head, told = None, {"recipe": None, "best_epoch": None, "epochs": 0, "history": [], "images_seen": 0}
    if plan is not None:
        plan = plan.at_least(len(data.labels), benchmark.steps)
        seen = sum(sum(drawn_per_epoch(stage, [data])) * stage.epochs for stage in plan.stages)
        with progress(cell.name, seen, quiet=quiet) as done:
            found = fit(encoder, plan, data, out=folder, seed=cell.seed, settings={"digest": digest}, on_step=done)
        head = found.head
        told = {
            "recipe": plan.model_dump(mode="json"),
            "best_epoch": found.best_epoch,
            "epochs": plan.epochs,
            "history": found.history,
            "images_seen": seen,
        }
    name, choices = Chooser(encoder, data, scheme, None).compare(head, candidates=benchmark.classifiers)
    told |= {"n_train": len(data.labels), "n_validation": len(data.validation_labels)}
    told["validation"] = choices[name].validation[name]
    return Developed(encoder, scheme, name, choices, drawn_symbols(encoder, scheme, None), told)


def _shuffled(data: TrainingData, seed: int) -> TrainingData:
    """Return the control: every label, caption and vote belongs to the picture of another galaxy of the same part."""
    rng = np.random.default_rng([seed, 23])

    def deal(pictures: NDArray[np.uint8] | Pictures) -> Pictures:
        whole = pictures if isinstance(pictures, Pictures) else Pictures(pictures)
        return whole.take(rng.permutation(len(whole)))

    return replace(data, images=deal(data.images), validation_images=deal(data.validation_images))


def _with_symbols(model: Developed, answers: Answers, sealed: Sealed) -> Answers:
    """Return the answers to test galaxies that come with the symbol of their class."""
    if model.symbols is None:
        return answers
    sealed.leaked.append("symbol-given")
    labels = answers.table["label"].to_numpy()
    both = answers.vectors + model.symbols[labels]
    both /= np.linalg.norm(both, axis=1, keepdims=True)
    probabilities = {name: choice.predict_proba(both) for name, choice in model.choices.items()}
    return replace(answers, vectors=both.astype(np.float32), probabilities=probabilities)


def _figures(model: Developed, answers: Answers, n: int) -> dict[str, Any]:
    labels, names = answers.table["label"].to_numpy(), model.taxonomy.class_names
    groups = answers.table["group"].to_numpy()
    chosen = answers.probabilities[model.chosen]
    found = {name: classification_metrics(labels, p, names) for name, p in answers.probabilities.items()}
    return {
        "classes": list(names),
        "n_failed": answers.n_failed,
        "classifier": model.chosen,
        "test": evaluate_predictions(
            labels, chosen, names, vectors=answers.vectors, groups=groups, n_failed=answers.n_failed, n_bootstrap=n
        ),
        "by_classifier": {name: {key: figures[key] for key in _SHORT} for name, figures in found.items()},
    }


def _predictions(model: Developed, answers: Answers) -> Any:
    """Return the table of the test galaxies, with the probabilities and each one's own figures of retrieval."""
    table = answers.table.copy()
    chosen = answers.probabilities[model.chosen].astype(np.float32)
    for index, name in enumerate(model.taxonomy.class_names):
        table[f"probability_{name}"] = chosen[:, index]
    found = retrieval_scores(answers.vectors, table["label"].to_numpy())
    table["average_precision"] = found.average_precision.astype(np.float32)
    table["average_precision_at_5"] = found.average_precision_at_5.astype(np.float32)
    return table


def _gates(
    cell: Cell, benchmark: Benchmark, development: Development, sealed: Sealed, answers: Answers, out: Path
) -> dict[str, dict[str, Any]]:
    """Return what must hold of every cell, and whether it does; the shuffled control is judged in the report."""
    leaks = development.leaks + _known_before(cell, benchmark, sealed, out)
    chosen = "epoch-on-test" not in sealed.leaked
    shown = not set(sealed.leaked)
    return {
        "leaks": {"passed": not leaks, "detail": "; ".join(leaks or development.remarks or [NO_LEAK])},
        "sealed": {
            "passed": shown,
            "detail": f"the model {answers.digest} was the same before and after it saw the test pictures, and saw "
            "nothing else of them"
            if shown
            else f"test galaxies were leaked on purpose: {', '.join(dict.fromkeys(sealed.leaked))}",
        },
        "selection": {
            "passed": chosen,
            "detail": "epoch, classifier and temperature were chosen on the validation part"
            if chosen
            else "epoch, classifier and temperature were chosen on the test part",
        },
    }


def _known_before(cell: Cell, benchmark: Benchmark, sealed: Sealed, out: Path) -> list[str]:
    """Return a sentence where the model that the cell starts from has learnt galaxies of the test part."""
    load = benchmark.encoder(cell.encoder).source(out)
    known = read_trained_on(starting_folder(load))
    if known is None:
        return []
    radius = arcsec(benchmark.dataset(cell.dataset).radius)
    found = seen_rows(sealed.identities, np.arange(len(sealed)), known, radius=radius)
    if found is None or not len(found):
        return []
    return [f"{load} was trained or chosen on {len(found)} of the {len(sealed)} test galaxies"]
