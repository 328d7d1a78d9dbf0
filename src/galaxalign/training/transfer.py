"""`galaxalign transfer`: what a pretrained model knows, taught the classes of another survey with few labels."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from torch import Tensor

from galaxalign.analysis.classifiers import ClassifierChoice
from galaxalign.data.audit import refuse_leaks
from galaxalign.data.catalog import Catalog, check_output, read_catalog
from galaxalign.data.preprocessing import Preprocessing
from galaxalign.data.sky import arcsec
from galaxalign.data.tables import write_json
from galaxalign.encoders.clip import ClipEncoder
from galaxalign.encoders.folder import BOX, Model, load_model, model_folder, save_model
from galaxalign.encoders.load import default_device
from galaxalign.encoders.vision import VisionEncoder
from galaxalign.errors import InputError
from galaxalign.progress import note, progress
from galaxalign.taxonomy import Taxonomy, load_taxonomy
from galaxalign.training.adapt import add_adapters, interpolate, merge_adapters, tower_weights
from galaxalign.training.chooser import Chooser, by_words, drawn_symbols
from galaxalign.training.provenance import provenance
from galaxalign.training.recipe import Recipe, load_recipe
from galaxalign.training.run import (
    few_labels_note,
    fraction_of,
    labelled_rows,
    split_fingerprint,
    split_for,
    write_skipped,
)
from galaxalign.training.seen import read_trained_on, refuse_seen, write_trained_on
from galaxalign.training.sources import Source, open_source, prepare_source
from galaxalign.training.step import TrainingData
from galaxalign.training.trainer import TrainingResult, check_recipe, fit

__all__ = ["METHODS", "transfer"]

METHODS: dict[str, str | None] = {
    "zero-shot": None,
    "linear": None,
    "fine-tune": "supervised",
    "lp-ft": "supervised",
    "lora": "supervised",
    "flyp": "image-text",
    "flyp-symbols": "galaxalign",
}
"""Ways to learn the target, and the recipe of each that trains the tower."""

_SHARES = tuple(round(0.1 * i, 1) for i in range(11))  # of the fine-tuned weights, from none to all
_CHECKPOINT = "checkpoint.safetensors"


def transfer(
    *,
    catalog: str | Path,
    model: str | Path = BOX[0],
    taxonomy: str | Path,
    out: str | Path,
    share: float = 100.0,
    method: str = "fine-tune",
    wise_ft: str | float | None = None,
    recipe: str | Path | None = None,
    steps: int = 300,
    validation_share: float = 100.0,
    split: str | Path | None = None,
    crop: float | str | None = None,
    stretch: str | None = None,
    bands: str | Sequence[str] | None = None,
    pixel_scale: float | str | None = None,
    seed: int = 0,
    symbols: str | Path | None = None,
    columns: Mapping[str, str] | None = None,
    exclude: Sequence[str | Path] = (),
    radius: str | float = "60arcsec",
    allow_leaks: bool = False,
    device: str | None = None,
    quiet: bool = False,
) -> Path:
    """Teach a trained model the classes of another catalogue from a share of its labels, and save it as a folder.

    The same command on the same folder continues a run that was killed, and ends with the same model.

    Parameters
    ----------
    catalog : path
        The target, with `id_str`, `file_loc` and `label` (labels are not needed for "zero-shot").
    model : path
        Folder of the model to start from, whatever taxonomy it has learnt.
    taxonomy : str or path
        The target's: name of a taxonomy or a TOML file.
    out : path
        Folder of the new model.
    share : float
        Percent of the training part's labels to learn from, by class and at least one galaxy of each; for one seed the
        smaller set lies within the larger. 0.1 is a thousandth.
    method : str
        One of `METHODS`. "zero-shot": the words of the classes, no label is used. "linear": the tower stays as it is
        and a classifier is chosen (words, symbols, a linear head). "fine-tune": cross-entropy trains the tower.
        "lp-ft": the same, starting from the linear head. "lora": the same, but in place of the tower's weights
        low-rank adapters beside them. "flyp": galaxies are brought to the words of their classes; "flyp-symbols":
        and to their symbols.
    wise_ft : float or "auto", optional
        Mix the weights after fine-tuning with those before: 0 is before, 1 is after (the default); "auto" takes the
        share that is best on validation data. The checkpoint of the training is then kept: the same command with
        another `wise_ft` mixes anew without training.
    recipe : str or path, optional
        Train the tower by this recipe in place of the method's own.
    steps : int
        At least so many: where few labels make few steps, the epochs of the recipe are multiplied.
    validation_share : float
        Percent of the validation part to choose and calibrate on. All of it is more than a survey with few labels has.
    split : path, optional
        A saved split; by default one is made (70, 10 and 20 %) and saved as OUT/split.parquet.
    crop, stretch, bands, pixel_scale : optional
        How to look at the target's images, see `train`; by default as the model does.
    seed : int
    symbols : path, optional
        Folder with your own drawing of each class, CLASS.svg or CLASS.png.
    columns : mapping, optional
        What columns of the catalogue are to be called, new name first: {"id_str": "objid"}.
    exclude : sequence of path
        Benchmarks: galaxies that stand in one of them, by id or position, are in no part.
    radius : str or float
        As "60arcsec": what lies closer on the sky stays together, and is the same galaxy as one that the model knows.
    allow_leaks : bool
        Go on although the split leaks, or the model was trained on galaxies of the test part.
    device : str, optional
    quiet : bool

    Returns
    -------
    Path
        The model folder.

    Raises
    ------
    InputError
        Something about the input is at fault.
    """
    if method not in METHODS:
        raise InputError(f"there is no method {method!r} of transfer; choose {', '.join(METHODS)}")
    mixing = _mixing(wise_ft, method)
    scheme = load_taxonomy(taxonomy)
    source, folder = read_catalog(catalog, columns=columns, quiet=quiet), Path(out)
    if method == "zero-shot":
        target = Source(source, scheme, np.zeros(len(source), np.int64))
    else:
        target = open_source(source, scheme)
    reach = arcsec(radius)
    check_output(folder, folder=True)
    if folder.resolve() == model_folder(model).resolve():
        raise InputError(f"--out is the folder of the model to start from, {model}; choose another")
    start = load_model(model, device=default_device(device))
    encoder, before = start.encoder, start.encoder.fingerprint
    asked = {"crop": crop, "stretch": stretch, "bands": bands, "pixel_scale": pixel_scale}
    encoder.preprocessing = _looking(start, {k: v for k, v in asked.items() if v is not None}, quiet)
    folder.mkdir(parents=True, exist_ok=True)
    benchmarks = [read_catalog(path, require=()) for path in exclude]
    parts = split_for([source], split, folder, seed, benchmarks, reach)
    for line in refuse_leaks(source, parts, radius=reach, allow=allow_leaks):
        note(line, quiet=quiet)
    known = read_trained_on(start.folder)
    refuse_seen(source, parts, start.folder, known, reach, allow=allow_leaks, quiet=quiet)
    parts.write(folder / "split.parquet")
    shares = {"train": fraction_of(share, "--share"), "validation": fraction_of(validation_share, "--validation-share")}
    for part, wanted in shares.items():
        target.rows[part] = labelled_rows(parts.part(source, part, share=wanted, seed=seed), target.labels)
        if not len(target.rows[part]):
            raise InputError(f"the {part} part of {catalog} has no galaxy with a label of {scheme.name}")
    if method != "zero-shot":
        few_labels_note(target, parts, share, quiet=quiet)
    plan = _plan(method, recipe, len(target.rows["train"]), steps)
    if plan is not None:
        check_recipe(plan, encoder, [target.votes is not None])
    identity: dict[str, Any] = {
        "catalog": source.source,
        "catalog_fingerprint": source.fingerprint,
        "split_fingerprint": split_fingerprint(parts),
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
    if _finished(folder, identity):
        note(f"{folder} holds the finished model of these settings; nothing to do", quiet=quiet)
        return folder
    drawings = Path(symbols) if symbols is not None else None
    about = _about(identity, start, known)
    if method == "zero-shot":
        choice = by_words(encoder, scheme)
        about["data"] |= {"n_train": [0], "n_validation": [0]}
        drawn = drawn_symbols(encoder, scheme, drawings)
        if known is not None:
            write_trained_on(folder, [], before=known)
    else:
        seen_as = plan or load_recipe("supervised")
        data, skipped = prepare_source(target, encoder.preprocessing, seen_as, drawings, seed, quiet=quiet)
        write_skipped(skipped, folder, quiet)
        about["data"] |= {"n_train": [len(data.labels)], "n_validation": [len(data.validation_labels)]}
        note(
            f"learning from {len(data.labels)} galaxies ({share:g} % of the training labels), choosing on "
            f"{len(data.validation_labels)} of the validation part",
            quiet=quiet,
        )
        chooser = Chooser(encoder, data, scheme, drawings)
        head: Tensor | None = None
        if plan is not None:
            head, found = _fine_tune(encoder, plan, data, chooser, method, mixing, folder, seed, identity, quiet)
            about |= found
        choice = chooser.choose(head)
        drawn = chooser.symbols()
        write_trained_on(folder, [(source, target.rows)], before=known)
    save_model(Model(encoder, scheme, choice, drawn, about), folder, card=_card(scheme, choice, about))
    write_json(choice.validation, folder / "validation.json")
    if wise_ft is None:
        (folder / _CHECKPOINT).unlink(missing_ok=True)
    return folder


def _mixing(wise_ft: str | float | None, method: str) -> str | float:
    """Return the share of the fine-tuned weights, or "auto"."""
    if wise_ft is None:
        return 1.0
    if METHODS[method] is None:
        raise InputError(f"the method {method} trains no tower, so there is nothing to mix; leave --wise-ft out")
    if wise_ft == "auto":
        return "auto"
    try:
        value = float(wise_ft)
    except ValueError:
        value = math.nan
    if not 0 <= value <= 1:
        raise InputError(f"--wise-ft is {wise_ft}; give a number from 0 (as before) to 1 (fine-tuned), or auto")
    return value


def _looking(start: Model, asked: dict[str, Any], quiet: bool) -> Preprocessing:
    """Return how the target's images are looked at: as the model does, but for what is asked for."""
    preprocessing = replace(start.encoder.preprocessing, **asked)
    if preprocessing != start.encoder.preprocessing:
        note(f"images are seen with {preprocessing}; the model saw {start.encoder.preprocessing}", quiet=quiet)
    return preprocessing


def _plan(method: str, recipe: str | Path | None, n: int, steps: int) -> Recipe | None:
    """Return the recipe that trains the tower, with epochs enough for the labels there are; None: none does."""
    own = METHODS[method]
    if own is None:
        if recipe is not None:
            raise InputError(f"the method {method} trains no tower; leave --recipe out")
        return None
    plan = load_recipe(recipe or own)
    if method == "flyp-symbols" and recipe is None:
        plan = plan.model_copy(update={"stages": plan.stages[-1:]})  # the warm-up is behind the model already
    return plan.at_least(n, steps)


def _finished(folder: Path, identity: dict[str, Any]) -> bool:
    """Tell whether the folder holds the model of these settings; InputError where it holds another.

    One that was mixed otherwise is not finished: its checkpoint is there to be mixed anew.
    """
    path = folder / "galaxalign.json"
    if not path.is_file():
        return False
    try:
        found = json.loads(path.read_text()).get("transfer", {}).get("asked", {})
    except (ValueError, AttributeError) as error:
        raise InputError(f"{path} is damaged ({error}); choose another --out, or delete the folder") from error
    differing = [key for key, value in json.loads(json.dumps(identity)).items() if found.get(key) != value]
    if differing == ["wise_ft"] and (folder / _CHECKPOINT).is_file():
        return False
    if differing:
        raise InputError(f"{folder} holds a model of other settings ({', '.join(differing)}); choose another --out")
    return True


def _about(identity: dict[str, Any], start: Model, known: Catalog | None) -> dict[str, Any]:
    """Return what is saved with the model beside its weights."""
    # lists, as a model of several catalogues has them
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
        **provenance(),
    }


def _fine_tune(
    encoder: ClipEncoder | VisionEncoder,
    plan: Recipe,
    data: TrainingData,
    chooser: Chooser,
    method: str,
    mixing: str | float,
    folder: Path,
    seed: int,
    identity: dict[str, Any],
    quiet: bool,
) -> tuple[Tensor | None, dict[str, Any]]:
    """Train the tower in place and mix its weights; return the head and what is to be told of it."""
    before = tower_weights(encoder)
    start = chooser.probe() if method == "lp-ft" else None
    if method == "lora":
        add_adapters(encoder, seed=seed)
    batch = min(plan.batch_size, len(data.labels))
    total = len(data.labels) // batch * batch * plan.epochs
    settings = {key: value for key, value in identity.items() if key != "wise_ft"}  # that comes after the training
    with progress("training", total, quiet=quiet) as done:
        result = fit(encoder, plan, data, out=folder, seed=seed, settings=settings, head=start, on_step=done)
    if method == "lora":
        merge_adapters(encoder)
    told = {"best_epoch": result.best_epoch, "wise_ft": {"share": mixing}}
    if mixing == 1.0:
        return result.head, told
    after = tower_weights(encoder)

    def mix(share: float) -> Tensor | None:
        interpolate(encoder, before, after, share)
        return _mixed_head(start, result, share)

    if mixing == "auto":
        tried = {}
        with progress("mixing", len(_SHARES), quiet=quiet) as done:
            for share in _SHARES:
                choice = chooser.choose(mix(share), quick=True)
                tried[share] = choice.validation[choice.name]["log_loss"]
                done(1)
        mixing = min(tried, key=lambda share: tried[share])
        told["wise_ft"] = {"share": mixing, "validation_log_loss": {f"{k:g}": v for k, v in tried.items()}}
    return mix(float(mixing)), told


def _mixed_head(start: Tensor | None, result: TrainingResult, share: float) -> Tensor | None:
    """Return the head between where it started, at the probe or at zeros, and where training took it."""
    if result.head is None or share == 0:
        return start
    return share * result.head + (0 if start is None else (1 - share) * start)


def _card(scheme: Taxonomy, choice: ClassifierChoice, about: dict[str, Any]) -> str:
    """Return the model card."""
    data, asked = about["data"], about["transfer"]["asked"]
    chosen = choice.validation.get(choice.name)
    figures = (
        f"chosen and calibrated (temperature {choice.temperature:.2f}) on {data['n_validation'][0]} validation "
        f"galaxies, where it has\n  accuracy {chosen['accuracy']:.3f} and macro F1 {chosen['macro_f1']:.3f}, which "
        "flatters it"
        if chosen
        else "not calibrated"
    )
    mixed = about.get("wise_ft", {}).get("share")
    return f"""---
library_name: open_clip
tags: [galaxies, morphology, galaxalign]
---
# {scheme.title}, by transfer ({asked["method"]})

- Starts from the model `{about["transfer"]["model"]}` ({about["transfer"]["model_taxonomy"]}, fingerprint
  {asked["model_fingerprint"]}); sees each image with {Preprocessing.from_dict(data["preprocessing"])}.
- Learnt from {data["n_train"][0]} galaxies of `{data["catalog"][0]}`
  (fingerprint {data["catalog_fingerprint"][0][:16]}),
  {asked["share"]:g} % of its training labels, with seed {about["seed"]}.
- Share of the fine-tuned weights: {mixed if mixed is not None else "none, the tower is the pretrained one"}.
- Classifier: {choice.name}, {figures}.

Galaxies that this model, or as far as is known the one before it, was trained or chosen on stand in
`trained_on.parquet`.
"""
