"""Which rows of which catalogues are the same galaxy: by id, by position, by a column, by known links."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

from galaxalign.data.catalog import Catalog
from galaxalign.errors import InputError

__all__ = ["same_galaxy"]


def same_galaxy(
    catalogs: Sequence[Catalog],
    *,
    column: str | None = None,
    links: Iterable[tuple[str, str]] = (),
    radius: float = 3.0,
) -> tuple[NDArray[np.int64], NDArray[np.object_]]:
    """Number the galaxies of several catalogues, so that rows of the same galaxy have one number.

    Rows are the same galaxy if they share an id or a value of `column`, are named by a link, or lie
    within `radius` of each other; all of it across catalogues and in chains.

    Parameters
    ----------
    catalogs : sequence of Catalog
        The catalogues, N rows in all.
    column : str, optional
        A column whose equal values belong together; missing values do not.
    links : iterable of (str, str)
        Pairs of ids known to be the same galaxy; ids that no catalogue has are passed over.
    radius : float
        In arcsec; for rows with `ra` and `dec`. 0: positions are not looked at.

    Returns
    -------
    group : numpy.ndarray
        int64 (N,), the number of the galaxy of each row, the catalogues one after the other.
    names : numpy.ndarray
        The first id, in the order of text, of each galaxy.

    Raises
    ------
    InputError
        If a coordinate is no number of degrees.
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


def _sky_links(catalogs: Sequence[Catalog], radius: float) -> NDArray[np.int64]:
    """Return pairs of rows, (M, 2), that tie together all rows within `radius` arcsec of each other."""
    from scipy.spatial import cKDTree

    ra = np.concatenate([_degrees(catalog, "ra", 360) for catalog in catalogs])
    dec = np.concatenate([_degrees(catalog, "dec", 90) for catalog in catalogs])
    placed = np.flatnonzero(np.isfinite(ra) & np.isfinite(dec))
    if radius <= 0 or len(placed) == 0:
        return np.empty((0, 2), np.int64)
    # Rows at the very same place are tied to the first of them: among many (0, 0) as a placeholder the
    # number of pairs would grow with the square.
    places, first, which = np.unique(
        np.column_stack([ra[placed], dec[placed]]), axis=0, return_index=True, return_inverse=True
    )
    same = np.column_stack([placed, placed[first][which.ravel()]])
    lon, lat = np.radians(places).T
    unit = np.column_stack([np.cos(lat) * np.cos(lon), np.cos(lat) * np.sin(lon), np.sin(lat)])
    chord = 2 * np.sin(np.radians(radius / 3600) / 2)
    near = cKDTree(unit).query_pairs(chord, output_type="ndarray")
    return np.vstack([same, placed[first][near]]).astype(np.int64)


def _degrees(catalog: Catalog, column: str, limit: float) -> NDArray[np.float64]:
    """Return a coordinate of each row; NaN where it is missing."""
    if column not in catalog.table:
        return np.full(len(catalog), np.nan)
    try:
        values = np.array([float(text) if text else np.nan for text in catalog.texts(column)])
    except ValueError as error:
        raise InputError(f"{catalog.source} has a {column} that is no number of degrees ({error})") from None
    wrong = np.flatnonzero(np.abs(values) > limit)
    if len(wrong):
        raise InputError(
            f"{catalog.source} has {column} = {values[wrong[0]]:g} in row {wrong[0] + 1}; "
            f"it must be in degrees, at most {limit:g}"
        )
    return values


def _first_ids(ids: Sequence[str], group: NDArray[np.int64]) -> list[str]:
    """Return the first id, in the order of text, of each group."""
    first: dict[int, str] = {}
    for number, identity in zip(group.tolist(), ids, strict=True):
        first[number] = min(first.get(number, identity), identity)
    return [first[number] for number in range(len(first))]
