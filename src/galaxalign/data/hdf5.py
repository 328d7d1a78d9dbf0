"""What stands beside the pictures in a published HDF5 file."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from galaxalign.errors import InputError

__all__ = ["hdf5_columns"]


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
        Name of the dataset of pictures, uint8 (N, height, width, 3), or (N, 3, height, width) as torch has them.
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
    if data.dtype != np.uint8 or data.ndim != 4 or 3 not in (data.shape[1], data.shape[3]):
        raise InputError(
            f"{path}::{name} holds {data.dtype} of shape {data.shape}; pictures must be uint8 (N, height, width, 3), "
            "or with the three colours first"
        )
