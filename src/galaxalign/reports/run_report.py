"""The report of a whole run as one HTML file that needs nothing else: figures inside, no script, no network.

Every number and figure comes from the files of the run.
"""

from __future__ import annotations

import json
import shlex
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from galaxalign import __version__, evaluation
from galaxalign.data import images
from galaxalign.data.catalogs import Catalog, read_catalog
from galaxalign.data.images import OK, Preprocessing, load_images
from galaxalign.data.splits import PARTS, read_split
from galaxalign.data.tables import read_table, write_text
from galaxalign.errors import InputError
from galaxalign.gallery import grid_figure
from galaxalign.morphology import Taxonomy, load_taxonomy, render, symbol_sheet
from galaxalign.reports.html import Picture, render_page

_TILE = 88  # pixels of a galaxy in the contact sheet and the grid
_METRICS = {
    "accuracy": ("Accuracy", "fraction of galaxies assigned to their class"),
    "macro_f1": ("Macro F1", "F1 averaged over the classes; rare ones count as much"),
    "balanced_accuracy": ("Balanced accuracy", "recall averaged over the classes"),
    "map": ("Retrieval mAP", "each galaxy is a query for its class: average precision over the whole ranking"),
    "map_at_5": ("Retrieval mAP@5", "the same for the first five answers only"),
    "ece": ("Calibration error", "mean gap between probability and fraction correct; 0 is best"),
    "brier": ("Brier score", "squared error of the probabilities, 0 (best) to 2"),
}
_CLASSIFIERS = {
    "prompts": "comparison with the words for each class",
    "symbols": "comparison with the symbols of each class",
    "both": "comparison with the words and the symbols of each class",
    "head": "the linear head that was trained with the tower",
    "linear": "a linear head on the embeddings",
}
_KINDS = {"picture": "this picture", "words": "these words", "symbol": "this symbol"}


class RunFiles:
    """The files of a run in its folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.state = folder / "demo.json"  # settings of the run, and the seconds of each finished step
        self.survey = folder / "survey"  # simulated images
        self.catalog = self.survey / "catalog.csv"  # all galaxies
        self.split = folder / "split.parquet"  # training, validation and test
        self.held_out = folder / "held_out.csv"  # catalogue of the test part
        self.model = folder / "model"  # the model folder, with the training history metrics.csv
        self.metrics = folder / "metrics.json"  # from `evaluate`
        self.predictions = folder / "predictions.parquet"  # probabilities of the test galaxies
        self.embeddings = folder / "embeddings.parquet"  # of the test galaxies
        self.searches = folder / "searches.json"  # queries and their answers
        self.map = folder / "map.parquet"  # t-SNE positions
        self.components = folder / "components.parquet"  # positions along the first two principal components
        self.figures = folder / "figures"
        self.report = folder / "report.html"


def write_report(folder: str | Path) -> Path:
    """Draw the figures of a finished run and write its report.

    Parameters
    ----------
    folder : path
        Holds the files named by `RunFiles`.

    Returns
    -------
    Path
        FOLDER/report.html; the figures are in FOLDER/figures, too.

    Raises
    ------
    InputError
        A file is missing or damaged, or the report cannot be written.
    """
    run = RunFiles(Path(folder))
    return write_text(render_page("report.html", **_contents(run)), run.report)


def next_steps(folder: str | Path) -> list[tuple[str, str]]:
    """Return suggestions after the demo: what each does, and its command."""
    run = RunFiles(Path(folder))
    model, gallery = str(run.model), str(run.embeddings)
    commands = [
        ("search among the held-out galaxies in your own words", "search", gallery, "--text", "a thin disc"),
        ("search with your own sketch of a galaxy", "search", gallery, "--symbol", "sketch.png"),
        ("classify your own galaxies", "classify", "my_images/", "--model", model, "--out", "classes.csv"),
        ("draw the symbols of another survey", "symbols", "efigi", "--out", "symbols.png"),
        (
            "train on your own survey (id_str, file_loc, label)",
            *("train", "--catalog", "catalog.csv", "--taxonomy", "galaxy10_decals", "--out", "my_model"),
        ),
    ]
    return [(what, shlex.join(["galaxalign", *words])) for what, *words in commands]


def _contents(run: RunFiles) -> dict[str, Any]:
    """Return the variables of the template."""
    state, metrics, model = _json(run.state), _json(run.metrics), _json(run.model / "galaxalign.json")
    searches = _json(run.searches)
    taxonomy = load_taxonomy(state["settings"]["taxonomy"])
    catalog, held_out = read_catalog(run.catalog), read_catalog(run.held_out)
    history = read_table(run.model / "metrics.csv")
    run.figures.mkdir(exist_ok=True)
    _draw(run, taxonomy, catalog, held_out, history, metrics, int(model["best_epoch"]))
    parts = read_split(run.split)
    classifier = metrics["classifier"]
    return {
        "version": __version__,
        "state": state,
        "seconds": sum(state["seconds"].values()),
        "taxonomy": taxonomy,
        "n_galaxies": len(catalog),
        "sizes": {part: len(parts.part(catalog, part)) for part in PARTS},
        "stages": [(stage["name"], stage["epochs"]) for stage in model["recipe"]["stages"]],
        "best_epoch": model["best_epoch"],
        "epochs": len(history),
        "encoder": model["data"]["encoder"],
        "metrics": metrics,
        "rows": [(key, *words) for key, words in _METRICS.items() if metrics[key] is not None],
        "classifier": f"{_CLASSIFIERS[classifier]} (“{classifier}”)",
        "candidates": _candidates(model["classifier"]["validation"]),
        "panels": [_panel(run, number, query, held_out, taxonomy) for number, query in enumerate(searches)],
        "figures": {path.stem: Picture.read(path) for path in sorted(run.figures.glob("*.png"))},
        "next_steps": next_steps(run.folder),
    }


def _draw(
    run: RunFiles,
    taxonomy: Taxonomy,
    catalog: Catalog,
    held_out: Catalog,
    history: pd.DataFrame,
    metrics: dict[str, Any],
    best_epoch: int,
) -> None:
    """Draw every figure but the retrieval panels."""
    names = taxonomy.class_names
    tiles = Preprocessing(size=_TILE)
    labels = taxonomy.encode(catalog.table["label"])
    shown = _some_of_each(labels, 8)
    pictures, _ = load_images([catalog.paths()[row] for row in shown], tiles)
    counts = np.bincount(labels[labels >= 0], minlength=len(names))
    evaluation.contact_sheet(pictures, labels[shown], names, run.figures / "contact.png", counts=counts)
    symbol_sheet(taxonomy, run.figures / "symbols.png")
    evaluation.learning_curves(history, run.figures / "curves.png", best_epoch=best_epoch)
    evaluation.confusion_matrix(np.array(metrics["confusion"]), names, run.figures / "confusion.png")
    predictions = read_table(run.predictions, text_columns=("id_str",))
    good = (predictions["status"] == OK).to_numpy()
    truth = taxonomy.encode(_labels_of(held_out, list(predictions["id_str"])))
    columns = [f"probability_{name}" for name in names]
    evaluation.reliability_diagram(
        truth[good & (truth >= 0)],
        predictions.loc[good & (truth >= 0), columns].to_numpy(),
        run.figures / "reliability.png",
    )
    places = read_table(run.components, text_columns=("id_str",))
    pictures = _images_of(held_out, list(places["id_str"]), tiles)
    with evaluation.plate():
        grid_figure(pictures, places[["x", "y"]].to_numpy(), run.figures / "grid.png")


def _panel(run: RunFiles, number: int, query: dict[str, Any], held_out: Catalog, taxonomy: Taxonomy) -> dict[str, Any]:
    """Draw one query with its answers; return its caption's numbers."""
    ids = [answer["id_str"] for answer in query["answers"]]
    labels = _labels_of(held_out, ids)
    right = [label == query["class"] for label in labels]
    shown: np.ndarray | str = query["query"]
    if query["kind"] == "picture":
        shown = images.frame(images.decode(run.folder / query["query"]), Preprocessing(size=160))
    elif query["kind"] == "symbol":
        wanted = taxonomy.classes[taxonomy.class_names.index(query["query"])]
        shown = render(wanted.morphology, size=160)
    name = f"search_{number + 1}_{query['kind']}"
    evaluation.retrieval_panel(
        shown,
        _images_of(held_out, ids, Preprocessing(size=112)),
        [label.replace("_", " ") for label in labels],
        right,
        run.figures / f"{name}.png",
        title=_KINDS[query["kind"]],
    )
    gallery = held_out.texts("label")
    members = gallery.count(query["class"])
    return {
        "figure": name,
        "kind": query["kind"],
        "class": taxonomy.classes[taxonomy.class_names.index(query["class"])],
        "right": sum(right),
        "shown": len(ids),
        "members": members,
        # the query is not in the gallery, so neither number loses one
        "expected": len(ids) * members / len(gallery),
    }


def _candidates(validation: dict[str, Any]) -> list[tuple[str, dict[str, Any] | None]]:
    """Return the classifiers that were compared, with their figures on validation data where there are any."""
    return [(_CLASSIFIERS[name], None if "skipped" in figures else figures) for name, figures in validation.items()]


def _some_of_each(labels: np.ndarray, number: int) -> np.ndarray:
    """Return the first rows of each class, in the order of the catalogue."""
    members = [np.flatnonzero(labels == k)[:number] for k in range(labels.max(initial=-1) + 1)]
    return np.concatenate(members) if members else np.zeros(0, np.int64)


def _labels_of(catalog: Catalog, ids: list[str]) -> list[str]:
    labels = dict(zip(catalog.ids, catalog.texts("label"), strict=True))
    return [labels[identity] for identity in ids]


def _images_of(catalog: Catalog, ids: list[str], preprocessing: Preprocessing) -> np.ndarray:
    paths = dict(zip(catalog.ids, catalog.paths(), strict=True))
    return load_images([paths[identity] for identity in ids], preprocessing)[0]


def _json(path: Path) -> Any:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise InputError(f"there is no {path}; run galaxalign demo again to resume") from None
    except ValueError as error:
        raise InputError(f"{path} is damaged ({error}); delete it and run galaxalign demo again") from error
