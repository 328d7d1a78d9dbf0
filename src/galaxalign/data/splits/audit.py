"""What is wrong with catalogues and splits, as far as tables tell: positions, ids, labels, classes, leaks.

Every check returns findings: a table with one row each, whose columns are `COLUMNS`.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from galaxalign.data.catalogs import (
    RADIUS,
    SAME_OBJECT,
    Catalog,
    half_lacking,
    lacking,
    numbered,
    out_of_range,
    positions,
    separation,
    sky_doubts,
    sky_pairs,
)
from galaxalign.data.splits.splits import PARTS, Split
from galaxalign.errors import InputError

if TYPE_CHECKING:
    import pandas as pd

_MINE = ("kind", "severity", "source", "id_str", "part", "label")
COLUMNS = (*_MINE, "other_source", "other_id", "other_part", "other_label", "distance", "unit", "detail")
"""Of a table of findings. `severity` is error, warning or info; those of a single galaxy leave other_* empty."""

_LISTED = 1_000_000  # neighbours beyond this number are counted only
_RARE = 10  # galaxies below which a class can neither be learnt nor measured


@dataclass(frozen=True, eq=False)
class Rows:
    """The rows of one catalogue, or of two of which only the first is audited.

    Attributes
    ----------
    table : pandas.DataFrame
        `source`, `id_str`, `part`, `label` as text, "" where there is none; `ra` and `dec` in degrees, NaN
        where they are missing or out of range.
    audited : int
        The number of rows of the first catalogue.
    catalogs : list of Catalog
    """

    table: pd.DataFrame
    audited: int
    catalogs: list[Catalog]


@dataclass(frozen=True, eq=False)
class Pairs:
    """Pairs of rows that something says are one galaxy, or overlap.

    Attributes
    ----------
    kind : str
    severity : str
    rows : numpy.ndarray
        int64 (M, 2), into the table of `Rows`.
    distance : numpy.ndarray
        (M,), NaN where there is none.
    unit : str
    same : bool
        They are the same galaxy, so that their labels should agree (neighbours are not).
    listed : bool
        They are findings of their own, not only when they leak or their labels differ.
    """

    kind: str
    severity: str
    rows: NDArray[np.int64]
    distance: NDArray[np.float64] = field(default_factory=lambda: np.empty(0))
    unit: str = ""
    same: bool = True
    listed: bool = True


def gather(catalog: Catalog, split: Split | None = None, against: Catalog | None = None) -> Rows:
    """Return the rows to be audited, with their parts.

    Raises
    ------
    InputError
        If the split was made from another catalogue, or two catalogues have one name.
    """
    import pandas as pd

    if against is not None and against.source == catalog.source:
        raise InputError(f"two catalogues are called {catalog.source}; rename the file (or folder) of one")
    catalogs = [catalog] if against is None else [catalog, against]
    tables = []
    for place, one in enumerate(catalogs):
        ra, dec = positions(one)
        good = ~out_of_range(ra, dec)
        known = split is not None and (place == 0 or one.fingerprint in split.fingerprints.values())
        table = pd.DataFrame({"source": one.source, "id_str": one.ids})
        table["part"] = split.parts_of(one) if split is not None and known else ""
        table["label"] = one.texts("label") if "label" in one.table else ""
        table["ra"], table["dec"] = np.where(good, ra, np.nan), np.where(good, dec, np.nan)
        tables.append(table)
    return Rows(pd.concat(tables, ignore_index=True), len(catalog), catalogs)


def findings(
    kind: str,
    severity: str,
    rows: Rows,
    which: NDArray[np.int64],
    *,
    other: NDArray[np.int64] | None = None,
    distance: NDArray[np.float64] | None = None,
    unit: str = "",
    detail: str | Sequence[str] = "",
) -> pd.DataFrame:
    """Return one finding for each of some rows (or pairs of rows, with `other`)."""
    import pandas as pd

    table = rows.table.iloc[which][["source", "id_str", "part", "label"]].reset_index(drop=True)
    if other is not None:
        second = rows.table.iloc[other]
        for name, column in (("source", "source"), ("id", "id_str"), ("part", "part"), ("label", "label")):
            table[f"other_{name}"] = second[column].to_numpy()
    table["kind"], table["severity"], table["unit"] = kind, severity, unit
    table["detail"] = detail if isinstance(detail, str) else list(detail)
    table["distance"] = np.nan if distance is None or not len(distance) else distance
    return pd.DataFrame({name: table.get(name, "") for name in COLUMNS}, index=table.index)


def about(kind: str, severity: str, rows: Rows, lines: Iterable[tuple[str, str]]) -> pd.DataFrame:
    """Return findings about a catalogue as a whole: pairs of a label (or "") and a sentence."""
    import pandas as pd

    source = rows.catalogs[0].source
    empty: dict[str, object] = dict.fromkeys(COLUMNS, "") | {"distance": np.nan}
    common = empty | {"kind": kind, "severity": severity, "source": source}
    records = [common | {"label": label, "detail": detail} for label, detail in lines]
    return pd.DataFrame(records, columns=list(COLUMNS))


def check_positions(rows: Rows) -> pd.DataFrame:
    """Find coordinates that are out of range, missing, shared by many rows, or look like hours."""
    import pandas as pd

    catalog = rows.catalogs[0]
    if lacking(catalog.table.columns):
        half = [("", phrase) for phrase in half_lacking(catalog.table.columns)]
        return about("doubtful_positions", "warning", rows, half)
    ra, dec = positions(catalog)
    wrong = np.flatnonzero(out_of_range(ra, dec))
    said = [
        f"ra = {ra[row]:g}, dec = {dec[row]:g} in row {row + 1} is no place on the sky, in degrees" for row in wrong
    ]
    doubts = [("", doubt) for doubt in sky_doubts(ra, dec)]
    return pd.concat(
        [
            findings("bad_position", "error", rows, wrong, detail=said),
            about("doubtful_positions", "warning", rows, doubts),
        ],
        ignore_index=True,
    )


def check_classes(rows: Rows) -> pd.DataFrame:
    """Count the galaxies of each class, and find classes with few of them and rows without a label."""
    import pandas as pd

    labels = rows.table["label"][: rows.audited]
    if not (labels != "").any():
        return about("class", "info", rows, [])
    counts = labels[labels != ""].value_counts()
    total = int(counts.sum())
    lines = [(str(name), f"{n} of {total} galaxies ({n / total:.1%})") for name, n in counts.items()]
    rare = [
        (str(name), f"only {n} of {total} galaxies: too few to learn or to measure")
        for name, n in counts.items()
        if n < _RARE
    ]
    missing = int((labels == "").sum())
    lost = [("", f"{missing} of {rows.audited} rows have no label")] if missing else []
    tables = [about("class", "info", rows, lines), about("rare_class", "warning", rows, rare)]
    return pd.concat([*tables, about("no_label", "info", rows, lost)], ignore_index=True)


def sky_pairs_of(rows: Rows, radius: float = RADIUS) -> list[Pairs]:
    """Return the pairs within `SAME_OBJECT` arcsec, and those beyond it within `radius`, as far as audited.

    Neighbours by the million, as a deep field has them, are no findings of their own; they are still looked
    through for leaks.
    """
    ra, dec = rows.table["ra"].to_numpy(), rows.table["dec"].to_numpy()
    if radius <= 0 or not np.isfinite(ra + dec).any():
        return []
    pairs = _audited(rows, sky_pairs(ra, dec, radius))
    distance = separation(ra, dec, pairs)
    same = distance <= SAME_OBJECT
    listed = int((~same).sum()) <= _LISTED
    return [
        Pairs("same_position", "warning", pairs[same], distance[same], "arcsec"),
        Pairs("neighbours", "info", pairs[~same], distance[~same], "arcsec", same=False, listed=listed),
    ]


def same_ids(rows: Rows) -> list[Pairs]:
    """Return the pairs of rows of two catalogues that have one id."""
    if len(rows.catalogs) < 2 or any(numbered(catalog) for catalog in rows.catalogs):
        return []
    place = {identity: rows.audited + row for row, identity in enumerate(rows.catalogs[1].ids)}
    pairs = [(row, place[identity]) for row, identity in enumerate(rows.catalogs[0].ids) if identity in place]
    return [Pairs("same_id", "warning", np.array(pairs, np.int64).reshape(-1, 2))]


def same_values(rows: Rows, column: str) -> list[Pairs]:
    """Return pairs that tie together the rows with one value of a column; InputError without the column."""
    if not any(column in catalog.table for catalog in rows.catalogs):
        raise InputError(f"no catalogue ({', '.join(c.source for c in rows.catalogs)}) has the column {column}")
    values = [
        text
        for catalog in rows.catalogs
        for text in (catalog.texts(column) if column in catalog.table else [""] * len(catalog))
    ]
    # Neighbours in this order: where a value stands in two parts, some pair of it does.
    parts = rows.table["part"].tolist()
    order = sorted((row for row, text in enumerate(values) if text), key=lambda row: (values[row], parts[row] or "~"))
    chain = [(a, b) for a, b in pairwise(order) if values[a] == values[b]]
    return [Pairs("same_group", "info", _audited(rows, np.array(chain, np.int64).reshape(-1, 2)), listed=False)]


def check_pairs(rows: Rows, pairs: Sequence[Pairs]) -> pd.DataFrame:
    """List pairs, and find among them those with two labels and those that a split leaks: in two parts.

    A pair that several things tell is one conflict and one leak, by the first of them.
    """
    import pandas as pd

    label, part = rows.table["label"].to_numpy(), rows.table["part"].to_numpy()
    tables = []
    conflicts: set[tuple[int, int]] = set()
    leaks: set[tuple[int, int]] = set()
    for told in pairs:
        # The smaller row first, so that a pair is the same pair whoever tells it.
        one, other = np.sort(told.rows.reshape(-1, 2), axis=1).T
        distance = told.distance if len(told.distance) else np.full(len(one), np.nan)
        said = told.kind.replace("_", " ")
        if told.listed:
            found = findings(told.kind, told.severity, rows, one, other=other, distance=distance, unit=told.unit)
            tables.append(found)
        differ = (label[one] != label[other]) & (label[one] != "") & (label[other] != "") & told.same
        crossed = (part[one] != part[other]) & np.isin(part[one], PARTS) & np.isin(part[other], PARTS)
        for kind, severity, mask, seen in (
            ("label_conflict", "warning", differ, conflicts),
            ("leak", "error", crossed, leaks),
        ):
            new = np.array([k for k in np.flatnonzero(mask) if (int(one[k]), int(other[k])) not in seen], np.int64)
            seen |= {(int(one[k]), int(other[k])) for k in new}
            mine, theirs, far = one[new], other[new], distance[new]
            tables.append(findings(kind, severity, rows, mine, other=theirs, distance=far, unit=told.unit, detail=said))
    return pd.concat(tables, ignore_index=True) if tables else pd.DataFrame(columns=list(COLUMNS))


def split_groups(rows: Rows, split: Split) -> list[Pairs]:
    """Return pairs of rows that the split itself calls one galaxy."""
    parts = rows.table["part"].tolist()
    values = split.groups_of(rows.catalogs[0])
    order = sorted(range(len(values)), key=lambda row: (values[row], parts[row] not in PARTS, parts[row]))
    chain = [(a, b) for a, b in pairwise(order) if values[a] == values[b]]
    return [
        Pairs("same_group_of_the_split", "info", np.array(chain, np.int64).reshape(-1, 2), same=False, listed=False)
    ]


def _audited(rows: Rows, pairs: NDArray[np.int64]) -> NDArray[np.int64]:
    """Leave out pairs in which neither row is of the audited catalogue."""
    return pairs[(pairs < rows.audited).any(axis=1)] if len(pairs) else pairs
