"""Plates of galaxies on a dark ground, which shows their faint outskirts: contact sheet and retrieval panel."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from galaxalign.errors import InputError
from galaxalign.evaluation.figures import new_figure, readable, save_figure, wrapped

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_GROUND, _INK, _FAINT = "#101217", "#E8EAED", "#9AA0A8"
_RIGHT, _WRONG = "#2FBF71", "#E8554E"


@contextmanager
def plate() -> Iterator[None]:
    """Draw on a dark ground inside the block, whatever function of matplotlib does the drawing."""
    import matplotlib

    settings: dict[Any, str] = {
        "figure.facecolor": _GROUND,
        "axes.facecolor": _GROUND,
        "axes.edgecolor": _FAINT,
        "axes.labelcolor": _INK,
        "text.color": _INK,
        "xtick.color": _INK,
        "ytick.color": _INK,
    }
    with matplotlib.rc_context(settings):
        yield


def contact_sheet(
    images: np.ndarray,
    labels: np.ndarray,
    class_names: Sequence[str],
    out: str | Path,
    *,
    columns: int = 8,
    counts: np.ndarray | None = None,
) -> Path:
    """Draw the first galaxies of each class, a row for each class.

    Parameters
    ----------
    images : ndarray, shape (N, H, W, 3), uint8
        RGB, row 0 on top.
    labels : array_like of int, shape (N,)
        Class indices; -1 is left out.
    class_names : sequence of str
        Names of the K classes; underscores become spaces.
    out : path-like
        Image file; the suffix (.png, .svg, .pdf) says which kind.
    columns : int
        Galaxies in a row; fewer where a class has fewer.
    counts : array_like of int, shape (K,), optional
        What is said of the size of each class, where `images` are only some of it.

    Raises
    ------
    InputError
        The file cannot be written.
    """
    classes = np.asarray(labels)
    if images.ndim != 4 or len(images) != len(classes):
        raise ValueError(f"images of shape {images.shape} for {len(classes)} labels")
    with plate():
        figure = new_figure(8.0, 1.27 * len(class_names))
        grid = figure.subplots(len(class_names), 1, squeeze=False)[:, 0]
        for k, (panel, name) in enumerate(zip(grid, class_names, strict=True)):
            members = np.flatnonzero(classes == k)
            strip = np.full((images.shape[1], columns * images.shape[2], 3), _ground_rgb(), np.uint8)
            for place, row in enumerate(members[:columns]):
                strip[:, place * images.shape[2] : (place + 1) * images.shape[2]] = images[row]
            panel.imshow(strip, interpolation="antialiased")
            number = len(members) if counts is None else counts[k]
            panel.set_title(f"{readable(name)}  ({number})", loc="left", fontsize=12, pad=3)
            panel.set_axis_off()
        return save_figure(figure, out, dpi=110)


def retrieval_panel(
    query: np.ndarray | str,
    answers: np.ndarray,
    captions: Sequence[str],
    right: Sequence[bool],
    out: str | Path,
    *,
    title: str,
    columns: int = 5,
) -> Path:
    """Draw a query on the left and its answers in order, each framed, ticked or crossed, and labelled.

    Parameters
    ----------
    query : ndarray (H, W, 3), uint8, or str
        A picture or symbol, or words.
    answers : ndarray, shape (k, H, W, 3), uint8
        Best first, row by row.
    captions : sequence of k str
        What stands under each answer: its class.
    right : sequence of k bool
        Whether the answer is of the class that was looked for.
    out : path-like
        Image file.
    title : str
        What stands above the query.
    columns : int
        Answers in a row.

    Raises
    ------
    InputError
        There are no answers, or the file cannot be written.
    """
    if not len(answers):
        raise InputError("the search has no answers to draw; search among at least one galaxy")
    if len({len(answers), len(captions), len(right)}) != 1:
        raise ValueError(f"{len(answers)} answers, {len(captions)} captions, {len(right)} marks")
    rows = -(-len(answers) // columns)
    with plate():
        figure = new_figure(8.4, 1.62 * rows + 0.1)
        left, main = figure.subfigures(1, 2, squeeze=False, width_ratios=(1.75, columns), wspace=0.02)[0]
        box = left.add_subplot()
        box.set(xticks=[], yticks=[])
        box.set_title(title, fontsize=12)
        if isinstance(query, str):
            box.set_xlim(0, 1)
            box.set_ylim(0, 1)
            box.set_box_aspect(1)
            box.text(0.5, 0.5, wrapped(f"“{query}”", 17), ha="center", va="center", fontsize=13)
        else:
            box.imshow(query, interpolation="antialiased")
        grid = main.subplots(rows, columns, squeeze=False).ravel()
        for place, panel in enumerate(grid):
            panel.set(xticks=[], yticks=[])
            if place >= len(answers):
                panel.set_axis_off()
                continue
            panel.imshow(answers[place], interpolation="antialiased")
            _mark(panel, right[place])
            panel.set_xlabel(wrapped(captions[place], 17), fontsize=9.5, labelpad=3)
        return save_figure(figure, out, dpi=120)


def _mark(panel: Axes, right: bool) -> None:
    """Frame an answer and tick or cross it, so that nobody needs to tell green from red."""
    colour = _RIGHT if right else _WRONG
    for spine in panel.spines.values():
        spine.set(color=colour, linewidth=2.5)
    panel.text(
        0.96,
        0.96,
        "✓" if right else "✗",
        transform=panel.transAxes,
        ha="right",
        va="top",
        fontsize=11,
        fontweight="bold",
        color="black",
        bbox={"boxstyle": "circle,pad=0.15", "facecolor": colour, "edgecolor": "none"},
    )


def _ground_rgb() -> tuple[int, int, int]:
    from matplotlib.colors import to_rgb

    red, green, blue = (round(255 * value) for value in to_rgb(_GROUND))
    return red, green, blue
