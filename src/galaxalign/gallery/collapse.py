"""Several entries of one galaxy as one answer."""

from __future__ import annotations

import numpy as np

from galaxalign.data.sky import SAME_OBJECT
from galaxalign.gallery.memory import Candidates

__all__ = ["SAME_PICTURE", "collapsed"]

SAME_PICTURE = 1 - 1e-6
"""Cosine of two embeddings from which they are taken for the same picture.

Nothing lower will do: different galaxies reach 0.99992 (EFIGI) and 0.99998 (Galaxy Zoo 1) with galaxy-lite, so only
the same pixels are known again, also turned or mirrored. Storing vectors as float16 moves a cosine by less than 1e-7.
"""


def collapsed(found: Candidates, count: int) -> list[list[int]]:
    """Return the rows of each galaxy, the best of them first, by the rank of the best.

    Two entries are one galaxy within 2 arcsec of each other, or where their vectors are the same but for rounding. An
    entry is compared with the best entry of each galaxy so far, not with every entry, so that a chain of similar
    pictures does not become one galaxy.

    Parameters
    ----------
    found : Candidates
        Best first.
    count : int
        How many of them take part, from the first.
    """
    near = _neighbours(found, count)
    groups: list[list[int]] = []
    group_of: dict[int, int] = {}
    for row in range(count):
        firsts = [group_of[other] for other in np.flatnonzero(near[row, :row]).tolist() if other in group_of]
        if firsts:
            groups[firsts[0]].append(row)
        else:
            group_of[row] = len(groups)
            groups.append([row])
    return groups


def _neighbours(found: Candidates, count: int) -> np.ndarray:
    """Return which two of the first rows are one galaxy, bool (count, count)."""
    vectors = found.vectors[:count]
    near = vectors @ vectors.T >= SAME_PICTURE
    lon, lat = np.radians(found.ra[:count]), np.radians(found.dec[:count])
    unit = np.column_stack([np.cos(lat) * np.cos(lon), np.cos(lat) * np.sin(lon), np.sin(lat)])
    placed = np.flatnonzero(np.isfinite(unit).all(axis=1))
    if len(placed):
        from scipy.spatial import cKDTree

        chord = 2 * np.sin(np.radians(SAME_OBJECT / 3600) / 2) * (1 + 1e-9)
        pairs = placed[cKDTree(unit[placed]).query_pairs(chord, output_type="ndarray")]
        near[pairs[:, 0], pairs[:, 1]] = near[pairs[:, 1], pairs[:, 0]] = True
    return near
