"""The same galaxy in pictures with another frame, pixel scale or stretch, where neither id nor position tells.

Each picture becomes a signature: its brightness around the galaxy's centre on a grid of angle and of the logarithm
of the distance in units of the galaxy's own size. Another pixel scale is then a shift along one axis, another
frame hides cells. What all galaxies have in common (a bright centre, an axis of elongation) is weighed down, so
that what is left is what tells one from another: arms, knots, dust, companions, stars in front.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from galaxalign.data.images import OK, Location, Preprocessing, iter_images

THRESHOLD = 1.0
"""The likeness from which on two pictures are taken for the same galaxy; how it was chosen: docs/howto/audit.md."""

_SIDE = 192  # pixels to which pictures are brought
_RINGS, _ANGLES = 40, 32
_NEAREST, _FARTHEST = 0.15, 4.5  # in units of the galaxy's own radius
_STEP = float(np.log(_FARTHEST / _NEAREST) / (_RINGS - 1))
_SHIFTS = range(-8, 9)  # in rings: own radii that differ by up to a factor of two either way
_LEAST = 0.35  # share of the cells that both pictures must show
_MARGIN = 2.0  # how much standing out from other galaxies counts beside the correlation itself
_SURE = 0.95  # a correlation that no two different galaxies reached; it needs no margin
_CHUNK = 512  # rows compared at a time


@dataclass(frozen=True, eq=False)
class Signatures:
    """What pictures look like around their galaxy.

    Attributes
    ----------
    values : numpy.ndarray
        float32 (N, rings, angles, 3), relative to the mean and spread of each ring.
    seen : numpy.ndarray
        float32 (N, rings, angles), 1 where the picture shows that cell.
    good : numpy.ndarray
        bool (N,), False where there is no picture or nothing in its middle.
    """

    values: NDArray[np.float32]
    seen: NDArray[np.float32]
    good: NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class LookAlikes:
    """Pairs of pictures that are each other's best match or as good as identical, M of them, the likest first.

    Attributes
    ----------
    first, second : numpy.ndarray
        int64 (M,), the rows.
    correlation : numpy.ndarray
        (M,) of the two signatures, -1 to 1.
    margin : numpy.ndarray
        (M,) by how much it exceeds that of the next best picture, and of the mirror image at any angle.
    """

    first: NDArray[np.int64]
    second: NDArray[np.int64]
    correlation: NDArray[np.float64]
    margin: NDArray[np.float64]

    @property
    def likeness(self) -> NDArray[np.float64]:
        """The figure to be compared with a threshold, (M,): correlation + 2 margin; at least that where it is sure."""
        told = self.correlation + _MARGIN * self.margin
        return np.where(self.correlation >= _SURE, np.maximum(told, THRESHOLD + self.correlation - _SURE), told)


def signatures(
    paths: Sequence[Location], *, workers: int | None = None, progress: Callable[[int], object] | None = None
) -> Signatures:
    """Return the signatures of pictures; one that cannot be read, or shows nothing, is not `good`.

    Parameters
    ----------
    paths : sequence of path
    workers : int, optional
        Threads.
    progress : callable, optional
        Called now and then with the number of pictures done since the last call.
    """
    values = np.zeros((len(paths), _RINGS, _ANGLES, 3), np.float32)
    seen = np.zeros((len(paths), _RINGS, _ANGLES), np.float32)
    good = np.zeros(len(paths), bool)
    with ThreadPoolExecutor(workers) as pool:
        for rows, batch, statuses in iter_images(
            paths, Preprocessing(size=_SIDE, stretch="percentile"), workers=workers
        ):
            for row, found in zip(range(rows.start, rows.stop), pool.map(_signature, batch), strict=True):
                if found is not None and statuses[row - rows.start] == OK:
                    values[row], seen[row] = found
                    good[row] = True
            if progress is not None:
                progress(len(statuses))
    return Signatures(values, seen, good)


def look_alikes(one: Signatures, other: Signatures | None = None) -> LookAlikes:
    """Return the pairs that are each other's best match or as good as identical, in one set or between two.

    Time grows with the product of the two numbers. Of three pictures of one galaxy in one set none stands
    out over the third; such pairs are found only where their correlation alone is enough.

    Parameters
    ----------
    one : Signatures
    other : Signatures, optional
        Default: `one`, in which no picture is compared with itself.
    """
    within = other is None
    second = one if other is None else other
    weights = _weights(one, second)
    a, b = _weighed(one, weights), _weighed(second, weights)
    best_a, best_b = _TwoBest(len(a.values)), _TwoBest(len(b.values))
    shift_a = np.zeros(len(a.values), np.int64)
    sure = [np.empty((0, 3))]
    for start in range(0, len(a.values), _CHUNK):
        rows = np.arange(start, min(start + _CHUNK, len(a.values)))
        score, shift = _correlations(a.values[rows], a.seen[rows], b.values, b.seen)
        if within:
            score[np.arange(len(rows)), rows] = -1
        identical = np.argwhere(score >= _SURE)
        sure.append(np.column_stack([rows[identical[:, 0]], identical[:, 1], score[tuple(identical.T)]]))
        columns = score.argmax(axis=1)
        shift_a[rows] = shift[np.arange(len(rows)), columns]
        best_a.take(rows, np.arange(len(b.values)), score)
        best_b.take(np.arange(len(b.values)), rows, score.T)
    rows = np.flatnonzero(a.good & (best_a.which >= 0))
    rows = rows[(best_b.which[best_a.which[rows]] == rows) & (best_a.best[rows] > 0)]
    if within:
        rows = rows[rows < best_a.which[rows]]
    columns = best_a.which[rows]
    rivals = np.maximum(best_a.next[rows], best_b.next[columns])
    mirrored = [_mirrored(a, b, row, column, shift_a[row]) for row, column in zip(rows, columns, strict=True)]
    rivals = np.maximum(rivals, np.array(mirrored)) if len(rows) else rivals
    known = set(zip(rows.tolist(), columns.tolist(), strict=True))
    more = [(i, j, c) for i, j, c in np.vstack(sure) if (i, j) not in known and not (within and i > j)]
    added, partner, alike = np.array(more).reshape(-1, 3).T
    found = LookAlikes(
        np.append(rows, added.astype(np.int64)),
        np.append(columns, partner.astype(np.int64)),
        np.append(best_a.best[rows], alike),
        np.append(best_a.best[rows] - rivals, np.zeros(len(alike))),
    )
    order = np.argsort(-found.likeness, kind="stable")
    return LookAlikes(found.first[order], found.second[order], found.correlation[order], found.margin[order])


class _TwoBest:
    """The best and the next best score of each row, taken in block by block."""

    def __init__(self, n: int) -> None:
        self.best, self.next, self.which = np.full(n, -1.0), np.full(n, -1.0), np.full(n, -1)

    def take(self, rows: NDArray[np.int64], columns: NDArray[np.int64], score: NDArray[np.float32]) -> None:
        top = score.argmax(axis=1)
        best = score[np.arange(len(rows)), top].astype(np.float64)
        following = np.partition(score, -2, axis=1)[:, -2] if score.shape[1] > 1 else np.full(len(rows), -1.0)
        better = best > self.best[rows]
        self.next[rows] = np.maximum(np.where(better, self.best[rows], best), np.maximum(self.next[rows], following))
        self.which[rows] = np.where(better, columns[top], self.which[rows])
        self.best[rows] = np.maximum(self.best[rows], best)


def _weights(one: Signatures, other: Signatures) -> NDArray[np.float32]:
    """Return the weight of each angular frequency: the inverse of how strong it usually is."""
    power = np.zeros(_ANGLES // 2 + 1)
    for part in (one, other):
        sample = part.values[part.good][:: max(1, int(part.good.sum()) // 1000)]
        power += (np.abs(np.fft.rfft(sample, axis=2)) ** 2).sum(axis=(0, 1, 3)) / max(1, len(sample))
    if not power.any():
        return np.ones(len(power), np.float32)
    weights = 1 / np.sqrt(power + power[8:].mean())
    weights[0] = 0
    return np.asarray((weights / weights.max()).astype(np.float32))


def _weighed(part: Signatures, weights: NDArray[np.float32]) -> Signatures:
    values = np.empty_like(part.values)
    for start in range(0, len(values), _CHUNK):
        rows = slice(start, start + _CHUNK)
        spectrum = np.fft.rfft(part.values[rows], axis=2) * weights[None, None, :, None]
        values[rows] = np.fft.irfft(spectrum, n=_ANGLES, axis=2) * part.seen[rows, :, :, None]
    return Signatures(values, part.seen, part.good)


def _correlations(
    values: NDArray[np.float32],
    seen: NDArray[np.float32],
    other: NDArray[np.float32],
    other_seen: NDArray[np.float32],
    shifts: Sequence[int] = _SHIFTS,
) -> tuple[NDArray[np.float32], NDArray[np.int8]]:
    """Return the greatest correlation (A, B) over shifts of scale, over cells that both show, and its shift."""
    best = np.full((len(values), len(other)), -1, np.float32)
    which = np.zeros(best.shape, np.int8)
    for shift in shifts:
        mine = slice(max(0, shift), _RINGS + min(0, shift))
        theirs = slice(max(0, -shift), _RINGS + min(0, -shift))
        v, m = values[:, mine], seen[:, mine]
        w, k = other[:, theirs], other_seen[:, theirs]
        product = _flat(v) @ _flat(w).T
        energy = (_flat((v**2).sum(-1)) @ _flat(k).T) * (_flat(m) @ _flat((w**2).sum(-1)).T)
        cells = _flat(m) @ _flat(k).T
        score = np.where(cells >= _LEAST * _RINGS * _ANGLES, product / np.sqrt(energy + 1e-12), -1)
        better = score > best
        best[better] = score[better]
        which[better] = shift
    return best, which


def _mirrored(a: Signatures, b: Signatures, row: int, column: int, shift: int) -> float:
    """Return how well one picture fits the mirror image of the other at any angle: another galaxy of its shape."""
    back = (-np.arange(_ANGLES)) % _ANGLES
    turns = (back[None, :] + np.arange(_ANGLES)[:, None]) % _ANGLES
    values = b.values[column][:, turns].transpose(1, 0, 2, 3)
    seen = b.seen[column][:, turns].transpose(1, 0, 2)
    near = [s for s in range(shift - 1, shift + 2) if s in _SHIFTS]
    return float(_correlations(a.values[[row]], a.seen[[row]], values, seen, near)[0].max())


def _flat(array: NDArray[np.float32]) -> NDArray[np.float32]:
    return np.ascontiguousarray(array).reshape(len(array), -1)


def _signature(image: NDArray[np.uint8]) -> tuple[NDArray[np.float32], NDArray[np.float32]] | None:
    """Return values (rings, angles, 3) and seen (rings, angles); None where the middle of the picture is empty."""
    from scipy import ndimage

    side = len(image)
    picture = image.astype(np.float32)
    edge = max(2, side // 20)
    outside = (picture[:edge], picture[-edge:], picture[:, :edge], picture[:, -edge:])
    border = np.concatenate([side_of_it.reshape(-1, 3) for side_of_it in outside])
    sky = np.median(border, axis=0)
    grey_border = (border - sky).mean(axis=1)
    noise = 1.4826 * np.median(np.abs(grey_border - np.median(grey_border))) + 0.5
    smooth = ndimage.gaussian_filter((picture - sky).mean(axis=2), side / 100)
    y, x = np.mgrid[:side, :side].astype(np.float32)
    middle = (side - 1) / 2
    central = np.exp(-((y - middle) ** 2 + (x - middle) ** 2) / (2 * (0.12 * side) ** 2))
    top = np.unravel_index(int(np.argmax(smooth * central)), smooth.shape)
    peak = float(smooth[top])
    if peak < 4:
        return None
    parts, _ = ndimage.label(smooth > max(3 * noise, 0.15 * peak))
    if parts[top] == 0:
        return None
    galaxy = parts == parts[top]
    core = galaxy & (smooth > 0.6 * peak) & ((y - top[0]) ** 2 + (x - top[1]) ** 2 < (0.06 * side) ** 2)
    light = np.where(core, smooth, 0)
    centre_y, centre_x = float((light * y).sum() / light.sum()), float((light * x).sum() / light.sum())
    radius = np.sqrt(galaxy.sum() / np.pi) * _NEAREST * np.exp(_STEP * np.arange(_RINGS))[:, None]
    angle = 2 * np.pi * np.arange(_ANGLES) / _ANGLES
    rows, columns = centre_y + radius * np.sin(angle), centre_x + radius * np.cos(angle)
    seen = ((rows >= 0) & (rows <= side - 1) & (columns >= 0) & (columns <= side - 1)).astype(np.float32)
    values = np.zeros((_RINGS, _ANGLES, 3), np.float32)
    for start in range(0, _RINGS, 4):
        # Each ring is smoothed to the size of its cells, or else what is seen would depend on the pixel scale.
        ring = slice(start, start + 4)
        width = 0.5 * float(radius[ring].mean()) * 2 * np.pi / _ANGLES
        y0, y1 = _window(rows[ring], width, side)
        x0, x1 = _window(columns[ring], width, side)
        if y1 - y0 < 2 or x1 - x0 < 2:
            continue
        for band in range(3):
            part = picture[y0:y1, x0:x1, band] - sky[band]
            part = ndimage.gaussian_filter(part, width) if width > 0.3 else part
            where = [rows[ring] - y0, columns[ring] - x0]
            values[ring, :, band] = ndimage.map_coordinates(part, where, order=1, mode="nearest")
    shown = seen.sum(axis=1, keepdims=True)
    seen *= shown >= 0.4 * _ANGLES
    cells = seen[..., None]
    count = np.maximum(seen.sum(axis=1)[:, None, None], 1)
    values = (values - (values * cells).sum(axis=1, keepdims=True) / count) * cells
    spread = np.sqrt((values**2).sum(axis=(1, 2), keepdims=True) / (3 * count))
    return values / (spread + 4), seen


def _window(places: NDArray[np.float64], width: float, side: int) -> tuple[int, int]:
    """Return the pixels of one axis that rings and their smoothing reach."""
    return max(0, int(places.min() - 3 * width - 2)), min(side, int(places.max() + 3 * width + 3))
