"""Charts of a benchmark: few labels, leaks, cost, maps of the embeddings, reliability. Each as PNG and as PDF."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from textwrap import fill
from typing import TYPE_CHECKING, Any

import numpy as np

from galaxalign.bench.compare import Figure as Measured, Method
from galaxalign.bench.config import Line
from galaxalign.bench.paper_tables import METRICS
from galaxalign.bench.study import Study
from galaxalign.evaluation import reliability_bins
from galaxalign.gallery import class_styles, project

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_DASHES = ("-", "--", "-.", ":")
_PER_ROW = 3


def share_chart(study: Study, out: Path) -> Path | None:
    """Draw macro F1 and mAP against the share of labels, a column for each data set; None without two shares."""
    datasets = [d for d in study.datasets if len(_labelled_shares(study, d)) > 1]
    if not datasets:
        return None
    lines = [line for line in study.lines if any(_points(study, line, d) for d in datasets)]
    figure = _figure(1.2 + 3.6 * len(datasets), 5.6 + 0.24 * -(-len(lines) // 2))
    panels = figure.subplots(2, len(datasets), squeeze=False, sharex="col")
    styles = _styles(len(lines))
    for column, dataset in enumerate(datasets):
        shares = _labelled_shares(study, dataset)
        zero = shares[0] / (shares[1] / shares[0]) ** 0.5  # where zero-shot stands on the logarithmic axis
        ticks = [0, *shares] if any(k.dataset == dataset and k.share == 0 for k in study.methods) else shares
        for row, metric in enumerate(("macro_f1", "map")):
            panel = panels[row, column]
            for number, (line, style) in enumerate(zip(lines, styles, strict=True)):
                points = [(s, f) for s, m in _points(study, line, dataset) if (f := m.figure(metric)) is not None]
                if points:
                    # a small shift, so that intervals do not hide one another
                    shift = 1.03 ** (number - (len(lines) - 1) / 2)
                    _line(panel, [(s or zero) * shift for s, _ in points], [f for _, f in points], line.title, style)
            panel.set_xscale("log")
            panel.set_xticks([share or zero for share in ticks])
            panel.set_xticklabels([f"{share:g}" for share in ticks])
            panel.minorticks_off()
            panel.set_ylabel(METRICS[metric], fontsize=12)
            _plain(panel)
        panels[0, column].set_title(study.title(dataset), fontsize=13)
        panels[1, column].set_xlabel("training labels, %", fontsize=12)
    _legend(figure, list(panels.ravel()), columns=2)
    return save_chart(figure, out)


def leak_chart(study: Study, out: Path) -> Path | None:
    """Draw the accuracy of each method under each protocol, above published accuracies on the same data sets."""
    panels = []
    for dataset in study.datasets:
        rows = []
        for line in study.lines:
            for share in study.shares(line, dataset):
                methods = {name: study.method(line, dataset, share, name) for name in study.protocols}
                if any(method for name, method in methods.items() if name != "clean"):
                    rows.append((line.title, {name: m.figure("accuracy") for name, m in methods.items() if m}))
        if rows:
            panels.append((study.title(dataset), rows))
    if not panels:
        return None
    published, names = _by_source(study), study.protocols
    # inches; a row of ours has a line for each protocol
    heights = [0.35 + len(rows) * (0.2 + 0.13 * len(names)) for _, rows in panels]
    heights += [0.35 + 0.36 * len(rows) for _, rows in published]
    figure = _figure(7.6, 1.0 + sum(heights))
    grid = figure.subplots(len(heights), 1, squeeze=False, sharex=True, height_ratios=heights)[:, 0]
    for panel, (title, rows) in zip(grid, panels, strict=False):
        for place, (_, figures) in enumerate(rows):
            for number, (name, (colour, marker)) in enumerate(zip(names, class_styles(len(names)), strict=True)):
                value = figures.get(name)
                if value is not None:
                    y = place + 0.7 * ((number + 0.5) / len(names) - 0.5)
                    panel.errorbar([value.mean], [y], xerr=_gaps([value]), label=name, color=colour, marker=marker,
                                   capsize=2.5, markersize=7, linestyle="none")  # fmt: skip
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
    points = {
        dataset: [
            (line, seconds, value)
            for line, method in study.top(dataset)
            if (seconds := method.cost("seconds_training")) and (value := method.figure("macro_f1"))
        ]
        for dataset in study.datasets
    }
    datasets = [dataset for dataset in study.datasets if points[dataset]]
    if not datasets:
        return None
    lines = [line for line in study.lines if any(line == each for d in datasets for each, _, _ in points[d])]
    styles = dict(zip(lines, class_styles(len(lines)), strict=True))
    figure = _figure(1.2 + 3.8 * len(datasets), 3.6 + 0.24 * -(-len(lines) // 2))
    panels = figure.subplots(1, len(datasets), squeeze=False)[0]
    for panel, dataset in zip(panels, datasets, strict=True):
        for line, seconds, value in points[dataset]:
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
    models = [
        (line.title, method, vectors)
        for line, method in study.top(dataset)
        if (vectors := method.cells[0].vectors()) is not None and len(vectors) >= 4
    ]
    if not models:
        return None
    names = models[0][1].classes
    styles = class_styles(len(names))

    def draw(panel: Axes, index: int) -> None:
        title, method, vectors = models[index]
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

    figure, panels = _multiples(len(models), draw, side=2.8, extra=0.3 + 0.24 * -(-len(names) // 3))
    _legend(figure, panels, columns=3, order=[name.replace("_", " ") for name in names], markerscale=2.2)
    return save_chart(figure, out)


def reliability_chart(rows: Sequence[tuple[Line, Method]], out: Path) -> Path:
    """Draw the fraction correct against the probability of the predicted class, a panel for each method."""

    def draw(panel: Axes, index: int) -> None:
        line, method = rows[index]
        table = method.tables[0]
        scores = table[[f"probability_{name}" for name in method.classes]].to_numpy(np.float64)
        number, mean, share, gaps = reliability_bins(table["label"].to_numpy(), scores)
        width = 1 / len(number)
        panel.bar((np.arange(len(number)) + 0.5) * width, number / number.sum(), width=width, color="0.88")
        panel.plot([0, 1], [0, 1], color="0.45", linestyle="--", linewidth=1)
        panel.errorbar(mean, share, yerr=gaps, color="#0072B2", marker="o", markersize=5, linestyle="none", capsize=2.5)
        panel.set(xlim=(0, 1), ylim=(0, 1.02), xticks=(0, 0.5, 1), yticks=(0, 0.5, 1))
        panel.set_title(_folded(line.title), fontsize=11)
        _plain(panel)

    figure, _ = _multiples(len(rows), draw, side=2.7, extra=0.3)
    figure.supxlabel("probability of the predicted class", fontsize=12)
    figure.supylabel("fraction correct", fontsize=12)
    return save_chart(figure, out)


def save_chart(figure: Figure, out: Path) -> Path:
    """Write a chart as PNG and, without the date, as PDF."""
    figure.savefig(out, dpi=170)
    figure.savefig(out.with_suffix(".pdf"), metadata={"CreationDate": None})
    return out


def _labelled_shares(study: Study, dataset: str) -> list[float]:
    """Return the shares above 0 with a finished cell."""
    keys = [k for k in study.methods if k.dataset == dataset and k.protocol == "clean" and not k.shuffled]
    return sorted({key.share for key in keys if key.share})


def _points(study: Study, line: Line, dataset: str) -> list[tuple[float, Method]]:
    """Return the shares of a row with their methods; [] for a single share above 0, which makes no curve."""
    methods = [(share, study.method(line, dataset, share)) for share in study.shares(line, dataset)]
    points = [(share, method) for share, method in methods if method is not None]
    return points if len(points) > 1 or (points and points[0][0] == 0) else []


def _by_source(study: Study) -> list[tuple[str, list[tuple[str, list[float]]]]]:
    """Return the published accuracies with all labels, by data set and source, for data sets with several sources."""
    table = study.published
    table = table[(table["metric"] == "accuracy") & (table["share"] == 100)]
    panels = []
    for dataset, rows in table.groupby("dataset", sort=False):
        sources = [(str(source), values.tolist()) for source, values in rows.groupby("source", sort=False)["value"]]
        if len(sources) > 2:
            panels.append((study.title(str(dataset)), sources))
    return panels


def _styles(count: int) -> list[dict[str, Any]]:
    return [
        {"color": colour, "marker": marker, "linestyle": _DASHES[k % len(_DASHES)]}
        for k, (colour, marker) in enumerate(class_styles(count))
    ]


def _gaps(figures: Sequence[Measured]) -> np.ndarray:
    """Return the distances (2, N) of the ends of the intervals from the means."""
    ends = np.array([[f.mean - (f.low or 0.0), (f.high or 0.0) - f.mean] for f in figures])
    return np.asarray(np.clip(ends.T, 0, None))


def _line(panel: Axes, x: Sequence[float], figures: Sequence[Measured], label: str, style: dict[str, Any]) -> None:
    if len(x) == 1:
        style = style | {"linestyle": "none"}
    means = [figure.mean for figure in figures]
    panel.errorbar(x, means, yerr=_gaps(figures), label=label, capsize=2.5, markersize=6, linewidth=1.4, elinewidth=1,
                   **style)  # fmt: skip


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
    handles: dict[str, Any] = {}
    for panel in panels:
        for handle, label in zip(*panel.get_legend_handles_labels(), strict=True):
            handles.setdefault(label, handle)
    names = [name for name in order if name in handles] or list(handles)
    figure.legend([handles[name] for name in names], names, loc="outside lower center", ncols=columns, frameon=False,
                  fontsize=10.5, markerscale=markerscale, handlelength=2.8)  # fmt: skip


def _folded(text: str, width: int = 30) -> str:
    return fill(text, width, break_long_words=False)


def _figure(width: float, height: float) -> Figure:
    from matplotlib.figure import Figure

    return Figure(figsize=(width, height), layout="constrained")
