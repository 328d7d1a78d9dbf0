"""The tables of the papers: published figures beside ours, in columns of their own for each data set."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from galaxalign.bench.compare import Figure, Method
from galaxalign.bench.config import Line
from galaxalign.bench.study import Study
from galaxalign.bench.tables import Column, Row, Table, Value

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
"""The titles of the metrics."""

_UNMATCHED = "published; this benchmark has no comparable row"
_COLUMNS = (
    "Ours: mean over the seeds ± standard deviation of the seeds, and the 95 % interval of the mean over the test "
    "galaxies (bootstrap; galaxies that the split keeps together are drawn together). Published figures have columns "
    "of their own, with the spread that the paper prints; they were measured on other galaxies in another split, so a "
    "difference to ours is not one of methods alone."
)
# In the sources of published figures; the complete method is in table 2 of the paper, its parts are in table 4.
_TABLE_2, _TABLE_3, _TABLE_4, _TRANSFER = "table 2", "table 3", "table 4", "CLIP-GMC"
_COMPLETE = "GalaxAlign ("


def paper_tables(study: Study) -> list[Table]:
    """Return tables 2, 3 and 4 of the GalaxAlign paper, the transfer table of CLIP-GMC, and independent work."""
    sources = study.published["source"]
    of = {word: sources.str.contains(word, regex=False) for word in (_TABLE_2, _TABLE_3, _TABLE_4, _TRANSFER)}
    two, three, four, transfer = (study.published[rows] for rows in of.values())
    parts = pd.concat([two[two["method"].str.startswith(_COMPLETE)], four])
    planned = [
        (line, 100.0) for line in study.lines if any(study.key(line, d) in study.planned for d in study.datasets)
    ]
    return [
        _beside(
            study,
            Table("classification", "Classification", "All labels, as in table 2 of the GalaxAlign paper.", []),
            two,
            ("accuracy", "macro_f1"),
            planned,
        ),
        _beside(
            study,
            Table(
                "retrieval",
                "Retrieval",
                "Each test galaxy is a query among the others, as in table 3 of the GalaxAlign paper. mAP: over the "
                "whole ranking; mAP@5: over the first five; class mean: averaged within the classes first.",
                [],
            ),
            three,
            ("map_at_5", "map", "map_class_mean"),
            planned,
        ),
        _beside(
            study,
            Table(
                "ablations",
                "Parts of the method",
                "As table 4 of the GalaxAlign paper: CLIP without symbols; v1 stage 1 alone, short; v2 stage 2 alone; "
                "v3 stage 1 alone, to the end; from scratch; and the complete method.",
                [],
            ),
            parts,
            ("accuracy", "macro_f1"),
            [(line, share) for line, share in planned if set(line.published) & set(parts["method"])],
        ),
        _beside(
            study,
            Table(
                "transfer",
                "Few labels, as CLIP-GMC",
                "Share of the training labels; 0 is zero-shot.",
                [Column("share", "Labels, %", "number")],
            ),
            transfer,
            ("accuracy", "macro_f1"),
            _transfer_rows(study, transfer),
        ),
        _elsewhere(study, study.published[~np.logical_or.reduce(list(of.values()))]),
    ]


def of_method(method: Method | None, metrics: Sequence[str], prefix: str = "") -> dict[str, Value]:
    """Return the number of seeds and the figures of a method; {} for None."""
    if method is None:
        return {}
    values: dict[str, Value] = {f"{prefix}seeds": len(method.cells)}
    return values | {f"{prefix}{metric}": method.figure(metric) for metric in metrics}


def _published_columns(study: Study, published: pd.DataFrame, metrics: Sequence[str]) -> list[Column]:
    known = set(zip(published["dataset"], published["metric"], strict=True))
    return [
        Column(f"published_{dataset}_{metric}", METRICS[metric], "published", f"published, {study.title(dataset)}")
        for dataset in published["dataset"].unique()
        for metric in metrics
        if (dataset, metric) in known
    ]


def _published_figures(published: pd.DataFrame, method: str, share: float) -> dict[str, Value]:
    rows = published[(published["method"] == method) & (published["share"] == share)]
    return {
        f"published_{row['dataset']}_{row['metric']}": Figure(
            row["value"], None if np.isnan(row["spread"]) else row["spread"], decimals=row["decimals"]
        )
        for row in rows.to_dict("records")
    }


def _name(line: Line, published: pd.DataFrame) -> str | None:
    """Return the name of a row in this table of published figures."""
    return next((name for name in line.published if (published["method"] == name).any()), None)


def _shares(published: pd.DataFrame, method: str) -> list[float]:
    return sorted(published.loc[published["method"] == method, "share"].unique().tolist())


def _transfer_rows(study: Study, published: pd.DataFrame) -> list[tuple[Line, float]]:
    """Return the rows that papers name, with every share of theirs or ours."""
    rows = []
    for line in study.lines:
        name = _name(line, published)
        if name is not None:
            theirs = [s for s in _shares(published, name) if (s == 0) == (line.training == "zero-shot")]
            rows += [(line, share) for share in sorted({*theirs, *study.shares(line)})]
    return rows


def _beside(
    study: Study,
    empty: Table,
    published: pd.DataFrame,
    metrics: Sequence[str],
    lines: Sequence[tuple[Line, float]],
) -> Table:
    """Return a table of our figures of each row and share, and of the published ones beside them or below."""
    columns = [Column("method", "Method"), *empty.columns]
    for dataset in study.datasets:
        block = study.title(dataset)
        columns.append(Column(f"{dataset}_seeds", "Seeds", "count", block))
        columns += [Column(f"{dataset}_{metric}", METRICS[metric], "figure", block) for metric in metrics]
    columns += [Column("published", "Published as"), *_published_columns(study, published, metrics)]
    rows, matched = [], set()
    for line, share in lines:
        values: dict[str, Value] = {"method": line.title, "share": share}
        keys = [key for dataset in study.datasets if (key := study.key(line, dataset, share)) in study.planned]
        for key in keys:
            values |= of_method(study.methods.get(key), metrics, f"{key.dataset}_")
        name = _name(line, published)
        if name is not None and (figures := _published_figures(published, name, share)):
            values |= {"published": name} | figures
            matched.add((name, share))
        rows.append(Row(values, study.notes(*keys) if keys else (_UNMATCHED,)))
    for name in published["method"].unique():
        for share in _shares(published, name):
            if (name, share) not in matched:
                values = {"method": name, "share": share, **_published_figures(published, name, share)}
                rows.append(Row(values, (_UNMATCHED,)))
    return Table(empty.name, empty.title, f"{empty.caption} {_COLUMNS}", columns, rows)


def _elsewhere(study: Study, published: pd.DataFrame) -> Table:
    columns = [Column("method", "Method"), Column("source", "Source")]
    columns += _published_columns(study, published, published["metric"].unique().tolist())
    rows = []
    for name, source in published.drop_duplicates("method")[["method", "source"]].itertuples(index=False):
        rows.append(Row({"method": name, "source": source, **_published_figures(published, name, 100)}))
    caption = "Figures of other papers and model cards on the same data sets; none was measured here."
    return Table("elsewhere", "Independent work", caption, columns, rows)
