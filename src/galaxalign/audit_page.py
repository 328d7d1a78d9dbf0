"""The findings of an audit as one HTML file that needs nothing else, pictures side by side."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from io import BytesIO
from typing import Any

import numpy as np
import pandas as pd
from PIL import Image

from galaxalign import __version__
from galaxalign.data.images import prepare
from galaxalign.data.locations import Location
from galaxalign.data.preprocessing import Preprocessing
from galaxalign.errors import InputError

__all__ = ["MEANINGS", "page"]

MEANINGS: dict[str, tuple[str, str]] = {
    "leak": ("Leaks of the split", "One object, or two that overlap, stand in different parts of the split."),
    "label_conflict": ("One object under two labels", "At most one of the two labels can be right."),
    "same_position": ("Same position", "Rows so close on the sky that they are taken for one galaxy."),
    "neighbours": ("Neighbours", "Rows so close on the sky that one may stand in the picture of the other."),
    "same_id": ("Same id in both catalogues", "Rows that the other catalogue has too."),
    "same_file": ("Same file", "Files with the same bytes, whatever their names."),
    "same_picture": ("Same picture", "Pictures that look the same in the same frame (perceptual hash)."),
    "same_appearance": ("Same appearance", "Pictures that show the same galaxy in another frame or pixel scale."),
    "improbable_label": ("Improbable labels", "Labels that the model thinks are wrong; look before you correct."),
    "broken": ("Broken pictures", "They cannot be read."),
    "blank": ("Blank pictures", "They show nothing."),
    "tiny": ("Tiny pictures", "They have too few pixels to show structure."),
    "saturated": ("Saturated pictures", "Much of them is at the top of the scale."),
    "unlike_others": ("Pictures unlike the others", "Their brightness is far from that of all others."),
    "bad_position": ("Impossible positions", "Coordinates that are no place on the sky; such rows are not matched."),
    "doubtful_positions": ("Doubtful positions", "Coordinates that are allowed but probably not meant."),
    "rare_class": ("Rare classes", "Classes with very few galaxies."),
    "no_label": ("No label", "Rows without a label."),
    "class": ("Class balance", "Galaxies of each class."),
    "band": ("Bands", "Brightness of the pictures, band by band."),
}
"""Title and meaning of each kind of finding, the gravest first."""

_SHOWN = 60  # cards of a section
_PIXELS = 128


def page(
    found: pd.DataFrame,
    pictures: Mapping[tuple[str, str], Location],
    *,
    source: str,
    rows: int,
    against: str,
    verdict: str,
    bad: bool,
    distances: list[tuple[str, int]],
) -> str:
    """Return the HTML.

    Parameters
    ----------
    found : pandas.DataFrame
        The findings.
    pictures : mapping
        The image of a row by its source and id.
    source, against : str
        Names of the catalogues; `against` may be "".
    rows : int
    verdict : str
    bad : bool
        The split leaks.
    distances : list of (str, int)
        How many pairs lie within so many arcsec.
    """
    from jinja2 import Environment, PackageLoader

    environment = Environment(loader=PackageLoader("galaxalign"), autoescape=True)
    sections = [
        _section(kind, found[found["kind"] == kind], pictures) for kind in MEANINGS if (found["kind"] == kind).any()
    ]
    return environment.get_template("audit.html").render(
        source=source,
        rows=rows,
        against=against,
        verdict=verdict,
        bad=bad,
        sections=sections,
        distances=distances,
        version=__version__,
    )


def _section(kind: str, found: pd.DataFrame, pictures: Mapping[tuple[str, str], Location]) -> dict[str, Any]:
    title, meaning = MEANINGS[kind]
    single = found["id_str"] == ""
    lines = [f"{label}: {said}" if label else said for label, said in found.loc[single, ["label", "detail"]].to_numpy()]
    cards = [_card(row, pictures) for row in found[~single].head(_SHOWN).itertuples()]
    severity = found["severity"].iloc[0]
    return {
        "kind": kind,
        "title": title,
        "meaning": meaning,
        "severity": severity,
        "n": len(found),
        "lines": lines,
        "cards": cards,
    }


def _card(row: Any, pictures: Mapping[tuple[str, str], Location]) -> dict[str, Any]:
    sides = [_side(row.source, row.id_str, row.label, row.part, pictures)]
    if row.other_id:
        sides.append(_side(row.other_source, row.other_id, row.other_label, row.other_part, pictures))
    measured = "" if np.isnan(row.distance) else f"{row.distance:.3g} {row.unit}"
    return {"sides": sides, "detail": " · ".join(text for text in (measured, row.detail) if text)}


def _side(
    source: str, identity: str, label: str, part: str, pictures: Mapping[tuple[str, str], Location]
) -> dict[str, str]:
    return {
        "id": identity,
        "about": " · ".join(text for text in (source, label, part) if text),
        "picture": _thumbnail(pictures.get((source, identity))),
    }


def _thumbnail(path: Location | None) -> str:
    """Return a picture as a data URI; "" where there is none that can be read, which a finding of its own says."""
    if path is None:
        return ""
    try:
        small = prepare(path, Preprocessing(size=_PIXELS, stretch="percentile"))
    except InputError:
        return ""
    out = BytesIO()
    Image.fromarray(small).save(out, "JPEG", quality=80)
    return f"data:image/jpeg;base64,{base64.b64encode(out.getvalue()).decode()}"
