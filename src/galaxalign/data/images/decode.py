"""One image, from wherever it lies, as 8-bit RGB."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from galaxalign.data.images.arrays import Picture, Planes, ReadOptions
from galaxalign.data.images.flux import check_picture, to_picture, wanted_bands
from galaxalign.data.images.formats import read_image
from galaxalign.data.images.frame import cut_square
from galaxalign.data.images.locations import Location, locate
from galaxalign.data.images.preprocessing import Preprocessing
from galaxalign.errors import InputError


def decode(location: Location, preprocessing: Preprocessing | None = None) -> NDArray[np.uint8]:
    """Read one image as 8-bit RGB, at full size.

    Pictures are shown as they are, see `raster.read_raster`. Flux (FITS, floating-point TIFF, arrays other than
    bytes) goes through the stretch.

    Parameters
    ----------
    location : path or str
        JPEG, PNG, TIFF, WebP, BMP, GIF, FITS or NumPy, recognised by content; "cube.fits[SCI]"; a row of HDF5,
        "file.h5::images[17]"; one file for each band, "galaxy_{band}.fits"; any of it remote.
    preprocessing : Preprocessing, optional
        Its stretch and bands count here; without it flux is refused.

    Returns
    -------
    numpy.ndarray
        uint8 (height, width, 3), first row on top.

    Raises
    ------
    InputError
        The file is missing, empty, damaged, no image, blank, too large or too small, or holds flux and there is no
        stretch.
    """
    return read_picture(location, ReadOptions(preprocessing or Preprocessing())).pixels


def prepare(location: Location, preprocessing: Preprocessing, *, pixel_scale: float | None = None) -> NDArray[np.uint8]:
    """Read one image as the encoder wants it: decoded, stretched, cut and resized.

    Parameters
    ----------
    location : path or str
        As for `decode`.
    preprocessing : Preprocessing
    pixel_scale : float, optional
        Arcsec per pixel from the catalogue; counts where preprocessing asks for it.

    Returns
    -------
    numpy.ndarray
        uint8 (side, side, 3).
    """
    picture = read_picture(location, ReadOptions(preprocessing, reduce=True, pixel_scale=pixel_scale))
    scale = preprocessing.arcsec_per_pixel(header=picture.pixel_scale, column=pixel_scale)
    try:
        crop = preprocessing.crop_pixels(picture.shorter, scale)
    except InputError as error:
        raise InputError(f"{location} cannot be cut: {error}") from None
    return cut_square(picture.pixels, preprocessing, crop / picture.shorter)


def read_picture(location: Location, options: ReadOptions) -> Picture:
    """Read an image, choose its bands and stretch them."""
    name = str(location)
    if "{band}" in name:
        names: tuple[str, ...] | None = wanted_bands(options.preprocessing, name)
        image: Picture | Planes = _joined(location, names or (), options)
    else:
        image = read_image(locate(location), options)
        names = image.names if isinstance(image, Planes) else None
    if isinstance(image, Planes):
        pixels = image.picture
        if pixels is None:
            pixels = to_picture(image.values, names, options.preprocessing, name)
        image = Picture(pixels, min(pixels.shape[:2]), image.pixel_scale)
    check_picture(image.pixels, name)
    return image


def _joined(location: Location, names: tuple[str, ...], options: ReadOptions) -> Planes:
    """Return bands with a file each as one cube."""
    where = str(location)
    planes = []
    for band in names:
        file = read_image(locate(type(location)(where.replace("{band}", band))), ReadOptions(options.preprocessing))
        if isinstance(file, Picture):
            raise InputError(f"{where} is a picture in band {band}, not flux; give FITS or an array for each band")
        if len(file.values) != 1:
            raise InputError(f"{where} has {len(file.values)} bands in the file of band {band}; it must be one")
        planes.append(file)
    if len({plane.values.shape for plane in planes}) > 1:
        sizes = [f"{band} {p.values.shape[2]} x {p.values.shape[1]}" for band, p in zip(names, planes, strict=True)]
        raise InputError(f"{where} has bands of different sizes ({', '.join(sizes)}); cut them out alike")
    # As floats, so that no band of bytes is taken for a picture.
    return Planes(np.concatenate([plane.values for plane in planes]).astype(np.float32), names, planes[0].pixel_scale)
