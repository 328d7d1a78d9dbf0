"""The tables that the papers do not have: differences, leaks, few labels, classifiers, classes, cuts."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from galaxalign.benchmark.compare import Figure, Method
from galaxalign.benchmark.cuts import by_column
from galaxalign.benchmark.paper_tables import METRICS, of_method
from galaxalign.benchmark.study import Line, Study
from galaxalign.benchmark.tables import Column, Kind, Mean, Row, Table, Value

__all__ = ["footnotes", "own_tables"]

_HEADLINE = ("accuracy", "macro_f1", "map_at_5", "map")
_BASE = {"augmented-first": "augmented-after"}
"""What a leaky protocol is held against where that is run; the clean one for all others."""

_PAIRED = (
    "95 % intervals, both rows counted on the same resamples of galaxies and the same seeds; bold where the interval "
    "excludes 0. "
    "With many differences some will do so by chance: one in twenty where there is nothing."
)


def own_tables(study: Study) -> list[Table]:
    """Return the tables that depend on nothing but settings and seeds, those without rows left out."""
    found = [_leaks(study)]
    for dataset in study.datasets:
        found += [_differences(study, dataset), _to_best(study, dataset), _shares(study, dataset)]
        found += [_calibration(study, dataset), _classifiers(study, dataset), _classes(study, dataset)]
        found += [_cut(study, dataset, column) for column in study.benchmark.dataset(dataset).cuts]
    return [table for table in found if table.rows]


def _columns(metrics: Sequence[str], kind: Kind = "figure", block: str = "", prefix: str = "") -> list[Column]:
    return [Column(prefix + metric, METRICS[metric], kind, block) for metric in metrics]


def footnotes(study: Study, *methods: Method) -> tuple[str, ...]:
    """Return what is to be said of a row: gates that its methods do not pass, seeds that are missing."""
    return tuple(dict.fromkeys(study.notes(list(methods), [method.key for method in methods])))


def _leaks(study: Study) -> Table:
    metrics = ("accuracy", "macro_f1", "map")
    columns = [
        Column("method", "Method"),
        Column("dataset", "Data set"),
        Column("share", "Labels, %", "number"),
        Column("protocol", "Protocol"),
        Column("seeds", "Seeds", "count"),
        *_columns(metrics),
        Column("base", "less"),
        *_columns(metrics, "difference", "difference", "gain_"),
    ]
    rows = []
    leaky = dict.fromkeys(key.protocol for key in study.planned if key.protocol != "clean")
    for dataset in study.datasets:
        for line in study.lines:
            for share in sorted({key.share for key in study.planned if key.dataset == dataset}):
                found = {name: study.method(line, dataset, share, name) for name in ("clean", *leaky)}
                if not any(found[name] for name in leaky) or study.key(line, dataset, share).share != share:
                    continue
                for name, method in found.items():
                    if method is None:
                        continue
                    base = _BASE.get(name, "clean")
                    base = base if found.get(base) else "clean"
                    clean = found[base]
                    values: dict[str, Value] = {"method": line.title, "dataset": study.title(dataset), "share": share}
                    values |= {"protocol": name} | of_method(method, metrics)
                    if clean is not None and name != "clean":
                        values |= {"base": base}
                        values |= {f"gain_{metric}": gain for metric, gain in method.minus(clean, metrics).items()}
                    rows.append(Row(values, footnotes(study, method)))
    caption = (
        "The same method under a clean protocol and under ones that leak, on the same test galaxies. random-split: "
        f"other cutouts of {study.benchmark.twins:.0%} of the test galaxies are among the training galaxies. "
        "augmented-first: galaxies are copied and changed before they are divided. augmented-after: as many pictures, "
        "all of them copies of training galaxies; no leak, and what augmented-first is held against. "
        "epoch-on-test: epoch and classifier are chosen on test galaxies. symbol-given: a test galaxy comes with the "
        "symbol of its class. "
    )
    return Table("leaks", "What a leak is worth", caption + _PAIRED, columns, rows)


def _difference_rows(study: Study, pairs: Sequence[tuple[Line, Line]], dataset: str, share: float) -> list[Row]:
    rows = []
    for line, base in pairs:
        one, two = study.method(line, dataset, share), study.method(base, dataset, share)
        if one is None or two is None or not one.shared(two):
            continue
        values: dict[str, Value] = {"method": line.title, "base": base.title, "share": share}
        values["seeds"] = len(one.shared(two))
        values |= one.minus(two, _HEADLINE)
        rows.append(Row(values, footnotes(study, one, two)))
    return rows


_DIFFERENCE = [
    Column("method", "Method"),
    Column("base", "less"),
    Column("share", "Labels, %", "number"),
    Column("seeds", "Seeds", "count"),
    *_columns(_HEADLINE, "difference"),
]


def _differences(study: Study, dataset: str) -> Table:
    pairs = []
    for encoder in dict.fromkeys(line.encoder for line in study.lines):
        lines = [line for line in study.lines if line.encoder == encoder]
        base = next((line for line in lines if line.training == "supervised"), lines[0])
        pairs += [(line, base) for line in lines if line is not base]
    rows = [
        row
        for share in reversed(study.shares(dataset=dataset))
        if share
        for row in _difference_rows(study, pairs, dataset, share)
    ]
    caption = (
        f"{study.title(dataset)}: each way of training less supervised training of the same encoder (or, without "
        "that, less "
        f"the way listed first). {_PAIRED}"
    )
    return Table(
        f"differences_{dataset}", f"Differences within an encoder, {study.title(dataset)}", caption, _DIFFERENCE, rows
    )


def _to_best(study: Study, dataset: str) -> Table:
    best = study.best(dataset)
    rows: list[Row] = []
    if best:
        top, method = best[0]
        pairs = [(line, top) for line, _ in study.top(dataset) if line is not top]
        rows = _difference_rows(study, pairs, dataset, method.key.share)
    caption = (
        f"{study.title(dataset)}: every row less the one with the best macro F1 on the validation galaxies. {_PAIRED}"
    )
    title = f"Differences to the row that validation likes best, {study.title(dataset)}"
    return Table(f"differences_to_best_{dataset}", title, caption, _DIFFERENCE, rows)


def _shares(study: Study, dataset: str) -> Table:
    columns = [
        Column("method", "Method"),
        Column("share", "Labels, %", "number"),
        Column("n_train", "Galaxies", "count"),
        Column("seeds", "Seeds", "count"),
        *_columns(_HEADLINE),
    ]
    rows = []
    if len([share for share in study.shares(dataset=dataset) if share]) > 1:
        for line in study.lines:
            for share in study.shares(line, dataset):
                method = study.methods.get(study.key(line, dataset, share))
                if method is not None:
                    trained = round(float(np.mean([cell.about["n_train"] for cell in method.cells])))
                    values = {"method": line.title, "share": share, "n_train": trained, **of_method(method, _HEADLINE)}
                    rows.append(Row(values, footnotes(study, method)))
    caption = (
        f"{study.title(dataset)}: share of the training labels, and how many training galaxies that is. Mean over the "
        "seeds ± their standard "
        "deviation, and 95 % interval over the test galaxies."
    )
    return Table(f"shares_{dataset}", f"Share of labels, {study.title(dataset)}", caption, columns, rows)


def _calibration(study: Study, dataset: str) -> Table:
    metrics = ("accuracy", "balanced_accuracy", "ece", "brier")
    columns = [Column("method", "Method"), Column("seeds", "Seeds", "count"), *_columns(metrics)]
    rows = [
        Row({"method": line.title} | of_method(method, metrics), footnotes(study, method))
        for line, method in study.top(dataset)
    ]
    caption = (
        f"{study.title(dataset)}, most labels. Calibration error: mean gap between the probability of the predicted "
        "class and the share that "
        "is right, 15 bins. Brier score: squared error of the probabilities, 0 (best) to 2. The temperature was "
        "fitted on validation galaxies."
    )
    return Table(f"calibration_{dataset}", f"Calibration, {study.title(dataset)}", caption, columns, rows)


def _classifiers(study: Study, dataset: str) -> Table:
    top = study.top(dataset)
    names = dict.fromkeys(name for _, method in top for cell in method.cells for name in cell.about["by_classifier"])
    columns = [Column("method", "Method"), Column("chosen", "Chosen on validation")]
    for name in names:
        columns += _columns(("accuracy", "macro_f1"), "mean", name, f"{name}_")
    rows = []
    for line, method in top:
        values: dict[str, Value] = {
            "method": line.title,
            "chosen": _counted([c.about["classifier"] for c in method.cells]),
        }
        for name in names:
            found = [cell.about["by_classifier"].get(name) for cell in method.cells]
            for metric in ("accuracy", "macro_f1"):
                if None not in found:
                    seeds = np.array([each[metric] for each in found])
                    values[f"{name}_{metric}"] = Mean(
                        float(seeds.mean()), float(seeds.std(ddof=1)) if len(seeds) > 1 else None
                    )
        rows.append(Row(values, footnotes(study, method)))
    caption = (
        f"{study.title(dataset)}, most labels: every candidate on the test galaxies, mean over the seeds ± their "
        "standard deviation. Which "
        "one the other tables are of was chosen on validation galaxies, not here."
    )
    return Table(f"classifiers_{dataset}", f"Classifiers, {study.title(dataset)}", caption, columns, rows)


def _counted(names: Sequence[str]) -> str:
    counts = pd.Series(names).value_counts(sort=False)
    return ", ".join(f"{name} × {number}" if len(names) > 1 else str(name) for name, number in counts.items())


def _classes(study: Study, dataset: str) -> Table:
    columns, rows = [Column("method", "Method")], []
    for line, method in study.top(dataset):
        support = method.tables[0]["label"].value_counts()
        if len(columns) == 1:
            columns += [
                Column(f"f1_{name}", f"{name.replace('_', ' ')} ({support.get(k, 0)})", "figure")
                for k, name in enumerate(method.classes)
            ]
        values: dict[str, Value] = {"method": line.title}
        values |= {f"f1_{name}": value for name, value in zip(method.classes, method.class_f1(), strict=True)}
        rows.append(Row(values, footnotes(study, method)))
    caption = (
        f"{study.title(dataset)}, most labels: F1 of each class, and how many test galaxies it has. Mean over the "
        "seeds ± their standard "
        "deviation, and 95 % interval over the test galaxies."
    )
    return Table(f"classes_{dataset}", f"Classes, {study.title(dataset)}", caption, columns, rows)


def _cut(study: Study, dataset: str, column: str) -> Table:
    columns = [
        Column("method", "Method"),
        Column("bin", column),
        Column("galaxies", "Galaxies", "count"),
        *_columns(_HEADLINE),
    ]
    rows = []
    values_of = study.column(dataset, column)
    for line, method in study.top(dataset):
        whole = pd.concat(method.tables, ignore_index=True)
        if values_of is None or not whole["id_str"].isin(values_of.index).all():
            continue
        names = [f"probability_{name}" for name in method.classes]
        parts = by_column(
            values_of[whole["id_str"]],
            y_true=whole["label"].to_numpy(),
            probabilities=whole[names].to_numpy(np.float64),
            average_precision=whole["average_precision"].to_numpy(np.float64),
            average_precision_at_5=whole["average_precision_at_5"].fillna(0).to_numpy(np.float64),
            groups=whole["group"].to_numpy(),
            n_bootstrap=study.benchmark.bootstrap,
        )
        for part in parts:
            values: dict[str, Value] = {"method": line.title, "bin": part["bin"]}
            values["galaxies"] = round(part["n"] / len(method.cells))
            values |= {metric: _pooled(part, metric) for metric in _HEADLINE}
            rows.append(Row(values, footnotes(study, method)))
    caption = (
        f"{study.title(dataset)}, most labels, test galaxies by {column}. Seeds are pooled, each galaxy drawn with "
        "all its predictions; "
        "macro F1 is over the classes that a bin has, so it is not to be compared between bins."
    )
    return Table(f"cut_{dataset}_{column}", f"By {column}, {study.title(dataset)}", caption, columns, rows)


def _pooled(part: dict[str, object], metric: str) -> Figure | None:
    value, interval = part[metric], part[f"{metric}_ci"]
    if not isinstance(value, float):
        return None
    low, high = interval if isinstance(interval, list) else (float("nan"), float("nan"))
    return Figure(value, None, low, high)
