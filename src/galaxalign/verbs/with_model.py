"""What the verbs that ask a model share: open it, choose its classifier, predict."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from galaxalign import inference, models, morphology, training
from galaxalign.data import catalogs
from galaxalign.errors import InputError
from galaxalign.progress import note

if TYPE_CHECKING:
    import numpy as np


def open_model(model: str | Path, store: Path | None, device: str | None) -> models.Model:
    """Load a model; before that takes its time, InputError where the catalogue is a store that does not fit it."""
    saved = models.saved_preprocessing(models.model_folder(model))
    if saved is not None:
        catalogs.check_store(store, saved)
    return models.load_model(model, device=models.default_device(device))


def note_warnings(source: str, doubts: Sequence[str], quiet: bool) -> None:
    """Say what is wrong with positions; they are only carried along here, so it is no error."""
    for doubt in doubts:
        note(f"{source}: {doubt}", quiet=quiet)


def classifier_for(
    model: models.Model, taxonomy: str | Path | None
) -> tuple[morphology.Taxonomy, models.ClassifierChoice]:
    """Return the model's own taxonomy and classifier, or those of another taxonomy by words."""
    if taxonomy is None:
        return model.taxonomy, model.classifier
    scheme = morphology.load_taxonomy(taxonomy)
    learnt = model.task(scheme)
    if learnt is not None:
        return scheme, learnt.classifier
    if not model.encoder.has_words:
        raise InputError(f"{model.folder} has no text tower, so it can classify by {model.taxonomy.name} only")
    return scheme, training.by_words(model.encoder, scheme)


def predict(
    model: models.Model,
    catalog: catalogs.Catalog,
    scheme: morphology.Taxonomy,
    classifier: models.ClassifierChoice,
    done: Callable[[int], None],
    head: models.VoteHead | None = None,
) -> tuple[np.ndarray, np.ndarray, list[str]]:
    """Return vectors (N, D), probabilities (N, K) and statuses of a catalogue."""
    mirror = not (model.taxonomy.handed or scheme.handed or (head is not None and head.tree.handed))
    vectors, statuses = inference.encode_whole(model.encoder, catalog, done, mirror=mirror)
    return vectors, classifier.predict_proba(vectors), statuses


def origin(model: models.Model, taxonomy: morphology.Taxonomy, classifier: models.ClassifierChoice) -> dict[str, str]:
    return {
        "taxonomy": taxonomy.name,
        "model": models.model_name(model.folder),
        "fingerprint": model.encoder.fingerprint,
        "preprocessing": json.dumps(model.encoder.preprocessing.to_dict()),
        "classifier": classifier.name,
    }
