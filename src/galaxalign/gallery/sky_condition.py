"""Parts of the sky as conditions in SQL on the columns of an index."""

from __future__ import annotations

from collections.abc import Container
from typing import TYPE_CHECKING

import numpy as np

from galaxalign.errors import InputError
from galaxalign.gallery.database import HEALPIX
from galaxalign.gallery.filters import read_moc
from galaxalign.gallery.memory import Sieve
from galaxalign.gallery.query import Cone

if TYPE_CHECKING:
    from mocpy import MOC

_RANGES = 300  # pieces of the sky in one condition


def sky_condition(sieve: Sieve, columns: Container[str]) -> tuple[list[str], MOC | None]:
    """Return conditions for the cone and the MOC of a query, and the MOC where they let too much through."""
    if sieve.cone is None and sieve.moc is None:
        return [], None
    from mocpy import MOC

    if "ra" not in columns or "dec" not in columns:
        raise InputError("the gallery has no positions (ra, dec), so no part of the sky can be chosen")
    conditions, left = [], None
    if sieve.cone is not None:
        import astropy.units as u

        cone = sieve.cone
        depth = int(np.clip(np.log2(180 / cone.radius), 0, 20))
        cover = MOC.from_cone(lon=cone.ra * u.deg, lat=cone.dec * u.deg, radius=cone.radius * u.deg, max_depth=depth)
        conditions += [_in_ranges(cover)[0], _in_cone(cone)]
    if sieve.moc is not None:
        moc = read_moc(sieve.moc, files=sieve.files)
        condition, exact = _in_ranges(moc)
        conditions.append(condition)
        left = None if exact else moc
    return conditions, left


def _in_ranges(moc: MOC) -> tuple[str, bool]:
    """Return a condition on the HEALPix column, and whether it lets nothing else through."""
    exact = True
    while len(ranges := moc.to_depth29_ranges) > _RANGES and moc.max_order > 0:
        moc, exact = moc.degrade_to_order(moc.max_order - 1), False
    if not len(ranges):
        return "1 = 0", True
    return f"({' OR '.join(f'({HEALPIX} >= {low} AND {HEALPIX} < {high})' for low, high in ranges)})", exact


def _in_cone(cone: Cone) -> str:
    """Return the haversine formula of `filters.in_cone` as a condition."""
    limit = float(np.sin(np.radians(cone.radius) / 2) ** 2 * (1 + 1e-12))
    ra, dec, cosine = cone.ra, cone.dec, float(np.cos(np.radians(cone.dec)))
    return (
        f"(power(sin(radians(dec - {dec!r}) / 2.0), 2) + cos(radians(dec)) * {cosine!r} * "
        f"power(sin(radians(ra - {ra!r}) / 2.0), 2) <= {limit!r})"
    )
