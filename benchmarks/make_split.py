"""Make the split that every benchmark uses: benchmarks/splits/shared.parquet, over all shared galaxies.

    python benchmarks/make_split.py [--data ../shared/data] [--out benchmarks/splits/shared.parquet]

Train, validation and test have 65, 15 and 20 % of each class of each source. A galaxy that stands in
several sources (same id, or within 3 arcsec) is in one part. The vote table without images takes part,
so that statistics for captions leave test galaxies out as well. EFIGI names its galaxies by PGC number and
has no positions here: galaxies that it has in common with Galaxy Zoo are not known and may be in two parts,
which matters to a model that is trained on both (docs/audit.md names them; pass the pairs as links).
"""

from __future__ import annotations

import argparse
from pathlib import Path

from galaxalign.data.catalog import Catalog, read_catalog
from galaxalign.data.splits import Split, make_split

HERE = Path(__file__).parent
SOURCES = ("efigi", "gz1", "gz2", "gz2_stripe82")
VOTES = "votes/gz2_stripe82_votes.csv.gz"


def catalogs(data: Path) -> list[Catalog]:
    """Return the catalogues below the folder of shared galaxies."""
    images = [read_catalog(data / source / "catalog.csv") for source in SOURCES]
    votes = read_catalog(data / VOTES, require=("id_str",), columns={"id_str": "objid"})
    return [*images, votes]


def shared_split(data: Path) -> Split:
    """Return the split over all of them."""
    return make_split(*catalogs(data), fractions=(0.65, 0.15, 0.20), seed=0, radius=3.0)


def main() -> None:
    """Write the split and print how many galaxies of each source it puts where."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--data", type=Path, default=HERE.parent.parent / "shared" / "data")
    parser.add_argument("--out", type=Path, default=HERE / "splits" / "shared.parquet")
    arguments = parser.parse_args()
    split = shared_split(arguments.data)
    print(split.counts().to_string())
    print(f"saved as {split.write(arguments.out)}")


if __name__ == "__main__":
    main()
