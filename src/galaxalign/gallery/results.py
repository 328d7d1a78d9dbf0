"""What a search found: ranked, explained, and how far down it is worth looking."""

from __future__ import annotations

import textwrap
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, overload

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from galaxalign.errors import InputError
from galaxalign.gallery.query import Query

if TYPE_CHECKING:
    from PIL.Image import Image


@dataclass(frozen=True, slots=True)
class Result:
    """One galaxy that a search found.

    Parameters
    ----------
    rank : int
        1 for the best.
    id_str : str
    score : float
        Cosine similarity to a query of a single part; otherwise standard deviations above the average galaxy.
    why : tuple of float
        What each part of the query added to the score; their sum is the score.
    ra, dec : float or None
        Degrees, where known.
    duplicates : tuple of str
        Ids of further entries of the same galaxy, which are not shown.
    """

    rank: int
    id_str: str
    score: float
    why: tuple[float, ...] = ()
    ra: float | None = None
    dec: float | None = None
    duplicates: tuple[str, ...] = ()


@dataclass(frozen=True)
class Results(Sequence[Result]):
    """The galaxies that a search found, best first: a sequence of `Result`.

    Parameters
    ----------
    entries : tuple of Result
    query : Query
    seconds : float
        How long the search took.
    precision : ndarray, shape (len(entries),), or None
        Estimated share of right ones among the first r, for every r; None where there is no estimate.
    why_no_precision : str
        The reason, where there is none.
    """

    entries: tuple[Result, ...]
    query: Query
    seconds: float = 0.0
    precision: NDArray[np.float64] | None = None
    why_no_precision: str = ""
    _picture: Callable[[str], NDArray[np.uint8]] | None = field(default=None, repr=False, compare=False)

    def __len__(self) -> int:
        return len(self.entries)

    @overload
    def __getitem__(self, place: int) -> Result: ...

    @overload
    def __getitem__(self, place: slice) -> tuple[Result, ...]: ...

    def __getitem__(self, place: int | slice) -> Result | tuple[Result, ...]:
        return self.entries[place]

    def __iter__(self) -> Iterator[Result]:
        return iter(self.entries)

    @property
    def ids(self) -> list[str]:
        """The ids in order."""
        return [entry.id_str for entry in self.entries]

    def to_table(self) -> pa.Table:
        """Return a table with `rank`, `id_str`, `score`, `ra`, `dec`, `why_1` …, `precision` and `duplicates`.

        ``why_1`` and so on are the contributions of the parts, ``precision`` the estimated share of right ones down
        to this rank (null without an estimate), ``duplicates`` ids parted by blanks.
        """
        parts = len(self.query.parts)
        precision = [None] * len(self) if self.precision is None else list(self.precision)
        data = {
            "rank": pa.array([entry.rank for entry in self], pa.int64()),
            "id_str": pa.array(self.ids, pa.string()),
            "score": pa.array([entry.score for entry in self], pa.float64()),
            "ra": pa.array([entry.ra for entry in self], pa.float64()),
            "dec": pa.array([entry.dec for entry in self], pa.float64()),
            **{f"why_{p + 1}": pa.array([entry.why[p] for entry in self], pa.float64()) for p in range(parts)},
            "precision": pa.array(precision, pa.float64()),
            "duplicates": pa.array([" ".join(entry.duplicates) for entry in self], pa.string()),
        }
        return pa.table(data)

    def show(self, *, columns: int = 6, size: int = 128, out: str | Path | None = None) -> Image:
        """Return the images in a grid, with rank, id and score: a notebook shows it.

        Parameters
        ----------
        columns : int
            Images beside each other.
        size : int
            Pixels of the side of each.
        out : path, optional
            Also write it there (.png, .jpg).

        Returns
        -------
        PIL.Image.Image
            A square says why where an image cannot be read.

        Raises
        ------
        InputError
            There is nothing to show, or the gallery does not say where images lie.
        """
        from PIL import Image, ImageDraw, ImageFont

        if not self.entries:
            raise InputError("the search found nothing, so there is nothing to show")
        if self._picture is None:
            raise InputError("the gallery has no column image_path, so no images can be shown")
        if columns < 1 or size < 16:
            raise InputError(f"a grid of {columns} columns and images of {size} pixels cannot be drawn")
        font = ImageFont.load_default(max(9, size // 12))
        foot, gap = int(font.size * 2.6), 4  # type: ignore[union-attr]
        down = -(-len(self) // columns)
        across = min(columns, len(self))
        sheet = Image.new("RGB", (across * (size + gap) + gap, down * (size + foot + gap) + gap), "white")
        pen = ImageDraw.Draw(sheet)
        for place, entry in enumerate(self):
            x = gap + (place % columns) * (size + gap)
            y = gap + (place // columns) * (size + foot + gap)
            try:
                sheet.paste(Image.fromarray(self._picture(entry.id_str)).resize((size, size)), (x, y))
            except InputError as error:
                pen.rectangle((x, y, x + size, y + size), fill="#eee")
                pen.multiline_text((x + 4, y + 4), textwrap.fill(str(error), 20)[:160], fill="#444", font=font)
            more = f" +{len(entry.duplicates)}" if entry.duplicates else ""
            label = f"{entry.rank}. {entry.score:.3f}{more}\n{entry.id_str}"
            pen.multiline_text((x, y + size + 1), label, fill="black", font=font, spacing=1)
        if out is not None:
            try:
                sheet.save(out)
            except (OSError, ValueError) as error:
                raise InputError(f"cannot write {out} ({error}); give a path that ends in .png or .jpg") from None
        return sheet
