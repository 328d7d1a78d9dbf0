"""Charts of a benchmark: few labels, leaks, cost, maps of the embeddings, reliability. Each as PNG and as PDF."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from galaxalign.analysis.projection import class_styles, project
from galaxalign.benchmark.compare import Figure as Measured
from galaxalign.benchmark.compare import Method
from galaxalign.benchmark.paper_tables import METRICS
from galaxalign.benchmark.study import Line, Study
from galaxalign.figures import wilson_interval

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["cost_chart", "leak_chart", "reliability_chart", "save_chart", "share_chart", "tsne_chart"]

_DASHES = ("-", "--", "-.", ":")
_BINS = 10
_PER_ROW = 3


def share_chart(study: Study, out: Path) -> Path | None:
    """Draw macro F1 and mAP against the share of labels, a column for each data set; None without two shares."""
    datasets = [d for d in study.datasets if len(_learnt_shares(study, d)) > 1]
    if not datasets:
        return None
    lines = [line for line in study.lines if any(len(_points(study, line, d)) for d in datasets)]
    figure = _figure(1.2 + 3.6 * len(datasets), 5.6 + 0.24 * -(-len(lines) // 2))
    panels = figure.subplots(2, len(datasets), squeeze=False, sharex="col")
    styles = _styles(len(lines))
    for column, dataset in enumerate(datasets):
        shares = _learnt_shares(study, dataset)
        zero = shares[0] / (shares[1] / shares[0]) ** 0.5 if len(shares) > 1 else shares[0] / 3
        for row, metric in enumerate(("macro_f1", "map")):
            panel = panels[row, column]
            for number, (line, style) in enumerate(zip(lines, styles, strict=True)):
                points = [(s, f) for s, m in _points(study, line, dataset) if (f := m.figure(metric)) is not None]
                if points:
                    # a little apart, so that intervals do not hide one another
                    shift = 1.03 ** (number - (len(lines) - 1) / 2)
                    _line(panel, [(s or zero) * shift for s, _ in points], [f for _, f in points], line.title, style)
            panel.set_xscale("log")
            panel.set_xticks([zero, *shares] if _has_zero(study, dataset) else shares)
            panel.set_xticklabels([f"{s:g}" for s in ([0, *shares] if _has_zero(study, dataset) else shares)])
            panel.minorticks_off()
            panel.set_ylabel(METRICS[metric], fontsize=12)
            _plain(panel)
        panels[0, column].set_title(study.title(dataset), fontsize=13)
        panels[1, column].set_xlabel("training labels, %", fontsize=12)
    _legend(figure, list(panels.ravel()), columns=2)
    return save_chart(figure, out)


def leak_chart(study: Study, out: Path) -> Path | None:
    """Draw the accuracy of each method under each protocol, and what papers report on the same data sets."""
    panels = []
    leaky = dict.fromkeys(key.protocol for key in study.planned if key.protocol != "clean")
    for dataset in study.datasets:
        rows = []
        for line in study.lines:
            for share in study.shares(line, dataset):
                found = {name: study.method(line, dataset, share, name) for name in ("clean", *leaky)}
                if any(found[name] for name in leaky):
                    rows.append((line.title, {name: m.figure("accuracy") for name, m in found.items() if m}))
        if rows:
            panels.append((study.title(dataset), rows))
    if not panels:
        return None
    published = _by_source(study)
    # inches; a row of ours has a line for each protocol
    heights = [0.35 + len(rows) * (0.2 + 0.13 * (1 + len(leaky))) for _, rows in panels]
    heights += [0.35 + 0.36 * len(rows) for _, rows in published]
    figure = _figure(7.6, 1.0 + sum(heights))
    grid = figure.subplots(len(heights), 1, squeeze=False, sharex=True, height_ratios=heights)[:, 0]
    names = ["clean", *leaky]
    styles = dict(zip(names, class_styles(len(names)), strict=True))
    for panel, (title, rows) in zip(grid, panels, strict=False):
        for place, (_, figures) in enumerate(rows):
            for name, value in figures.items():
                if value is not None:
                    colour, marker = styles[name]
                    y = place + 0.7 * ((names.index(name) + 0.5) / len(names) - 0.5)
                    _dot(panel, value, y, name, {"color": colour, "marker": marker})
        _named_rows(panel, [name for name, _ in rows], f"{title}, this benchmark")
    for panel, (title, values) in zip(grid[len(panels) :], published, strict=True):
        for place, (_, numbers) in enumerate(values):
            panel.plot(numbers, [place] * len(numbers), "|", color="0.15", markersize=13, markeredgewidth=1.8)
        _named_rows(panel, [source for source, _ in values], f"{title}, published (a line is a method)")
    grid[-1].set_xlabel("accuracy", fontsize=12)
    _legend(figure, list(grid), columns=3)
    return save_chart(figure, out)


def cost_chart(study: Study, out: Path) -> Path | None:
    """Draw macro F1 against the seconds of training; None where nothing was trained."""
    found = {
        dataset: [
            (line, seconds, value)
            for line, method in study.top(dataset)
            if (seconds := method.cost("seconds_training")) and (value := method.figure("macro_f1"))
        ]
        for dataset in study.datasets
    }
    datasets = [dataset for dataset, points in found.items() if points]
    if not datasets:
        return None
    lines = [line for line in study.lines if any(line == each for d in datasets for each, _, _ in found[d])]
    styles = dict(zip(lines, class_styles(len(lines)), strict=True))
    figure = _figure(1.2 + 3.8 * len(datasets), 3.6 + 0.24 * -(-len(lines) // 2))
    panels = figure.subplots(1, len(datasets), squeeze=False)[0]
    for panel, dataset in zip(panels, datasets, strict=True):
        for line, seconds, value in found[dataset]:
            colour, marker = styles[line]
            _line(panel, [seconds], [value], line.title, {"color": colour, "marker": marker})
        panel.set_xscale("log")
        panel.set_title(study.title(dataset), fontsize=13)
        panel.set_xlabel("seconds of training", fontsize=12)
        panel.set_ylabel("Macro F1", fontsize=12)
        _plain(panel)
    _legend(figure, panels, columns=2)
    return save_chart(figure, out)


def tsne_chart(study: Study, dataset: str, out: Path) -> Path | None:
    """Draw the t-SNE map of the test galaxies for each model, first seed; None where no vectors were kept."""
    found = [
        (line.title, method, vectors)
        for line, method in study.top(dataset)
        if (vectors := method.cells[0].vectors()) is not None and len(vectors) >= 4
    ]
    if not found:
        return None
    names = found[0][1].classes
    styles = class_styles(len(names))

    def draw(panel: Axes, index: int) -> None:
        title, method, vectors = found[index]
        xy, labels = project(vectors.astype(np.float32)), method.tables[0]["label"].to_numpy()
        size = float(np.clip(6000 / len(xy), 3, 22))
        for k in np.argsort(-np.bincount(labels, minlength=len(names)), kind="stable"):  # rare classes on top
            colour, marker = styles[k]
            x, y = xy[labels == k].T
            panel.scatter(x, y, s=size, c=colour, marker=marker, alpha=0.8, linewidths=0,
                          label=names[k].replace("_", " "))  # fmt: skip
        panel.set(xticks=[], yticks=[])
        panel.set_aspect("equal", adjustable="datalim")
        panel.set_title(_folded(title), fontsize=11)

    figure, panels = _multiples(len(found), draw, side=2.8, extra=0.3 + 0.24 * -(-len(names) // 3))
    _legend(figure, panels, columns=3, order=[name.replace("_", " ") for name in names], markerscale=2.2)
    return save_chart(figure, out)


def reliability_chart(rows: Sequence[tuple[Line, Method]], out: Path) -> Path:
    """Draw how often the predicted class is right against the probability given to it, a panel for each method."""

    def draw(panel: Axes, index: int) -> None:
        line, method = rows[index]
        table = method.tables[0]
        scores = table[[f"probability_{name}" for name in method.classes]].to_numpy(np.float64)
        confidence, right = scores.max(1), scores.argmax(1) == table["label"].to_numpy()
        bins = np.clip((confidence * _BINS).astype(int), 0, _BINS - 1)
        number, hits = np.bincount(bins, minlength=_BINS), np.bincount(bins, weights=right, minlength=_BINS)
        used = number > 0
        mean = np.bincount(bins, weights=confidence, minlength=_BINS)[used] / number[used]
        share = hits[used] / number[used]
        low, high = wilson_interval(hits[used], number[used])
        panel.bar((np.arange(_BINS) + 0.5) / _BINS, number / number.sum(), width=1 / _BINS, color="0.88")
        panel.plot([0, 1], [0, 1], color="0.45", linestyle="--", linewidth=1)
        gaps = np.clip([share - low, high - share], 0, None)
        panel.errorbar(mean, share, yerr=gaps, color="#0072B2", marker="o", markersize=5, linestyle="none", capsize=2.5)
        panel.set(xlim=(0, 1), ylim=(0, 1.02), xticks=(0, 0.5, 1), yticks=(0, 0.5, 1))
        panel.set_title(_folded(line.title), fontsize=11)
        _plain(panel)

    figure, _ = _multiples(len(rows), draw, side=2.7, extra=0.3)
    figure.supxlabel("probability given to the predicted class", fontsize=12)
    figure.supylabel("share that is right", fontsize=12)
    return save_chart(figure, out)


def save_chart(figure: Figure, out: Path) -> Path:
    """Write a chart as PNG and, without the date, as PDF."""
    figure.savefig(out, dpi=170)
    figure.savefig(out.with_suffix(".pdf"), metadata={"CreationDate": None})
    return out


def _learnt_shares(study: Study, dataset: str) -> list[float]:
    """Return the shares above 0 of which anything is finished."""
    keys = [k for k in study.methods if k.dataset == dataset and k.protocol == "clean" and not k.shuffled]
    return sorted({key.share for key in keys if key.share})


def _has_zero(study: Study, dataset: str) -> bool:
    return any(key.dataset == dataset and key.share == 0 for key in study.methods)


def _points(study: Study, line: Line, dataset: str) -> list[tuple[float, Method]]:
    keys = {share: study.key(line, dataset, share) for share in study.shares(line, dataset)}
    found = [(share, study.methods[key]) for share, key in keys.items() if key in study.methods]
    return found if len(found) > 1 or (found and found[0][0] == 0) else []


def _by_source(study: Study) -> list[tuple[str, list[tuple[str, list[float]]]]]:
    """Return the published accuracies with all labels, by data set and source, where several sources have some."""
    found = []
    for dataset in study.published.datasets:
        sources: dict[str, list[float]] = {}
        for f in study.published.figures:
            if (f.dataset, f.metric, f.share) == (dataset, "accuracy", 100):
                sources.setdefault(f.source, []).append(f.value)
        if len(sources) > 2:
            found.append((study.title(dataset), list(sources.items())))
    return found


def _styles(count: int) -> list[dict[str, Any]]:
    return [
        {"color": colour, "marker": marker, "linestyle": _DASHES[k % len(_DASHES)]}
        for k, (colour, marker) in enumerate(class_styles(count))
    ]


def _line(panel: Axes, x: Sequence[float], values: Sequence[Measured], label: str, style: dict[str, Any]) -> None:
    means = np.array([value.mean for value in values])
    ends = np.array([[value.low, value.high] for value in values])
    gaps = np.clip([means - ends[:, 0], ends[:, 1] - means], 0, None)
    if len(x) == 1:
        style = style | {"linestyle": "none"}
    panel.errorbar(x, means, yerr=gaps, label=label, capsize=2.5, markersize=6, linewidth=1.4, elinewidth=1, **style)


def _dot(panel: Axes, value: Measured, y: float, label: str, style: dict[str, Any]) -> None:
    gaps = np.clip([[value.mean - value.low], [value.high - value.mean]], 0, None)
    panel.errorbar([value.mean], [y], xerr=gaps, label=label, capsize=2.5, markersize=7, linestyle="none", **style)


def _named_rows(panel: Axes, names: Sequence[str], title: str) -> None:
    panel.set_yticks(range(len(names)), [_folded(name, 26) for name in names], fontsize=10)
    panel.set_ylim(len(names) - 0.5, -0.5)
    panel.set_title(title, loc="left", fontsize=12)
    panel.grid(axis="x", alpha=0.25)
    panel.spines[["top", "right"]].set_visible(False)


def _plain(panel: Axes) -> None:
    panel.grid(alpha=0.25)
    panel.set_axisbelow(True)
    panel.spines[["top", "right"]].set_visible(False)
    panel.tick_params(labelsize=10.5)


def _multiples(count: int, draw: Callable[[Axes, int], None], *, side: float, extra: float) -> tuple[Figure, Any]:
    columns = 2 if count == 4 else min(count, _PER_ROW)
    rows = -(-count // columns)
    figure = _figure(max(side * columns, 4.2), (side + 0.45) * rows + extra)
    panels = figure.subplots(rows, columns, squeeze=False).ravel()
    for index, panel in enumerate(panels):
        if index < count:
            draw(panel, index)
        else:
            panel.set_axis_off()
    return figure, panels[:count]


def _legend(
    figure: Figure, panels: Sequence[Axes], *, columns: int, order: Sequence[str] = (), markerscale: float = 1.0
) -> None:
    """Write one legend below all panels."""
    found: dict[str, Any] = {}
    for panel in panels:
        for handle, label in zip(*panel.get_legend_handles_labels(), strict=True):
            found.setdefault(label, handle)
    names = [name for name in order if name in found] or list(found)
    figure.legend([found[name] for name in names], names, loc="outside lower center", ncols=columns, frameon=False,
                  fontsize=10.5, markerscale=markerscale, handlelength=2.8)  # fmt: skip


def _folded(text: str, width: int = 30) -> str:
    from textwrap import fill

    return fill(text, width, break_long_words=False)


def _figure(width: float, height: float) -> Figure:
    from matplotlib.figure import Figure

    return Figure(figsize=(width, height), layout="constrained")
