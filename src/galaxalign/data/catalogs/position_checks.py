"""Problems of the positions of a catalogue, a phrase for each."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from numpy.typing import ArrayLike

from galaxalign.data.catalogs.catalog import Catalog
from galaxalign.data.catalogs.groups import positions
from galaxalign.data.catalogs.sky import CLUMP, most_crowded, out_of_range


class PositionLook:
    """Checks positions piece by piece, in constant memory, for impossible and unlikely values."""

    def __init__(self) -> None:
        self._rows = self._missing = self._wrong = self._good = 0
        self._first_wrong = ""
        self._low, self._high = np.full(2, np.inf), np.full(2, -np.inf)

    def add(self, ra: ArrayLike, dec: ArrayLike) -> None:
        """Add rows.

        Parameters
        ----------
        ra, dec : array_like
            (N,) degrees, NaN where missing.
        """
        places = np.column_stack([np.asarray(ra, np.float64), np.asarray(dec, np.float64)])
        wrong = out_of_range(*places.T)
        missing = np.isnan(places).any(axis=1) & ~wrong
        good = places[~wrong & ~missing]
        if wrong.any() and not self._wrong:
            row = int(np.flatnonzero(wrong)[0])
            self._first_wrong = f"ra = {places[row, 0]:g}, dec = {places[row, 1]:g} in row {self._rows + row + 1}"
        self._rows += len(places)
        self._wrong += int(wrong.sum())
        self._missing += int(missing.sum())
        self._good += len(good)
        if len(good):
            self._low = np.minimum(self._low, good.min(axis=0))
            self._high = np.maximum(self._high, good.max(axis=0))

    def impossible(self) -> list[str]:
        """Return a phrase if coordinates are out of range."""
        if not self._wrong:
            return []
        return [
            f"{self._wrong} of {self._rows} rows have coordinates that no place on the sky has, in degrees (first: "
            f"{self._first_wrong})"
        ]

    def missing(self) -> list[str]:
        """Return a phrase if rows have no position; impossible positions are not counted."""
        if not self._missing:
            return []
        return [f"{self._missing} of {self._rows} rows have no position and cannot be matched by it"]

    def hours(self) -> list[str]:
        """Return a phrase if right ascensions look like hours."""
        (ra, dec), (last_ra, last_dec) = self._low, self._high
        if self._good <= 2 or ra < 0 or last_ra > 24 or last_ra - ra < 4 or last_dec - dec < 4:
            return []
        return [
            f"right ascension lies between {ra:.3g} and {last_ra:.3g} while declination spans "
            f"{last_dec - dec:.0f} degrees: it looks like hours; if so, multiply it by 15"
        ]


def sky_doubts(ra: ArrayLike, dec: ArrayLike) -> list[str]:
    """Return a phrase for rows without a position, right ascensions that look like hours, and a crowded position."""
    lon, lat = np.asarray(ra, np.float64), np.asarray(dec, np.float64)
    look = PositionLook()
    look.add(lon, lat)
    doubts = look.missing() + look.hours()
    n, row = most_crowded(lon, lat)
    if n > CLUMP:
        doubts.append(
            f"{n} rows have the very same position ({lon[row]:g}, {lat[row]:g}) and count as one galaxy; "
            "if it stands for an unknown one, leave it empty"
        )
    return doubts


def lacking(columns: Iterable[object]) -> str:
    """Return the missing columns of positions: "no columns ra and dec", "ra but no column dec"; or ""."""
    missing = [name for name in ("ra", "dec") if name not in set(columns)]
    if len(missing) == 2:
        return "no columns ra and dec"
    return {"ra": "dec but no column ra", "dec": "ra but no column dec"}[missing[0]] if missing else ""


def half_lacking(columns: Iterable[object]) -> list[str]:
    """Return a phrase if only one of ra and dec is there."""
    lack = lacking(columns)
    return [f"there is {lack}"] if lack.endswith(("column ra", "column dec")) else []


def lacking_note(catalog: Catalog, ways: str = "ids") -> list[str]:
    """Return a sentence if a catalogue lacks a column of positions, with what identifies its galaxies instead."""
    lack = lacking(catalog.table.columns)
    if not lack:
        return []
    flags = ",".join(f"{name}=..." for name in ("ra", "dec") if name not in catalog.table)
    return [
        f"{catalog.source} has {lack}, so galaxies are told by {ways} alone; name its positions with --columns {flags} "
        "if it has some"
    ]


def positions_unused(catalog: Catalog) -> list[str]:
    """Return the problems of positions that are only carried along: a missing column, impossible values, hours."""
    if lacking(catalog.table.columns):
        return half_lacking(catalog.table.columns)
    look = PositionLook()
    look.add(*positions(catalog))
    return look.impossible() + look.hours()
