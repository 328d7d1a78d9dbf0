"""The pictures of a catalogue wherever they lie: in a prepared store, or in files of their own."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import lru_cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from galaxalign.data.catalog import STORE_FILE, Catalog
from galaxalign.data.images import iter_images
from galaxalign.data.preprocessing import Preprocessing
from galaxalign.data.store import Pictures, Store, open_store

__all__ = ["check_store", "iter_pictures", "load_pictures"]

Batches = Iterator[tuple[slice, NDArray[np.uint8], list[str]]]


def iter_pictures(
    catalog: Catalog, preprocessing: Preprocessing, *, batch_size: int = 64, workers: int | None = None
) -> Batches:
    """Stream the pictures of a catalogue in its order, with bounded memory; yields what `iter_images` yields.

    Raises
    ------
    InputError
        The catalogue is a store of another preprocessing, or lacks the pixel scales that it needs.
    """
    if catalog.store is not None:
        return _iter_store(*_mapped(catalog, catalog.store, preprocessing), batch_size)
    return iter_images(
        catalog.paths(),
        preprocessing,
        batch_size=batch_size,
        workers=workers,
        pixel_scales=catalog.pixel_scales(preprocessing),
    )


def load_pictures(
    catalog: Catalog, preprocessing: Preprocessing, *, progress: Callable[[int], object] | None = None
) -> tuple[Pictures, list[str]]:
    """Return the pictures of a catalogue to be indexed, and their statuses.

    From a store nothing is read until they are indexed; else they are decoded into memory (49 kB each at 128 px).
    """
    if catalog.store is not None:
        if progress is not None:
            progress(len(catalog))
        return _mapped(catalog, catalog.store, preprocessing)
    images = np.zeros((len(catalog), preprocessing.side, preprocessing.side, 3), np.uint8)
    statuses: list[str] = []
    for rows, batch, found in iter_pictures(catalog, preprocessing, batch_size=32):
        images[rows] = batch
        statuses += found
        if progress is not None:
            progress(len(found))
    return Pictures(images), statuses


def check_store(folder: Path | None, *wanted: Preprocessing) -> None:
    """Raise InputError unless a store, where there is one, holds the pictures of all of these.

    Asked before a model is loaded or built, which takes much longer.
    """
    if folder is not None:
        for preprocessing in wanted:
            _opened(folder).file_of(preprocessing)


def _mapped(catalog: Catalog, folder: Path, preprocessing: Preprocessing) -> tuple[Pictures, list[str]]:
    """Return the pictures of rows of a store, and their statuses."""
    store = _opened(folder)
    rows = store.rows(catalog)
    return Pictures(store.images(preprocessing), rows), [store.statuses[row] for row in rows]


def _opened(folder: Path) -> Store:
    # A catalogue comes in many pieces; the ids of the whole store are read for the first of them.
    return _store(folder, (folder / STORE_FILE).stat().st_mtime_ns)


@lru_cache(maxsize=2)
def _store(folder: Path, written: int) -> Store:
    return open_store(folder)


def _iter_store(pictures: Pictures, statuses: list[str], batch_size: int) -> Batches:
    for start in range(0, len(pictures), batch_size):
        rows = slice(start, min(start + batch_size, len(pictures)))
        yield rows, pictures[rows], statuses[rows]
