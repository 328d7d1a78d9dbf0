"""Rows of HDF5 datasets as images, and the columns beside the pictures of a published file."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Sequence
from pathlib import Path
from typing import Any, BinaryIO, NoReturn

import numpy as np
from numpy.typing import NDArray

from galaxalign.data.images.arrays import Planes, ReadOptions, bands_first, check_size
from galaxalign.data.images.locations import Place
from galaxalign.errors import InputError, reason

# h5py lets one thread at a time read; opening a file for every row would cost more than the row.
_OPEN_FILES = 8
_lock = threading.Lock()
_files: OrderedDict[tuple[str, int, int], tuple[Any, Any]] = OrderedDict()
# A published file may hold some hundred pictures in each chunk, which reading row by row would unpack a hundred
# times. Reading whole blocks of chunks serves rows in about the order of the file.
_BLOCK = 64 * 2**20  # bytes, unless one row of chunks is larger
_KEPT = 2
_blocks: OrderedDict[tuple[tuple[str, int, int], str, int], NDArray[Any]] = OrderedDict()


def is_hdf5(head: bytes) -> bool:
    """Tell from its first bytes whether a file is HDF5."""
    return head.startswith(b"\x89HDF\r\n\x1a\n")


def refuse_hdf5(file: BinaryIO, place: Place, options: ReadOptions) -> NoReturn:
    """Raise InputError: an HDF5 file holds many images, and its location names no row."""
    raise InputError(f"{place.name} is an HDF5 file; name the row, such as {place.name}::images[0]")


def read_hdf5(place: Place) -> Planes:
    """Return one row of an HDF5 dataset."""
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
        values = _block_row(key, dataset, place)
    return Planes(bands_first(values, place.name))


def _block_row(key: tuple[str, int, int], dataset: Any, place: Place) -> NDArray[Any]:
    """Return one row of a dataset, reading whole chunks."""
    chunk = dataset.chunks[0] if dataset.chunks else 1
    step = chunk * max(1, _BLOCK // (int(np.prod(dataset.shape[1:])) * dataset.dtype.itemsize * chunk))
    first = place.row // step * step
    block = (key, str(place.dataset), first)
    if block not in _blocks:
        try:
            _blocks[block] = dataset[first : first + step]
        except OSError as error:
            raise InputError(
                f"{place.name} is damaged ({reason(error)}); fetch {Path(place.file).name} again"
            ) from None
        while len(_blocks) > _KEPT:
            _blocks.popitem(last=False)
    _blocks.move_to_end(block)
    row: NDArray[Any] = _blocks[block][place.row - first]
    return row


def _opened(place: Place) -> tuple[tuple[str, int, int], Any]:
    """Return the open file and its key; a file that was written again since is opened again."""
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
    """Return the names and shapes of the datasets of a file, at most 20."""
    listed: list[str] = []

    def add(name: str, item: Any) -> None:
        if hasattr(item, "shape"):
            listed.append(f"{name} ({' x '.join(map(str, item.shape)) or 'a single value'})")

    file.visititems(add)
    return ", ".join(listed[:20]) or "none"


def hdf5_columns(path: Path, *, images: str, columns: Sequence[str]) -> tuple[int, dict[str, NDArray[Any]]]:
    """Return the number of pictures in an HDF5 file and its columns of one value for each.

    Parameters
    ----------
    path : Path
    images : str
        Name of the dataset of pictures, uint8 (N, height, width, 3), or (N, 3, height, width) as torch has them.
    columns : sequence of str
        Names of datasets of N values.

    Raises
    ------
    InputError
        The file cannot be read, a dataset is missing (the sentence names those there are), or has another length or
        kind.
    """
    import h5py

    try:
        file = h5py.File(path, "r")
    except FileNotFoundError:
        raise InputError(
            f"there is no HDF5 file at {path}; check file_loc in the catalogue, which is relative to it"
        ) from None
    except OSError as error:
        raise InputError(f"{path} cannot be read as HDF5 ({reason(error)}); fetch it again") from None
    with file:
        for name in (images, *columns):
            if not isinstance(file.get(name), h5py.Dataset):
                raise InputError(f"{path} has no dataset {name!r}; it has {_datasets(file)}")
        pictures = file[images]
        if pictures.dtype != np.uint8 or pictures.ndim != 4 or 3 not in (pictures.shape[1], pictures.shape[3]):
            raise InputError(
                f"{path}::{images} holds {pictures.dtype} of shape {pictures.shape}; pictures must be uint8 "
                "(N, height, width, 3), or with the three colours first"
            )
        n = int(pictures.shape[0])
        for name in columns:
            if file[name].shape != (n,):
                raise InputError(
                    f"{path} has {n} pictures but {name!r} has the shape {file[name].shape}; "
                    "the file is not the published one"
                )
        return n, {name: file[name][:] for name in columns}
