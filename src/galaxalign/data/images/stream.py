"""The images of a catalogue as a stream of batches, with bounded memory."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor

import numpy as np
from numpy.typing import NDArray

from galaxalign.data.images.decode import prepare
from galaxalign.data.images.locations import Location
from galaxalign.data.images.preprocessing import Preprocessing
from galaxalign.data.images.status import OK
from galaxalign.errors import InputError

_PREFETCH = 2  # batches under way beyond the one that is being used


def _read(
    location: Location, preprocessing: Preprocessing, pixel_scale: float | None
) -> tuple[NDArray[np.uint8] | None, str]:
    """Prepare one file; return None and the reason where it is broken."""
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

    Memory is bounded by a few batches. A broken picture is a row of zeros with its reason in the statuses.

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
        "ok", or why it could not be read, for each.
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
        "ok", or why it could not be read, for each.
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
