"""What a reader of image files returns, planes of numbers or a picture, and the sizes that are accepted."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from galaxalign.data.images.preprocessing import Preprocessing
from galaxalign.errors import InputError

MAX_PIXELS = 80_000_000
"""Images with more pixels are refused from their header alone, before a byte of them is decoded.

It stays under the limit of Pillow (``PIL.Image.MAX_IMAGE_PIXELS``); to go above that, raise both.
"""

SMALLEST = 8
"""Pixels that the shorter side must have."""


@dataclass(frozen=True)
class ReadOptions:
    """What a reader may need besides the file.

    Attributes
    ----------
    preprocessing : Preprocessing
    reduce : bool
        Allow a large JPEG to be decoded smaller.
    pixel_scale : float, optional
        Arcsec per pixel from the catalogue.
    """

    preprocessing: Preprocessing
    reduce: bool = False
    pixel_scale: float | None = None


@dataclass(frozen=True)
class Picture:
    """A decoded picture.

    Attributes
    ----------
    pixels : array (height, width, 3), uint8
    shorter : int
        Shorter side of the file in pixels; `pixels` may be smaller.
    pixel_scale : float, optional
        Arcsec per pixel of the file where known.
    """

    pixels: NDArray[np.uint8]
    shorter: int
    pixel_scale: float | None = None


@dataclass(frozen=True)
class Planes:
    """What a file holds as numbers.

    Attributes
    ----------
    values : array (n, height, width)
        The bands, first row on top.
    names : tuple of str, optional
        Names of the bands where the file gives them.
    pixel_scale : float, optional
        Arcsec per pixel where known.
    """

    values: NDArray[Any]
    names: tuple[str, ...] | None = None
    pixel_scale: float | None = None

    @property
    def picture(self) -> NDArray[np.uint8] | None:
        """The picture (height, width, 3) that bytes of one or three bands are; None where they are flux."""
        if self.values.dtype != np.uint8 or len(self.values) not in (1, 3):
            return None
        return np.ascontiguousarray(np.moveaxis(np.broadcast_to(self.values, (3, *self.values.shape[1:])), 0, -1))


def check_size(shape: Sequence[int], where: str) -> None:
    """Raise InputError unless an array is an image of a sensible size."""
    lengths = _squeezed(shape)
    if len(lengths) not in (2, 3):
        raise InputError(
            f"{where} has the shape {' x '.join(map(str, shape)) or 'of a single number'}; "
            "an image has two axes, a cube of bands three"
        )
    bands_last = len(lengths) == 2 or lengths[2] < lengths[0]
    height, width = lengths[:2] if bands_last else lengths[1:]
    if height * width > MAX_PIXELS:
        raise InputError(too_large(where))
    if min(height, width) < SMALLEST:
        raise InputError(
            f"{where} has {width} x {height} pixels, too few to show a galaxy; "
            f"give a picture of at least {SMALLEST} x {SMALLEST}"
        )


def too_large(where: str) -> str:
    """Return the sentence for an image with more than `MAX_PIXELS`."""
    return f"{where} has more than {MAX_PIXELS:,} pixels and was not decoded; cut out the galaxy or shrink it"


def _squeezed(shape: Sequence[int]) -> tuple[int, ...]:
    """Return a shape without outer axes of length one beyond three (FITS often has those)."""
    lengths = tuple(int(length) for length in shape)
    while len(lengths) > 3 and lengths[0] == 1:
        lengths = lengths[1:]
    return lengths


def bands_first(values: NDArray[Any], where: str) -> NDArray[Any]:
    """Return an array as (n, height, width): bands lie along the shorter of the first and the last axis, or first."""
    if values.dtype.kind not in "uif" or values.dtype.names is not None:
        raise InputError(f"{where} holds {values.dtype} and no real numbers; give an array of flux or of bytes")
    values = values.reshape(_squeezed(values.shape))
    check_size(values.shape, where)
    if values.ndim == 2:
        return values[None]
    return np.moveaxis(values, -1, 0) if values.shape[-1] < values.shape[0] else values
