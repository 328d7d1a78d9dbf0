"""The verb train: from catalogues to a model folder."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from galaxalign import models, options as opt, training
from galaxalign.data import images
from galaxalign.errors import InputError
from galaxalign.signature import verb

if TYPE_CHECKING:
    from collections.abc import Sequence


@verb
def train(
    *,
    recipe: opt.Recipe = "galaxalign",
    catalog: opt.TrainingCatalogs,
    taxonomy: opt.TrainingTaxonomies,
    encoder: opt.Encoder = "lite",
    split: opt.Split = None,
    out: opt.RunFolder,
    crop: opt.Crop = None,
    stretch: opt.Stretch = None,
    bands: opt.Bands = None,
    pixel_scale: opt.PixelScale = None,
    size: opt.Size = None,
    seed: opt.Seed = 0,
    share: opt.Share = 100.0,
    weight: opt.Weight = (),
    view: opt.View = (),
    symbols: opt.Symbols = None,
    columns: opt.Columns = None,
    exclude: opt.Exclude = (),
    radius: opt.Radius = "60arcsec",
    allow_leaks: opt.AllowLeaks = False,
    device: opt.Device = None,
    quiet: opt.Quiet = False,
) -> Path:
    """Train on your catalogue; rerun to resume.

    A resumed run ends with the same model. Classifiers are chosen and calibrated on the validation part.

    Returns
    -------
    Path
        The model folder.

    Raises
    ------
    InputError
        An input cannot be used, the split leaks, or the folder holds another run.
    """
    plan = training.load_recipe(recipe)
    drawings = Path(symbols) if symbols is not None else None
    look = images.ImageOptions(crop=crop, stretch=stretch, bands=bands, pixel_scale=pixel_scale)
    sources = training.open_sources(catalog, taxonomy, weight, view, columns, quiet)
    if drawings is not None and len(sources) > 1:
        raise InputError("--symbols is for one catalogue; with several the symbols of each are drawn by GalaxAlign")
    job = training.open_job(out, seed=seed, radius=radius, exclude=exclude, allow_leaks=allow_leaks, quiet=quiet)
    look = training.look_as_stores(job, sources, encoder, look, size)
    tower = models.load_encoder(encoder, look=look, size=size, words=plan.needs_words, device=device)
    training.check_recipe(plan, tower, [source.votes is not None for source in sources])
    job.folder.mkdir(parents=True, exist_ok=True)
    catalogs = [source.catalog for source in sources]
    parts = training.divide(job, catalogs, split)
    ways = "ids" if split is None else "ids and the groups of the split"
    known = training.check_leaks(job, catalogs, parts, start=models.starting_folder(encoder), ways=ways)
    for source in sources:
        training.choose_rows(job, source, parts, share=share)
    parts.write(job.folder / "split.parquet")
    settings: dict[str, Any] = {
        "catalog": [source.name for source in sources],
        "catalog_fingerprint": [source.catalog.fingerprint for source in sources],
        "split_fingerprint": training.split_fingerprint(parts),
        "taxonomy": [source.taxonomy.name for source in sources],
        "votes": [source.votes.kind if source.votes is not None else None for source in sources],
        "weight": [source.weight for source in sources],
        "view": [list(source.view) if source.view else None for source in sources],
        "encoder": encoder,
        "preprocessing": tower.preprocessing.to_dict(),
        "share": share / 100,
        "symbols": str(drawings) if drawings else "drawn by GalaxAlign",
    }
    if _finished(job, plan, settings):
        return job.folder
    settings["encoder_fingerprint"] = tower.fingerprint
    data = training.prepare(job, sources, tower.preprocessing, plan, drawings)
    training.write_trained_on(job.folder, [(source.catalog, source.rows) for source in sources], before=known)
    result = training.train_tower(job, tower, plan, data, settings)
    tasks = []
    for source, prepared in zip(sources, data, strict=True):
        drawn = training.symbol_vectors(tower, source.taxonomy, plan, drawings) if plan.uses("symbol") else None
        choice = training.Chooser(tower, prepared, source.taxonomy).choose(symbols=drawn)
        tasks.append(models.Task(source.taxonomy, choice, drawn))
    counts = {
        "n_train": [len(part.labels) for part in data],
        "n_validation": [len(part.validation_labels) for part in data],
    }
    about = {
        "recipe": plan.model_dump(mode="json"),
        "seed": seed,
        "data": settings | counts,
        "best_epoch": result.best_epoch,
        **training.provenance(),
    }
    first, *others = tasks
    model = models.Model(tower, first.taxonomy, first.classifier, first.symbols, about, also=_distinct(first, others))
    training.save(job, model, card=training.training_card(plan, tasks, about, result))
    return job.folder


def _finished(job: training.Job, plan: training.Recipe, settings: dict[str, Any]) -> bool:
    """Tell whether the folder holds the model of these settings; InputError where it holds another."""
    differing = training.saved_settings(
        job.folder,
        {"recipe": plan.model_dump(mode="json"), "seed": job.seed} | settings,
        lambda saved: saved["data"] | {"recipe": saved["recipe"], "seed": saved["seed"]},
    )
    if differing:
        raise InputError(
            f"{job.folder} holds a model trained with other settings ({', '.join(differing)}); choose another --out"
        )
    if differing is not None:
        job.note(f"{job.folder} holds the finished model of these settings; nothing to do")
    return differing is not None


def _distinct(first: models.Task, others: Sequence[models.Task]) -> dict[str, models.Task]:
    """Return the tasks beside the first by the name of their taxonomy; of two of one taxonomy the earlier."""
    tasks: dict[str, models.Task] = {}
    for task in others:
        if task.taxonomy != first.taxonomy:
            tasks.setdefault(task.taxonomy.name, task)
    return tasks
