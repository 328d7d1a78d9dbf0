"""`galaxalign split`: catalogues divided by galaxy."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from galaxalign import options as opt
from galaxalign.data import splits, tables
from galaxalign.progress import note, progress
from galaxalign.signature import verb

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from galaxalign.data.catalogs import Catalog


@verb
def split(
    *,
    catalogs: opt.Catalogs,
    out: opt.SplitOut,
    fractions: opt.Fractions = (0.7, 0.1, 0.2),
    group: opt.Group = None,
    columns: opt.Columns = None,
    radius: opt.Radius = "60arcsec",
    exclude: opt.Exclude = (),
    exclude_radius: opt.ExcludeRadius = None,
    by_appearance: opt.ByAppearance = False,
    folds: opt.Folds = None,
    seed: opt.Seed = 0,
    quiet: opt.Quiet = False,
) -> Path:
    """Divide catalogues into train, validation and test, the same galaxy always in one part.

    Rows stay together if they share an id or a value of `group`, or lie within `radius` on the sky, in chains (friends
    of friends).

    Returns
    -------
    Path
        `out`; with `folds` the first of the files.

    Raises
    ------
    InputError
        A catalogue cannot be read, or an option is out of range.
    """
    from galaxalign.data.catalogs import arcsec, lacking, lacking_note, positions, read_catalog, sky_doubts

    tables.check_output(out, suffixes=(".parquet",))
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
    guard = splits.LeakGuard(reach, tuple(benchmarks), exclude_radius=exclude_reach)
    links = _look_alikes(sources, quiet=quiet) if by_appearance else ()
    if folds is None:
        paths = [Path(out)]
        made = [
            splits.make_split(*sources, fractions=fractions, seed=seed, group_column=group, links=links, guard=guard)
        ]
    else:
        paths = fold_paths(out, folds)
        made = splits.make_folds(*sources, folds=folds, seed=seed, group_column=group, links=links, guard=guard)
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


def _note_crowds(parts: splits.Split, *, quiet: bool) -> None:
    """Say so when so many rows hang together that there is little left to divide."""
    sizes = parts.table["group"].value_counts()
    if len(sizes) and sizes.iloc[0] > max(10, 0.05 * len(parts.table)):
        note(
            f"{sizes.iloc[0]} of {len(parts.table)} rows hang together (around {sizes.index[0]}) and are in one part; "
            "if they are not one galaxy or crowd, give a smaller --radius",
            quiet=quiet,
        )


def _note_empty(parts: splits.Split, *, quiet: bool) -> None:
    """Say which parts have no galaxy."""
    empty = [part for part in splits.PARTS if not (parts.table["part"] == part).any()]
    if empty:
        note(
            f"no galaxy is in {' and '.join(empty)}: train needs a train and a validation part, evaluate a test part; "
            "give each a share with --fractions, or more galaxies",
            quiet=quiet,
        )


def appearance_marks(catalogs: Sequence[Catalog], *, quiet: bool) -> list[splits.Signatures]:
    """Return the signatures of the pictures of each catalogue."""
    with progress("measuring", sum(map(len, catalogs)), quiet=quiet) as done:
        return [splits.signatures(catalog.paths(), progress=done) for catalog in catalogs]


def appearance_pairs(
    one: splits.Signatures, other: splits.Signatures | None = None
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Return the pairs of rows, (M, 2), that show one galaxy by their appearance, and their likeness."""
    import numpy as np

    found = splits.look_alikes(one, other)
    sure = found.likeness >= splits.THRESHOLD
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
