"""What the ranking is worth: agreement with scikit-learn on real galaxies, and the cost of 100,000 embeddings.

    OMP_NUM_THREADS=1 python benchmarks/ranking.py [--model galaxy-lite] [--out benchmarks/results]

(a) Average precision of each EFIGI galaxy of the test part of benchmarks/splits/shared.parquet as a query, by
galaxalign and by scikit-learn's average_precision_score on the same features of the model. (b) All metrics of
retrieval of 100,000 x 512 embeddings (random, ten classes of unequal size around a centre each, seed fixed), each in a
process of its own: seconds and peak memory, beside the full matrix of similarities sorted at once at 10,000. Writes
<out>/ranking.json.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from sklearn.metrics import average_precision_score

from galaxalign.data import read_catalog
from galaxalign.data.images import load_images
from galaxalign.data.splits import read_split
from galaxalign.evaluation import retrieval_scores
from galaxalign.inference import encode_array
from galaxalign.models import load_model
from galaxalign.morphology import load_taxonomy
from galaxalign.training import provenance

HERE = Path(__file__).parent
DIMENSION, CLASSES, SMALL, LARGE = 512, 10, 10_000, 100_000
MIB = 2**20


def agreement(data: Path, model: str) -> dict[str, Any]:
    """Compare average precisions of real galaxies with those of scikit-learn on the same features."""
    catalog = read_catalog(data / "efigi" / "catalog.csv")
    labels = load_taxonomy("efigi").encode(catalog.table["label"])
    rows = read_split(HERE / "splits" / "shared.parquet").part(catalog, "test")
    rows = rows[labels[rows] >= 0]
    encoder = load_model(model).encoder
    images, statuses = load_images(catalog.select(rows).paths(), encoder.preprocessing)
    assert all(status == "ok" for status in statuses), statuses
    vectors, labels = encode_array(encoder, images, mirror=True), labels[rows]
    ours = retrieval_scores(vectors, labels)
    unit = vectors.astype(np.float32) / np.linalg.norm(vectors.astype(np.float32), axis=1, keepdims=True)
    similarity = unit @ unit.T
    theirs = np.full(len(labels), np.nan)
    for query in range(len(labels)):
        others = np.arange(len(labels)) != query
        relevant = labels[others] == labels[query]
        if relevant.any():
            theirs[query] = average_precision_score(relevant, similarity[query, others])
    assert np.array_equal(np.isfinite(theirs), np.isfinite(ours.average_precision))
    return {
        "model": model,
        "catalogue": "efigi, test part of shared.parquet",
        "n": len(labels),
        "dimension": vectors.shape[1],
        "map": ours.summary()["map"],
        "map_scikit_learn": float(np.nanmean(theirs)),
        "greatest_difference_of_average_precision": float(np.nanmax(np.abs(ours.average_precision - theirs))),
    }


def clusters(n: int) -> tuple[np.ndarray, np.ndarray]:
    """Return embeddings (n, 512), float32, made in place so that no peak hides that of the ranking."""
    rng = np.random.default_rng(0)
    shares = 0.75 ** np.arange(CLASSES)
    labels = rng.choice(CLASSES, size=n, p=shares / shares.sum())
    centres = rng.standard_normal((CLASSES, DIMENSION), dtype=np.float32)
    vectors = np.empty((n, DIMENSION), np.float32)
    for start in range(0, n, 4096):
        part = vectors[start : start + 4096]
        rng.standard_normal(out=part, dtype=np.float32)
        part *= 4
        part += centres[labels[start : start + 4096]]
    return vectors, labels


def full_matrix(vectors: np.ndarray, labels: np.ndarray) -> dict[str, float]:
    """Return mAP and mAP@5 the plain way: all similarities, sorted, and the precision at each rank."""
    unit = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    similarity = unit @ unit.T
    np.fill_diagonal(similarity, -np.inf)
    order = np.argsort(-similarity, axis=1)[:, :-1]
    relevant = labels[order] == labels[:, None]
    precision = relevant.cumsum(axis=1) / np.arange(1, len(labels))
    first = relevant[:, :5]
    return {
        "map": float(((precision * relevant).sum(axis=1) / relevant.sum(axis=1)).mean()),
        "map_at_5": float(((precision[:, :5] * first).sum(axis=1) / np.maximum(first.sum(axis=1), 1)).mean()),
    }


def memory(name: str) -> float:
    """Return the memory that this process holds (VmRSS) or has held at most (VmHWM), in MiB (Linux).

    Not `resource.getrusage`: its ru_maxrss begins with the peak of the process that started this one.
    """
    lines = Path("/proc/self/status").read_text().splitlines()
    return int(next(line for line in lines if line.startswith(f"{name}:")).split()[1]) / 1024


def child(way: str, n: int, threads: int) -> dict[str, Any]:
    """Measure one way on n embeddings, in a process that has done nothing else."""
    torch.set_num_threads(threads)
    vectors, labels = clusters(n)
    torch.ones(64, 64) @ torch.ones(64, 64)  # libraries start their buffers now, not in what is measured
    before, wall, cpu = memory("VmRSS"), time.perf_counter(), time.process_time()
    found = retrieval_scores(vectors, labels).summary() if way == "galaxalign" else full_matrix(vectors, labels)
    seconds, cpu_seconds, peak = time.perf_counter() - wall, time.process_time() - cpu, memory("VmHWM")
    return {
        "n": n,
        "seconds": seconds,
        "cpu_seconds": cpu_seconds,
        "gallery_mib": vectors.nbytes / MIB,
        "before_mib": before,
        "peak_mib": peak,
        "peak_mib_without_gallery": peak - vectors.nbytes / MIB,
        "added_mib": peak - before,
        **found,
    }


def measure(way: str, n: int, threads: int) -> dict[str, Any]:
    """Run `child` in a process of its own."""
    names = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
    command = [sys.executable, __file__, "--child", way, str(n), "--threads", str(threads)]
    done = subprocess.run(
        command, env=os.environ | dict.fromkeys(names, str(threads)), stdout=subprocess.PIPE, text=True, check=True
    )
    result: dict[str, Any] = json.loads(done.stdout)
    print(
        f"{way}, {n:,} x {DIMENSION}: mAP {result['map']:.6f}, {result['seconds']:.1f} s; peak "
        f"{result['peak_mib']:.0f} MiB, without the gallery {result['peak_mib_without_gallery']:.0f}; added by "
        f"ranking {result['added_mib']:.0f}",
        flush=True,
    )
    return result


def main() -> None:
    """Measure and save."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--model", default="galaxy-lite")
    parser.add_argument("--data", type=Path, default=HERE.parent.parent / "shared" / "data")
    parser.add_argument("--out", type=Path, default=HERE / "results")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--child", nargs=2, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.child:
        print(json.dumps(child(args.child[0], int(args.child[1]), args.threads)))
        return
    torch.set_num_threads(args.threads)
    result: dict[str, Any] = {
        "agreement": agreement(args.data, args.model),
        "threads": args.threads,
        "nice": os.nice(0),
        "machine": f"{os.cpu_count()} cores, shared with other work",
        "load_average_at_start": os.getloadavg()[0],
    }
    entry = result["agreement"]
    print(
        f"{entry['n']} galaxies, features of {entry['model']}: mAP {entry['map']:.6f}, scikit-learn "
        f"{entry['map_scikit_learn']:.6f}; greatest difference of an average precision "
        f"{entry['greatest_difference_of_average_precision']:.1e}",
        flush=True,
    )
    plain = measure("full matrix", SMALL, args.threads)
    small = measure("galaxalign", SMALL, args.threads)
    large = measure("galaxalign", LARGE, args.threads)
    result |= {"full_matrix_10000": plain, "galaxalign_10000": small, "galaxalign_100000": large}
    result["full_matrix_over_galaxalign_10000"] = {
        key: plain[key] / small[key] for key in ("seconds", "cpu_seconds", "peak_mib", "added_mib")
    }
    result["difference_of_map_10000"] = abs(plain["map"] - small["map"])
    ratio = result["full_matrix_over_galaxalign_10000"]
    print(
        f"the full matrix at {SMALL:,}: {ratio['seconds']:.1f} times the seconds, {ratio['added_mib']:.1f} times the "
        f"memory added; mAP differs by {result['difference_of_map_10000']:.1e}"
    )
    result["made"] = provenance()
    args.out.mkdir(parents=True, exist_ok=True)
    path = args.out / "ranking.json"
    path.write_text(json.dumps(result, indent=1) + "\n")
    print(f"saved as {path.name}")


if __name__ == "__main__":
    main()
