"""All figures of a benchmark, and the reasons for missing ones."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from galaxalign import evaluation
from galaxalign.bench.charts import cost_chart, leak_chart, reliability_chart, share_chart, tsne_chart
from galaxalign.bench.compare import Method
from galaxalign.bench.config import Line
from galaxalign.bench.plates import TestPictures, grid_plate, retrieval_plates
from galaxalign.bench.study import Study
from galaxalign.errors import InputError

_MAIN_ROWS = 4


@dataclass(frozen=True)
class Drawing:
    """A figure of the report; a "plate" has a dark ground, a "chart" a white one, and `group` is its section."""

    title: str
    caption: str
    file: Path
    group: str
    kind: str = "chart"


@dataclass
class Drawings:
    """The figures of a report, and a sentence for each missing one."""

    drawn: list[Drawing] = field(default_factory=list)
    left_out: list[str] = field(default_factory=list)

    def of(self, group: str) -> list[Drawing]:
        """Return the figures of a section."""
        return [drawing for drawing in self.drawn if drawing.group == group]

    def add(self, title: str, caption: str, file: Path | None, group: str, missing: str = "") -> None:
        """Add a chart, or the reason why it is missing."""
        if file is None:
            self.left_out.append(f"{title}: {missing}")
        else:
            self.drawn.append(Drawing(title, caption, file, group))


def draw_figures(study: Study) -> Drawings:
    """Draw the figures of a benchmark into the folder figures of its results."""
    folder, drawings = study.out / "figures", Drawings()
    drawings.add(
        "Few labels",
        "Macro F1 and retrieval mAP on the test galaxies against the share of training labels; 95 % intervals over "
        "the galaxies. At 0: zero-shot.",
        share_chart(study, folder / "shares.png"),
        "shares",
        "no data set has results with two shares of labels",
    )
    drawings.add(
        "What a leak is worth",
        "Accuracy of the same method on the same test galaxies under a clean protocol and under leaky ones, with 95 % "
        "intervals. Below, published accuracies with all labels, by source.",
        leak_chart(study, folder / "leaks.png"),
        "leaks",
        "no cell under a leaky protocol is finished",
    )
    drawings.add(
        "Cost",
        "Macro F1 against seconds of training on the machine of the run.",
        cost_chart(study, folder / "cost.png"),
        "cost",
        "nothing was trained",
    )
    for dataset in study.datasets:
        main = study.best(dataset)[:_MAIN_ROWS] or study.top(dataset)[:_MAIN_ROWS]
        if main:
            _draw_charts(study, dataset, main, drawings)
            _draw_plates(study, dataset, main, drawings)
        else:
            drawings.left_out.append(f"All figures of {study.title(dataset)}: no cell with the most labels is finished")
    return drawings


def _draw_charts(study: Study, dataset: str, main: list[tuple[Line, Method]], drawings: Drawings) -> None:
    title, folder = study.title(dataset), study.out / "figures"
    drawings.add(
        f"t-SNE, {title}",
        "Test galaxies in the embedding of each model, first seed, most labels; colour and marker are the true class. "
        "Positions use no label, and distances between far groups mean nothing.",
        tsne_chart(study, dataset, folder / f"tsne_{dataset}.png"),
        "maps",
        "no vectors were kept",
    )
    drawings.add(
        f"Reliability, {title}",
        "Ten bins of the probability of the predicted class; bars are 95 % intervals (Wilson 1927), grey columns the "
        "fraction of the galaxies in a bin. First seed; the best rows on validation galaxies.",
        reliability_chart(main, folder / f"reliability_{dataset}.png"),
        "reliability",
    )
    for number, (line, method) in enumerate(main, 1):
        counts = np.array(method.cells[0].about["test"]["confusion"])
        for suffix in (".pdf", ".png"):
            file = evaluation.confusion_matrix(counts, method.classes, folder / f"confusion_{dataset}_{number}{suffix}")
        caption = "Test galaxies of each class (rows) by predicted class (columns), first seed."
        drawings.add(f"{line.title}, {title}", caption, file, "confusion")


def _draw_plates(study: Study, dataset: str, main: list[tuple[Line, Method]], drawings: Drawings) -> None:
    """Draw the plates of the best row with vectors."""
    title, folder = study.title(dataset), study.out / "figures"
    best = next(((line, method) for line, method in main if method.cells[0].vectors() is not None), None)
    if best is None:
        drawings.left_out.append(f"Pictures of {title}: no vectors were kept")
        return
    line, method = best
    try:
        pictures = TestPictures(study.benchmark.dataset(dataset))
        grid = grid_plate(method, pictures, folder / f"grid_{dataset}.png")
        panels = retrieval_plates(method, pictures, folder, f"retrieval_{dataset}")
    except InputError as error:  # the tables do not need the pictures
        drawings.left_out.append(f"Pictures of {title}: {error}")
        return
    caption = (
        f"{line.title}: test galaxies on a regular grid near their place along the first two principal components of "
        "their embeddings."
    )
    drawings.drawn.append(Drawing(f"Grid, {title}", caption, grid, "maps", "plate"))
    drawings.drawn += [Drawing(f"{line.title}, {title}", text, file, "retrieval", "plate") for text, file in panels]
