"""From the bands of a file to a picture: which become red, green and blue, and what bad pixels become."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from galaxalign.data.preprocessing import Preprocessing
from galaxalign.errors import InputError

__all__ = ["DEFAULT_BANDS", "MAX_BLANK", "MAX_WHITE", "check_picture", "to_picture", "wanted_bands"]

DEFAULT_BANDS: dict[int, tuple[tuple[int, ...], tuple[int, ...], tuple[int, ...]]] = {
    1: ((1,), (1,), (1,)),
    2: ((2,), (1, 2), (1,)),
    3: ((3,), (2,), (1,)),
    4: ((4,), (2, 3), (1,)),
    5: ((4,), (3,), (2,)),
}
"""What becomes red, green and blue of n bands, counted from 1, bluest first; of several the mean.

One is grey; three are such as g, r, z; four such as g, r, i, z; five such as u, g, r, i, z or g, r, i, z, y.
"""

MAX_BLANK = 0.25
"""Largest share of pixels that may be blank (NaN, minus infinity) in what becomes a picture; they are black."""

MAX_WHITE = 0.5
"""Largest share of pixels that a stretch may make white in all three channels."""

# No flux in any unit in use is beyond these, but every ninth float with its bytes in the wrong order is above the
# first, and of whole numbers all are below the second.
_HUGE, _TINY = 1e30, 1e-37
_SAMPLE = 5000  # pixels that are looked at for this


def wanted_bands(preprocessing: Preprocessing, location: str) -> tuple[str, ...]:
    """Return the names of the bands to read where each has a file of its own.

    Raises
    ------
    InputError
        Nothing says which.
    """
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

    NaN and minus infinity are blank and become black; plus infinity is saturated and becomes the largest value
    of its band. A file with more than `MAX_BLANK` of its pixels blank is refused, as is one that the stretch makes
    white over more than `MAX_WHITE` of the picture, and one whose values cannot be flux because the order of their
    bytes is wrong.

    Parameters
    ----------
    planes : array (n, height, width)
        Flux, first row on top.
    names : sequence of str, optional
        Names of the bands where the file tells them.
    preprocessing : Preprocessing
        Its stretch and bands count here.
    where : str
        What errors call the file.

    Returns
    -------
    numpy.ndarray
        uint8 (height, width, 3).
    """
    stretch = preprocessing.flux
    if stretch is None:
        raise InputError(
            f"{where} holds flux, which has no scale of brightness by itself; train with a --stretch (lupton, asinh, "
            "log, linear or percentile), or give a model without one pictures such as those it was trained on"
        )
    entries = _entries(len(planes), names, preprocessing, where)
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
    white = float((picture.min(axis=2) == 255).mean())
    if white > MAX_WHITE:
        raise InputError(
            f"{where} is white over {white:.0%} of its pixels by the stretch {stretch}; its flux is in another unit "
            "than the stretch expects, or it is saturated"
        )
    if picture.max() == picture.min():
        raise InputError(
            f"{where} is all black by the stretch {stretch}; its flux (up to {np.nanmax(channels):.3g}) is in another "
            "unit than the stretch expects"
        )
    return picture


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
                f"{where} has {count} bands; name what becomes red, green and blue by --bands, such as 7,4,2"
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
                told = f"its bands are {', '.join(names)}" if names else f"it has {count} unnamed bands, 1 to {count}"
                raise InputError(f"{where} lacks the band {name}; {told}")
        entries.append(numbers)
    if len(entries) == 1:
        return entries * 3
    if len(entries) == 2:
        return [entries[0], [*entries[0], *entries[1]], entries[1]]
    return entries


def _mend(plane: NDArray[np.floating], where: str) -> NDArray[np.float32]:
    """Return one band as float32 with NaN where it is blank and the largest value where it is saturated."""
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
    """Raise InputError if floating-point values look as they do when the order of their bytes is wrong."""
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
