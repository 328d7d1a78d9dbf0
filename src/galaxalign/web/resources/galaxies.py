"""One galaxy: its columns, the model's answer, its neighbours and its image."""

from __future__ import annotations

from typing import Annotated, Literal

from fastapi import APIRouter, Query as Parameter, Response
from fastapi.responses import JSONResponse

from galaxalign.errors import InputError
from galaxalign.web.explorer import HIDDEN_COLUMNS, Served, finite_number, json_cell
from galaxalign.web.schemas import Galaxy, Neighbour
from galaxalign.web.sky_links import sky_links

router = APIRouter(tags=["galaxies"])


@router.get("/galaxies/{id_str:path}")
def galaxy(id_str: str, explorer: Served, neighbours: Annotated[int, Parameter(ge=0, le=100)] = 12) -> Galaxy:
    """Return all that is known of one galaxy."""
    row, gallery = explorer.row(id_str), explorer.gallery
    cells = gallery.galaxy(id_str).items()
    columns = {name: json_cell(value) for name, value in cells if name not in HIDDEN_COLUMNS}
    reading, problem, near = None, "", []
    try:
        near = list(gallery.neighbours(id_str, neighbours)) if neighbours else []
        reading = explorer.model_reader().read(gallery.vector(id_str))
    except InputError as error:
        problem = str(error)
    places = explorer.layout.rows([one.id_str for one in near])
    ra, dec = finite_number(columns.get("ra")), finite_number(columns.get("dec"))
    return Galaxy(
        id_str=id_str,
        row=row,
        label=explorer.labels.labels.get(id_str) if explorer.labels is not None else None,
        columns=columns,
        reading=reading,
        reading_problem=problem,
        neighbours=[
            Neighbour(id_str=one.id_str, row=place, score=one.score) for one, place in zip(near, places, strict=True)
        ],
        ra=ra,
        dec=dec,
        links=sky_links(ra, dec),
    )


@router.get("/cutout/{id_str:path}", response_class=Response, responses={200: {"content": {"image/jpeg": {}}}})
def cutout(
    id_str: str,
    explorer: Served,
    size: Annotated[int, Parameter(ge=16, le=1024)] = 160,
    view: Literal["model", "whole"] = "model",
) -> Response:
    """Return the image of one galaxy as JPEG; as the model sees it, or whole."""
    explorer.row(id_str)
    try:
        jpeg = explorer.cutouts.get(id_str, size, view)
    except InputError as error:
        return JSONResponse({"detail": str(error)}, 404)
    return Response(jpeg, media_type="image/jpeg", headers={"cache-control": "private, max-age=3600"})
