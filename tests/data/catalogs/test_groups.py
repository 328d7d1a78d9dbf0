"""Rows of the same galaxy are found by id, position, column and link, across catalogues."""

from __future__ import annotations

import numpy as np
import pandas as pd

from galaxalign.data.catalogs import Catalog, as_catalog
from galaxalign.data.catalogs.groups import same_galaxy


def survey(source: str, n: int, **columns: object) -> Catalog:
    frame = pd.DataFrame({"id_str": [f"{source}-{row}" for row in range(n)], **columns})
    return as_catalog(frame, source=source, require=("id_str",))


def test_ids_columns_and_links_join_in_chains() -> None:
    one = survey("one", 4, night=["a", "b", "a", None])
    two = survey("one", 2, night=["c", "c"])  # the first two ids of the first catalogue
    other = survey("z", 2)
    group, names = same_galaxy([one, two, other], column="night", links=[("z-0", "one-3"), ("z-1", "absent")])
    joined: dict[int, list[int]] = {}
    for row, number in enumerate(group.tolist()):
        joined.setdefault(number, []).append(row)
    # Rows 0 and 2 share night a; rows 4 and 5 repeat the ids of 0 and 1 and share night c.
    assert sorted(joined.values()) == [[0, 1, 2, 4, 5], [3, 6], [7]]
    assert [names[group[row]] for row in (0, 3, 7)] == ["one-0", "one-3", "z-1"]
    assert len(set(same_galaxy([one, two, other])[0].tolist())) == 6


def test_sky_neighbours_chain_across_zero_and_at_the_pole() -> None:
    arcsec = 1 / 3600
    one = survey("one", 5, ra=[10, 10, 0.0001 * arcsec, 80, np.nan], dec=[0, 5 * arcsec, 0, 89.9999, 0])
    two = survey("two", 4, ra=[10, 360 - 1 * arcsec, 81, np.nan], dec=[2.5 * arcsec, 0, 89.9999, 0])
    group, names = same_galaxy([one, two], radius=3)
    g = group.tolist()
    assert g[0] == g[1] == g[5], "two rows 5 arcsec apart are joined by the one between them"
    assert g[2] == g[6], "right ascension wraps around"
    assert g[3] == g[7], "degrees of right ascension shrink towards the pole"
    assert len({g[0], g[2], g[3], g[4], g[8]}) == 5, "rows without a position stay alone"
    assert names[g[5]] == "one-0"
    assert len(set(same_galaxy([one, two], radius=0)[0].tolist())) == 9
    assert len(set(same_galaxy([one, two], radius=2.4)[0].tolist())) == 7


def test_many_rows_at_a_placeholder_are_one_group_cheaply() -> None:
    catalog = survey("s", 20_000, ra=0.0, dec=0.0)
    assert len(set(same_galaxy([catalog])[0].tolist())) == 1
