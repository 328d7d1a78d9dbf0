"""Saved splits into train, validation and test: one galaxy, one part, in every catalogue it stands in."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from galaxalign.data.catalogs import RADIUS, Catalog, found_in
from galaxalign.data.tables import write_table
from galaxalign.errors import InputError

if TYPE_CHECKING:
    import pandas as pd

PARTS = ("train", "validation", "test")

EXCLUDED = "excluded"
"""The part of rows that are left out of a split because they stand in a benchmark."""

_METADATA_KEY = b"galaxalign_split"
_VERSION = 1


@dataclass(frozen=True, eq=False)
class Split:
    """Which part each galaxy of some catalogues belongs to; ids only, no labels and no images.

    Attributes
    ----------
    table : pandas.DataFrame
        One row for each row of the catalogues: `source`, `id_str`, `part` ("excluded" for rows that are in
        none) and `group` (the first id, in the order of text, of all rows that are the same galaxy).
    fingerprints : dict
        The fingerprint of each catalogue by its source.
    fractions : tuple of float
        The shares of train, validation and test that were asked for.
    seed : int
        The seed that was asked for.
    radius : float
        Rows within this many arcsec were kept together.
    """

    table: pd.DataFrame
    fingerprints: dict[str, str]
    fractions: tuple[float, float, float]
    seed: int
    radius: float

    def part(
        self, catalog: Catalog, part: str, *, share: float = 1.0, seed: int = 0, label: str = "label"
    ) -> NDArray[np.int64]:
        """Return which rows of a catalogue (or of a selection of its rows) belong to a part.

        Parameters
        ----------
        catalog : Catalog
            A catalogue that the split was made from.
        part : {"train", "validation", "test"}
            The part.
        share : float
            Keep this share of each class of the part, at least one galaxy of each, in (0, 1]. For one
            seed the smaller subset lies within the larger one.
        seed : int
            Which subsets; different seeds give independent ones.
        label : str
            The column that holds the class. A catalogue without it counts as one class.

        Returns
        -------
        numpy.ndarray
            int64 indices into the catalogue's rows, ascending.

        Raises
        ------
        InputError
            If the part is not known, the share is no share, or the catalogue is not one of the split's.
        """
        if part not in PARTS:
            raise InputError(f"there is no part {part!r} of a split; choose {', '.join(PARTS)}")
        if not 0 < share <= 1:
            raise InputError(f"the share of labels is {share}; it must lie in (0, 1]")
        ids, parts = catalog.ids, self.parts_of(catalog)
        chosen = np.array([row for row, its_part in enumerate(parts) if its_part == part], np.int64)
        if share == 1:
            return chosen
        classes = catalog.texts(label) if label in catalog.table else [""] * len(ids)
        ranks = _ranks([ids[row] for row in chosen], [classes[row] for row in chosen], seed)
        return chosen[ranks < share]

    def counts(self) -> pd.DataFrame:
        """Return the number of rows by source and part."""
        counts = self.table.groupby(["source", "part"], observed=True).size().unstack(fill_value=0)
        parts = [*PARTS, EXCLUDED] if EXCLUDED in counts else list(PARTS)
        return counts.reindex(index=list(self.fingerprints), columns=parts, fill_value=0)

    def excluded_sentence(self, benchmarks: Sequence[str]) -> str:
        """Say how many rows are in no part because they stand in benchmarks of these names."""
        n = int((self.table["part"] == EXCLUDED).sum())
        return f"{n} of {len(self.table)} rows stand in {', '.join(benchmarks)} and are in no part"

    def parts_of(self, catalog: Catalog) -> list[str]:
        """Return the part of each row of a catalogue; raises InputError if it is not one of the split's."""
        rows = self.table[self.table["source"] == self._source(catalog)]
        parts = dict(zip(rows["id_str"], rows["part"], strict=True))
        for identity in catalog.ids:
            if identity not in parts:
                raise InputError(
                    f"the split lacks {identity} of {catalog.source}; make the split anew from this catalogue"
                )
        return [parts[identity] for identity in catalog.ids]

    def groups_of(self, catalog: Catalog) -> list[str]:
        """Return what the split calls the galaxy of each row of a catalogue: rows of one name stay together."""
        rows = self.table[self.table["source"] == self._source(catalog)]
        groups = dict(zip(rows["id_str"], rows["group"], strict=True))
        return [groups[identity] for identity in catalog.ids]

    def without(self, catalog: Catalog, other: Catalog, *, radius: float = RADIUS) -> Split:
        """Return the split without the galaxies of `catalog` that stand in `other`, by id or position.

        Parameters
        ----------
        catalog : Catalog
            One that the split was made from.
        other : Catalog
            A benchmark, none of whose galaxies may take part.
        radius : float
            In arcsec.
        """
        out = found_in(catalog, other, radius=radius)
        gone = {identity for identity, found in zip(catalog.ids, out, strict=True) if found}
        here = (self.table["source"] == self._source(catalog)) & self.table["id_str"].isin(gone)
        return replace(self, table=self.table.assign(part=self.table["part"].where(~here, EXCLUDED)))

    def write(self, path: str | Path) -> Path:
        """Save the split as Parquet (.parquet); raises InputError if it cannot be written there."""
        path = Path(path)
        if path.suffix.lower() != ".parquet":
            raise InputError(f"a split is saved as Parquet, so its name must end in .parquet, not as {path}")
        about = {
            "version": _VERSION,
            "seed": self.seed,
            "fractions": list(self.fractions),
            "radius_arcsec": self.radius,
            "fingerprints": self.fingerprints,
        }
        return write_table(self.table, path, metadata={_METADATA_KEY.decode(): json.dumps(about)})

    def _source(self, catalog: Catalog) -> str:
        """Return the name under which the split knows a catalogue."""
        for source, fingerprint in self.fingerprints.items():
            if fingerprint == catalog.fingerprint:
                return source
        fingerprint = catalog.fingerprint[:12]
        if catalog.source in self.fingerprints:
            known = self.fingerprints[catalog.source][:12]
            raise InputError(
                f"the split was made from another {catalog.source} (fingerprint {known}; here it is "
                f"{fingerprint}), so ids, labels or image names have changed; make the split anew"
            )
        raise InputError(
            f"the split does not know the catalogue {catalog.source} (fingerprint {fingerprint}); "
            f"it was made from {', '.join(self.fingerprints)}"
        )


def read_split(path: str | Path) -> Split:
    """Read a saved split.

    Raises
    ------
    InputError
        If there is no such file, or it is no split that this version can read.
    """
    import pyarrow.parquet as pq

    path = Path(path)
    if not path.is_file():
        raise InputError(f"there is no split at {path}; make one with galaxalign split CATALOG --out {path}")
    try:
        file = pq.ParquetFile(path)
        about = json.loads((file.schema_arrow.metadata or {})[_METADATA_KEY])
        table = file.read(columns=["source", "id_str", "part", "group"]).to_pandas(ignore_metadata=True)
    except Exception as error:
        # Not Parquet, cut short, or Parquet of another kind: one sentence whatever pyarrow calls it.
        raise InputError(f"{path} is not a saved split; make one with galaxalign split") from error
    if about["version"] > _VERSION:
        raise InputError(f"{path} was written by a newer GalaxAlign; update the program or make the split anew")
    train, validation, test = about["fractions"]
    return Split(table, about["fingerprints"], (train, validation, test), about["seed"], about["radius_arcsec"])


def _ranks(ids: Sequence[str], classes: Sequence[str], seed: int) -> NDArray[np.float64]:
    """Return the rank of each galaxy within its class, in [0, 1): those below a share make up that share."""
    order = np.argsort(hashes((f"share\x1f{identity}" for identity in ids), seed), kind="stable")
    numbers = np.unique(np.array(classes, dtype=str), return_inverse=True)[1].ravel()
    ranks = np.empty(len(ids))
    for number in range(numbers.max(initial=-1) + 1):
        members = order[numbers[order] == number]
        ranks[members] = np.arange(len(members)) / len(members)
    return ranks


def hashes(texts: Iterable[str], seed: int) -> NDArray[np.float64]:
    """Return for each text a number in [0, 1) that depends on nothing but the text and the seed."""
    digests = (hashlib.blake2b(f"{seed}\x1f{text}".encode(), digest_size=8).digest() for text in texts)
    return np.array([int.from_bytes(digest) / 2**64 for digest in digests], np.float64)
