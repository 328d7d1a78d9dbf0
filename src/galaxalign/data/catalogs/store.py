"""A prepared store: the pictures of a catalogue, decoded once and memory-mapped."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from galaxalign.data.catalogs.catalog import Catalog, as_catalog, order_digest
from galaxalign.data.catalogs.columns import TEXT_COLUMNS
from galaxalign.data.images import OK, Preprocessing
from galaxalign.data.tables import read_table
from galaxalign.errors import InputError

STORE_FILE, PROGRESS_FILE = "store.json", "progress.json"
"""What makes a folder a prepared store, and what an unfinished one has in its place."""

STORE_TABLE, IMAGES, FAILED = "catalog.parquet", "images.npy", "failed.parquet"
"""The table of a prepared store, its pictures as a model sees them, and which of them could not be read."""

CANVAS = "canvas.npy"
"""The pictures as training turns and shifts them, larger than those in `IMAGES`."""


class Pictures:
    """Framed pictures in memory or in a memory-mapped file; indexing copies them.

    Parameters
    ----------
    array : ndarray (N, L, L, 3), uint8
    rows : ndarray of int, optional
        A selection in order; all by default.
    size : int, optional
        Side of the centred square to return; the whole picture by default.
    """

    def __init__(
        self, array: NDArray[np.uint8], rows: NDArray[np.int64] | None = None, size: int | None = None
    ) -> None:
        # A memmap costs a Python object for each slice; the plain array over the same memory does not.
        self._array = np.asarray(array)
        self._rows = rows
        self._size = size or int(array.shape[1])

    def __len__(self) -> int:
        return len(self._array) if self._rows is None else len(self._rows)

    @property
    def shape(self) -> tuple[int, int, int, int]:
        """(N, size, size, 3)."""
        return len(self), self._size, self._size, 3

    def __getitem__(self, index: slice | ArrayLike) -> NDArray[np.uint8]:
        """Return a copy of some pictures by a slice, indices or booleans."""
        where: Any = index if isinstance(index, slice) else np.asarray(index)
        margin = (int(self._array.shape[1]) - self._size) // 2
        inner = slice(margin, margin + self._size)
        found = self._array[where if self._rows is None else self._rows[where], inner, inner]
        return np.ascontiguousarray(found) if found.base is None else found.copy()

    def take(self, rows: ArrayLike) -> Pictures:
        """Return a selection by indices or booleans, without reading it."""
        own = np.arange(len(self)) if self._rows is None else self._rows
        return Pictures(self._array, own[np.asarray(rows)], self._size)

    def centre(self, size: int) -> Pictures:
        """Return the centred squares of `size` pixels, without reading them."""
        return Pictures(self._array, self._rows, size)


@dataclass(frozen=True, eq=False)
class Store:
    """A complete store; `about` is the content of its store.json."""

    folder: Path
    about: dict[str, Any]

    def __len__(self) -> int:
        return int(self.about["n"])

    @cached_property
    def preprocessings(self) -> dict[str, Preprocessing]:
        """The preprocessing of each file of pictures."""
        return {view["file"]: Preprocessing.from_dict(view["preprocessing"]) for view in self.about["views"]}

    @cached_property
    def statuses(self) -> list[str]:
        """The status of each row."""
        statuses = [OK] * len(self)
        if not (self.folder / FAILED).is_file():
            raise InputError(_lost(self.folder, FAILED))
        failed = read_table(self.folder / FAILED)
        for row, status in zip(failed["row"], failed["status"], strict=True):
            statuses[int(row)] = str(status)
        return statuses

    def images(self, preprocessing: Preprocessing) -> NDArray[np.uint8]:
        """Return all pictures of one preprocessing, memory-mapped, uint8 (N, side, side, 3)."""
        path = self.folder / self.file_of(preprocessing)
        shape = (len(self), preprocessing.side, preprocessing.side, 3)
        try:
            found: NDArray[np.uint8] = np.load(path, mmap_mode="r", allow_pickle=False)
        except (OSError, ValueError) as error:
            raise InputError(f"{path} is missing or damaged ({error}); delete the store and prepare it again") from None
        if found.shape != shape or found.dtype != np.uint8:
            raise InputError(
                f"{path} holds {found.dtype} of shape {found.shape}, not uint8 of {shape} as {STORE_FILE} says; "
                "delete the store and prepare it again"
            )
        return found

    def file_of(self, preprocessing: Preprocessing) -> str:
        """Return the name of the file with the pictures of one preprocessing."""
        for name, held in self.preprocessings.items():
            if held == preprocessing:
                return name
        there = " and ".join(f"[{held}]" for held in self.preprocessings.values())
        raise InputError(
            f"the store {self.folder} holds pictures with {there}, but [{preprocessing}] is needed here; "
            "leave --crop, --stretch, --bands and --pixel-scale out of train to take those of the store, or prepare "
            "another store (data prepare with --model, or with the --size and the rest that are needed; for train with "
            "a crop below 1 also --for-training)"
        )

    def rows(self, catalog: Catalog) -> NDArray[np.int64]:
        """Return the row in the store of each row of a selection of its catalogue."""
        return np.array([self._places[identity] for identity in catalog.ids], dtype=np.int64)

    @cached_property
    def _places(self) -> dict[str, int]:
        ids = read_table(self.folder / STORE_TABLE, text_columns=("id_str",))["id_str"]
        return {str(identity): row for row, identity in enumerate(ids)}


def open_store(folder: str | Path) -> Store:
    """Open a store; InputError if it is missing or not complete."""
    folder = Path(folder)
    try:
        about = json.loads((folder / STORE_FILE).read_text())
        if about["format"] != 1:
            raise InputError(f"{folder} is a store of format {about['format']}; prepare it again with this version")
    except FileNotFoundError:
        raise InputError(f"{folder} is no complete store; make it with galaxalign data prepare") from None
    except (ValueError, KeyError, TypeError) as error:
        raise InputError(f"{folder / STORE_FILE} is damaged ({error}); delete the store and prepare it again") from None
    return Store(folder, about)


def is_store(path: Path) -> bool:
    """Tell whether a folder is a prepared store."""
    if (path / STORE_FILE).is_file():
        return True
    if (path / PROGRESS_FILE).is_file() and ((path / IMAGES).is_file() or (path / STORE_TABLE).is_file()):
        raise InputError(f"the store {path} is not finished; run the same galaxalign data prepare again")
    if _holds_pictures_of_a_store(path):
        raise InputError(_lost(path, STORE_FILE))
    return False


def store_catalog(path: Path, require: Sequence[str]) -> Catalog:
    """Return the catalogue of a prepared store."""
    if not (path / STORE_TABLE).is_file():
        raise InputError(_lost(path, STORE_TABLE))
    frame = read_table(path / STORE_TABLE, text_columns=TEXT_COLUMNS)
    try:
        about = json.loads((path / STORE_FILE).read_text())
        source, fingerprint, order = about["source"], about["catalog_fingerprint"], about["order"]
    except (ValueError, KeyError, TypeError) as error:
        raise InputError(f"{path / STORE_FILE} is damaged ({error}); delete the store and prepare it again") from None
    found = as_catalog(frame, root=path, source=source, require=require, where=f"the store {path}")
    if order_digest(found) != order:
        raise InputError(f"the table of the store {path} is not that of its pictures; delete it and prepare it again")
    return replace(found, fingerprint=fingerprint, store=path)


def _holds_pictures_of_a_store(path: Path) -> bool:
    """Tell whether a folder has the array of all pictures of a store, which has four axes."""
    if not (path / IMAGES).is_file():
        return False
    if (path / FAILED).is_file() or (path / STORE_TABLE).is_file():
        return True
    try:
        return bool(np.load(path / IMAGES, mmap_mode="r", allow_pickle=False).ndim == 4)
    except (OSError, ValueError):
        return False  # a broken image in a folder of images


def _lost(store: Path, name: str) -> str:
    """Return the sentence for a prepared store without one of its files."""
    return (
        f"{store} was a prepared store and has lost its {name}; delete the folder and make it again with "
        f"galaxalign data prepare CATALOG --out {store}"
    )
