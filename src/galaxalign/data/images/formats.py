"""The formats of image files: a new format is a reader in a file of its own and a line in `FORMATS`."""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from PIL import Image, UnidentifiedImageError

from galaxalign.data.images.arrays import Picture, Planes, ReadOptions, too_large
from galaxalign.data.images.fits_image import is_fits, read_fits
from galaxalign.data.images.hdf5 import is_hdf5, read_hdf5, refuse_hdf5
from galaxalign.data.images.locations import FITS_SUFFIXES, Place, fetch
from galaxalign.data.images.numpy_file import is_npy, read_npy
from galaxalign.data.images.raster import PILLOW_FORMATS, read_raster
from galaxalign.errors import InputError, reason


@dataclass(frozen=True)
class Format:
    """A format of image files.

    Attributes
    ----------
    recognises : callable
        Tells from the first ten bytes whether a file has this format.
    read : callable
        Returns the image of an open file.
    """

    recognises: Callable[[bytes], bool]
    read: Callable[[BinaryIO, Place, ReadOptions], Picture | Planes]


FORMATS = (
    Format(is_npy, read_npy),
    Format(is_fits, read_fits),
    Format(is_hdf5, refuse_hdf5),
    Format(lambda head: True, read_raster),
)
"""The first format that recognises a file reads it."""

IMAGE_SUFFIXES = (".jpg", ".jpeg", ".png", ".tif", ".tiff", ".webp", ".bmp", ".gif")
"""The names of pictures in a folder."""

FLUX_SUFFIXES = (*FITS_SUFFIXES, ".npy")
"""The names of images of flux in a folder."""

# How Pillow, gzip, NumPy, astropy and HDF5 say that a file ends too early.
_TRUNCATED = (
    "truncated",
    "end-of-stream",
    "could only read",
    "failed to read",
    "cannot reshape array",
    "Empty or corrupt FITS",
)


def read_image(place: Place, options: ReadOptions) -> Picture | Planes:
    """Read one file, whose format its content tells."""
    where = place.name
    try:
        if place.dataset is not None:
            return read_hdf5(place)
        return _read_file(place, options)
    except (InputError, MemoryError):
        raise
    except FileNotFoundError:
        raise InputError(
            f"there is no image at {where}; check file_loc in the catalogue, which is relative to it"
        ) from None
    except PermissionError:
        raise InputError(f"{where} may not be read; check the permissions of the file") from None
    except UnidentifiedImageError:
        raise InputError(
            f"{where} is no image that is recognised, whatever its name says; it must be "
            f"{', '.join(PILLOW_FORMATS)}, FITS, NumPy or a row of HDF5"
        ) from None
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):
        raise InputError(too_large(where)) from None
    except Exception as error:
        # Decoders raise almost anything on damaged bytes (OSError, SyntaxError, struct.error, ...).
        why = reason(error)
        if any(words in why for words in _TRUNCATED):
            raise InputError(f"{where} is truncated: it ends before its image does; fetch or copy it again") from error
        raise InputError(f"{where} is damaged ({why}); fetch or copy it again") from error


def _read_file(place: Place, options: ReadOptions) -> Picture | Planes:
    if not place.name:
        raise InputError("its row of the catalogue has no file_loc; name its image there, or leave the row out")
    if not place.remote and Path(place.file).is_dir():
        raise InputError(f"{place.name} is a folder, not an image; check file_loc in its row of the catalogue")
    with io.BytesIO(fetch(place)) if place.remote else open(place.file, "rb") as file:
        head = file.read(10)
        file.seek(0)
        if not head:
            raise InputError(f"{place.name} is empty (zero bytes); fetch or copy it again")
        return next(each for each in FORMATS if each.recognises(head)).read(file, place, options)
