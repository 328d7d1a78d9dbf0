"""The steps that train, transfer and fit_votes share, from catalogues to a model folder."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from torch import Tensor

from galaxalign.data.catalogs import IMAGES, Catalog, arcsec, check_store, lacking_note, open_store, read_catalog
from galaxalign.data.images import ImageOptions, Preprocessing
from galaxalign.data.splits import LeakGuard, Split, make_split, read_split, refuse_leaks, refuse_leaks_across
from galaxalign.data.tables import check_output, write_json, write_table
from galaxalign.errors import InputError
from galaxalign.models import ClipEncoder, Model, VisionEncoder, chain_for_store, save_model
from galaxalign.progress import note, progress
from galaxalign.training.batch import TrainingData, drawn_per_epoch
from galaxalign.training.loop import TrainingResult, fit
from galaxalign.training.recipe import Recipe
from galaxalign.training.sources import Source, prepare_source
from galaxalign.training.trained_on import read_trained_on, refuse_seen

CHECKPOINT = "checkpoint.safetensors"
_PARTS = ("train", "validation")


@dataclass(frozen=True)
class Job:
    """A run that ends in a model folder.

    Attributes
    ----------
    folder : Path
    seed : int
    guard : LeakGuard
    quiet : bool
    """

    folder: Path
    seed: int
    guard: LeakGuard
    quiet: bool

    def note(self, *lines: str) -> None:
        """Log lines to standard error, unless the job is quiet."""
        for line in lines:
            note(line, quiet=self.quiet)


def open_job(
    out: str | Path,
    *,
    seed: int,
    radius: str | float,
    exclude: Sequence[str | Path] = (),
    allow_leaks: bool = False,
    quiet: bool = False,
) -> Job:
    """Return a job; InputError where its folder cannot be written or a benchmark cannot be read."""
    folder = Path(out)
    check_output(folder, folder=True)
    benchmarks = tuple(read_catalog(path, require=()) for path in exclude)
    return Job(folder, seed, LeakGuard(arcsec(radius), benchmarks, allow_leaks), quiet)


def divide(job: Job, catalogs: Sequence[Catalog], split: str | Path | None, own: Path | None = None) -> Split:
    """Return the given split, that of the run or model, or a new one; without the galaxies of benchmarks.

    Parameters
    ----------
    job : Job
    catalogs : sequence of Catalog
    split : path, optional
    own : Path, optional
        Split to take if it is of these catalogues; by default that of the run.
    """
    path = job.folder / "split.parquet" if own is None else own
    guard = job.guard
    parts = read_split(split) if split is not None else read_split(path) if path.is_file() else None
    if split is None and own is not None and parts is not None:
        known = parts.fingerprints.values()
        parts = parts if all(catalog.fingerprint in known for catalog in catalogs) else None
    if parts is None:
        parts = make_split(*catalogs, seed=job.seed, guard=guard)
    else:
        for catalog in catalogs:
            for benchmark in guard.exclude:
                parts = parts.without(catalog, benchmark, radius=guard.radius)
    if guard.exclude:
        job.note(parts.excluded_sentence([benchmark.source for benchmark in guard.exclude]))
    return parts


def check_leaks(
    job: Job, catalogs: Sequence[Catalog], parts: Split, *, start: Path | None = None, ways: str = "ids"
) -> Catalog | None:
    """Refuse a split that leaks, and test galaxies that the starting model knows.

    Parameters
    ----------
    job : Job
    catalogs : sequence of Catalog
    parts : Split
    start : Path, optional
        Folder of the model that the run starts from.
    ways : str
        What galaxies without positions are compared by.

    Returns
    -------
    Catalog or None
        What the starting model was trained on, where it is known.

    Raises
    ------
    InputError
        There is a leak, unless the guard allows it; then it is logged.
    """
    known = read_trained_on(start)
    guard = job.guard
    for catalog in catalogs:
        job.note(*lacking_note(catalog, ways))
        job.note(*refuse_leaks(catalog, parts, guard))
        if start is not None:
            refuse_seen(catalog, parts, start, known, guard.radius, allow=guard.allow_leaks, quiet=job.quiet)
    job.note(*refuse_leaks_across(catalogs, parts, guard))
    return known


def choose_rows(
    job: Job, source: Source, parts: Split, *, share: float = 100.0, validation_share: float = 100.0
) -> None:
    """Choose the labelled rows to train and to validate on; shares are in percent.

    Raises
    ------
    InputError
        A share is out of range, or a part has no labelled galaxy.
    """
    fractions = (_fraction(share, "--share"), _fraction(validation_share, "--validation-share"))
    for part, fraction in zip(_PARTS, fractions, strict=True):
        source.rows[part] = _labelled(source, parts.part(source.catalog, part, share=fraction, seed=job.seed))
        if not len(source.rows[part]):
            raise InputError(f"the {part} part of {source.name} has no galaxy with a label of {source.taxonomy.name}")
    _note_few_labels(job, source, parts, share)
    ignored = int((source.labels < 0).sum())
    if ignored:
        job.note(f"{ignored} of {len(source.labels)} rows of {source.name} have no label or an ignored one; left out")


def _labelled(source: Source, rows: np.ndarray) -> np.ndarray:
    return np.asarray(rows[source.labels[rows] >= 0])


def _fraction(percent: float, option: str) -> float:
    """Return a percentage as a fraction; InputError unless it is above 0 and up to 100."""
    if not 0 < percent <= 100:
        raise InputError(f"{option} is {percent:g}; give percent, above 0 and up to 100")
    return percent / 100


def _note_few_labels(job: Job, source: Source, parts: Split, share: float) -> None:
    """Explain percent where below one percent of the labels is less than a galaxy of each class."""
    if share >= 1:
        return
    there = _labelled(source, parts.part(source.catalog, "train"))
    classes, taken = len(np.unique(source.labels[there])), len(source.rows["train"])
    if len(there) * share / 100 < classes:
        job.note(
            f"--share {share:g} is {share:g} % of the {len(there)} training labels of {source.name}, less than one "
            f"galaxy for each of its {classes} classes: {taken} are taken; the fraction {share:g} is "
            f"--share {100 * share:g}"
        )


def prepare(
    job: Job, sources: Sequence[Source], preprocessing: Preprocessing, plan: Recipe, drawings: Path | None
) -> list[TrainingData]:
    """Decode the pictures of all sources once; those that cannot be read are listed in skipped.csv."""
    import pandas as pd

    if plan.uses("caption"):
        for source in sources:
            if not source.has_captions:
                job.note(f"{source.name} has no votes or attributes: its captions are the prompts of its classes")
    data, skipped = [], []
    for source in sources:
        prepared, unreadable = prepare_source(source, preprocessing, plan, drawings, job.seed, quiet=job.quiet)
        data.append(prepared)
        skipped += unreadable
    if skipped:
        path = write_table(pd.DataFrame(skipped, columns=["id_str", "status"]), job.folder / "skipped.csv")
        job.note(f"{len(skipped)} images could not be read and are left out: {path}")
    return data


def train_tower(
    job: Job,
    tower: ClipEncoder | VisionEncoder,
    plan: Recipe,
    data: Sequence[TrainingData],
    settings: Mapping[str, Any],
    head: Tensor | None = None,
) -> TrainingResult:
    """Train a tower in place by a recipe, with a progress bar; a killed run resumes from its checkpoint."""
    total = 0
    for stage in plan.stages:
        drawn = sum(drawn_per_epoch(stage, data))
        batch = max(1, min(plan.batch_size, drawn))
        total += drawn // batch * batch * stage.epochs
    with progress("training", total, quiet=job.quiet) as done:
        return fit(tower, plan, data, out=job.folder, seed=job.seed, settings=dict(settings), head=head, on_step=done)


def saved_settings(
    folder: Path, now: Mapping[str, Any], then: Callable[[dict[str, Any]], Mapping[str, Any]]
) -> list[str] | None:
    """Return which settings differ from those of the model in a folder; None without a model.

    Parameters
    ----------
    folder : Path
    now : mapping
        The settings of this run.
    then : callable
        Takes the same settings out of galaxalign.json.

    Raises
    ------
    InputError
        The model's galaxalign.json is damaged, or its pictures were prepared otherwise.
    """
    path = folder / "galaxalign.json"
    if not path.is_file():
        return None
    now = json.loads(json.dumps(now))
    try:
        saved = then(json.loads(path.read_text(encoding="utf-8")))
        differing = [key for key, value in now.items() if saved[key] != value]
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise InputError(f"{path} is damaged ({error}); choose another --out, or delete the folder") from error
    if "preprocessing" in differing:
        Preprocessing.from_dict(saved["preprocessing"]).require(
            Preprocessing.from_dict(now["preprocessing"]),
            owner=f"the model in {folder}",
            advice="choose another --out",
        )
    return differing


def split_fingerprint(split: Split) -> str:
    """Return 16 hex digits that identify which galaxy is in which part."""
    rows = sorted("\x1f".join(map(str, row)) for row in split.table.itertuples(index=False))
    return hashlib.sha256("\n".join(rows).encode()).hexdigest()[:16]


def save(job: Job, model: Model, *, card: str, keep_checkpoint: bool = False) -> None:
    """Save a finished model with its card and the figures of its classifiers; its checkpoint is deleted."""
    save_model(model, job.folder, card=card)
    write_json(model.classifier.validation, job.folder / "validation.json")
    if not keep_checkpoint:
        (job.folder / CHECKPOINT).unlink(missing_ok=True)


def look_as_stores(
    job: Job, sources: Sequence[Source], encoder: str, look: ImageOptions, size: int | None
) -> ImageOptions:
    """Return how the encoder is to look at images so that it fits prepared stores; InputError where it cannot."""
    for source in sources:
        store = source.catalog.store
        if store is None:
            continue
        held = open_store(store).preprocessings[IMAGES]
        chain, fitting = chain_for_store(encoder, held, look)
        chain = replace(chain, size=size or chain.size)
        check_store(store, chain, chain.with_margin(chain.widest_margin()))
        if fitting != look:
            job.note(f"pictures are looked at as the store {store} was prepared: [{held}]")
        look = fitting
    return look
