"""Make the splits that every benchmark uses: benchmarks/splits/shared.parquet and mixture.parquet.

    python benchmarks/make_split.py [--data ../shared/data] [--out benchmarks/splits]

Train, validation and test have 65, 15 and 20 % of each class of each source. A galaxy that stands in
several sources (same id, or within 3 arcsec) is in one part. The vote table without images takes part,
so that statistics for captions leave test galaxies out as well. EFIGI names its galaxies by PGC number and
has no positions here: galaxies that it has in common with Galaxy Zoo are not known and may be in two parts,
which matters to a model that is trained on both. For such models there is mixture.parquet: the same, but of the pairs
that the appearance audit found (docs/howto/audit.md) the row in the earlier part is in none.
"""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path

from galaxalign.data.catalogs import Catalog, read_catalog
from galaxalign.data.splits import PARTS, LeakGuard, Split, make_split
from galaxalign.data.splits.splits import EXCLUDED

HERE = Path(__file__).parent
SOURCES = ("efigi", "gz1", "gz2", "gz2_stripe82")
VOTES = "votes/gz2_stripe82_votes.csv.gz"

SAME = (
    ("PGC0051603", "587729777445306532"),
    ("PGC0054039", "587726014552670282"),
    ("PGC0004812", "588015508741292125"),
    ("PGC0056655", "587739828212465807"),
    ("PGC0051095", "588017704019034206"),
    ("PGC0005540", "587731512070438934"),
    ("PGC0052192", "587739380987985959"),
    ("PGC0053561", "587735695380775162"),
    ("PGC0057076", "587739707957706907"),
    ("PGC0046560", "587739407324479578"),
    ("PGC0030795", "588013384347090966"),
    ("PGC0033930", "587728880346202157"),
    ("PGC0052979", "588017704022507833"),
)
"""Galaxies of EFIGI and what Galaxy Zoo calls them, by appearance."""


def catalogs(data: Path) -> list[Catalog]:
    """Return the catalogues below the folder of shared galaxies."""
    images = [read_catalog(data / source / "catalog.csv") for source in SOURCES]
    votes = read_catalog(data / VOTES, require=("id_str",), columns={"id_str": "objid"})
    return [*images, votes]


def shared_split(data: Path) -> Split:
    """Return the split over all of them."""
    return make_split(*catalogs(data), fractions=(0.65, 0.15, 0.2), seed=0, guard=LeakGuard(radius=3.0))


def mixture_split(split: Split) -> Split:
    """Return a split in which no galaxy known to stand in EFIGI and Galaxy Zoo is in two parts."""
    table = split.table.copy()
    rank = {part: number for number, part in enumerate(PARTS)}
    for names in SAME:
        rows = table["id_str"].isin(names) & table["part"].isin(PARTS)
        last = max(table["part"][rows], key=rank.__getitem__)
        table.loc[rows & (table["part"] != last), "part"] = EXCLUDED
    return replace(split, table=table)


def main() -> None:
    """Write the splits and print how many galaxies of each source they put where."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--data", type=Path, default=HERE.parent.parent / "shared" / "data")
    parser.add_argument("--out", type=Path, default=HERE / "splits")
    arguments = parser.parse_args()
    split = shared_split(arguments.data)
    for name, made in (("shared", split), ("mixture", mixture_split(split))):
        print(made.counts().to_string())
        print(f"saved as {made.write(arguments.out / f'{name}.parquet')}")


if __name__ == "__main__":
    main()
