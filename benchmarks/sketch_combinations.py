"""What a sketch finds together with words and with a picture, on real galaxies that the model has not learnt.

    python benchmarks/sketch_combinations.py --data DIR --work DIR [--part test] [--name NAME]

--work, --part and --name are those of a run of sketch_search.py: its drawings, made with the mouse, are asked again,
alone and with every other kind of part at equal weights, and the whole catalogue is ranked by the answer. The words are
those of sketch_search.py; the picture is a random right galaxy of the catalogue, another one for each drawing, and is
not among the answers. Precision@10 and average precision are means over drawings and pictures. Writes
benchmarks/results/sketch_combinations_<part>.json.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import numpy as np

from galaxalign.gallery import Embeddings, Gallery, Part, Query, open_gallery
from galaxalign.morphology import render_svg
from pretrained import HERE
from search_quality import measure
from sketch_search import MORPHOLOGIES, SHAPES, WORDS, embedded

COMBINATIONS = (
    ("image",), ("text",), ("symbol",), ("stamps",), ("pen",),
    ("image", "text"), ("image", "symbol"), ("image", "stamps"), ("image", "pen"),
    ("text", "symbol"), ("text", "stamps"), ("text", "pen"),
    ("image", "text", "symbol"), ("image", "text", "stamps"), ("image", "text", "pen"),
)  # fmt: skip


def ready(gallery: Gallery, part: Part) -> Part:
    """Return a part as numbers, encoded once for all queries."""
    return Part(kind="vector", value=[float(number) for number in gallery.encoder.vector(part)])


def drawings(gallery: Gallery, entries: list[dict[str, Any]]) -> dict[str, dict[str, list[Part]]]:
    """Return what is asked, by shape and way, but for the pictures."""
    parts: dict[str, dict[str, list[Part]]] = {shape: {} for shape in SHAPES}
    for shape in SHAPES:
        for way in ("stamps", "pen"):
            drawn = [entry["svg"] for entry in entries if (entry["way"], entry["shape"]) == (way, shape)]
            parts[shape][way] = [ready(gallery, Part(kind="sketch", value=svg)) for svg in drawn]
        symbol = Part(kind="sketch", value=render_svg(MORPHOLOGIES[shape], size=256))
        parts[shape]["symbol"] = [ready(gallery, symbol)]
        parts[shape]["text"] = [ready(gallery, Part(kind="text", value=WORDS[shape]))]
    return parts


def main() -> None:
    """Ask, count, and write the figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--part", default="test", choices=("test", "validation"))
    parser.add_argument("--name", default="page")
    parser.add_argument("--out", type=Path, default=HERE / "results")
    arguments = parser.parse_args()
    work, part = arguments.work, arguments.part
    path, right, sizes = embedded(arguments.data, work, part)
    gallery = open_gallery(path)
    ids = np.array(Embeddings.read(path).ids)
    parts = drawings(gallery, json.loads((work / f"{arguments.name}_{part}.json").read_text()))
    report: dict[str, Any] = {}
    for place, shape in enumerate(SHAPES):
        for source, wanted in right[shape].items():
            rng = np.random.default_rng(place)
            of_pen = len(parts[shape]["pen"])
            examples = [str(one) for one in rng.permutation(sorted(wanted & {*ids}))[:of_pen]]
            choice = parts[shape] | {"image": [Part(kind="id", value=one) for one in examples]}
            figures: dict[str, Any] = {"right": len(wanted), "of": sizes[source]}
            for kinds in COMBINATIONS:
                measured = []
                for turn in range(max(len(choice[kind]) for kind in kinds)):
                    asked = [choice[kind][turn % len(choice[kind])] for kind in kinds]
                    query = Query(parts=asked, where=f"source = '{source}'", k=10_000, collapse=False)
                    hits = np.array([one in wanted for one in gallery.search(query).ids])
                    measured.append(measure(hits, len(wanted) - ("image" in kinds)))
                figures["+".join(kinds)] = {
                    key: float(np.mean([one[key] for one in measured])) for key in ("p_at_10", "map")
                }
            report[f"{shape}, {source}"] = figures
    report["mean"] = {
        "+".join(kinds): {
            key: float(np.mean([figures["+".join(kinds)][key] for figures in list(report.values())]))
            for key in ("p_at_10", "map")
        }
        for kinds in COMBINATIONS
    }
    out = arguments.out / f"sketch_combinations_{part}.json"
    out.write_text(json.dumps(report, indent=1) + "\n")
    print("| query | precision@10 | mAP |\n|---|---|---|")
    for kinds, figure in report["mean"].items():
        print(f"| {kinds.replace('+', ' + ')} | {figure['p_at_10']:.3f} | {figure['map']:.3f} |")


if __name__ == "__main__":
    main()
