"""Pictures that Pillow reads (JPEG, PNG, TIFF, WebP, BMP, GIF), and TIFF of several bands by tifffile."""

from __future__ import annotations

from typing import Any, BinaryIO

import numpy as np
from PIL import Image, ImageOps, ImageSequence, UnidentifiedImageError
from PIL.TiffImagePlugin import TiffImageFile

from galaxalign.data.images.arrays import Picture, Planes, ReadOptions, bands_first, check_size
from galaxalign.data.images.locations import Place
from galaxalign.errors import InputError

PILLOW_FORMATS = ("JPEG", "PNG", "TIFF", "WEBP", "BMP", "GIF")

_TIFF = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
_SAMPLES = 277  # the tag of TIFF


def read_raster(file: BinaryIO, place: Place, options: ReadOptions) -> Picture | Planes:
    """Return a picture as 8-bit RGB; floating-point and 32-bit TIFF is flux.

    16 bits are scaled to 8 (65535 becomes 255), grey and palette become RGB, transparency is laid on black (the sky),
    and an EXIF orientation is applied. Of several frames or pages the first is taken.
    """
    try:
        with Image.open(file, formats=PILLOW_FORMATS) as picture:
            if not _hides_bands(picture):
                return _pixels(picture, place.name, options)
    except (UnidentifiedImageError, ValueError) as error:
        # Pillow does not know several bands of floating-point values in each pixel.
        if isinstance(error, InputError):
            raise
        file.seek(0)
        if file.read(4) not in _TIFF:
            raise
    file.seek(0)
    return _read_tiff(file, place)


def _hides_bands(picture: Image.Image) -> bool:
    """Tell whether Pillow would show the first band of a TIFF alone: it does so where one plane follows the other."""
    samples = picture.tag_v2.get(_SAMPLES, 1) if isinstance(picture, TiffImageFile) else 1
    return bool(samples > 1 and len(picture.getbands()) == 1)


def _pixels(picture: Image.Image, where: str, options: ReadOptions) -> Picture | Planes:
    check_size((picture.height, picture.width), where)
    shorter = min(picture.size)
    # PNG and older versions of Pillow: 16 bits in a 32-bit mode.
    sixteen = picture.mode.startswith("I;16") or (picture.mode == "I" and picture.format == "PNG")
    if picture.mode in ("I", "F") and not sixteen:
        pages = [np.array(page) for page in ImageSequence.Iterator(picture)]
        if len({page.shape for page in pages}) > 1:
            raise InputError(f"{where} has pages of different sizes; keep one, or one of each band")
        return Planes(np.stack(pages))
    if options.reduce and picture.format == "JPEG":
        # Twice the pixels that are needed: the reduced decoding then leaves nothing to see after the resize.
        preprocessing = options.preprocessing
        at_least = int(np.ceil(2 * preprocessing.side / (_share(options, shorter) * preprocessing.margin)))
        picture.draft(None, (at_least, at_least))
    picture.load()
    upright: Any = ImageOps.exif_transpose(picture)
    if sixteen:
        grey = ((np.asarray(upright).astype(np.uint32) + 128) // 257).astype(np.uint8)
        return Picture(np.repeat(grey[:, :, None], 3, axis=2), shorter)
    if upright.mode in ("RGBA", "LA", "PA", "RGBa", "La") or "transparency" in upright.info:
        rgba = upright.convert("RGBA")
        upright = Image.new("RGB", rgba.size)
        upright.paste(rgba, mask=rgba.getchannel("A"))
    return Picture(np.array(upright.convert("RGB")), shorter)


def _share(options: ReadOptions, shorter: int) -> float:
    """Return the crop as a share of the shorter side; 1 where it does not fit, which `prepare` reports."""
    scale = options.preprocessing.arcsec_per_pixel(column=options.pixel_scale)
    try:
        return options.preprocessing.crop_pixels(shorter, scale) / shorter
    except InputError:
        return 1.0


def _read_tiff(file: BinaryIO, place: Place) -> Planes:
    """Return the image in a TIFF that Pillow does not read, such as one of interleaved floating-point bands."""
    try:
        import tifffile
    except ImportError:
        raise InputError(
            f"{place.name} is a TIFF of a kind that needs tifffile (bands beside each other in every pixel); install "
            "it with: pip install 'galaxalign[tiff]', or save each band as a page"
        ) from None
    with tifffile.TiffFile(file) as tiff:
        series = tiff.series[0]
        check_size(series.shape, place.name)
        try:
            values = series.asarray()
        except ValueError as error:
            if "imagecodecs" not in str(error):
                raise
            raise InputError(
                f"{place.name} has a compression that needs imagecodecs; install it with: pip install imagecodecs, or "
                "save the file without compression"
            ) from None
    return Planes(bands_first(values, place.name))
