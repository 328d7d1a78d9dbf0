"""What a pretrained model knows of held-out galaxies: classes, sentences, symbols, and other telescopes.

    python benchmarks/pretrained.py --model RUN [--name NAME] [--part test] [--out benchmarks/results]

For every catalogue of shared galaxies: accuracy, macro F1, balanced accuracy, mAP and mAP@5 by the model's own
classifier where it has learnt the taxonomy, and by words alone everywhere (`zero_shot`); precision@10 of sentences and
of class symbols; and with --shifts figures on copies of the galaxies as another survey might have taken them. Views are
averaged as `galaxalign classify` does, but for the copies, which are seen once. Only galaxies of one part of
benchmarks/splits/mixture.parquet count, none of which a model that was trained with that split has seen. Writes
<out>/pretrained_<name>_<part>.json and prints Markdown.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image

from galaxalign.data import read_catalog
from galaxalign.data.images import load_images
from galaxalign.data.splits import read_split
from galaxalign.evaluation import classification_metrics as told, retrieval_scores
from galaxalign.evaluation.metrics import bootstrap_intervals, bootstrap_mean
from galaxalign.inference import encode_array, prompt_prototypes
from galaxalign.models import Model, load_encoder, load_model, model_folder, zero_shot
from galaxalign.morphology import Taxonomy, Votes, load_taxonomy, symbol_bank
from galaxalign.training import open_source, provenance

HERE = Path(__file__).parent
SOURCES = {
    "efigi": "efigi",
    "gz1": "galaxy_zoo_1",
    "gz2": "galaxy_zoo_2",
    "gz2_stripe82": "galaxy_zoo_2",
}

SHOWN = ("accuracy", "macro_f1")
Rows = Callable[["Gallery"], np.ndarray]


class Gallery:
    """The held-out galaxies of one catalogue, with what is known of each."""

    def __init__(self, data: Path, name: str, part: str) -> None:
        catalog = read_catalog(data / name / "catalog.csv")
        self.name, self.taxonomy = name, load_taxonomy(SOURCES[name])
        source = open_source(catalog, self.taxonomy)
        rows = read_split(HERE / "splits" / "mixture.parquet").part(catalog, part)
        rows = rows[source.labels[rows] >= 0]
        self.catalog, self.labels = catalog.select(rows), source.labels[rows]
        self.votes: Votes | None = None if source.votes is None else source.votes.take(rows)

    def attribute(self, name: str) -> np.ndarray:
        """An attribute of EFIGI; NaN where it is undefined."""
        values = self.catalog.table[name].to_numpy(float)
        return np.where(values < 0, np.nan, values)

    def share(self, *stems: str) -> np.ndarray:
        """Share of all volunteers who gave one of these answers."""
        assert self.votes is not None
        shares = self.votes.tree.shares(self.votes.fractions)
        return sum(shares[:, self.votes.tree.stems.index(stem)] for stem in stems)  # type: ignore[return-value]

    def label(self, *names: str) -> np.ndarray:
        """Whether the class is one of these."""
        return np.isin(np.array(self.taxonomy.class_names)[self.labels], names)


def spirals(g: Gallery) -> np.ndarray:
    """EFIGI's spirals."""
    return g.label("late_spiral", "early_spiral")


def edge_on_with_bulge(g: Gallery) -> np.ndarray:
    """EFIGI's inclined discs with a bulge."""
    disc = ~g.label("elliptical", "dwarf_elliptical")
    return disc & (g.attribute("Inclination") >= 0.75) & (g.attribute("Bulge_to_Total") >= 0.25)


def loose_and_barred(g: Gallery) -> np.ndarray:
    """EFIGI's barred spirals with open arms."""
    return spirals(g) & (g.attribute("Bar_Length") >= 0.5) & (g.attribute("Arm_Curvature") <= 0.5)


def tight_with_bulge(g: Gallery) -> np.ndarray:
    """EFIGI's tightly wound spirals with a large bulge."""
    return spirals(g) & (g.attribute("Arm_Curvature") >= 0.5) & (g.attribute("Bulge_to_Total") >= 0.5)


# Which galaxies a sentence is about, as the catalogue knows it; written down before any model was looked at.
SENTENCES: list[tuple[str, str, Rows]] = [
    ("an edge-on disc with a bulge", "efigi", edge_on_with_bulge),
    ("an edge-on galaxy", "gz1", lambda g: g.label("edge_on")),
    ("two galaxies merging", "gz1", lambda g: g.label("merger")),
    ("a barred spiral with loose arms", "efigi", loose_and_barred),
    ("a perfectly round smooth galaxy", "gz2", lambda g: g.share("t07_rounded_a16_completely_round") >= 0.5),
    ("a galaxy with a ring", "efigi", lambda g: np.fmax(g.attribute("Inner_Ring"), g.attribute("Outer_Ring")) >= 0.5),
    ("a cigar-shaped galaxy", "gz2", lambda g: g.share("t07_rounded_a18_cigar_shaped") >= 0.4),
    ("a barred galaxy", "efigi", lambda g: g.attribute("Bar_Length") >= 0.5),
    ("an irregular galaxy without a bulge", "efigi", lambda g: g.label("irregular")),
    ("a lenticular galaxy, a disc without spiral arms", "efigi", lambda g: g.label("lenticular")),
    ("a galaxy with strong dust lanes", "efigi", lambda g: g.attribute("Visible_Dust") >= 0.75),
    ("a spiral galaxy with tightly wound arms and a large bulge", "efigi", tight_with_bulge),
]


def shifted(images: np.ndarray) -> dict[str, np.ndarray]:
    """Return copies (N, S, S, 3), uint8, as other surveys might have taken them; always the same."""
    x = torch.from_numpy(images).permute(0, 3, 1, 2).float() / 255
    side = x.shape[2]
    noise = torch.randn(x.shape, generator=torch.Generator().manual_seed(0))

    def zoomed(factor: float) -> torch.Tensor:
        inner = round(side * factor)
        start = (side - inner) // 2
        cut = x[:, :, start : start + inner, start : start + inner]
        return F.interpolate(cut, size=(side, side), mode="bilinear", antialias=True)

    wide = F.pad(F.interpolate(x, size=(side * 5 // 8,) * 2, mode="bilinear", antialias=True), (side * 3 // 16,) * 4)
    wide = F.interpolate(wide, size=(side, side), mode="bilinear")
    kernel = torch.exp(-0.5 * (torch.arange(-4, 5) / 1.5) ** 2)
    kernel = (kernel / kernel.sum()).expand(3, 1, -1)
    padded = F.pad(x, (4, 4, 4, 4), mode="reflect")
    blurred = F.conv2d(F.conv2d(padded, kernel[:, :, :, None], groups=3), kernel[:, :, None, :], groups=3)
    copies = {
        "monochrome (mean of the bands)": x.mean(1, keepdim=True).expand_as(x),
        "one band (the reddest)": x[:, :1].expand_as(x),
        "bands swapped": x.flip(1),
        "softer stretch (square root)": x.sqrt(),
        "harder stretch (power 1.7)": x**1.7,
        "seeing (Gaussian of 1.5 px)": blurred,
        "shallow (noise of 6 % of the range)": x + 0.06 * noise,
        "sky level of 12 %": x * 0.88 + 0.12,
        "larger (the inner 60 %)": zoomed(0.6),
        "smaller (5/8, on black)": wide,
    }
    return {k: (v.clamp(0, 1) * 255).round().byte().permute(0, 2, 3, 1).numpy() for k, v in copies.items()}


def probabilities(model: Model, scheme: Taxonomy, vectors: np.ndarray) -> dict[str, np.ndarray]:
    """Return class probabilities by the model's own classifier, where it has one, and by words alone."""
    prompts = prompt_prototypes(model.encoder, scheme)
    scale = float(model.encoder.model.logit_scale.detach().exp())
    found = {"zero_shot": zero_shot(scheme.class_names, prompts, logit_scale=scale).predict_proba(vectors)}
    task = model.task(scheme)
    return {"own": task.classifier.predict_proba(vectors), **found} if task is not None else found


def figures(labels: np.ndarray, chances: np.ndarray, names: tuple[str, ...]) -> dict[str, Any]:
    """Return accuracy, macro F1 and balanced accuracy with intervals."""
    found = told(labels, chances, names)
    intervals = bootstrap_intervals(labels, chances.argmax(1))
    kept = {key: float(found[key]) for key in ("accuracy", "macro_f1", "balanced_accuracy", "ece")}
    return kept | {f"{key}_ci": list(map(float, intervals[key])) for key in ("accuracy", "macro_f1")}


def of_gallery(model: Model, gallery: Gallery, *, shifts: bool) -> tuple[dict[str, Any], np.ndarray]:
    """Return the figures of one catalogue, and the vectors of its galaxies."""
    encoder, scheme = model.encoder, gallery.taxonomy
    images, statuses = load_images(gallery.catalog.paths(), encoder.preprocessing)
    assert all(status == "ok" for status in statuses), statuses
    vectors = encode_array(encoder, images, mirror=True)
    result: dict[str, Any] = {"n": len(vectors)}
    for way, chances in probabilities(model, scheme, vectors).items():
        result[way] = figures(gallery.labels, chances, scheme.class_names)
    scores = retrieval_scores(vectors, gallery.labels)
    for key, name in (("average_precision", "map"), ("average_precision_at_5", "map_at_5")):
        values = getattr(scores, key)
        result[name] = float(np.nanmean(values))
        result[f"{name}_ci"] = list(map(float, bootstrap_mean(values)))
    if encoder.symbol is not None:
        drawn = encoder.encode_symbols(symbol_bank(scheme, variants=1, size=encoder.preprocessing.size)[:, 0])
        result["symbol_precision_at_10"] = {
            name: precision(drawn[index].numpy(), vectors, gallery.labels == index)
            for index, name in enumerate(scheme.class_names)
            if (gallery.labels == index).sum() >= 5
        }
    if shifts:
        result["shifted"] = {}
        for name, copies in {"the galaxies as they are": images, **shifted(images)}.items():
            seen = one_view(encoder, copies)
            result["shifted"][name] = {
                way: {
                    key: float(figures(gallery.labels, chances, scheme.class_names)[key])
                    for key in ("accuracy", "macro_f1")
                }
                for way, chances in probabilities(model, scheme, seen).items()
            }
    return result, vectors


def one_view(encoder: Any, images: np.ndarray) -> np.ndarray:
    """Return unit vectors of pictures seen once each: a tenth of the time is enough to compare copies."""
    parts = [encoder.encode_images(images[start : start + 64]).numpy() for start in range(0, len(images), 64)]
    return np.concatenate(parts)


def precision(query: np.ndarray, vectors: np.ndarray, relevant: np.ndarray, k: int = 10) -> float:
    """Return the share of the k galaxies nearest to a query that are relevant."""
    return float(relevant[np.argsort(-(vectors @ query), kind="stable")[:k]].mean())


def panel(found: list[list[np.ndarray]], path: Path) -> None:
    """Save the first answers to each sentence, a row each; relevant ones have a white frame."""
    Image.fromarray(np.concatenate([np.concatenate(row, axis=1) for row in found])).save(path)


def main() -> None:
    """Evaluate one model."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--model", required=True, help="model folder, or an encoder by name such as lite (untrained)")
    parser.add_argument("--name")
    parser.add_argument("--part", default="test")
    parser.add_argument("--shifts", action="store_true", help="also copies as other surveys might have taken them")
    parser.add_argument("--data", type=Path, default=HERE.parent.parent / "shared" / "data")
    parser.add_argument("--out", type=Path, default=HERE / "results")
    parser.add_argument("--panel", type=Path, help="a picture of the first ten answers to each sentence")
    parser.add_argument("--threads", type=int, default=2)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    if model_folder(args.model).is_dir():
        model = load_model(args.model)
    else:
        scheme = load_taxonomy("galaxy_zoo_2")
        empty = zero_shot(scheme.class_names, np.zeros((len(scheme), 384), np.float32), logit_scale=1.0)
        model = Model(load_encoder(args.model), load_taxonomy("galaxy_mnist"), empty)
    name = args.name or Path(args.model).name
    result: dict[str, Any] = {"model": name, "part": args.part, "trained": model.settings, "made": provenance()}
    galleries = {source: Gallery(args.data, source, args.part) for source in SOURCES}
    vectors = {}
    result["catalogues"] = {}
    for source, gallery in galleries.items():
        result["catalogues"][source], vectors[source] = of_gallery(model, gallery, shifts=args.shifts)
        print(source, json.dumps({k: v for k, v in result["catalogues"][source].items() if k != "shifted"}), flush=True)
    texts = model.encoder.encode_texts([text for text, _, _ in SENTENCES]).numpy()
    result["sentences"], rows = [], []
    for (text, source, rule), query in zip(SENTENCES, texts, strict=True):
        relevant = np.nan_to_num(rule(galleries[source]).astype(float)).astype(bool)
        found = precision(query, vectors[source], relevant)
        entry = {"text": text, "gallery": source, "precision_at_10": found, "chance": float(relevant.mean())}
        result["sentences"].append(entry | {"n_relevant": int(relevant.sum())})
        if args.panel:
            best = np.argsort(-(vectors[source] @ query), kind="stable")[:10]
            pictures, _ = load_images(galleries[source].catalog.select(best).paths(), model.encoder.preprocessing)
            for picture, right in zip(pictures, relevant[best], strict=True):
                if right:
                    picture[:2], picture[-2:], picture[:, :2], picture[:, -2:] = 255, 255, 255, 255
            rows.append(list(pictures))
    result["mean_precision_at_10"] = float(np.mean([entry["precision_at_10"] for entry in result["sentences"]]))
    if args.panel:
        panel(rows, args.panel)
    args.out.mkdir(parents=True, exist_ok=True)
    path = args.out / f"pretrained_{name}_{args.part}.json"
    path.write_text(json.dumps(result, indent=1))
    print(markdown(result))
    print(f"saved as {path}")


def markdown(result: dict[str, Any]) -> str:
    """Return the tables."""
    lines = [
        "| catalogue | n | by | accuracy | macro F1 | balanced | mAP | mAP@5 |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for source, found in result["catalogues"].items():
        for way, title in (("own", "its classifier"), ("zero_shot", "words alone")):
            if way in found:
                values = " | ".join(f"{found[way][key]:.3f}" for key in ("accuracy", "macro_f1", "balanced_accuracy"))
                lines.append(
                    f"| {source} | {found['n']} | {title} | {values} | {found['map']:.3f} | {found['map_at_5']:.3f} |"
                )
    lines += ["", "| sentence | gallery | precision@10 | chance |", "|---|---|---|---|"]
    for entry in result["sentences"]:
        lines.append(
            f"| {entry['text']} | {entry['gallery']} | {entry['precision_at_10']:.1f} | {entry['chance']:.2f} |"
        )
    lines.append(f"| mean | | {result['mean_precision_at_10']:.2f} | |")
    if any("shifted" in found for found in result["catalogues"].values()):
        sources = [source for source, found in result["catalogues"].items() if "shifted" in found]
        lines += ["", "| macro F1, one view of | " + " | ".join(sources) + " |", "|---" * (len(sources) + 1) + "|"]
        way = {source: "own" if "own" in result["catalogues"][source] else "zero_shot" for source in sources}
        for name in result["catalogues"][sources[0]]["shifted"]:
            values = [f"{result['catalogues'][s]['shifted'][name][way[s]]['macro_f1']:.3f}" for s in sources]
            lines.append(f"| {name} | " + " | ".join(values) + " |")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
