"""Results on standard output: a table on a terminal, plain text in a pipe, CSV and JSON for programs."""

from __future__ import annotations

import csv
import json
import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

    from galaxalign.data.splits import Split
    from galaxalign.gallery import Results

_METRICS = {
    "accuracy": "accuracy",
    "macro_f1": "macro F1",
    "balanced_accuracy": "balanced accuracy",
    "map": "mAP (all)",
    "map_at_5": "mAP@5",
    "ece": "calibration error",
    "brier": "Brier score",
}
# On a terminal a classification shows this many galaxies; a pipe or a file gets all of them.
_SHOWN = 20


def print_table(columns: Mapping[str, Literal["left", "right"]], rows: Sequence[Sequence[str]]) -> None:
    """Print rows of text under a header; with rules and colours on a terminal only."""
    if sys.stdout.isatty():
        from rich.console import Console
        from rich.table import Table
        from rich.text import Text

        table = Table()
        for name, side in columns.items():
            table.add_column(name, justify=side, overflow="fold")
        for row in rows:
            # Text, because an id may hold square brackets, which rich would take for markup.
            table.add_row(*map(Text, row))
        Console().print(table)
        return
    widths = [max(map(len, column)) for column in zip(columns, *rows, strict=True)]
    for row in (list(columns), *rows):
        cells = (
            cell.ljust(width) if side == "left" else cell.rjust(width)
            for cell, width, side in zip(row, widths, columns.values(), strict=True)
        )
        print("  ".join(cells).rstrip())


def print_results(results: Results, form: str) -> None:
    """Print the answers of a search: rank, id_str, score, and what else is known of them."""
    rows = _shown(results).to_pylist()
    header = list(_shown(results).column_names)
    for row in rows:
        row.update({name: round(value, 6) for name, value in row.items() if isinstance(value, float)})
    if form == "json":
        print(json.dumps(rows, indent=2))
    elif form == "csv":
        writer = csv.DictWriter(sys.stdout, header, lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
    else:
        sides: dict[str, Literal["left", "right"]] = {
            name: "left" if name in ("id_str", "duplicates") else "right" for name in header
        }
        print_table(sides, [[_cell(name, value) for name, value in row.items()] for row in rows])


def write_results(results: Results, path: Path) -> None:
    """Write the answers of a search as a table; raises InputError if it cannot be written there."""
    from galaxalign.data.tables import write_table

    write_table(_shown(results).to_pandas(), path)


def _shown(results: Results) -> pa.Table:
    """Return the columns that say something: no positions that nobody knows, no reasons of a single part."""
    table = results.to_table()
    silent = [
        name
        for name in table.column_names
        if name not in ("rank", "id_str", "score") and not any(table.column(name).to_pylist())
    ]
    single = ["why_1"] if len(results.query.parts) == 1 else []
    return table.drop_columns([*silent, *(name for name in single if name not in silent)])


def _cell(name: str, value: Any) -> str:
    if value is None:
        return ""
    digits = {"ra": 5, "dec": 5, "precision": 2}.get(name, 4)
    return f"{value:.{digits}f}" if isinstance(value, float) else str(value)


def print_metrics(metrics: Mapping[str, Any]) -> None:
    """Print what `galaxalign evaluate` measured, with 95 % intervals, and how many galaxies it rests on."""
    rows = []
    for key, title in _METRICS.items():
        if metrics[key] is not None:  # retrieval needs two galaxies of a class
            low, high = metrics[f"{key}_ci"]
            rows.append((title, f"{metrics[key]:.4f}", f"{low:.4f} to {high:.4f}"))
    print_table({"metric": "left", "value": "right", "95 % interval": "right"}, rows)
    print(f"{metrics['n']} galaxies, taxonomy {metrics['taxonomy']}, classified by {metrics['classifier']}")
    if metrics["n_failed"]:
        print(f"{metrics['n_failed']} more are left out because their image could not be read")


def print_predictions(frame: pd.DataFrame) -> None:
    """Print predictions: all of them as CSV in a pipe, the first ones as a table on a terminal."""
    from galaxalign.data.images import OK

    if not sys.stdout.isatty():
        frame.to_csv(sys.stdout, index=False, lineterminator="\n")
        return
    probabilities = frame.filter(regex="^probability_").max(axis=1)
    shown = [
        (str(identity), str(label), f"{probability:.3f}", status) if status == OK else (str(identity), "", "", status)
        for identity, label, probability, status in zip(
            frame["id_str"], frame["label"], probabilities, frame["status"], strict=True
        )
    ][:_SHOWN]
    print_table({"id_str": "left", "label": "left", "probability": "right", "status": "left"}, shown)
    if len(frame) > _SHOWN:
        print(f"the first {_SHOWN} of {len(frame)} galaxies; write all of them with --out predictions.parquet")


def print_counts(predictions: Path) -> None:
    """Print how many galaxies of a file of predictions are in each class, and how many could not be read."""
    from galaxalign.data.images import OK
    from galaxalign.data.tables import open_table

    counts: Counter[str] = Counter()
    for piece in open_table(predictions).pieces(["label", "status"], text=("label", "status")):
        read = piece["status"] == OK
        counts.update(piece["label"].where(read, "(could not be read)").tolist())
    failed = counts.pop("(could not be read)", 0)
    rows = [(label, str(count)) for label, count in counts.most_common()]
    if failed:
        rows.append(("(could not be read)", str(failed)))
    print_table({"label": "left", "galaxies": "right"}, rows)


def print_split(split: Split) -> None:
    """Print how many rows of each catalogue went to each part."""
    counts = split.counts()
    rows = [(str(source), *map(str, row)) for source, row in zip(counts.index, counts.to_numpy(), strict=True)]
    print_table({"catalogue": "left", **dict.fromkeys(counts.columns, "right")}, rows)


def print_audit(
    counts: Sequence[tuple[str, str, int]], distances: Sequence[tuple[str, int]], warnings: Sequence[str]
) -> None:
    """Print how much of what an audit found, how close rows are on the sky, and what is doubtful."""
    if counts:
        rows = [(title, severity, str(n)) for title, severity, n in counts]
        print_table({"finding": "left", "severity": "left", "number": "right"}, rows)
    if distances:
        print(f"Pairs of rows on the sky: {', '.join(f'{n} within {limit} arcsec' for limit, n in distances)}.")
    for warning in warnings:
        print(f"{warning}.")
