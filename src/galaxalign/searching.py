"""The verb search: flags and arguments into one query."""

from __future__ import annotations

import base64
import math
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from galaxalign.errors import InputError
from galaxalign.gallery.feedback import read_marks, refine
from galaxalign.gallery.gallery import open_gallery
from galaxalign.gallery.query import Cone, Kind, Part, Query, complaint, read_query
from galaxalign.gallery.results import Results
from galaxalign.symbols import DRAWING_SUFFIXES

__all__ = ["as_query", "search"]

# As in the query languages of text search: "a bar^0.5".
_WEIGHT = re.compile(r"\^([^^]*)$")
_NUMBER = re.compile(r"[-+]?(\d+\.?\d*|\.\d+)(e[-+]?\d+)?", re.IGNORECASE)


def search(
    *,
    embeddings: str | Path,
    text: str | Sequence[str] = (),
    not_: str | Sequence[str] = (),
    image: str | Path | Sequence[str | Path] = (),
    symbol: str | Sequence[str] = (),
    id: str | Sequence[str] = (),
    query: str | Path | Query | None = None,
    where: str | None = None,
    cone: str | Cone | None = None,
    moc: str | None = None,
    floor: float | None = None,
    collapse: bool = True,
    label: str | None = None,
    marks: str | Path | None = None,
    model: str | Path | None = None,
    k: int = 20,
    device: str | None = None,
    quiet: bool = False,
) -> Results:
    """Return the galaxies that fit words, pictures, symbols and known galaxies best.

    Each part may end in ``^WEIGHT``: ``"a bar^0.5"`` counts half, ``"a bar^-0.5"`` is half unwanted.

    Parameters
    ----------
    embeddings : path
        File written by `embed`, or folder made by `index`.
    text, not_ : str or sequence of str
        Sentences that the galaxies should and should not fit.
    image : path or sequence of path
        Pictures to find more of.
    symbol : str or sequence of str
        Names of classes of the model's taxonomy, or drawing files (SVG, PNG, JPEG).
    id : str or sequence of str
        Ids of galaxies in the file to find more of; they are not among the answers.
    query : path or Query, optional
        A whole query, from a JSON file or as a value; then nothing else may be asked, and its own k counts.
    where : str, optional
        Condition in SQL over the columns of the catalogue.
    cone : str or Cone, optional
        "RA,DEC,RADIUS", degrees.
    moc : str, optional
        MOC file, or a MOC as text.
    floor : float, optional
        Leave out what scores less.
    collapse : bool
        Show several entries of one galaxy as one.
    label : str, optional
        What right answers are called in the column `label`, to estimate how many of them are right.
    marks : path, optional
        Table of galaxies marked good or bad (`id_str`, `mark`), which refine the query and are not among the answers.
    model : path, optional
        By default the one that made the embeddings; needed for words, pictures and symbols only.
    k : int
    device : str, optional
    quiet : bool

    Raises
    ------
    InputError
        An empty query, an unknown id, a condition that cannot be answered, or a model other than the one that made
        the embeddings.
    """
    asked = as_query(
        text=text, not_=not_, image=image, symbol=symbol, id=id,
        where=where, cone=cone, moc=moc, floor=floor, collapse=collapse, label=label, k=k,
    )  # fmt: skip
    if query is not None:
        if asked.parts or any(value is not None for value in (where, cone, moc, floor, label)):
            raise InputError("a whole query is given (--query), so nothing else can be asked beside it")
        asked = query if isinstance(query, Query) else read_query(query)
    elif not asked.parts and marks is None:
        raise InputError("the query is empty; give --text, --image, --symbol, --id, --not or --query")
    good, bad = read_marks(marks) if marks is not None else ([], [])
    return refine(open_gallery(embeddings, model=model, device=device), asked, good, bad)


def as_query(
    *,
    text: str | Sequence[str] = (),
    not_: str | Sequence[str] = (),
    image: str | Path | Sequence[str | Path] = (),
    symbol: str | Sequence[str] = (),
    id: str | Sequence[str] = (),
    where: str | None = None,
    cone: str | Cone | None = None,
    moc: str | None = None,
    floor: float | None = None,
    collapse: bool = True,
    label: str | None = None,
    k: int = 20,
) -> Query:
    """Return the query that the arguments of `search` ask; InputError where they make none."""
    if k < 1:
        raise InputError(f"-k is {k}; ask for at least one galaxy")
    kinds: tuple[tuple[Kind, Any], ...] = (("id", id), ("image", image), ("symbol", symbol), ("text", text))
    try:
        parts = [_part(kind, str(value)) for kind, values in kinds for value in _several(values)]
        unwanted = [_part("text", value) for value in _several(not_)]
        parts += [part.model_copy(update={"weight": -part.weight}) for part in unwanted]
        circle = _cone(cone) if isinstance(cone, str) else cone
        return Query(parts=parts, where=where, cone=circle, moc=moc, floor=floor, collapse=collapse, label=label, k=k)
    except ValidationError as error:
        raise InputError(f"the query makes no sense: {complaint(error)}") from None


def _part(kind: Kind, value: str) -> Part:
    found = _WEIGHT.search(value)
    number = _NUMBER.fullmatch(found[1].strip()) if found else None
    weight, bare = 1.0, value
    if found and number and math.isfinite(float(number[0])):
        weight, bare = float(number[0]), value[: found.start()]
    elif found and kind == "text":
        raise InputError(
            f"the weight {found[1]!r} of {value[: found.start()]!r} is no number; write it as in 'a bar^0.5'"
        )
    if kind == "symbol" and Path(bare).suffix.lower() in DRAWING_SUFFIXES:
        return Part(kind="sketch", value=_drawing(Path(bare)), weight=weight)
    return Part(kind=kind, value=bare, weight=weight)


def _drawing(path: Path) -> str:
    """Return a drawing file as a query holds it, so that the query can be sent elsewhere."""
    try:
        content = path.read_bytes()
    except OSError:
        raise InputError(f"there is no drawing at {path}; check the path") from None
    if path.suffix.lower() == ".svg":
        return content.decode("utf-8", errors="replace")
    kind = "png" if path.suffix.lower() == ".png" else "jpeg"
    return f"data:image/{kind};base64,{base64.b64encode(content).decode()}"


def _cone(text: str) -> Cone:
    try:
        ra, dec, radius = (float(number) for number in text.split(","))
    except ValueError:
        raise InputError(f"the cone {text!r} is not of the form RA,DEC,RADIUS in degrees, as 180.5,-1.2,0.5") from None
    return Cone(ra=ra, dec=dec, radius=radius)


def _several(value: Any) -> list[Any]:
    return [value] if isinstance(value, str | Path) else list(value)
