"""Searches by words, pictures, drawings, symbols and known galaxies, and the classification of a picture."""

from __future__ import annotations

import re
from typing import Annotated

from fastapi import APIRouter, File, UploadFile

from galaxalign.errors import InputError
from galaxalign.gallery import Part, Query, Results, refine as refined_search
from galaxalign.morphology import render_svg
from galaxalign.web.explorer import HIDDEN_COLUMNS, Explorer, Served, finite_number
from galaxalign.web.schemas import Hit, Reading, Refinement, SearchAnswer, SkyPart, Symbol
from galaxalign.web.uploads import checked_drawing, checked_picture, data_url, picture_bytes, sky_part

router = APIRouter(tags=["search"])

_MOST_RESULTS = 2000
_MOST_PARTS = 32
_LONGEST_CONDITION = 4000  # characters


@router.post("/search")
def search(query: Query, explorer: Served) -> SearchAnswer:
    """Find galaxies by words, pictures, drawings, symbols and known galaxies.

    Pictures and drawings are data URLs (data:image/png;base64,...), drawings also SVG text; a path is refused.
    """
    return _answer(explorer, explorer.gallery.search(checked_query(explorer, query), files=False))


@router.post("/refine")
def refine(refinement: Refinement, explorer: Served) -> SearchAnswer:
    """Search again, nearer to the galaxies marked right and farther from those marked wrong."""
    query = checked_query(explorer, refinement.query)
    return _answer(explorer, refined_search(explorer.gallery, query, refinement.good, refinement.bad, files=False))


@router.post("/classify")
def classify(file: Annotated[UploadFile, File(description="PNG, JPEG, WebP or TIFF")], explorer: Served) -> Reading:
    """Classify an uploaded picture."""
    png = checked_picture(file.file.read(), most_pixels=explorer.settings.upload_pixels)
    reader = explorer.model_reader()
    return reader.read(reader.vector_of(png))


@router.get("/symbols")
def symbols(explorer: Served) -> list[Symbol]:
    """Return the symbols of the model's classes."""
    if explorer.reader is None:
        return []
    model = explorer.gallery.encoder.model
    palette: dict[str, Symbol] = {}
    for task in (model.task(), *model.also.values()):
        if task is None or task.symbols is None:
            continue
        for one in task.taxonomy.classes:
            if one.name not in palette:
                svg = render_svg(one.morphology, size=96)
                palette[one.name] = Symbol(name=one.name, title=one.title, svg=svg, searchable=True)
    return list(palette.values())


@router.post("/moc")
def moc(file: Annotated[UploadFile, File(description="FITS, JSON or text")]) -> SkyPart:
    """Read a MOC file, for the `moc` of a query."""
    return sky_part(file.file.read())


def checked_query(explorer: Explorer, query: Query) -> Query:
    """Return a query with pictures and drawings decoded by us and symbols that are class names."""
    if len(query.parts) > _MOST_PARTS:
        raise InputError(f"the query has {len(query.parts)} parts; give at most {_MOST_PARTS}")
    if query.k > _MOST_RESULTS:
        raise InputError(f"the query asks for {query.k} galaxies; ask for {_MOST_RESULTS} at most")
    check_condition(query.where)
    return query.model_copy(update={"parts": [_checked_part(explorer, part) for part in query.parts]})


def check_condition(where: str | None) -> None:
    """Refuse a condition that is too long or uses a hidden column: its answers would spell out a path."""
    if where is None:
        return
    if len(where) > _LONGEST_CONDITION:
        raise InputError(f"the condition has more than {_LONGEST_CONDITION} characters; make it shorter")
    for name in HIDDEN_COLUMNS:
        if name in re.findall(r"\w+", where.lower()):
            raise InputError(f"there is no column {name!r} here that can be asked for")


def _checked_part(explorer: Explorer, part: Part) -> Part:
    most, value = explorer.settings.upload_pixels, str(part.value)
    if part.kind == "image":
        return part.model_copy(update={"value": data_url(checked_picture(picture_bytes(value), most_pixels=most))})
    if part.kind == "sketch":
        return part.model_copy(update={"value": checked_drawing(value, most_pixels=most)})
    if part.kind == "symbol" and value not in {one.name for one in symbols(explorer)}:
        raise InputError(f"{part.value!r} is no class of the model; GET /api/v1/symbols lists them")
    return part


def _answer(explorer: Explorer, results: Results) -> SearchAnswer:
    rows = explorer.layout.rows([one.id_str for one in results])
    hits = [
        Hit(
            rank=one.rank,
            id_str=one.id_str,
            row=row,
            score=one.score,
            why=list(one.why),
            ra=finite_number(one.ra),
            dec=finite_number(one.dec),
            duplicates=list(one.duplicates),
        )
        for one, row in zip(results, rows, strict=True)
    ]
    return SearchAnswer(
        hits=hits,
        precision=None if results.precision is None else [float(value) for value in results.precision],
        precision_reason=results.why_no_precision,
        seconds=results.seconds,
    )
