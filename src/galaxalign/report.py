"""The report of a whole run as one HTML file that needs nothing else: figures inside, no script, no network.

Every number and every figure is made from the files that the run left in its folder.
"""

from __future__ import annotations

import base64
import json
import os
import shlex
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from galaxalign import __version__, figures
from galaxalign.analysis.projection import grid_figure
from galaxalign.data.catalog import Catalog, read_catalog
from galaxalign.data.images import decode, frame, load_images
from galaxalign.data.preprocessing import Preprocessing
from galaxalign.data.splits import PARTS, read_split
from galaxalign.data.tables import read_table
from galaxalign.errors import InputError
from galaxalign.symbols import render, symbol_sheet
from galaxalign.taxonomy import Taxonomy, load_taxonomy

__all__ = ["Picture", "RunFiles", "next_steps", "write_report"]

_WIDEST = 1400  # pixels; twice the width at which a figure is shown, for sharp screens
_TILE = 88  # pixels of a galaxy in the contact sheet and the grid
_METRICS = {
    "accuracy": ("Accuracy", "share of galaxies given to their class"),
    "macro_f1": ("Macro F1", "F1 averaged over the classes, so that rare ones count as much"),
    "balanced_accuracy": ("Balanced accuracy", "recall averaged over the classes"),
    "map": ("Retrieval mAP", "each galaxy asks for its like: average precision over the whole ranking"),
    "map_at_5": ("Retrieval mAP@5", "the same for the first five answers only"),
    "ece": ("Calibration error", "mean gap between probability and share that is right; 0 is best"),
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


@dataclass(frozen=True)
class RunFiles:
    """Where a run keeps what.

    Parameters
    ----------
    folder : Path
    """

    folder: Path

    @property
    def state(self) -> Path:
        """Settings of the run and the seconds of each finished step, JSON."""
        return self.folder / "demo.json"

    @property
    def survey(self) -> Path:
        """The folder of the simulated images."""
        return self.folder / "survey"

    @property
    def catalog(self) -> Path:
        """The catalogue of all galaxies."""
        return self.survey / "catalog.csv"

    @property
    def split(self) -> Path:
        """Which galaxies are for training, validation and test."""
        return self.folder / "split.parquet"

    @property
    def held_out(self) -> Path:
        """The catalogue of the test part."""
        return self.folder / "held_out.csv"

    @property
    def model(self) -> Path:
        """The model folder, with the training history metrics.csv."""
        return self.folder / "model"

    @property
    def metrics(self) -> Path:
        """What `evaluate` measured, JSON."""
        return self.folder / "metrics.json"

    @property
    def predictions(self) -> Path:
        """Probabilities of the test galaxies."""
        return self.folder / "predictions.parquet"

    @property
    def embeddings(self) -> Path:
        """Embeddings of the test galaxies."""
        return self.folder / "embeddings.parquet"

    @property
    def searches(self) -> Path:
        """The queries and their answers, JSON."""
        return self.folder / "searches.json"

    @property
    def map(self) -> Path:
        """t-SNE positions."""
        return self.folder / "map.parquet"

    @property
    def components(self) -> Path:
        """Positions along the first two principal components."""
        return self.folder / "components.parquet"

    @property
    def figures(self) -> Path:
        """The folder of the figures."""
        return self.folder / "figures"

    @property
    def report(self) -> Path:
        """The report."""
        return self.folder / "report.html"


@dataclass(frozen=True)
class Picture:
    """A figure inside the page.

    Parameters
    ----------
    uri : str
        The PNG as a data URI.
    width, height : int
        Its size in pixels, so that the page does not jump while it loads.
    """

    uri: str
    width: int
    height: int

    @classmethod
    def read(cls, path: Path) -> Picture:
        """Return the figure in an image file, made narrower where it is wider than a page can show."""
        from PIL import Image

        data = path.read_bytes()
        with Image.open(BytesIO(data)) as file:
            width, height = file.size
            if width > _WIDEST:
                image = file.convert("RGB")  # figures have no transparency worth keeping
                image.thumbnail((_WIDEST, _WIDEST * 4), Image.Resampling.LANCZOS)
                width, height = image.size
                buffer = BytesIO()
                image.save(buffer, "PNG")
                data = buffer.getvalue()
        return cls(f"data:image/png;base64,{base64.b64encode(data).decode('ascii')}", width, height)


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
    from jinja2 import Environment, PackageLoader, StrictUndefined

    run = RunFiles(Path(folder))
    environment = Environment(
        loader=PackageLoader("galaxalign", "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    page = environment.get_template("report.html").render(_contents(run))
    part = run.report.with_name(f".{os.getpid()}.report.html")
    try:
        part.write_text(page, encoding="utf-8")
        part.replace(run.report)
    except OSError as error:
        raise InputError(
            f"the report cannot be written to {run.report} ({error.strerror or error}); choose another place"
        ) from error
    finally:
        part.unlink(missing_ok=True)
    return run.report


def next_steps(folder: str | Path) -> list[tuple[str, str]]:
    """Return what to try after the demo: what it does, and the command."""
    run = RunFiles(Path(folder))
    model, gallery = str(run.model), str(run.embeddings)
    commands = [
        ("search among the held-out galaxies in your own words", "search", gallery, "--text", "a thin disc"),
        ("search with your own sketch of a galaxy", "search", gallery, "--symbol", "sketch.png"),
        ("say what your own galaxies are", "classify", "my_images/", "--model", model, "--out", "classes.csv"),
        ("draw the symbols of another survey", "symbols", "efigi", "--out", "symbols.png"),
        (
            "train on your own survey (id_str, file_loc, label)",
            *("train", "--catalog", "catalog.csv", "--taxonomy", "galaxy10_decals", "--out", "my_model"),
        ),
    ]
    return [(what, shlex.join(["galaxalign", *words])) for what, *words in commands]


def _contents(run: RunFiles) -> dict[str, Any]:
    """Return what the template shows."""
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
    images, _ = load_images([catalog.paths()[row] for row in shown], tiles)
    counts = np.bincount(labels[labels >= 0], minlength=len(names))
    figures.contact_sheet(images, labels[shown], names, run.figures / "contact.png", counts=counts)
    symbol_sheet(taxonomy, run.figures / "symbols.png")
    figures.learning_curves(history, run.figures / "curves.png", best_epoch=best_epoch)
    figures.confusion_matrix(np.array(metrics["confusion"]), names, run.figures / "confusion.png")
    predictions = read_table(run.predictions, text_columns=("id_str",))
    good = (predictions["status"] == "ok").to_numpy()
    truth = taxonomy.encode(_labels_of(held_out, list(predictions["id_str"])))
    columns = [f"probability_{name}" for name in names]
    figures.reliability_diagram(
        truth[good & (truth >= 0)],
        predictions.loc[good & (truth >= 0), columns].to_numpy(),
        run.figures / "reliability.png",
    )
    places = read_table(run.components, text_columns=("id_str",))
    images = _images_of(held_out, list(places["id_str"]), tiles)
    with figures.plate():
        grid_figure(images, places[["x", "y"]].to_numpy(), run.figures / "grid.png")


def _panel(run: RunFiles, number: int, query: dict[str, Any], held_out: Catalog, taxonomy: Taxonomy) -> dict[str, Any]:
    """Draw one query with its answers; return what is said of it."""
    ids = [answer["id_str"] for answer in query["answers"]]
    labels = _labels_of(held_out, ids)
    right = [label == query["class"] for label in labels]
    shown: np.ndarray | str = query["query"]
    if query["kind"] == "picture":
        shown = frame(decode(run.folder / query["query"]), Preprocessing(size=160))
    elif query["kind"] == "symbol":
        wanted = taxonomy.classes[taxonomy.class_names.index(query["query"])]
        shown = render(wanted.morphology, size=160)
    name = f"search_{number + 1}_{query['kind']}"
    figures.retrieval_panel(
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
        # the picture asked with is no member of the gallery, so nothing is taken away from either number
        "expected": len(ids) * members / len(gallery),
    }


def _candidates(validation: dict[str, Any]) -> list[tuple[str, dict[str, Any] | None]]:
    """Return the classifiers that were compared, with their figures on validation data where there are any."""
    return [(_CLASSIFIERS[name], None if "skipped" in found else found) for name, found in validation.items()]


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
        raise InputError(f"there is no {path}; run galaxalign demo again, it continues") from None
    except ValueError as error:
        raise InputError(f"{path} is damaged ({error}); delete it and run galaxalign demo again") from error
