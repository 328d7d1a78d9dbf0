"""Saved splits into train, validation and test: one galaxy, one part, in every catalogue it stands in."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from galaxalign.data.catalog import Catalog, write_table
from galaxalign.data.dealing import deal, hashes
from galaxalign.data.groups import found_in, same_galaxy
from galaxalign.data.sky import RADIUS
from galaxalign.errors import InputError

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["EXCLUDED", "PARTS", "Split", "make_folds", "make_split", "read_split"]

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


def make_split(
    *catalogs: Catalog,
    fractions: Sequence[float] = (0.7, 0.1, 0.2),
    seed: int = 0,
    label: str = "label",
    group_column: str | None = None,
    links: Iterable[tuple[str, str]] = (),
    radius: float = RADIUS,
    exclude: Sequence[Catalog] = (),
    exclude_radius: float | None = None,
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
    exclude : sequence of Catalog
        Benchmarks: rows that stand in one of them, by id or position, get the part "excluded".
    exclude_radius : float, optional
        In arcsec; how close to a galaxy of a benchmark is the same one. Default: `radius`.
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
    shares = _checked_fractions(fractions)
    galaxies = _galaxies(catalogs, label, group_column, links, radius, exclude, exclude_radius)
    known = {} if previous is None else dict(zip(previous.table["id_str"], previous.table["part"], strict=True))
    fixed = np.full(len(galaxies.names), -1)
    for group, row in zip(galaxies.group, np.flatnonzero(galaxies.kept), strict=True):
        part = known.get(galaxies.ids[row])
        if part in PARTS:
            fixed[group] = max(fixed[group], PARTS.index(part))
    # A rare class must not be absent from a part; validation is the first to go without.
    needy = [PARTS.index(name) for name in ("train", "test", "validation")]
    dealt = deal(galaxies.group, galaxies.strata, fixed, hashes(galaxies.names, seed), shares, needy)
    return galaxies.split([PARTS[part] for part in dealt[galaxies.group]], shares, seed, radius)


def make_folds(
    *catalogs: Catalog,
    folds: int,
    seed: int = 0,
    label: str = "label",
    group_column: str | None = None,
    links: Iterable[tuple[str, str]] = (),
    radius: float = RADIUS,
    exclude: Sequence[Catalog] = (),
    exclude_radius: float | None = None,
) -> list[Split]:
    """Divide catalogues into k folds, and return k splits, each with another fold as its test part.

    Every galaxy is in the test part of exactly one of them, and in the validation part of exactly one
    other: the validation part is the fold after the test part. The other arguments are those of
    `make_split`.

    Parameters
    ----------
    *catalogs : Catalog
        The catalogues.
    folds : int
        Three or more.

    Returns
    -------
    list of Split

    Raises
    ------
    InputError
        As `make_split`, and if there are fewer than three folds or more folds than galaxies.
    """
    galaxies = _galaxies(catalogs, label, group_column, links, radius, exclude, exclude_radius)
    if not 3 <= folds <= len(galaxies.names):
        raise InputError(
            f"there are {folds} folds of {len(galaxies.names)} galaxies; give at least 3 (for train, validation and "
            "test), and no more than there are galaxies"
        )
    unfixed = np.full(len(galaxies.names), -1)
    dealt = deal(galaxies.group, galaxies.strata, unfixed, hashes(galaxies.names, seed), [1 / folds] * folds)
    fold = dealt[galaxies.group]
    splits = []
    for test in range(folds):
        parts = np.where(fold == test, "test", np.where(fold == (test + 1) % folds, "validation", "train"))
        splits.append(galaxies.split(parts.tolist(), (1 - 2 / folds, 1 / folds, 1 / folds), seed, radius))
    return splits


@dataclass(frozen=True, eq=False)
class _Galaxies:
    """The rows of some catalogues: those that are `kept`, M in all, with their group and class."""

    catalogs: Sequence[Catalog]
    ids: list[str]
    kept: NDArray[np.bool_]
    group: NDArray[np.int64]
    strata: NDArray[np.int64]
    names: NDArray[np.object_]
    group_names: NDArray[np.object_]

    def split(self, parts: Sequence[str], fractions: tuple[float, float, float], seed: int, radius: float) -> Split:
        """Return the split in which the kept rows have these parts."""
        import pandas as pd

        part = np.full(len(self.ids), EXCLUDED, dtype=object)
        part[self.kept] = parts
        source = [catalog.source for catalog in self.catalogs for _ in range(len(catalog))]
        table = pd.DataFrame({"source": source, "id_str": self.ids, "part": part, "group": self.group_names})
        fingerprints = {catalog.source: catalog.fingerprint for catalog in self.catalogs}
        return Split(table, fingerprints, fractions, int(seed), float(radius))


def _galaxies(
    catalogs: Sequence[Catalog],
    label: str,
    group_column: str | None,
    links: Iterable[tuple[str, str]],
    radius: float,
    exclude: Sequence[Catalog],
    exclude_radius: float | None,
) -> _Galaxies:
    _check_catalogs(catalogs, label, group_column)
    group, names = same_galaxy(catalogs, column=group_column, links=links, radius=radius)
    reach = radius if exclude_radius is None else exclude_radius
    kept = np.ones(len(group), bool)
    for other in exclude:
        kept &= ~np.concatenate([found_in(catalog, other, radius=reach) for catalog in catalogs])
    if not kept.any():
        raise InputError(
            f"every galaxy of {', '.join(c.source for c in catalogs)} stands in {', '.join(c.source for c in exclude)} "
            "(within the radius), so nothing is left to split; give a smaller --radius or another catalogue"
        )
    left, renumbered = np.unique(group[kept], return_inverse=True)
    ids = [identity for catalog in catalogs for identity in catalog.ids]
    return _Galaxies(
        catalogs, ids, kept, renumbered.astype(np.int64), _strata(catalogs, label)[kept], names[left], names[group]
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


def _ranks(ids: Sequence[str], classes: Sequence[str], seed: int) -> NDArray[np.float64]:
    """Return the rank of each galaxy within its class, in [0, 1): those below a share make up that share."""
    order = np.argsort(hashes((f"share\x1f{identity}" for identity in ids), seed), kind="stable")
    numbers = np.unique(np.array(classes, dtype=str), return_inverse=True)[1].ravel()
    ranks = np.empty(len(ids))
    for number in range(numbers.max(initial=-1) + 1):
        members = order[numbers[order] == number]
        ranks[members] = np.arange(len(members)) / len(members)
    return ranks
