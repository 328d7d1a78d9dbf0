"""How groups of rows are dealt to the parts of a split: by a hash, evenly within each class."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

__all__ = ["deal", "hashes"]


def hashes(texts: Iterable[str], seed: int) -> NDArray[np.float64]:
    """Return for each text a number in [0, 1) that depends on nothing but the text and the seed."""
    digests = (hashlib.blake2b(f"{seed}\x1f{text}".encode(), digest_size=8).digest() for text in texts)
    return np.array([int.from_bytes(digest) / 2**64 for digest in digests], np.float64)


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
    quotas = np.floor(exact).astype(np.int64)
    for place in np.argsort(quotas - exact, kind="stable")[: n - quotas.sum()]:
        quotas[place] += 1
    for place in needy:
        richest = int(np.argmax(quotas))
        if targets[place] > 0 and quotas[place] + counts[place] == 0 and quotas[richest] > 1:
            quotas[richest] -= 1
            quotas[place] += 1
    return quotas
