"""A catalogue read in pieces is the catalogue read whole: same rows, same fingerprint, same refusals."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from galaxalign.data.catalogs import read_catalog, scan, scan_catalog
from galaxalign.data.tables import TABLE_SUFFIXES, write_table
from galaxalign.errors import InputError


def galaxies(n: int = 1000) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "id_str": [f"{8647474693038342230 + row}" for row in range(n)],
            "file_loc": [f"images/{row}.jpg" for row in range(n)],
            "label": ["" if row % 4 == 0 else str(row % 4) for row in range(n)],
            "ra": np.linspace(0, 359, n),
            "dec": np.linspace(-90, 90, n),
            "votes": np.arange(n),
        }
    )


@pytest.fixture(autouse=True)
def small_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scan, "PIECE", 128)


@pytest.mark.parametrize("suffix", TABLE_SUFFIXES)
def test_pieces_are_the_whole(tmp_path: Path, suffix: str) -> None:
    path = write_table(galaxies(), tmp_path / f"t{suffix}")
    whole, scanned = read_catalog(path), scan_catalog(path, keep=("votes", "absent"))
    assert len(scanned) == len(whole)
    assert (scanned.fingerprint, scanned.source) == (whole.fingerprint, whole.source)
    pieces = list(scanned.pieces(300))
    assert max(map(len, pieces)) <= 300
    assert [identity for piece in pieces for identity in piece.ids] == whole.ids
    assert [path for piece in pieces for path in piece.paths()] == whole.paths()
    assert [text for piece in pieces for text in piece.texts("label")] == whole.texts("label")
    assert [text for piece in pieces for text in piece.texts("votes")] == whole.texts("votes")
    np.testing.assert_array_equal(np.concatenate([piece.table["ra"] for piece in pieces]), whole.table["ra"])
    assert all(piece.fingerprint == whole.fingerprint for piece in pieces)


@pytest.mark.parametrize("suffix", [".csv", ".parquet", ".fits"])
def test_refusals_are_those_of_the_whole(tmp_path: Path, suffix: str) -> None:
    good = galaxies()
    ids = good["id_str"].tolist()
    bad = {
        "twice": good.assign(id_str=[*ids[:-2], ids[3], ids[3]]),
        "missing": good.assign(id_str=[*ids[:700], "", *ids[701:]]),
        "rounded": good.assign(id_str=[*ids[:700], "8.64747E+18", *ids[701:]]),
        "empty": good[:0],
        "lacking": good.drop(columns="file_loc"),
    }
    for name, frame in bad.items():
        path = write_table(frame, tmp_path / f"{name}{suffix}")
        said = []
        for read in (read_catalog, scan_catalog):
            with pytest.raises(InputError) as caught:
                read(path)
            said.append(str(caught.value))
        assert said[0] == said[1]
    assert "1 id_str more than once (first: 8647474693038342233)" in _said(tmp_path / f"twice{suffix}")
    assert "row 701" in _said(tmp_path / f"rounded{suffix}")


def _said(path: Path) -> str:
    with pytest.raises(InputError) as caught:
        scan_catalog(path)
    return str(caught.value)


def test_ids_that_share_a_hash_are_not_taken_for_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def coarse(ids: list[str]) -> np.ndarray:
        return np.array([int(identity) % 50 for identity in ids], np.uint64)

    monkeypatch.setattr("galaxalign.data.catalogs.fingerprint.hashes", coarse)
    monkeypatch.setattr(scan, "hashes", coarse)
    assert len(scan_catalog(write_table(galaxies(), tmp_path / "t.parquet"))) == 1000
    twice = galaxies().assign(id_str=["7", *galaxies()["id_str"][1:-1], "7"])
    with pytest.raises(InputError, match=r"1 id_str more than once \(first: 7\)"):
        scan_catalog(write_table(twice, tmp_path / "t.parquet"))


def test_positions_that_are_no_numbers_are_named(tmp_path: Path) -> None:
    path = write_table(
        galaxies(300).assign(ra=["12h03m" if row == 200 else "1" for row in range(300)]), tmp_path / "t.csv"
    )
    with pytest.raises(InputError, match=r"ra = '12h03m' in row 201, which is no number"):
        scan_catalog(path)
    blank = write_table(
        galaxies(300).assign(ra=["NA" if row == 200 else "1" for row in range(300)]), tmp_path / "t.csv"
    )
    assert np.isnan(np.concatenate([piece.table["ra"] for piece in scan_catalog(blank).pieces()])).sum() == 1


def test_columns_can_be_renamed_and_rows_numbered(tmp_path: Path) -> None:
    frame = galaxies(200).rename(columns={"id_str": "ObjID", "ra": "RA_J2000"})
    path = write_table(frame, tmp_path / "t.csv")
    scanned = scan_catalog(path, columns={"id_str": "objid", "ra": "RA_J2000"})
    assert next(scanned.pieces()).table.columns.tolist() == ["id_str", "file_loc", "label", "ra", "dec"]
    numbered = scan_catalog(path, require=("file_loc",))
    assert [identity for piece in numbered.pieces(64) for identity in piece.ids] == [str(row) for row in range(200)]


def test_folders_of_images_come_in_pieces_too(tmp_path: Path) -> None:
    for name in "abcde":
        Image.new("RGB", (4, 4)).save(tmp_path / f"{name}.png")
    scanned = scan_catalog(tmp_path)
    assert [piece.ids for piece in scanned.pieces(2)] == [["a", "b"], ["c", "d"], ["e"]]
    with pytest.raises(InputError, match="no catalogue at"):
        scan_catalog(tmp_path / "none.csv")


def test_with_column_those_of_csv_are_numbers_where_cells_are(tmp_path, monkeypatch):
    monkeypatch.setattr(scan, "PIECE", 2)
    rows = ["1,a.png,3,1,x,true,", "2,b.png,4,2,1,false,", "3,c.png,,2.5,2,,", "4,d.png,5,NA,NA,true,--"]
    (tmp_path / "t.csv").write_text("id_str,file_loc,votes,z,name,seen,empty\n" + "\n".join(rows))
    for size in (1, 2, 10):
        pieces = [piece.table for piece in scan_catalog(tmp_path / "t.csv", keep=None).pieces(size)]
        assert {str(p["votes"].dtype) for p in pieces} <= {"int64", "Int64"}
        assert {p["z"].dtype.kind for p in pieces} == {"f"}
        assert [cell for p in pieces for cell in p["name"]] == ["x", "1", "2", None]
        assert np.isnan([cell for p in pieces for cell in p["empty"]]).all()
        np.testing.assert_array_equal([cell for p in pieces for cell in p["z"]], [1, 2, 2.5, np.nan])
