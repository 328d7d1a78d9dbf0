"""Pictures inside HDF5 files: `file.h5::images[17]`, read in whole chunks however they are stored."""

from __future__ import annotations

import re
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from galaxalign.data.images import OK, Framing, frame
from galaxalign.errors import InputError

__all__ = ["Reference", "RowReader", "hdf5_columns", "iter_hdf5", "reference"]

_REFERENCE = re.compile(r"(?P<file>.+)::(?P<dataset>[^\[\]]+)\[(?P<row>\d+)\]")
_BLOCK = 64 * 2**20  # bytes read at once, unless one row of chunks is larger
_KEPT = 2  # blocks in memory


@dataclass(frozen=True, slots=True)
class Reference:
    """One row of a dataset in an HDF5 file; as text `file.h5::images[17]`."""

    file: Path
    dataset: str
    row: int

    def __str__(self) -> str:
        return f"{self.file}::{self.dataset}[{self.row}]"


def reference(path: str | Path) -> Reference | None:
    """Return the row that a file_loc names, or None where it names a file of its own."""
    found = _REFERENCE.fullmatch(str(path))
    return Reference(Path(found["file"]), found["dataset"], int(found["row"])) if found else None


def _open(path: Path) -> Any:
    import h5py

    try:
        return h5py.File(path, "r")
    except FileNotFoundError:
        raise InputError(
            f"there is no HDF5 file at {path}; check file_loc in the catalogue, which is relative to it"
        ) from None
    except OSError as error:
        raise InputError(f"{path} cannot be read as HDF5 ({' '.join(str(error).split())}); fetch it again") from None


def _dataset(file: Any, path: Path, name: str) -> Any:
    import h5py

    if name not in file or not isinstance(file[name], h5py.Dataset):
        names: list[str] = []
        file.visititems(lambda key, item: names.append(key) if isinstance(item, h5py.Dataset) else None)
        raise InputError(f"{path} has no dataset {name!r}; it has {', '.join(names) or 'none at all'}")
    return file[name]


def hdf5_columns(path: Path, *, images: str, columns: Sequence[str]) -> tuple[int, dict[str, NDArray[Any]]]:
    """Return the number of pictures in an HDF5 file and its columns of one value for each.

    Parameters
    ----------
    path : Path
    images : str
        Name of the dataset of pictures, uint8 (N, height, width, 3).
    columns : sequence of str
        Names of datasets of N values.

    Raises
    ------
    InputError
        The file cannot be read, a dataset is missing (those found are named), or one has another length or kind.
    """
    with _open(path) as file:
        pictures = _dataset(file, path, images)
        _check_pictures(pictures, path, images)
        values: dict[str, NDArray[Any]] = {}
        for name in columns:
            data = _dataset(file, path, name)
            if data.shape != pictures.shape[:1]:
                raise InputError(
                    f"{path} has {pictures.shape[0]} pictures but {name!r} has the shape {data.shape}; "
                    "the file is not the published one"
                )
            values[name] = data[:]
        return int(pictures.shape[0]), values


def _check_pictures(data: Any, path: Path, name: str) -> None:
    if data.dtype != np.uint8 or data.ndim != 4 or data.shape[3] != 3:
        raise InputError(
            f"{path}::{name} holds {data.dtype} of shape {data.shape}; pictures must be uint8 (N, height, width, 3)"
        )


class RowReader:
    """Reads single rows, but from the file only whole blocks of chunks, so that none is unpacked twice.

    A published file of 17,736 pictures may hold some hundred of them in each chunk: row by row each chunk would be
    unpacked a hundred times. Rows should come in about the order of the file; two blocks are kept in memory.
    """

    def __init__(self) -> None:
        self._files: dict[Path, Any] = {}
        self._blocks: OrderedDict[tuple[Path, str, int], NDArray[np.uint8]] = OrderedDict()

    def __enter__(self) -> RowReader:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for file in self._files.values():
            file.close()
        self._files.clear()
        self._blocks.clear()

    def read(self, where: Reference) -> NDArray[np.uint8]:
        """Return one picture, uint8 (height, width, 3); InputError if it cannot be read."""
        if where.file not in self._files:
            self._files[where.file] = _open(where.file)
        data = _dataset(self._files[where.file], where.file, where.dataset)
        _check_pictures(data, where.file, where.dataset)
        if where.row >= data.shape[0]:
            raise InputError(f"{where} does not exist: {where.dataset} has {data.shape[0]} rows, the first is 0")
        chunk = data.chunks[0] if data.chunks else 1
        row_bytes = int(np.prod(data.shape[1:]))
        step = max(chunk, _BLOCK // row_bytes // chunk * chunk)
        start = where.row // step * step
        key = (where.file, where.dataset, start)
        if key not in self._blocks:
            try:
                block = data[start : start + step]
            except OSError as error:
                reason = " ".join(str(error).split())
                raise InputError(f"{where} is damaged ({reason}); fetch {where.file.name} again") from None
            self._blocks[key] = block
            while len(self._blocks) > _KEPT:
                self._blocks.popitem(last=False)
        self._blocks.move_to_end(key)
        return self._blocks[key][where.row - start]


def iter_hdf5(
    references: Sequence[Reference], framing: Framing, *, batch_size: int = 64, workers: int = 4
) -> Iterator[tuple[slice, NDArray[np.uint8], list[str]]]:
    """Stream rows of HDF5 files in the order given; yields what `iter_images` yields.

    Parameters
    ----------
    references : sequence of Reference
    framing : Framing
    batch_size : int
    workers : int
        Threads that crop and resize; one more reads ahead.
    """

    def read(start: int) -> list[NDArray[np.uint8] | str]:
        found: list[NDArray[np.uint8] | str] = []
        for where in references[start : start + batch_size]:
            try:
                found.append(reader.read(where))
            except InputError as error:
                found.append(str(error))
        return found

    with RowReader() as reader, ThreadPoolExecutor(1) as ahead, ThreadPoolExecutor(workers) as pool:
        coming = ahead.submit(read, 0)
        for start in range(0, len(references), batch_size):
            found = coming.result()
            coming = ahead.submit(read, start + batch_size)
            batch = np.zeros((len(found), framing.size, framing.size, 3), np.uint8)

            def put(row: int, found: list[Any] = found, batch: NDArray[np.uint8] = batch) -> None:
                if not isinstance(found[row], str):
                    batch[row] = frame(found[row], framing)

            list(pool.map(put, range(len(found))))
            yield (
                slice(start, start + len(found)),
                batch,
                [item if isinstance(item, str) else OK for item in found],
            )
