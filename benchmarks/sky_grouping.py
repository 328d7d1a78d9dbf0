"""How long grouping by sky position takes, and what a random split leaks against a grouped one.

    python benchmarks/sky_grouping.py [--coordinates ../shared/data/galaxy10_decals_coordinates.csv]

Prints: friends of friends of 100 thousand, 1 and 10 million positions spread over the sky (each in a process of its
own, time and peak memory), the same for 1 million of them in a crowded field and at one placeholder position; and for
the public coordinates of Galaxy10 DECaLS the pairs within 1 and 60 arcsec and how many galaxies of the test part of an
80/20 split have another of their group, or themselves, in training: by chance (mean of 20 seeds) and grouped.
"""

from __future__ import annotations

import argparse
import resource
import subprocess
import sys
import time
from pathlib import Path

import numpy as np

from galaxalign.data.catalogs import read_catalog, sky_pairs
from galaxalign.data.catalogs.sky import friends
from galaxalign.data.splits import LeakGuard, gather, make_split, sky_pairs_of

HERE = Path(__file__).parent
SEEDS = 20


def positions(kind: str, n: int) -> tuple[np.ndarray, np.ndarray]:
    """Return n positions: all over the sky, in one crowded square degree, or all at (0, 0)."""
    rng = np.random.default_rng(0)
    if kind == "sky":
        return rng.uniform(0, 360, n), np.degrees(np.arcsin(rng.uniform(-1, 1, n)))
    if kind == "field":  # 30,000 to the square degree, about as deep as the ten years of Rubin's survey to r = 24
        side = np.sqrt(n / 30_000)
        return 150 + rng.uniform(0, side, n), rng.uniform(0, side, n)
    return np.zeros(n), np.zeros(n)


def one(kind: str, n: int) -> None:
    """Group once and print what it took."""
    ra, dec = positions(kind, n)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    start = time.perf_counter()
    ties = friends(ra, dec, 60)
    seconds = time.perf_counter() - start
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    print(
        f"{kind:12s} {n:>11,d} rows: {seconds:7.2f} s, peak {peak / 1e6:.2f} GB "
        f"({before / 1e6:.2f} GB before), {len(ties):,d} ties"
    )


def galaxy10(path: Path) -> None:
    """Print pairs and leaks of Galaxy10 DECaLS."""
    catalog = read_catalog(path, require=())
    start = time.perf_counter()
    rows = gather(catalog)
    counts = [len(sky_pairs(rows.table["ra"], rows.table["dec"], radius)) for radius in (1, 60)]
    seconds = time.perf_counter() - start
    print(f"{catalog.source}: {counts[0]} pairs within 1 arcsec, {counts[1]} within 60, {seconds:.2f} s")
    near = np.vstack([told.rows for told in sky_pairs_of(rows)])
    for name, radius in (("by chance", 0.0), ("grouped within 60 arcsec", 60.0)):
        pairs, members = [], []
        for seed in range(SEEDS):
            test = (
                make_split(catalog, fractions=(0.8, 0, 0.2), seed=seed, guard=LeakGuard(radius=radius)).table["part"]
                == "test"
            )
            inside = test.to_numpy()[near]
            crossed = inside[:, 0] != inside[:, 1]
            pairs.append(int(crossed.sum()))
            members.append(len(np.unique(near[crossed][inside[crossed]])))
        print(
            f"80/20 {name}: {np.mean(pairs):.1f} pairs across (least {min(pairs)}, most {max(pairs)}), "
            f"{np.mean(members):.1f} of {int(test.sum())} test galaxies with a neighbour in training"
        )


def main() -> None:
    """Print all of it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    shared = HERE.parent.parent / "shared" / "data" / "galaxy10_decals_coordinates.csv"
    parser.add_argument("--coordinates", type=Path, default=shared)
    parser.add_argument("--one", nargs=2, metavar=("KIND", "N"), help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.one:
        one(arguments.one[0], int(arguments.one[1]))
        return
    cases = (
        ("sky", 100_000),
        ("sky", 1_000_000),
        ("sky", 10_000_000),
        ("field", 1_000_000),
        ("placeholder", 1_000_000),
    )
    for kind, n in cases:
        subprocess.run([sys.executable, __file__, "--one", kind, str(n)], check=True)
    galaxy10(arguments.coordinates)


if __name__ == "__main__":
    main()
