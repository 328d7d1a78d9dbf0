"""Catalogues come in from four kinds of table, folders and globs, or one sentence says why not."""

from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from astropy.io import fits
from astropy.table import MaskedColumn, Table
from hypothesis import given, settings, strategies as st
from PIL import Image

from galaxalign.data.catalogs import as_catalog, read_catalog, scan_catalog
from galaxalign.data.tables import TABLE_SUFFIXES, write_table
from galaxalign.errors import InputError

LONG = ["8647474693038342230", "8647474693038342231", "587732578312454276"]


def galaxies() -> pd.DataFrame:
    return pd.DataFrame(
        {
            "id_str": LONG,
            "file_loc": [f"images/{name}.jpg" for name in LONG],
            "label": ["spiral", "elliptical", "spiral"],
            "ra": [10.5, 20.25, 359.0],
            "votes": [3, 4, 5],
        }
    )


@pytest.fixture
def csv(tmp_path: Path) -> Path:
    return write_table(galaxies(), tmp_path / "survey.csv")


# What comes in --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("suffix", TABLE_SUFFIXES)
def test_every_kind_of_table_comes_back_as_it_went(tmp_path: Path, suffix: str) -> None:
    path = write_table(galaxies(), tmp_path / f"survey{suffix}")
    catalog = read_catalog(path)
    assert len(catalog) == 3
    assert catalog.ids == LONG
    assert catalog.source == "survey"
    assert catalog.paths()[0] == tmp_path / "images" / f"{LONG[0]}.jpg"
    assert catalog.texts("label") == ["spiral", "elliptical", "spiral"]
    assert catalog.table["ra"].tolist() == [10.5, 20.25, 359.0]
    assert catalog.table["votes"].tolist() == [3, 4, 5]


@pytest.mark.parametrize("suffix", TABLE_SUFFIXES)
def test_nineteen_digits_survive_as_integers_of_kind_of_table(tmp_path: Path, suffix: str) -> None:
    frame = galaxies().assign(id_str=np.array(LONG, dtype=np.int64))
    assert read_catalog(write_table(frame, tmp_path / f"survey{suffix}")).ids == LONG


def test_long_ids_survive_renaming_and_missing_values(tmp_path: Path) -> None:
    frame = galaxies().drop(columns="id_str").assign(ObjID=pd.array([int(LONG[0]), int(LONG[1]), None], "Int64"))
    for suffix in (".csv", ".parquet"):
        path = write_table(frame, tmp_path / f"survey{suffix}")
        with pytest.raises(InputError, match="no id_str in row 3"):
            read_catalog(path, columns={"id_str": "objid"})
        whole = write_table(frame[:2], path)
        assert read_catalog(whole, columns={"id_str": "objid"}).ids == LONG[:2]


def test_masked_integer_ids_of_fits_are_missing_not_floats(tmp_path: Path) -> None:
    ids = MaskedColumn(np.array(LONG, np.int64), mask=[False, False, True], fill_value=-1)
    Table({"id_str": ids, "file_loc": ["a", "b", "c"]}).write(tmp_path / "masked.vot", format="votable")
    with pytest.raises(InputError, match="no id_str in row 3"):
        read_catalog(tmp_path / "masked.vot")


@settings(deadline=None)  # the first call imports pandas and pyarrow
@given(st.lists(st.integers(0, 2**64 - 1), min_size=1, max_size=5, unique=True))
def test_any_64_bit_id_survives_csv_and_parquet(tmp_path_factory: pytest.TempPathFactory, ids: list[int]) -> None:
    folder = tmp_path_factory.mktemp("ids")
    frame = pd.DataFrame({"id_str": np.array(ids, np.uint64), "file_loc": "x.jpg"})
    for suffix in (".csv", ".parquet"):
        assert read_catalog(write_table(frame, folder / f"t{suffix}")).ids == [str(value) for value in ids]


@pytest.mark.parametrize("suffix", [".csv", ".parquet", ".fits", ".vot"])
def test_ids_that_lost_digits_in_a_float_column_are_refused(tmp_path: Path, suffix: str) -> None:
    frame = galaxies().assign(id_str=np.array(LONG, dtype=np.float64))
    path = write_table(frame, tmp_path / f"survey{suffix}")
    with pytest.raises(InputError, match=r"floating-point numbers, which lost digits \(row 1"):
        read_catalog(path)


def test_short_ids_in_a_float_column_have_lost_nothing(tmp_path: Path) -> None:
    frame = galaxies().assign(id_str=[1.0, 2.0, 3.0])
    for suffix in (".csv", ".parquet", ".fits"):
        assert read_catalog(write_table(frame, tmp_path / f"t{suffix}")).ids == ["1", "2", "3"]
    with pytest.raises(InputError, match="lost digits"):
        as_catalog(frame.assign(id_str=np.array([1, 2, 2**25], np.float32)))
    with pytest.raises(InputError, match=r"1\.5 in row 2.*whole number"):
        as_catalog(frame.assign(id_str=[1.0, 1.5, 2.0]))


def test_rounded_ids_are_refused_hexadecimal_ids_are_text(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text("id_str,file_loc\n5.87733E+17,a.jpg\n")
    with pytest.raises(InputError, match="lost digits"):
        read_catalog(path)
    path.write_text("id_str,file_loc\n587e17,a.jpg\n0012,b.jpg\nNA,c.jpg\nnull,d.jpg\n")
    assert read_catalog(path).ids == ["587e17", "0012", "NA", "null"]


def test_names_of_columns_match_without_regard_to_case(tmp_path: Path) -> None:
    frame = galaxies().rename(columns={"id_str": "ID_str", "file_loc": "File_Loc", "label": "LABEL", "ra": "RA"})
    catalog = read_catalog(write_table(frame, tmp_path / "t.csv"))
    assert catalog.table.columns.tolist() == ["id_str", "file_loc", "label", "ra", "votes"]
    assert catalog.ids == LONG
    both = frame.assign(ra=0.0)
    with pytest.raises(InputError, match=r"'RA' and 'ra', which both mean ra"):
        read_catalog(write_table(both, tmp_path / "t.csv"))


def test_columns_of_vectors_in_fits_are_left_out(tmp_path: Path) -> None:
    table = Table({"id_str": ["a", "b"], "file_loc": ["a.jpg", "b.jpg"], "flux": np.ones((2, 5))})
    table.write(tmp_path / "t.fits")
    assert read_catalog(tmp_path / "t.fits").table.columns.tolist() == ["id_str", "file_loc"]


def test_a_byte_order_mark_and_blanks_do_no_harm(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_bytes(b"\xef\xbb\xbfid_str,file_loc\n 12 , a b.jpg \n")
    catalog = read_catalog(path)
    assert catalog.ids == ["12"]
    assert catalog.paths() == [tmp_path / "a b.jpg"]


def test_a_missing_file_loc_is_left_to_the_status_of_its_row(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text("id_str,file_loc\na,a.jpg\nb,\n")
    assert read_catalog(path).table["file_loc"].tolist() == ["a.jpg", ""]


def test_without_images_and_ids_the_rows_are_numbered(tmp_path: Path) -> None:
    (tmp_path / "sky.csv").write_text("RA,DEC\n1,2\n3,4\n")
    catalog = read_catalog(tmp_path / "sky.csv", require=("ra", "dec"))
    assert catalog.ids == ["0", "1"]
    with pytest.raises(InputError, match="no column file_loc"):
        catalog.paths()


def test_folders_and_globs_of_images_are_catalogues(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("b.JPG", "a.png", "deep/c.jpg"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        Image.new("RGB", (4, 4)).save(tmp_path / name)
    (tmp_path / "notes.txt").write_text("no image")
    folder = read_catalog(tmp_path)
    assert folder.ids == ["a", "b"]
    assert folder.paths() == [tmp_path / "a.png", tmp_path / "b.JPG"]
    assert folder.source == tmp_path.name
    deep = read_catalog(str(tmp_path / "**" / "*.*"))
    assert sorted(deep.ids) == ["a", "b", "c"]
    assert all(path.is_file() for path in deep.paths())
    monkeypatch.chdir(tmp_path)
    assert read_catalog("*.png").ids == ["a"]
    assert read_catalog("*/*.jpg").paths()[0].is_file()


def test_a_folder_without_images_points_at_the_table_in_it(csv: Path) -> None:
    with pytest.raises(InputError, match=r"holds no images.*survey\.csv"):
        read_catalog(csv.parent)
    with pytest.raises(InputError, match="holds no images"):
        read_catalog(csv.parent / "*.jpg")


def test_images_with_one_stem_clash(tmp_path: Path) -> None:
    for name in ("a.png", "a.jpg"):
        Image.new("RGB", (4, 4)).save(tmp_path / name)
    with pytest.raises(InputError, match=r"more than once \(first: a\)"):
        read_catalog(tmp_path)


# What is refused ------------------------------------------------------------------------------------------


def test_missing_catalogue_and_unknown_suffix_say_what_would_do(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"no catalogue at .*nothing\.csv"):
        read_catalog(tmp_path / "nothing.csv")
    (tmp_path / "t.xlsx").write_bytes(b"PK")
    with pytest.raises(InputError, match=r"t\.xlsx is no kind of table.*\.parquet"):
        read_catalog(tmp_path / "t.xlsx")


def test_a_lacking_column_lists_those_that_are_there(tmp_path: Path) -> None:
    path = write_table(galaxies().drop(columns="file_loc"), tmp_path / "t.csv")
    with pytest.raises(InputError, match=r"t\.csv has no column file_loc; its columns are id_str, label, ra, votes"):
        read_catalog(path)
    assert read_catalog(path, require=("id_str",)).ids == LONG
    with pytest.raises(InputError, match="no column objid"):
        read_catalog(path, columns={"id_str": "objid"})


def test_duplicated_ids_are_named(tmp_path: Path) -> None:
    frame = pd.concat([galaxies(), galaxies()[1:]])
    with pytest.raises(InputError, match=f"2 id_str more than once \\(first: {LONG[1]}, {LONG[2]}\\)"):
        read_catalog(write_table(frame, tmp_path / "t.csv"))


@pytest.mark.parametrize("suffix", TABLE_SUFFIXES)
def test_a_catalogue_without_rows_is_refused(tmp_path: Path, suffix: str) -> None:
    path = write_table(galaxies()[:0], tmp_path / f"t{suffix}")
    with pytest.raises(InputError, match="has no rows"):
        read_catalog(path)


@pytest.mark.parametrize("suffix", TABLE_SUFFIXES)
@pytest.mark.parametrize("content", [b"", b"\x00\xff\xfe garbage \x1f\x8b" * 20])
def test_unreadable_files_get_one_sentence(tmp_path: Path, suffix: str, content: bytes) -> None:
    path = tmp_path / f"t{suffix}"
    path.write_bytes(content)
    with pytest.raises(InputError) as caught:
        read_catalog(path)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("suffix", [".csv.gz", ".parquet", ".fits", ".vot"])
def test_truncated_tables_are_refused(tmp_path: Path, suffix: str) -> None:
    frame = pd.concat([galaxies().assign(id_str=[f"{n}-{i}" for i in range(3)]) for n in range(400)])
    path = write_table(frame, tmp_path / f"t{suffix}")
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) * 2 // 3])
    with pytest.raises(InputError, match="cannot be read"):
        read_catalog(path)


@pytest.mark.parametrize("suffix", [".csv", ".csv.gz"])
@pytest.mark.parametrize("row", ["b,b.jpg,surplus", "b"])
def test_row_more_or_fewer_fields_than_header_named_by_line(tmp_path: Path, suffix: str, row: str) -> None:
    lines = ["id_str,file_loc", *(f'a{n},"{n}\n.jpg"' for n in range(500)), row, "c,c.jpg"]
    path = tmp_path / f"t{suffix}"
    (gzip.open if suffix.endswith("gz") else open)(path, "wb").write("\n".join(lines).encode())
    with pytest.raises(InputError, match=rf"has {row.count(',') + 1} fields in line 1002, where the header has 2"):
        read_catalog(path)
    with pytest.raises(InputError, match="in line 1002"):
        scan_catalog(path)


@pytest.mark.parametrize("column", ["id_str", "label", "ra"])
def test_nulls_of_votable_refused_in_ids_and_missing_elsewhere(tmp_path: Path, column: str) -> None:
    path = write_table(galaxies().astype({column: object}).assign(**{column: [1, None, 2]}), tmp_path / "t.vot")
    if column == "id_str":
        for read in (read_catalog, scan_catalog):
            with pytest.raises(InputError, match=r"t\.vot has no id_str in row 2 \(the first is row 1\)"):
                read(path)
    else:
        assert read_catalog(path).texts(column) == ["1", "", "2"]


@pytest.mark.parametrize(("name", "n_notes"), [("binary2.vot", 0), ("radians.fits", 2)])
def test_tables_of_stilts_with_nulls_and_other_units_are_read(
    name: str, n_notes: int, capsys: pytest.CaptureFixture[str]
) -> None:
    path = Path(__file__).parent / "files" / name
    catalog = read_catalog(path)
    assert len(capsys.readouterr().err.splitlines()) == n_notes
    assert catalog.ids == LONG
    assert catalog.texts("label") == ["spiral", "", "edge_on"]
    np.testing.assert_allclose(catalog.table[["ra", "dec"]], [[1.5, -1], [np.nan, 2], [359, 3]])
    assert catalog.table["votes"].tolist() == [3, pd.NA, 2**53 + 1]
    pieces = list(scan_catalog(path, quiet=True).pieces(2))
    np.testing.assert_allclose(pieces[0].table[["ra", "dec"]], [[1.5, -1], [np.nan, 2]])
    assert capsys.readouterr().err == ""


def test_a_unit_that_is_none_of_angle_is_refused(tmp_path: Path) -> None:
    table = Table({"id_str": ["a"], "file_loc": ["a"], "ra": ["12:03:04"]})
    table["ra"].unit = "s"
    table.write(tmp_path / "t.vot", format="votable")
    with pytest.raises(InputError, match=r"gives ra in 's', which is no unit of angle"):
        read_catalog(tmp_path / "t.vot")


def test_renaming_columns_drops_the_former_owner_of_a_name(tmp_path: Path) -> None:
    frame = galaxies().assign(objID=["x", "y", "z"], RA_deg=[1.0, 2.0, 3.0])
    for suffix in TABLE_SUFFIXES:
        path = write_table(frame, tmp_path / f"t{suffix}")
        catalog = read_catalog(path, columns={"ID_STR": "objid", "ra": "RA_DEG", "group": "label"})
        assert catalog.ids == ["x", "y", "z"]
        assert catalog.table["ra"].tolist() == [1, 2, 3]
        assert "label" not in catalog.table
        assert catalog.table["group"].tolist() == frame["label"].tolist()
    both = read_catalog(path, columns={"id_str": "objID", "group": "objID"})
    assert both.table["group"].tolist() == both.ids


def test_a_fits_image_is_no_catalogue(tmp_path: Path) -> None:
    fits.PrimaryHDU(np.zeros((4, 4))).writeto(tmp_path / "image.fits")
    with pytest.raises(InputError, match=r"image\.fits cannot be read as \.fits"):
        read_catalog(tmp_path / "image.fits")


# What a catalogue is --------------------------------------------------------------------------------------


def test_fingerprint_of_what_in_it_not_of_where_or_how_it_kept(tmp_path: Path) -> None:
    frame = galaxies().assign(label=[1, 0, 2])
    first = read_catalog(write_table(frame, tmp_path / "one.csv")).fingerprint
    moved = frame[::-1].assign(file_loc=[f"/elsewhere/{name}.jpg" for name in LONG[::-1]])
    for suffix in TABLE_SUFFIXES:
        assert read_catalog(write_table(moved, tmp_path / "there" / f"two{suffix}")).fingerprint == first
    as_floats = frame.assign(label=[1.0, 0.0, 2.0], votes=9)
    assert as_catalog(as_floats).fingerprint == first
    for changed in (
        frame.assign(label=[1, 0, 3]),
        frame.assign(id_str=["x", *LONG[1:]]),
        frame.assign(file_loc=frame["file_loc"].tolist()[::-1]),
        frame[:2],
    ):
        assert as_catalog(changed).fingerprint != first


def test_a_selection_keeps_order_and_remembers_its_whole() -> None:
    catalog = as_catalog(galaxies())
    some = catalog.select([2, 0])
    assert some.ids == [LONG[2], LONG[0]]
    assert some.table.index.tolist() == [0, 1]
    assert some.fingerprint == catalog.fingerprint
    assert catalog.select(np.array([False, True, False])).ids == [LONG[1]]
    assert len(catalog.select([])) == 0
    with pytest.raises(ValueError, match="mask of 2 rows"):
        catalog.select(np.array([True, False]))


def test_texts_read_one_class_the_same_in_every_kind_of_column() -> None:
    catalog = as_catalog(galaxies().assign(label=[3.0, np.nan, 0.0], other=[" a", None, b"b"]))
    assert catalog.texts("label") == ["3", "", "0"]
    assert catalog.texts("other") == ["a", "", "b"]


def test_a_file_called_catalog_is_named_after_its_folder(tmp_path: Path) -> None:
    assert read_catalog(write_table(galaxies(), tmp_path / "gz9" / "catalog.csv.gz")).source == "gz9"


@pytest.mark.real
def test_the_shared_catalogues_are_read(shared: Path) -> None:
    sizes = {"efigi": 3312, "gz1": 4952, "gz2": 758, "gz2_stripe82": 271}
    for source, size in sizes.items():
        catalog = read_catalog(shared / "data" / source / "catalog.csv")
        assert len(catalog) == size
        assert catalog.source == source
        assert all(path.is_file() for path in catalog.paths()[::50])
    assert {len(identity) for identity in catalog.ids} == {19}


def test_tables_without_ids_are_told_apart_by_their_positions() -> None:
    one, same, other = (
        as_catalog(pd.DataFrame({"ra": ra, "dec": [0.5, 1.5]}), require=()) for ra in ([1, 2.5], [1.0, 2.5], [1, 3])
    )
    assert one.fingerprint == same.fingerprint != other.fingerprint
