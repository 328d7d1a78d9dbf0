"""Vote fractions on the test galaxies of Galaxy Zoo 2 (gz2 and gz2_stripe82): words, a fitted head, and baselines.

    python benchmarks/vote_fractions.py --model lite
    python benchmarks/vote_fractions.py --model RUN --exclude-rows-seen-by-model

Heads are fitted on the train part of benchmarks/splits/shared.parquet and chosen on its validation part; every figure
is of its test part. A model folder lists what it was trained and chosen on; where that holds a test
galaxy (by id or by the groups of the shared split) nothing is measured, or with --exclude-rows-seen-by-model without
these galaxies.
"""

from __future__ import annotations

import argparse
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from scipy.optimize import minimize_scalar
from sklearn.linear_model import Ridge

from galaxalign.data import read_catalog
from galaxalign.data.images import Preprocessing
from galaxalign.data.splits import Split, read_split
from galaxalign.evaluation.vote_metrics import score_votes
from galaxalign.inference import encode_catalog
from galaxalign.models import ClipEncoder, Model, fit_vote_head, load_model, vote_log_likelihood, zero_shot_votes
from galaxalign.models.minilm import build_lite
from galaxalign.models.vote_head import calibrate_votes
from galaxalign.morphology import DecisionTree, Votes, load_taxonomy, read_votes
from galaxalign.training import provenance, read_trained_on

HERE = Path(__file__).parent
SOURCES = ("gz2", "gz2_stripe82")
PARTS = ("train", "validation", "test")
ALPHAS = np.logspace(-3, 2, 11)


def seen_by(model: Model) -> set[str]:
    """Return the ids of all galaxies that a model, and the models it started from, were trained or chosen on."""
    known = read_trained_on(model.folder)
    if known is None:
        raise SystemExit(f"{model.folder} does not list what it was trained on; nothing is measured")
    return set(known.ids)


def gather(
    encoder: Any, tree: DecisionTree, split: Split, shared: Path, seen: set[str], *, mirror: bool
) -> tuple[dict[str, tuple[np.ndarray, Votes]], np.ndarray, int]:
    """Return vectors and votes by part, the groups of the test galaxies, and how many of these were seen before."""
    group = dict(zip(split.table["source"] + "\x1f" + split.table["id_str"], split.table["group"], strict=True))
    seen_groups = set(split.table["group"][split.table["id_str"].isin(seen)]) | seen
    vectors: dict[str, list[np.ndarray]] = {part: [] for part in PARTS}
    votes: dict[str, list[Votes]] = {part: [] for part in PARTS}
    groups: list[str] = []
    n_seen = 0
    for source in SOURCES:
        catalog = read_catalog(shared / "data" / source / "catalog.csv")
        whole = read_votes(catalog.table, tree, source=source)
        found = np.zeros((len(catalog), encoder.dimension), np.float32)
        good = np.zeros(len(catalog), bool)
        for rows, batch, statuses in encode_catalog(encoder, catalog, mirror=mirror):
            found[rows], good[rows] = batch, [status == "ok" for status in statuses]
        names = [group[f"{source}\x1f{identity}"] for identity in catalog.ids]
        for part in PARTS:
            rows = split.part(catalog, part)
            rows = rows[good[rows] & whole.known[rows]]
            if part == "test":
                fresh = np.array([names[row] not in seen_groups for row in rows])
                n_seen += int((~fresh).sum())
                rows = rows[fresh]
                groups += [names[row] for row in rows]
            vectors[part].append(found[rows])
            votes[part].append(whole.take(rows))
    data = {
        part: (
            np.concatenate(vectors[part]),
            replace(
                votes[part][0],
                fractions=np.concatenate([some.fractions for some in votes[part]]),
                voters=np.concatenate([some.voters for some in votes[part]]),
            ),
        )
        for part in PARTS
    }
    return data, np.array(groups), n_seen


def training_mean(votes: Votes) -> np.ndarray:
    """Return the fraction of all votes on each question that went to each answer, shape (A,)."""
    counts = votes.counts().astype(np.float64).sum(0)
    return np.concatenate([counts[part] / counts[part].sum() for part in votes.tree.slices])


def ridge(data: dict[str, tuple[np.ndarray, Votes]]) -> tuple[np.ndarray, np.ndarray, float]:
    """Return fractions of validation and test galaxies by least squares, and the penalty chosen on validation.

    One regression per question on the galaxies of which anybody was asked, weighted by the number of volunteers;
    clipped to fractions that sum to 1.
    """
    tree = data["train"][1].tree
    best: tuple[float, np.ndarray, np.ndarray, float] | None = None
    for alpha in ALPHAS:
        found = {part: np.zeros((len(data[part][0]), len(tree.stems))) for part in ("validation", "test")}
        for question, part in enumerate(tree.slices):
            vectors, votes = data["train"]
            asked = votes.voters[:, question] > 0
            model = Ridge(alpha=alpha).fit(
                vectors[asked].astype(np.float64),
                votes.fractions[asked][:, part],
                sample_weight=votes.voters[asked, question],
            )
            for name, values in found.items():
                values[:, part] = model.predict(data[name][0])
        found = {name: _proper(values, tree) for name, values in found.items()}
        votes = data["validation"][1]
        error = score_votes(votes, found["validation"], found["validation"]).summary(n=2)["all"]["rmse"]
        if best is None or error < best[0]:
            best = (error, found["validation"], found["test"], float(alpha))
    assert best is not None
    return best[1], best[2], best[3]


def _proper(fractions: np.ndarray, tree: DecisionTree) -> np.ndarray:
    clipped = np.clip(fractions, 0.005, 1)
    return np.concatenate([clipped[:, part] / clipped[:, part].sum(1, keepdims=True) for part in tree.slices], axis=1)


def widths(votes: Votes, fractions: np.ndarray) -> np.ndarray:
    """Return the sum of the concentrations of each question (A,) that makes votes most probable, given the fractions.

    What only predicts fractions gets one width per question this way, so that its likelihood can be compared.
    """
    found = []
    for part in votes.tree.slices:
        counts = torch.from_numpy(votes.counts()[:, part].astype(np.float64))
        given = torch.from_numpy(fractions[:, part])
        whole = [slice(0, part.stop - part.start)]

        def loss(size: float, counts: Any = counts, given: Any = given, whole: Any = whole) -> float:
            return -float(vote_log_likelihood(given * float(np.exp(size)), counts, whole).sum())

        best = minimize_scalar(loss, bounds=(-1, 8), method="bounded").x
        found += [float(np.exp(best))] * (part.stop - part.start)
    return np.array(found)


def main() -> None:
    """Measure, print a table, write results/vote_fractions_NAME.json."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="lite", help="model folder, or lite (untrained)")
    parser.add_argument("--crop", type=float, default=0.5, help="of lite; a model folder has its own")
    parser.add_argument("--name", help="of the results; that of the folder by default")
    parser.add_argument("--exclude-rows-seen-by-model", action="store_true")
    parser.add_argument("--shared", type=Path, default=HERE.parents[1] / "shared")
    parser.add_argument("--out", type=Path, default=HERE / "results")
    parser.add_argument("--threads", type=int, default=1)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    tree = load_taxonomy("galaxy_zoo_2").tree
    assert tree is not None
    own, seen, mirror = None, set(), True
    if args.model == "lite":
        encoder: Any = build_lite(preprocessing=Preprocessing(crop=args.crop, size=128))
    else:
        model = load_model(args.model)
        seen = seen_by(model)
        encoder, own, mirror = model.encoder, model.votes, not model.taxonomy.handed
    split = read_split(HERE / "splits" / "shared.parquet")
    data, groups, n_seen = gather(encoder, tree, split, args.shared, seen, mirror=mirror)
    if n_seen and not args.exclude_rows_seen_by_model:
        raise SystemExit(
            f"{args.model} was trained or chosen on {n_seen} of the test galaxies; leave them out with "
            "--exclude-rows-seen-by-model"
        )
    (valid, valid_votes), (test, votes) = data["validation"], data["test"]
    points = {"training mean": [np.tile(training_mean(data["train"][1]), (len(x), 1)) for x in (valid, test)]}
    settings: dict[str, Any] = {}
    *points["regression"], settings["ridge_alpha"] = ridge(data)
    if isinstance(encoder, ClipEncoder):
        words = zero_shot_votes(tree, encoder.encode_texts, float(encoder.model.logit_scale.detach().exp()))
        warm = calibrate_votes(words, valid, valid_votes)
        settings |= {"logit_scale": words.settings["logit_scale"], "temperature": warm.temperature}
        points["words"] = [words.fractions(x) for x in (valid, test)]
        points["words, calibrated"] = [warm.fractions(x) for x in (valid, test)]
    scores = {}
    for name, (on_validation, on_test) in points.items():
        sizes = widths(valid_votes, _proper(on_validation, tree))
        scores[name] = score_votes(votes, on_test, _proper(on_test, tree) * sizes, groups=groups)
    head = fit_vote_head(data["train"], data["validation"])
    settings |= {"penalty": head.settings["penalty"], "validation_nats": head.validation}
    scores["head"] = score_votes(votes, head.fractions(test), head.concentrations(test), groups=groups)
    if own is not None and own.tree.stems == tree.stems:
        scores["head of the folder"] = score_votes(votes, own.fractions(test), own.concentrations(test), groups=groups)
    name = args.name or Path(args.model).resolve().name if args.model != "lite" else args.name or "lite"
    result = {
        "model": args.model if args.model == "lite" else name,
        "fingerprint": encoder.fingerprint,
        "preprocessing": encoder.preprocessing.to_dict(),
        "galaxies": {part: len(data[part][0]) for part in PARTS},
        "test_galaxies_left_out": n_seen,
        "settings": settings,
        "methods": {method: found.summary() for method, found in scores.items()},
        "differences": {
            f"{one} - {other}": scores[one].minus(scores[other])
            for one in scores
            for other in ("training mean", "regression")
            if one != other
        },
        **provenance(),
    }
    args.out.mkdir(parents=True, exist_ok=True)
    path = args.out / f"vote_fractions_{name}.json"
    path.write_text(json.dumps(result, indent=1))
    for metric, form in (("rmse", "{:.3f}"), ("log_likelihood", "{:.2f}")):
        print(f"\n{metric} on {result['galaxies']['test']} test galaxies\n")
        print(f"| question | asked |{' noise |' if metric == 'rmse' else ''} {' | '.join(scores)} |")
        print("|---" * (len(scores) + (3 if metric == "rmse" else 2)) + "|")
        for question, first in result["methods"]["head"].items():
            row = [question, str(first["galaxies"])] + ([form.format(first["noise"])] if metric == "rmse" else [])
            for method in scores:
                entry = result["methods"][method][question]
                low, high = entry[f"{metric}_ci"]
                row.append(f"{form.format(entry[metric])} ({form.format(low)}–{form.format(high)})")
            print(f"| {' | '.join(row)} |")
    print(f"\nThe figures are in {path}.")


if __name__ == "__main__":
    main()
