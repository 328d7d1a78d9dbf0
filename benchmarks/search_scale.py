"""How fast and how true search is on large galleries: exact, LanceDB and faiss in one run.

    python benchmarks/search_scale.py EMBEDDINGS... --sizes 100000 1000000 --out search_scale.json

Galleries are real embeddings with jitter: each vector lies somewhere between a real one and two random ones of its ten
nearest neighbours, with Gaussian noise of a tenth of the distance. So galaxies fill the space between the real ones,
where others would be. Noise alone would make a ball of look-alikes around each real galaxy, which is no survey.
Measured for each size: seconds to build, size on disk, peak memory of a process that builds or searches, recall@10
against comparing all, and p50 and p99 of the latency of a search for the neighbours of one galaxy, without and with a
condition that lets a tenth through. Each engine runs in a process of its own, and answers as many other queries before
any is timed.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import re
import shutil
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq

from galaxalign.gallery import Embeddings, EmbeddingWriter, Gallery, Part, Query, open_gallery
from galaxalign.gallery.disk import DiskRows
from galaxalign.verbs import index

PIECE = 50_000
WHERE = "share < 0.1"


def neighbours(real: np.ndarray) -> np.ndarray:
    """Return the rows of the ten nearest of each real galaxy (N, 10)."""
    far = -(real @ real.T)
    np.fill_diagonal(far, np.inf)
    return np.argpartition(far, 10, axis=1)[:, :10]


def jittered(real: np.ndarray, near: np.ndarray, n: int, rng: np.random.Generator) -> np.ndarray:
    """Return n unit vectors around real ones, as far apart as neighbours are."""
    rows = rng.integers(0, len(real), n)
    result = np.empty((n, real.shape[1]), np.float32)
    for start in range(0, n, 4096):
        some = rows[start : start + 4096]
        picked = near[some[:, None], rng.integers(0, 10, (len(some), 2))]
        away = real[picked] - real[some][:, None]
        noise = rng.normal(size=(len(some), real.shape[1])) / np.sqrt(real.shape[1])
        moved = real[some] + (away * rng.random((len(some), 2, 1))).sum(axis=1)
        moved += np.linalg.norm(away[:, 0], axis=1, keepdims=True) / 10 * noise
        moved /= np.linalg.norm(moved, axis=1, keepdims=True)
        result[start : start + len(some)] = moved
    return result


def write_gallery(real: np.ndarray, n: int, out: Path) -> None:
    """Write an embeddings file of n jittered galaxies in pieces."""
    rng, near = np.random.default_rng(0), neighbours(real)
    with EmbeddingWriter(out, dimension=real.shape[1], metadata={"fingerprint": "jitter"}) as writer:
        for start in range(0, n, PIECE):
            count = min(PIECE, n - start)
            ids = [f"j{row}" for row in range(start, start + count)]
            writer.write(ids, jittered(real, near, count, rng), columns={"share": rng.random(count)})


def timed(search: Callable[[np.ndarray], list[str]], queries: np.ndarray) -> tuple[list[list[str]], dict[str, float]]:
    """Return the answers to each query of the second half and the latency; the first half warms up."""
    half = len(queries) // 2
    for query in queries[:half]:
        search(query)
    answers, seconds = [], []
    for query in queries[half:]:
        start = time.perf_counter()
        answers.append(search(query))
        seconds.append(time.perf_counter() - start)
    p50, p99 = np.percentile(seconds, [50, 99]) * 1000
    return answers, {"p50_ms": float(p50), "p99_ms": float(p99)}


def asked(gallery: Gallery, where: str | None) -> Callable[[np.ndarray], list[str]]:
    """Return a search by one vector, as users call it."""

    def search(query: np.ndarray) -> list[str]:
        part = Part.model_construct(kind="vector", value=query, weight=1.0)
        return gallery.search(Query.model_construct(parts=[part], where=where, k=10, collapse=False)).ids

    return search


def exact(file: Path, folder: Path, queries: np.ndarray) -> dict[str, Any]:
    """Measure the gallery in memory."""
    start = time.perf_counter()
    gallery = open_gallery(file)
    found: dict[str, Any] = {"build_s": time.perf_counter() - start, "disk_mb": file.stat().st_size / 1e6}
    found["answers"], found["plain"] = timed(asked(gallery, None), queries)
    found["filtered_answers"], found["filtered"] = timed(asked(gallery, WHERE), queries)
    return found


def lance_built(file: Path, folder: Path, queries: np.ndarray) -> dict[str, Any]:
    """Measure making the index."""
    start = time.perf_counter()
    index(embeddings=file, out=folder, exact_below=0, quiet=True)
    size = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
    return {"build_s": time.perf_counter() - start, "disk_mb": size / 1e6}


def lance(file: Path, folder: Path, queries: np.ndarray) -> dict[str, Any]:
    """Measure the index on disk."""
    rows = DiskRows(folder)
    gallery = Gallery(rows)
    found: dict[str, Any] = {"probes": rows.probes, "refine": rows.refine}
    found["answers"], found["plain"] = timed(asked(gallery, None), queries)
    found["filtered_answers"], found["filtered"] = timed(asked(gallery, WHERE), queries)
    return found


def faiss_hnsw(file: Path, folder: Path, queries: np.ndarray) -> dict[str, Any]:
    """Measure faiss' HNSW in memory, which knows no conditions on columns."""
    import faiss

    start = time.perf_counter()
    graph = faiss.IndexHNSWFlat(queries.shape[1], 32, faiss.METRIC_INNER_PRODUCT)
    graph.hnsw.efConstruction = 100
    ids: list[str] = []
    # Piece by piece: it keeps a copy of its own.
    for batch in pq.ParquetFile(file).iter_batches(PIECE, columns=["id_str", "embedding"]):
        ids += batch.column("id_str").to_pylist()
        graph.add(batch.column("embedding").flatten().to_numpy().reshape(len(batch), -1))
    graph.hnsw.efSearch = 128
    found: dict[str, Any] = {"build_s": time.perf_counter() - start}
    path = folder.with_suffix(".faiss")
    faiss.write_index(graph, str(path))
    found["disk_mb"] = path.stat().st_size / 1e6
    path.unlink()
    found["answers"], found["plain"] = timed(
        lambda query: [ids[row] for row in graph.search(query[None], 10)[1][0] if row >= 0], queries
    )
    return found


def alone(task: Callable[..., dict[str, Any]], *arguments: Any) -> dict[str, Any]:
    """Run a task in a new process; add its peak memory. A process that is killed, as for memory, ends the run."""
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
        found, peak = pool.submit(_with_peak, task, arguments).result()
    return found | {"peak_mb": peak / 1e3}


def _with_peak(task: Callable[..., dict[str, Any]], arguments: tuple[Any, ...]) -> tuple[dict[str, Any], int]:
    found = task(*arguments)
    # Not ru_maxrss, which a process inherits from the one that started it.
    status = Path("/proc/self/status").read_text()
    return found, int(re.search(r"VmHWM:\s+(\d+) kB", status)[1])  # type: ignore[index]


def recall(found: list[list[str]], truth: list[list[str]]) -> float:
    """Return the mean share of the true ten nearest that were found."""
    return float(np.mean([len({*one} & {*other}) / len(other) for one, other in zip(found, truth, strict=True)]))


def compared(found: dict[str, Any], truth: tuple[list[list[str]], list[list[str]]]) -> dict[str, Any]:
    """Return figures with recall in place of the answers."""
    found["recall_at_10"] = recall(found.pop("answers"), truth[0])
    if "filtered_answers" in found:
        found["filtered"]["recall_at_10"] = recall(found.pop("filtered_answers"), truth[1])
    return found


def told(size: int, engine: str, figures: dict[str, Any]) -> None:
    """Print figures as soon as they are there."""
    print(json.dumps({"size": size, "engine": engine, **figures}), flush=True)


def main() -> None:
    """Measure each size and write the figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("embeddings", nargs="+", type=Path)
    parser.add_argument("--sizes", nargs="+", type=int, default=[100_000])
    parser.add_argument("--queries", type=int, default=200)
    parser.add_argument("--engines", nargs="+", default=["lance", "faiss"], choices=["lance", "faiss"])
    parser.add_argument("--scratch", type=Path, help="where galleries are made and deleted again")
    parser.add_argument("--out", type=Path, default=Path("search_scale.json"))
    arguments = parser.parse_args()
    files = [Embeddings.read(path) for path in arguments.embeddings]
    real = np.concatenate([file.vectors[file.ok] for file in files])
    queries = jittered(real, neighbours(real), 2 * arguments.queries, np.random.default_rng(1))
    report = []
    for size in arguments.sizes:
        scratch = Path(tempfile.mkdtemp(dir=arguments.scratch))
        try:
            file, folder = scratch / "e.parquet", scratch / "index"
            write_gallery(real, size, file)
            engines = {"exact": alone(exact, file, folder, queries)}
            truth = engines["exact"].pop("answers"), engines["exact"].pop("filtered_answers")
            told(size, "exact", engines["exact"])
            if "lance" in arguments.engines:
                built = alone(lance_built, file, folder, queries)
                built["peak_build_mb"] = built.pop("peak_mb")
                engines["lance"] = compared(built | alone(lance, file, folder, queries), truth)
                told(size, "lance", engines["lance"])
            if "faiss" in arguments.engines:
                engines["faiss"] = compared(alone(faiss_hnsw, file, folder, queries), truth)
                told(size, "faiss", engines["faiss"])
            report.append({"size": size, "dimension": real.shape[1], "engines": engines})
        finally:
            shutil.rmtree(scratch)
    arguments.out.write_text(json.dumps(report, indent=2))


if __name__ == "__main__":
    main()
