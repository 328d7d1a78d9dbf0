"""Image files into small RGB squares: decode, frame, and stream a whole catalogue with bounded memory."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps, UnidentifiedImageError

from galaxalign.data.preprocessing import Preprocessing
from galaxalign.errors import InputError

__all__ = [
    "IMAGE_SUFFIXES",
    "MAX_PIXELS",
    "OK",
    "decode",
    "frame",
    "iter_images",
    "load_images",
]

OK = "ok"
"""The status of an image that could be read; any other status is the sentence saying why not."""

MAX_PIXELS = 80_000_000
"""Images with more pixels are refused from their header alone, before a byte of them is decoded.

It stays under the limit of Pillow (``PIL.Image.MAX_IMAGE_PIXELS``); to go above that, raise both.
"""

_SMALLEST = 8  # pixels of the shorter side

IMAGE_SUFFIXES = (".jpg", ".jpeg", ".png", ".tif", ".tiff", ".webp", ".bmp", ".gif")
_FORMATS = ("JPEG", "PNG", "TIFF", "WEBP", "BMP", "GIF")

_PREFETCH = 2  # batches under way beyond the one that is being used


def decode(path: str | Path, *, at_least: int | None = None) -> NDArray[np.uint8]:
    """Read one picture as 8-bit RGB.

    16-bit pictures are scaled to 8 bits (65535 becomes 255), grey and palette pictures become RGB,
    transparent ones are laid on black (the sky), and an EXIF orientation is applied, as viewers do.
    Of several frames or pages the first is taken.

    Parameters
    ----------
    path : path
        JPEG, PNG, TIFF, WebP, BMP or GIF, told by content, not by name.
    at_least : int, optional
        Allow a JPEG to be decoded at 1/2, 1/4 or 1/8 of its size as long as both of its sides keep this
        many pixels (several times faster on large pictures). Default: full size.

    Returns
    -------
    numpy.ndarray
        uint8 (height, width, 3), first row on top.

    Raises
    ------
    InputError
        If the file is missing, empty, damaged, no picture, too large, too small or holds 32-bit values.
    """
    path = Path(path)
    if path.is_dir():
        raise InputError(f"{path} is a folder, not an image; check file_loc in its row of the catalogue")
    try:
        if path.stat().st_size == 0:
            raise InputError(f"{path} is empty (zero bytes); fetch or copy it again")
        with Image.open(path, formats=_FORMATS) as picture:
            return _pixels(picture, path, at_least)
    except (InputError, MemoryError):
        raise
    except FileNotFoundError:
        raise InputError(
            f"there is no image at {path}; check file_loc in the catalogue, which is relative to it"
        ) from None
    except PermissionError:
        raise InputError(f"{path} may not be read; check the permissions of the file") from None
    except UnidentifiedImageError:
        raise InputError(
            f"{path} is no image that is recognised, whatever its name says; it must be {', '.join(_FORMATS)}"
        ) from None
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):
        raise InputError(_too_large(path)) from None
    except Exception as error:
        # Decoders raise almost anything on damaged bytes (OSError, SyntaxError, struct.error, ...), and
        # whatever it was, it is this file that is at fault, and the rest of the catalogue can go on.
        reason = " ".join(str(error).split()).rstrip(".") or type(error).__name__
        raise InputError(f"{path} is truncated or damaged ({reason}); fetch or copy it again") from error


def _too_large(path: Path) -> str:
    return f"{path} has more than {MAX_PIXELS:,} pixels and was not decoded; cut out the galaxy or shrink it"


def _pixels(picture: Image.Image, path: Path, at_least: int | None) -> NDArray[np.uint8]:
    """Decode an opened picture and bring it to 8-bit RGB."""
    if picture.width * picture.height > MAX_PIXELS:
        raise InputError(_too_large(path))
    if min(picture.size) < _SMALLEST:
        raise InputError(
            f"{path} has {picture.width} x {picture.height} pixels, too few to show a galaxy; "
            f"give a picture of at least {_SMALLEST} x {_SMALLEST}"
        )
    if at_least is not None:
        picture.draft(None, (at_least, at_least))
    # PNG and older versions of Pillow: 16 bits in a 32-bit mode.
    sixteen = picture.mode.startswith("I;16") or (picture.mode == "I" and picture.format == "PNG")
    if picture.mode in ("I", "F") and not sixteen:
        raise InputError(f"{path} holds 32-bit values, which have no scale of brightness; convert it to 8 or 16 bits")
    picture.load()
    picture = ImageOps.exif_transpose(picture)
    if sixteen:
        deep = np.asarray(picture).astype(np.uint32)
        grey = ((deep + 128) // 257).astype(np.uint8)
        return np.repeat(grey[:, :, None], 3, axis=2)
    if picture.mode in ("RGBA", "LA", "PA", "RGBa", "La") or "transparency" in picture.info:
        rgba = picture.convert("RGBA")
        black = Image.new("RGB", rgba.size)
        black.paste(rgba, mask=rgba.getchannel("A"))
        return np.array(black)
    return np.array(picture.convert("RGB"))


def frame(image: NDArray[np.uint8], preprocessing: Preprocessing) -> NDArray[np.uint8]:
    """Cut the centred square out of a picture and resize it, antialiased (bicubic).

    Parameters
    ----------
    image : numpy.ndarray
        uint8 (height, width, 3).
    preprocessing : Preprocessing
        What to keep of it, and how large.

    Returns
    -------
    numpy.ndarray
        uint8 (size, size, 3).
    """
    height, width = image.shape[:2]
    side = max(1.0, preprocessing.crop * min(height, width))
    left, top = (width - side) / 2, (height - side) / 2
    # A box with fractions keeps the galaxy's centre where it is; rounding would shift it by half a pixel.
    resized = Image.fromarray(image).resize(
        (preprocessing.size, preprocessing.size), Image.Resampling.BICUBIC, box=(left, top, left + side, top + side)
    )
    return np.array(resized)


def _read(path: Path, preprocessing: Preprocessing) -> tuple[NDArray[np.uint8] | None, str]:
    """Decode and frame one file; a broken one is None and the sentence that says why."""
    # Twice the pixels that are needed: the reduced decoding then leaves nothing to see after the resize.
    at_least = int(np.ceil(2 * preprocessing.size / preprocessing.crop))
    try:
        return frame(decode(path, at_least=at_least), preprocessing), OK
    except InputError as error:
        return None, str(error)


def iter_images(
    paths: Sequence[Path], preprocessing: Preprocessing, *, batch_size: int = 64, workers: int | None = None
) -> Iterator[tuple[slice, NDArray[np.uint8], list[str]]]:
    """Stream the pictures of a catalogue in order, decoded by threads a few batches ahead.

    Memory is bounded by a few batches whatever the number of pictures. A broken picture is a row of
    zeros with its reason in the statuses; it never ends the run.

    Parameters
    ----------
    paths : sequence of path
        The files, in the order of the catalogue.
    preprocessing : Preprocessing
        What to keep of each.
    batch_size : int
        Pictures in a batch; the last one may hold fewer.
    workers : int, optional
        Threads. Default: one for each processor that this process may use, at most 16.

    Yields
    ------
    rows : slice
        Which of `paths` the batch holds.
    batch : numpy.ndarray
        uint8 (n, size, size, 3).
    statuses : list of str
        "ok", or the sentence that says why not, for each.
    """
    starts = iter(range(0, len(paths), batch_size))
    waiting: deque[tuple[slice, list[Future[tuple[NDArray[np.uint8] | None, str]]]]] = deque()
    pool = ThreadPoolExecutor(workers or min(16, _processors()), thread_name_prefix="decode")

    def submit() -> None:
        start = next(starts, None)
        if start is not None:
            rows = slice(start, min(start + batch_size, len(paths)))
            waiting.append((rows, [pool.submit(_read, Path(path), preprocessing) for path in paths[rows]]))

    try:
        for _ in range(1 + _PREFETCH):
            submit()
        while waiting:
            rows, futures = waiting.popleft()
            batch = np.zeros((len(futures), preprocessing.size, preprocessing.size, 3), np.uint8)
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
    paths: Sequence[Path],
    preprocessing: Preprocessing,
    *,
    workers: int | None = None,
    progress: Callable[[int], object] | None = None,
) -> tuple[NDArray[np.uint8], list[str]]:
    """Read the pictures of a catalogue into one array; for what fits in memory (49 kB each at 128 px).

    Parameters
    ----------
    paths : sequence of path
        The files, in the order of the catalogue.
    preprocessing : Preprocessing
        What to keep of each.
    workers : int, optional
        Threads. Default: one for each processor that this process may use, at most 16.
    progress : callable, optional
        Called now and then with the number of pictures read since the last call.

    Returns
    -------
    images : numpy.ndarray
        uint8 (N, size, size, 3); zeros where a picture could not be read.
    statuses : list of str
        "ok", or the sentence that says why not, for each.
    """
    images = np.zeros((len(paths), preprocessing.size, preprocessing.size, 3), np.uint8)
    statuses: list[str] = []
    for rows, batch, batch_statuses in iter_images(paths, preprocessing, batch_size=32, workers=workers):
        images[rows] = batch
        statuses += batch_statuses
        if progress is not None:
            progress(len(batch_statuses))
    return images, statuses


def _processors() -> int:
    """Return the number of processors this process may use (a cluster often grants fewer than there are)."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
