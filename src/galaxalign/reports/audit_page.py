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
from galaxalign.data.images import Location, Preprocessing, prepare
from galaxalign.errors import InputError
from galaxalign.reports.html import render_page

MEANINGS: dict[str, tuple[str, str]] = {
    "leak": ("Leaks of the split", "One object, or two that overlap, are in different parts of the split."),
    "label_conflict": ("One object under two labels", "At most one of the two labels can be right."),
    "same_position": ("Same position", "Rows so close on the sky that they count as one galaxy."),
    "neighbours": ("Neighbours", "Rows so close on the sky that one may appear in the picture of the other."),
    "same_id": ("Same id in both catalogues", "Rows that are in the other catalogue too."),
    "same_file": ("Same file", "Files with the same bytes, whatever their names."),
    "same_picture": ("Same picture", "Pictures that look the same in the same frame (perceptual hash)."),
    "same_appearance": ("Same appearance", "Pictures that show the same galaxy in another frame or pixel scale."),
    "improbable_label": ("Improbable labels", "Labels that the model finds improbable; inspect before you correct."),
    "broken": ("Broken pictures", "They cannot be read."),
    "blank": ("Blank pictures", "They show no structure."),
    "tiny": ("Tiny pictures", "They have too few pixels to show structure."),
    "saturated": ("Saturated pictures", "Many of their pixels are at the top of the scale."),
    "unlike_others": ("Pictures unlike the others", "Their brightness is far from that of all others."),
    "bad_position": ("Impossible positions", "Coordinates outside the sky; these rows are not matched."),
    "doubtful_positions": ("Doubtful positions", "Coordinates that are valid but probably wrong."),
    "rare_class": ("Rare classes", "Classes with very few galaxies."),
    "no_label": ("No label", "Rows without a label."),
    "class": ("Class balance", "Galaxies of each class."),
    "band": ("Bands", "Brightness of the pictures, band by band."),
}
"""Title and meaning of each kind of finding, the most serious first."""

_SHOWN = 60  # cards of a section
_PIXELS = 128


def page(
    findings: pd.DataFrame,
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
    findings : pandas.DataFrame
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
    kinds = [kind for kind in MEANINGS if (findings["kind"] == kind).any()]
    return render_page(
        "audit.html",
        source=source,
        rows=rows,
        against=against,
        verdict=verdict,
        bad=bad,
        sections=[_section(kind, findings[findings["kind"] == kind], pictures) for kind in kinds],
        distances=distances,
        version=__version__,
    )


def _section(kind: str, findings: pd.DataFrame, pictures: Mapping[tuple[str, str], Location]) -> dict[str, Any]:
    title, meaning = MEANINGS[kind]
    single = findings["id_str"] == ""
    entries = findings.loc[single, ["label", "detail"]].to_numpy()
    cards = [_card(row, pictures) for row in findings[~single].head(_SHOWN).itertuples()]
    severity = findings["severity"].iloc[0]
    return {
        "kind": kind,
        "title": title,
        "meaning": meaning,
        "severity": severity,
        "n": len(findings),
        "lines": [f"{label}: {detail}" if label else detail for label, detail in entries],
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
    """Return a picture as a data URI; "" where there is none that can be read, which is a finding of its own."""
    if path is None:
        return ""
    try:
        small = prepare(path, Preprocessing(size=_PIXELS, stretch="percentile"))
    except InputError:
        return ""
    out = BytesIO()
    Image.fromarray(small).save(out, "JPEG", quality=80)
    return f"data:image/jpeg;base64,{base64.b64encode(out.getvalue()).decode()}"
