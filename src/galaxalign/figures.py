"""Figures of a run: contact sheet, learning curves, confusion, reliability and retrieval panels.

Charts have a white ground. Plates, which show galaxies, have a dark one: next to white paper the faint
outskirts of a galaxy cannot be seen.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import cycle
from pathlib import Path
from textwrap import fill
from typing import TYPE_CHECKING, Any

import numpy as np

from galaxalign.errors import InputError

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = [
    "confusion_matrix",
    "contact_sheet",
    "learning_curves",
    "plate",
    "reliability_diagram",
    "retrieval_panel",
    "wilson_interval",
]

# Okabe & Ito (2008): told apart with any kind of colour vision. Lines differ in dashes and markers too.
_BLUE, _ORANGE, _GREEN, _VERMILION, _PURPLE = "#0072B2", "#E69F00", "#009E73", "#D55E00", "#CC79A7"
_LINES = (
    {"color": _BLUE, "marker": "o", "linestyle": "-"},
    {"color": _VERMILION, "marker": "s", "linestyle": "--"},
    {"color": _GREEN, "marker": "^", "linestyle": "-."},
    {"color": _PURPLE, "marker": "D", "linestyle": ":"},
    {"color": _ORANGE, "marker": "v", "linestyle": "-"},
)
_GROUND, _INK, _FAINT = "#101217", "#E8EAED", "#9AA0A8"
_RIGHT, _WRONG = "#2FBF71", "#E8554E"
_VALIDATION = {"accuracy": "accuracy", "macro_f1": "macro F1", "map": "retrieval mAP"}
_BINS = 10


@contextmanager
def plate() -> Iterator[None]:
    """Draw on a dark ground inside the block, whatever function of matplotlib does the drawing."""
    import matplotlib

    settings: Any = {
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

    Returns
    -------
    Path

    Raises
    ------
    InputError
        The file cannot be written.
    """
    classes = np.asarray(labels)
    if images.ndim != 4 or len(images) != len(classes):
        raise ValueError(f"images of shape {images.shape} for {len(classes)} labels")
    with plate():
        figure = _figure(8.0, 1.27 * len(class_names))
        grid = figure.subplots(len(class_names), 1, squeeze=False)[:, 0]
        for k, (panel, name) in enumerate(zip(grid, class_names, strict=True)):
            members = np.flatnonzero(classes == k)
            strip = np.full((images.shape[1], columns * images.shape[2], 3), _ground(), np.uint8)
            for place, row in enumerate(members[:columns]):
                strip[:, place * images.shape[2] : (place + 1) * images.shape[2]] = images[row]
            panel.imshow(strip, interpolation="antialiased")
            number = len(members) if counts is None else counts[k]
            panel.set_title(f"{_readable(name)}  ({number})", loc="left", fontsize=12, pad=3)
            panel.set_axis_off()
        return _save(figure, out, dpi=110)


def learning_curves(history: pd.DataFrame, out: str | Path, *, best_epoch: int | None = None) -> Path:
    """Draw the losses and the validation figures of a training run against the epoch.

    Parameters
    ----------
    history : DataFrame
        metrics.csv of a run: a row for each epoch with `stage`, `epoch`, `loss_<pair>` (empty in stages
        without that pair), `map`, and where there was something to classify with `accuracy` and `macro_f1`.
    out : path-like
        Image file.
    best_epoch : int, optional
        The epoch whose weights were kept.

    Returns
    -------
    Path

    Raises
    ------
    InputError
        The history has no epochs, or the file cannot be written.
    """
    if not len(history):
        raise InputError("the training history has no epochs; train before drawing its curves")
    figure = _figure(7.0, 6.0)
    losses, scores = figure.subplots(2, 1, sharex=True, height_ratios=(1, 1))
    pairs = [str(name) for name in history.columns if str(name).startswith("loss_")]
    for style, name in zip(cycle(_LINES), pairs, strict=False):
        label = name.removeprefix("loss_").replace("-", " – ")
        _curve(losses, history, name, label, style)
    for style, (name, label) in zip(_LINES, _VALIDATION.items(), strict=False):
        if name in history:
            _curve(scores, history, name, label, style)
    losses.set_ylabel("training loss")
    rows_of_legend = -(-len(pairs) // 3)
    highest = float(np.nanmax(history[pairs].to_numpy(), initial=0.1))
    losses.set_ylim(0, (1.15 + 0.15 * rows_of_legend) * highest)
    scores.set_ylabel("on validation galaxies")
    scores.set_ylim(0, 1.02)
    scores.set_xlabel("epoch")
    scores.xaxis.get_major_locator().set_params(integer=True)
    for panel in (losses, scores):
        panel.grid(alpha=0.25)
        panel.spines[["top", "right"]].set_visible(False)
    # An opaque box: the line of the kept epoch must not run through the words.
    box: dict[str, Any] = {"fontsize": 11, "ncols": 3, "framealpha": 1, "edgecolor": "none"}
    losses.legend(loc="upper right", **box)
    scores.legend(loc="lower right", **box)
    _mark_stages(losses, scores, history)
    if best_epoch is not None:
        scores.axvline(best_epoch, color="0.35", linewidth=1)
        # above the curves, which may run anywhere inside
        early = best_epoch < history["epoch"].mean()
        scores.annotate(
            f"kept: epoch {best_epoch}",
            (best_epoch, 1),
            xycoords=scores.get_xaxis_transform(),
            xytext=(0, 3),
            textcoords="offset points",
            ha="left" if early else "right",
            annotation_clip=False,
            fontsize=11,
        )
    return _save(figure, out)


def _curve(panel: Axes, history: pd.DataFrame, name: str, label: str, style: dict[str, str]) -> None:
    """Draw one column against the epoch, through the epochs that have it: not all need be validated."""
    there = history[history[name].notna()]
    panel.plot(there["epoch"], there[name], label=label, markersize=4, **style)  # type: ignore[arg-type]


def _mark_stages(top: Axes, bottom: Axes, history: pd.DataFrame) -> None:
    """Write the name of each stage above its epochs and divide them by a line."""
    for name, epochs in history.groupby("stage", sort=False)["epoch"]:
        first, last = epochs.min() - 0.5, epochs.max() + 0.5
        top.text((first + last) / 2, 1.03, str(name), transform=top.get_xaxis_transform(), ha="center")
        for panel in (top, bottom):
            if first > history["epoch"].min():
                panel.axvline(first, color="0.5", linewidth=1, linestyle=(0, (4, 3)))
    top.set_xlim(history["epoch"].min() - 0.5, history["epoch"].max() + 0.5)


def confusion_matrix(counts: np.ndarray, class_names: Sequence[str], out: str | Path) -> Path:
    """Draw a confusion matrix: counts in the cells, shaded by their share of the true class.

    Parameters
    ----------
    counts : array_like of int, shape (K, K)
        Rows true, columns predicted.
    class_names : sequence of str
        Names of the K classes.
    out : path-like
        Image file.

    Returns
    -------
    Path

    Raises
    ------
    InputError
        The file cannot be written.
    """
    table = np.asarray(counts)
    size = len(class_names)
    if table.shape != (size, size):
        raise ValueError(f"a confusion matrix of shape {table.shape} for {size} classes")
    shares = table / np.maximum(table.sum(axis=1, keepdims=True), 1)
    side = 2.3 + 0.52 * size
    figure = _figure(side, side)
    panel = figure.add_subplot()
    shown = panel.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    names = [_wrapped(_readable(name), 16) for name in class_names]
    panel.set_xticks(range(size), names, rotation=90, fontsize=10)
    panel.set_yticks(range(size), names, fontsize=10)
    panel.set_xlabel("predicted", fontsize=12)
    panel.set_ylabel("true", fontsize=12)
    panel.tick_params(length=0)
    panel.set_xticks(np.arange(size + 1) - 0.5, minor=True)
    panel.set_yticks(np.arange(size + 1) - 0.5, minor=True)
    panel.grid(which="minor", color="0.85", linewidth=0.8)
    panel.tick_params(which="minor", length=0)
    for row, column in zip(*np.nonzero(table), strict=True):
        ink = "white" if shares[row, column] > 0.55 else "black"
        panel.text(column, row, str(table[row, column]), ha="center", va="center", color=ink, fontsize=11)
    bar = figure.colorbar(shown, shrink=0.6, pad=0.02)
    bar.set_label("share of the true class", fontsize=11)
    return _save(figure, out, bbox_inches="tight")


def reliability_diagram(y_true: np.ndarray, probabilities: np.ndarray, out: str | Path) -> Path:
    """Draw how often the predicted class is right against the probability given to it.

    Ten bins of equal width; the bars span the 95 % interval of Wilson (1927), so that a bin of three
    galaxies does not pass for evidence. Below, the number of galaxies in each bin.

    Parameters
    ----------
    y_true : array_like of int, shape (N,)
        True class indices.
    probabilities : array_like, shape (N, K)
        Predicted probabilities.
    out : path-like
        Image file.

    Returns
    -------
    Path

    Raises
    ------
    InputError
        The file cannot be written.
    """
    truth, scores = np.asarray(y_true), np.asarray(probabilities, dtype=np.float64)
    if scores.ndim != 2 or scores.shape[0] != len(truth) or not len(truth):
        raise ValueError(f"probabilities of shape {scores.shape} for {len(truth)} labels")
    confidence = scores.max(axis=1)
    right = scores.argmax(axis=1) == truth
    bins = np.clip((confidence * _BINS).astype(int), 0, _BINS - 1)
    number = np.bincount(bins, minlength=_BINS)
    hits = np.bincount(bins, weights=right, minlength=_BINS)
    used = number > 0
    mean = np.bincount(bins, weights=confidence, minlength=_BINS)[used] / number[used]
    share = hits[used] / number[used]
    low, high = wilson_interval(hits[used], number[used])
    figure = _figure(5.6, 6.0)
    panel, histogram = figure.subplots(2, 1, sharex=True, height_ratios=(3, 1))
    panel.plot([0, 1], [0, 1], color="0.5", linestyle="--", linewidth=1, label="perfectly calibrated")
    panel.errorbar(
        mean,
        share,
        yerr=np.clip([share - low, high - share], 0, None),
        color=_BLUE,
        marker="o",
        linestyle="none",
        capsize=3,
        label="a bin, 95 % interval",
    )
    panel.set_ylabel("share that is right")
    panel.set_xlim(0, 1)
    panel.set_ylim(-0.02, 1.02)
    panel.grid(alpha=0.25)
    panel.legend(frameon=False, fontsize=11, loc="lower left", bbox_to_anchor=(-0.02, 1), ncols=2)
    edges = np.linspace(0, 1, _BINS + 1)
    bars = histogram.bar(edges[:-1], number, width=1 / _BINS, align="edge", color=_BLUE, edgecolor="white")
    histogram.bar_label(bars, labels=[str(n) if n else "" for n in number], fontsize=10, padding=1)
    histogram.margins(y=0.25)
    histogram.set_ylabel("galaxies")
    histogram.set_xlabel("probability given to the predicted class")
    for axes in (panel, histogram):
        axes.spines[["top", "right"]].set_visible(False)
    return _save(figure, out)


def wilson_interval(hits: np.ndarray, number: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the 95 % score interval of a share (Wilson 1927), which stays within 0 and 1.

    Parameters
    ----------
    hits, number : array_like, same shape
        Successes and trials; at least one trial each.

    Returns
    -------
    low, high : ndarray
    """
    n = np.asarray(number, dtype=np.float64)
    share, z = np.asarray(hits) / n, 1.959964
    middle = (share + z**2 / (2 * n)) / (1 + z**2 / n)
    half = z / (1 + z**2 / n) * np.sqrt(share * (1 - share) / n + z**2 / (4 * n**2))
    return middle - half, middle + half


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

    Returns
    -------
    Path

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
        figure = _figure(8.4, 1.62 * rows + 0.1)
        left, main = figure.subfigures(1, 2, squeeze=False, width_ratios=(1.75, columns), wspace=0.02)[0]
        box = left.add_subplot()
        box.set(xticks=[], yticks=[])
        box.set_title(title, fontsize=12)
        if isinstance(query, str):
            box.set_xlim(0, 1)
            box.set_ylim(0, 1)
            box.set_box_aspect(1)
            box.text(0.5, 0.5, _wrapped(f"“{query}”", 17), ha="center", va="center", fontsize=13)
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
            panel.set_xlabel(_wrapped(captions[place], 17), fontsize=9.5, labelpad=3)
        return _save(figure, out, dpi=120)


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


def _figure(width: float, height: float) -> Figure:
    from matplotlib.figure import Figure

    # A Figure of its own, without pyplot: no display is needed and nothing is kept open.
    return Figure(figsize=(width, height), layout="constrained")


def _readable(name: str) -> str:
    return name.replace("_", " ")


def _wrapped(text: str, width: int) -> str:
    return fill(text, width, break_on_hyphens=False, break_long_words=False)


def _ground() -> tuple[int, int, int]:
    from matplotlib.colors import to_rgb

    red, green, blue = (round(255 * value) for value in to_rgb(_GROUND))
    return red, green, blue


def _save(figure: Figure, out: str | Path, dpi: int = 150, **settings: Any) -> Path:
    path = Path(out)
    known = sorted(figure.canvas.get_supported_filetypes())
    if path.suffix.lstrip(".").lower() not in known:
        raise InputError(f"cannot draw a figure as {path.name}; end the name in one of .png, .svg, .pdf")
    try:
        figure.savefig(path, dpi=dpi, **settings)
    except OSError as error:
        raise InputError(f"cannot write {path} ({error.strerror or error}); choose another path") from error
    return path
