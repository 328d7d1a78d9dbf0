"""Flux from FITS: any extension, compressed or not, with band names and pixel scale."""

from __future__ import annotations

import gzip
import io
import threading
import warnings
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from galaxalign.data.images.arrays import Planes, ReadOptions, bands_first, check_size
from galaxalign.data.images.locations import Place
from galaxalign.errors import InputError

_FITS = b"SIMPLE  ="
_GZIP = b"\x1f\x8b"

# Extensions of the size of an image that are no bands; what follows "_" does not count, as in VAR_POISSON.
_ERRORS = {"ERR", "ERROR", "RMS", "SIGMA", "STD", "VAR", "VARIANCE", "INVVAR", "IVAR", "STAT", "UNCERT"}
_WEIGHTS = {"WHT", "WEIGHT", "WGT", "CON", "CTX", "EXP", "EXPOSURE", "SAMP", "TIME"}
_MASKS = {"DQ", "MASK", "FLAG", "FLAGS"}
_BESIDE = _ERRORS | _WEIGHTS | _MASKS

# Filters of warnings belong to the process, not to a thread.
_WARNINGS = threading.Lock()


def is_fits(head: bytes) -> bool:
    """Tell from its first bytes whether a file is FITS, or gzip, which must hold FITS."""
    return head.startswith((_FITS, _GZIP))


def read_fits(file: BinaryIO, place: Place, options: ReadOptions) -> Planes:
    """Return the bands of the first image of a FITS file, or of the named extension.

    BSCALE, BZERO and BLANK are applied and checksums verified. Values of SATURATE (of its header or the primary one)
    and above become plus infinity. FITS counts rows from the bottom; here the first row is on top.
    """
    from astropy.io import fits

    preprocessing = options.preprocessing
    needs_scale = preprocessing.pixel_scale == "wcs" and str(preprocessing.crop).endswith("arcsec")
    if file.read(2) == _GZIP:
        file.seek(0)
        file = io.BytesIO(gzip.decompress(file.read()))
        if not file.getvalue().startswith(_FITS):
            raise InputError(f"{place.name} is gzip of something that is no FITS; unpack it first")
    file.seek(0)
    with _WARNINGS, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with fits.open(file, memmap=False) as hdus:
            hdu = _named(hdus, place) if place.extension is not None else _first(hdus, place)
            if place.extension is None and preprocessing.bands is None:
                _check_alone(hdu, hdus, place)
            shape = tuple(int(length) for length in hdu.shape)
            check_size(shape, place.name)
            if hdu.verify_datasum() == 0 or hdu.verify_checksum() == 0:
                raise InputError(f"{place.name} does not fit its checksum, so it was damaged; fetch or copy it again")
            header = hdu.header
            data = _saturated(hdu.data, header.get("SATURATE", hdus[0].header.get("SATURATE")))
            scale = _pixel_scale(header) if needs_scale else None
            planes = bands_first(data, place.name)
            names = _band_names(header, len(planes))
    return Planes(planes[:, ::-1], names, scale)


def _has_image(hdu: Any) -> bool:
    return bool(hdu.is_image and len(hdu.shape) >= 2 and all(hdu.shape))


def _first(hdus: Any, place: Place) -> Any:
    for hdu in hdus:
        if _has_image(hdu):
            return hdu
    kinds = ", ".join(f"{number} {hdu.name or type(hdu).__name__}" for number, hdu in enumerate(hdus))
    raise InputError(
        f"{place.name} is FITS without an image; it holds {kinds}. Name another file, or fetch it again if it should "
        "hold one"
    )


def _check_alone(hdu: Any, hdus: Any, place: Place) -> None:
    """Raise InputError if other images of the file may be further bands of the same galaxy."""
    alike = [
        (number, other.name)
        for number, other in enumerate(hdus)
        if _has_image(other)
        and other.shape == hdu.shape
        and (other is hdu or other.name.upper().partition("_")[0] not in _BESIDE)
    ]
    if len(alike) < 2:
        return
    shown = ", ".join(f"{number} {name}".strip() for number, name in alike)
    last = alike[-1][1] if alike[-1][1] not in ("", alike[0][1]) else alike[-1][0]
    raise InputError(
        f"{place.name} has {len(alike)} images of one size ({shown}) and nothing says which to take; write one in "
        f"file_loc, such as {Path(str(place.file)).name}[{last}], or {Path(str(place.file)).name}[{{band}}] and name "
        "what becomes red, green and blue by --bands"
    )


def _saturated(data: Any, level: object) -> Any:
    """Return the values with infinity where they reach the saturation level of the header."""
    if isinstance(level, bool) or not isinstance(level, int | float) or not level > 0 or data.dtype.kind not in "uif":
        return data
    full = data >= level
    return np.where(full, np.float32(np.inf), data.astype(np.float32)) if full.any() else data


def _named(hdus: Any, place: Place) -> Any:
    wanted = str(place.extension)
    try:
        name, _, version = wanted.partition(",")
        hdu = hdus[int(wanted)] if wanted.isdecimal() else hdus[(name.strip(), int(version)) if version else name]
    except (KeyError, IndexError, ValueError):
        kinds = ", ".join(f"{number} {hdu.name}".strip() for number, hdu in enumerate(hdus))
        raise InputError(f"{place.file} has no extension {wanted}; it has {kinds}") from None
    if not _has_image(hdu):
        raise InputError(f"{place.name} holds no image; name another extension or leave it out")
    return hdu


def _band_names(header: Any, count: int) -> tuple[str, ...] | None:
    """Return the names of the bands in a header: BANDS (Legacy Surveys), BAND0…, or FILTER."""
    bands = str(header.get("BANDS", "")).strip()
    parts = [part.strip() for part in bands.split(",")] if "," in bands else list(bands)
    if len(parts) == count:
        return tuple(parts)
    numbered = [str(header.get(f"BAND{number}", "")).strip() for number in range(count)]
    if all(numbered):
        return tuple(numbered)
    single = str(header.get("FILTER", header.get("BAND", ""))).strip()
    return (single,) if count == 1 and single else None


def _pixel_scale(header: Any) -> float | None:
    """Return arcsec per pixel, None without a celestial WCS."""
    from astropy.wcs import WCS
    from astropy.wcs.utils import proj_plane_pixel_scales

    wcs = WCS(header).celestial
    if not wcs.has_celestial:
        return None
    return float(np.mean(proj_plane_pixel_scales(wcs)) * 3600)
