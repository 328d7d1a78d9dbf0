"""Pages of the table, and exports of selected or marked galaxies."""

from __future__ import annotations

from typing import Annotated

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from fastapi import APIRouter, Query as Parameter, Response

from galaxalign.errors import InputError
from galaxalign.gallery import in_cone, in_moc, read_moc
from galaxalign.web.explorer import Explorer, Served, json_cell
from galaxalign.web.exports import MEDIA_TYPES, SUFFIXES, ExportFormat, marks_bytes, table_bytes
from galaxalign.web.resources.search import check_condition
from galaxalign.web.schemas import MarksRequest, Page, RowRequest, TableRequest

router = APIRouter(tags=["table"])


@router.post("/table")
def table(request: TableRequest, explorer: Served) -> Page:
    """Return a page of the table."""
    known = explorer.columns
    names = list(known)
    if request.columns is not None:
        unknown = [name for name in request.columns if name not in known]
        if unknown:
            raise InputError(f"there is no column {unknown[0][:80]!r}; known are {', '.join(known[1:])}")
        names = list(dict.fromkeys(["id_str", *request.columns]))
    order = request.order.removeprefix("-") if request.order else None
    check_condition(request.where)
    if order is not None and order not in known:
        raise InputError(f"there is no column {order[:80]!r} to sort by; known are {', '.join(names)}")
    part, total = _part(explorer, request, names)
    cells = [[json_cell(value) for value in row.values()] for row in part.to_pylist()]
    return Page(total=total, rows=explorer.layout.rows(part.column("id_str")), columns=names, cells=cells)


@router.post("/ids")
def ids(request: RowRequest, explorer: Served) -> list[str]:
    """Return the ids of some rows."""
    names: list[str] = explorer.layout.at(request.rows).to_pylist()
    return names


@router.post("/export", response_class=Response)
def export(
    request: RowRequest, explorer: Served, form: Annotated[ExportFormat, Parameter(alias="format")] = "csv"
) -> Response:
    """Return some galaxies as a table file."""
    content = table_bytes(explorer.selection(request.rows), form)
    return _download(content, f"galaxies-{len(request.rows)}{SUFFIXES[form]}", form)


@router.post("/export/marks", response_class=Response)
def export_marks(request: MarksRequest, explorer: Served) -> Response:
    """Return marked galaxies as a catalogue of labels (CSV), or as a manifest for Zooniverse's Panoptes."""
    for identity in (*request.good, *request.bad):
        explorer.row(identity)
    content = marks_bytes(explorer.gallery, request, folders=explorer.settings.alone)
    return _download(content, "manifest.csv" if request.manifest else "marks.csv", "csv")


def _download(content: bytes, name: str, form: ExportFormat) -> Response:
    headers = {"content-disposition": f'attachment; filename="{name}"'}
    return Response(content, media_type=MEDIA_TYPES[form], headers=headers)


def _part(explorer: Explorer, request: TableRequest, names: list[str]) -> tuple[pa.Table, int]:
    """Return the requested rows, and how many there are in all."""
    gallery, layout = explorer.gallery, explorer.layout
    where, order = request.where or None, request.order or None
    on_sky = request.cone is not None or bool(request.moc)
    if request.rows is None and where is None and not on_sky:
        return gallery.table(names, None, request.limit, request.offset, order), len(layout)
    if request.rows is not None and where is None and order is None and not on_sky:
        page = layout.at(request.rows[request.offset : request.offset + request.limit])
        return gallery.rows(page.to_pylist(), names), len(request.rows)
    # Filter and sort ids only; read the cells of the page alone.
    matches = _on_sky(explorer, request, where, order) if on_sky else gallery.table(["id_str"], where, order=order)
    matches = matches.column("id_str")
    if request.rows is not None:
        matches = matches.filter(pc.is_in(matches, value_set=layout.at(request.rows)))
    return gallery.rows(matches.slice(request.offset, request.limit).to_pylist(), names), len(matches)


def _on_sky(explorer: Explorer, request: TableRequest, where: str | None, order: str | None) -> pa.Table:
    """Return ids of the galaxies in the requested part of the sky."""
    if not {"ra", "dec"} <= set(explorer.gallery.columns):
        raise InputError("the catalogue has no positions (ra, dec), so no part of the sky can be chosen")
    positions = explorer.gallery.table(["id_str", "ra", "dec"], where, order=order)
    ra, dec = (positions.column(name).to_numpy().astype(float) for name in ("ra", "dec"))
    inside = np.ones(len(positions), dtype=bool)
    if request.cone is not None:
        inside &= in_cone(ra, dec, request.cone)
    if request.moc:
        inside &= in_moc(ra, dec, read_moc(request.moc, files=False))
    return positions.filter(pa.array(inside))
