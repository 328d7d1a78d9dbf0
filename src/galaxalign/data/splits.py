"""Saved splits into train, validation and test: one galaxy, one part, in every catalogue it stands in."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from galaxalign.data.catalog import Catalog, write_table
from galaxalign.data.groups import same_galaxy
from galaxalign.errors import InputError

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["PARTS", "Split", "make_split", "read_split"]

PARTS = ("train", "validation", "test")

_METADATA_KEY = b"galaxalign_split"
_VERSION = 1


@dataclass(frozen=True, eq=False)
class Split:
    """Which part each galaxy of some catalogues belongs to; ids only, no labels and no images.

    Attributes
    ----------
    table : pandas.DataFrame
        One row for each row of the catalogues: `source`, `id_str`, `part` and `group` (the first id, in
        the order of text, of all rows that are the same galaxy).
    fingerprints : dict
        The fingerprint of each catalogue by its source.
    fractions : tuple of float
        The shares of train, validation and test that were asked for.
    seed : int
        The seed that was asked for.
    radius : float
        Rows within this many arcsec were taken for the same galaxy.
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
        rows = self.table[self.table["source"] == self._source(catalog)]
        parts = dict(zip(rows["id_str"], rows["part"], strict=True))
        ids = catalog.ids
        for identity in ids:
            if identity not in parts:
                raise InputError(
                    f"the split lacks {identity} of {catalog.source}; make the split anew from this catalogue"
                )
        chosen = np.array([row for row, identity in enumerate(ids) if parts[identity] == part], np.int64)
        if share == 1:
            return chosen
        classes = catalog.texts(label) if label in catalog.table else [""] * len(ids)
        ranks = _ranks([ids[row] for row in chosen], [classes[row] for row in chosen], seed)
        return chosen[ranks < share]

    def counts(self) -> pd.DataFrame:
        """Return the number of rows by source and part."""
        counts = self.table.groupby(["source", "part"], observed=True).size().unstack(fill_value=0)
        return counts.reindex(index=list(self.fingerprints), columns=list(PARTS), fill_value=0)

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


def make_split(
    *catalogs: Catalog,
    fractions: Sequence[float] = (0.7, 0.1, 0.2),
    seed: int = 0,
    label: str = "label",
    group_column: str | None = None,
    links: Iterable[tuple[str, str]] = (),
    radius: float = 3.0,
    previous: Split | None = None,
) -> Split:
    """Divide catalogues into train, validation and test, by galaxy and evenly within each class.

    Rows are the same galaxy, and so in the same part, if they share an id or a value of `group_column`,
    are named by `links`, or lie within `radius` of each other on the sky; all of it across catalogues
    and in chains. The galaxies of each class of each catalogue are put in the order of a hash of seed and
    id and cut at the fractions. So the result depends neither on the order of the rows nor on that of the
    catalogues, and every class, however rare, has its exact share of each part (a bare threshold on
    the hash would leave that to chance). New rows move the cuts a little: give `previous` to keep every
    galaxy where it is and to divide only the new ones.

    Parameters
    ----------
    *catalogs : Catalog
        The catalogues.
    fractions : sequence of float
        Shares of train, validation and test; they add up to 1. A class of three galaxies or more has at
        least one in each part whose share is not 0.
    seed : int
        Another seed, another split.
    label : str
        The column that holds the class; a catalogue without it is divided as one class.
    group_column : str, optional
        A column whose equal values mean "keep together": the same galaxy, field or night.
    links : iterable of (str, str), optional
        Pairs of ids known to be the same galaxy, as an audit finds them.
    radius : float
        In arcsec; for rows with `ra` and `dec`.
    previous : Split, optional
        Galaxies that it knows (by id) keep their part. Where rows that it has in two parts are now the
        same galaxy, they all go to test before validation before train, so that nothing leaves test.

    Returns
    -------
    Split

    Raises
    ------
    InputError
        If the fractions do not add up, two catalogues have one name, or a column is lacking.
    """
    import pandas as pd

    shares = _checked_fractions(fractions)
    _check_catalogs(catalogs, label, group_column)
    ids = [identity for catalog in catalogs for identity in catalog.ids]
    group, first_id = same_galaxy(catalogs, column=group_column, links=links, radius=radius)
    strata = _strata(catalogs, label)
    known = {} if previous is None else dict(zip(previous.table["id_str"], previous.table["part"], strict=True))
    fixed = np.full(len(first_id), -1)
    for row, identity in enumerate(ids):
        if identity in known:
            fixed[group[row]] = max(fixed[group[row]], PARTS.index(known[identity]))
    part_of_group = _deal(group, strata, fixed, _hashes(first_id, seed), shares)
    table = pd.DataFrame(
        {
            "source": [catalog.source for catalog in catalogs for _ in range(len(catalog))],
            "id_str": ids,
            "part": [PARTS[part] for part in part_of_group[group]],
            "group": first_id[group],
        }
    )
    fingerprints = {catalog.source: catalog.fingerprint for catalog in catalogs}
    return Split(table, fingerprints, shares, int(seed), float(radius))


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


def _checked_fractions(fractions: Sequence[float]) -> tuple[float, float, float]:
    values = [float(value) for value in fractions]
    if len(values) != 3 or not all(0 <= value <= 1 for value in values) or abs(sum(values) - 1) > 1e-6:
        raise InputError(
            f"the fractions {', '.join(map(str, fractions))} must be three, for train, validation and test, "
            "and add up to 1"
        )
    return values[0], values[1], values[2]


def _check_catalogs(catalogs: Sequence[Catalog], label: str, group_column: str | None) -> None:
    if not catalogs:
        raise InputError("there is no catalogue to split; give at least one")
    names = [catalog.source for catalog in catalogs]
    for name in names:
        if names.count(name) > 1:
            raise InputError(f"two catalogues are called {name}; rename the file (or folder) of one")
    for column in (group_column, None if label == "label" else label):
        if column is not None and not any(column in catalog.table for catalog in catalogs):
            raise InputError(f"no catalogue ({', '.join(names)}) has the column {column}; check its name")


def _strata(catalogs: Sequence[Catalog], label: str) -> NDArray[np.int64]:
    """Number the classes of each catalogue, apart from those of the others; one number for each row."""
    numbers: dict[tuple[str, str], int] = {}
    strata = []
    for catalog in catalogs:
        texts = catalog.texts(label) if label in catalog.table else [""] * len(catalog)
        strata += [numbers.setdefault((catalog.source, text), len(numbers)) for text in texts]
    return np.array(strata, np.int64)


def _hashes(texts: Iterable[str], seed: int) -> NDArray[np.float64]:
    """Return for each text a number in [0, 1) that depends on nothing but the text and the seed."""
    digests = (hashlib.blake2b(f"{seed}\x1f{text}".encode(), digest_size=8).digest() for text in texts)
    return np.array([int.from_bytes(digest) / 2**64 for digest in digests], np.float64)


def _ranks(ids: Sequence[str], classes: Sequence[str], seed: int) -> NDArray[np.float64]:
    """Return the rank of each galaxy within its class, in [0, 1): those below a share make up that share."""
    order = np.argsort(_hashes((f"share\x1f{identity}" for identity in ids), seed), kind="stable")
    numbers = np.unique(np.array(classes, dtype=str), return_inverse=True)[1].ravel()
    ranks = np.empty(len(ids))
    for number in range(numbers.max(initial=-1) + 1):
        members = order[numbers[order] == number]
        ranks[members] = np.arange(len(members)) / len(members)
    return ranks


def _deal(
    group: NDArray[np.int64],
    strata: NDArray[np.int64],
    fixed: NDArray[np.int64],
    hashes: NDArray[np.float64],
    shares: tuple[float, float, float],
) -> NDArray[np.int64]:
    """Return the part of each group: the joined ones first, then the single rows to make the shares exact."""
    part = fixed.copy()
    sizes = np.bincount(group)
    totals = np.bincount(strata)
    targets = totals[:, None] * np.array(shares)
    counts = np.zeros_like(targets)
    for row in np.flatnonzero(fixed[group] >= 0):
        counts[strata[row], fixed[group[row]]] += 1

    rows_by_group = np.split(np.argsort(group, kind="stable"), np.cumsum(sizes)[:-1])
    joined = np.flatnonzero((sizes > 1) & (fixed < 0))
    for number in joined[np.lexsort((hashes[joined], -sizes[joined]))]:
        its_strata = strata[rows_by_group[number]]
        with np.errstate(divide="ignore", invalid="ignore"):
            # How far, relative to its target, each part is from full; a part with share 0 is never chosen.
            lack = np.where(targets > 0, (targets - counts) / targets, -np.inf)[its_strata].sum(axis=0)
        # Rounded, lest the order of summation, and so of the rows, decide between equals.
        part[number] = int(np.argmax(lack.round(9)))
        np.add.at(counts, (its_strata, part[number]), 1)

    single = np.flatnonzero((sizes == 1) & (fixed < 0))
    stratum_of_single = strata[[rows_by_group[number][0] for number in single]]
    for stratum in np.unique(stratum_of_single):
        members = single[stratum_of_single == stratum]
        members = members[np.argsort(hashes[members], kind="stable")]
        quotas = _quotas(len(members), targets[stratum], counts[stratum])
        part[members] = np.repeat(np.arange(len(PARTS)), quotas)
    return part


def _quotas(n: int, targets: NDArray[np.float64], counts: NDArray[np.float64]) -> NDArray[np.int64]:
    """Divide n single galaxies so that, with those dealt already, each part comes closest to its target."""
    lack = np.maximum(targets - counts, 0)
    exact = n * lack / lack.sum()
    quotas = np.floor(exact).astype(np.int64)
    for place in np.argsort(quotas - exact, kind="stable")[: n - quotas.sum()]:
        quotas[place] += 1
    # A rare class must not be absent from a part; validation is the first to go without.
    for place in (PARTS.index(name) for name in ("train", "test", "validation")):
        richest = int(np.argmax(quotas))
        if targets[place] > 0 and quotas[place] + counts[place] == 0 and quotas[richest] > 1:
            quotas[richest] -= 1
            quotas[place] += 1
    return quotas
