"""All figures of a benchmark, and why some are left out."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from galaxalign import figures
from galaxalign.benchmark import charts
from galaxalign.benchmark.plates import TestPictures, grid_plate, retrieval_plates
from galaxalign.benchmark.study import Study
from galaxalign.errors import InputError

__all__ = ["Drawing", "Drawings", "draw_figures"]

_MAIN_ROWS = 4


@dataclass(frozen=True)
class Drawing:
    """A figure of the report.

    Attributes
    ----------
    title, caption : str
    file : Path
    kind : str
        "chart" has a white ground, "plate" a dark one.
    group : str
        The section of the page.
    """

    title: str
    caption: str
    file: Path
    kind: str
    group: str


@dataclass
class Drawings:
    """The figures of a report.

    Attributes
    ----------
    drawn : list of Drawing
    left_out : list of str
        What could not be drawn, and why.
    """

    drawn: list[Drawing] = field(default_factory=list)
    left_out: list[str] = field(default_factory=list)

    def add(self, title: str, caption: str, file: Path | None, kind: str, group: str, why: str = "") -> None:
        """Take in a figure, or say why there is none."""
        if file is None:
            self.left_out.append(f"{title}: {why}")
        else:
            self.drawn.append(Drawing(title, caption, file, kind, group))

    def of(self, group: str) -> list[Drawing]:
        """Return the figures of a section."""
        return [drawing for drawing in self.drawn if drawing.group == group]


def draw_figures(study: Study) -> Drawings:
    """Draw the figures of a benchmark into the folder figures of its results."""
    folder, found = study.out / "figures", Drawings()
    found.add(
        "Few labels",
        "Macro F1 and retrieval mAP on the test galaxies against the share of training labels; 95 % intervals over "
        "the galaxies. At 0: zero-shot.",
        charts.share_chart(study, folder / "shares.png"),
        "chart",
        "shares",
        "no data set has results with two shares of labels",
    )
    found.add(
        "What a leak is worth",
        "Accuracy of the same method on the same test galaxies under a clean protocol and under ones that leak, with "
        "95 % intervals. Below, published accuracies with all labels, by source.",
        charts.leak_chart(study, folder / "leaks.png"),
        "chart",
        "leaks",
        "no cell under a leaky protocol is finished",
    )
    found.add(
        "Cost",
        "Macro F1 against seconds of training on the machine of the run.",
        charts.cost_chart(study, folder / "cost.png"),
        "chart",
        "cost",
        "nothing was trained",
    )
    for dataset in study.datasets:
        _draw_dataset(study, dataset, folder, found)
    return found


def _draw_dataset(study: Study, dataset: str, folder: Path, found: Drawings) -> None:
    title, main = study.title(dataset), study.best(dataset)[:_MAIN_ROWS] or study.top(dataset)[:_MAIN_ROWS]
    if not main:
        found.left_out.append(f"All figures of {title}: no cell with the most labels is finished")
        return
    found.add(
        f"t-SNE, {title}",
        "Test galaxies in the embedding of each model, first seed, most labels; colour and marker are the true class. "
        "No label was used to place them, and distances between far groups mean nothing.",
        charts.tsne_chart(study, dataset, folder / f"tsne_{dataset}.png"),
        "chart",
        "maps",
        "no vectors were kept",
    )
    found.add(
        f"Reliability, {title}",
        "Ten bins of the probability given to the predicted class; bars are 95 % intervals (Wilson 1927), grey columns "
        "the share of the galaxies in a bin. First seed; the rows that validation likes best.",
        charts.reliability_chart(main, folder / f"reliability_{dataset}.png"),
        "chart",
        "reliability",
    )
    for number, (line, method) in enumerate(main):
        counts = np.array(method.cells[0].about["test"]["confusion"])
        for suffix in (".pdf", ".png"):
            file = folder / f"confusion_{dataset}_{number + 1}{suffix}"
            figures.confusion_matrix(counts, method.classes, file)
        caption = "Test galaxies of each class (rows) by the class that they were given to (columns), first seed."
        found.add(f"{line.title}, {title}", caption, file, "chart", "confusion")
    best = next(((line, m) for line, m in main if m.cells[0].vectors() is not None), None)
    if best is None:
        found.left_out.append(f"Pictures of {title}: no vectors were kept")
        return
    line, method = best
    try:
        pictures = TestPictures(study.benchmark.dataset(dataset))
        grid = grid_plate(method, pictures, folder / f"grid_{dataset}.png")
        panels = retrieval_plates(method, pictures, folder, f"retrieval_{dataset}")
    except InputError as error:  # the tables stand without the pictures; the report says what is not there
        found.left_out.append(f"Pictures of {title}: {error}")
        return
    caption = (
        f"{line.title}: test galaxies, moved to a regular grid near their place along the first two principal "
        "components of their embeddings."
    )
    found.add(f"Grid, {title}", caption, grid, "plate", "maps")
    for said, file in panels:
        found.add(f"{line.title}, {title}", said, file, "plate", "retrieval")
