"""Does marking help, and when should a classifier take Rocchio's place?

    python benchmarks/feedback.py EMBEDDINGS --taxonomy efigi --split split.parquet --part validation

The gallery is one part of the split. Each query is one galaxy; "right" is its class. In each of --rounds rounds the
first --marks answers are marked good or bad by their labels, and the query is refined with all marks so far; marked
galaxies leave. Printed is the mean over the classes of precision@10 of what then comes, of the query alone (the marked
left out, too), by Rocchio's rule alone, and with a classifier from 1, 2, 5 or 10 marks of each kind on.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import numpy as np
import pyarrow as pa

from galaxalign.data import read_split
from galaxalign.gallery import Embeddings, Gallery, Part, Query, feedback
from galaxalign.gallery.memory import MemoryRows
from galaxalign.morphology import load_taxonomy

NEVER = 10**6


def rounds(gallery: Gallery, label_of: dict[str, str], start: str, marks: int, number: int) -> list[float]:
    """Return precision@10 before the first round and after each, as `feedback.CLASSIFIER_FROM` has it."""
    query = Query(parts=[Part(kind="id", value=start)], k=max(10, marks), collapse=False)
    good: list[str] = []
    bad: list[str] = []
    precision = []
    for _ in range(number + 1):
        found = feedback.refine(gallery, query, good, bad).ids
        right = [label_of[name] == label_of[start] for name in found]
        precision.append(float(np.mean(right[:10])))
        good += [name for name, is_right in zip(found[:marks], right, strict=False) if is_right]
        bad += [name for name, is_right in zip(found[:marks], right, strict=False) if not is_right]
    return precision


def unrefined(gallery: Gallery, label_of: dict[str, str], start: str, marks: int, number: int) -> list[float]:
    """Return precision@10 further and further down the answers of the query as it was."""
    query = Query(parts=[Part(kind="id", value=start)], k=marks * number + 10, collapse=False)
    right = [label_of[name] == label_of[start] for name in gallery.search(query).ids]
    return [float(np.mean(right[marks * turn :][:10])) for turn in range(number + 1)]


def main() -> None:
    """Measure and write the figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("embeddings", type=Path)
    parser.add_argument("--taxonomy", required=True)
    parser.add_argument("--split", type=Path, required=True)
    parser.add_argument("--part", default="validation")
    parser.add_argument("--marks", type=int, default=10)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--per-class", type=int, default=20)
    parser.add_argument("--out", type=Path, default=Path("feedback.json"))
    arguments = parser.parse_args()
    embeddings = Embeddings.read(arguments.embeddings)
    table = read_split(arguments.split).table
    part = set(table["id_str"][table["part"] == arguments.part])
    taxonomy = load_taxonomy(arguments.taxonomy)
    index = [taxonomy.index(label) if label else None for label in embeddings.columns["label"]]
    told = [None if place is None else taxonomy.class_names[place] for place in index]
    rows = [row for row, name in enumerate(embeddings.ids) if name in part and embeddings.ok[row] and told[row]]
    label_of = {embeddings.ids[row]: str(told[row]) for row in rows}
    columns = pa.table({"id_str": list(label_of), "status": ["ok"] * len(rows)})
    gallery = Gallery(MemoryRows(columns, embeddings.vectors[rows], embeddings.metadata))
    rng = np.random.default_rng(0)
    found: dict[str, dict[str, list[list[float]]]] = {}
    for label in sorted(set(label_of.values())):
        own = [name for name in label_of if label_of[name] == label]
        if len(own) < arguments.marks * arguments.rounds:
            continue  # it would run out of right answers
        for start in rng.permutation(own)[: arguments.per_class]:
            ways = {"unrefined": unrefined(gallery, label_of, start, arguments.marks, arguments.rounds)}
            for least in (NEVER, 1, 2, 5, 10):
                feedback.CLASSIFIER_FROM = least
                name = "rocchio" if least == NEVER else f"classifier from {least}"
                ways[name] = rounds(gallery, label_of, start, arguments.marks, arguments.rounds)
            for name, values in ways.items():
                found.setdefault(name, {}).setdefault(label, []).append(values)
    report = {
        name: np.mean([np.mean(values, axis=0) for values in classes.values()], axis=0).round(3).tolist()
        for name, classes in found.items()
    }
    about = {"part": arguments.part, "galaxies": len(rows), "classes": sorted(next(iter(found.values())))}
    arguments.out.write_text(json.dumps({**about, "marks": arguments.marks, "precision_at_10": report}, indent=2))
    for name, values in report.items():
        print(f"{name:20s}", *values)


if __name__ == "__main__":
    main()
