"""Put a trained model into the box: half precision, a head for votes, the model card with its figures.

    python benchmarks/build_galaxy_lite.py --model RUN [--data ../shared/data] [--out src/galaxalign/models/galaxy-lite]
    python benchmarks/pretrained.py --model galaxy-lite --shifts
    python benchmarks/build_galaxy_lite.py --card

RUN is what the second of these commands trains, FIRST (packed the same way) being `galaxy-lite` then
(docs/explanation/galaxy-lite.md):

    galaxalign train galaxy-lite --split benchmarks/splits/mixture.parquet --out RUN \\
      --catalog gz2/catalog.csv --taxonomy galaxy_zoo_2 --weight 2 --view 0.35-1 \\
      --catalog gz2_stripe82/catalog.csv --taxonomy galaxy_zoo_2 --weight 2 --view 0.6-1 \\
      --catalog efigi/catalog.csv --taxonomy efigi --weight 1 --view 0.8-1 \\
      --catalog gz1/catalog.csv --taxonomy galaxy_zoo_1 --weight 1 --view 0.35-1
    galaxalign train benchmarks/galaxy_lite_further.toml --encoder galaxy-lite --out RUN \
      --split benchmarks/splits/mixture.parquet \
      --catalog gz2/catalog.csv --taxonomy galaxy_zoo_2 --weight 2 --view 0.3-1.3 \
      --catalog gz2_stripe82/catalog.csv --taxonomy galaxy_zoo_2 --weight 2 --view 0.5-1.8 \
      --catalog efigi/catalog.csv --taxonomy efigi --weight 1 --view 0.6-2.5 \
      --catalog gz1/catalog.csv --taxonomy galaxy_zoo_1 --weight 1 --view 0.3-1.3

The second call measures what is in the box, the third writes these figures into its card.
"""

from __future__ import annotations

import argparse
import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np

from galaxalign.data import read_catalog
from galaxalign.data.images import load_images
from galaxalign.data.splits import read_split
from galaxalign.inference import encode_array
from galaxalign.models import ClipEncoder, Model, VoteHead, fit_vote_head, load_model, save_model
from galaxalign.models.saved_encoder import halve
from galaxalign.morphology import Votes, load_taxonomy, read_votes
from galaxalign.training.trained_on import TRAINED_ON
from pretrained import markdown

HERE = Path(__file__).parent
BOX = HERE.parent / "src" / "galaxalign" / "models" / "galaxy-lite"
RESULT = HERE / "results" / "pretrained_galaxy-lite_test.json"


def vote_head(encoder: ClipEncoder, data: Path) -> VoteHead:
    """Return a head fitted on the votes of the training parts of both Galaxy Zoo 2 catalogues."""
    tree = load_taxonomy("galaxy_zoo_2").tree
    assert tree is not None
    split = read_split(HERE / "splits" / "mixture.parquet")
    parts = []
    for part in ("train", "validation"):
        vectors, fractions, voters = [], [], []
        for name in ("gz2", "gz2_stripe82"):
            catalog = read_catalog(data / name / "catalog.csv")
            rows = split.part(catalog, part)
            images, _ = load_images([catalog.paths()[row] for row in rows], encoder.preprocessing)
            vectors.append(encode_array(encoder, images, mirror=True))
            votes = read_votes(catalog.table, tree).take(rows)
            fractions.append(votes.fractions)
            voters.append(votes.voters)
        held = Votes(tree, np.concatenate(fractions), np.concatenate(voters), "weighted_fraction")
        parts.append((np.concatenate(vectors), held))
    head = fit_vote_head(parts[0], parts[1])
    about = {"taxonomy": "galaxy_zoo_2", "catalog": "gz2, gz2_stripe82", "kind": "weighted_fraction"}
    return replace(head, settings=head.settings | about | {"encoder_fingerprint": encoder.fingerprint})


def card(model: Model) -> str:
    """Return the model card."""
    data = model.settings["data"]
    counts = "\n".join(
        f"| {name} | {taxonomy} | {n} | {m} | {weight:g} | {'-'.join(f'{x:g}' for x in view) if view else 'all'} |"
        for name, taxonomy, n, m, weight, view in zip(
            data["catalog"],
            data["taxonomy"],
            data["n_train"],
            data["n_validation"],
            data["weight"],
            data["view"],
            strict=True,
        )
    )
    figures = markdown(json.loads(RESULT.read_text())) if RESULT.is_file() else "Not measured yet."
    text = (HERE / "galaxy_lite_card.md").read_text()
    stages = ", ".join(f"{stage['name']} {stage['epochs']} epochs" for stage in model.settings["recipe"]["stages"])
    return (
        text.replace("{COUNTS}", counts)
        .replace("{FIGURES}", figures)
        .replace("{STAGES}", stages)
        .replace("{BEST}", str(model.settings["best_epoch"]))
        .replace("{SEED}", str(model.settings["seed"]))
    )


def main() -> None:
    """Build the box, or write its card again."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--model", type=Path)
    parser.add_argument("--card", action="store_true", help="only write the card of what is in the box")
    parser.add_argument("--data", type=Path, default=HERE.parent.parent / "shared" / "data")
    parser.add_argument("--out", type=Path, default=BOX)
    args = parser.parse_args()
    if args.card:
        (args.out / "README.md").write_text(card(load_model(args.out)))
        return
    model = load_model(args.model)
    assert isinstance(model.encoder, ClipEncoder)
    halve(model.encoder)
    model = replace(model, votes=vote_head(model.encoder, args.data))
    save_model(model, args.out, card=card(model), compact=True)
    shutil.copyfile(args.model / TRAINED_ON, args.out / TRAINED_ON)
    size = sum(path.stat().st_size for path in args.out.iterdir())
    print(f"{args.out}: {size / 1e6:.1f} MB, fingerprint {load_model(args.out).encoder.fingerprint}")


if __name__ == "__main__":
    main()
