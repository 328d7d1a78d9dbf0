"""A HATS catalogue, as lsdb writes it, is read as the table of its rows."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import galaxalign
from galaxalign.data.catalogs import read_catalog, scan, scan_catalog
from galaxalign.data.splits.splits import read_split
from galaxalign.data.tables import write_table
from galaxalign.data.tables.hats import is_hats, open_hats
from galaxalign.errors import InputError

pytestmark = pytest.mark.filterwarnings("ignore:The inplace keyword")  # lsdb's own

ROWS = 600


def galaxies() -> pd.DataFrame:
    rng = np.random.default_rng(0)
    dec = np.degrees(np.arcsin(rng.uniform(-1, 1, ROWS)))
    return pd.DataFrame(
        {
            "id_str": np.arange(ROWS) + 8647474693038342230,
            "file_loc": [f"images/{row}.jpg" for row in range(ROWS)],
            "label": ["" if row % 4 == 0 else str(row % 4) for row in range(ROWS)],
            "RAdeg": rng.uniform(0, 360, ROWS),
            "DEdeg": dec,
            "votes": pd.array([None if row % 5 == 0 else 2**53 + row for row in range(ROWS)], "Int64"),
        }
    )


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with the collection `survey` that lsdb wrote, margin and all, in partitions of two orders."""
    lsdb = pytest.importorskip("lsdb", reason="lsdb is not installed: pip install 'galaxalign[hats]'")
    import dask

    folder = tmp_path_factory.mktemp("hats")
    with dask.config.set(scheduler="synchronous"):
        survey = lsdb.from_dataframe(
            galaxies(), ra_column="RAdeg", dec_column="DEdeg", partition_rows=52, margin_threshold=3600
        )
        survey.write_catalog(folder / "survey", catalog_name="objects", progress_bar=False)
    return folder / "survey"


@pytest.fixture
def survey(written: Path, tmp_path: Path) -> Path:
    """Return a catalogue of its own to each test, without its collection."""
    return Path(shutil.copytree(written / "objects", tmp_path / "survey"))


@pytest.fixture(autouse=True)
def small_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scan, "PIECE", 16)


def partitions(survey: Path) -> list[Path]:
    return sorted(survey.glob("dataset/Norder=*/Dir=*/Npix=*.parquet"))


def said(survey: Path) -> str:
    """Return the sentence that refuses a catalogue, which is one and the same whole and in pieces."""
    sentences = set()
    for read in (read_catalog, scan_catalog):
        with pytest.raises(InputError) as caught:
            read(survey)
        sentences.add(str(caught.value))
    (sentence,) = sentences
    return sentence


@pytest.mark.parametrize("part", ["", "objects"])
def test_collection_and_its_catalogue_are_rows_in_order_of_lsdb(written: Path, part: str) -> None:
    import dask
    import lsdb

    with dask.config.set(scheduler="synchronous"):
        expected = lsdb.open_catalog(written / part).compute()
    whole = read_catalog(written / part)
    assert whole.table.columns.tolist() == ["id_str", "file_loc", "label", "ra", "dec", "votes"]
    assert whole.ids == [str(identity) for identity in expected["id_str"]]
    np.testing.assert_array_equal(whole.table["ra"], expected["RAdeg"])
    assert whole.table["votes"].isna().sum() == ROWS // 5
    assert whole.table["votes"].max() == 2**53 + ROWS - 1
    assert whole.source == (part or "survey")


def test_pieces_are_the_whole(survey: Path) -> None:
    assert {file.parts[-3] for file in partitions(survey)} == {"Norder=0", "Norder=1"}
    whole, scanned = read_catalog(survey), scan_catalog(survey, keep=("votes",))
    assert (len(scanned), scanned.source) == (ROWS, "survey")
    assert scanned.fingerprint == whole.fingerprint
    pieces = list(scanned.pieces(40))
    assert max(map(len, pieces)) == 40
    assert [identity for piece in pieces for identity in piece.ids] == whole.ids
    assert [path for piece in pieces for path in piece.paths()] == whole.paths()
    assert [text for piece in pieces for text in piece.texts("votes")] == whole.texts("votes")
    np.testing.assert_array_equal(np.concatenate([piece.table["dec"] for piece in pieces]), whole.table["dec"])


def test_it_is_the_same_catalogue_as_its_rows_in_csv(survey: Path, tmp_path: Path) -> None:
    table = read_catalog(write_table(galaxies(), tmp_path / "survey.csv"), columns={"ra": "RAdeg", "dec": "DEdeg"})
    found = read_catalog(survey)
    assert found.fingerprint == table.fingerprint
    assert found.source == table.source
    assert sorted(found.ids) == sorted(table.ids)
    assert set(found.paths()) == set(table.paths())


def test_images_lie_relative_to_folder_that_holds_the_directory(
    survey: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert tmp_path / "images" / "0.jpg" in read_catalog(survey).paths()
    monkeypatch.chdir(survey)
    assert tmp_path / "images" / "0.jpg" in read_catalog(".").paths()
    assert read_catalog(".").source == "survey"


def test_positions_are_columns_hats_names_unless_told_otherwise(survey: Path) -> None:
    assert scan_catalog(survey).pieces().__next__().table.columns.tolist() == [
        "id_str",
        "file_loc",
        "label",
        "ra",
        "dec",
    ]
    renamed = read_catalog(survey, columns={"ra": "votes", "name": "label"}).table
    assert renamed["ra"].max() == 2**53 + ROWS - 1
    assert {"RAdeg", "name"} < set(renamed.columns)
    with pytest.raises(InputError, match="has no column nowhere; its columns are id_str, file_loc, label, RAdeg"):
        read_catalog(survey, columns={"id_str": "nowhere"})


def test_lists_and_the_index_of_the_sky_are_left_out(survey: Path) -> None:
    for file in partitions(survey):
        table = pq.read_table(file, partitioning=None)
        assert "_healpix_29" in table.column_names
        curve = pa.array([[1.0, 2.0]] * len(table))
        both = pa.StructArray.from_arrays([curve, curve], ["time", "flux"])
        pq.write_table(table.append_column("curve", curve).append_column("nested", both), file)
    assert open_hats(survey).names == ["id_str", "file_loc", "label", "RAdeg", "DEdeg", "votes"]
    assert len(read_catalog(survey)) == ROWS


def test_units_of_the_columns_are_honoured(survey: Path) -> None:
    before = np.sort(read_catalog(survey).table["ra"])
    for file in partitions(survey):
        table = pq.read_table(file, partitioning=None)
        place = table.schema.get_field_index("RAdeg")
        radians = pa.array(np.radians(table["RAdeg"].to_numpy()))
        pq.write_table(
            table.set_column(place, pa.field("RAdeg", pa.float64(), metadata={"unit": "rad"}), radians), file
        )
    np.testing.assert_allclose(np.sort(read_catalog(survey, quiet=True).table["ra"]), before)


def test_a_partition_may_be_a_folder_of_files(survey: Path) -> None:
    expected = read_catalog(survey).ids
    for file in partitions(survey):
        table = pq.read_table(file, partitioning=None)
        file.unlink()
        folder = file.with_suffix("")
        folder.mkdir()
        (folder / "_SUCCESS").touch()
        for number, first in enumerate(range(0, len(table), 25)):
            pq.write_table(table.slice(first, 25), folder / f"part{number}.snappy")
    for name in ("hats.properties", "properties"):
        about = (survey / name).read_text()
        (survey / name).write_text(about.replace("hats_npix_suffix=.parquet", "hats_npix_suffix=/"))
    assert read_catalog(survey).ids == expected


def test_a_missing_partition_is_named(survey: Path) -> None:
    first, second, *_ = partitions(survey)
    first.unlink()
    assert said(survey) == f"{survey} lacks the partition {first}; fetch what is missing"
    second.unlink()
    assert "and 1 more; fetch what is missing" in said(survey)
    # Without the list of partitions only their number of rows tells.
    (survey / "partition_info.csv").unlink()
    assert f"rows in its {len(partitions(survey))} partition files, where its properties say {ROWS}" in said(survey)


def test_a_damaged_partition_is_named(survey: Path) -> None:
    file = partitions(survey)[3]
    content = file.read_bytes()
    file.write_bytes(content[:-100])
    assert f"{file} cannot be read as .parquet" in said(survey)
    file.write_bytes(b"")
    assert f"{file} is empty (zero bytes)" in said(survey)
    column = next(
        column
        for column in map(pq.ParquetFile(partitions(survey)[4]).metadata.row_group(0).column, range(7))
        if column.path_in_schema == "file_loc"
    )
    file.write_bytes(content)
    file = partitions(survey)[4]
    damaged = bytearray(file.read_bytes())
    start = column.dictionary_page_offset or column.data_page_offset
    damaged[start : start + 40] = bytes(byte ^ 0xFF for byte in damaged[start : start + 40])
    file.write_bytes(damaged)
    assert f"{file} is damaged in row group 1 of 1" in said(survey)


def test_a_partition_with_other_columns_is_named(survey: Path) -> None:
    file = partitions(survey)[-1]
    pq.write_table(pq.read_table(file, partitioning=None).drop_columns("label"), file)
    assert said(survey) == (
        f"{file} has no column label, which other partitions of {survey} have; fetch this file again"
    )


def test_what_tells_nothing_new_may_be_missing(survey: Path) -> None:
    expected = read_catalog(survey).ids
    for name in (
        "hats.properties",
        "partition_info.csv",
        "point_map.fits",
        "dataset/_metadata",
        "dataset/_common_metadata",
    ):
        (survey / name).unlink()
        assert read_catalog(survey).ids == expected, name


def test_damaged_properties_are_said(survey: Path) -> None:
    (survey / "partition_info.csv").write_text("nothing\n1\n")
    assert f"{survey} cannot be opened as a HATS catalogue (" in said(survey)
    (survey / "hats.properties").write_text("obs_collection=survey\n")
    assert "dataproduct_type" in said(survey)


def test_a_margin_is_no_catalogue(written: Path) -> None:
    (margin,) = (folder for folder in written.iterdir() if folder.is_dir() and folder.name != "objects")
    assert said(margin) == (
        f"{margin} is the margin of a HATS catalogue and not one itself; give the catalogue of objects"
    )


def test_without_the_extra_its_installation_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "survey").mkdir()
    (tmp_path / "survey" / "hats.properties").touch()
    monkeypatch.setitem(sys.modules, "hats", None)
    assert said(tmp_path / "survey") == (
        f"{tmp_path / 'survey'} is a HATS catalogue, for which lsdb is needed; "
        "install it with: pip install 'galaxalign[hats]'"
    )


def test_other_folders_are_no_hats(tmp_path: Path) -> None:
    (tmp_path / "properties").write_text("creator_did=ivo://a HiPS\n")
    assert not is_hats(tmp_path)
    assert not is_hats(tmp_path / "absent")


def test_split_and_audit_take_it(survey: Path, tmp_path: Path) -> None:
    table = write_table(galaxies().rename(columns={"RAdeg": "ra", "DEdeg": "dec"}), tmp_path / "survey.csv")
    parts = []
    for number, source in enumerate((survey, table)):
        split = galaxalign.split(catalogs=[source], out=tmp_path / f"{number}.parquet", quiet=True)
        rows = read_split(split).table
        parts.append(dict(zip(rows["id_str"], rows["part"], strict=True)))
    assert parts[0] == parts[1]
    found = [
        galaxalign.audit(catalog=source, split=tmp_path / "1.parquet", radius="2deg", images=False, quiet=True)
        for source in (survey, table)
    ]
    assert found[0].leaks == found[1].leaks
    assert found[0].leaks
    assert sorted(found[0].findings["detail"]) == sorted(found[1].findings["detail"])


@pytest.mark.slow
def test_the_command_line_splits_it(survey: Path, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "galaxalign", "split", str(survey), "--out", str(tmp_path / "s.parquet")]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env={**os.environ, "COLUMNS": "200"})
    assert done.returncode == 0, done.stderr
    assert len(read_split(tmp_path / "s.parquet").table) == ROWS


@pytest.mark.real
def test_audit_finds_the_same_pairs_across_partitions(shared: Path, tmp_path: Path) -> None:
    lsdb = pytest.importorskip("lsdb", reason="lsdb is not installed: pip install 'galaxalign[hats]'")
    import dask

    table = pd.read_csv(shared / "data" / "galaxy10_decals_coordinates.csv")
    with dask.config.set(scheduler="synchronous"):
        survey = lsdb.from_dataframe(
            table, ra_column="RA", dec_column="DEC", partition_rows=1000, margin_threshold=None
        )
        survey.write_catalog(tmp_path / "galaxy10", as_collection=False, progress_bar=False)
    assert len(partitions(tmp_path / "galaxy10")) > 20
    distances = dict(galaxalign.audit(catalog=tmp_path / "galaxy10", quiet=True).distances)
    assert (distances["1"], distances["60"]) == (59, 220)


@pytest.mark.parametrize(
    "address", ["https://example.org/hats/desi", "s3://bucket/desi.parquet", "https://x.org/*.csv"]
)
def test_an_address_is_said_to_be_one(address: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"is an address, .*; fetch the table or the HATS directory first"):
        read_catalog(Path(address))
    with pytest.raises(InputError, match="is an address"):
        scan_catalog(Path(address))
    with pytest.raises(InputError, match="is an address, .*galaxalign data fetch gz_desi downloads"):
        galaxalign.convert(name="gz_desi", from_=address, out=tmp_path / "out")
