"""Tables are written in pieces, whole or not at all, and say what their columns mean."""

from __future__ import annotations

import csv
import io
import os
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
from astropy.io import fits
from astropy.io.votable import parse_single_table, validate
from astropy.table import Table

from galaxalign.data.catalogs import read_catalog
from galaxalign.data.tables import TABLE_SUFFIXES, TableWriter, open_table, read_table, write_table
from galaxalign.errors import InputError


def predictions(n: int = 9) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "id_str": [f"{8647474693038342230 + row}" for row in range(n)],
            "label": ["edge_on" if row else "" for row in range(n)],
            "ra": np.where(np.arange(n) == 1, np.nan, np.linspace(0, 359, n)),
            "dec": np.linspace(-90, 90, n),
            "probability_edge_on": np.linspace(0, 1, n).astype(np.float32),
            "votes": pd.array([None if row == 2 else row for row in range(n)], "Int64"),
            "big": np.arange(n, dtype=np.uint64) + np.uint64(2**63),
            "seen": pd.array([None if row == 3 else row > 4 for row in range(n)], "boolean"),
            "status": ["there is no image <a&b>é" if row == 0 else "ok" for row in range(n)],
        }
    )


@pytest.fixture(params=TABLE_SUFFIXES)
def written(tmp_path: Path, request: pytest.FixtureRequest) -> Path:
    path = tmp_path / "new" / f"predictions{request.param}"
    with TableWriter(path, metadata={"model": "é"}) as writer:
        for first in range(0, 9, 4):
            writer.write(predictions()[first : first + 4])
            assert not path.exists()
    return path


def test_pieces_make_the_same_table_as_a_whole(written: Path, tmp_path: Path) -> None:
    whole = write_table(predictions(), tmp_path / f"whole{''.join(written.suffixes)}", metadata={"model": "é"})
    assert whole.read_bytes() == written.read_bytes()
    assert os.listdir(written.parent) == [written.name]
    table, expected = read_table(written, text_columns=("id_str",)), predictions()
    assert table["id_str"].tolist() == expected["id_str"].tolist()
    assert table["status"].tolist() == expected["status"].tolist()
    assert table["votes"].isna().tolist() == expected["votes"].isna().tolist()
    assert [int(value) for value in table["big"]] == expected["big"].tolist()
    np.testing.assert_array_equal(table["ra"], expected["ra"])


def test_an_exception_leaves_what_was_there(written: Path) -> None:
    before = written.read_bytes()

    def stopped() -> None:
        with TableWriter(written) as writer:
            writer.write(predictions())
            raise OSError("the image disk is gone")

    with pytest.raises(OSError, match="image disk"):  # not blamed on the output
        stopped()
    assert written.read_bytes() == before
    assert os.listdir(written.parent) == [written.name]


@pytest.mark.parametrize("suffix", TABLE_SUFFIXES)
def test_a_table_without_rows_keeps_its_columns(tmp_path: Path, suffix: str) -> None:
    path = write_table(predictions()[:0], tmp_path / f"t{suffix}")
    assert open_table(path).names == list(predictions().columns)


def test_vectors_are_refused_before_anything_is_written(tmp_path: Path) -> None:
    frame = pd.DataFrame({"id_str": ["a"], "vector": [np.ones(3)]})
    for suffix in (".csv", ".fits", ".vot"):
        with pytest.raises(InputError, match="vector holds vectors"):
            write_table(frame, tmp_path / f"t{suffix}")
    assert list(tmp_path.iterdir()) == []


def test_fits_says_units_ucds_and_descriptions(tmp_path: Path) -> None:
    path = write_table(predictions(), tmp_path / "t.fits")
    with fits.open(path, checksum=True) as file:
        file.verify("exception")
        header = file[1].header
    number = next(n for n in range(1, 10) if header[f"TTYPE{n}"] == "ra")
    assert (header[f"TUNIT{number}"], header[f"TUCD{number}"]) == ("deg", "pos.eq.ra;meta.main")
    assert header["TUCD1"] == "meta.id;meta.main"
    assert header["TCOMM5"] == "Probability of the class edge on"
    assert Table.read(path)["votes"].mask.tolist() == predictions()["votes"].isna().tolist()


def test_votable_says_units_ucds_and_descriptions_and_is_valid(tmp_path: Path) -> None:
    path = write_table(predictions(), tmp_path / "t.vot", metadata={"model": 'a "b" <c>'})
    said = io.StringIO()
    assert validate(path, output=said, xmllint=False), said.getvalue()
    fields = {entry.name: entry for entry in parse_single_table(path).fields}
    assert (fields["dec"].unit, fields["dec"].ucd) == ("deg", "pos.eq.dec;meta.main")
    assert fields["probability_edge_on"].ucd == "stat.probability"
    assert fields["label"].description == "Morphological class"
    assert (fields["label"].datatype, fields["status"].datatype) == ("char", "unicodeChar")


def test_parquet_says_them_field_by_field_and_as_voparquet(tmp_path: Path) -> None:
    schema = pq.read_schema(write_table(predictions(), tmp_path / "t.parquet"))
    assert schema.field("ra").metadata[b"unit"] == b"deg"
    assert schema.field("id_str").metadata[b"ucd"] == b"meta.id;meta.main"
    assert schema.metadata[b"IVOA.VOTable-Parquet.version"] == b"1.0"
    header = parse_single_table(io.BytesIO(schema.metadata[b"IVOA.VOTable-Parquet.content"]))
    assert [entry.name for entry in header.fields] == schema.names
    assert header.get_field_by_id_or_name("ra").unit == "deg"


@pytest.mark.skipif(shutil.which("stilts") is None, reason="stilts is not installed (Debian: apt install stilts)")
@pytest.mark.parametrize("suffix", [".fits", ".vot", ".csv"])
def test_stilts_which_is_topcat_opens_what_we_write(tmp_path: Path, suffix: str) -> None:
    def stilts(*arguments: str) -> str:
        done = subprocess.run(["stilts", *arguments], capture_output=True, text=True, check=True, timeout=300)
        assert "WARNING" not in done.stderr
        return done.stdout

    path = write_table(predictions().assign(status="ok"), tmp_path / f"t{suffix}", metadata={"model": "m"})
    kind = f"ifmt={suffix[1:].replace('vot', 'votable')}"
    rows = list(csv.DictReader(io.StringIO(stilts("tpipe", f"in={path}", kind, "ofmt=csv"))))
    assert [row["id_str"] for row in rows] == predictions()["id_str"].tolist()
    assert [row["votes"] for row in rows][:4] == ["0", "1", "", "3"]
    if suffix == ".csv":
        return
    known = stilts("tpipe", f"in={path}", kind, "cmd=meta name units ucd", "ofmt=csv")
    assert "ra,deg,pos.eq.ra;meta.main" in known
    if suffix == ".vot":
        assert stilts("votlint", str(path)) == ""
    # and the way back, through the binary kinds that it prefers
    back = tmp_path / f"back{suffix}"
    stilts(
        "tpipe", f"in={path}", kind, f"out={back}", f"ofmt={'fits-plus' if suffix == '.fits' else 'votable-binary2'}"
    )
    before, after = (read_catalog(file, require=("id_str",)) for file in (path, back))
    assert after.fingerprint == before.fingerprint
    assert after.table["votes"].isna().tolist() == before.table["votes"].isna().tolist()
