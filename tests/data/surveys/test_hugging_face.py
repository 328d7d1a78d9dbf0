"""Data sets of the library `datasets` become catalogues, picture bytes and all."""

from __future__ import annotations

from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from galaxalign.data.catalogs import read_catalog
from galaxalign.data.images import decode
from galaxalign.data.splits.splits import read_split
from galaxalign.errors import InputError
from galaxalign.verbs.convert import convert

datasets = pytest.importorskip("datasets", reason="the library datasets is not installed")


def jpeg(seed: int) -> bytes:
    pixels = np.random.default_rng(seed).integers(0, 255, (16, 16, 3), dtype=np.uint8)
    out = BytesIO()
    Image.fromarray(pixels).save(out, "JPEG")
    return out.getvalue()


def a_set(rows: range, **columns: list) -> datasets.Dataset:
    kinds = {
        "image": datasets.Image(),
        "label": datasets.ClassLabel(names=["smooth_round", "edge_on"]),
        "ra": datasets.Value("float64"),
        "votes": datasets.Sequence(datasets.Value("int32")),
    } | {name: datasets.Value("string") for name in columns}
    values = {
        "image": [{"bytes": jpeg(row), "path": None} for row in rows],
        "label": [row % 2 for row in rows],
        "ra": [10.0 + row for row in rows],
        "votes": [[1, 2] for _ in rows],
    } | columns
    return datasets.Dataset.from_dict(values, features=datasets.Features(kinds))


def test_parts_classes_and_bytes_are_kept(tmp_path: Path) -> None:
    saved = datasets.DatasetDict({"train": a_set(range(40)), "test": a_set(range(40, 50))})
    saved.save_to_disk(str(tmp_path / "saved"))
    path = convert(name="huggingface", from_=tmp_path / "saved", out=tmp_path / "out", quiet=True)
    catalog = read_catalog(path)
    assert catalog.ids[:2] == ["train_0", "train_1"]
    assert catalog.texts("label")[:2] == ["smooth_round", "edge_on"]
    assert catalog.table["ra"].tolist() == [10.0 + row for row in range(50)]
    assert "votes" not in catalog.table
    assert [where.read_bytes() for where in catalog.paths()] == [jpeg(row) for row in range(50)]
    assert decode(catalog.paths()[0]).shape == (16, 16, 3)
    split = read_split(tmp_path / "out" / "split.parquet")
    assert split.part(catalog, "test").tolist() == list(range(40, 50))
    assert 0 < len(split.part(catalog, "validation")) < 10
    assert len(split.part(catalog, "train")) + len(split.part(catalog, "validation")) == 40


def test_long_ids_survive_and_a_folder_of_parquet_will_do(tmp_path: Path) -> None:
    ids = [str(587722981736120000 + row) for row in range(4)]
    (tmp_path / "folder").mkdir()
    a_set(range(4), id_str=ids).to_parquet(str(tmp_path / "folder" / "train.parquet"))
    path = convert(name="huggingface", from_=str(tmp_path / "folder"), out=tmp_path / "out", quiet=True)
    assert read_catalog(path).ids == ids
    assert not (tmp_path / "out" / "split.parquet").exists()


def test_rows_without_picture_are_counted(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    some = a_set(range(3)).to_dict()
    some["image"][1] = None
    datasets.Dataset.from_dict(some, features=a_set(range(3)).features).save_to_disk(str(tmp_path / "saved"))
    path = convert(name="huggingface", from_=tmp_path / "saved", out=tmp_path / "out")
    assert read_catalog(path).ids == ["all_0", "all_2"]
    assert "1 of 3 rows" in capsys.readouterr().err


def test_set_without_pictures_and_one_is_not_there_are_refused(tmp_path: Path) -> None:
    datasets.Dataset.from_dict({"z": [1.0]}).save_to_disk(str(tmp_path / "plain"))
    with pytest.raises(InputError, match="no column of pictures; its columns are z"):
        convert(name="huggingface", from_=tmp_path / "plain", out=tmp_path / "out")
    with pytest.raises(InputError, match="cannot be loaded by the library datasets"):
        convert(name="huggingface", from_=tmp_path / "nothing", out=tmp_path / "out")
