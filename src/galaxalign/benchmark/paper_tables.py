"""The tables of the papers: their figures beside ours, each in columns of its own for each data set."""

from __future__ import annotations

from collections.abc import Sequence

from galaxalign.benchmark.compare import Key, Method
from galaxalign.benchmark.published import Published
from galaxalign.benchmark.study import Line, Study
from galaxalign.benchmark.tables import Column, Row, Table, Value

__all__ = ["METRICS", "measured", "of_method", "ours", "paper_tables"]

METRICS = {
    "accuracy": "Accuracy",
    "macro_f1": "Macro F1",
    "balanced_accuracy": "Balanced accuracy",
    "map_at_5": "mAP@5",
    "map": "mAP",
    "map_class_mean": "mAP, class mean",
    "ece": "Calibration error",
    "brier": "Brier score",
}
"""What the metrics are called."""

_ALONE = "published; no row of this benchmark is its like"
_MEASURED = (
    "Ours: mean over the seeds ± standard deviation of the seeds, and the 95 % interval of the mean over the test "
    "galaxies (bootstrap; galaxies that the split keeps together are drawn together)."
)
_BESIDE = (
    "Published figures stand in columns of their own, with the spread that the paper prints; they were measured on "
    "other "
    "galaxies, divided in another way, so a difference to ours is not one of methods alone."
)
# What stands in the source of a figure; the complete method is in table 2 of the paper, its parts are in table 4.
_TABLE_2, _TABLE_3, _TABLE_4, _TRANSFER = "table 2", "table 3", "table 4", "CLIP-GMC"
_COMPLETE = "GalaxAlign ("


def paper_tables(study: Study) -> list[Table]:
    """Return tables 2, 3 and 4 of the GalaxAlign paper, the transfer table of CLIP-GMC, and independent work."""
    published = study.published
    two, four = published.of(_TABLE_2), published.of(_TABLE_4)
    parts = Published(tuple(f for f in two.figures if f.method.startswith(_COMPLETE)) + four.figures)
    ablated = [line for line in study.lines if set(line.published) & set(parts.methods)]
    return [
        _beside(
            study,
            "classification",
            "Classification",
            "All labels, test galaxies, as table 2 of the GalaxAlign paper.",
            two,
            ("accuracy", "macro_f1"),
            study.lines,
        ),
        _beside(
            study,
            "retrieval",
            "Retrieval",
            "Each test galaxy asks for its like among the others, as in table 3 of the GalaxAlign paper. mAP: over the "
            "whole ranking; mAP@5: over the first five; class mean: averaged within the classes first.",
            published.of(_TABLE_3),
            ("map_at_5", "map", "map_class_mean"),
            study.lines,
        ),
        _beside(
            study,
            "ablations",
            "Parts of the method",
            "As table 4 of the GalaxAlign paper: CLIP without symbols; v1 stage 1 alone, short; v2 stage 2 alone; v3 "
            "stage "
            "1 alone, to the end; from scratch; and the complete method.",
            parts,
            ("accuracy", "macro_f1"),
            ablated,
        ),
        _transfer(study, published.of(_TRANSFER)),
        _elsewhere(study, published.beyond(_TABLE_2, _TABLE_3, _TABLE_4, _TRANSFER)),
    ]


def measured(study: Study, metrics: Sequence[str]) -> list[Column]:
    """Return the columns of our figures, a block for each data set."""
    found = []
    for dataset in study.datasets:
        block = study.title(dataset)
        found.append(Column(f"{dataset}_seeds", "Seeds", "count", block))
        found += [Column(f"{dataset}_{metric}", METRICS[metric], "figure", block) for metric in metrics]
    return found


def of_method(method: Method | None, metrics: Sequence[str], prefix: str = "") -> dict[str, Value]:
    """Return the number of seeds and the figures of a method; {} for None."""
    if method is None:
        return {}
    found: dict[str, Value] = {f"{prefix}seeds": len(method.cells)}
    return found | {f"{prefix}{metric}": method.figure(metric) for metric in metrics}


def ours(study: Study, line: Line, metrics: Sequence[str], share: float = 100.0) -> tuple[dict[str, Value], list[str]]:
    """Return the figures of a row on every data set, and its footnotes."""
    values: dict[str, Value] = {"method": line.title}
    keys = [key for dataset in study.datasets if (key := study.key(line, dataset, share)) in study.planned]
    methods = [study.methods.get(key) for key in keys]
    for key, method in zip(keys, methods, strict=True):
        values |= of_method(method, metrics, f"{key.dataset}_")
    return values, study.notes(methods, keys)


def _theirs(study: Study, published: Published, metrics: Sequence[str]) -> list[Column]:
    return [
        Column(f"published_{dataset}_{metric}", METRICS[metric], "published", f"published, {study.title(dataset)}")
        for dataset in published.datasets
        for metric in metrics
        if any(f.metric == metric and f.dataset == dataset for f in published.figures)
    ]


def _figures(published: Published, method: str, share: float) -> dict[str, Value]:
    found = [f for f in published.figures if (f.method, f.share) == (method, share)]
    return {f"published_{f.dataset}_{f.metric}": f for f in found}


def _named(line: Line, published: Published) -> str | None:
    """Return what the papers call a row in this table."""
    return next((name for name in line.published if name in published.methods), None)


def _beside(
    study: Study,
    name: str,
    title: str,
    caption: str,
    published: Published,
    metrics: Sequence[str],
    lines: Sequence[Line],
) -> Table:
    columns = [
        Column("method", "Method"),
        *measured(study, metrics),
        Column("published", "Published as"),
        *_theirs(study, published, metrics),
    ]
    rows, met = [], set()
    for line in lines:
        if not any(study.key(line, dataset) in study.planned for dataset in study.datasets):
            continue
        values, notes = ours(study, line, metrics)
        called = _named(line, published)
        if called is not None:
            values |= {"published": called} | _figures(published, called, 100)
            met.add(called)
        rows.append(Row(values, tuple(notes)))
    for method in published.methods:
        if method not in met:
            rows.append(Row({"method": method} | _figures(published, method, 100), (_ALONE,)))
    return Table(name, title, f"{caption} {_MEASURED} {_BESIDE}", columns, rows)


def _transfer(study: Study, published: Published) -> Table:
    metrics = ("accuracy", "macro_f1")
    columns = [
        Column("method", "Method"),
        Column("share", "Labels, %", "number"),
        *measured(study, metrics),
        Column("published", "Published as"),
        *_theirs(study, published, metrics),
    ]
    rows, met = [], set()
    for line in study.lines:
        called = _named(line, published)
        if called is None:
            continue
        theirs = {share for share in published.shares(called) if (share == 0) == (line.training == "zero-shot")}
        for share in sorted({*theirs, *study.shares(line)}):
            values, notes = ours(study, line, metrics, share)
            planned = any(Key(d, line.encoder, line.training, share) in study.planned for d in study.datasets)
            if share in theirs:
                values |= {"published": called} | _figures(published, called, share)
                met.add((called, share))
            rows.append(Row(values | {"share": share}, tuple(notes) if planned else (_ALONE,)))
    for method in published.methods:
        for share in published.shares(method):
            if (method, share) not in met:
                alone: dict[str, Value] = {"method": method, "share": share}
                rows.append(Row(alone | _figures(published, method, share), (_ALONE,)))
    caption = "Share of the training labels that a row learns from; 0 is zero-shot."
    return Table("transfer", "Few labels, as CLIP-GMC", f"{caption} {_MEASURED} {_BESIDE}", columns, rows)


def _elsewhere(study: Study, published: Published) -> Table:
    metrics = list(dict.fromkeys(f.metric for f in published.figures))
    columns = [Column("method", "Method"), Column("source", "Source"), *_theirs(study, published, metrics)]
    rows = []
    for method in published.methods:
        source = next(f.source for f in published.figures if f.method == method)
        values: dict[str, Value] = {"method": method, "source": source}
        rows.append(Row(values | _figures(published, method, 100)))
    caption = "Figures of other papers and model cards on the same data sets, none of them measured here."
    return Table("elsewhere", "Independent work", caption, columns, rows)
