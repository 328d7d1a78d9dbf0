"""The verb classify: what every galaxy is."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from galaxalign import models, morphology, options as opt
from galaxalign.data import catalogs, images, tables
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

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd


@verb
def classify(
    *,
    catalog: opt.Catalog,
    model: opt.Model = "galaxy-lite",
    taxonomy: opt.OtherTaxonomy = None,
    votes: opt.VotesToo = False,
    columns: opt.Columns = None,
    out: opt.PredictionsOut = None,
    device: opt.Device = None,
    quiet: opt.Quiet = False,
) -> pd.DataFrame | Path:
    """Classify each galaxy, with calibrated probabilities.

    Returns
    -------
    DataFrame, or Path with `out`
        `id_str`, `label`, `probability_<class>` for each class, with `votes` `<question>_asked` and
        `<question>_<answer>_fraction` for each question, and `status`. A picture that cannot be read has no label;
        its status gives the reason.

    Raises
    ------
    InputError
        The catalogue, the model or the output cannot be used.
    """
    import pandas as pd

    if out is not None:
        tables.check_output(out, suffixes=tables.TABLE_SUFFIXES)
    source = catalogs.scan_catalog(catalog, columns=columns, quiet=quiet)
    note_warnings(source.source, source.doubts, quiet)
    loaded = open_model(model, source.store, device)
    scheme, classifier = classifier_for(loaded, taxonomy)
    head = _vote_head(loaded, None if taxonomy is None else scheme) if votes else None
    if head is not None:
        note(f"fractions of volunteers expected: {head.about}", quiet=quiet)
    failed = 0

    def pieces() -> Iterator[pd.DataFrame]:
        nonlocal failed
        with progress("looking", len(source), quiet=quiet) as done:
            for piece in source.pieces():
                vectors, probabilities, statuses = predict(loaded, piece, scheme, classifier, done, head)
                failed += int((~images.is_read(statuses)).sum())
                yield _predictions(piece.ids, probabilities, statuses, scheme, _expected_votes(head, vectors, statuses))

    if out is None:
        answer: pd.DataFrame | Path = pd.concat(pieces(), ignore_index=True)
    else:
        about = origin(loaded, scheme, classifier) | ({} if head is None else {"votes": head.about})
        with tables.TableWriter(out, metadata=about) as writer:
            for table in pieces():
                writer.write(table)
        answer = writer.path
    if failed:
        note(f"{failed} of {len(source)} images could not be read; column status says why", quiet=quiet)
    return answer


def _vote_head(model: models.Model, scheme: morphology.Taxonomy | None) -> models.VoteHead:
    """Return what gives the votes of a taxonomy, or of the model's own tree."""
    if scheme is None and model.votes is not None:
        return model.votes
    chosen = model.taxonomy if scheme is None else scheme
    if chosen.tree is None:
        raise InputError(f"{chosen.name} has no decision tree; choose one with --taxonomy, such as galaxy_zoo_2")
    if model.votes is not None and model.votes.tree.stems == chosen.tree.stems:
        return model.votes
    if not model.encoder.has_words:
        raise InputError(
            f"{model.folder} has no text tower and no head for the votes of {chosen.name}; fit one with "
            "galaxalign fit-votes"
        )
    return models.zero_shot_votes(chosen.tree, model.encoder.encode_texts, model.encoder.logit_scale)


def _expected_votes(
    head: models.VoteHead | None, vectors: np.ndarray, statuses: Sequence[str]
) -> Mapping[str, np.ndarray]:
    """Return the columns of expected votes, NaN where the image could not be read; none without a head."""
    import numpy as np

    if head is None:
        return {}
    good = images.is_read(statuses)
    return models.vote_columns(head.tree, np.where(good[:, None], head.fractions(vectors), np.nan))


def _predictions(
    ids: Sequence[str],
    probabilities: np.ndarray,
    statuses: Sequence[str],
    scheme: morphology.Taxonomy,
    votes: Mapping[str, np.ndarray],
) -> pd.DataFrame:
    """Return the table of predictions; without label and probabilities where the image could not be read."""
    import numpy as np
    import pandas as pd

    good = images.is_read(statuses)
    names = np.array(scheme.class_names, dtype=object)
    table: dict[str, Any] = {"id_str": ids, "label": np.where(good, names[probabilities.argmax(1)], "")}
    for column, name in enumerate(scheme.class_names):
        table[f"probability_{name}"] = np.where(good, probabilities[:, column], np.nan).astype(np.float32)
    return pd.DataFrame(table | dict(votes) | {"status": statuses})
