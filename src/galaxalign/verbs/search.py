"""The verb search: flags and arguments into one query."""

from __future__ import annotations

import base64
import math
import re
from collections.abc import Sequence
from pathlib import Path

from galaxalign import gallery, morphology, options as opt
from galaxalign.errors import InputError
from galaxalign.signature import verb

# As in the query languages of text search: "a bar^0.5".
_WEIGHT = re.compile(r"\^([^^]*)$")
_NUMBER = re.compile(r"[-+]?(\d+\.?\d*|\.\d+)(e[-+]?\d+)?", re.IGNORECASE)


@verb
def search(
    *,
    embeddings: opt.EmbeddingsOrIndex,
    text: opt.Text = (),
    not_: opt.Not = (),
    image: opt.Image = (),
    symbol: opt.Symbol = (),
    id: opt.Id = (),
    query: opt.WholeQuery = None,
    where: opt.Where = None,
    cone: opt.ConeText = None,
    moc: opt.Moc = None,
    floor: opt.Floor = None,
    collapse: opt.Collapse = True,
    label: opt.TrueLabel = None,
    marks: opt.Marks = None,
    model: opt.QueryModel = None,
    k: opt.Answers = 20,
    device: opt.Device = None,
    quiet: opt.Quiet = False,
) -> gallery.Results:
    """Find galaxies by words, pictures, drawings or ids: each can be repeated, weighted ("a bar^0.5") and combined.

    A weight follows ``^``: ``"a bar^0.5"`` counts half, ``"a bar^-0.5"`` is half unwanted.

    Returns
    -------
    Results
        The best first.

    Raises
    ------
    InputError
        An empty query, an unknown id, an invalid condition, or a model other than the one that made the embeddings.
    """
    asked = as_query(
        text=text, not_=not_, image=image, symbol=symbol, id=id,
        where=where, cone=cone, moc=moc, floor=floor, collapse=collapse, label=label, k=k,
    )  # fmt: skip
    if query is not None:
        if asked.parts or any(value is not None for value in (where, cone, moc, floor, label)):
            raise InputError("a whole query is given (--query), so nothing else can be asked beside it")
        asked = query if isinstance(query, gallery.Query) else gallery.read_query(query)
    elif not asked.parts and marks is None:
        raise InputError("the query is empty; give --text, --image, --symbol, --id, --not or --query")
    good, bad = gallery.read_marks(marks) if marks is not None else ([], [])
    return gallery.refine(gallery.open_gallery(embeddings, model=model, device=device), asked, good, bad)


def as_query(
    *,
    text: str | Sequence[str] = (),
    not_: str | Sequence[str] = (),
    image: str | Path | Sequence[str | Path] = (),
    symbol: str | Sequence[str] = (),
    id: str | Sequence[str] = (),
    where: str | None = None,
    cone: str | gallery.Cone | None = None,
    moc: str | None = None,
    floor: float | None = None,
    collapse: bool = True,
    label: str | None = None,
    k: int = 20,
) -> gallery.Query:
    """Return the query that the arguments of `search` ask; InputError where they make none."""
    from pydantic import ValidationError

    if k < 1:
        raise InputError(f"-k is {k}; ask for at least one galaxy")
    kinds: tuple[tuple[gallery.Kind, str | Path | Sequence[str | Path]], ...]
    kinds = (("id", id), ("image", image), ("symbol", symbol), ("text", text))
    parts: list[gallery.Part] = []
    try:
        for kind, values in kinds:
            parts += [_part(kind, str(value)) for value in _several(values)]
        unwanted = [_part("text", str(value)) for value in _several(not_)]
        parts += [part.model_copy(update={"weight": -part.weight}) for part in unwanted]
        circle = _cone(cone) if isinstance(cone, str) else cone
        return gallery.Query(
            parts=parts, where=where, cone=circle, moc=moc, floor=floor, collapse=collapse, label=label, k=k
        )
    except ValidationError as error:
        raise InputError(f"the query makes no sense: {gallery.complaint(error)}") from None


def _part(kind: gallery.Kind, value: str) -> gallery.Part:
    found = _WEIGHT.search(value)
    number = _NUMBER.fullmatch(found[1].strip()) if found else None
    weight, bare = 1.0, value
    if found and number and math.isfinite(float(number[0])):
        weight, bare = float(number[0]), value[: found.start()]
    elif found and kind == "text":
        raise InputError(
            f"the weight {found[1]!r} of {value[: found.start()]!r} is no number; write it as in 'a bar^0.5'"
        )
    if kind == "symbol" and Path(bare).suffix.lower() in morphology.DRAWING_SUFFIXES:
        return gallery.Part(kind="sketch", value=_drawing(Path(bare)), weight=weight)
    return gallery.Part(kind=kind, value=bare, weight=weight)


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


def _cone(text: str) -> gallery.Cone:
    try:
        ra, dec, radius = (float(number) for number in text.split(","))
    except ValueError:
        raise InputError(f"the cone {text!r} is not of the form RA,DEC,RADIUS in degrees, as 180.5,-1.2,0.5") from None
    return gallery.Cone(ra=ra, dec=dec, radius=radius)


def _several(value: str | Path | Sequence[str | Path]) -> list[str | Path]:
    return [value] if isinstance(value, str | Path) else list(value)
