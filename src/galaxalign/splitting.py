"""`galaxalign split`: catalogues divided by galaxy."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from galaxalign.data.appearance import THRESHOLD, Signatures, look_alikes, signatures
from galaxalign.data.catalog import Catalog, check_output, read_catalog
from galaxalign.data.doubts import lacking, lacking_note, sky_doubts
from galaxalign.data.groups import positions
from galaxalign.data.sky import arcsec
from galaxalign.data.splits import PARTS, Split, make_folds, make_split
from galaxalign.progress import note, progress

__all__ = ["appearance_marks", "appearance_pairs", "fold_paths", "split"]


def split(
    *,
    catalogs: Sequence[str | Path],
    out: str | Path,
    fractions: Sequence[float] = (0.7, 0.1, 0.2),
    group: str | None = None,
    columns: Mapping[str, str] | None = None,
    radius: str | float = "60arcsec",
    exclude: Sequence[str | Path] = (),
    exclude_radius: str | float | None = None,
    by_appearance: bool = False,
    folds: int | None = None,
    seed: int = 0,
    quiet: bool = False,
) -> Path:
    """Divide one or more catalogues into train, validation and test, by galaxy, and save that.

    Rows stay together if they share an id or a value of `group`, or lie within `radius` on the sky, in
    chains (friends of friends).

    Parameters
    ----------
    catalogs : sequence of path
    out : path
        .parquet.
    fractions : three floats
    group : str, optional
        Column that says which rows are one galaxy, beside id and position.
    columns : mapping, optional
        What columns are to be called, in each of the catalogues, new name first: {"id_str": "objid"}.
    radius : str or float
        As "60arcsec" or "1arcmin"; a number is in arcsec. 0: positions are not looked at.
    exclude : sequence of path
        Benchmarks: galaxies that stand in one of them, by id or position, are in no part.
    exclude_radius : str or float, optional
        How close to a galaxy of a benchmark is the same one. Default: `radius`.
    by_appearance : bool
        Keep together also what looks like the same picture, be it framed or scaled otherwise; for
        catalogues that have neither positions nor ids in common. Reads all images.
    folds : int, optional
        Make so many splits, each with another k-th part as its test part, instead of one;
        `out` named s.parquet gives s-1.parquet, s-2.parquet ...
    seed : int
    quiet : bool

    Returns
    -------
    Path
        `out`; with `folds` the first of the files.

    Raises
    ------
    InputError
        Something about the input is at fault.
    """
    check_output(out, suffixes=(".parquet",))
    reach = arcsec(radius)
    exclude_reach = None if exclude_radius is None else arcsec(exclude_radius)
    # One table without ids is known by its row numbers; those of two tables would be taken for one galaxy.
    required = ("id_str",) if len(catalogs) > 1 else ()
    sources = [read_catalog(path, require=required, columns=columns, quiet=quiet) for path in catalogs]
    benchmarks = [read_catalog(path, require=()) for path in exclude]
    ways = "ids" + (f" and {group}" if group is not None else "") + (" and appearance" if by_appearance else "")
    for source in sources if reach > 0 else ():
        for line in lacking_note(source, ways):
            note(line, quiet=quiet)
    for source in (*sources, *benchmarks) if reach > 0 else ():
        for doubt in () if lacking(source.table.columns) else sky_doubts(*positions(source)):
            note(f"{source.source}: {doubt}", quiet=quiet)
    common: dict[str, Any] = {
        "seed": seed,
        "group_column": group,
        "radius": reach,
        "exclude": benchmarks,
        "exclude_radius": exclude_reach,
        "links": _look_alikes(sources, quiet=quiet) if by_appearance else (),
    }
    if folds is None:
        paths, made = [Path(out)], [make_split(*sources, fractions=fractions, **common)]
    else:
        paths, made = fold_paths(out, folds), make_folds(*sources, folds=folds, **common)
    _note_crowds(made[0], quiet=quiet)
    _note_empty(made[0], quiet=quiet)
    if benchmarks:
        note(made[0].excluded_sentence([other.source for other in benchmarks]), quiet=quiet)
    for path, parts in zip(paths, made, strict=True):
        parts.write(path)
    return paths[0]


def fold_paths(out: str | Path, folds: int) -> list[Path]:
    """Return the files that k-fold splits are saved in."""
    return [Path(out).with_name(f"{Path(out).stem}-{fold + 1}.parquet") for fold in range(folds)]


def _note_crowds(parts: Split, *, quiet: bool) -> None:
    """Say so when so many rows hang together that there is little left to divide."""
    sizes = parts.table["group"].value_counts()
    if len(sizes) and sizes.iloc[0] > max(10, 0.05 * len(parts.table)):
        note(
            f"{sizes.iloc[0]} of {len(parts.table)} rows hang together (around {sizes.index[0]}) and are in one part; "
            "if they are not one galaxy or crowd, give a smaller --radius",
            quiet=quiet,
        )


def _note_empty(parts: Split, *, quiet: bool) -> None:
    """Say which parts have no galaxy."""
    empty = [part for part in PARTS if not (parts.table["part"] == part).any()]
    if empty:
        note(
            f"no galaxy is in {' and '.join(empty)}: train needs a train and a validation part, evaluate a test part; "
            "give each a share with --fractions, or more galaxies",
            quiet=quiet,
        )


def appearance_marks(catalogs: Sequence[Catalog], *, quiet: bool) -> list[Signatures]:
    """Return the signatures of the pictures of each catalogue."""
    with progress("measuring", sum(map(len, catalogs)), quiet=quiet) as done:
        return [signatures(catalog.paths(), progress=done) for catalog in catalogs]


def appearance_pairs(one: Signatures, other: Signatures | None = None) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Return the pairs of rows, (M, 2), that show one galaxy by their appearance, and their likeness."""
    found = look_alikes(one, other)
    sure = found.likeness >= THRESHOLD
    return np.column_stack([found.first[sure], found.second[sure]]), found.likeness[sure]


def _look_alikes(catalogs: Sequence[Catalog], *, quiet: bool) -> list[tuple[str, str]]:
    """Return pairs of ids whose pictures show one galaxy, within and across catalogues."""
    marks = appearance_marks(catalogs, quiet=quiet)
    links: list[tuple[str, str]] = []
    for a, one in enumerate(catalogs):
        for b in range(a, len(catalogs)):
            found = appearance_pairs(marks[a], None if a == b else marks[b])[0]
            links += [(one.ids[row], catalogs[b].ids[column]) for row, column in found]
    note(f"{len(links)} pairs of pictures show one galaxy by their appearance and are kept together", quiet=quiet)
    return links
