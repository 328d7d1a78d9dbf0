"""What the server is and what the page needs first."""

from __future__ import annotations

from typing import Literal

from fastapi import APIRouter

import galaxalign
from galaxalign.web.explorer import Served
from galaxalign.web.schemas import About, Column, Health

router = APIRouter(tags=["about"])


@router.get("/health")
def health(explorer: Served) -> Health:
    """Return the state of the server and what it serves."""
    return Health(
        version=galaxalign.__version__,
        galaxies=len(explorer.layout),
        dimension=explorer.gallery.dimension,
        model=str(explorer.gallery.metadata.get("model", "")),
        fingerprint=str(explorer.gallery.fingerprint),
    )


@router.get("/about")
def about(explorer: Served) -> About:
    """Return what the page needs to know first."""
    gallery, settings, layout = explorer.gallery, explorer.settings, explorer.layout
    model = explorer.reader is not None
    return About(
        title=settings.title,
        version=galaxalign.__version__,
        galaxies=len(layout),
        model=str(gallery.metadata.get("model", "")),
        taxonomy=str(gallery.metadata.get("taxonomy", "")),
        columns=[Column(name=name, kind=_kind(kind)) for name, kind in gallery.columns.items()],
        can={
            "text": model,
            "image": model,
            "sketch": model and gallery.encoder.model.symbols is not None,
            "pictures": explorer.cutouts.there,
            "labels": explorer.labels is not None,
            "sky": {"ra", "dec"} <= set(gallery.columns),
        },
        label_names=list(settings.label_names or (explorer.reader.classes if explorer.reader is not None else ())),
        labels_file=settings.labels.name if settings.labels is not None else "",
        map_state=layout.state,
        map_method=layout.method,
        map_problem=layout.problem,
        map_points=settings.map_points,
        problem=explorer.model_problem,
    )


def _kind(kind: str) -> Literal["number", "text", "truth", "other"]:
    """Return how the page shows a column of this Arrow type."""
    if kind == "bool":
        return "truth"
    if kind.startswith(("int", "uint", "float", "double", "halffloat", "decimal")):
        return "number"
    return "text" if kind.startswith(("string", "large_string", "dictionary")) else "other"
