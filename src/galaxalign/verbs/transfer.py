"""The verb transfer: a trained model learns the classes of another survey with few labels."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from galaxalign import models, morphology, options as opt, training
from galaxalign.data import catalogs, images
from galaxalign.errors import InputError
from galaxalign.signature import verb


@verb
def transfer(
    *,
    catalog: opt.Catalog,
    model: opt.StartModel = "galaxy-lite",
    taxonomy: opt.Taxonomy,
    out: opt.RunFolder,
    share: opt.Share = 100.0,
    method: opt.Method = "fine-tune",
    wise_ft: opt.WiseFt = None,
    recipe: opt.OtherRecipe = None,
    steps: opt.Steps = 300,
    validation_share: opt.ValidationShare = 100.0,
    split: opt.Split = None,
    crop: opt.Crop = None,
    stretch: opt.Stretch = None,
    bands: opt.Bands = None,
    pixel_scale: opt.PixelScale = None,
    seed: opt.Seed = 0,
    symbols: opt.Symbols = None,
    columns: opt.Columns = None,
    exclude: opt.Exclude = (),
    radius: opt.Radius = "60arcsec",
    allow_leaks: opt.AllowLeaks = False,
    device: opt.Device = None,
    quiet: opt.Quiet = False,
) -> Path:
    """Teach a trained model the classes of another survey with few labels; rerun to resume.

    Returns
    -------
    Path
        The model folder.

    Raises
    ------
    InputError
        An input cannot be used, the split leaks, the model was trained on galaxies of the test part, or the folder
        holds another run.
    """
    mixing = training.mixing_share(wise_ft, method)
    scheme = morphology.load_taxonomy(taxonomy)
    table = catalogs.read_catalog(catalog, columns=columns, quiet=quiet)
    source = training.unlabelled_source(table, scheme) if method == "zero-shot" else training.open_source(table, scheme)
    job = training.open_job(out, seed=seed, radius=radius, exclude=exclude, allow_leaks=allow_leaks, quiet=quiet)
    if job.folder.resolve() == models.model_folder(model).resolve():
        raise InputError(f"--out is the folder of the model to start from, {model}; choose another")
    start = models.load_model(model, device=models.default_device(device))
    encoder, before = start.encoder, start.encoder.fingerprint
    looks = images.ImageOptions(crop=crop, stretch=stretch, bands=bands, pixel_scale=pixel_scale)
    encoder.preprocessing = looks.applied_to(encoder.preprocessing)
    if looks.given:
        job.note(f"images are seen with {encoder.preprocessing}")
    job.folder.mkdir(parents=True, exist_ok=True)
    parts = training.divide(job, [table], split)
    ways = "ids" if split is None else "ids and the groups of the split"
    known = training.check_leaks(job, [table], parts, start=start.folder, ways=ways)
    parts.write(job.folder / "split.parquet")
    training.choose_rows(job, source, parts, share=share, validation_share=validation_share)
    plan = training.transfer_recipe(method, recipe, len(source.rows["train"]), steps)
    if plan is not None:
        training.check_recipe(plan, encoder, [source.votes is not None])
    identity = {
        "catalog": table.source,
        "catalog_fingerprint": table.fingerprint,
        "split_fingerprint": training.split_fingerprint(parts),
        "taxonomy": scheme.name,
        "model_fingerprint": before,
        "preprocessing": encoder.preprocessing.to_dict(),
        "method": method,
        "wise_ft": mixing,
        "share": share,
        "validation_share": validation_share,
        "symbols": str(symbols) if symbols is not None else "drawn by GalaxAlign",
        "seed": seed,
        "recipe": plan.model_dump(mode="json") if plan is not None else None,
    }
    if _finished(job, identity):
        return job.folder
    drawings = Path(symbols) if symbols is not None else None
    about = _about(identity, start, known)
    if method == "zero-shot":
        choice = training.by_words(encoder, scheme)
        drawn = training.symbol_vectors(encoder, scheme, None, drawings) if encoder.symbol is not None else None
        about["data"] |= {"n_train": [0], "n_validation": [0]}
        learnt = []
    else:
        recipe_seen = plan or training.load_recipe("supervised")
        (data,) = training.prepare(job, [source], encoder.preprocessing, recipe_seen, drawings)
        tuning = training.FineTuning(job, encoder, scheme, data, plan, method, drawings)
        choice, drawn, told = tuning.run(mixing, identity)
        about["data"] |= {"n_train": [len(data.labels)], "n_validation": [len(data.validation_labels)]}
        about |= told
        learnt = [(table, source.rows)]
    if learnt or known is not None:
        training.write_trained_on(job.folder, learnt, before=known)
    result = models.Model(encoder, scheme, choice, drawn, about)
    card = training.transfer_card(scheme, choice, about)
    training.save(job, result, card=card, keep_checkpoint=wise_ft is not None)
    return job.folder


def _finished(job: training.Job, identity: dict[str, Any]) -> bool:
    """Tell whether the folder holds the model of these settings; InputError where it holds another.

    A model with other mixed weights is not finished: its checkpoint is mixed again.
    """
    differing = training.saved_settings(
        job.folder, identity, lambda saved: dict.fromkeys(identity) | saved.get("transfer", {}).get("asked", {})
    )
    if differing == ["wise_ft"] and (job.folder / training.CHECKPOINT).is_file():
        return False
    if differing:
        raise InputError(f"{job.folder} holds a model of other settings ({', '.join(differing)}); choose another --out")
    if differing is not None:
        job.note(f"{job.folder} holds the finished model of these settings; nothing to do")
    return differing is not None


def _about(identity: dict[str, Any], start: models.Model, known: catalogs.Catalog | None) -> dict[str, Any]:
    """Return what is saved with the model beside its weights."""
    # Lists, as a model of several catalogues has them.
    each = {key: [identity[key]] for key in ("catalog", "catalog_fingerprint", "taxonomy")}
    whole = {key: identity[key] for key in ("split_fingerprint", "preprocessing", "symbols")}
    return {
        "recipe": identity["recipe"],
        "seed": identity["seed"],
        "data": each | whole | {"encoder": f"the model {start.encoder.name}", "share": identity["share"] / 100},
        "transfer": {
            "asked": identity,
            "model": start.folder.name if start.folder else start.encoder.name,
            "model_taxonomy": start.taxonomy.name,
            "model_data": start.settings.get("data", {}),
            "model_trained_on": len(known) if known is not None else "not known",
        },
        **training.provenance(),
    }
