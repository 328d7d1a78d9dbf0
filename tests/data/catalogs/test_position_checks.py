"""What is doubtful about positions is said once, and by every verb alike."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from galaxalign.data.catalogs import as_catalog, scan_catalog
from galaxalign.data.catalogs.position_checks import PositionLook, lacking, lacking_note, positions_unused, sky_doubts


def test_hours_missing_positions_and_placeholders_are_said() -> None:
    rng = np.random.default_rng(0)
    ra, dec = rng.uniform(0, 360, 300), rng.uniform(-20, 60, 300)
    assert sky_doubts(ra, dec) == []
    (hours,) = sky_doubts(ra / 15, dec)
    assert "looks like hours; if so, multiply it by 15" in hours
    assert sky_doubts(10 + rng.uniform(0, 2, 300), rng.uniform(-1, 1, 300)) == [], "a field is no sky in hours"
    ra[:100], dec[:100], ra[100:103] = 0, 0, np.nan
    missing, crowd = sky_doubts(ra, dec)
    assert missing == "3 of 300 rows have no position and cannot be matched by it"
    assert crowd.startswith("100 rows have the very same position (0, 0)")


def test_infinite_or_impossible_position_is_not_missing_one_too() -> None:
    ra, dec = [10, np.inf, 400, np.nan, 20], [0, 0, 0, 0, 95]
    look = PositionLook()
    look.add(ra, dec)
    assert look.impossible() == [
        "3 of 5 rows have coordinates that no place on the sky has, in degrees (first: ra = inf, dec = 0 in row 2)"
    ]
    assert look.missing() == sky_doubts(ra, dec) == ["1 of 5 rows have no position and cannot be matched by it"]


def test_positions_in_pieces_are_looked_at_as_a_whole() -> None:
    rng = np.random.default_rng(1)
    ra, dec = rng.uniform(0, 24, 1000), rng.uniform(-30, 60, 1000)
    dec[700], ra[800] = 91, np.nan
    whole, pieces = PositionLook(), PositionLook()
    whole.add(ra, dec)
    for first in range(0, 1000, 90):
        pieces.add(ra[first : first + 90], dec[first : first + 90])
    for phrase in ("impossible", "missing", "hours"):
        assert getattr(whole, phrase)() == getattr(pieces, phrase)() != []
    assert "dec = 91 in row 701" in pieces.impossible()[0]


def test_the_missing_column_is_named() -> None:
    assert lacking(["id_str", "ra", "dec"]) == ""
    table = pd.DataFrame({"id_str": ["a", "b"], "ra": [1, 2]})
    half = as_catalog(table, source="s", require=())
    assert lacking_note(half) == [
        "s has ra but no column dec, so galaxies are told by ids alone; name its positions with --columns dec=... "
        "if it has some"
    ]
    assert positions_unused(half) == ["there is ra but no column dec"]
    none = as_catalog(table[["id_str"]], source="s", require=())
    assert lacking_note(none)[0].startswith("s has no columns ra and dec, so")
    assert positions_unused(none) == [], "who has no positions need not be told"


@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
def test_catalogue_read_in_pieces_says_same_as_one_in_memory(suffix: str, tmp_path: Path) -> None:
    rng = np.random.default_rng(2)
    table = pd.DataFrame({"id_str": [f"g{row}" for row in range(50)], "file_loc": "x.png"})
    table["ra"], table["dec"] = rng.uniform(0, 24, 50), rng.uniform(-30, 60, 50)
    table.loc[3, "dec"] = 99
    for columns in (["ra", "dec"], ["dec"], []):
        path = tmp_path / f"t{suffix}"
        chosen = table[["id_str", "file_loc", *columns]]
        chosen.to_csv(path, index=False) if suffix == ".csv" else chosen.to_parquet(path)
        said = scan_catalog(path).doubts
        assert list(said) == positions_unused(as_catalog(chosen))
        assert len(said) == len(columns)
