"""Known data sets: small files of the published structure become catalogues that the rest of the program reads."""

from __future__ import annotations

import gzip
import io
import shutil
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pandas as pd
import pytest
from PIL import Image

import galaxalign
from galaxalign.data.catalogs import Catalog, load_pictures, read_catalog
from galaxalign.data.images.preprocessing import Preprocessing
from galaxalign.data.splits.splits import read_split
from galaxalign.data.surveys import fetch as fetch_module
from galaxalign.data.surveys.archives import extract, members
from galaxalign.data.surveys.convert import _READERS
from galaxalign.data.surveys.published_votes import ANSWERS, check_votes
from galaxalign.data.surveys.surveys import find_survey, surveys
from galaxalign.errors import InputError
from galaxalign.morphology.taxonomy import load_taxonomy
from tests.data.range_server import Site, serving

RNG = np.random.default_rng(0)


def picture(kind: str = "JPEG", size: int = 48) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(RNG.integers(0, 255, (size, size, 3), dtype=np.uint8)).save(buffer, kind)
    return buffer.getvalue()


def zipped(path: Path, members: dict[str, bytes]) -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return path


def tarred(path: Path, members: dict[str, bytes]) -> Path:
    with tarfile.open(path, "w:gz") as archive:
        for name, content in members.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            archive.addfile(entry, io.BytesIO(content))
    return path


def galaxy10(path: Path, n: int = 23, size: int = 32, **changes: np.ndarray | None) -> Path:
    columns: dict[str, np.ndarray | None] = {
        "ans": np.arange(n, dtype=np.uint8) % 10,
        "ra": np.linspace(0, 350, n),
        "dec": np.linspace(-10, 60, n),
        "redshift": np.linspace(0.01, 0.2, n),
        "pxscale": np.full(n, 0.262),
    } | changes
    with h5py.File(path, "w") as file:
        pixels = RNG.integers(0, 255, (n, size, size, 3), dtype=np.uint8)
        file.create_dataset("images", data=pixels, compression="gzip", chunks=(7, 16, 16, 1))
        for name, values in columns.items():
            if values is not None:
                file.create_dataset(name, data=values)
    return path


def galaxy_mnist(folder: Path, size: int) -> None:
    for part, n in (("train", 40), ("test", 10)):
        plain = folder / "plain.hdf5"
        with h5py.File(plain, "w") as file:
            file.create_dataset("images", data=RNG.integers(0, 255, (n, size, size, 3), dtype=np.uint8))
            file.create_dataset("labels", data=(np.arange(n) % 4).astype(np.uint8))
        (folder / f"{part}_dataset.hdf5.gz").write_bytes(gzip.compress(plain.read_bytes()))
        plain.unlink()


def votes(survey: str, id_column: str, ids: list[object], ra: str = "ra", dec: str = "dec") -> pd.DataFrame:
    n = len(ids)
    table = pd.DataFrame({id_column: ids, ra: np.linspace(0, 300, n), dec: np.linspace(-20, 50, n)})
    return table.assign(**{f"{answer}_fraction": np.linspace(0, 1, n) for answer in ANSWERS[survey]})


SDSS = [587722981736120347 + row for row in range(6)]


def galaxy_zoo_2(folder: Path) -> None:
    table = votes("galaxy_zoo_2", "dr7objid", SDSS)
    table["gz2_class"] = ["Er", "SBb", "Sc", "Ei", "A", "Sc?t"]
    table.to_csv(folder / "gz2_hart16.csv.gz", index=False)
    mapping = pd.DataFrame({"objid": SDSS[::-1], "sample": "original", "asset_id": range(16, 10, -1)})
    mapping.to_csv(folder / "gz2_filename_mapping.csv", index=False)
    members = {f"images/{asset}.jpg": picture() for asset in (11, 12, 13, 14, 15)}
    zipped(folder / "images_gz2.zip", {"images/": b"", "images/._11.jpg": b"debris", "images/99.jpg": b""} | members)


def kaggle(folder: Path) -> None:
    ids = [100008, 100023, 100053]
    table = pd.DataFrame({"GalaxyID": ids} | {answer: [0.38, 0.87, 0.1] for answer in ANSWERS["kaggle_galaxy_zoo"]})
    zipped(folder / "training_solutions_rev1.zip", {"training_solutions_rev1.csv": table.to_csv(index=False).encode()})
    zipped(folder / "images_training_rev1.zip", {f"images_training_rev1/{i}.jpg": picture() for i in ids})


def gz_decals(folder: Path) -> None:
    names = ["J103438.28-005109.6", "J094651.40-010228.5", "J000000.80+004200.0"]
    votes("gz_decals", "iauname", names).to_parquet(folder / "gz_decals_volunteers_5.parquet")
    zipped(
        folder / "gz_decals_dr5_png_part1.zip",
        {f"gz_decals_dr5_png_part1/{n[:4]}/{n}.png": picture("PNG") for n in names},
    )


def gz_decals_1_2(folder: Path) -> None:
    votes("gz_decals_1_2", "iauname", ["J103438.28-005109.6"]).to_parquet(
        folder / "gz_decals_volunteers_1_and_2.parquet"
    )


def gz_desi(folder: Path) -> None:
    core, more = votes("gz_desi", "dr8_id", ["1_2", "1_3"]), votes("gz_desi", "dr8_id", ["1_3", "9_9"])
    core.to_parquet(folder / "gz_desi_gzd8_volunteer_core_catalog.parquet")
    more.to_parquet(folder / "gz_desi_gzd8_volunteer_extended_catalog.parquet")


def gz_hubble(folder: Path) -> None:
    votes("gz_hubble", "zooniverse_id", ["AHZ2001smd", "AHZ100002j"], "RA", "DEC").to_csv(
        folder / "gz_hubble_main.csv.gz", index=False
    )
    (folder / "AHZ2001smd.png").write_bytes(picture("PNG"))


def gz_candels(folder: Path) -> None:
    votes("gz_candels", "ID", ["COS_9933", "UDS_21986"], "RA", "Dec").to_csv(
        folder / "gz_candels_table_2_main_release.csv", index=False
    )
    tarred(folder / "candels_images.tar.gz", {f"{i}.jpg": picture() for i in ("COS_9933", "UDS_21986")})


def galaxy_zoo_1(folder: Path) -> None:
    header = (
        "OBJID,RA,DEC,NVOTE,P_EL,P_CW,P_ACW,P_EDGE,P_DK,P_MG,P_CS,P_EL_DEBIASED,P_CS_DEBIASED,SPIRAL,ELLIPTICAL,"
        "UNCERTAIN"
    )
    rows = [
        "587727178986356823,00:00:00.41,-10:22:25.7,59,0.61,0.034,0.0,0.153,0.153,0.051,0.186,0.61,0.186,0,0,1",
        "587727227300741210,12:30:00.00,-00:30:00.0,18,0.1,0.7,0.05,0.05,0.05,0.05,0.8,0.1,0.8,1,0,0",
    ]
    (folder / "GalaxyZoo1_DR_table2.csv.gz").write_bytes(gzip.compress("\n".join([header, *rows]).encode()))


def efigi(folder: Path) -> None:
    stages = {"PGC0000212": 1, "PGC0000218": -5, "PGC0000243": 11}
    values = " ".join(["0.25"] * 48)
    lines = ["# EFIGI catalogue", "PGCname T T_inf T_sup Bulge_to_Total …"]
    lines += [f"{pgc} {stage} {stage} {stage} {values}" for pgc, stage in stages.items()]
    tarred(folder / "efigi_tables-1.6.2.tgz", {"efigi-1.6/EFIGI_attributes.txt": "\n".join(lines).encode()})
    tarred(folder / "efigi_png_gri-1.6.tgz", {f"efigi-1.6/png/{pgc}.png": picture("PNG") for pgc in stages})


MADE: dict[str, Callable[[Path], object]] = {
    "galaxy10_decals": lambda folder: galaxy10(folder / "Galaxy10_DECals.h5"),
    "galaxy10_sdss": lambda folder: galaxy10(folder / "Galaxy10.h5", ra=None, dec=None, redshift=None, pxscale=None),
    "galaxy_mnist": lambda folder: galaxy_mnist(folder, 16),
    "galaxy_mnist_224": lambda folder: galaxy_mnist(folder, 20),
    "galaxy_zoo_2": galaxy_zoo_2,
    "kaggle_galaxy_zoo": kaggle,
    "gz_decals": gz_decals,
    "gz_decals_1_2": gz_decals_1_2,
    "gz_desi": gz_desi,
    "gz_hubble": gz_hubble,
    "gz_candels": gz_candels,
    "galaxy_zoo_1": galaxy_zoo_1,
    "efigi": efigi,
}


@pytest.fixture
def published(tmp_path: Path) -> Path:
    (tmp_path / "published").mkdir()
    return tmp_path / "published"


def converted(name: str, published: Path) -> Catalog:
    out = published.parent / name
    path = galaxalign.convert(name=name, from_=published, out=out, quiet=True)
    assert path == out / "catalog.parquet"
    return read_catalog(path, require=("id_str",))


def test_every_known_data_set_can_be_converted_and_is_tested() -> None:
    assert [survey.name for survey in surveys()] == list(_READERS) == list(MADE)


@pytest.mark.parametrize("name", MADE)
def test_files_in_pieces_become_a_readable_catalogue(
    name: str, published: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fetch_module, "_PAUSE", 0.0)
    monkeypatch.setattr(fetch_module, "_CHUNK", 1000)
    MADE[name](published)
    served = {path.name: path.read_bytes() for path in published.iterdir()}
    wanted = [file for file in find_survey(name).files if file.name in served]
    assert [file.name for file in wanted if not file.optional] == [f.name for f in find_survey(name).wanted()]
    here = tmp_path / "fetched"
    with serving(Site(served, breaks=[len(served[file.name]) // 2 for file in wanted])) as site:
        for file in wanted:
            # what is served has other bytes than the published file, so the published checksum cannot hold
            fetch_module.download(fetch_module.RemoteFile(file.name, f"{site.url}/{file.name}", 1), here)
        assert any(asked is not None for asked in site.asked)
    for extra in set(served) - {file.name for file in wanted}:
        shutil.copy(published / extra, here)
    path = galaxalign.convert(name=name, from_=here, out=tmp_path / "out", quiet=True)
    catalog = read_catalog(path, require=("id_str",))
    assert len(catalog) > 0
    if "label" in catalog.table:
        assert (load_taxonomy(find_survey(name).taxonomy).encode(catalog.table["label"]) >= 0).all()
    if "file_loc" in catalog.table:
        _, statuses = load_pictures(catalog, Preprocessing(size=16))
        assert statuses == ["ok"] * len(catalog)


def test_galaxy10_keeps_positions_scale_and_order_of_the_file(published: Path) -> None:
    path = galaxy10(published / "Galaxy10_DECals.h5")
    catalog = converted("galaxy10_decals", published)
    assert catalog.ids == [str(row) for row in range(23)]
    assert list(catalog.table.columns) == ["id_str", "file_loc", "label", "ra", "dec", "redshift", "pxscale"]
    names = load_taxonomy("galaxy10_decals").class_names
    assert list(catalog.table["label"]) == [names[row % 10] for row in range(23)]
    pictures, _ = load_pictures(catalog, Preprocessing(size=32))
    with h5py.File(path) as file:
        np.testing.assert_array_equal(pictures[:], file["images"][:])


def test_a_redshift_that_repeats_dec_is_left_out(published: Path, capsys: pytest.CaptureFixture[str]) -> None:
    dec = np.linspace(-10, 60, 23)
    galaxy10(published / "Galaxy10_DECals.h5", dec=dec, redshift=dec)
    galaxalign.convert(name="galaxy10_decals", from_=published, out=published / "out")
    assert "repeats dec" in capsys.readouterr().err
    assert "redshift" not in read_catalog(published / "out" / "catalog.parquet").table


def test_other_key_names_are_listed(published: Path) -> None:
    with h5py.File(published / "Galaxy10_DECals.h5", "w") as file:
        file["pictures"] = np.zeros((2, 8, 8, 3), np.uint8)
        file["labels"] = np.zeros(2, np.uint8)
    with pytest.raises(InputError, match="has no dataset 'images'; it has labels \\(2\\), pictures"):
        converted("galaxy10_decals", published)


def test_columns_of_another_length_are_refused(published: Path) -> None:
    galaxy10(published / "Galaxy10_DECals.h5", ans=np.zeros(5, np.uint8))
    with pytest.raises(InputError, match="23 pictures but 'ans' has the shape"):
        converted("galaxy10_decals", published)


def test_a_truncated_hdf5_is_one_sentence(published: Path) -> None:
    path = galaxy10(published / "Galaxy10.h5", ra=None, dec=None, redshift=None, pxscale=None)
    path.write_bytes(path.read_bytes()[:3000])
    with pytest.raises(InputError, match=r"Galaxy10\.h5 cannot be read as HDF5"):
        converted("galaxy10_sdss", published)


def test_a_label_that_no_class_has_is_refused(published: Path) -> None:
    galaxy10(published / "Galaxy10_DECals.h5", ans=np.full(23, 10, np.uint8))
    with pytest.raises(InputError, match="labels from 10 to 10; galaxy10_decals has 10 classes"):
        converted("galaxy10_decals", published)


def test_the_canonical_split_of_galaxy_mnist_is_kept(published: Path) -> None:
    galaxy_mnist(published, 16)
    catalog = converted("galaxy_mnist", published)
    split = read_split(published.parent / "galaxy_mnist" / "split.parquet")
    test = [catalog.ids[row] for row in split.part(catalog, "test")]
    assert test == [f"test_{row}" for row in range(10)]
    for part in ("train", "validation"):
        rows = split.part(catalog, part)
        assert len(rows)
        assert all(catalog.ids[row].startswith("train_") for row in rows)


def test_galaxy_zoo_2_finds_its_pictures_through_the_mapping(
    published: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    galaxy_zoo_2(published)
    galaxalign.convert(name="galaxy_zoo_2", from_=published, out=published.parent / "out")
    catalog = read_catalog(published.parent / "out" / "catalog.parquet")
    assert "1 of 6 galaxies have no picture" in capsys.readouterr().err
    assert catalog.ids == [str(identity) for identity in SDSS[:5]]
    assert list(catalog.table["file_loc"]) == [f"images/{asset}.jpg" for asset in (11, 12, 13, 14, 15)]
    assert sorted(path.name for path in (published.parent / "out" / "images").iterdir()) == [
        f"{asset}.jpg" for asset in (11, 12, 13, 14, 15)
    ]


def test_galaxy_zoo_1_has_degrees_and_answer_with_most_votes(published: Path) -> None:
    galaxy_zoo_1(published)
    table = converted("galaxy_zoo_1", published).table
    assert list(table["label"]) == ["elliptical", "spiral_clockwise"]
    np.testing.assert_allclose(table["ra"], [0.41 / 240, 187.5])
    np.testing.assert_allclose(table["dec"], [-(10 + 22 / 60 + 25.7 / 3600), -0.5])


def test_efigi_classes_and_attributes_as_taxonomy_names_them(published: Path) -> None:
    efigi(published)
    table = converted("efigi", published).table
    assert list(table["label"]) == ["early_spiral", "elliptical", "dwarf_elliptical"]
    assert list(table["hubble_type"]) == ["Sa", "E", "dE"]
    for attribute in load_taxonomy("efigi").attributes:
        assert {attribute.name, f"{attribute.name}_inf", f"{attribute.name}_sup"} <= set(table.columns)


@pytest.mark.real
def test_efigi_types_are_those_of_the_real_catalogue(shared: Path, published: Path) -> None:
    real = pd.read_csv(shared / "data" / "efigi" / "catalog.csv")
    attributes = [name for name in real.columns if name not in ("id_str", "file_loc", "label", "hubble_type")]
    lines = [" ".join(map(str, [row.id_str, *(getattr(row, a) for a in attributes)])) for row in real.itertuples()]
    (published / "EFIGI_attributes.txt").write_text("\n".join(lines))
    table = converted("efigi", published).table
    assert list(table["label"]) == list(real["label"])
    assert list(table["hubble_type"]) == list(real["hubble_type"])
    pd.testing.assert_frame_equal(table[attributes], real[attributes], check_dtype=False)


def test_galaxies_of_both_campaigns_stand_once(published: Path) -> None:
    gz_desi(published)
    table = converted("gz_desi", published).table
    assert list(zip(table["id_str"], table["campaign"], strict=True)) == [
        ("1_2", "core"),
        ("1_3", "core"),
        ("9_9", "extended"),
    ]


@pytest.mark.parametrize("name", ["../../evil.jpg", "/tmp/evil.jpg", "a\\..\\..\\evil.jpg", "C:\\evil.jpg"])
def test_archive_that_climbs_out_of_its_folder_is_refused_whole(name: str, published: Path) -> None:
    galaxy_zoo_2(published)
    zipped(published / "images_gz2.zip", {"images/11.jpg": picture(), name: picture()})
    with pytest.raises(InputError, match="would be written outside the folder"):
        converted("galaxy_zoo_2", published)
    assert not (published.parent / "galaxy_zoo_2" / "images").exists()
    efigi(published)
    tarred(published / "efigi_png_gri-1.6.tgz", {"png/PGC0000212.png": picture("PNG"), name: picture("PNG")})
    with pytest.raises(InputError, match="would be written outside the folder"):
        converted("efigi", published)


def test_a_truncated_archive_is_one_sentence(published: Path) -> None:
    efigi(published)
    path = published / "efigi_png_gri-1.6.tgz"
    path.write_bytes(path.read_bytes()[:2000])
    with pytest.raises(
        InputError, match=r"efigi_png_gri-1\.6\.tgz is a truncated or damaged archive \(its end is missing"
    ):
        converted("efigi", published)


def test_a_zip_that_is_no_longer_whole_is_one_sentence(tmp_path: Path) -> None:
    path = tmp_path / "a.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("a.png", bytes(5000))
    whole = path.read_bytes()
    path.write_bytes(whole[:3000])
    with pytest.raises(
        InputError, match=r"a\.zip is a truncated or damaged zip archive \(its end is .*; fetch it again$"
    ):
        members(path)
    path.write_bytes(whole[:2000] + b"x" + whole[2001:])
    with pytest.raises(InputError, match=r"damaged zip archive \(its bytes do not fit their checksum"):
        extract(path, {"a.png": tmp_path / "out" / "a.png"})


def test_what_is_no_archive_is_said_in_one_line(published: Path) -> None:
    kaggle(published)
    (published / "images_training_rev1.zip").write_bytes(b"<html>Sign in</html>")
    with pytest.raises(InputError, match=r"rev1\.zip is .* \(it begins as no zip or tar file does\); fetch") as said:
        converted("kaggle_galaxy_zoo", published)
    assert "\n" not in str(said.value)


def test_a_damaged_archive_leaves_no_empty_folder(published: Path) -> None:
    galaxy_zoo_2(published)
    path = published / "images_gz2.zip"
    with zipfile.ZipFile(path) as archive:
        first = archive.getinfo("images/11.jpg")
    damaged = bytearray(path.read_bytes())
    middle = first.header_offset + 30 + len(first.filename) + first.file_size // 2
    damaged[middle : middle + 20] = bytes(20)
    path.write_bytes(damaged)
    with pytest.raises(InputError, match=r"images_gz2\.zip is a truncated or damaged"):
        converted("galaxy_zoo_2", published)
    assert not (published.parent / "galaxy_zoo_2").exists()


def test_a_missing_file_is_named_beside_those_there_are(published: Path) -> None:
    galaxy_zoo_2(published)
    (published / "gz2_filename_mapping.csv").unlink()
    with pytest.raises(InputError, match=r"needs gz2_filename_mapping\.csv; --from has gz2_hart16"):
        converted("galaxy_zoo_2", published)


def test_a_table_of_another_kind_is_refused(published: Path) -> None:
    votes("gz_decals", "name", ["a"]).to_parquet(published / "gz_decals_volunteers_5.parquet")
    with pytest.raises(InputError, match="no column iauname; its columns are name, ra, dec"):
        converted("gz_decals", published)


VOTES = {
    "kaggle_galaxy_zoo": "training_solutions_rev1.csv",
    "galaxy_zoo_2": "gz2_hart16.csv.gz",
    "gz_decals": "gz_decals_volunteers_5.parquet",
    "gz_decals_1_2": "gz_decals_volunteers_1_and_2.parquet",
    "gz_desi": "gz_desi_gzd8_volunteer_core_catalog.parquet",
    "gz_hubble": "gz_hubble_main.csv.gz",
    "gz_candels": "gz_candels_table_2_main_release.csv",
}


@pytest.mark.parametrize("name", VOTES)
def test_missing_columns_of_votes_are_named(name: str, published: Path) -> None:
    MADE[name](published)
    path = published / VOTES[name]
    if name == "kaggle_galaxy_zoo":
        zipfile.ZipFile(published / "training_solutions_rev1.zip").extractall(published)
    parquet = path.suffix == ".parquet"
    table = pd.read_parquet(path) if parquet else pd.read_csv(path)
    gone = ANSWERS[name][-3], ANSWERS[name][-1]
    table = table.drop(columns=[column for column in table.columns if column.startswith(gone)])
    (table.to_parquet if parquet else table.to_csv)(path, index=False)
    with pytest.raises(InputError) as raised:
        converted(name, published)
    assert f"{path.name} lacks columns of the published table of {name}: {', '.join(gone)}; fetch" in str(raised.value)


def test_many_missing_columns_are_counted(published: Path) -> None:
    pd.DataFrame({"GalaxyID": [1], "Class1.1": [0.5]}).to_csv(published / "training_solutions_rev1.csv", index=False)
    with pytest.raises(
        InputError, match=r"Class1\.2, Class1\.3, Class2\.1, .* and 28 more; fetch it from https://www.kaggle"
    ):
        converted("kaggle_galaxy_zoo", published)


@pytest.mark.real
@pytest.mark.parametrize("table", ["gz2/catalog.csv", "gz2_stripe82/catalog.csv", "votes/gz2_stripe82_votes.csv.gz"])
def test_real_votes_of_galaxy_zoo_2_have_the_columns(table: str, shared: Path) -> None:
    columns = pd.read_csv(shared / "data" / table, nrows=1).columns
    check_votes("galaxy_zoo_2", ["ra", "dec", *columns], table, "")


def test_loose_pictures_stay_where_they_are(published: Path) -> None:
    kaggle(published)
    (published / "images_training_rev1.zip").unlink()
    (published / "pictures").mkdir()
    for identity in (100008, 100053):
        (published / "pictures" / f"{identity}.jpg").write_bytes(picture())
    catalog = converted("kaggle_galaxy_zoo", published)
    assert list(catalog.table["file_loc"]) == [f"../published/pictures/{i}.jpg" for i in (100008, 100053)]


def test_converted_again_nothing_is_unpacked_twice(published: Path) -> None:
    kaggle(published)
    converted("kaggle_galaxy_zoo", published)
    folder = published.parent / "kaggle_galaxy_zoo"
    before = {path.name: path.stat().st_mtime_ns for path in (folder / "images").iterdir()}
    content = (folder / "catalog.parquet").read_bytes()
    converted("kaggle_galaxy_zoo", published)
    assert {path.name: path.stat().st_mtime_ns for path in (folder / "images").iterdir()} == before
    assert (folder / "catalog.parquet").read_bytes() == content


def test_what_needs_an_account_says_so() -> None:
    with pytest.raises(InputError, match="needs an account: download training_solutions_rev1.zip and images"):
        galaxalign.fetch(name="kaggle_galaxy_zoo")


def test_gigabytes_need_a_yes(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"galaxy10_decals is about 2\.5 GB; say --yes"):
        galaxalign.fetch(name="galaxy10_decals", out=tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_an_unknown_name_gets_the_closest() -> None:
    with pytest.raises(InputError, match="'galaxy10' is unknown, the closest is 'galaxy10_"):
        galaxalign.fetch(name="galaxy10")


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("gz2", "galaxy_zoo_2"),
        ("GZ1", "galaxy_zoo_1"),
        ("galaxyzoo2", "galaxy_zoo_2"),
        ("kaggle", "kaggle_galaxy_zoo"),
        ("Galaxy10-DECaLS", "galaxy10_decals"),
        ("decals", "gz_decals"),
        ("gz-hubble", "gz_hubble"),
        ("hubble", "gz_hubble"),
        ("candels", "gz_candels"),
        ("desi", "gz_desi"),
        ("galaxymnist", "galaxy_mnist"),
        ("mnist224", "galaxy_mnist_224"),
        ("efigy", "efigi"),
    ],
)
def test_the_closest_name_is_the_one_that_is_meant(name: str, meant: str) -> None:
    with pytest.raises(InputError, match=f"the closest is '{meant}'"):
        find_survey(name)


def test_fetch_prints_licence_citation_and_missing_checksum(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    galaxy_zoo_1(tmp_path)
    name = "GalaxyZoo1_DR_table2.csv.gz"
    with serving(Site({name: (tmp_path / name).read_bytes()})) as site:
        paths = galaxalign.fetch(name="galaxy_zoo_1", out=tmp_path / "out", mirror=site.url)
    said = capsys.readouterr().err
    assert paths == [tmp_path / "out" / name]
    assert "cite Lintott et al. 2008" in said
    assert "no checksum is published" in said
