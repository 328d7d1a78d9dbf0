"""Tables and highlights exchanged with other programs by SAMP."""

from __future__ import annotations

from fastapi import APIRouter

from galaxalign.web.explorer import Served, finite_number
from galaxalign.web.schemas import HighlightRequest, RowRequest, SampState

router = APIRouter(tags=["samp"])


@router.get("/samp")
def samp(explorer: Served) -> SampState:
    """Return the state of the SAMP connection, and the row highlighted by another program."""
    link = explorer.samp
    connected = link.connected
    clients = link.clients() if connected else []
    highlighted = link.highlighted
    row = explorer.layout.rows([highlighted])[0] if highlighted is not None else None
    return SampState(connected=connected, clients=clients, highlighted=highlighted, row=row, serial=link.serial)


@router.post("/connect/samp")
def connect(explorer: Served) -> SampState:
    """Join the SAMP hub of this machine."""
    explorer.samp.connect()
    return samp(explorer)


@router.post("/send/samp")
def send(request: RowRequest, explorer: Served) -> SampState:
    """Send some galaxies as a table to TOPCAT, Aladin and whatever else takes one."""
    explorer.samp.send(explorer.selection(request.rows))
    return samp(explorer)


@router.post("/highlight/samp")
def highlight(request: HighlightRequest, explorer: Served) -> SampState:
    """Highlight a galaxy in the table that was sent, and point at it on the sky."""
    explorer.row(request.id_str)
    known = explorer.gallery.galaxy(request.id_str)
    explorer.samp.highlight(request.id_str, finite_number(known.get("ra")), finite_number(known.get("dec")))
    return samp(explorer)
