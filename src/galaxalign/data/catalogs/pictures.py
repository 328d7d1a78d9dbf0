"""The pictures of a catalogue, from a prepared store or from their files."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import lru_cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from galaxalign.data.catalogs.catalog import Catalog
from galaxalign.data.catalogs.store import STORE_FILE, Pictures, Store, open_store
from galaxalign.data.images import Preprocessing, iter_images, load_images

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
    """Return the pictures of a catalogue and their statuses.

    Those of a store are read when indexed; others are decoded into memory (49 kB each at 128 px).
    """
    if catalog.store is not None:
        if progress is not None:
            progress(len(catalog))
        return _mapped(catalog, catalog.store, preprocessing)
    images, statuses = load_images(
        catalog.paths(), preprocessing, pixel_scales=catalog.pixel_scales(preprocessing), progress=progress
    )
    return Pictures(images), statuses


def check_store(folder: Path | None, *wanted: Preprocessing) -> None:
    """Raise InputError unless the store, if any, holds the pictures of all these preprocessings."""
    if folder is not None:
        for preprocessing in wanted:
            _opened(folder).file_of(preprocessing)


def _mapped(catalog: Catalog, folder: Path, preprocessing: Preprocessing) -> tuple[Pictures, list[str]]:
    """Return the pictures of rows of a store, and their statuses."""
    store = _opened(folder)
    rows = store.rows(catalog)
    return Pictures(store.images(preprocessing), rows), [store.statuses[row] for row in rows]


def _opened(folder: Path) -> Store:
    # The ids of a store are read once for all pieces of its catalogue.
    return _store(folder, (folder / STORE_FILE).stat().st_mtime_ns)


@lru_cache(maxsize=2)
def _store(folder: Path, written: int) -> Store:
    return open_store(folder)


def _iter_store(pictures: Pictures, statuses: list[str], batch_size: int) -> Batches:
    for start in range(0, len(pictures), batch_size):
        rows = slice(start, min(start + batch_size, len(pictures)))
        yield rows, pictures[rows], statuses[rows]
