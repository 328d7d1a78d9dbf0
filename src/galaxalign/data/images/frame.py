"""From a picture to the square that a network sees."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from galaxalign.data.images.preprocessing import Preprocessing


def frame(image: NDArray[np.uint8], preprocessing: Preprocessing) -> NDArray[np.uint8]:
    """Cut the centred square out of a picture and resize it, antialiased (bicubic).

    Parameters
    ----------
    image : numpy.ndarray
        uint8 (height, width, 3), at full size.
    preprocessing : Preprocessing
        What to keep of it, and how large. A crop in arcsec needs a number as its pixel scale.

    Returns
    -------
    numpy.ndarray
        uint8 (side, side, 3).
    """
    shorter = min(image.shape[:2])
    crop = preprocessing.crop_pixels(shorter, preprocessing.arcsec_per_pixel())
    return cut_square(image, preprocessing, crop / shorter)


def cut_square(image: NDArray[np.uint8], preprocessing: Preprocessing, share: float) -> NDArray[np.uint8]:
    """Cut a square whose side is a share of the shorter side, with its margin, and resize it."""
    height, width = image.shape[:2]
    side = max(1.0, share * preprocessing.margin * min(height, width))
    if side < min(height, width) + 1:  # what the rounding of the margin adds is not worth a reflection
        side = min(side, min(height, width))
    missing = int(np.ceil(max(side - min(height, width), 0) / 2))
    if missing:
        image = np.pad(image, ((missing, missing), (missing, missing), (0, 0)), "symmetric")
        height, width = image.shape[:2]
    left, top = (width - side) / 2, (height - side) / 2
    # A box with fractions keeps the galaxy's centre where it is; rounding would shift it by half a pixel.
    resized = Image.fromarray(image).resize(
        (preprocessing.side, preprocessing.side), Image.Resampling.BICUBIC, box=(left, top, left + side, top + side)
    )
    return np.array(resized)
