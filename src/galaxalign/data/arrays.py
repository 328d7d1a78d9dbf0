"""Images that are numbers in an array: NumPy files, rows of HDF5, TIFF of several bands."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from galaxalign.data.locations import Place
from galaxalign.errors import InputError

__all__ = [
    "MAX_PIXELS",
    "SMALLEST",
    "Planes",
    "bands_first",
    "check_size",
    "is_npy",
    "is_tiff",
    "read_hdf5",
    "read_npy",
    "read_tiff",
]

MAX_PIXELS = 80_000_000
"""Images with more pixels are refused from their header alone, before a byte of them is decoded.

It stays under the limit of Pillow (``PIL.Image.MAX_IMAGE_PIXELS``); to go above that, raise both.
"""

SMALLEST = 8
"""Pixels that the shorter side must have."""

_OPEN_FILES = 8


@dataclass(frozen=True)
class Planes:
    """What a file holds as numbers.

    Attributes
    ----------
    values : array (n, height, width)
        The bands, first row on top.
    names : tuple of str, optional
        Names of the bands where the file tells them.
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
    """Raise InputError unless an array is an image of a sensible size.

    Parameters
    ----------
    shape : sequence of int
        Of one band, or of a cube with its bands first or last.
    where : str
    """
    sides = _image_shape(shape, where)
    if sides[0] * sides[1] > MAX_PIXELS:
        raise InputError(too_large(where))
    if min(sides) < SMALLEST:
        raise InputError(too_small(where, sides[1], sides[0]))


def too_large(where: str) -> str:
    return f"{where} has more than {MAX_PIXELS:,} pixels and was not decoded; cut out the galaxy or shrink it"


def too_small(where: str, width: int, height: int) -> str:
    return (
        f"{where} has {width} x {height} pixels, too few to show a galaxy; "
        f"give a picture of at least {SMALLEST} x {SMALLEST}"
    )


def _image_shape(shape: Sequence[int], where: str) -> tuple[int, int]:
    """Return height and width."""
    lengths = _squeezed(shape)
    if len(lengths) == 2:
        return lengths[0], lengths[1]
    if len(lengths) == 3:
        return (lengths[0], lengths[1]) if lengths[2] < lengths[0] else (lengths[1], lengths[2])
    raise InputError(
        f"{where} has the shape {' x '.join(map(str, shape)) or 'of a single number'}; "
        "an image has two axes, a cube of bands three"
    )


def _squeezed(shape: Sequence[int]) -> tuple[int, ...]:
    """Return a shape without outer axes of length one beyond three (FITS often has those)."""
    lengths = tuple(int(length) for length in shape)
    while len(lengths) > 3 and lengths[0] == 1:
        lengths = lengths[1:]
    return lengths


def bands_first(values: NDArray[Any], where: str) -> NDArray[Any]:
    """Return an array as (n, height, width): bands lie along the shorter of the first and the last axis, or first.

    Raises
    ------
    InputError
        It holds no real numbers, or no image.
    """
    if values.dtype.kind not in "uif" or values.dtype.names is not None:
        raise InputError(f"{where} holds {values.dtype} and no real numbers; give an array of flux or of bytes")
    values = values.reshape(_squeezed(values.shape))
    check_size(values.shape, where)
    if values.ndim == 2:
        return values[None]
    return np.moveaxis(values, -1, 0) if values.shape[-1] < values.shape[0] else values


def is_npy(head: bytes) -> bool:
    """Tell from its first bytes whether a file is a NumPy array."""
    return head.startswith(b"\x93NUMPY")


def read_npy(file: BinaryIO, place: Place) -> Planes:
    """Return the image in a .npy file; nothing is ever unpickled."""
    version = np.lib.format.read_magic(file)
    read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
    shape, _, dtype = read(file)
    if dtype.hasobject:
        raise InputError(f"{place.name} holds Python objects and no numbers; save a plain array")
    check_size(shape, place.name)
    file.seek(0)
    return Planes(bands_first(np.load(file, allow_pickle=False), place.name))


def is_tiff(head: bytes) -> bool:
    """Tell from its first bytes whether a file is TIFF or BigTIFF."""
    return head[:4] in (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")


def read_tiff(file: BinaryIO, place: Place) -> Planes:
    """Return the image in a TIFF that Pillow does not read, such as one of interleaved floating-point bands.

    Raises
    ------
    InputError
        The package tifffile is missing, or it does not know the compression.
    """
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


# h5py lets one thread at a time read; opening a file for every row would cost more than the row.
_files: OrderedDict[tuple[str, int, int], tuple[Any, Any]] = OrderedDict()
_lock = threading.Lock()
# A published file of 17,736 pictures may hold some hundred of them in each chunk: row by row each chunk would be
# unpacked a hundred times. So whole blocks of chunks are read, which serves rows in about the order of the file.
_blocks: OrderedDict[tuple[tuple[str, int, int], str, int], NDArray[Any]] = OrderedDict()
_BLOCK = 64 * 2**20  # bytes, unless one row of chunks is larger
_KEPT = 2


def read_hdf5(place: Place) -> Planes:
    """Return one row of an HDF5 dataset.

    Raises
    ------
    InputError
        There is no such dataset or row; the sentence lists the datasets there are.
    """
    with _lock:
        key, file = _opened(place)
        dataset = file.get(str(place.dataset))
        if dataset is None or not hasattr(dataset, "shape"):
            raise InputError(f"{place.file} has no dataset {place.dataset}; it has {_datasets(file)}")
        if dataset.ndim < 3 or place.row >= len(dataset):
            raise InputError(
                f"{place.file} has no image {place.dataset}[{place.row}]; the dataset has the shape "
                f"{' x '.join(map(str, dataset.shape))}, rows first and counted from 0"
            )
        check_size(dataset.shape[1:], place.name)
        values = _block_row(key, dataset, place.row, place)
    return Planes(bands_first(values, place.name))


def _block_row(key: tuple[str, int, int], dataset: Any, row: int, place: Place) -> NDArray[Any]:
    """Return one row of a dataset, reading whole chunks."""
    chunk = dataset.chunks[0] if dataset.chunks else 1
    step = chunk * max(1, _BLOCK // (int(np.prod(dataset.shape[1:])) * dataset.dtype.itemsize * chunk))
    first = row // step * step
    block = (key, str(place.dataset), first)
    if block not in _blocks:
        try:
            _blocks[block] = dataset[first : first + step]
        except OSError as error:
            reason = " ".join(str(error).split())
            raise InputError(f"{place.name} is damaged ({reason}); fetch {Path(place.file).name} again") from None
        while len(_blocks) > _KEPT:
            _blocks.popitem(last=False)
    _blocks.move_to_end(block)
    return _blocks[block][row - first]


def _opened(place: Place) -> tuple[tuple[str, int, int], Any]:
    """Return the open file and what it is known by; a file that was written again since is opened again."""
    import h5py

    if place.remote:
        key = (str(place.file), 0, 0)
    else:
        facts = Path(place.file).stat()
        key = (str(place.file), facts.st_mtime_ns, facts.st_size)
    if key not in _files:
        while len(_files) >= _OPEN_FILES:
            for part in _files.popitem(last=False)[1]:
                part.close()
        if place.remote:
            import fsspec

            raw = fsspec.open(str(place.file), "rb").open()
        else:
            # By HDF5 itself the file would be locked for everyone else in this process.
            raw = open(place.file, "rb")  # noqa: SIM115 (as long as the cache has it)
        try:
            _files[key] = (h5py.File(raw, "r"), raw)
        except OSError as error:
            raw.close()
            if "signature not found" in str(error):
                raise InputError(f"{place.file} is no HDF5 file; check file_loc, or fetch the file again") from None
            raise
    _files.move_to_end(key)
    return key, _files[key][0]


def _datasets(file: Any) -> str:
    found: list[str] = []

    def note(name: str, item: Any) -> None:
        if hasattr(item, "shape"):
            found.append(f"{name} ({' x '.join(map(str, item.shape)) or 'a single value'})")

    file.visititems(note)
    return ", ".join(found[:20]) or "none"
