"""Transfer to another survey with few labels: a grid of starts, methods, shares and seeds, and its tables.

    python benchmarks/transfer.py start --tower mobilenet --out starts     # the same tower from ImageNet
    python benchmarks/transfer.py run --start pretrained=FOLDER --start imagenet=starts/imagenet \\
        --target efigi --methods linear fine-tune lp-ft flyp --shares 1 10 --seeds 0 1 2 --out FOLDER
    python benchmarks/archive.py pack transfer FOLDER
    python benchmarks/transfer.py table --target efigi

Each cell is `galaxalign.transfer` and one look at the test part of benchmarks/splits/shared.parquet. It writes
transfer_<target>-<start>-<method>-s<seed>-p<share>.json and .npz. Interrupt any time; rerun to resume.
Every method that trains the tower gives a second cell, <method>+wise, with the weights mixed as validation says.
"""

from __future__ import annotations

import argparse
import json
import shutil
import time
from collections import defaultdict
from pathlib import Path
from typing import Any

import numpy as np
import torch

from archive import runs
from compare import METRICS, SHOWN, Method
from galaxalign.data import read_catalog
from galaxalign.data.images import load_images
from galaxalign.data.splits import read_split
from galaxalign.evaluation import evaluate_predictions, retrieval_scores
from galaxalign.inference import encode_array
from galaxalign.models import Model, load_model, save_model, zero_shot
from galaxalign.morphology import load_taxonomy
from galaxalign.training import METHODS, provenance
from galaxalign.verbs import transfer
from towers import DATASETS, TOWERS, make_encoder

HERE = Path(__file__).parent
SPLIT = HERE / "splits" / "shared.parquet"
TRAINED = tuple(method for method, recipe in METHODS.items() if recipe is not None)
KEPT = ("accuracy", "macro_f1", "balanced_accuracy", "map", "map_at_5", "ece", "brier", "n")


def make_start(args: argparse.Namespace) -> None:
    """Save the towers as ImageNet and MiniLM left them: what a pretrained galaxy model is compared with."""
    taxonomy = load_taxonomy("efigi")
    encoder = make_encoder(args.tower, 1.0, args.shared / "weights", size=args.size)
    unknown = zero_shot(taxonomy.class_names, np.zeros((len(taxonomy), encoder.dimension)), logit_scale=1.0)
    card = f"# {args.tower} from ImageNet\n\nKnows no galaxies; its classifier is of no use."
    print(save_model(Model(encoder, taxonomy, unknown), args.out / "imagenet", card=card))


def run_cell(args: argparse.Namespace, start: str, model: Path, method: str, share: float, seed: int) -> None:
    """Run one method from one start, with and without mixing the weights."""
    names = [method, f"{method}+wise"] if method in TRAINED and args.wise else [method]
    folder = args.work / f"{args.target}-{start}-{method}-s{seed}-p{share:g}"
    for name in names:
        path = args.out / f"transfer_{args.target}-{start}-{name}-s{seed}-p{share:g}.json"
        if path.is_file():
            continue
        taxonomy, crop = DATASETS[args.target]
        source = args.shared / "data" / args.target / "catalog.csv"
        mixing = None if method not in TRAINED else "auto" if name != method else 1.0
        began = time.monotonic()
        transfer(
            catalog=source,
            model=model,
            taxonomy=taxonomy,
            out=folder,
            share=share,
            method=method,
            wise_ft=mixing,
            recipe=args.recipe if method in TRAINED else None,
            steps=args.steps,
            validation_share=args.validation_share,
            split=SPLIT,
            crop=crop,
            seed=seed,
            quiet=True,
        )
        minutes = (time.monotonic() - began) / 60
        cell = {
            "target": args.target,
            "start": start,
            "method": name,
            "share": share,
            "seed": seed,
            "minutes": round(minutes, 2),
        }
        save(path, load_model(folder), source, cell)
    shutil.rmtree(folder, ignore_errors=True)


def save(path: Path, model: Model, source: Path, cell: dict[str, str | float]) -> None:
    """Write the cell's test figures, and what pairs it with another cell galaxy by galaxy."""
    catalog, scheme = read_catalog(source), model.taxonomy
    labels = scheme.encode(catalog.table["label"])
    rows = read_split(SPLIT).part(catalog, "test")
    rows = rows[labels[rows] >= 0]
    locations = catalog.paths()
    images, statuses = load_images([locations[row] for row in rows], model.encoder.preprocessing)
    if any(status != "ok" for status in statuses):
        raise SystemExit(f"test images of {source} cannot be read")
    vectors = encode_array(model.encoder, images, mirror=not scheme.handed)
    probabilities, truth = model.classifier.predict_proba(vectors), labels[rows]
    figures = evaluate_predictions(truth, probabilities, scheme.class_names, vectors=vectors)
    found = retrieval_scores(vectors, truth)
    np.savez_compressed(
        path.with_suffix(".npz"),
        ids=np.array([catalog.ids[row] for row in rows]),
        labels=truth,
        probabilities=probabilities.astype(np.float16),
        average_precision=found.average_precision.astype(np.float32),
        average_precision_at_5=found.average_precision_at_5.astype(np.float32),
    )
    choice = model.classifier
    summary = {
        **cell,
        "n_train": model.settings["data"]["n_train"][0],
        "n_validation": model.settings["data"]["n_validation"][0],
        "classifier": choice.name,
        "validation": choice.validation.get(choice.name),
        "wise_ft": model.settings.get("wise_ft"),
        "best_epoch": model.settings.get("best_epoch"),
        "test": {key: figures[key] for key in KEPT},
        "transfer": model.settings["transfer"],
        **provenance(),
    }
    path.write_text(json.dumps(summary, indent=1))
    told = {key: round(figures[key], 3) for key in ("accuracy", "macro_f1", "map")}
    checked = {k: round(v, 3) for k, v in (summary["validation"] or {}).items() if isinstance(v, float)}
    mixed = (summary["wise_ft"] or {}).get("share")
    print(
        "DONE",
        path.stem,
        choice.name,
        "mix",
        mixed,
        "val",
        checked,
        "test",
        told,
        f"{cell['minutes']:.1f} min",
        flush=True,
    )


def run(args: argparse.Namespace) -> None:
    """Run the grid."""
    torch.set_num_threads(args.threads)
    args.out.mkdir(parents=True, exist_ok=True)
    starts = dict(text.split("=", 1) for text in args.start)
    for seed in args.seeds:
        for share in args.shares:
            for method in args.methods:
                for start, model in starts.items():
                    run_cell(args, start, Path(model), method, share, seed)


def table(args: argparse.Namespace) -> str:
    """Return the tables: figures of each start and method, and paired differences with the best of the baseline."""
    found: dict[float, dict[tuple[str, str], list[Any]]] = defaultdict(lambda: defaultdict(list))
    for summary, arrays in runs("transfer").values():
        if summary["target"] == args.target:
            found[summary["share"]][summary["start"], summary["method"]].append((summary, arrays))
    lines: list[str] = []
    for share in sorted(found):
        methods = {key: Method(cells) for key, cells in sorted(found[share].items())}
        n = sorted({s["n_train"] for m in methods.values() for s in m.summaries if s["n_train"]})
        tested = next(iter(methods.values())).summaries[0]["test"]["n"]
        lines += [
            f"### {args.target}, {share:g} % of the training labels",
            "",
            f"{'/'.join(map(str, n)) or 'no'} training galaxies, {tested} test galaxies; 95 % bootstrap intervals.",
            "",
            "| start | method | seeds | " + " | ".join(SHOWN.values()) + " | mix |",
            "|---|---|---|" + "---|" * (len(SHOWN) + 1),
        ]
        for (start, name), method in methods.items():
            cells = []
            for metric in METRICS:
                values, (low, high) = method.seeds(metric), method.interval(metric)
                spread = f" ±{values.std(ddof=1):.3f}" if len(values) > 1 else ""
                cells.append(f"{values.mean():.3f}{spread} [{low:.3f}, {high:.3f}]")
            mixed = [(s["wise_ft"] or {}).get("share") for s in method.summaries]
            shown = ", ".join(f"{m:g}" for m in mixed) if name.endswith("+wise") else ""
            lines.append(f"| {start} | {name} | {len(method.summaries)} | " + " | ".join(cells) + f" | {shown} |")
        lines += ["", "| difference | seeds | " + " | ".join(SHOWN.values()) + " |", "|---|---|" + "---|" * len(SHOWN)]
        for key, method in methods.items():
            for base in ("linear", "fine-tune"):
                other = methods.get((args.baseline, base))
                if other is None or key[0] == args.baseline:
                    continue
                one, two, seeds = method.shared(other)
                if not seeds:
                    continue
                cells = []
                for metric in METRICS:
                    value, low, high = one.minus(two, metric)
                    cells.append(f"{value:+.3f} [{low:+.3f}, {high:+.3f}]")
                named = f"{' '.join(key)} − {args.baseline} {base}"
                lines.append(f"| {named} | {len(seeds)} | " + " | ".join(cells) + " |")
        lines.append("")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("what", choices=("start", "run", "table"))
    parser.add_argument("--shared", type=Path, default=HERE.parent.parent / "shared")
    parser.add_argument("--tower", choices=("lite", *TOWERS), default="mobilenet")
    parser.add_argument("--size", type=int, default=128)
    parser.add_argument("--start", action="append", default=[], metavar="NAME=FOLDER")
    parser.add_argument("--target", choices=DATASETS, default="efigi")
    parser.add_argument("--methods", nargs="+", choices=METHODS, default=["linear", "fine-tune", "lp-ft", "flyp"])
    parser.add_argument("--shares", nargs="+", type=float, default=[1.0, 10.0], help="percent")
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2])
    parser.add_argument("--recipe", help="for the methods that train the tower")
    parser.add_argument("--steps", type=int, default=300)
    parser.add_argument("--validation-share", type=float, default=100.0)
    parser.add_argument("--wise", action=argparse.BooleanOptionalAction, default=True, help="also mix the weights")
    parser.add_argument("--baseline", default="imagenet", help="start that the others are compared with")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--work", type=Path, default=HERE / "results" / "running", help="unfinished runs; not in git")
    parser.add_argument("--out", type=Path, default=HERE / "results" / "running" / "transfer")
    args = parser.parse_args()
    if args.what == "start":
        make_start(args)
    elif args.what == "run":
        run(args)
    else:
        print(table(args))


if __name__ == "__main__":
    main()
