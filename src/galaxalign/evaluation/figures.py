"""Charts of a run: learning curves, confusion and reliability, on a white ground."""

from __future__ import annotations

from collections.abc import Sequence
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

# Okabe & Ito (2008): told apart with any kind of colour vision. Lines differ in dashes and markers too.
_BLUE, _ORANGE, _GREEN, _VERMILION, _PURPLE = "#0072B2", "#E69F00", "#009E73", "#D55E00", "#CC79A7"
_LINES = (
    {"color": _BLUE, "marker": "o", "linestyle": "-"},
    {"color": _VERMILION, "marker": "s", "linestyle": "--"},
    {"color": _GREEN, "marker": "^", "linestyle": "-."},
    {"color": _PURPLE, "marker": "D", "linestyle": ":"},
    {"color": _ORANGE, "marker": "v", "linestyle": "-"},
)
_VALIDATION = {"accuracy": "accuracy", "macro_f1": "macro F1", "map": "retrieval mAP"}
_BINS = 10


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

    Raises
    ------
    InputError
        The history has no epochs, or the file cannot be written.
    """
    if not len(history):
        raise InputError("the training history has no epochs; train before drawing its curves")
    figure = new_figure(7.0, 6.0)
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
    return save_figure(figure, out)


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
    figure = new_figure(side, side)
    panel = figure.add_subplot()
    shown = panel.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    names = [wrapped(readable(name), 16) for name in class_names]
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
    return save_figure(figure, out, bbox_inches="tight")


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

    Raises
    ------
    InputError
        The file cannot be written.
    """
    truth, scores = np.asarray(y_true), np.asarray(probabilities, dtype=np.float64)
    if scores.ndim != 2 or scores.shape[0] != len(truth) or not len(truth):
        raise ValueError(f"probabilities of shape {scores.shape} for {len(truth)} labels")
    number, mean, share, gaps = reliability_bins(truth, scores)
    figure = new_figure(5.6, 6.0)
    panel, histogram = figure.subplots(2, 1, sharex=True, height_ratios=(3, 1))
    panel.plot([0, 1], [0, 1], color="0.5", linestyle="--", linewidth=1, label="perfectly calibrated")
    panel.errorbar(
        mean,
        share,
        yerr=gaps,
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
    return save_figure(figure, out)


def reliability_bins(truth: np.ndarray, scores: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Return the numbers in ten bins of confidence; of used bins the mean, the fraction correct, its 95 % gaps."""
    confidence, right = scores.max(axis=1), scores.argmax(axis=1) == truth
    bins = np.clip((confidence * _BINS).astype(int), 0, _BINS - 1)
    number, hits = np.bincount(bins, minlength=_BINS), np.bincount(bins, weights=right, minlength=_BINS)
    used = number > 0
    mean = np.bincount(bins, weights=confidence, minlength=_BINS)[used] / number[used]
    share = hits[used] / number[used]
    low, high = wilson_interval(hits[used], number[used])
    return number, mean, share, np.clip([share - low, high - share], 0, None)


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


def new_figure(width: float, height: float) -> Figure:
    """Return a figure (inches) without pyplot, which needs no display and stays open nowhere."""
    from matplotlib.figure import Figure

    return Figure(figsize=(width, height), layout="constrained")


def readable(name: str) -> str:
    """Return the name of a class with blanks for underscores."""
    return name.replace("_", " ")


def wrapped(text: str, width: int) -> str:
    """Return a text in lines of at most so many characters; words and hyphens stay whole."""
    return fill(text, width, break_on_hyphens=False, break_long_words=False)


def save_figure(figure: Figure, out: str | Path, dpi: int = 150, **settings: Any) -> Path:
    """Write a figure; InputError where the suffix names no image format or the file cannot be written."""
    path = Path(out)
    known = sorted(figure.canvas.get_supported_filetypes())
    if path.suffix.lstrip(".").lower() not in known:
        raise InputError(f"cannot draw a figure as {path.name}; end the name in one of .png, .svg, .pdf")
    try:
        figure.savefig(path, dpi=dpi, **settings)
    except OSError as error:
        raise InputError(f"cannot write {path} ({error.strerror or error}); choose another path") from error
    return path
