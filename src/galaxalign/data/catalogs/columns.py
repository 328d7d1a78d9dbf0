"""The columns of a catalogue: what they are called, and ids, labels and positions as every catalogue has them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from galaxalign.data.catalogs.fingerprint import cell_texts, id_texts, plain_texts
from galaxalign.data.tables import MISSING, degrees_per
from galaxalign.errors import InputError

if TYPE_CHECKING:
    import pandas as pd

SCALE_COLUMNS = ("pixel_scale", "pxscale")
"""Names of a column with arcsec per pixel."""

TEXT_COLUMNS = ("id_str", "file_loc", "label")
"""Columns whose cells are text."""

KNOWN_COLUMNS = (*TEXT_COLUMNS, "ra", "dec", *SCALE_COLUMNS)
"""Columns that are recognised whatever their case."""


def lacks(where: str, column: str, found: Iterable[object]) -> str:
    """Return the sentence for a column that a table lacks."""
    names = [str(name) for name in found]
    shown = ", ".join(names[:20]) + (f" and {len(names) - 20} more" if len(names) > 20 else "")
    return f"{where} has no column {column}; its columns are {shown or 'none with one value in each row'}"


def require_columns(names: Iterable[str], found: Iterable[object], require: Sequence[str], where: str) -> None:
    """Raise InputError unless all columns of `require` are among `names`."""
    for name in require:
        if name not in names:
            raise InputError(lacks(where, name, found))


def column_names(found: Sequence[str], columns: Mapping[str, str], where: str) -> dict[str, str]:
    """Return, for each column of the catalogue, its name in the table: given by `columns`, or known in any case."""
    by_case = {name.strip().lower(): name for name in reversed(found)}
    for old in columns.values():
        if old.strip().lower() not in by_case:
            raise InputError(lacks(where, old, found))
    given = {_canonical(new): old if old in found else by_case[old.strip().lower()] for new, old in columns.items()}
    names: dict[str, str] = {}
    for name in found:
        news = [new for new, old in given.items() if old == name]
        if not news and (new := _canonical(name)) not in given:
            news = [new]
        for new in news:
            if new in names:
                raise InputError(
                    f"{where} has the columns {names[new]!r} and {name!r}, which both mean {new}; "
                    f"rename one or choose with --columns {new}={name}"
                )
            names[new] = name
    return names


def _canonical(name: str) -> str:
    """Return the known name of a column whatever its case; another as it is."""
    known = name.strip().lower()
    return known if known in KNOWN_COLUMNS else name


def catalog_rows(
    table: pd.DataFrame, where: str, *, units: Mapping[str, str] | None = None, first_row: int = 0
) -> pd.DataFrame:
    """Return rows as a catalogue has them: ids, images and labels as text, positions in degrees."""
    table = table.copy(deep=False)
    if "id_str" in table:
        ids = id_texts(table["id_str"], where, first_row=first_row)
    else:
        ids = [str(row) for row in range(first_row, first_row + len(table))]
    table["id_str"] = np.array(ids, dtype=object)
    if "file_loc" in table:
        table["file_loc"] = np.array(cell_texts(table["file_loc"]), dtype=object)
    if "label" in table:
        labels = plain_texts(table["label"])
        table["label"] = np.array(["" if text in MISSING else text for text in labels], dtype=object)
    if units is None:
        return table
    places = [name for name in ("ra", "dec") if name in table]
    for name in places:
        table[name] = numbers(table[name], name, where, first_row)
    return in_degrees(table, units, where)


def in_degrees(table: pd.DataFrame, units: Mapping[str, str], where: str) -> pd.DataFrame:
    """Return the table with ra and dec converted from other units."""
    factors = {name: degrees_per(units.get(name, ""), name, where) for name in ("ra", "dec") if name in table}
    changed = {name: numbers(table[name], name, where, 0) * factor for name, factor in factors.items() if factor != 1}
    return table.assign(**changed)


def numbers(values: pd.Series, name: str, where: str, first_row: int = 0) -> NDArray[np.float64]:
    """Return a column as floats, NaN where it is missing."""
    import pandas as pd

    if values.dtype.kind in "biuf":
        return values.to_numpy(np.float64, na_value=np.nan)
    texts = plain_texts(values)
    found = pd.to_numeric(pd.Series(texts, dtype=object), errors="coerce").to_numpy(np.float64)
    wrong = [row for row in np.flatnonzero(np.isnan(found)) if texts[row] not in MISSING]
    if wrong:
        text, row = texts[wrong[0]], first_row + wrong[0] + 1
        unit = "degrees" if name in ("ra", "dec") else "arcsec per pixel"
        hours = " (it looks like hours, minutes and seconds)" if re.search(r"\d\s*[:h ]\s*\d", text) else ""
        raise InputError(
            f"{where} has {name} = {text!r} in row {row}, which is no number of {unit}{hours}; convert it to {unit}"
        )
    return found
