"""The verb evaluate: how well a model classifies and retrieves labelled galaxies."""

from __future__ import annotations

from typing import Any

from galaxalign import evaluation, models, options as opt, training
from galaxalign.data import catalogs, images, splits, tables
from galaxalign.errors import InputError
from galaxalign.progress import note, progress
from galaxalign.signature import verb
from galaxalign.verbs.with_model import (
    classifier_for,
    note_warnings,
    open_model,
    origin,
    predict,
)


@verb
def evaluate(
    *,
    catalog: opt.Catalog,
    model: opt.Model = "galaxy-lite",
    taxonomy: opt.OtherTaxonomy = None,
    split: opt.EvaluationSplit = None,
    part: opt.SplitPart = "test",
    columns: opt.Columns = None,
    out: opt.MetricsOut = None,
    device: opt.Device = None,
    quiet: opt.Quiet = False,
) -> dict[str, Any]:
    """Measure classification and retrieval on labelled galaxies, with 95 % intervals.

    Without `split` all rows count, with two exceptions: of the catalogue that the model was trained on only the model's
    own test part counts, and galaxies that the model was trained or chosen on (by id) are left out and counted in
    `n_trained_on`.

    Returns
    -------
    dict
        As `galaxalign.evaluation.evaluate_predictions`, see the file formats in the documentation.

    Raises
    ------
    InputError
        No galaxy has a label of the taxonomy, or no image can be read.
    """
    import numpy as np

    if out is not None:
        tables.check_output(out)
    whole = catalogs.read_catalog(catalog, columns=columns, quiet=quiet)
    note_warnings(whole.source, catalogs.positions_unused(whole), quiet)
    loaded = open_model(model, whole.store, device)
    scheme, classifier = classifier_for(loaded, taxonomy)
    rows = np.arange(len(whole))
    own = models.model_folder(model) / "split.parquet"
    learnt_from = loaded.settings.get("data", {})
    n_trained_on, taken = 0, part
    if split is not None:
        rows = splits.read_split(split).part(whole, part)
    elif whole.fingerprint in learnt_from.get("catalog_fingerprint", ()) and own.is_file():
        rows = splits.read_split(own).part(whole, part)
        note(
            f"this model was trained on {catalog}: evaluating its {part} part, {len(rows)} galaxies",
            quiet=quiet,
        )
    elif (known := training.read_trained_on(loaded.folder)) is not None:
        taken = "all"
        seen = training.seen_rows(whole, rows, known, radius=catalogs.SAME_OBJECT)
        n_trained_on = 0 if seen is None else len(seen)
        rows = rows if seen is None else np.setdiff1d(rows, seen)
        if n_trained_on:
            note(f"{n_trained_on} galaxies that the model was trained or chosen on are left out", quiet=quiet)
    labels = training.catalog_labels(whole, scheme)
    rows = rows[labels[rows] >= 0]
    if not len(rows):
        raise InputError(f"no galaxy of {catalog} to evaluate has a label of {scheme.name}")
    with progress("looking", len(rows), quiet=quiet) as done:
        vectors, probabilities, statuses = predict(loaded, whole.select(rows), scheme, classifier, done)
    good = images.is_read(statuses)
    if not good.any():
        raise InputError(f"none of the {len(rows)} images of {catalog} could be read; the first: {statuses[0]}")
    figures = evaluation.evaluate_predictions(
        labels[rows][good],
        probabilities[good],
        scheme.class_names,
        vectors=vectors[good],
        n_failed=int((~good).sum()),
    )
    figures |= origin(loaded, scheme, classifier) | {"catalog_fingerprint": whole.fingerprint, "part": taken}
    figures["n_trained_on"] = n_trained_on
    if out is not None:
        tables.write_json(figures, out)
    return figures
