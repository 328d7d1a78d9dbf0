"""Leaks of a split: one galaxy in two of its parts, within a catalogue or across two."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import TYPE_CHECKING

import numpy as np

from galaxalign.data.catalogs import RADIUS, Catalog, PositionLook, nearest, numbered, positions
from galaxalign.data.splits.audit import check_pairs, check_positions, gather, sky_pairs_of, split_groups
from galaxalign.data.splits.splits import PARTS, Split
from galaxalign.errors import InputError

if TYPE_CHECKING:
    import pandas as pd

_AXES = ("ra", "dec")


@dataclass(frozen=True, eq=False)
class LeakGuard:
    """What guards a run against leaks.

    Attributes
    ----------
    radius : float
        In arcsec; what lies closer on the sky is one galaxy. 0: positions are not compared.
    exclude : tuple of Catalog
        Benchmarks whose galaxies take no part.
    allow_leaks : bool
        Warn of a leak instead of refusing it.
    exclude_radius : float, optional
        In arcsec; what lies closer to a galaxy of a benchmark is that galaxy. Default: `radius`.
    """

    radius: float = RADIUS
    exclude: tuple[Catalog, ...] = ()
    allow_leaks: bool = False
    exclude_radius: float | None = None


_DEFAULT = LeakGuard()


def leak_sentence(leaks: pd.DataFrame, radius: float) -> str:
    """Return the sentence that says how a split leaks and what to do."""
    worst = leaks.iloc[0]
    told = f", {worst['distance']:.3g} {worst['unit']} apart" if worst["unit"] == "arcsec" else f" ({worst['detail']})"
    galaxies = {(row.source, row.id_str) for row in leaks.itertuples()}
    galaxies |= {(row.other_source, row.other_id) for row in leaks.itertuples()}
    remedies = {
        "same position": f"--radius {radius:g}arcsec",
        "neighbours": f"--radius {radius:g}arcsec",
        "same id": "with both catalogues",
        "same group": "--group COLUMN",
        "same group of the split": "",
    }
    needed = sorted({remedies.get(said, "--by-appearance") for said in leaks["detail"]})
    command = " ".join(["galaxalign split", *filter(None, needed)])
    return (
        f"the split leaks: {len(leaks)} pairs of rows ({len(galaxies)} galaxies) that are one object or closer than "
        f"{radius:g} arcsec stand in different parts, first {worst['id_str']} ({worst['part']}) and "
        f"{worst['other_id']} ({worst['other_part']}){told}; make it anew with {command}"
    )


def refuse_leaks(catalog: Catalog, split: Split, guard: LeakGuard = _DEFAULT) -> list[str]:
    """Audit a split without images; return notes, a sentence each.

    Raises
    ------
    InputError
        The split leaks, and that is not allowed.
    """
    rows = gather(catalog, split)
    found = check_pairs(rows, [*sky_pairs_of(rows, guard.radius), *split_groups(rows, split)])
    leaks = found[found["kind"] == "leak"]
    look = PositionLook()
    look.add(*positions(catalog))
    places = check_positions(rows)
    doubts = places.loc[places["kind"] == "doubtful_positions", "detail"]
    notes = [f"{catalog.source}: {text}" for text in (*look.impossible(), *doubts)]
    conflicts = found[found["kind"] == "label_conflict"]
    if len(conflicts):
        first = conflicts.iloc[0]
        notes.append(
            f"{catalog.source}: {len(conflicts)} pairs of rows are the same object under two labels "
            f"(first: {first['id_str']} {first['label']}, {first['other_id']} {first['other_label']})"
        )
    if len(leaks):
        sentence = leak_sentence(leaks, guard.radius)
        if not guard.allow_leaks:
            raise InputError(f"{sentence}, or say --allow-leaks")
        notes.append(sentence)
    return notes


def refuse_leaks_across(catalogs: Sequence[Catalog], split: Split, guard: LeakGuard = _DEFAULT) -> list[str]:
    """Look for galaxies in one part of a catalogue and in another part of another catalogue.

    The same galaxy has the same id (unless ids are row numbers), the same group of the split, or the same position.

    Parameters
    ----------
    catalogs : sequence of Catalog
        Those of the split that are used together.
    split : Split
    guard : LeakGuard, optional

    Returns
    -------
    list of str
        If leaks are allowed, a sentence for each pair of catalogues between which the split leaks.

    Raises
    ------
    InputError
        The split leaks between two catalogues, and that is not allowed.
    """
    tables = []
    for catalog in catalogs if len(catalogs) > 1 else ():
        table = gather(catalog, split).table.assign(group=split.groups_of(catalog))
        tables.append(table.drop(columns="id_str") if numbered(catalog) else table)
    notes = []
    for (one, table), (other, others) in combinations(zip(catalogs, tables, strict=False), 2):
        leaks = _elsewhere(table, others, guard.radius)
        if not leaks:
            continue
        row, (partner, told) = min(leaks.items())
        near = f" or closer than {guard.radius:g} arcsec to one" if guard.radius > 0 else ""
        sentence = (
            f"the split leaks: {len(leaks)} galaxies of {one.source} are also in {other.source}{near}, in another "
            f"part, first {one.ids[row]} ({table['part'][row]}) and {other.ids[partner]} "
            f"({others['part'][partner]}){told}; make it anew from both catalogues at once with galaxalign split"
        )
        if not guard.allow_leaks:
            raise InputError(f"{sentence}, or say --allow-leaks")
        notes.append(sentence)
    return notes


def _elsewhere(one: pd.DataFrame, other: pd.DataFrame, radius: float) -> dict[int, tuple[int, str]]:
    """Return which rows of a table stand in another part of another one: the row there, and what tells so."""
    import pandas as pd

    found: dict[int, tuple[int, str]] = {}
    for part in PARTS:
        mine = np.flatnonzero(one["part"] == part)
        theirs = np.flatnonzero(other["part"].isin(PARTS) & (other["part"] != part))
        for key, told in (("id_str", " (same id)"), ("group", " (same group of the split)")):
            if key in one and key in other:
                place = pd.Series(theirs, other[key].iloc[theirs])
                partner = place[~place.index.duplicated()].reindex(one[key].iloc[mine]).to_numpy()
                for k in np.flatnonzero(np.isfinite(partner)):
                    found.setdefault(int(mine[k]), (int(partner[k]), told))
        if radius > 0:
            places = (table[axis].to_numpy()[rows] for table, rows in ((one, mine), (other, theirs)) for axis in _AXES)
            distance, which = nearest(*places)
            for k in np.flatnonzero(distance <= radius):
                found.setdefault(int(mine[k]), (int(theirs[which[k]]), f", {distance[k]:.3g} arcsec apart"))
    return found
