"""One cell of a benchmark: train one method on one data set with one seed and share, and test it once.

    python benchmarks/cells.py --dataset efigi --method galaxalign --tower lite --seed 0

Each cell writes <out>/<name>.json (settings, validation and test figures, history) and <name>.npz (for every
test galaxy its id, class, probabilities and average precision, so that methods can be compared in pairs).
A finished cell is not run again; a killed one goes on from its last epoch.
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import save_file

from galaxalign.analysis.calibration import apply_temperature, fit_temperature
from galaxalign.analysis.classifiers import choose_classifier, zero_shot
from galaxalign.analysis.encode import encode_array, prompt_prototypes, symbol_prototypes
from galaxalign.benchmark.metrics import evaluate_predictions
from galaxalign.benchmark.retrieval import precision_at_k, retrieval_scores
from galaxalign.captions import class_prompts
from galaxalign.data.catalog import read_catalog
from galaxalign.data.images import load_images
from galaxalign.data.preprocessing import Preprocessing
from galaxalign.data.splits import read_split
from galaxalign.encoders.base import eight_views, to_tensor
from galaxalign.encoders.clip import build_lite, build_timm_minilm
from galaxalign.encoders.vision import VisionEncoder, read_weights
from galaxalign.taxonomy import load_taxonomy
from galaxalign.training.provenance import provenance
from galaxalign.training.recipe import Recipe, load_recipe
from galaxalign.training.sources import open_source
from galaxalign.training.step import TrainingData
from galaxalign.training.trainer import TrainingResult, fit

HERE = Path(__file__).parent
TOWERS = {
    "mobilenet": ("mobilenetv3_small_100", "mobilenetv3_small_100_timm.safetensors"),
    "dinov2": ("vit_small_patch14_dinov2", "dinov2_vits14_timm_fp16.safetensors"),
}
DATASETS = {"efigi": ("efigi", 1.0), "gz1": ("galaxy_zoo_1", 0.45)}


def override(recipe: Recipe, changes: list[str]) -> Recipe:
    """Return the recipe with KEY=VALUE changes; stage.KEY changes every stage, stageN.KEY one of them."""
    values = recipe.model_dump(mode="json", by_alias=True)
    for change in changes:
        key, _, text = change.partition("=")
        try:
            value = json.loads(text)
        except ValueError:  # a word
            value = text
        first, _, rest = key.partition(".")
        if first == "stage":
            for stage in values["stage"]:
                stage[rest] = value
        elif first.startswith("stage"):
            values["stage"][int(first[5:])][rest] = value
        elif first == "augmentation":
            values["augmentation"][rest] = value
        else:
            values[key] = value
    return Recipe.model_validate(values)


def make_encoder(tower: str, crop: float, weights: Path, *, words: bool, size: int = 128) -> Any:
    """Return the tower with its text tower, or alone."""
    preprocessing = Preprocessing(crop=crop, size=size)
    if tower == "lite":
        encoder = build_lite(preprocessing=preprocessing)
    else:
        architecture, file = TOWERS[tower]
        encoder = build_timm_minilm(architecture, read_weights(weights / file), preprocessing=preprocessing)
    if words:
        return encoder
    trunk = encoder.visual.trunk
    return VisionEncoder(trunk, name=tower, preprocessing=preprocessing, mean=encoder.mean, std=encoder.std)


@torch.inference_mode()
def embed(encoder: Any, images: np.ndarray, head: torch.Tensor | None) -> tuple[np.ndarray, np.ndarray | None]:
    """Return unit vectors averaged over eight views, and with a head the mean of its probabilities."""
    vectors, probabilities = [], []
    for start in range(0, len(images), 128):
        total, chances = 0.0, 0.0
        for view in eight_views(to_tensor(images[start : start + 128], encoder.device)):
            with torch.autocast("cpu", torch.bfloat16):
                raw = encoder.visual(encoder.normalize(view))
            raw = raw.float()
            total = total + torch.nn.functional.normalize(raw, dim=-1)
            if head is not None:
                chances = chances + (raw @ head[:, :-1].T + head[:, -1]).softmax(1) / 8
        vectors.append(torch.nn.functional.normalize(total, dim=-1))
        if head is not None:
            probabilities.append(chances)
    return torch.cat(vectors).numpy(), torch.cat(probabilities).numpy() if head is not None else None


def run(args: argparse.Namespace) -> dict[str, Any]:
    """Run one cell and return its result."""
    torch.set_num_threads(args.threads)
    taxonomy_name, crop = DATASETS[args.dataset]
    taxonomy = load_taxonomy(taxonomy_name)
    catalog = read_catalog(args.shared / "data" / args.dataset / "catalog.csv")
    split = read_split(HERE / "splits" / "shared.parquet")
    labels = taxonomy.encode(catalog.table["label"])
    rows = {}
    for part in ("train", "validation", "test"):
        members = split.part(catalog, part, share=args.share if part == "train" else 1.0, seed=args.seed)
        rows[part] = members[labels[members] >= 0]
    if args.method in ("probe", "zero-shot"):
        return run_frozen(args, taxonomy, catalog, labels, rows, crop)
    recipe = override(load_recipe(args.recipe or args.method), args.set)
    words = recipe.needs_words
    encoder = make_encoder(args.tower, crop, args.shared / "weights", words=words, size=args.size)
    paths = catalog.paths()
    canvas = encoder.preprocessing.with_margin(encoder.preprocessing.widest_margin())
    started = time.monotonic()
    train_images, _ = load_images([paths[r] for r in rows["train"] if not args.retest], canvas)
    validation_images, _ = load_images([paths[r] for r in rows["validation"]], encoder.preprocessing)
    classes = taxonomy.classes
    prompts = [list(class_prompts(c)) for c in classes]
    symbols = np.zeros((len(classes), 1, args.size, args.size, 3), np.uint8)
    canonical = symbols
    if any(s.uses("symbol") for s in recipe.stages):
        from galaxalign.symbols import symbol_bank

        symbols = symbol_bank(taxonomy, variants=recipe.symbol_variants, size=args.size, seed=args.seed)
        canonical = symbol_bank(taxonomy, variants=1, size=args.size)
    data = TrainingData(
        images=train_images,
        labels=labels[rows["train"]],
        validation_images=validation_images,
        validation_labels=labels[rows["validation"]],
        prompts=prompts,
        symbols=symbols,
        flip_permutation=taxonomy.flip_permutation(),
        canvas_factor=canvas.margin,
        captioner=open_source(catalog, taxonomy).captioner(rows["train"]),
    )
    folder = args.out / "running" / args.name
    folder.mkdir(parents=True, exist_ok=True)
    if args.retest:
        before = json.loads((args.out / f"{args.name}.json").read_text())
        result = TrainingResult(before["history"], before["best_epoch"])
        minutes, trained = before["minutes"], before.get("trained") or provenance_of(before)
        restore(encoder, folder / "weights.safetensors", before["logit_scale"])
    else:
        result = fit(
            encoder,
            recipe,
            data,
            out=folder,
            seed=args.seed,
            settings={"dataset": args.dataset, "tower": args.tower, "share": args.share, "size": args.size},
            on_epoch=lambda row: print(
                args.name,
                " ".join(f"{k} {v:.3f}" if isinstance(v, float) else f"{k} {v}" for k, v in row.items()),
                flush=True,
            ),
        )
        minutes, trained = (time.monotonic() - started) / 60, provenance()
        towers = {"visual": encoder.visual, "symbol": getattr(encoder, "symbol", None)}
        weights = {f"{k}.{n}": t.clone() for k, m in towers.items() if m is not None for n, t in m.state_dict().items()}
        save_file(weights, folder / "weights.safetensors")  # for later looks at the same model; not in git
    test_images, _ = load_images([paths[r] for r in rows["test"]], encoder.preprocessing)
    y_val, y_test = labels[rows["validation"]], labels[rows["test"]]
    v_val, p_val = embed(encoder, validation_images, result.head if not words else None)
    v_test, p_test = embed(encoder, test_images, result.head if not words else None)
    chosen: dict[str, Any] = {"classifier": "head"}
    extra: dict[str, Any] = {}
    if words:
        prior = np.log((np.bincount(data.labels, minlength=len(classes)) + 1) / (len(data.labels) + len(classes)))
        with_symbols = any(s.uses("symbol") for s in recipe.stages)
        variants = min(16, recipe.symbol_variants)
        drawn = symbol_prototypes(encoder, taxonomy, variants=variants) if with_symbols else None
        choice = choose_classifier(
            None,
            (v_val, y_val),
            class_names=taxonomy.class_names,
            prompts=prompt_prototypes(encoder, taxonomy),
            symbols=drawn,
            logit_scale=float(encoder.model.logit_scale.detach().exp()),
            candidates=("prompts", "symbols", "both"),
            log_prior=prior,
        )
        p_val, p_test = choice.predict_proba(v_val), choice.predict_proba(v_test)
        chosen = {"classifier": choice.name, **choice.settings}
        extra["validation_by_classifier"] = choice.validation
        if with_symbols:
            for name, queries in (
                ("canonical", encoder.encode_symbols(canonical[:, 0]).numpy()),
                ("prototype", drawn),
            ):
                k = np.arange(len(classes))
                precision = precision_at_k(queries, k, v_test, y_test, k=10)
                extra[f"symbol_precision_at_10_{name}"] = dict(
                    zip(taxonomy.class_names, precision.tolist(), strict=True)
                )
    elif result.head is not None:
        temperature = fit_temperature(np.log(p_val + 1e-9), y_val)
        p_val, p_test = (apply_temperature(np.log(p + 1e-9), temperature) for p in (p_val, p_test))
    figures = evaluate_predictions(y_test, p_test, list(taxonomy.class_names), vectors=v_test)
    validation = evaluate_predictions(y_val, p_val, list(taxonomy.class_names), vectors=v_val, n_bootstrap=10)
    for file in folder.glob("checkpoint*"):
        file.unlink()
    keys = ("accuracy", "macro_f1", "balanced_accuracy", "map")
    about = {
        **chosen,
        **extra,
        "validation": {k: validation[k] for k in keys},
        "minutes": round(minutes, 2),
        "best_epoch": result.best_epoch,
        "recipe": recipe.model_dump(mode="json"),
        "history": result.history,
        "trained": trained,
    }
    return save(args, catalog, rows, y_test, p_test, v_test, figures, about)


def provenance_of(summary: dict[str, Any]) -> dict[str, Any]:
    """Return what an earlier run of the cell was made with."""
    return {key: summary[key] for key in provenance()}


def restore(encoder: Any, path: Path, logit_scale: float) -> None:
    """Give the encoder the weights that a cell was left with."""
    weights = read_weights(path)
    parts: dict[str, dict[str, torch.Tensor]] = {"visual": {}, "symbol": {}}
    for key, tensor in weights.items():
        tower, name = key.split(".", 1)
        parts[tower][name] = tensor
    encoder.visual.load_state_dict(parts["visual"])
    if parts["symbol"]:
        encoder.copy_symbol_tower()
        encoder.symbol.load_state_dict(parts["symbol"])
    with torch.no_grad():
        encoder.model.logit_scale.fill_(float(np.log(logit_scale)))


def run_frozen(
    args: argparse.Namespace, taxonomy: Any, catalog: Any, labels: np.ndarray, rows: dict[str, np.ndarray], crop: float
) -> dict[str, Any]:
    """Test the tower as it comes: a logistic regression on its features, or its words before any training."""
    words = args.method == "zero-shot"
    encoder = make_encoder(args.tower, crop, args.shared / "weights", words=words, size=args.size)
    paths = catalog.paths()
    pixels = {
        part: load_images([paths[r] for r in members], encoder.preprocessing)[0] for part, members in rows.items()
    }
    vectors = {part: encode_array(encoder, pixels[part], mirror=True) for part in ("validation", "test")}
    names = taxonomy.class_names
    if words:
        scale = float(encoder.model.logit_scale.detach().exp())
        choice = zero_shot(names, prompt_prototypes(encoder, taxonomy), logit_scale=scale)
    else:
        train = np.concatenate(
            [encoder.encode_images(pixels["train"][i : i + 64]) for i in range(0, len(rows["train"]), 64)]
        )
        choice = choose_classifier(
            (train, labels[rows["train"]]),
            (vectors["validation"], labels[rows["validation"]]),
            class_names=names,
            candidates=("linear",),
        )
    y_test = labels[rows["test"]]
    probabilities = choice.predict_proba(vectors["test"])
    figures = evaluate_predictions(y_test, probabilities, names, vectors=vectors["test"])
    return save(
        args,
        catalog,
        rows,
        y_test,
        probabilities,
        vectors["test"],
        figures,
        {"classifier": choice.name, **choice.settings},
    )


def save(
    args: argparse.Namespace,
    catalog: Any,
    rows: dict[str, np.ndarray],
    y_test: np.ndarray,
    probabilities: np.ndarray,
    vectors: np.ndarray,
    figures: dict[str, Any],
    about: dict[str, Any],
) -> dict[str, Any]:
    """Write the cell's figures, and what is needed to compare it with another cell galaxy by galaxy."""
    found = retrieval_scores(vectors, y_test)
    np.savez_compressed(
        args.out / f"{args.name}.npz",
        ids=np.array([catalog.ids[r] for r in rows["test"]]),
        labels=y_test,
        probabilities=probabilities.astype(np.float16),
        average_precision=found.average_precision.astype(np.float32),
        average_precision_at_5=found.average_precision_at_5.astype(np.float32),
    )
    summary = {
        "name": args.name,
        "dataset": args.dataset,
        "tower": args.tower,
        "method": args.method,
        "seed": args.seed,
        "share": args.share,
        "set": args.set,
        "n_train": len(rows["train"]),
        "test": figures,
        **about,
        **provenance(),
    }
    (args.out / f"{args.name}.json").write_text(json.dumps(summary, indent=1))
    keys = ("accuracy", "macro_f1", "balanced_accuracy", "map", "map_at_5", "ece", "brier")
    shown = {k: round(figures[k], 3) for k in keys}
    validation = {k: round(v, 3) for k, v in about.get("validation", {}).items()}
    print(
        "DONE",
        args.name,
        about["classifier"],
        "val",
        validation,
        "test",
        shown,
        about.get("minutes", ""),
        "min",
        flush=True,
    )
    return summary


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--shared", type=Path, default=HERE.parent.parent / "shared")
    parser.add_argument("--dataset", choices=DATASETS, default="efigi")
    parser.add_argument("--tower", choices=("lite", "mobilenet"), default="lite")
    parser.add_argument("--method", required=True, help="a name for the row; also the recipe unless --recipe is given")
    parser.add_argument("--recipe")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--share", type=float, default=1.0)
    parser.add_argument("--size", type=int, default=128)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--set", nargs="*", default=[], metavar="KEY=VALUE")
    parser.add_argument("--retest", action="store_true", help="choose the classifier and test again, without training")
    parser.add_argument("--out", type=Path, default=HERE / "results")
    args = parser.parse_args()
    args.name = f"{args.dataset}-{args.tower}-{args.method}-s{args.seed}-p{args.share * 100:g}"
    args.out.mkdir(parents=True, exist_ok=True)
    if args.retest:
        args.set = json.loads((args.out / f"{args.name}.json").read_text())["set"]
    elif (args.out / f"{args.name}.json").is_file():
        print("already there:", args.name)
        return
    run(args)


if __name__ == "__main__":
    main()
