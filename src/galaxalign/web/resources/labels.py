"""Labels given in the page."""

from __future__ import annotations

from fastapi import APIRouter

from galaxalign.errors import InputError
from galaxalign.web.explorer import NotFoundError, Served
from galaxalign.web.schemas import LabelRequest, Labels

router = APIRouter(tags=["labels"])


@router.get("/labels")
def labels(explorer: Served) -> Labels:
    """Return the labels given so far."""
    file = explorer.labels
    if file is None:
        return Labels(labelled=0, labels={}, file="")
    return Labels(labelled=len(file), labels=file.labels, file=file.path.name)


@router.post("/labels")
def label(request: LabelRequest, explorer: Served) -> Labels:
    """Label galaxies; the labels are in the file before the answer is sent."""
    if explorer.labels is None:
        raise InputError("labels are kept nowhere; start the server with --labels labels.csv")
    rows = explorer.layout.rows(request.ids)
    if None in rows:
        raise NotFoundError(f"there is no galaxy {request.ids[rows.index(None)][:80]!r} here; nothing was labelled")
    explorer.labels.give(request.ids, request.label.strip())
    return labels(explorer)
