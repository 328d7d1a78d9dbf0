"""How good search is on labelled galaxies: precision@10 and mAP by image, text, symbol, and combinations.

    python benchmarks/search_quality.py EMBEDDINGS --taxonomy efigi --split split.parquet --out search_quality.json

The gallery is the test part alone (or, without a split, every galaxy: then galaxies that the model was trained on are
among them, and the report says so). An answer is right if its label is the class asked for. For each class the query
is its first phrase (text), its symbol, or each of up to --per-class random galaxies (image); combinations are of these.
The mean is over the classes. Precision@10 and @50 among one half of the gallery are also estimated with the labels of
the other half alone, and compared with the truth.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from galaxalign.data import read_split
from galaxalign.gallery import Embeddings, Gallery, Part, Query
from galaxalign.gallery.memory import MemoryRows
from galaxalign.gallery.precision import chance_of_being_right
from galaxalign.morphology import Taxonomy, load_taxonomy, with_article
from galaxalign.morphology.taxonomy import GalaxyClass

COMBINATIONS = (
    ("image",), ("text",), ("symbol",), ("image", "text"), ("image", "symbol"), ("text", "symbol"),
    ("image", "text", "symbol"),
)  # fmt: skip


def gallery_of(embeddings: Embeddings, rows: np.ndarray) -> Gallery:
    """Return some galaxies as a gallery."""
    table = pa.table({"id_str": [embeddings.ids[row] for row in rows], "status": ["ok"] * len(rows)})
    return Gallery(MemoryRows(table, embeddings.vectors[rows], embeddings.metadata))


def parts_of(kind: str, galaxy_class: GalaxyClass, gallery: Gallery, example: str) -> Part:
    """Return a part as numbers, encoded once for all."""
    if kind == "image":
        return Part(kind="id", value=example)
    value = with_article(galaxy_class.phrases[0]) if kind == "text" else galaxy_class.name
    vector = gallery.encoder.vector(Part(kind="text" if kind == "text" else "symbol", value=value))
    return Part(kind="vector", value=[float(number) for number in vector])


def measure(right: np.ndarray, total: int) -> dict[str, float]:
    """Return precision@10 and average precision of a ranking of everything."""
    hits = np.flatnonzero(right)
    precision = np.arange(1, len(hits) + 1) / (hits + 1)
    return {"p_at_10": float(right[:10].mean()), "map": float(precision.sum() / total)}


def main() -> None:
    """Measure and write the figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("embeddings", type=Path)
    parser.add_argument("--taxonomy", required=True)
    parser.add_argument("--split", type=Path)
    parser.add_argument("--per-class", type=int, default=30)
    parser.add_argument("--out", type=Path, default=Path("search_quality.json"))
    arguments = parser.parse_args()
    taxonomy: Taxonomy = load_taxonomy(arguments.taxonomy)
    embeddings = Embeddings.read(arguments.embeddings)
    keep = embeddings.ok
    if arguments.split is not None:
        table = read_split(arguments.split).table
        keep &= np.isin(embeddings.ids, table["id_str"][table["part"] == "test"].tolist())
    index = [taxonomy.index(label) if label else None for label in embeddings.columns["label"]]
    rows = np.array([row for row in np.flatnonzero(keep) if index[row] is not None])
    labels = np.array([taxonomy.class_names[index[row]] for row in rows], dtype=object)
    gallery = gallery_of(embeddings, rows)
    rng = np.random.default_rng(0)
    label_of = dict(zip((embeddings.ids[row] for row in rows), labels, strict=True))
    hidden = {name for name in label_of if rng.random() < 0.5}
    figures: dict[str, list[dict[str, Any]]] = {"+".join(kinds): [] for kinds in COMBINATIONS}
    for galaxy_class in taxonomy.classes:
        own = [name for name, label in label_of.items() if label == galaxy_class.name]
        if len(own) < 2:
            continue
        examples = list(rng.permutation(own)[: arguments.per_class])
        fixed = {kind: parts_of(kind, galaxy_class, gallery, "") for kind in ("text", "symbol")}
        for kinds in COMBINATIONS:
            for example in examples if "image" in kinds else examples[:1]:
                parts = [Part(kind="id", value=str(example)) if kind == "image" else fixed[kind] for kind in kinds]
                found = gallery.search(Query(parts=parts, collapse=False, k=10_000))
                right = np.array([label_of[name] == galaxy_class.name for name in found.ids])
                entry = {"class": galaxy_class.name, **measure(right, len(own) - ("image" in kinds))}
                scores = np.array([answer.score for answer in found])
                unseen = np.array([name in hidden for name in found.ids])
                entry |= estimated(scores, right, unseen)
                figures["+".join(kinds)].append(entry)
    report = {kinds: summary(entries) for kinds, entries in figures.items()}
    about = {"galaxies": len(rows), "part": "test" if arguments.split else "all, also those of training"}
    arguments.out.write_text(json.dumps({**about, "queries": report}, indent=2))
    for kinds, figure in report.items():
        print(kinds, json.dumps({key: round(value, 3) for key, value in figure.items() if key != "classes"}))


def estimated(scores: np.ndarray, right: np.ndarray, unseen: np.ndarray) -> dict[str, float]:
    """Return estimated and true precision among galaxies whose labels the estimate has not seen."""
    chances = chance_of_being_right(scores[unseen][:50], scores[~unseen], right[~unseen])
    if isinstance(chances, str):
        return {}
    truth = right[unseen]
    return {
        key: float(value)
        for k in (10, 50)
        for key, value in ((f"estimated_{k}", chances[:k].mean()), (f"true_{k}", truth[:k].mean()))
    }


def summary(entries: list[dict[str, Any]]) -> dict[str, Any]:
    """Return means over classes, and how far the estimates were from the truth."""
    classes = sorted({entry["class"] for entry in entries})
    per_class = {
        name: {
            key: float(np.mean([entry[key] for entry in entries if entry["class"] == name]))
            for key in ("p_at_10", "map")
        }
        for name in classes
    }
    found: dict[str, Any] = {
        key: float(np.mean([value[key] for value in per_class.values()])) for key in ("p_at_10", "map")
    }
    for k in (10, 50):
        pairs = np.array([[e[f"estimated_{k}"], e[f"true_{k}"]] for e in entries if f"true_{k}" in e])
        if len(pairs):
            found[f"estimate_error_at_{k}"] = float(np.abs(pairs[:, 0] - pairs[:, 1]).mean())
            found[f"estimate_bias_at_{k}"] = float((pairs[:, 0] - pairs[:, 1]).mean())
    return found | {"classes": per_class}


if __name__ == "__main__":
    main()
