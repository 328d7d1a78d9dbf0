"""The pictures of a catalogue wherever they lie: in a prepared store, in rows of HDF5, or in files of their own."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from galaxalign.data.catalog import Catalog
from galaxalign.data.hdf5 import Reference, iter_hdf5, reference
from galaxalign.data.images import Framing, iter_images
from galaxalign.data.store import Pictures, open_store
from galaxalign.errors import InputError

__all__ = ["iter_pictures", "load_pictures"]

Batches = Iterator[tuple[slice, NDArray[np.uint8], list[str]]]


def iter_pictures(catalog: Catalog, framing: Framing, *, batch_size: int = 64, workers: int | None = None) -> Batches:
    """Stream the pictures of a catalogue in its order, with bounded memory; yields what `iter_images` yields.

    Raises
    ------
    InputError
        The catalogue is a store of another preprocessing.
    """
    if catalog.store is not None:
        return _iter_store(catalog, framing, batch_size)
    paths = catalog.paths()
    references = [reference(path) for path in paths]
    rows: list[Reference] = [row for row in references if row is not None]
    if not rows:
        return iter_images(paths, framing, batch_size=batch_size, workers=workers)
    if len(rows) < len(paths):
        other = paths[references.index(None)]
        raise InputError(
            f"catalogue {catalog.source} names rows of HDF5 ({rows[0]}) and files of their own ({other}); "
            "make two catalogues of it"
        )
    return iter_hdf5(rows, framing, batch_size=batch_size)


def load_pictures(
    catalog: Catalog, framing: Framing, *, progress: Callable[[int], object] | None = None
) -> tuple[Pictures, list[str]]:
    """Return the pictures of a catalogue to be indexed, and their statuses.

    From a store nothing is read until they are indexed; else they are decoded into memory (49 kB each at 128 px).
    """
    if catalog.store is not None:
        view = _view(catalog, framing)
        if progress is not None:
            progress(len(catalog))
        return Pictures(view.array, view.rows), view.statuses
    images = np.zeros((len(catalog), framing.size, framing.size, 3), np.uint8)
    statuses: list[str] = []
    for rows, batch, found in iter_pictures(catalog, framing, batch_size=32):
        images[rows] = batch
        statuses += found
        if progress is not None:
            progress(len(found))
    return Pictures(images), statuses


@dataclass(frozen=True)
class _View:
    array: NDArray[np.uint8]
    rows: NDArray[np.int64]
    statuses: list[str]


def _view(catalog: Catalog, framing: Framing) -> _View:
    if catalog.store is None:
        raise ValueError("the catalogue is no store")
    store = open_store(catalog.store)
    array, rows = store.images(framing), store.rows(catalog)
    return _View(array, rows, [store.statuses[row] for row in rows])


def _iter_store(catalog: Catalog, framing: Framing, batch_size: int) -> Batches:
    view = _view(catalog, framing)
    pictures = Pictures(view.array, view.rows)

    def batches() -> Batches:
        for start in range(0, len(pictures), batch_size):
            rows = slice(start, min(start + batch_size, len(pictures)))
            yield rows, pictures[rows], view.statuses[rows]

    return batches()
