"""Measure the prepared store against what it replaces, in one run.

    python benchmarks/store_speed.py CATALOG [--size 128] [--workers N]

Four comparisons, each a ratio of rates in pictures a second:
1. an epoch in random order from the store against decoding every picture in that epoch;
2. making the store against that same decoding with one thread, for each number of threads;
3. preparing Galaxy10-like HDF5 files (gzip, in two chunkings, one of them what h5py chooses by itself for 17,736
   pictures of 256 px) against reading them row by row;
4. batches of random rows against the 20,000 a second that are asked for.

The page cache is warm for every side of every comparison; a disk that is slower than memory slows all of them.
"""

from __future__ import annotations

import argparse
import json
import shutil
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pandas as pd

from galaxalign.data import Catalog, read_catalog
from galaxalign.data.catalogs import as_catalog, load_pictures, prepare_store
from galaxalign.data.images import Preprocessing, frame, iter_images

BATCH = 64
CHUNKS = ((17, 64, 64, 1), (555, 16, 16, 1))


def rate(n: int, work: Callable[[], object], repeats: int = 1) -> float:
    """Return how many of `n` things a second `work` does, at its best: other programs only ever slow it down."""
    best = float("inf")
    for _ in range(repeats):
        started = time.perf_counter()
        work()
        best = min(best, time.perf_counter() - started)
    return n / best


def decode_epoch(catalog: Catalog, preprocessing: Preprocessing, workers: int | None, order: np.ndarray) -> None:
    paths = catalog.paths()
    for _ in iter_images([paths[row] for row in order], preprocessing, batch_size=BATCH, workers=workers):
        pass


def store_epoch(catalog: Catalog, preprocessing: Preprocessing, order: np.ndarray) -> None:
    pictures, _ = load_pictures(catalog, preprocessing)
    for start in range(0, len(order), BATCH):
        pictures[order[start : start + BATCH]]


def galaxy10_like(path: Path, n: int, chunks: tuple[int, ...]) -> None:
    """Write noisy galaxies of the shape and type that the published file has."""
    rng = np.random.default_rng(0)
    y, x = np.mgrid[-1:1:256j, -1:1:256j]
    with h5py.File(path, "w") as file:
        data = file.create_dataset("images", (n, 256, 256, 3), np.uint8, compression="gzip", chunks=chunks)
        step = chunks[0]
        for start in range(0, n, step):
            count = min(step, n - start)
            width = rng.uniform(0.1, 0.4, (count, 1, 1, 1))
            light = 200 * np.exp(-np.hypot(x, y)[None, :, :, None] / width)
            data[start : start + count] = np.clip(light + rng.normal(20, 4, (count, 256, 256, 3)), 0, 255)
        file["ans"] = (np.arange(n) % 10).astype(np.uint8)
        print(f"HDF5: {n} pictures of 256 px in chunks {data.chunks}, {path.stat().st_size / 1e6:.0f} MB")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("catalog")
    parser.add_argument("--size", type=int, default=128)
    parser.add_argument("--limit", type=int, help="take this many rows of the catalogue")
    parser.add_argument("--rows", type=int, default=1110, help="pictures of the HDF5 files; 0: none")
    parser.add_argument("--repeats", type=int, default=3, help="the best of so many is taken")
    parser.add_argument("--by-row", type=int, default=40, help="of which this many are read row by row")
    parser.add_argument("--out", type=Path, help="write the figures as JSON")
    args = parser.parse_args()
    catalog, preprocessing = read_catalog(args.catalog), Preprocessing(size=args.size)
    if args.limit:
        catalog = catalog.select(np.arange(min(args.limit, len(catalog))))
    n = len(catalog)
    order = np.random.default_rng(0).permutation(n)
    work = Path(tempfile.mkdtemp(prefix="store_speed"))
    found: dict[str, float] = {}
    try:
        decode_epoch(catalog, preprocessing, None, order)  # warms the page cache
        found["decode, 1 thread"] = rate(n, lambda: decode_epoch(catalog, preprocessing, 1, order), args.repeats)
        for workers in (1, 2, 4):
            store = work / f"store{workers}"
            found[f"prepare, {workers} threads"] = rate(
                n, lambda w=workers, s=store: prepare_store(catalog, s, preprocessing, workers=w, quiet=True)
            )
        found["decode, default threads"] = rate(
            n, lambda: decode_epoch(catalog, preprocessing, None, order), args.repeats
        )
        prepared = read_catalog(work / "store1")
        store_epoch(prepared, preprocessing, order)
        found["epoch from the store"] = rate(n, lambda: store_epoch(prepared, preprocessing, order), args.repeats)
        pictures, _ = load_pictures(prepared, preprocessing)
        rng = np.random.default_rng(1)
        batches = [rng.integers(0, n, BATCH) for _ in range(50)]

        def draw() -> None:
            for rows in batches:
                pictures[rows]

        found["random batches of 64"] = rate(50 * BATCH, draw, 20 * args.repeats)
        singles = rng.integers(0, n, 1000)

        def draw_one() -> None:
            for row in singles:
                pictures[row : row + 1]

        found["random single pictures"] = rate(1000, draw_one, 20 * args.repeats)

        for chunks in CHUNKS if args.rows else ():
            path = work / f"like{chunks[0]}.h5"
            galaxy10_like(path, args.rows, chunks)
            places = [f"{path.name}::images[{row}]" for row in range(args.rows)]
            rows = as_catalog(pd.DataFrame({"id_str": places, "file_loc": places}), root=work)
            single = max(4, args.by_row // (chunks[0] // 17))

            def by_row(path: Path = path, single: int = single) -> None:
                with h5py.File(path) as file:
                    for row in range(single):
                        frame(file["images"][row], preprocessing)

            name = f"HDF5 chunks of {chunks[0]}"
            found[f"{name}, row by row"] = rate(single, by_row)
            found[f"{name}, prepared"] = rate(
                args.rows, lambda r=rows, s=work / path.stem: prepare_store(r, s, preprocessing, quiet=True)
            )
    finally:
        shutil.rmtree(work)
    for name, value in found.items():
        print(f"{name:32s} {value:10.0f} pictures a second")
    ratios = {
        "epoch from the store : decoding it again": ("epoch from the store", "decode, default threads"),
        "prepare, 2 threads : prepare, 1 thread": ("prepare, 2 threads", "prepare, 1 threads"),
        "prepare, 4 threads : prepare, 1 thread": ("prepare, 4 threads", "prepare, 1 threads"),
        "prepare, 1 thread : decode, 1 thread": ("prepare, 1 threads", "decode, 1 thread"),
        "HDF5 chunks of 17, prepared : row by row": ("HDF5 chunks of 17, prepared", "HDF5 chunks of 17, row by row"),
        "HDF5 chunks of 555, prepared : row by row": ("HDF5 chunks of 555, prepared", "HDF5 chunks of 555, row by row"),
    }
    for name, (above, below) in ratios.items():
        if above in found:
            print(f"{name:44s} {found[above] / found[below]:8.1f}")
    print(f"{'random batches : 20,000 a second':44s} {found['random batches of 64'] / 20_000:8.1f}")
    if args.out:
        args.out.write_text(json.dumps(found, indent=1))


if __name__ == "__main__":
    main()
