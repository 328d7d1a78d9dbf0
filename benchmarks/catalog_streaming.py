"""Memory of a catalogue of 10 million rows against one of 100 thousand: looked through, read, written, in pieces.

    python benchmarks/catalog_streaming.py [--rows 10000000] [--small 100000] [--kinds .parquet .csv .fits .hats]
                                           [--folder /tmp] [--dimension 0]

For each kind of table the two catalogues are made (ids of 19 digits, images, labels, positions), then each is taken
by a process of its own through what `galaxalign classify` and `galaxalign embed` do around the encoder: looked
through (ids, duplicates, fingerprint), given out in pieces, and a table of ten probabilities (with --dimension, also an
embeddings file of vectors of that length) written as it goes. A HATS catalogue (.hats, which lsdb makes, in
partitions of at most a million rows) is read only, and the table written is Parquet. Printed are the peak of memory
above that of the imports, the time of the processor, and their ratios, all from one run on one machine.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd

CLASSES = 10
PIECE = 100_000


def rows(count: int) -> Iterator[pd.DataFrame]:
    """Yield a catalogue in pieces."""
    rng = np.random.default_rng(0)
    for first in range(0, count, PIECE):
        n = min(PIECE, count - first)
        ids = [str(8_647_474_690_000_000_000 + number * 7) for number in range(first, first + n)]
        yield pd.DataFrame(
            {
                "id_str": ids,
                "file_loc": [f"images/{identity[-4:]}/{identity}.jpg" for identity in ids],
                "label": rng.choice(["spiral", "elliptical", "edge_on", ""], n),
                "ra": rng.uniform(0, 360, n),
                "dec": np.degrees(np.arcsin(rng.uniform(-1, 1, n))),
            }
        )


def make(path: Path, count: int) -> None:
    """Write a catalogue."""
    from galaxalign.data.tables import TableWriter

    if path.suffix == ".hats":
        import dask
        import lsdb

        with dask.config.set(scheduler="synchronous"):
            survey = lsdb.from_dataframe(pd.concat(rows(count)), partition_rows=1_000_000, margin_threshold=None)
            survey.write_catalog(path, catalog_name="survey", as_collection=False, progress_bar=False)
        return
    with TableWriter(path) as writer:
        for piece in rows(count):
            writer.write(piece)


def resident() -> int:
    """Return the memory of this process now, in bytes."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()


class Peak:
    """The highest resident memory while the block runs, looked at every 20 ms, above that at its start."""

    def __enter__(self) -> Peak:
        self.start = self.highest = resident()
        self._over = threading.Event()
        self._watch = threading.Thread(target=self._look, daemon=True)
        self._watch.start()
        return self

    def _look(self) -> None:
        while not self._over.wait(0.02):
            self.highest = max(self.highest, resident())

    def __exit__(self, *about: object) -> None:
        self._over.set()
        self._watch.join()


def stream(catalog: Path, out: Path, dimension: int) -> dict[str, float]:
    """Take a catalogue through, and return memory and time of each step."""
    from galaxalign.data.catalogs import scan_catalog
    from galaxalign.data.tables import TableWriter
    from galaxalign.gallery import EmbeddingWriter

    rng = np.random.default_rng(0)
    probabilities = rng.dirichlet(np.ones(CLASSES), 8192).astype(np.float32)
    for warm in catalog.parent.glob("warm.*"):
        scan_catalog(warm)  # what is imported at the first use is not counted
    figures: dict[str, float] = {}
    with Peak() as peak:
        start = time.process_time()
        source = scan_catalog(catalog)
        figures["look_s"] = time.process_time() - start
        figures["look_mb"] = (peak.highest - peak.start) / 1e6
        start = time.process_time()
        with TableWriter(out) as writer:
            for piece in source.pieces():
                table = pd.DataFrame({"id_str": piece.ids, "label": "spiral"})
                for number in range(CLASSES):
                    table[f"probability_{number}"] = probabilities[: len(piece), number]
                table["status"] = "ok"
                writer.write(table)
        figures["write_s"] = time.process_time() - start
        if dimension:
            start = time.process_time()
            vectors = rng.normal(size=(8192, dimension)).astype(np.float32)
            vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
            with EmbeddingWriter(out.with_name("vectors.parquet"), dimension=dimension, metadata={}) as embeddings:
                for piece in source.pieces():
                    embeddings.write(piece.ids, vectors[: len(piece)])
            figures["embed_s"] = time.process_time() - start
        figures["peak_mb"] = (peak.highest - peak.start) / 1e6
    return figures | {"rows": len(source), "written": writer.rows, "imports_mb": peak.start / 1e6}


def measure(catalog: Path, out: Path, dimension: int) -> dict[str, float]:
    """Run `stream` in a process of its own."""
    command = [sys.executable, __file__, "--one", str(catalog), "--out", str(out), "--dimension", str(dimension)]
    return json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def main() -> None:
    """Measure each kind of table and print the ratios."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--rows", type=int, default=10_000_000)
    parser.add_argument("--small", type=int, default=100_000)
    parser.add_argument("--kinds", nargs="+", default=[".parquet", ".csv", ".fits"])
    parser.add_argument(
        "--folder", type=Path, help="where the files are made, some GB; the temporary folder by default"
    )
    parser.add_argument("--dimension", type=int, default=0)
    parser.add_argument("--one", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--out", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.one:
        print(json.dumps(stream(options.one, options.out, options.dimension)))
        return
    print("kind      rows        look through   and write     peak memory   ratio of memory   of time   (rows)")
    for kind in options.kinds:
        first: dict[str, float] = {}
        for count in (options.small, options.rows):
            with tempfile.TemporaryDirectory(dir=options.folder) as place:
                for warm in (".csv", ".hats") if kind == ".hats" else (".csv",):
                    make(Path(place) / f"warm{warm}", 100)
                make(Path(place) / f"survey{kind}", count)
                out = Path(place) / f"out{'.parquet' if kind == '.hats' else kind}"
                found = measure(Path(place) / f"survey{kind}", out, options.dimension)
            assert found["rows"] == found["written"] == count
            first = first or found
            took = found["look_s"] + found["write_s"]
            print(
                f"{kind:9} {count:10,d} {found['look_s']:10.1f} s {found['write_s']:10.1f} s"
                f" {found['peak_mb']:10.0f} MB"
                f" {found['peak_mb'] / first['peak_mb']:12.2f}"
                f" {took / (first['look_s'] + first['write_s']):15.1f} {count / first['rows']:10.0f}",
                flush=True,
            )


if __name__ == "__main__":
    main()
