"""From the bands of a file to a picture: the choice of red, green and blue, and bad pixels."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from galaxalign.data.images.preprocessing import Preprocessing
from galaxalign.data.images.stretch import Stretch
from galaxalign.errors import InputError

DEFAULT_BANDS: dict[int, tuple[tuple[int, ...], tuple[int, ...], tuple[int, ...]]] = {
    1: ((1,), (1,), (1,)),
    2: ((2,), (1, 2), (1,)),
    3: ((3,), (2,), (1,)),
    4: ((4,), (2, 3), (1,)),
    5: ((4,), (3,), (2,)),
}
"""Red, green and blue of n bands, counted from 1, bluest first; several are averaged.

One is grey; three are such as g, r, z; four such as g, r, i, z; five such as u, g, r, i, z or g, r, i, z, y.
"""

MAX_BLANK = 0.25
"""Largest share of blank pixels (NaN, minus infinity), which become black."""

MAX_FULL = 0.2
"""Largest share of pixels that are saturated, or at the limit of the stretch in their brightest channel.

The brightest channel, because `lupton` keeps colours: flux in a unit a thousand times too small makes pure colours and
hardly any white. Of 9,293 real galaxies none has more than 5.5 % there (docs/howto/read-images.md).
"""

FLAT = 5
"""Grey levels, of 255, by which a picture must differ from its median to show anything."""

_SPECK = 16  # pixels: smaller things (hot pixels, a cosmic ray) do not count

# Flux in any unit in use is within these. Of floats with their bytes in the wrong order every ninth is above the first,
# and of whole numbers all are below the second.
_HUGE, _TINY = 1e30, 1e-37
_SAMPLE = 5000  # pixels that are checked


def wanted_bands(preprocessing: Preprocessing, location: str) -> tuple[str, ...]:
    """Return the names of the bands to read where each has its own file; InputError if none are chosen."""
    if preprocessing.bands is None:
        raise InputError(
            f"{location} has a file for each band and nothing says which to take; "
            "name what becomes red, green and blue by --bands, such as z,r,g"
        )
    return tuple(dict.fromkeys(name for entry in preprocessing.bands for name in entry.split("+")))


def to_picture(
    planes: NDArray[np.floating] | Sequence[NDArray[np.floating]],
    names: Sequence[str] | None,
    preprocessing: Preprocessing,
    where: str,
) -> NDArray[np.uint8]:
    """Return the picture of some bands.

    NaN and minus infinity are blank and become black; plus infinity is saturated and becomes the largest value of its
    band.
    """
    stretch = preprocessing.flux
    if stretch is None:
        raise InputError(
            f"{where} holds flux, which has no scale of brightness by itself; train with a --stretch (lupton, asinh, "
            "log, linear or percentile), or give a model without one pictures such as those it was trained on"
        )
    entries = _entries(len(planes), names, preprocessing, where)
    full = max(float(np.isposinf(planes[number]).mean()) for entry in entries for number in entry)
    if full > MAX_FULL:
        raise InputError(
            f"{where} is saturated over {full:.0%} of its pixels (infinite, or SATURATE of its header and above), more "
            f"than {MAX_FULL:.0%}; take another exposure, or correct the header"
        )
    used = {number: _mend(planes[number], where) for number in {number for entry in entries for number in entry}}
    channels = np.stack(
        [np.mean([used[n] for n in entry], axis=0) if len(entry) > 1 else used[entry[0]] for entry in entries]
    )
    blank = float(np.isnan(channels).any(axis=0).mean())
    if blank == 1:
        raise InputError(f"{where} is blank: every pixel is NaN or infinite; cut it out where the survey has data")
    if blank > MAX_BLANK:
        raise InputError(
            f"{where} is blank over {blank:.0%} of its pixels (NaN), more than {MAX_BLANK:.0%}; "
            "cut it out where the survey has data"
        )
    if np.nanmin(channels) == np.nanmax(channels):
        raise InputError(
            f"{where} is blank: every pixel is {np.nanmin(channels):g}; cut it out where the survey has data"
        )
    picture = stretch.apply(channels)
    _check_unit(picture, stretch, channels, where)
    return picture


def _check_unit(picture: NDArray[np.uint8], stretch: Stretch, channels: NDArray[np.float32], where: str) -> None:
    """Raise InputError if a picture is so bright or flat that its flux is in another unit than the stretch."""
    brightest = picture.max(axis=2)
    full = float((brightest == 255).mean())
    why = (
        f"its flux (up to {np.nanmax(channels):.3g}) is in another unit than the stretch is made for; convert it, or "
        "train with a --stretch that fits"
    )
    if full > max(MAX_FULL, stretch.clipped):
        raise InputError(f"{where} is overexposed over {full:.0%} of its pixels by the stretch {stretch}: {why}")
    few = min(_SPECK, brightest.size // 4)
    in_order = np.partition(brightest.ravel(), (few, brightest.size // 2, brightest.size - few))
    low, middle, high = (int(in_order[place]) for place in (few, brightest.size // 2, brightest.size - few))
    if high - middle <= FLAT and middle - low <= FLAT:
        raise InputError(
            f"{where} shows nothing by the stretch {stretch}, but one brightness of {middle} of 255 to within {FLAT}: "
            f"{why}"
        )


def check_picture(picture: NDArray[np.uint8], where: str) -> None:
    """Raise InputError if every pixel of a picture is the same."""
    first = picture[0, 0]
    if (picture[0] == first).all() and (picture == first).all():
        raise InputError(
            f"{where} is blank: every pixel has the colour {first.tolist()}; cut it out where there is data"
        )


def _entries(count: int, names: Sequence[str] | None, preprocessing: Preprocessing, where: str) -> list[list[int]]:
    """Return the numbers from 0 of the bands that become red, green and blue."""
    if preprocessing.bands is None:
        if count not in DEFAULT_BANDS:
            raise InputError(
                f"{where} has {count} bands; name what becomes red, green and blue by --bands, such as "
                f"{count},{(count + 1) // 2},1"
            )
        return [[number - 1 for number in entry] for entry in DEFAULT_BANDS[count]]
    known = {name: number for number, name in enumerate(names or ())}
    entries = []
    for entry in preprocessing.bands:
        numbers = []
        for name in entry.split("+"):
            if name in known:
                numbers.append(known[name])
            elif name.isdecimal() and 1 <= int(name) <= count:
                numbers.append(int(name) - 1)
            else:
                raise InputError(f"{where} lacks the band {name}; {_known_bands(count, names)}")
        entries.append(numbers)
    if len(entries) == 1:
        return entries * 3
    if len(entries) == 2:
        return [entries[0], [*entries[0], *entries[1]], entries[1]]
    return entries


def _known_bands(count: int, names: Sequence[str] | None) -> str:
    """Return the bands of a file and how to name them, for an error."""
    if count == 1:
        return (
            f"it has one band{f', {names[0]}' if names else ''}; where each band has a file or a FITS extension of its "
            "own, write {band} for its name in file_loc, such as galaxy_{band}.fits or galaxy.fits[{band}]"
        )
    if names:
        return f"its bands are {', '.join(names)}"
    return f"it has {count} unnamed bands, 1 to {count}; name them by these numbers"


def _mend(plane: NDArray[np.floating], where: str) -> NDArray[np.float32]:
    """Return a band as float32, NaN where blank, the largest value where saturated."""
    _check_bytes(plane, where)
    with np.errstate(over="ignore", invalid="ignore"):
        band = np.array(plane, np.float32)
    finite = np.isfinite(band)
    if not finite.all():
        measured = band[finite]
        band[band == -np.inf] = np.nan
        if measured.size:
            band[band == np.inf] = measured.max()
        else:
            band[:] = np.nan
    return band


def _check_bytes(plane: NDArray[np.floating], where: str) -> None:
    """Raise InputError if floating-point values look like bytes in the wrong order."""
    if plane.dtype.kind != "f":
        return
    some = plane.ravel()[:: max(1, plane.size // _SAMPLE)]
    size = np.abs(some[np.isfinite(some) & (some != 0)])
    huge = size > _HUGE
    if np.count_nonzero(huge) > 0.01 * size.size or (size.size and np.median(size) < _TINY):
        shown = size[huge].max() if huge.any() else np.median(size)
        raise InputError(
            f"{where} has values such as {shown:.1e}, as when the bytes of each number are in the wrong order "
            "(FITS is big-endian); write it again"
        )
