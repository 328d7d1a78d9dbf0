"""What the parts of pretraining on votes are worth: sampled captions, votes, soft targets, symbols, the loss.

    python benchmarks/caption_ablation.py run --seeds 0 1 2 --out FOLDER [--variants sampled fixed ...]
    python benchmarks/archive.py pack caption_ablation FOLDER
    python benchmarks/caption_ablation.py table

Each variant is the recipe `clip-gmc` with one thing changed, trained on the votes of Galaxy Zoo 2 and its Stripe 82
alone (training part of benchmarks/splits/mixture.parquet, validation chooses the epoch). What it has learnt is
measured on galaxies and labels that it never saw: EFIGI's test part by words (zero-shot), by a linear head on 1 % and
10 % of EFIGI's labels and by retrieval; twelve sentences; and, of Galaxy Zoo 2's own test part, how far the
fractions by words alone, calibrated on the validation part, are from the votes. Variants differ in nothing but what
their name says; all settings were fixed before anything was measured. Writes
<out>/caption_ablation_<tower>_<variant>-s<seed>.json.
"""

from __future__ import annotations

import argparse
import copy
import json
import time
from collections import defaultdict
from pathlib import Path
from typing import Any

import numpy as np
import torch
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import accuracy_score, balanced_accuracy_score, f1_score, log_loss

from archive import runs
from galaxalign.data import read_catalog
from galaxalign.data.images import load_images
from galaxalign.data.splits import read_split
from galaxalign.evaluation import retrieval_scores
from galaxalign.evaluation.vote_metrics import score_votes
from galaxalign.inference import encode_array, prompt_prototypes
from galaxalign.models import zero_shot_votes
from galaxalign.models.vote_head import calibrate_votes
from galaxalign.morphology import load_taxonomy
from galaxalign.training import Recipe, fit, load_recipe, open_source, prepare_source, provenance
from linear_transfer import features
from pretrained import SENTENCES, SOURCES, Gallery, precision
from towers import make_encoder, override

HERE = Path(__file__).parent
SPLIT = HERE / "splits" / "mixture.parquet"
VOTED = {"gz2": (0.35, 1.0), "gz2_stripe82": (0.6, 1.0)}
SYMBOLS = {"image-caption": 1.0, "image-symbol": 0.3, "symbol-text": 0.3}
VARIANTS: dict[str, list[str]] = {
    "sampled": [],
    "fixed": ['stage.captions="fixed"'],
    "argmax": ['stage.pairs={"image-text": 1.0}'],
    "soft": ['stage.caption_targets="soft"'],
    "pair": ['stage.caption_targets="pair"'],
    "symbols": [f"stage.pairs={json.dumps(SYMBOLS)}", 'stage.symbol_tower="shared"'],
    "sigmoid": ['stage.loss="sigmoid"'],
    "telescopes": ["augmentation.telescopes=0.6"],
    "untrained": [],
}
SAID = {
    "sampled": "sampled captions, equal sentences count (`clip-gmc`)",
    "fixed": "one fixed caption each",
    "argmax": "class of the most votes, its prompts",
    "soft": "soft targets by the votes",
    "pair": "hard targets, each its own sentence alone",
    "symbols": "and symbols",
    "sigmoid": "sigmoid loss",
    "telescopes": "and other telescopes",
    "untrained": "not trained",
}


def plan(variant: str, epochs: int) -> Recipe:
    """Return the recipe of a variant."""
    common = [f"stage.epochs={epochs}", "validate_every=4", "symbols_per_class=1"]
    return override(load_recipe("clip-gmc"), common + VARIANTS[variant])


class Measured:
    """Held-out galaxies, decoded once."""

    def __init__(self, data: Path, preprocessing: Any) -> None:
        split = read_split(SPLIT)
        catalog = read_catalog(data / "efigi" / "catalog.csv")
        self.labels = load_taxonomy("efigi").encode(catalog.table["label"])
        self.images, _ = load_images(catalog.paths(), preprocessing)

        def rows(part: str, **options: Any) -> np.ndarray:
            found = split.part(catalog, part, **options)
            return found[self.labels[found] >= 0]

        self.rows = {part: rows(part) for part in ("validation", "test")}
        self.few = {share: [rows("train", share=share, seed=seed) for seed in range(3)] for share in (0.01, 0.1)}
        self.galleries = {name: Gallery(data, name, "test") for name in SOURCES}
        self.seen = {n: load_images(g.catalog.paths(), preprocessing)[0] for n, g in self.galleries.items()}
        checked = Gallery(data, "gz2", "validation")
        self.checked = checked, load_images(checked.catalog.paths(), preprocessing)[0]

    def linear(self, vectors: np.ndarray, train: np.ndarray) -> list[float]:
        """Return accuracy and macro F1 of a linear head, its penalty by log loss on the validation part."""
        y, classes, fitted = self.labels, range(int(self.labels.max()) + 1), []
        for penalty in (10, 100, 1000):
            head = LogisticRegression(C=penalty, max_iter=300, tol=1e-3).fit(vectors[train], y[train])
            chances = np.full((len(self.rows["validation"]), len(classes)), 1e-6)
            chances[:, head.classes_] = head.predict_proba(vectors[self.rows["validation"]])
            chances /= chances.sum(1, keepdims=True)
            fitted.append((log_loss(y[self.rows["validation"]], chances, labels=list(classes)), penalty, head))
        guess = min(fitted, key=lambda entry: entry[:2])[2].predict(vectors[self.rows["test"]])
        truth = y[self.rows["test"]]
        return [accuracy_score(truth, guess), f1_score(truth, guess, average="macro")]

    def of(self, encoder: Any) -> dict[str, Any]:
        """Return everything that is measured of one model."""
        found = features(encoder, self.images)
        tested, truth = self.rows["test"], self.labels[self.rows["test"]]
        prompts = prompt_prototypes(encoder, load_taxonomy("efigi"))
        guess = (found["projected"][tested] @ prompts.T).argmax(1)
        told: dict[str, Any] = {
            "efigi_zero_shot": {
                "accuracy": accuracy_score(truth, guess),
                "balanced_accuracy": balanced_accuracy_score(truth, guess),
                "macro_f1": f1_score(truth, guess, average="macro"),
            },
            "efigi_map": float(np.nanmean(retrieval_scores(found["projected"][tested], truth).average_precision)),
        }
        for share, subsets in self.few.items():
            told[f"efigi_linear_{share:g}"] = [self.linear(found["trunk"], train) for train in subsets]
        vectors = {name: encode_array(encoder, images, mirror=True) for name, images in self.seen.items()}
        words = encoder.encode_texts([sentence for sentence, _, _ in SENTENCES]).cpu().numpy()
        told["sentences"] = {
            sentence: precision(words[index], vectors[name], relevant(self.galleries[name]))
            for index, (sentence, name, relevant) in enumerate(SENTENCES)
        }
        gallery = self.galleries["gz2"]
        told["gz2_map"] = float(np.nanmean(retrieval_scores(vectors["gz2"], gallery.labels).average_precision))
        checked, images = self.checked
        assert gallery.votes is not None
        assert checked.votes is not None
        tree = gallery.taxonomy.tree
        assert tree is not None
        head = zero_shot_votes(tree, encoder.encode_texts, float(encoder.model.logit_scale.detach().exp()))
        head = calibrate_votes(head, encode_array(encoder, images, mirror=True), checked.votes)
        fractions = head.fractions(vectors["gz2"]).astype(np.float64)
        told["gz2_votes_rmse"] = score_votes(gallery.votes, fractions, fractions).summary(n=2)["all"]["rmse"]
        return told


def run(args: argparse.Namespace) -> None:
    """Train and measure what is not there yet."""
    torch.set_num_threads(args.threads)
    fresh = make_encoder(args.tower, 1.0, args.shared / "weights", size=128)
    data, split = args.shared / "data", read_split(SPLIT)
    measured = Measured(data, fresh.preprocessing)
    for seed in args.seeds:
        for variant in args.variants:
            path = args.out / f"caption_ablation_{args.tower}_{variant}-s{seed}.json"
            if path.is_file() or (variant == "untrained" and seed):
                continue
            encoder, recipe, history = copy.deepcopy(fresh), plan(variant, args.epochs), []
            started = time.monotonic()
            if variant != "untrained":
                parts = []
                for name, view in VOTED.items():
                    source = open_source(
                        read_catalog(data / name / "catalog.csv"), load_taxonomy("galaxy_zoo_2"), view=view
                    )
                    for part in ("train", "validation"):
                        rows = split.part(source.catalog, part)
                        source.rows[part] = rows[source.labels[rows] >= 0]
                    parts.append(prepare_source(source, encoder.preprocessing, recipe, None, seed, quiet=True)[0])
                history = fit(encoder, recipe, parts, seed=seed).history
            minutes = (time.monotonic() - started) / 60
            told = measured.of(encoder)
            made = {"variant": variant, "seed": seed, "tower": args.tower, "minutes": minutes, "epochs": args.epochs}
            made |= {"recipe": recipe.model_dump(mode="json"), "history": history, "test": told, **provenance()}
            path.write_text(json.dumps(made, indent=1))
            print("DONE", path.stem, f"{minutes:.1f} min", row(told), flush=True)


def row(told: dict[str, Any]) -> dict[str, float]:
    """Return one number of each kind."""
    return {
        "zero-shot balanced accuracy": round(told["efigi_zero_shot"]["balanced_accuracy"], 3),
        "macro F1, 1 %": round(float(np.mean(told["efigi_linear_0.01"], 0)[1]), 3),
        "macro F1, 10 %": round(float(np.mean(told["efigi_linear_0.1"], 0)[1]), 3),
        "EFIGI mAP": round(told["efigi_map"], 3),
        "precision@10": round(float(np.mean(list(told["sentences"].values()))), 3),
        "Galaxy Zoo 2 mAP": round(told["gz2_map"], 3),
        "votes by words, RMSE": round(told["gz2_votes_rmse"], 4),
    }


def table(args: argparse.Namespace) -> str:
    """Return the table: mean over the seeds, and half the range between the smallest and the largest."""
    found: dict[str, list[dict[str, float]]] = defaultdict(list)
    for made, _ in runs("caption_ablation").values():
        if made["tower"] == args.tower:
            found[made["variant"]].append(row(made["test"]))
    names = list(next(iter(found.values()))[0])
    lines = ["| variant | seeds | " + " | ".join(names) + " |", "|---|---|" + "---|" * len(names)]
    for variant in VARIANTS:
        cells = []
        for name in names if found[variant] else ():
            values = [cell[name] for cell in found[variant]]
            spread = f" ±{(max(values) - min(values)) / 2:.3f}" if len(values) > 1 else ""
            cells.append(f"{np.mean(values):.3f}{spread}")
        if cells:
            lines.append(f"| {SAID[variant]} | {len(found[variant])} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def main() -> None:
    """Run or print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("what", choices=("run", "table"))
    parser.add_argument("--variants", nargs="+", choices=VARIANTS, default=list(VARIANTS))
    parser.add_argument("--seeds", nargs="+", type=int, default=[0])
    parser.add_argument("--tower", choices=("lite", "mobilenet"), default="mobilenet")
    parser.add_argument("--epochs", type=int, default=24)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--shared", type=Path, default=HERE.parent.parent / "shared")
    parser.add_argument("--out", type=Path, default=HERE / "results" / "running" / "captions")
    args = parser.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    if args.what == "run":
        run(args)
    else:
        print(table(args))


if __name__ == "__main__":
    main()
