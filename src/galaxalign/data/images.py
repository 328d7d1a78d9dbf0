"""Image files into small RGB squares: decode, frame, and stream a whole catalogue with bounded memory."""

from __future__ import annotations

import io
import os
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps, ImageSequence, UnidentifiedImageError
from PIL.TiffImagePlugin import TiffImageFile

from galaxalign.data import arrays
from galaxalign.data.arrays import Planes, is_npy, is_tiff, read_hdf5, read_npy, read_tiff
from galaxalign.data.fits_image import is_fits, read_fits
from galaxalign.data.flux import check_picture, to_picture, wanted_bands
from galaxalign.data.locations import FITS_SUFFIXES, Location, Place, fetch, locate
from galaxalign.data.preprocessing import Preprocessing
from galaxalign.errors import InputError

__all__ = ["FLUX_SUFFIXES", "IMAGE_SUFFIXES", "OK", "decode", "frame", "iter_images", "load_images", "prepare"]

OK = "ok"
"""The status of an image that could be read; any other status is the sentence saying why not."""

IMAGE_SUFFIXES = (".jpg", ".jpeg", ".png", ".tif", ".tiff", ".webp", ".bmp", ".gif")
FLUX_SUFFIXES = (*FITS_SUFFIXES, ".npy")
_FORMATS = ("JPEG", "PNG", "TIFF", "WEBP", "BMP", "GIF")
_SAMPLES = 277  # the tag of TIFF
_HDF5 = b"\x89HDF\r\n\x1a\n"

# How Pillow, gzip, NumPy, astropy and HDF5 say that a file ends too early.
_CUT = (
    "truncated",
    "end-of-stream",
    "could only read",
    "failed to read",
    "cannot reshape array",
    "Empty or corrupt FITS",
)

_PREFETCH = 2  # batches under way beyond the one that is being used


@dataclass(frozen=True)
class _Picture:
    """A decoded picture, of what size the file is, and its pixel scale where the file tells it."""

    pixels: NDArray[np.uint8]
    shorter: int
    pixel_scale: float | None = None


def decode(location: Location, preprocessing: Preprocessing | None = None) -> NDArray[np.uint8]:
    """Read one image as 8-bit RGB, at full size.

    Pictures are shown as they are: 16 bits are scaled to 8 (65535 becomes 255), grey and palette become RGB,
    transparent ones are laid on black (the sky), and an EXIF orientation is applied, as viewers do. Of several frames
    or pages the first is taken. Flux (FITS, floating-point TIFF, arrays other than bytes) goes through the stretch.

    Parameters
    ----------
    location : path or str
        JPEG, PNG, TIFF, WebP, BMP, GIF, FITS or NumPy, told by content, not by name; "cube.fits[SCI]"; a row of
        HDF5, "file.h5::images[17]"; one file for each band, "galaxy_{band}.fits"; any of it remote.
    preprocessing : Preprocessing, optional
        Its stretch and bands count here; without it flux is refused.

    Returns
    -------
    numpy.ndarray
        uint8 (height, width, 3), first row on top.

    Raises
    ------
    InputError
        If the file is missing, empty, damaged, no image, blank, too large or too small, or holds flux and nothing
        says how to show it.
    """
    return _read_whole(location, preprocessing or Preprocessing(), reduce=False).pixels


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
    picture = _read_whole(location, preprocessing, reduce=True, pixel_scale=pixel_scale)
    scale = _scale(preprocessing, picture.pixel_scale, pixel_scale)
    try:
        crop = preprocessing.crop_pixels(picture.shorter, scale)
    except InputError as error:
        raise InputError(f"{location} cannot be cut: {error}") from None
    return _cut(picture.pixels, preprocessing, crop / picture.shorter)


def _scale(preprocessing: Preprocessing, header: float | None, column: float | None) -> float | None:
    """Return arcsec per pixel from where preprocessing wants it."""
    wanted = preprocessing.pixel_scale
    return wanted if isinstance(wanted, float) else header if wanted == "wcs" else column


def _read_whole(
    location: Location, preprocessing: Preprocessing, *, reduce: bool, pixel_scale: float | None = None
) -> _Picture:
    """Read, choose bands and stretch; `reduce` allows a large JPEG to be decoded smaller."""
    name = str(location)
    if "{band}" not in name:
        found = _read_file(locate(location), preprocessing, reduce=reduce, pixel_scale=pixel_scale)
        names: tuple[str, ...] | None = found.names if isinstance(found, Planes) else None
    else:
        names = wanted_bands(preprocessing, name)
        files = [type(location)(name.replace("{band}", band)) for band in names]
        found = _joined([_read_file(locate(file), preprocessing, reduce=False) for file in files], names, name)
    if isinstance(found, Planes):
        pixels = found.picture
        if pixels is None:
            pixels = to_picture(found.values, names, preprocessing, name)
        found = _Picture(pixels, min(pixels.shape[:2]), found.pixel_scale)
    check_picture(found.pixels, name)
    return found


def _joined(files: list[_Picture | Planes], names: tuple[str, ...], where: str) -> Planes:
    """Return the bands that lie in a file each as one cube."""
    planes = []
    for band, file in zip(names, files, strict=True):
        if isinstance(file, _Picture):
            raise InputError(f"{where} is a picture in band {band}, not flux; give FITS or an array for each band")
        if len(file.values) != 1:
            raise InputError(f"{where} has {len(file.values)} bands in the file of band {band}; it must be one")
        planes.append(file)
    sizes = [
        f"{band} {plane.values.shape[2]} x {plane.values.shape[1]}" for band, plane in zip(names, planes, strict=True)
    ]
    if len({plane.values.shape for plane in planes}) > 1:
        raise InputError(f"{where} has bands of different sizes ({', '.join(sizes)}); cut them out alike")
    # As floats, so that no band of bytes is taken for a picture.
    return Planes(np.concatenate([plane.values for plane in planes]).astype(np.float32), names, planes[0].pixel_scale)


def _read_file(
    place: Place, preprocessing: Preprocessing, *, reduce: bool, pixel_scale: float | None = None
) -> _Picture | Planes:
    """Read one file, told by its content; whatever goes wrong becomes one sentence."""
    where = place.name
    try:
        if place.dataset is not None:
            return read_hdf5(place)
        if not where:
            raise InputError("its row of the catalogue has no file_loc; name its image there, or leave the row out")
        if not place.remote and Path(place.file).is_dir():
            raise InputError(f"{where} is a folder, not an image; check file_loc in its row of the catalogue")
        with io.BytesIO(fetch(place)) if place.remote else open(place.file, "rb") as file:
            head = file.read(10)
            file.seek(0)
            if not head:
                raise InputError(f"{where} is empty (zero bytes); fetch or copy it again")
            if is_npy(head):
                return read_npy(file, place)
            if is_fits(head):
                from_wcs = preprocessing.pixel_scale == "wcs" and str(preprocessing.crop).endswith("arcsec")
                return read_fits(file, place, needs_scale=from_wcs, bands_said=preprocessing.bands is not None)
            if head.startswith(_HDF5):
                raise InputError(f"{where} is an HDF5 file; name the row, such as {where}::images[0]")
            try:
                with Image.open(file, formats=_FORMATS) as picture:
                    if not _hides_bands(picture):
                        return _pixels(picture, where, preprocessing, reduce, pixel_scale)
            except (UnidentifiedImageError, ValueError) as error:
                # Pillow does not know several bands of floating-point values in each pixel.
                if isinstance(error, InputError) or not is_tiff(head):
                    raise
            file.seek(0)
            return read_tiff(file, place)
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
            f"{where} is no image that is recognised, whatever its name says; it must be {', '.join(_FORMATS)}, FITS, "
            "NumPy or a row of HDF5"
        ) from None
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):
        raise InputError(arrays.too_large(where)) from None
    except Exception as error:
        # Decoders raise almost anything on damaged bytes (OSError, SyntaxError, struct.error, ...), and
        # whatever it was, it is this file that is at fault, and the rest of the catalogue can go on.
        reason = " ".join(str(error).split()).rstrip(".") or type(error).__name__
        if any(words in reason for words in _CUT):
            raise InputError(f"{where} is truncated: it ends before its image does; fetch or copy it again") from error
        raise InputError(f"{where} is damaged ({reason}); fetch or copy it again") from error


def _hides_bands(picture: Image.Image) -> bool:
    """Tell whether Pillow would show the first band of a TIFF alone: it does so where one plane follows the other."""
    samples = picture.tag_v2.get(_SAMPLES, 1) if isinstance(picture, TiffImageFile) else 1
    return samples > 1 and len(picture.getbands()) == 1


def _pixels(
    picture: Image.Image, where: str, preprocessing: Preprocessing, reduce: bool, pixel_scale: float | None
) -> _Picture | Planes:
    """Decode an opened picture and bring it to 8-bit RGB; floating-point and 32-bit TIFF is flux."""
    arrays.check_size((picture.height, picture.width), where)
    shorter = min(picture.size)
    # PNG and older versions of Pillow: 16 bits in a 32-bit mode.
    sixteen = picture.mode.startswith("I;16") or (picture.mode == "I" and picture.format == "PNG")
    if picture.mode in ("I", "F") and not sixteen:
        pages = [np.array(page) for page in ImageSequence.Iterator(picture)]
        if len({page.shape for page in pages}) > 1:
            raise InputError(f"{where} has pages of different sizes; keep one, or one of each band")
        return Planes(np.stack(pages))
    if reduce and picture.format == "JPEG":
        # Twice the pixels that are needed: the reduced decoding then leaves nothing to see after the resize.
        share = _share(preprocessing, shorter, pixel_scale)
        at_least = int(np.ceil(2 * preprocessing.side / (share * preprocessing.margin)))
        picture.draft(None, (at_least, at_least))
    picture.load()
    upright: Any = ImageOps.exif_transpose(picture)
    if sixteen:
        deep = np.asarray(upright).astype(np.uint32)
        grey = ((deep + 128) // 257).astype(np.uint8)
        return _Picture(np.repeat(grey[:, :, None], 3, axis=2), shorter)
    if upright.mode in ("RGBA", "LA", "PA", "RGBa", "La") or "transparency" in upright.info:
        rgba = upright.convert("RGBA")
        black = Image.new("RGB", rgba.size)
        black.paste(rgba, mask=rgba.getchannel("A"))
        return _Picture(np.array(black), shorter)
    return _Picture(np.array(upright.convert("RGB")), shorter)


def _share(preprocessing: Preprocessing, shorter: int, pixel_scale: float | None) -> float:
    """Return the crop as a share of the shorter side; 1 where it does not fit, which is said later."""
    try:
        return preprocessing.crop_pixels(shorter, _scale(preprocessing, None, pixel_scale)) / shorter
    except InputError:
        return 1.0


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
    scale = _scale(preprocessing, None, None)
    return _cut(image, preprocessing, preprocessing.crop_pixels(shorter, scale) / shorter)


def _cut(image: NDArray[np.uint8], preprocessing: Preprocessing, share: float) -> NDArray[np.uint8]:
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


def _read(
    location: Location, preprocessing: Preprocessing, pixel_scale: float | None
) -> tuple[NDArray[np.uint8] | None, str]:
    """Prepare one file; a broken one is None and the sentence that says why."""
    try:
        return prepare(location, preprocessing, pixel_scale=pixel_scale), OK
    except InputError as error:
        return None, str(error)


def iter_images(
    paths: Sequence[Location],
    preprocessing: Preprocessing,
    *,
    batch_size: int = 64,
    workers: int | None = None,
    pixel_scales: Sequence[float] | NDArray[np.floating] | None = None,
) -> Iterator[tuple[slice, NDArray[np.uint8], list[str]]]:
    """Stream the pictures of a catalogue in order, decoded by threads a few batches ahead.

    Memory is bounded by a few batches whatever the number of pictures. A broken picture is a row of
    zeros with its reason in the statuses; it never ends the run.

    Parameters
    ----------
    paths : sequence of path or str
        The files (see `decode`), in the order of the catalogue.
    preprocessing : Preprocessing
        What to keep of each.
    batch_size : int
        Pictures in a batch; the last one may hold fewer.
    workers : int, optional
        Threads. Default: one for each processor that this process may use, at most 16.
    pixel_scales : sequence of float, optional
        Arcsec per pixel of each, from the catalogue; NaN where unknown.

    Yields
    ------
    rows : slice
        Which of `paths` the batch holds.
    batch : numpy.ndarray
        uint8 (n, side, side, 3).
    statuses : list of str
        "ok", or the sentence that says why not, for each.
    """
    known = None if pixel_scales is None else [float(s) if s > 0 else None for s in pixel_scales]
    starts = iter(range(0, len(paths), batch_size))
    waiting: deque[tuple[slice, list[Future[tuple[NDArray[np.uint8] | None, str]]]]] = deque()
    pool = ThreadPoolExecutor(workers or min(16, _processors()), thread_name_prefix="decode")

    def submit() -> None:
        start = next(starts, None)
        if start is not None:
            rows = slice(start, min(start + batch_size, len(paths)))
            scales = known[rows] if known is not None else [None] * len(paths[rows])
            tasks = zip(paths[rows], scales, strict=True)
            waiting.append((rows, [pool.submit(_read, path, preprocessing, scale) for path, scale in tasks]))

    try:
        for _ in range(1 + _PREFETCH):
            submit()
        while waiting:
            rows, futures = waiting.popleft()
            batch = np.zeros((len(futures), preprocessing.side, preprocessing.side, 3), np.uint8)
            statuses = []
            for row, future in enumerate(futures):
                pixels, status = future.result()
                if pixels is not None:
                    batch[row] = pixels
                statuses.append(status)
            submit()
            yield rows, batch, statuses
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def load_images(
    paths: Sequence[Location],
    preprocessing: Preprocessing,
    *,
    workers: int | None = None,
    pixel_scales: Sequence[float] | NDArray[np.floating] | None = None,
    progress: Callable[[int], object] | None = None,
) -> tuple[NDArray[np.uint8], list[str]]:
    """Read the pictures of a catalogue into one array; for what fits in memory (49 kB each at 128 px).

    Parameters
    ----------
    paths : sequence of path or str
        The files (see `decode`), in the order of the catalogue.
    preprocessing : Preprocessing
        What to keep of each.
    workers : int, optional
        Threads. Default: one for each processor that this process may use, at most 16.
    pixel_scales : sequence of float, optional
        Arcsec per pixel of each, from the catalogue; NaN where unknown.
    progress : callable, optional
        Called now and then with the number of pictures read since the last call.

    Returns
    -------
    images : numpy.ndarray
        uint8 (N, side, side, 3); zeros where a picture could not be read.
    statuses : list of str
        "ok", or the sentence that says why not, for each.
    """
    images = np.zeros((len(paths), preprocessing.side, preprocessing.side, 3), np.uint8)
    statuses: list[str] = []
    for rows, batch, batch_statuses in iter_images(
        paths, preprocessing, batch_size=32, workers=workers, pixel_scales=pixel_scales
    ):
        images[rows] = batch
        statuses += batch_statuses
        if progress is not None:
            progress(len(batch_statuses))
    return images, statuses


def _processors() -> int:
    """Return the number of processors this process may use (a cluster often grants fewer than there are)."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
