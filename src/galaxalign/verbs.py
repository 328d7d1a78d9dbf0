"""What people do with a trained model: classify, evaluate, embed, project."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, overload

import numpy as np
import pandas as pd
import pyarrow as pa

from galaxalign.analysis.classifiers import ClassifierChoice, zero_shot
from galaxalign.analysis.embeddings import Embeddings, EmbeddingWriter
from galaxalign.analysis.encode import encode_catalog, prompt_prototypes
from galaxalign.analysis.projection import map_figure
from galaxalign.analysis.projection import project as project_vectors
from galaxalign.analysis.vote_head import VoteHead, vote_columns, zero_shot_votes
from galaxalign.benchmark.metrics import evaluate_predictions
from galaxalign.data.catalog import TABLE_SUFFIXES, Catalog, check_output, read_catalog, write_table
from galaxalign.data.doubts import positions_unused
from galaxalign.data.locations import resolved
from galaxalign.data.pictures import check_store
from galaxalign.data.scan import scan_catalog
from galaxalign.data.sky import SAME_OBJECT
from galaxalign.data.splits import read_split
from galaxalign.data.tables import write_json
from galaxalign.data.writer import TableWriter
from galaxalign.encoders.clip import ClipEncoder
from galaxalign.encoders.folder import BOX, Model, load_model, model_folder, model_name, saved_preprocessing
from galaxalign.encoders.load import default_device
from galaxalign.errors import InputError
from galaxalign.progress import note, progress
from galaxalign.symbols import symbol_sheet
from galaxalign.taxonomy import Taxonomy, load_taxonomy
from galaxalign.training.seen import read_trained_on, seen_rows
from galaxalign.training.sources import catalog_labels

__all__ = ["classify", "embed", "evaluate", "project", "symbols"]

# A look-up for the same column in every verb: {"id_str": "objid"}, new name first.
Columns = Mapping[str, str] | None

GALAXY_LITE = BOX[0]

# Ours, or what would mean something else beside a vector.
_NOT_CARRIED = ("id_str", "file_loc", "embedding", "status", "image_path")


@overload
def classify(
    *,
    catalog: str | Path,
    model: str | Path = GALAXY_LITE,
    taxonomy: str | Path | None = None,
    votes: bool = False,
    columns: Columns = None,
    out: None = None,
    device: str | None = None,
    quiet: bool = False,
) -> pd.DataFrame: ...
@overload
def classify(
    *,
    catalog: str | Path,
    model: str | Path = GALAXY_LITE,
    taxonomy: str | Path | None = None,
    votes: bool = False,
    columns: Columns = None,
    out: str | Path,
    device: str | None = None,
    quiet: bool = False,
) -> Path: ...
def classify(
    *,
    catalog: str | Path,
    model: str | Path = GALAXY_LITE,
    taxonomy: str | Path | None = None,
    votes: bool = False,
    columns: Columns = None,
    out: str | Path | None = None,
    device: str | None = None,
    quiet: bool = False,
) -> pd.DataFrame | Path:
    """Give the class probabilities of every galaxy of a catalogue, a folder or a glob of images.

    Parameters
    ----------
    catalog : path
    model : path
        Folder of a trained model; by default the model in the box, see docs/galaxy-lite.md.
    taxonomy : str or path, optional
        Classes other than the model's own are told apart by words alone, not calibrated.
    votes : bool
        Also give the fraction of volunteers expected to give each answer of a decision tree: that of `taxonomy`, by
        default that of the model's own votes or taxonomy. By the model's head for that tree, by words alone where it
        has none, see docs/votes.md.
    columns : mapping, optional
        What columns of the catalogue are to be called, new name first: {"id_str": "objid"}.
    out : path, optional
        Where to write them as they come, in constant memory: .csv, .csv.gz, .parquet, .fits or .vot.
    device : str, optional
    quiet : bool

    Returns
    -------
    DataFrame, or Path with `out`
        `id_str`, `label`, `probability_<class>` for each class, with `votes` `<question>_asked` and
        `<question>_<answer>_fraction` by question, `status`; a picture that could not be read has no label, and its
        status says why.

    Raises
    ------
    InputError
        Something about the input is at fault.
    """
    if out is not None:
        check_output(out, suffixes=TABLE_SUFFIXES)
    source = scan_catalog(catalog, columns=columns, quiet=quiet)
    _note_doubts(source.source, source.doubts, quiet)
    loaded = _loaded(model, source.store, device)
    scheme, classifier = _classifier(loaded, taxonomy)
    head = _vote_head(loaded, None if taxonomy is None else scheme) if votes else None
    if head is not None:
        note(f"fractions of volunteers expected: {head.about}", quiet=quiet)
    failed = 0

    def tables() -> Iterator[pd.DataFrame]:
        nonlocal failed
        with progress("looking", len(source), quiet=quiet) as done:
            for piece in source.pieces():
                vectors, probabilities, statuses = _predict(loaded, piece, scheme, classifier, done, head)
                failed += sum(status != "ok" for status in statuses)
                yield _predictions(piece.ids, probabilities, statuses, scheme, _expected_votes(head, vectors, statuses))

    if out is None:
        answer: pd.DataFrame | Path = pd.concat(tables(), ignore_index=True)
    else:
        about = _origin(loaded, scheme, classifier) | ({} if head is None else {"votes": head.about})
        with TableWriter(out, metadata=about) as writer:
            for table in tables():
                writer.write(table)
        answer = writer.path
    if failed:
        note(f"{failed} of {len(source)} images could not be read; column status says why", quiet=quiet)
    return answer


def evaluate(
    *,
    catalog: str | Path,
    model: str | Path = GALAXY_LITE,
    taxonomy: str | Path | None = None,
    split: str | Path | None = None,
    part: str = "test",
    columns: Columns = None,
    out: str | Path | None = None,
    device: str | None = None,
    quiet: bool = False,
) -> dict[str, Any]:
    """Return how well a model classifies and retrieves labelled galaxies.

    Without `split` all rows count, except that on the catalogue the model was trained with its own test
    part is taken, and that galaxies it was trained or chosen on (by id) are left out and counted in
    `n_trained_on`.

    Parameters
    ----------
    catalog : path
    model : path
    taxonomy : str or path, optional
    split : path, optional
    part : {"test", "validation", "train"}
    columns : mapping, optional
        What columns of the catalogue are to be called, new name first: {"id_str": "objid"}.
    out : path, optional
        metrics.json.
    device : str, optional
    quiet : bool

    Returns
    -------
    dict
        As `evaluate_predictions`, see docs/formats.md.
    """
    if out is not None:
        check_output(out)
    whole = read_catalog(catalog, columns=columns, quiet=quiet)
    _note_doubts(whole.source, positions_unused(whole), quiet)
    loaded = _loaded(model, whole.store, device)
    scheme, classifier = _classifier(loaded, taxonomy)
    rows = np.arange(len(whole))
    own = model_folder(model) / "split.parquet"
    learnt_from = loaded.settings.get("data", {})
    n_trained_on, taken = 0, part
    if split is not None:
        rows = read_split(split).part(whole, part)
    elif whole.fingerprint in learnt_from.get("catalog_fingerprint", ()) and own.is_file():
        rows = read_split(own).part(whole, part)
        note(
            f"this model was trained on {catalog}: evaluating its {part} part, {len(rows)} galaxies",
            quiet=quiet,
        )
    elif (known := read_trained_on(loaded.folder)) is not None:
        taken = "all"
        seen = seen_rows(whole, rows, known, radius=SAME_OBJECT)
        n_trained_on = 0 if seen is None else len(seen)
        rows = rows if seen is None else np.setdiff1d(rows, seen)
        if n_trained_on:
            note(f"{n_trained_on} galaxies that the model was trained or chosen on are left out", quiet=quiet)
    labels = catalog_labels(whole, scheme)
    rows = rows[labels[rows] >= 0]
    if not len(rows):
        raise InputError(f"no galaxy of {catalog} to evaluate has a label of {scheme.name}")
    with progress("looking", len(rows), quiet=quiet) as done:
        vectors, probabilities, statuses = _predict(loaded, whole.select(rows), scheme, classifier, done)
    good = np.array([status == "ok" for status in statuses])
    if not good.any():
        raise InputError(f"none of the {len(rows)} images of {catalog} could be read; the first: {statuses[0]}")
    figures = evaluate_predictions(
        labels[rows][good],
        probabilities[good],
        scheme.class_names,
        vectors=vectors[good],
        n_failed=int((~good).sum()),
        provenance=_origin(loaded, scheme, classifier) | {"catalog_fingerprint": whole.fingerprint, "part": taken},
    )
    figures["n_trained_on"] = n_trained_on
    if out is not None:
        write_json(figures, out)
    return figures


def embed(
    *,
    catalog: str | Path,
    model: str | Path = GALAXY_LITE,
    out: str | Path,
    columns: Columns = None,
    device: str | None = None,
    quiet: bool = False,
) -> Path:
    """Write the embedding of every galaxy of a catalogue as Parquet, in constant memory.

    Parameters
    ----------
    catalog : path
    model : path
    out : path
        .parquet; columns `id_str`, `embedding`, `status`, `image_path`, and those of the catalogue with one value in
        each row.
    columns : mapping, optional
        What columns of the catalogue are to be called, new name first: {"id_str": "objid"}.
    device : str, optional
    quiet : bool
    """
    check_output(out, suffixes=(".parquet",))
    source = scan_catalog(catalog, columns=columns, keep=None, quiet=quiet)
    _note_doubts(source.source, source.doubts, quiet)
    loaded = _loaded(model, source.store, device)
    about = _origin(loaded, loaded.taxonomy, loaded.classifier) | {"catalog_fingerprint": source.fingerprint}
    mirror, failed = not loaded.taxonomy.handed, 0
    with (
        progress("embedding", len(source), quiet=quiet) as done,
        EmbeddingWriter(out, dimension=loaded.encoder.dimension, metadata=about) as writer,
    ):
        for piece in source.pieces():
            ids, paths = piece.ids, piece.paths()
            carried = _carried(piece.table) | {"image_path": pa.array([str(resolved(path)) for path in paths])}
            for rows, vectors, statuses in encode_catalog(loaded.encoder, piece, mirror=mirror):
                writer.write(ids[rows], vectors, statuses, {name: values[rows] for name, values in carried.items()})
                failed += sum(status != "ok" for status in statuses)
                done(len(statuses))
    if failed:
        note(f"{failed} of {len(source)} images could not be read; column status says why", quiet=quiet)
    return Path(out)


def project(
    *,
    embeddings: str | Path,
    method: str = "tsne",
    out: str | Path,
    figure: str | Path | None = None,
    seed: int = 0,
) -> Path:
    """Write a two-dimensional map of the embeddings, and its figure.

    Parameters
    ----------
    embeddings : path
    method : {"tsne", "umap", "pca"}
    out : path
        Table with `id_str`, `x`, `y` and `label` where known.
    figure : path, optional
        By default beside `out` with the suffix .png.
    seed : int
    """
    check_output(out)
    picture = Path(figure) if figure is not None else Path(out).with_suffix(".png")
    check_output(picture, suffixes=(".png", ".pdf", ".svg"))
    gallery = Embeddings.read(embeddings)
    good = gallery.ok
    places = project_vectors(gallery.vectors[good], method=method, seed=seed)
    ids = np.array(gallery.ids, dtype=object)[good]
    table = pd.DataFrame({"id_str": ids, "x": places[:, 0], "y": places[:, 1]})
    names, codes = ["galaxies"], np.zeros(len(table), np.int64)
    if "label" in gallery.columns:
        table["label"] = gallery.columns["label"][good]
        found = [value if isinstance(value, str) and value else "no label" for value in table["label"]]
        classes, codes = np.unique(found, return_inverse=True)
        names = [str(name) for name in classes]
    write_table(table, out, metadata={key: str(value) for key, value in gallery.metadata.items()})
    map_figure(places, codes, names, picture)
    return Path(out)


def symbols(*, taxonomy: str | Path, out: str | Path) -> Path:
    """Draw the labelled sheet of a taxonomy's symbols.

    Parameters
    ----------
    taxonomy : str or path
        Name of a taxonomy or a TOML file.
    out : path
        .png, .svg or .pdf.
    """
    scheme = load_taxonomy(taxonomy)
    check_output(out, suffixes=(".png", ".svg", ".pdf"))
    return symbol_sheet(scheme, out)


def _carried(table: pd.DataFrame) -> dict[str, pa.Array]:
    """Return the columns of a catalogue that travel with its embeddings, missing values as null."""
    columns = {str(name): pa.Array.from_pandas(table[name]) for name in table.columns if name not in _NOT_CARRIED}
    return {name: values for name, values in columns.items() if not pa.types.is_nested(values.type)}


def _loaded(model: str | Path, store: Path | None, device: str | None) -> Model:
    """Load a model; before that takes its time, InputError where the catalogue is a store that does not fit it."""
    saved = saved_preprocessing(model_folder(model))
    if saved is not None:
        check_store(store, saved)
    return load_model(model, device=default_device(device))


def _note_doubts(source: str, doubts: Sequence[str], quiet: bool) -> None:
    """Say what is wrong with positions; they are only carried along here, so it is no error."""
    for doubt in doubts:
        note(f"{source}: {doubt}", quiet=quiet)


def _classifier(model: Model, taxonomy: str | Path | None) -> tuple[Taxonomy, ClassifierChoice]:
    """Return the model's own taxonomy and classifier, or those of another taxonomy by words."""
    if taxonomy is None:
        return model.taxonomy, model.classifier
    scheme = load_taxonomy(taxonomy)
    learnt = model.task(scheme)
    if learnt is not None:
        return scheme, learnt.classifier
    if not isinstance(model.encoder, ClipEncoder):
        raise InputError(f"{model.folder} knows no words, so it can classify by {model.taxonomy.name} only")
    prompts = prompt_prototypes(model.encoder, scheme)
    return scheme, zero_shot(scheme.class_names, prompts, logit_scale=_logit_scale(model.encoder))


def _predict(
    model: Model,
    catalog: Catalog,
    scheme: Taxonomy,
    classifier: ClassifierChoice,
    done: Callable[[int], None],
    head: VoteHead | None = None,
) -> tuple[np.ndarray, np.ndarray, list[str]]:
    """Return vectors (N, D), probabilities (N, K) and statuses of a catalogue."""
    mirror = not (model.taxonomy.handed or scheme.handed or (head is not None and head.tree.handed))
    vectors = np.zeros((len(catalog), model.encoder.dimension), np.float32)
    statuses: list[str] = []
    for rows, part, found in encode_catalog(model.encoder, catalog, mirror=mirror):
        vectors[rows] = part
        statuses += found
        done(len(found))
    return vectors, classifier.predict_proba(vectors), statuses


def _vote_head(model: Model, scheme: Taxonomy | None) -> VoteHead:
    """Return what gives the votes of a taxonomy, or of the model's own tree."""
    if scheme is None and model.votes is not None:
        return model.votes
    chosen = model.taxonomy if scheme is None else scheme
    if chosen.tree is None:
        raise InputError(f"{chosen.name} is no decision tree, so nobody voted; name one with --taxonomy galaxy_zoo_2")
    if model.votes is not None and model.votes.tree.stems == chosen.tree.stems:
        return model.votes
    if not isinstance(model.encoder, ClipEncoder):
        raise InputError(
            f"{model.folder} knows no words and has no head for the votes of {chosen.name}; fit one with "
            "galaxalign fit-votes"
        )
    return zero_shot_votes(chosen.tree, model.encoder.encode_texts, _logit_scale(model.encoder))


def _logit_scale(encoder: ClipEncoder) -> float:
    return float(encoder.model.logit_scale.detach().exp())  # type: ignore[operator]


def _expected_votes(head: VoteHead | None, vectors: np.ndarray, statuses: Sequence[str]) -> Mapping[str, np.ndarray]:
    """Return the columns of expected votes, NaN where the image could not be read; none without a head."""
    if head is None:
        return {}
    good = np.array([status == "ok" for status in statuses])
    return vote_columns(head.tree, np.where(good[:, None], head.fractions(vectors), np.nan))


def _predictions(
    ids: Sequence[str],
    probabilities: np.ndarray,
    statuses: Sequence[str],
    scheme: Taxonomy,
    votes: Mapping[str, np.ndarray],
) -> pd.DataFrame:
    """Return the table of predictions; without label and probabilities where the image could not be read."""
    good = np.array([status == "ok" for status in statuses])
    names = np.array(scheme.class_names, dtype=object)
    table: dict[str, Any] = {"id_str": ids, "label": np.where(good, names[probabilities.argmax(1)], "")}
    for column, name in enumerate(scheme.class_names):
        table[f"probability_{name}"] = np.where(good, probabilities[:, column], np.nan).astype(np.float32)
    return pd.DataFrame(table | dict(votes) | {"status": statuses})


def _origin(model: Model, taxonomy: Taxonomy, classifier: ClassifierChoice) -> dict[str, str]:
    return {
        "taxonomy": taxonomy.name,
        "model": model_name(model.folder),
        "fingerprint": model.encoder.fingerprint,
        "preprocessing": json.dumps(model.encoder.preprocessing.to_dict()),
        "classifier": classifier.name,
    }
