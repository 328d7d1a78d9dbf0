"""The same place on the sky in other viewers."""

from __future__ import annotations

import math
from urllib.parse import urlencode


def sky_links(ra: float | None, dec: float | None) -> dict[str, str]:
    """Return addresses that show a position (degrees, ICRS), by the names of the viewers; none without a position."""
    if ra is None or dec is None or not (math.isfinite(ra) and -90 <= dec <= 90):
        return {}
    ra %= 360
    place = {"ra": f"{ra:.6f}", "dec": f"{dec:.6f}"}
    aladin = {"target": f"{ra:.6f} {dec:+.6f}", "fov": "0.05", "survey": "CDS/P/DESI-Legacy-Surveys/DR10/color"}
    return {
        "Legacy Surveys": f"https://www.legacysurvey.org/viewer?{urlencode({**place, 'layer': 'ls-dr10', 'zoom': 15})}",
        "SDSS": f"https://skyserver.sdss.org/dr18/VisualTools/navi?{urlencode({**place, 'scale': 0.2})}",
        "Aladin": f"https://aladin.cds.unistra.fr/AladinLite/?{urlencode(aladin)}",
    }
