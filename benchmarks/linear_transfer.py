"""A linear head on frozen features of a pretrained model, by share of the labels, against those of ImageNet.

    python benchmarks/linear_transfer.py --model RUN --target gz1 --crop 0.45 [--part validation]
    python benchmarks/linear_transfer.py --model lite --target gz1 --crop 0.45          # ImageNet
    python benchmarks/linear_transfer.py --model RUN --beside lite --target efigi       # both side by side

Features before the projection (`trunk`) and after it (`projected`), unit length, mean of four views (two turns
and their mirror images). Logistic regression, its C of 10, 100, 1000 (30 with all labels) by log loss on the
validation part; three nested subsets of the training labels. Galaxies by benchmarks/splits/mixture.parquet; writes
<out>/linear_transfer_<target>-<name>-<part>.json and prints Markdown.
"""

from __future__ import annotations

import argparse
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import accuracy_score, f1_score, log_loss

from galaxalign.data import read_catalog
from galaxalign.data.images import load_images
from galaxalign.data.splits import read_split
from galaxalign.evaluation import retrieval_scores
from galaxalign.models import eight_views, load_encoder, load_model, model_folder, to_tensor
from galaxalign.morphology import load_taxonomy
from galaxalign.training import provenance

HERE = Path(__file__).parent
TARGETS = {"efigi": "efigi", "gz1": "galaxy_zoo_1"}
SHARES = (0.01, 0.05, 0.1, 1.0)


@torch.inference_mode()
def features(encoder: Any, images: np.ndarray) -> dict[str, np.ndarray]:
    """Return unit vectors before and after the projection, (N, 1280) and (N, 384) for EfficientNet-Lite0."""
    found: dict[str, list[torch.Tensor]] = {"trunk": [], "projected": []}
    for start in range(0, len(images), 64):
        sums = {"trunk": torch.zeros(()), "projected": torch.zeros(())}
        for view in eight_views(to_tensor(images[start : start + 64], "cpu"))[::2]:
            with torch.autocast("cpu", torch.bfloat16):
                pixels = encoder.normalize(view)
                before = encoder.visual.trunk.forward_features(pixels).mean((2, 3))
                after = encoder.visual(pixels)
            for name, vectors in (("trunk", before), ("projected", after)):
                sums[name] = sums[name] + F.normalize(vectors.float(), dim=-1)
        for name, total in sums.items():
            found[name].append(F.normalize(total, dim=-1))
    return {name: torch.cat(parts).numpy() for name, parts in found.items()}


def opened(model: str) -> Any:
    """Return the encoder of a model folder or by its name."""
    return load_model(model).encoder if model_folder(model).is_dir() else load_encoder(model)


def main() -> None:
    """Measure one model on one target."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--model", required=True, help="model folder, a model in the box, or lite (ImageNet)")
    parser.add_argument("--beside", help="also the features of both models before the projection, side by side")
    parser.add_argument("--target", choices=TARGETS, required=True)
    parser.add_argument("--crop", type=float, default=1.0)
    parser.add_argument("--part", default="test")
    parser.add_argument("--data", type=Path, default=HERE.parent.parent / "shared" / "data")
    parser.add_argument("--out", type=Path, default=HERE / "results")
    args = parser.parse_args()
    encoder = opened(args.model)
    catalog = read_catalog(args.data / args.target / "catalog.csv")
    labels = load_taxonomy(TARGETS[args.target]).encode(catalog.table["label"])
    split = read_split(HERE / "splits" / "mixture.parquet")
    images, _ = load_images(catalog.paths(), replace(encoder.preprocessing, crop=args.crop))
    classes = range(int(labels.max()) + 1)

    def rows(part: str, **options: Any) -> np.ndarray:
        found = split.part(catalog, part, **options)
        return found[labels[found] >= 0]

    validation, tested = rows("validation"), rows(args.part)
    result: dict[str, Any] = {
        "model": Path(args.model).name,
        "target": args.target,
        "part": args.part,
        "crop": args.crop,
    }
    print("| features | mAP | " + " | ".join(f"{share:.0%}" for share in SHARES) + " |\n" + "|---" * 6 + "|")
    found = features(encoder, images)
    if args.beside:
        found[f"trunk beside {args.beside}"] = np.hstack(
            [found["trunk"], features(opened(args.beside), images)["trunk"]]
        )
    for name, vectors in found.items():
        mean_ap = float(np.nanmean(retrieval_scores(vectors[tested], labels[tested]).average_precision))
        told: dict[str, Any] = {"map": mean_ap}
        for share in SHARES:
            scores = []
            for seed in range(3 if share < 1 else 1):
                train = rows("train", share=share, seed=seed)
                fitted = []
                for penalty in (10, 100, 1000) if share < 1 else (30,):
                    head = LogisticRegression(C=penalty, max_iter=500, tol=1e-3).fit(vectors[train], labels[train])
                    chances = np.full((len(validation), len(classes)), 1e-6)
                    chances[:, head.classes_] = head.predict_proba(vectors[validation])
                    chances /= chances.sum(1, keepdims=True)
                    fitted.append((log_loss(labels[validation], chances, labels=list(classes)), penalty, head))
                guess = min(fitted, key=lambda entry: entry[:2])[2].predict(vectors[tested])
                macro = f1_score(labels[tested], guess, average="macro")
                scores.append([accuracy_score(labels[tested], guess), macro])
            told[f"{share:g}"] = {"accuracy_macro_f1_by_seed": scores}
        result[name] = told
        cells = [np.mean(told[f"{share:g}"]["accuracy_macro_f1_by_seed"], axis=0) for share in SHARES]
        shown = " | ".join(f"{accuracy:.3f}/{macro:.3f}" for accuracy, macro in cells)
        print(f"| {name} | {mean_ap:.3f} | {shown} |", flush=True)
    args.out.mkdir(parents=True, exist_ok=True)
    path = args.out / f"linear_transfer_{args.target}-{Path(args.model).name}-{args.part}.json"
    path.write_text(json.dumps(result | {"made": provenance()}, indent=1))
    print(f"saved as {path}")


if __name__ == "__main__":
    main()
