"""Tables go out whole or not at all, and a path that cannot be written is known before the work."""

from __future__ import annotations

import gzip
import os
from pathlib import Path
from typing import IO

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
from astropy.io import fits

from galaxalign.data.catalogs import read_catalog
from galaxalign.data.tables import TABLE_SUFFIXES, check_output, read_table, write_table
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


def test_metadata_is_kept_where_the_kind_of_file_has_a_place(tmp_path: Path) -> None:
    metadata = {"encoder_fingerprint": "f" * 100}
    parquet = write_table(galaxies(), tmp_path / "t.parquet", metadata=metadata)
    assert pq.ParquetFile(parquet).schema_arrow.metadata[b"encoder_fingerprint"] == b"f" * 100
    header = fits.getheader(write_table(galaxies(), tmp_path / "t.fits", metadata=metadata), 1)
    assert "".join(header["HISTORY"]) == "encoder_fingerprint = " + "f" * 100
    assert "encoder_fingerprint" in write_table(galaxies(), tmp_path / "t.vot", metadata=metadata).read_text()


@pytest.mark.parametrize("suffix", [".csv", ".csv.gz", ".parquet"])
def test_the_same_table_gives_the_same_bytes(tmp_path: Path, suffix: str) -> None:
    one = write_table(galaxies(), tmp_path / "1" / f"t{suffix}").read_bytes()
    assert write_table(galaxies(), tmp_path / "2" / f"t{suffix}").read_bytes() == one
    if suffix == ".csv.gz":
        assert gzip.decompress(one).decode() == galaxies().to_csv(index=False)


def test_missing_values_can_be_written_as_every_kind(tmp_path: Path) -> None:
    frame = galaxies().assign(
        label=["spiral", None, "spiral"],
        votes=pd.array([1, None, 3], "Int64"),
        ra=[1.0, np.nan, 2.0],
        good=[True, False, True],
    )
    for suffix in TABLE_SUFFIXES:
        catalog = read_catalog(write_table(frame, tmp_path / f"t{suffix}"))
        assert catalog.texts("label") == ["spiral", "", "spiral"]
        assert catalog.texts("votes") == ["1", "", "3"]
        assert catalog.texts("ra") == ["1", "", "2"]
        assert catalog.texts("good") == ["True", "False", "True"]


def test_vectors_need_parquet(tmp_path: Path) -> None:
    frame = pd.DataFrame({"id_str": ["a"], "vector": [np.ones(3, np.float32)]})
    assert pq.read_table(write_table(frame, tmp_path / "t.parquet"))["vector"].to_pylist() == [[1, 1, 1]]
    for suffix in (".csv", ".fits", ".vot"):
        with pytest.raises(InputError, match=r"vector holds vectors.*\.parquet"):
            write_table(frame, tmp_path / f"t{suffix}")


def test_output_that_cannot_be_written_is_refused_before_work(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    (tmp_path / "folder.csv").mkdir()
    for path, words in (
        (tmp_path / "file" / "t.csv", "is not a folder"),
        (tmp_path / "folder.csv", "is a folder, not a file"),
        (tmp_path / "t.docx", "must end in one of"),
    ):
        with pytest.raises(InputError, match=words):
            check_output(path, suffixes=TABLE_SUFFIXES)
        with pytest.raises(InputError, match=words):
            write_table(galaxies(), path)
    with pytest.raises(InputError, match="is a file, not a folder"):
        check_output(tmp_path / "file", folder=True)


def test_a_folder_without_permission_to_write_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(self: Path, *args: object, **kwargs: object) -> None:
        raise PermissionError(13, "Permission denied", str(self))

    monkeypatch.setattr(Path, "touch", refuse)  # file modes do not bind root, as whom tests may run
    with pytest.raises(InputError, match=r"t\.csv cannot be written \(Permission denied\)"):
        check_output(tmp_path / "t.csv")


def test_checking_an_output_leaves_nothing_behind(tmp_path: Path) -> None:
    check_output(tmp_path / "new" / "deeper" / "t.csv")
    check_output(tmp_path / "run", folder=True)
    assert list(tmp_path.iterdir()) == []


def test_a_failed_write_leaves_the_old_table_and_no_debris(csv: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = csv.read_bytes()

    def full_disk(self: pd.DataFrame, file: IO[str], **kwargs: object) -> None:
        file.write("half a ta")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(pd.DataFrame, "to_csv", full_disk)
    with pytest.raises(InputError, match="No space left on device"):
        write_table(galaxies(), csv)
    assert csv.read_bytes() == before
    assert os.listdir(csv.parent) == [csv.name]


def test_text_columns_pass_through_no_number(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text("ObjID,x\n0012,0012\nNA,NA\n")
    table = read_table(path, text_columns={"objid"})
    assert table["ObjID"].tolist() == ["0012", "NA"]
    assert table["x"][0] == 12
    assert pd.isna(table["x"][1])
    with pytest.raises(InputError, match="no table at"):
        read_table(tmp_path / "none.csv")
