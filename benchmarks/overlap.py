"""Which galaxies stand in several of the shared surveys: by id, and by appearance; and how many of them are missed.

    python benchmarks/overlap.py [--data ../shared/data] [--out docs/overlap.json] [--pictures FOLDER]

The threshold is chosen on half of the known pairs (re-framed copies, the odd ones) and its miss rate and false
matches are reported for the other half, and for the ids that Galaxy Zoo 1 and 2 share. --pictures writes sheets of
the pairs found, to be looked at and not to be passed on: the galaxies are not ours.
"""

from __future__ import annotations

import argparse
import io
import json
import time
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

from galaxalign.data import Catalog, read_catalog
from galaxalign.data.images import decode
from galaxalign.data.splits import THRESHOLD, Signatures, look_alikes, signatures
from galaxalign.data.splits.appearance import LookAlikes

HERE = Path(__file__).parent
COPIES = 600
ALLOWED = 0.01  # share of pictures without a partner that may be given one


def reframed(image: np.ndarray, rng: np.random.Generator, size: int = 88) -> bytes:
    """Return a JPEG of another frame (35 to 90 % of it, off centre by up to 3 %), pixel scale and stretch."""
    height, width = image.shape[:2]
    side = rng.uniform(0.35, 0.9) * min(height, width)
    x, y = (width, height) / np.array(2.0) + rng.uniform(-0.03, 0.03, 2) * side
    left, top = np.clip(x - side / 2, 0, width - side), np.clip(y - side / 2, 0, height - side)
    small = Image.fromarray(image).resize((size, size), Image.Resampling.BICUBIC, (left, top, left + side, top + side))
    light = np.clip((np.asarray(small) / 255.0) ** rng.uniform(0.8, 1.25) * rng.uniform(0.85, 1.15), 0, 1)
    out = io.BytesIO()
    Image.fromarray((light * 255).astype(np.uint8)).save(out, "JPEG", quality=int(rng.integers(60, 90)))
    return out.getvalue()


def copies(catalog: Catalog, folder: Path, prefix: str) -> tuple[np.ndarray, Signatures]:
    """Return some rows of a catalogue, and the signatures of re-framed copies of them."""
    rng = np.random.default_rng(0)
    rows = rng.choice(len(catalog), min(COPIES, len(catalog) // 2), replace=False)
    paths = []
    for row in rows:
        paths.append(folder / f"{prefix}-{row}.jpg")
        paths[-1].write_bytes(reframed(decode(catalog.paths()[row]), rng))
    return rows, signatures(paths)


def chosen(part: Signatures, keep: np.ndarray) -> Signatures:
    """Return some of the signatures."""
    return Signatures(part.values[keep], part.seen[keep], part.good[keep])


def gauge(
    catalog: Catalog, whole: Signatures, folder: Path, prefix: str
) -> tuple[dict[str, object], np.ndarray, np.ndarray]:
    """Return miss rate and false matches, and the likeness of each copy to its original and to another galaxy.

    The other galaxy is what it matches when all originals are taken away. 0 stands for no match at all.
    """
    rows, sought = copies(catalog, folder, prefix)
    present = look_alikes(sought, whole)
    gone = np.ones(len(whole.good), bool)
    gone[rows] = False
    absent = look_alikes(sought, chosen(whole, gone))
    right, wrong = np.zeros(len(rows)), np.zeros(len(rows))
    hit = present.second == rows[present.first]
    right[present.first[hit]] = present.likeness[hit]
    misled = np.zeros(len(rows))
    misled[present.first[~hit]] = present.likeness[~hit]
    wrong[absent.first] = absent.likeness
    odd = np.arange(len(rows)) % 2 == 1
    threshold = float(np.quantile(wrong[odd], 1 - ALLOWED, method="higher"))
    result: dict[str, object] = {"copies": len(rows), "threshold_of_one_half": round(threshold, 3)}
    for name, limit in (("at_that_threshold", threshold), ("at_the_threshold_in_use", THRESHOLD)):
        result[name] = {
            "missed": round(float((right[~odd] < limit).mean()), 4),
            "given_another": round(float((misled[~odd] >= limit).mean()), 4),
            "given_one_though_absent": round(float((wrong[~odd] >= limit).mean()), 4),
        }
    return result, right, wrong


def sheet(one: Catalog, other: Catalog, found: LookAlikes, path: Path, n: int = 32) -> None:
    """Save the likest pairs side by side."""
    tile = 150
    page = Image.new("RGB", (8 * tile, (n // 4) * (tile + 14)))
    draw = ImageDraw.Draw(page)
    for place in range(min(n, len(found.first))):
        x, y = place % 4 * 2 * tile, place // 4 * (tile + 14)
        for side, (catalog, row) in enumerate(((one, found.first[place]), (other, found.second[place]))):
            picture = Image.open(catalog.paths()[row]).convert("RGB")
            if picture.width > 300:
                w = picture.width
                picture = picture.crop((w // 4, w // 4, w - w // 4, w - w // 4))
            page.paste(picture.resize((tile - 2, tile - 2)), (x + side * tile, y + 12))
        text = f"{found.likeness[place]:.2f} = {found.correlation[place]:.2f} + 2 x {found.margin[place]:.2f}"
        draw.text((x, y), text, fill=(255, 255, 0))
    page.save(path)


def chart(likeness: dict[str, tuple[np.ndarray, np.ndarray]], path: Path) -> None:
    """Save the histogram of the likeness of copies to their originals and, those taken away, to the likest other."""
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(1, len(likeness), figsize=(9, 3), sharey=True, constrained_layout=True)
    bins = np.linspace(0, 2.4, 49)
    for axis, (name, (right, wrong)) in zip(axes, likeness.items(), strict=True):
        for values, colour, label in ((right, "#0072b2", "its original"), (wrong, "#d55e00", "another galaxy")):
            axis.hist(
                values, bins, weights=np.full(len(values), 100 / len(values)), color=colour, alpha=0.7, label=label
            )
        axis.axvline(THRESHOLD, color="black", linewidth=1, linestyle="--")
        axis.set_title(f"{name}: {len(right)} re-framed copies", fontsize=10)
        axis.set_xlabel("likeness (0: none)")
    axes[0].set_ylabel("copies (%)")
    axes[0].legend(frameon=False, fontsize=9)
    figure.savefig(path, dpi=150)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--data", type=Path, default=HERE.parent.parent / "shared" / "data")
    parser.add_argument("--out", type=Path, default=HERE / "results" / "overlap.json")
    parser.add_argument("--pictures", type=Path, required=True, help="Folder for copies and sheets; not to be kept.")
    parser.add_argument("--chart", type=Path, help="Where to save the chart of the likeness of known pairs.")
    arguments = parser.parse_args()
    arguments.pictures.mkdir(parents=True, exist_ok=True)
    catalogs = {name: read_catalog(arguments.data / name / "catalog.csv") for name in ("gz1", "gz2", "efigi")}
    result: dict[str, object] = {"threshold": THRESHOLD, "galaxies": {k: len(v) for k, v in catalogs.items()}}
    marks, seconds = {}, {}
    for name, catalog in catalogs.items():
        start = time.perf_counter()
        marks[name] = signatures(catalog.paths())
        seconds[f"signatures {name}"] = round(time.perf_counter() - start, 1)
    result["no signature"] = {name: int((~part.good).sum()) for name, part in marks.items()}
    for one, other in (("gz1", "gz2"), ("efigi", "gz1"), ("efigi", "gz2")):
        start = time.perf_counter()
        found = look_alikes(marks[one], marks[other])
        seconds[f"{one} against {other}"] = round(time.perf_counter() - start, 1)
        ids = catalogs[one].ids, catalogs[other].ids
        matched = [
            (ids[0][a], ids[1][b], round(float(x), 3))
            for a, b, x in zip(found.first, found.second, found.likeness, strict=True)
            if x >= THRESHOLD
        ]
        shared = set(ids[0]) & set(ids[1])
        result[f"{one}-{other}"] = {
            "shared ids": len(shared),
            "of these found by appearance": sum(a == b for a, b, _ in matched),
            "found by appearance": len(matched),
            "pairs": matched,
        }
        sheet(catalogs[one], catalogs[other], found, arguments.pictures / f"{one}-{other}.png")
        print(one, other, result[f"{one}-{other}"], flush=True)
    gauged = {name: gauge(catalogs[name], marks[name], arguments.pictures, name) for name in ("gz1", "gz2", "efigi")}
    result["re-framed copies"] = {name: figures for name, (figures, _, _) in gauged.items()}
    if arguments.chart is not None:
        chart({name: (right, wrong) for name, (_, right, wrong) in gauged.items()}, arguments.chart)
    result["seconds"] = seconds
    print(json.dumps(result, indent=1))
    arguments.out.write_text(json.dumps(result, indent=1))


if __name__ == "__main__":
    main()
