"""Several entries of one galaxy as one answer."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from galaxalign.data.catalogs import SAME_OBJECT
from galaxalign.gallery.memory import Candidates

SAME_PICTURE = 1 - 1e-6
"""Cosine of two embeddings from which they are taken for the same picture.

Nothing lower will do: different galaxies reach 0.99992 (EFIGI) and 0.99998 (Galaxy Zoo 1) with galaxy-lite, so only
the same pixels are known again, also turned or mirrored. Storing vectors as float16 moves a cosine by less than 1e-7.
"""

_BLOCK = 1024  # entries compared at a time: all with all would take gigabytes for some ten thousand
_ROUNDING = 1e-15  # of a cosine of positions; a thousandth of a percent of 2 arcsec


def collapsed(found: Candidates, count: int) -> list[list[int]]:
    """Return the rows of each galaxy, the best of them first, by the rank of the best.

    Two entries are one galaxy within 2 arcsec of each other, or where their vectors are the same but for rounding. An
    entry is compared with the best entry of each galaxy so far, not with every entry, so that a chain of similar
    pictures does not become one galaxy.
    """
    unit = _directions(found.ra[:count], found.dec[:count])
    nearest = np.cos(np.radians(SAME_OBJECT / 3600)) - _ROUNDING
    groups: list[list[int]] = []
    firsts = np.empty(count, dtype=np.int64)  # the best entry of each galaxy so far
    for start in range(0, count, _BLOCK):
        rows = np.arange(start, min(start + _BLOCK, count))

        def alike(others: NDArray[np.int64], rows: NDArray[np.int64] = rows) -> NDArray[np.bool_]:
            same = found.vectors[rows] @ found.vectors[others].T >= SAME_PICTURE
            return np.asarray(same | (unit[rows] @ unit[others].T >= nearest))

        joined = np.full(len(rows), -1, dtype=np.int64)
        known = len(groups)
        for begin in range(0, known, _BLOCK):
            near = alike(firsts[begin : min(begin + _BLOCK, known)])
            new = (joined < 0) & near.any(axis=1)
            joined[new] = begin + near[new].argmax(axis=1)
        among = alike(rows)
        for place, row in enumerate(rows.tolist()):
            group = int(joined[place])
            if group < 0:
                here = firsts[known : len(groups)] - start
                found_here = np.flatnonzero(among[place, here])
                group = known + int(found_here[0]) if len(found_here) else -1
            if group < 0:
                firsts[len(groups)] = row
                groups.append([row])
            else:
                groups[group].append(row)
    return groups


def _directions(ra: NDArray[np.float64], dec: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return unit vectors (N, 3) to positions in degrees; NaN, which is near nothing, where there is none."""
    lon, lat = np.radians(ra), np.radians(dec)
    return np.column_stack([np.cos(lat) * np.cos(lon), np.cos(lat) * np.sin(lon), np.sin(lat)])
