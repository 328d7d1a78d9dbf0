"""Positions and colours of the map, as binary arrays."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Response
from fastapi.responses import JSONResponse

from galaxalign.web.explorer import HIDDEN_COLUMNS, NotFoundError, Served
from galaxalign.web.layout import column_bytes

router = APIRouter(tags=["map"])

_TYPE = "application/octet-stream"
_BINARY: dict[int | str, dict[str, Any]] = {200: {"content": {_TYPE: {}}}}


@router.get("/map", response_class=Response, responses=_BINARY)
def points(explorer: Served) -> Response:
    """Return x of all galaxies and then y of all: float32, little-endian, NaN where there is none."""
    layout = explorer.layout
    if layout.state != "ready":
        return JSONResponse({"detail": layout.problem or "the map is still being calculated"}, 404)
    return Response(layout.points(), media_type=_TYPE)


@router.get("/map/columns/{name}", response_class=Response, responses=_BINARY)
def column(name: str, explorer: Served) -> Response:
    """Return a column for colours: the length of a JSON header (uint32), the header, one value per galaxy."""
    if name not in explorer.gallery.columns or name in HIDDEN_COLUMNS:
        raise NotFoundError(f"there is no column {name[:80]!r} here")
    with explorer.lock:
        if name not in explorer.column_cache:
            explorer.column_cache[name] = column_bytes(explorer.gallery.table([name]), name)
        return Response(explorer.column_cache[name], media_type=_TYPE)
