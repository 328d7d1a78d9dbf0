"""Unit, UCD (the IVOA vocabulary of quantities) and description of the columns that GalaxAlign writes."""

from __future__ import annotations

import re
from dataclasses import dataclass

from galaxalign.errors import InputError


@dataclass(frozen=True)
class Meaning:
    """Unit (as FITS and VOTable write it), UCD1+ and description of a column; "" where there is none."""

    unit: str = ""
    ucd: str = ""
    description: str = ""


_MEANINGS = {
    "id_str": Meaning("", "meta.id;meta.main", "Identifier of the galaxy"),
    "file_loc": Meaning("", "meta.file", "Image of the galaxy, relative to the catalogue"),
    "image_path": Meaning("", "meta.file", "Image of the galaxy"),
    "label": Meaning("", "meta.code.class;src.morph.type", "Morphological class"),
    "ra": Meaning("deg", "pos.eq.ra;meta.main", "Right ascension"),
    "dec": Meaning("deg", "pos.eq.dec;meta.main", "Declination"),
    "status": Meaning("", "meta.code.status", "ok, or why there is no result"),
    "rank": Meaning("", "meta.number", "Place among the answers; 1 is the best"),
    "score": Meaning("", "stat.value", "Similarity to the query"),
    "x": Meaning("", "pos.cartesian.x", "First coordinate on the map of embeddings"),
    "y": Meaning("", "pos.cartesian.y", "Second coordinate on the map of embeddings"),
    "embedding": Meaning("", "stat.value", "Unit vector of the galaxy's image"),
    "source": Meaning("", "meta.id", "Short name of the catalogue"),
    "part": Meaning("", "meta.code", "train, validation or test"),
    "group": Meaning("", "meta.id.parent", "First identifier of all rows that are this galaxy"),
}
_PROBABILITY = "probability_"

# The names of these units in FITS files, VOTables and VizieR, in lower case.
_DEGREES_PER = {
    **dict.fromkeys(("", "deg", "degree", "degrees"), 1.0),
    **dict.fromkeys(("rad", "radian", "radians"), 57.29577951308232),
    **dict.fromkeys(("h", "hr", "hour", "hours", "hourangle"), 15.0),
    **dict.fromkeys(("arcmin", "arcminute"), 1 / 60),
    **dict.fromkeys(("arcsec", "arcsecond"), 1 / 3600),
    "mas": 1 / 3_600_000,
}


def meaning(name: str) -> Meaning:
    """Return the meaning of a column of ours by its name; an empty `Meaning` for any other column."""
    if name.startswith(_PROBABILITY):
        kind = name.removeprefix(_PROBABILITY).replace("_", " ")
        return Meaning("", "stat.probability", f"Probability of the class {kind}")
    return _MEANINGS.get(name, Meaning())


def degrees_per(unit: str, column: str, where: str) -> float:
    """Return the degrees in one unit of angle; 1 without a unit.

    Raises
    ------
    InputError
        The unit is no unit of angle.
    """
    factor = _DEGREES_PER.get(unit.strip().lower())
    # Such as "15 deg": an hour as astropy writes it to VOTable.
    scaled = re.fullmatch(r"([\d.]+(?:[eE][+-]?\d+)?)\s*([a-zA-Z]+)", unit.strip())
    if factor is None and scaled and scaled[2].lower() in _DEGREES_PER:
        return float(scaled[1]) * _DEGREES_PER[scaled[2].lower()]
    if factor is None:
        known = ", ".join(name for name in ("deg", "rad", "hourangle", "arcmin", "arcsec", "mas"))
        raise InputError(
            f"{where} gives {column} in {unit!r}, which is no unit of angle that is known ({known}); "
            "give numbers in degrees"
        )
    return factor
