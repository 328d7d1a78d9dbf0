"""Tables are read in pieces, and damage is named by its place."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from astropy.io import fits

from galaxalign.data.tables import TABLE_SUFFIXES, open_table, read_table, write_table
from galaxalign.errors import InputError

FILES = Path(__file__).parents[1] / "catalogs" / "files"


def galaxies(n: int = 1000) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "id_str": [f"{8647474693038342230 + row}" for row in range(n)],
            "label": ["spiral" if row % 3 else None for row in range(n)],
            "ra": np.linspace(0, 359, n),
            "votes": pd.array([None if row % 5 == 0 else 2**53 + row for row in range(n)], "Int64"),
        }
    )


@pytest.mark.parametrize("suffix", TABLE_SUFFIXES)
def test_pieces_hold_the_rows_of_the_whole_in_order(tmp_path: Path, suffix: str) -> None:
    file = open_table(write_table(galaxies(), tmp_path / f"t{suffix}"))
    assert file.names == ["id_str", "label", "ra", "votes"]
    assert file.rows in (1000, None)
    pieces = list(file.pieces(["ra", "id_str"], text=["id_str"], size=300))
    assert max(map(len, pieces)) <= 300
    joined = pd.concat(pieces)
    assert joined["id_str"].tolist() == galaxies()["id_str"].tolist()
    np.testing.assert_allclose(joined["ra"].astype(float), galaxies()["ra"])


@pytest.mark.parametrize("suffix", TABLE_SUFFIXES)
def test_integers_with_missing_values_stay_integers(tmp_path: Path, suffix: str) -> None:
    table = read_table(write_table(galaxies(), tmp_path / f"t{suffix}"), text_columns=("id_str",))
    assert table["votes"].isna().sum() == 200
    assert [int(value) for value in table["votes"].dropna()] == galaxies()["votes"].dropna().tolist()


def test_damaged_row_group_named_and_nothing_given_as_if_whole(tmp_path: Path) -> None:
    path = tmp_path / "t.parquet"
    table = pa.Table.from_pandas(galaxies(400))
    for compression in ("zstd", "none"):
        with pq.ParquetWriter(path, table.schema, compression=compression, write_page_checksum=True) as writer:
            for first in range(0, 400, 100):
                writer.write_table(table.slice(first, 100))
        content = bytearray(path.read_bytes())
        chunk = pq.ParquetFile(path).metadata.row_group(2).column(0)
        middle = (chunk.dictionary_page_offset or chunk.data_page_offset) + chunk.total_compressed_size // 2
        content[middle : middle + 8] = bytes(byte ^ 0xFF for byte in content[middle : middle + 8])
        path.write_bytes(content)
        with pytest.raises(InputError, match=r"t\.parquet is damaged in row group 3 of 4, rows 201 to 300"):
            read_table(path)
        # Who needs other columns only can have them.
        assert len(pd.concat(open_table(path).pieces(["ra"]))) == 400


def test_a_csv_piece_is_text_and_the_whole_is_typed(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text("n,f,t,b,when,none,twice,twice\n 1,1e3,x,True,2020-01-01,,1,2\n,NA,NA,false,2021-01-01,,3,4\n")
    piece = next(open_table(path).pieces())
    assert piece["n"].tolist() == [" 1", ""]
    table = read_table(path)
    assert table["n"].tolist() == [1, pd.NA]
    assert table["f"][0] == 1000
    assert table["t"].isna().tolist() == [False, True]
    assert table["b"].tolist() == [True, False]
    assert table["when"].tolist() == ["2020-01-01", "2021-01-01"]
    assert table["none"].isna().all()
    assert table["twice.1"].tolist() == [2, 4]


def test_fits_nulls_of_integers_and_booleans_are_missing(tmp_path: Path) -> None:
    columns = [
        fits.Column("votes", "J", null=-99, array=np.array([1, -99, 3])),
        fits.Column("unsigned", "J", bzero=2**31, array=np.array([0, 1, 2**32 - 1], np.uint32)),
        fits.Column("list", "PJ()", array=np.array([[1], [2, 3], []], dtype=object)),
        fits.Column("flux", "3E", array=np.ones((3, 3))),
        fits.Column("name", "4A", array=["a", "b", ""]),
    ]
    fits.BinTableHDU.from_columns(columns).writeto(tmp_path / "t.fits")
    file = open_table(tmp_path / "t.fits")
    assert file.names == ["votes", "unsigned", "name"]
    table = pd.concat(file.pieces(size=2))
    assert table["votes"].isna().tolist() == [False, True, False]
    assert table["unsigned"].tolist() == [0, 1, 2**32 - 1]
    assert table["name"].tolist() == ["a", "b", ""]
    maybe = pd.DataFrame({"maybe": pd.array([True, None, False], "boolean")})
    assert read_table(write_table(maybe, tmp_path / "b.fits"))["maybe"].tolist() == [True, pd.NA, False]


def test_a_fits_table_cut_short_says_how_much_is_there(tmp_path: Path) -> None:
    path = write_table(galaxies(), tmp_path / "t.fits")
    path.write_bytes(path.read_bytes()[:20_000])
    with pytest.raises(InputError, match=r"cut short: \d+ of 1000 rows"):
        open_table(path)


def test_units_are_known(tmp_path: Path) -> None:
    assert open_table(FILES / "radians.fits").units == {"ra": "rad", "dec": "arcsec"}
    assert open_table(FILES / "binary2.vot").units == {"ra": "deg", "dec": "deg"}
    assert open_table(write_table(galaxies(2), tmp_path / "t.parquet")).units == {"ra": "deg"}
    assert open_table(write_table(galaxies(2), tmp_path / "t.csv")).units == {}


def test_a_csv_separated_by_semicolons_is_refused(tmp_path):
    path = tmp_path / "a.csv"
    path.write_text("id_str;ra;dec\n1;2;3\n")
    with pytest.raises(InputError, match="one column called 'id_str;ra;dec'; separate its columns by commas"):
        open_table(path)
