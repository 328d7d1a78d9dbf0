"""Rows of catalogues that are the same galaxy: by id, position, column or known links."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

from galaxalign.data.catalogs.catalog import Catalog
from galaxalign.data.catalogs.columns import numbers
from galaxalign.data.catalogs.sky import RADIUS, friends, nearest, valid_positions
from galaxalign.errors import InputError


def same_galaxy(
    catalogs: Sequence[Catalog],
    *,
    column: str | None = None,
    links: Iterable[tuple[str, str]] = (),
    radius: float = RADIUS,
) -> tuple[NDArray[np.int64], NDArray[np.object_]]:
    """Number the galaxies of several catalogues, so that rows of the same galaxy have one number.

    Rows are the same galaxy if they share an id or a value of `column`, are linked, or lie within `radius` of each
    other, across catalogues and in chains.

    Parameters
    ----------
    catalogs : sequence of Catalog
        The catalogues, N rows in all.
    column : str, optional
        A column whose equal values mean the same galaxy; missing values do not.
    links : iterable of (str, str)
        Pairs of ids of the same galaxy; unknown ids are ignored.
    radius : float
        In arcsec, for rows with `ra` and `dec`; 0 ignores positions.

    Returns
    -------
    group : numpy.ndarray
        int64 (N,), the number of the galaxy of each row, catalogue after catalogue.
    names : numpy.ndarray
        The first id of each galaxy in alphabetical order.

    Raises
    ------
    InputError
        A coordinate is no number of degrees.
    """
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    ids = [identity for catalog in catalogs for identity in catalog.ids]
    row_of_id: dict[str, int] = {}
    pairs = [(row, row_of_id.setdefault(identity, row)) for row, identity in enumerate(ids)]
    pairs += [(row_of_id[a], row_of_id[b]) for a, b in links if a in row_of_id and b in row_of_id]
    if column is not None:
        row_of_value: dict[str, int] = {}
        start = 0
        for catalog in catalogs:
            values = catalog.texts(column) if column in catalog.table else []
            pairs += [(start + i, row_of_value.setdefault(v, start + i)) for i, v in enumerate(values) if v]
            start += len(catalog)
    edges = np.vstack([np.array(pairs, np.int64), _sky_links(catalogs, radius)])
    graph = coo_array((np.ones(len(edges), np.int8), (edges[:, 0], edges[:, 1])), shape=(len(ids), len(ids)))
    group = connected_components(graph, directed=False)[1].astype(np.int64)
    return group, np.array(_first_ids(ids, group), dtype=object)


def positions(catalog: Catalog) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return right ascension and declination of each row in degrees; NaN where missing.

    Raises
    ------
    InputError
        A coordinate is text that is no number. Numbers out of range are returned as they are.
    """
    return _degrees(catalog, "ra"), _degrees(catalog, "dec")


def numbered(catalog: Catalog) -> bool:
    """Tell whether the ids are row numbers, so that equal ids of two catalogues mean nothing."""
    return catalog.ids[0] == "0" and catalog.ids == [str(row) for row in range(len(catalog))]


def found_in(catalog: Catalog, other: Catalog, *, radius: float = RADIUS) -> NDArray[np.bool_]:
    """Return which rows of a catalogue are in another one too: by id, or within `radius` arcsec.

    Raises
    ------
    InputError
        Neither ids nor positions can be compared, or a coordinate is out of range.
    """
    by_id = not numbered(catalog) and not numbered(other)
    (ra, dec), (other_ra, other_dec) = _valid_positions(catalog), _valid_positions(other)
    by_place = np.isfinite(ra + dec).any() and np.isfinite(other_ra + other_dec).any()
    if not by_id and not by_place:
        raise InputError(
            f"{catalog.source} and {other.source} have neither ids nor positions in common columns "
            "(id_str, or ra and dec), so the galaxies of one cannot be found in the other"
        )
    known = set(other.ids) if by_id else set()
    found = np.array([identity in known for identity in catalog.ids])
    if by_place and radius > 0:
        found |= nearest(ra, dec, other_ra, other_dec)[0] <= radius
    return found


def _sky_links(catalogs: Sequence[Catalog], radius: float) -> NDArray[np.int64]:
    """Return pairs of rows, (M, 2), that connect all rows within `radius` arcsec of each other."""
    if radius <= 0:
        return np.empty((0, 2), np.int64)
    each = [_valid_positions(catalog) for catalog in catalogs]
    return friends(np.concatenate([ra for ra, _ in each]), np.concatenate([dec for _, dec in each]), radius)


def _valid_positions(catalog: Catalog) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    return valid_positions(*positions(catalog), catalog.source)


def _degrees(catalog: Catalog, column: str) -> NDArray[np.float64]:
    """Return a coordinate of each row; NaN where it is missing."""
    if column not in catalog.table:
        return np.full(len(catalog), np.nan)
    return numbers(catalog.table[column], column, catalog.source)


def _first_ids(ids: Sequence[str], group: NDArray[np.int64]) -> list[str]:
    """Return the first id of each group in alphabetical order."""
    first: dict[int, str] = {}
    for number, identity in zip(group.tolist(), ids, strict=True):
        first[number] = min(first.get(number, identity), identity)
    return [first[number] for number in range(len(first))]
