"""Catalogues divided into the parts of a split: whole galaxies, evenly within each class, in the order of a hash."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from galaxalign.data.catalogs import Catalog, found_in, same_galaxy
from galaxalign.data.splits.leaks import LeakGuard
from galaxalign.data.splits.splits import EXCLUDED, PARTS, Split, hashes
from galaxalign.errors import InputError

_GUARD = LeakGuard()


def make_split(
    *catalogs: Catalog,
    fractions: Sequence[float] = (0.7, 0.1, 0.2),
    seed: int = 0,
    label: str = "label",
    group_column: str | None = None,
    links: Iterable[tuple[str, str]] = (),
    guard: LeakGuard = _GUARD,
    previous: Split | None = None,
) -> Split:
    """Divide catalogues into train, validation and test, by galaxy and evenly within each class.

    Rows are the same galaxy, and so in the same part, if they share an id or a value of `group_column`, are named by
    `links`, or lie within the guard's radius of each other on the sky, across catalogues and in chains. The galaxies
    of each class of each catalogue are sorted by a hash of seed and id and cut at the fractions. The result depends
    on the order of neither rows nor catalogues, and every class has its exact share of each part. New rows move the
    cuts a little; with `previous` every known galaxy keeps its part.

    Parameters
    ----------
    *catalogs : Catalog
    fractions : sequence of float
        Shares of train, validation and test; they add up to 1. A class of three galaxies or more has at
        least one in each part whose share is not 0.
    seed : int
    label : str
        The column that holds the class; a catalogue without it is divided as one class.
    group_column : str, optional
        A column whose equal values mean "keep together": the same galaxy, field or night.
    links : iterable of (str, str), optional
        Pairs of ids known to be the same galaxy, as an audit lists them.
    guard : LeakGuard, optional
        Rows within its radius stay together; rows in one of its benchmarks, by id or position, get the part
        "excluded".
    previous : Split, optional
        Galaxies in it (by id) keep their part. If rows of two of its parts are now the same galaxy, all of them go to
        test before validation before train, so that nothing leaves test.

    Raises
    ------
    InputError
        The fractions do not add up, two catalogues have one name, or a column is missing.
    """
    shares = _checked_fractions(fractions)
    galaxies = _galaxies(catalogs, label, group_column, links, guard)
    known = {} if previous is None else dict(zip(previous.table["id_str"], previous.table["part"], strict=True))
    fixed = np.full(len(galaxies.names), -1)
    for group, row in zip(galaxies.group, np.flatnonzero(galaxies.kept), strict=True):
        part = known.get(galaxies.ids[row])
        if part in PARTS:
            fixed[group] = max(fixed[group], PARTS.index(part))
    # A rare class must not be absent from a part; validation is the first to go without.
    needy = [PARTS.index(name) for name in ("train", "test", "validation")]
    dealt = deal(galaxies.group, galaxies.strata, fixed, hashes(galaxies.names, seed), shares, needy)
    return galaxies.split([PARTS[part] for part in dealt[galaxies.group]], shares, seed, guard.radius)


def make_folds(
    *catalogs: Catalog,
    folds: int,
    seed: int = 0,
    label: str = "label",
    group_column: str | None = None,
    links: Iterable[tuple[str, str]] = (),
    guard: LeakGuard = _GUARD,
) -> list[Split]:
    """Divide catalogues into k folds; return k splits, each with another fold as its test part.

    The validation part is the fold after the test part. The other parameters are those of `make_split`.

    Parameters
    ----------
    *catalogs : Catalog
    folds : int
        Three or more.

    Raises
    ------
    InputError
        As `make_split`, or there are fewer than three folds or more folds than galaxies.
    """
    galaxies = _galaxies(catalogs, label, group_column, links, guard)
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
        splits.append(galaxies.split(parts.tolist(), (1 - 2 / folds, 1 / folds, 1 / folds), seed, guard.radius))
    return splits


def deal(
    group: NDArray[np.int64],
    strata: NDArray[np.int64],
    fixed: NDArray[np.int64],
    hashes: NDArray[np.float64],
    shares: Sequence[float],
    needy: Sequence[int] = (),
) -> NDArray[np.int64]:
    """Return the part of each group: the joined ones first, then the single rows to make the shares exact.

    Parameters
    ----------
    group, strata : numpy.ndarray
        int64 (N,), the group and the class of each row, both counted from 0.
    fixed : numpy.ndarray
        int64 (G,), the part of groups that have one already; -1 for the others.
    hashes : numpy.ndarray
        (G,) in [0, 1); the order in which groups are dealt.
    shares : sequence of float
        Of each part; they add up to 1.
    needy : sequence of int
        Parts in which even a rare class must not be absent, the first ones before the others.

    Returns
    -------
    numpy.ndarray
        int64 (G,).
    """
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
        quotas = _quotas(len(members), targets[stratum], counts[stratum], needy)
        part[members] = np.repeat(np.arange(len(shares)), quotas)
    return part


def _quotas(
    n: int, targets: NDArray[np.float64], counts: NDArray[np.float64], needy: Sequence[int]
) -> NDArray[np.int64]:
    """Divide n single galaxies so that, with those dealt already, each part comes closest to its target."""
    lack = np.maximum(targets - counts, 0)
    exact = n * lack / lack.sum()
    quotas: NDArray[np.int64] = np.floor(exact).astype(np.int64)
    for place in np.argsort(quotas - exact, kind="stable")[: n - quotas.sum()]:
        quotas[place] += 1
    for place in needy:
        richest = int(np.argmax(quotas))
        if targets[place] > 0 and quotas[place] + counts[place] == 0 and quotas[richest] > 1:
            quotas[richest] -= 1
            quotas[place] += 1
    return quotas


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
    guard: LeakGuard,
) -> _Galaxies:
    _check_catalogs(catalogs, label, group_column)
    group, names = same_galaxy(catalogs, column=group_column, links=links, radius=guard.radius)
    reach = guard.radius if guard.exclude_radius is None else guard.exclude_radius
    kept = np.ones(len(group), bool)
    for other in guard.exclude:
        kept &= ~np.concatenate([found_in(catalog, other, radius=reach) for catalog in catalogs])
    if not kept.any():
        sources, benchmarks = (", ".join(c.source for c in some) for some in (catalogs, guard.exclude))
        raise InputError(
            f"every galaxy of {sources} stands in {benchmarks} (within the radius), so nothing is left to split; use a "
            "smaller --radius or another catalogue"
        )
    left, renumbered = np.unique(group[kept], return_inverse=True)
    ids = [identity for catalog in catalogs for identity in catalog.ids]
    return _Galaxies(
        catalogs, ids, kept, renumbered.astype(np.int64), _strata(catalogs, label)[kept], names[left], names[group]
    )


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
