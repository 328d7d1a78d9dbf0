"""Positions on the sky: rows that are close together."""

from __future__ import annotations

import re
from collections.abc import Iterator

import numpy as np
from numpy.typing import ArrayLike, NDArray

from galaxalign.errors import InputError

RADIUS = 60.0
"""Arcsec: closer galaxies are in each other's cutouts and belong in one part of a split."""

SAME_OBJECT = 2.0
"""Arcsec: closer rows are one galaxy, whose labels should agree."""

CLUMP = 50
"""More rows than this at the same position mean a placeholder."""

_BAND = 500_000  # rows in a band of declination; memory grows with the band, not with the catalogue
_UNITS = {"": 1.0, "arcsec": 1.0, "asec": 1.0, '"': 1.0, "″": 1.0, "arcmin": 60.0, "'": 60.0, "′": 60.0}
_UNITS |= {"deg": 3600.0, "degree": 3600.0, "degrees": 3600.0, "°": 3600.0}


def arcsec(angle: str | float) -> float:
    """Return an angle in arcsec, from a number (already arcsec) or text: "60arcsec", "1 arcmin", "0.01deg".

    Raises
    ------
    InputError
        It is no angle, negative or not finite.
    """
    match = re.fullmatch(r"\s*([+-]?[\d.]+(?:[eE][+-]?\d+)?|nan|inf)\s*(\D*?)\s*", str(angle))
    try:
        value = float(match[1]) * _UNITS[match[2]] if match else np.nan
    except (KeyError, ValueError):
        value = np.nan
    if not np.isfinite(value) or value < 0:
        raise InputError(f"the radius {angle} is no angle; give it as 60arcsec, 1arcmin or 0.01deg, not below 0")
    return value


def sky_pairs(ra: ArrayLike, dec: ArrayLike, radius: float) -> NDArray[np.int64]:
    """Return the pairs of rows within a radius of each other on the sphere.

    Parameters
    ----------
    ra, dec : array_like
        (N,) degrees. Rows with a NaN are in no pair.
    radius : float
        Arcsec, inclusive.

    Returns
    -------
    numpy.ndarray
        int64 (M, 2), the smaller index first, sorted. If more than `CLUMP` rows share a position, a placeholder such
        as (0, 0), only the first of them is paired with the others and with neighbours.

    Raises
    ------
    InputError
        A coordinate is out of range, the two have different lengths, or the radius is no angle.
    """
    lon, lat = valid_positions(ra, dec)
    places, first, members, start = _places(lon, lat)
    counts = np.diff(start)
    found = [np.empty((0, 2), np.int64)]
    for place in np.flatnonzero(counts > 1):
        found.append(_within(members[start[place] : start[place + 1]]))
    for near in _near(places, arcsec(radius)):
        single = (counts[near] == 1).all(axis=1)
        found.append(first[near[single]])
        for one, two in near[~single]:
            sides = [members[start[p] : start[p + 1]] if counts[p] <= CLUMP else first[[p]] for p in (one, two)]
            found.append(np.stack(np.meshgrid(*sides, indexing="ij"), axis=-1).reshape(-1, 2))
    pairs = np.sort(np.vstack(found), axis=1)
    return pairs[np.lexsort((pairs[:, 1], pairs[:, 0]))]


def friends(ra: ArrayLike, dec: ArrayLike, radius: float) -> NDArray[np.int64]:
    """Return pairs of rows, (M, 2) with M < 2 N, whose chains connect the same groups as all of `sky_pairs`.

    Arguments and errors are those of `sky_pairs`.
    """
    lon, lat = valid_positions(ra, dec)
    places, first, members, start = _places(lon, lat)
    same = np.column_stack([members, np.repeat(first, np.diff(start))])
    ties = [same[same[:, 0] != same[:, 1]]]
    ties += [first[_spanning(near)] for near in _near(places, arcsec(radius))]
    return np.vstack(ties)


def nearest(
    ra: ArrayLike, dec: ArrayLike, other_ra: ArrayLike, other_dec: ArrayLike
) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Return for each row the distance in arcsec to the nearest row of another table, and its index.

    Infinity and -1 where either has no position. Errors are those of `sky_pairs`.
    """
    from scipy.spatial import cKDTree

    lon, lat = valid_positions(ra, dec)
    other_lon, other_lat = valid_positions(other_ra, other_dec)
    placed, others = np.flatnonzero(np.isfinite(lon + lat)), np.flatnonzero(np.isfinite(other_lon + other_lat))
    distance, which = np.full(len(lon), np.inf), np.full(len(lon), -1)
    if len(placed) and len(others):
        tree = cKDTree(_unit(other_lon[others], other_lat[others]))
        chord, index = tree.query(_unit(lon[placed], lat[placed]))
        distance[placed] = _angle(np.asarray(chord))
        which[placed] = others[index]
    return distance, which


def separation(ra: ArrayLike, dec: ArrayLike, pairs: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return the distance in arcsec of each pair of rows, accurate down to zero."""
    unit = _unit(np.asarray(ra, np.float64), np.asarray(dec, np.float64))
    return _angle(np.linalg.norm(unit[pairs[:, 0]] - unit[pairs[:, 1]], axis=1))


def _angle(chord: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the angle in arcsec of a chord of the unit sphere."""
    angle: NDArray[np.float64] = np.degrees(2 * np.arcsin(np.minimum(chord / 2, 1))) * 3600
    return angle


def out_of_range(ra: ArrayLike, dec: ArrayLike) -> NDArray[np.bool_]:
    """Return which rows have impossible coordinates; NaN is missing, not wrong."""
    return (np.abs(np.asarray(ra, np.float64)) > 360) | (np.abs(np.asarray(dec, np.float64)) > 90)


def most_crowded(ra: ArrayLike, dec: ArrayLike) -> tuple[int, int]:
    """Return the number of rows at the most common position and the first of them; (0, -1) without positions."""
    _, first, _, start = _places(np.asarray(ra, np.float64), np.asarray(dec, np.float64))
    if not len(first):
        return 0, -1
    place = int(np.diff(start).argmax())
    return int(np.diff(start)[place]), int(first[place])


def valid_positions(
    ra: ArrayLike, dec: ArrayLike, where: str = "the table"
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return coordinates as float arrays; InputError if one is out of range or their lengths differ."""
    lon, lat = np.asarray(ra, np.float64).ravel(), np.asarray(dec, np.float64).ravel()
    if len(lon) != len(lat):
        raise InputError(f"{where} has {len(lon)} right ascensions but {len(lat)} declinations; give one for each row")
    wrong = np.flatnonzero(out_of_range(lon, lat))
    if len(wrong):
        row = wrong[0]
        name, value, limit = ("dec", lat[row], 90) if abs(lat[row]) > 90 else ("ra", lon[row], 360)
        raise InputError(
            f"{where} has {name} = {value:g} in row {row + 1}; "
            f"it must be in degrees, at most {limit}, and empty where it is not known"
        )
    return lon, lat


def _unit(ra: NDArray[np.float64], dec: NDArray[np.float64]) -> NDArray[np.float64]:
    lon, lat = np.radians(ra), np.radians(dec)
    return np.column_stack([np.cos(lat) * np.cos(lon), np.cos(lat) * np.sin(lon), np.sin(lat)])


def _places(
    ra: NDArray[np.float64], dec: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """Return distinct positions (P, 2) by declination, the first row of each, and rows by position with starts."""
    placed = np.flatnonzero(np.isfinite(ra) & np.isfinite(dec))
    lon, lat = np.mod(ra[placed], 360.0), dec[placed]
    order = np.lexsort((placed, lon, lat))
    lon, lat, members = lon[order], lat[order], placed[order]
    new = np.ones(len(members), bool)
    new[1:] = (lon[1:] != lon[:-1]) | (lat[1:] != lat[:-1])
    begin = np.flatnonzero(new)
    return np.column_stack([lon[begin], lat[begin]]), members[begin], members, np.append(begin, len(members))


def _within(rows: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the pairs among rows of one place: all of them, or of a clump those with its first row."""
    if len(rows) > CLUMP:
        return np.column_stack([np.full(len(rows) - 1, rows[0]), rows[1:]])
    return rows[np.column_stack(np.triu_indices(len(rows), k=1))]


def _near(places: NDArray[np.float64], radius: float) -> Iterator[NDArray[np.int64]]:
    """Yield the pairs (M, 2) of places within a radius, each once, band by band of declination."""
    from scipy.spatial import cKDTree

    reach = radius / 3600
    # Rounding must not lose a pair that lies on the boundary.
    chord = 2 * np.sin(np.radians(min(reach, 180.0)) / 2) * (1 + 1e-10) + 4e-16
    for begin in range(0, len(places), _BAND):
        end = min(begin + _BAND, len(places))
        below = int(np.searchsorted(places[:, 1], places[begin, 1] - reach * (1 + 1e-9), side="left"))
        below = min(below, begin)
        tree = cKDTree(_unit(*places[below:end].T), balanced_tree=False, compact_nodes=False)
        pairs = tree.query_pairs(chord, output_type="ndarray").astype(np.int64, copy=False) + below
        # Pairs within the overlap were found with the band before.
        yield pairs[pairs.max(axis=1) >= begin] if below < begin else pairs


def _spanning(pairs: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return fewer pairs that connect the same things."""
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    if len(pairs) == 0:
        return pairs
    things, local = np.unique(pairs, return_inverse=True)
    local = local.reshape(pairs.shape)
    graph = coo_array((np.ones(len(local), np.int8), (local[:, 0], local[:, 1])), shape=(len(things),) * 2)
    group = connected_components(graph, directed=False)[1]
    first = np.unique(group, return_index=True)[1]
    return np.column_stack([things, things[first][group]])
