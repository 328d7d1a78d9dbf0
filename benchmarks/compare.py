"""Tables of the group `cells` of benchmarks/archive.py: figures with intervals, and paired differences.

    python benchmarks/compare.py [--out docs/explanation/results-tables.md]

Seeds of a method are pooled: the bootstrap draws a test galaxy together with all its predictions, so the interval
covers the choice of test galaxies; the standard deviation over the seeds stands beside it.
"""

from __future__ import annotations

import argparse
from collections import defaultdict
from pathlib import Path
from typing import Any

import numpy as np

from archive import runs
from galaxalign.evaluation.metrics import bootstrap_intervals, bootstrap_mean, paired_difference

METRICS = ("accuracy", "macro_f1", "map_at_5", "map")
SHOWN = {"accuracy": "accuracy", "macro_f1": "macro F1", "map_at_5": "mAP@5", "map": "mAP"}
SYMBOLS = "symbol_precision_at_10_canonical"
RETRIEVAL = {"map": "average_precision", "map_at_5": "average_precision_at_5"}
ROWS = {
    "zero-shot": "zero-shot, untrained",
    "probe": "(a) linear probe, frozen tower",
    "supervised": "(b) supervised fine-tuning",
    "image-text": "(c) image-text, no symbols",
    "galaxalign-pair": "(d) tri-modal, `pair` targets",
    "galaxalign": "(e) tri-modal, `same_class` targets",
    "no-symbols": "(e) without symbols",
    "fixed-symbols": "(e) with the one exact symbol of each class",
    "trained-words": "(e) with the text tower trained too",
}
VARIANTS = ("no-symbols", "fixed-symbols", "trained-words")  # of (e), compared with it alone


class Method:
    """All seeds of one method on one data set, tower and share of labels."""

    def __init__(self, cells: list[tuple[dict[str, Any], dict[str, np.ndarray]]]) -> None:
        self.cells = sorted(cells, key=lambda cell: cell[0]["seed"])
        cells = self.cells
        self.summaries = [summary for summary, _ in cells]
        arrays = [array for _, array in cells]
        self.groups = np.concatenate([a["ids"] for a in arrays])
        self.labels = np.concatenate([a["labels"] for a in arrays])
        self.predictions = np.concatenate([a["predictions"] for a in arrays])
        self.columns = {m: np.concatenate([a[c] for a in arrays]) for m, c in RETRIEVAL.items()}

    def seeds(self, metric: str) -> np.ndarray:
        return np.array([summary["test"][metric] for summary in self.summaries])

    def interval(self, metric: str) -> tuple[float, float]:
        if metric in RETRIEVAL:
            return bootstrap_mean(self.columns[metric], groups=self.groups)
        return bootstrap_intervals(self.labels, self.predictions, groups=self.groups)[metric]

    def minus(self, other: Method, metric: str) -> tuple[float, float, float]:
        """Return this method's figure less that of another of the same seeds, with its interval."""
        if metric in RETRIEVAL:
            return paired_difference(metric, self.columns[metric], other.columns[metric], groups=self.groups)
        return paired_difference(metric, self.predictions, other.predictions, y_true=self.labels, groups=self.groups)

    def shared(self, other: Method) -> tuple[Method, Method, list[int]]:
        """Return both methods on the seeds that both have, and these."""
        mine, theirs = ({s["seed"] for s in m.summaries} for m in (self, other))
        seeds = mine & theirs
        first, second = ([cell for cell in m.cells if cell[0]["seed"] in seeds] for m in (self, other))
        return Method(first), Method(second), sorted(seeds)


def read() -> dict[tuple[str, str, float], dict[str, Method]]:
    """Return the methods of each (data set, tower, share)."""
    found: dict[tuple[str, str, float, str], list[Any]] = defaultdict(list)
    for summary, arrays in runs("cells").values():
        key = summary["dataset"], summary["tower"], summary["share"], summary["method"]
        found[key].append((summary, arrays))
    tables: dict[tuple[str, str, float], dict[str, Method]] = defaultdict(dict)
    for (dataset, tower, share, method), cells in found.items():
        tables[dataset, tower, share][method] = Method(cells)
    return tables


def table(methods: dict[str, Method]) -> list[str]:
    """Return one Markdown table."""
    lines = ["| method | seeds | " + " | ".join(SHOWN.values()) + " |", "|---|---|" + "---|" * len(SHOWN)]
    for name in sorted(methods, key=lambda m: (list(ROWS).index(m) if m in ROWS else 99, m)):
        method = methods[name]
        cells = []
        for metric in METRICS:
            values, (low, high) = method.seeds(metric), method.interval(metric)
            spread = f" ±{values.std(ddof=1):.3f}" if len(values) > 1 else ""
            cells.append(f"{values.mean():.3f}{spread} [{low:.3f}, {high:.3f}]")
        lines.append(f"| {ROWS.get(name, name)} | {len(method.summaries)} | " + " | ".join(cells) + " |")
    return lines


def differences(methods: dict[str, Method]) -> list[str]:
    """Return a table of paired differences."""
    lines = ["| difference | seeds | " + " | ".join(SHOWN.values()) + " |", "|---|---|" + "---|" * len(SHOWN)]
    trained = ("image-text", "galaxalign-pair", "galaxalign")
    wanted = [(name, "supervised") for name in trained] + [(name, "image-text") for name in trained[1:]]
    wanted += [("galaxalign", "galaxalign-pair"), *((name, "galaxalign") for name in VARIANTS)]
    for name, base in wanted:
        if name not in methods or base not in methods:
            continue
        one, other, seeds = methods[name].shared(methods[base])
        if not seeds:
            continue
        cells = []
        for metric in METRICS:
            value, low, high = one.minus(other, metric)
            cells.append(f"{value:+.3f} [{low:+.3f}, {high:+.3f}]")
        lines.append(f"| {ROWS[name]} − {ROWS[base]} | {len(seeds)} | " + " | ".join(cells) + " |")
    return lines if len(lines) > 2 else []


def symbols(methods: dict[str, Method]) -> list[str]:
    """Return the precision@10 of symbol → image search by class."""
    lines: list[str] = []
    for name, method in methods.items():
        found = [
            s["symbol_precision_at_10_canonical"] for s in method.summaries if "symbol_precision_at_10_canonical" in s
        ]
        if not found:
            continue
        classes = list(found[0])
        if not lines:
            lines = [
                "| symbol → image, precision@10 | " + " | ".join(classes) + " | mean |",
                "|---|" + "---|" * (len(classes) + 1),
            ]
        values = [float(np.mean([f[c] for f in found])) for c in classes]
        lines.append(f"| {ROWS.get(name, name)} | " + " | ".join(f"{v:.2f}" for v in [*values, np.mean(values)]) + " |")
    return lines


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--out", type=Path)
    args = parser.parse_args()
    blocks: list[str] = ["# Result tables", ""]
    tables = read()
    for key in sorted(tables, key=lambda key: (key[0], key[1], -key[2])):
        (dataset, tower, share), methods = key, tables[key]
        n = {s["n_train"] for m in methods.values() for s in m.summaries}
        tested = next(iter(methods.values())).summaries[0]["test"]["n"]
        blocks += [
            f"## {dataset}, tower {tower}, {share:.0%} of the training labels",
            "",
            f"{'/'.join(map(str, sorted(n)))} training galaxies, {tested} test galaxies; "
            "95 % bootstrap intervals in brackets.",
            "",
        ]
        for part in (table(methods), differences(methods), symbols(methods)):
            if part:
                blocks += [*part, ""]
    text = "\n".join(blocks)
    print(text)
    if args.out:
        args.out.write_text(text)


if __name__ == "__main__":
    main()
