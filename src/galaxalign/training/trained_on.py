"""Which galaxies a model was trained or chosen on, kept beside it so that no later test counts them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from galaxalign.data.catalogs import Catalog, found_in, numbered, positions
from galaxalign.data.splits import Split
from galaxalign.data.tables import read_table, write_table
from galaxalign.errors import InputError
from galaxalign.progress import note

TRAINED_ON = "trained_on.parquet"


def write_trained_on(
    folder: Path, parts: Sequence[tuple[Catalog, Mapping[str, np.ndarray]]], *, before: Catalog | None = None
) -> Path:
    """Write the galaxies of a run: `source`, `id_str`, `part`, `ra`, `dec` (degrees; NaN where not known).

    Parameters
    ----------
    folder : Path
        The model folder.
    parts : sequence of (Catalog, dict of part to rows)
        Each catalogue with its rows that the model was trained ("train") and chosen ("validation") on.
    before : Catalog, optional
        What the model that this one started from was trained on; it is listed as well.
    """
    import pandas as pd

    tables = [] if before is None else [before.table]
    for catalog, rows in parts:
        ra, dec = positions(catalog)
        # numbers of rows name a galaxy within their catalogue only
        named = [f"{catalog.source} row {name}" for name in catalog.ids] if numbered(catalog) else catalog.ids
        ids = np.array(named, dtype=object)
        tables += [
            pd.DataFrame(
                {"source": catalog.source, "id_str": ids[chosen], "part": part, "ra": ra[chosen], "dec": dec[chosen]}
            )
            for part, chosen in rows.items()
        ]
    # one row for each galaxy, so that the list can be given to --exclude
    listed = pd.concat(tables, ignore_index=True).drop_duplicates("id_str")
    return write_table(listed, folder / TRAINED_ON)


def read_trained_on(folder: Path | None) -> Catalog | None:
    """Return the galaxies that the model in a folder was trained or chosen on; None where it does not tell."""
    if folder is None or not (folder / TRAINED_ON).is_file():
        return None
    table = read_table(folder / TRAINED_ON, text_columns=("source", "id_str", "part"))
    return Catalog(table.reset_index(drop=True), folder, f"what {folder} was trained on", "")


def seen_rows(catalog: Catalog, rows: np.ndarray, trained_on: Catalog, *, radius: float) -> np.ndarray | None:
    """Return those of some rows of a catalogue that stand in `trained_on`, by id or within `radius` arcsec.

    None where neither ids nor positions of the two can be compared.
    """
    placed = [np.isfinite(np.add(*positions(table))).any() for table in (catalog, trained_on)]
    if len(trained_on) == 0 or (numbered(catalog) and not all(placed)):
        return None
    return np.asarray(rows[found_in(catalog, trained_on, radius=radius)[rows]])


def refuse_seen(
    source: Catalog, parts: Split, start: Path | None, known: Catalog | None, radius: float, *, allow: bool, quiet: bool
) -> None:
    """Refuse, or with `allow` say, that the model in the folder `start` has learnt galaxies of a test part."""
    test = parts.part(source, "test")
    if known is None:
        note(f"{start} does not tell which galaxies it was trained on; leaks cannot be looked for", quiet=quiet)
        return
    found = seen_rows(source, test, known, radius=radius)
    if found is None:
        note(
            f"{start} was trained on galaxies that have neither ids nor positions in common with "
            f"{source.source}; leaks cannot be looked for",
            quiet=quiet,
        )
        return
    if not len(found):
        return
    said = (
        f"the model {start} was trained or chosen on {len(found)} of the {len(test)} test galaxies of "
        f"{source.source} (first: {source.ids[found[0]]}), so no figure on them would be true"
    )
    if not allow:
        raise InputError(
            f"{said}; make the split with galaxalign split --exclude {start}/trained_on.parquet, or say --allow-leaks"
        )
    note(said, quiet=quiet)
