"""The tables beyond those of the papers: differences, leaks, few labels, calibration, classifiers, classes, cuts."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence

import numpy as np
import pandas as pd

from galaxalign.bench.compare import Figure, Method
from galaxalign.bench.config import Line
from galaxalign.bench.paper_tables import METRICS, of_method
from galaxalign.bench.study import Study
from galaxalign.bench.tables import Column, Kind, Row, Table, Value
from galaxalign.evaluation import by_column

_HEADLINE = ("accuracy", "macro_f1", "map_at_5", "map")
_METHOD, _SHARE = Column("method", "Method"), Column("share", "Labels, %", "number")
_SEEDS = Column("seeds", "Seeds", "count")
_REFERENCE = {"augmented-first": "augmented-after"}
"""The protocol that a leak is compared with where both ran; "clean" for all others."""

_PAIRED = (
    "95 % intervals, both rows on the same resamples of galaxies and the same seeds; bold if the interval excludes 0. "
    "With many differences, one in twenty does so by chance."
)
_SPREAD = "Mean over the seeds ± their standard deviation, and 95 % interval over the test galaxies."


def own_tables(study: Study) -> list[Table]:
    """Return the tables that depend on settings and seeds alone; tables without rows are left out."""
    tables = [_leaks(study)]
    for dataset in study.datasets:
        tables += [_differences(study, dataset), _to_best(study, dataset), _shares(study, dataset)]
        tables += [_calibration(study, dataset), _classifiers(study, dataset), _classes(study, dataset)]
        tables += [_cut(study, dataset, column) for column in study.benchmark.dataset(dataset).cuts]
    return [table for table in tables if table.rows]


def _columns(metrics: Sequence[str], kind: Kind = "figure", block: str = "", prefix: str = "") -> list[Column]:
    return [Column(prefix + metric, METRICS[metric], kind, block) for metric in metrics]


def _top_rows(study: Study, dataset: str, values: Callable[[Method], dict[str, Value]]) -> list[Row]:
    """Return a row for each method with the most labels."""
    return [
        Row({"method": line.title} | values(method), study.notes(method.key)) for line, method in study.top(dataset)
    ]


def _leaks(study: Study) -> Table:
    metrics = ("accuracy", "macro_f1", "map")
    columns = [_METHOD, Column("dataset", "Data set"), _SHARE, Column("protocol", "Protocol"), _SEEDS]
    columns += [*_columns(metrics), Column("base", "less"), *_columns(metrics, "difference", "difference", "gain_")]
    rows = []
    for dataset in study.datasets:
        for line in study.lines:
            for share in sorted({key.share for key in study.planned if key.dataset == dataset}):
                methods = {name: study.method(line, dataset, share, name) for name in study.protocols}
                finished = {name: method for name, method in methods.items() if method is not None}
                if set(finished) <= {"clean"} or study.key(line, dataset, share).share != share:
                    continue
                for name, method in finished.items():
                    base = _REFERENCE.get(name, "clean")
                    base = base if base in finished else "clean"
                    values: dict[str, Value] = {"method": line.title, "dataset": study.title(dataset), "share": share}
                    values |= {"protocol": name} | of_method(method, metrics)
                    if base in finished and name != "clean":
                        gains = method.minus(finished[base], metrics)
                        values |= {"base": base} | {f"gain_{metric}": gain for metric, gain in gains.items()}
                    rows.append(Row(values, study.notes(method.key)))
    caption = (
        "The same method under a clean protocol and under leaky ones, on the same test galaxies. random-split: other "
        f"cutouts of {study.benchmark.twins:.0%} of the test galaxies are among the training galaxies. "
        "augmented-first: galaxies are copied and changed before the split. augmented-after: as many pictures, all of "
        "them copies of training galaxies; no leak, and the reference for augmented-first. epoch-on-test: epoch and "
        "classifier are chosen on test galaxies. symbol-given: a test galaxy comes with the symbol of its class. "
    )
    return Table("leaks", "What a leak is worth", caption + _PAIRED, columns, rows)


def _difference_table(
    study: Study, dataset: str, table: Table, pairs: Iterable[tuple[Line, Line]], shares: Sequence[float]
) -> Table:
    """Return the differences of pairs of rows for each share of labels."""
    pairs = list(pairs)
    rows = []
    for share in shares:
        for line, base in pairs:
            one, two = study.method(line, dataset, share), study.method(base, dataset, share)
            if one is not None and two is not None and (seeds := one.shared(two)):
                values: dict[str, Value] = {"method": line.title, "base": base.title, "share": share}
                values["seeds"] = len(seeds)
                values |= one.minus(two, _HEADLINE)
                rows.append(Row(values, study.notes(one.key, two.key)))
    columns = [_METHOD, Column("base", "less"), _SHARE, _SEEDS, *_columns(_HEADLINE, "difference")]
    title = study.title(dataset)
    return Table(table.name, f"{table.title}, {title}", f"{title}: {table.caption} {_PAIRED}", columns, rows)


def _differences(study: Study, dataset: str) -> Table:
    pairs = []
    for encoder in dict.fromkeys(line.encoder for line in study.lines):
        lines = [line for line in study.lines if line.encoder == encoder]
        base = next((line for line in lines if line.training == "supervised"), lines[0])
        pairs += [(line, base) for line in lines if line is not base]
    caption = "each training less supervised training of the same encoder (or less the first listed without that)."
    table = Table(f"differences_{dataset}", "Differences within an encoder", caption, [])
    shares = [share for share in reversed(study.shares(dataset=dataset)) if share]
    return _difference_table(study, dataset, table, pairs, shares)


def _to_best(study: Study, dataset: str) -> Table:
    caption = "every row less the row with the best macro F1 on the validation galaxies."
    table = Table(f"differences_to_best_{dataset}", "Differences to the best row on validation galaxies", caption, [])
    best = study.best(dataset)[:1]
    pairs = [(line, top) for top, _ in best for line, _ in study.top(dataset) if line is not top]
    return _difference_table(study, dataset, table, pairs, [method.key.share for _, method in best])


def _shares(study: Study, dataset: str) -> Table:
    columns = [_METHOD, _SHARE, Column("n_train", "Galaxies", "count"), _SEEDS, *_columns(_HEADLINE)]
    rows = []
    if len([share for share in study.shares(dataset=dataset) if share]) > 1:
        for line in study.lines:
            for share in study.shares(line, dataset):
                method = study.method(line, dataset, share)
                if method is not None:
                    trained = round(float(np.mean([cell.about["n_train"] for cell in method.cells])))
                    values = {"method": line.title, "share": share, "n_train": trained, **of_method(method, _HEADLINE)}
                    rows.append(Row(values, study.notes(method.key)))
    title = study.title(dataset)
    caption = f"{title}: share of the training labels, and the number of training galaxies. {_SPREAD}"
    return Table(f"shares_{dataset}", f"Share of labels, {title}", caption, columns, rows)


def _calibration(study: Study, dataset: str) -> Table:
    metrics, title = ("accuracy", "balanced_accuracy", "ece", "brier"), study.title(dataset)
    rows = _top_rows(study, dataset, lambda method: of_method(method, metrics))
    caption = (
        f"{title}, most labels. Calibration error: mean gap between the probability of the predicted class and the "
        "fraction that is correct, 15 bins. Brier score: squared error of the probabilities, 0 (best) to 2. The "
        "temperature was fitted on validation galaxies."
    )
    return Table(
        f"calibration_{dataset}", f"Calibration, {title}", caption, [_METHOD, _SEEDS, *_columns(metrics)], rows
    )


def _classifiers(study: Study, dataset: str) -> Table:
    metrics, title = ("accuracy", "macro_f1"), study.title(dataset)
    top = study.top(dataset)
    names = dict.fromkeys(name for _, method in top for cell in method.cells for name in cell.about["by_classifier"])
    columns = [_METHOD, Column("chosen", "Chosen on validation")]
    for name in names:
        columns += _columns(metrics, "mean", name, f"{name}_")

    def values(method: Method) -> dict[str, Value]:
        chosen = Counter(cell.about["classifier"] for cell in method.cells)
        several = len(method.cells) > 1
        entries: dict[str, Value] = {
            "chosen": ", ".join(f"{name} × {number}" if several else str(name) for name, number in chosen.items())
        }
        for name in names:
            seeds = [cell.about["by_classifier"].get(name) for cell in method.cells]
            for metric in metrics if None not in seeds else ():
                figures = np.array([each[metric] for each in seeds])
                spread = float(figures.std(ddof=1)) if several else None
                entries[f"{name}_{metric}"] = Figure(float(figures.mean()), spread)
        return entries

    caption = (
        f"{title}, most labels: every candidate on the test galaxies, mean over the seeds ± their standard deviation. "
        "The classifier of the other tables was chosen on validation galaxies, not here."
    )
    return Table(f"classifiers_{dataset}", f"Classifiers, {title}", caption, columns, _top_rows(study, dataset, values))


def _classes(study: Study, dataset: str) -> Table:
    columns, title = [_METHOD], study.title(dataset)
    for _, method in study.top(dataset)[:1]:
        support = method.tables[0]["label"].value_counts()
        columns += [
            Column(f"f1_{name}", f"{name.replace('_', ' ')} ({support.get(k, 0)})", "figure")
            for k, name in enumerate(method.classes)
        ]
    rows = _top_rows(
        study,
        dataset,
        lambda method: {f"f1_{name}": f1 for name, f1 in zip(method.classes, method.class_f1(), strict=True)},
    )
    caption = f"{title}, most labels: F1 of each class, with its number of test galaxies. {_SPREAD}"
    return Table(f"classes_{dataset}", f"Classes, {title}", caption, columns, rows)


def _cut(study: Study, dataset: str, column: str) -> Table:
    columns = [_METHOD, Column("bin", column), Column("galaxies", "Galaxies", "count"), *_columns(_HEADLINE)]
    rows = []
    values_of, title = study.column(dataset, column), study.title(dataset)
    for line, method in study.top(dataset):
        whole = pd.concat(method.tables, ignore_index=True)
        if values_of is None or not whole["id_str"].isin(values_of.index).all():
            continue
        names = [f"probability_{name}" for name in method.classes]
        parts = by_column(
            values_of[whole["id_str"]],
            y_true=whole["label"].to_numpy(),
            probabilities=whole[names].to_numpy(np.float64),
            precisions={
                "map": whole["average_precision"].to_numpy(np.float64),
                "map_at_5": whole["average_precision_at_5"].fillna(0).to_numpy(np.float64),
            },
            groups=whole["group"].to_numpy(),
            n_bootstrap=study.benchmark.bootstrap,
        )
        for part in parts:
            values: dict[str, Value] = {"method": line.title, "bin": part["bin"]}
            values["galaxies"] = round(part["n"] / len(method.cells))
            for metric in _HEADLINE:
                low, high = part[f"{metric}_ci"] or (float("nan"), float("nan"))
                values[metric] = None if part[metric] is None else Figure(part[metric], None, low, high)
            rows.append(Row(values, study.notes(method.key)))
    caption = (
        f"{title}, most labels, test galaxies by {column}. Seeds are pooled, each galaxy drawn with all its "
        "predictions. Macro F1 is over the classes of a bin, so it cannot be compared between bins."
    )
    return Table(f"cut_{dataset}_{column}", f"By {column}, {title}", caption, columns, rows)
