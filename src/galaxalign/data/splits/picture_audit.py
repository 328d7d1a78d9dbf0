"""What is wrong with pictures: broken, blank, tiny, saturated, unlike the others, or the same one twice."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from galaxalign.data.images import Location, Preprocessing, is_read, iter_images
from galaxalign.data.splits.audit import Pairs, Rows, about, findings
from galaxalign.data.splits.splits import PARTS

if TYPE_CHECKING:
    import pandas as pd

HASH_BITS = 16
"""Perceptual hashes of 256 bits that differ in no more than this are of one picture; see docs/howto/audit.md."""

LOOK = Preprocessing(size=128, stretch="percentile")
"""How the audit sees pictures: whole, and files of flux scaled by their own percentiles."""

BLANK = 2.0
"""Grey levels, of 255: a picture that varies less (one standard deviation) shows no galaxy."""

TINY = 32
"""Pixels of the shorter side: with fewer a galaxy has no visible structure."""

SATURATED = 0.1
"""Share of pixels at the top of the scale in some band, from which on a picture is called saturated."""

_UNLIKE = 12.0  # spreads of the catalogue (from the quartiles) that a band's brightness may be off
_HASH_SIDE = 16
_CHUNK = 256


@dataclass(frozen=True, eq=False)
class PictureFacts:
    """What one pass over the pictures of some rows found out, a row for each; nothing of the pictures is kept.

    Attributes
    ----------
    status : list of str
        "ok", or why it could not be read.
    mean : numpy.ndarray
        (N, 3) of each band, 0 to 255.
    spread : numpy.ndarray
        (N,) standard deviation of the grey levels.
    saturated : numpy.ndarray
        (N,) share of pixels at the top of the scale in some band.
    side : numpy.ndarray
        (N,) pixels of the shorter side; 0 where the file does not tell.
    digest : list of str
        Of the bytes of the file; "" where there is no file of its own.
    hash : numpy.ndarray
        uint8 (N, 32), the perceptual hash.
    """

    status: list[str]
    mean: NDArray[np.float64]
    spread: NDArray[np.float64]
    saturated: NDArray[np.float64]
    side: NDArray[np.int64]
    digest: list[str]
    hash: NDArray[np.uint8]

    @property
    def good(self) -> NDArray[np.bool_]:
        """Which pictures could be read."""
        return is_read(self.status)


def survey_pictures(
    paths: Sequence[Location], *, workers: int | None = None, progress: Callable[[int], object] | None = None
) -> PictureFacts:
    """Go through the pictures once, in bounded memory.

    Parameters
    ----------
    paths : sequence of path or str
    workers : int, optional
        Threads.
    progress : callable, optional
        Called now and then with the number of pictures done since the last call.
    """
    n = len(paths)
    status: list[str] = []
    digest: list[str] = []
    mean, spread, saturated = np.zeros((n, 3)), np.zeros(n), np.zeros(n)
    side, hashes = np.zeros(n, np.int64), np.zeros((n, _HASH_SIDE**2 // 8), np.uint8)
    with ThreadPoolExecutor(workers) as pool:
        for rows, batch, said in iter_images(paths, LOOK, workers=workers):
            light = batch.astype(np.float32)
            mean[rows] = light.mean(axis=(1, 2))
            spread[rows] = light.mean(axis=3).std(axis=(1, 2))
            saturated[rows] = (batch.max(axis=3) == 255).mean(axis=(1, 2))
            files = list(pool.map(_file_facts, paths[rows]))
            digest += [name for name, _ in files]
            side[rows] = [pixels for _, pixels in files]
            hashes[rows] = list(pool.map(_perceptual_hash, batch))
            status += said
            if progress is not None:
                progress(len(said))
    return PictureFacts(status, mean, spread, saturated, side, digest, hashes)


def check_pictures(rows: Rows, facts: PictureFacts) -> pd.DataFrame:
    """Find pictures that are broken, blank, tiny, saturated or unlike the others; and say what the bands hold."""
    import pandas as pd

    good = facts.good[: rows.audited]
    blank = good & (facts.spread[: rows.audited] < BLANK)
    tiny = good & (facts.side[: rows.audited] > 0) & (facts.side[: rows.audited] < TINY)
    full = good & ~blank & (facts.saturated[: rows.audited] > SATURATED)
    empty = np.array([" is blank: " in status for status in facts.status[: rows.audited]], dtype=bool)
    broken = np.flatnonzero(~good & ~empty)
    tables = [
        findings("broken", "error", rows, broken, detail=[facts.status[row] for row in broken]),
        findings(
            "blank", "error", rows, np.flatnonzero(empty), detail=[facts.status[row] for row in np.flatnonzero(empty)]
        ),
        _found("blank", "error", rows, blank, lambda row: f"grey levels spread by {facts.spread[row]:.2g} of 255"),
        _found("tiny", "warning", rows, tiny, lambda row: f"{facts.side[row]} pixels on its shorter side"),
        _found("saturated", "warning", rows, full, lambda row: f"{facts.saturated[row]:.0%} of the pixels"),
    ]
    fine = np.flatnonzero(good & ~blank)
    if len(fine):
        tables += _bands(rows, facts.mean[fine], fine)
    return pd.concat(tables, ignore_index=True)


def same_pictures(rows: Rows, facts: PictureFacts) -> list[Pairs]:
    """Return pairs of files with the same bytes, and of pictures that look the same in the same frame.

    Of n copies of one picture there are n - 1 pairs, each with the first of them, and as a rule no others: as many as
    tie the copies together. Copies that have a part of the split are tied among themselves, so that an excluded one
    between them hides no leak, and so are those that have a label; what that adds is not listed.
    """
    usable = facts.good & (facts.spread >= BLANK)
    in_part = rows.table["part"].isin(PARTS).to_numpy()
    labelled = (rows.table["label"] != "").to_numpy()
    files = [_Ties(usable & some, rows.audited) for some in (True, in_part, labelled)]
    for ties in files:
        first: dict[str, int] = {}
        for row in np.flatnonzero(ties.root >= 0).tolist():
            if facts.digest[row]:
                ties.add(first.setdefault(facts.digest[row], row), np.array([row]))
    pictures = [_Ties(usable, rows.audited, root=ties.root) for ties in files]
    keys = np.ascontiguousarray(facts.hash).view(np.uint64)
    every = np.flatnonzero(usable)
    for start in range(0, rows.audited, _CHUNK):
        mine = every[(every >= start) & (every < min(start + _CHUNK, rows.audited))]
        near = np.bitwise_count(keys[mine][:, None] ^ keys[every][None]).sum(axis=2) <= HASH_BITS
        for row, others in zip(mine.tolist(), near, strict=True):
            same = every[others]
            same = same[same > row]
            for ties in pictures if len(same) else ():
                ties.add(row, same)
    told = []
    for place, (one, other) in enumerate(zip(files, pictures, strict=True)):
        bits = np.bitwise_count(keys[other.pairs[:, 0]] ^ keys[other.pairs[:, 1]]).sum(axis=1).astype(np.float64)
        told.append(Pairs("same_file", "warning", one.pairs, listed=place == 0))
        told.append(Pairs("same_picture", "warning", other.pairs, bits, "bits", listed=place == 0))
    return told


class _Ties:
    """As many pairs of rows as tie together what is the same: each joins two groups that were none before.

    Parameters
    ----------
    members : numpy.ndarray
        bool (N,), the rows that take part.
    audited : int
        Pairs whose smaller row is not below this are passed over.
    root : numpy.ndarray, optional
        int64 (N,), the first row of the group of each row where some are tied already; -1 of rows that take no part.
    """

    def __init__(self, members: NDArray[np.bool_], audited: int, root: NDArray[np.int64] | None = None) -> None:
        self.root = np.where(members, np.arange(len(members)), -1) if root is None else root.copy()
        self._audited = audited
        self._pairs: list[tuple[int, int]] = []

    def add(self, row: int, others: NDArray[np.int64]) -> None:
        """Tie a row to larger ones that are the same, as far as they are not yet."""
        if self.root[row] < 0 or row >= self._audited:
            return
        for other in others[(self.root[others] >= 0) & (self.root[others] != self.root[row])]:
            if self.root[other] != self.root[row]:
                self.root[self.root == self.root[other]] = self.root[row]
                self._pairs.append((row, int(other)))

    @property
    def pairs(self) -> NDArray[np.int64]:
        """The pairs, int64 (M, 2)."""
        return np.array(self._pairs, np.int64).reshape(-1, 2)


def _bands(rows: Rows, mean: NDArray[np.float64], which: NDArray[np.int64]) -> list[pd.DataFrame]:
    """Return what each band holds, and the pictures whose brightness is far from all others."""
    lines, unlike = [], np.zeros(len(which), bool)
    said = [""] * len(which)
    for band, name in enumerate(("red", "green", "blue")):
        low, middle, high = np.percentile(mean[:, band], [25, 50, 75])
        lines.append(
            (
                "",
                f"{name}: mean brightness {middle:.1f} of 255 (middle half {low:.1f} to {high:.1f}, "
                f"all {mean[:, band].min():.1f} to {mean[:, band].max():.1f})",
            )
        )
        off = np.abs(mean[:, band] - middle) / max((high - low) / 1.349, 0.5)
        for place in np.flatnonzero((off > _UNLIKE) & ~unlike):
            said[place] = (
                f"{name} has mean {mean[place, band]:.1f}, where half of the pictures have {low:.1f} to {high:.1f}"
            )
        unlike |= off > _UNLIKE
    texts = [said[place] for place in np.flatnonzero(unlike)]
    return [about("band", "info", rows, lines), findings("unlike_others", "warning", rows, which[unlike], detail=texts)]


def _found(kind: str, severity: str, rows: Rows, mask: NDArray[np.bool_], say: Callable[[int], str]) -> pd.DataFrame:
    which = np.flatnonzero(mask)
    return findings(kind, severity, rows, which, detail=[say(int(row)) for row in which])


def _file_facts(path: Location) -> tuple[str, int]:
    """Return the digest of a file's bytes and the shorter side of its picture, as far as the file tells."""
    path = Path(path)
    try:
        with path.open("rb") as file:
            digest = hashlib.file_digest(file, "blake2b").hexdigest()
    except OSError:
        return "", 0  # its status says why; or it is a picture inside another file
    try:
        with Image.open(path) as picture:
            return digest, min(picture.size)
    except Exception:
        return digest, 0  # no picture that has a header of this kind; its status says whether it could be read


def _perceptual_hash(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    import imagehash

    return np.packbits(imagehash.phash(Image.fromarray(image), hash_size=_HASH_SIDE).hash.ravel())
