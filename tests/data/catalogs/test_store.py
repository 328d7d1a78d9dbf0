"""A prepared store: made once, resumable to the byte, and used in place of its catalogue."""

from __future__ import annotations

import json
from pathlib import Path

import h5py
import numpy as np
import pandas as pd
import pytest
from PIL import Image

from galaxalign.data.catalogs import (
    Catalog,
    Pictures,
    iter_pictures,
    load_pictures,
    open_store,
    prepare as prepare_module,
    prepare_store,
    read_catalog,
)
from galaxalign.data.images import hdf5 as hdf5_module, load_images
from galaxalign.data.images.preprocessing import Preprocessing
from galaxalign.errors import InputError

PREPROCESSING = Preprocessing(crop=0.5, size=16)
CANVAS = PREPROCESSING.with_margin(PREPROCESSING.widest_margin())


@pytest.fixture
def catalog(tmp_path: Path) -> Catalog:
    """Return a catalogue of 50 pictures, the eighth of which is broken."""
    folder = tmp_path / "survey"
    (folder / "images").mkdir(parents=True)
    rng = np.random.default_rng(0)
    for row in range(50):
        pixels = rng.integers(0, 255, (40, 48, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(folder / "images" / f"g{row}.png")
    (folder / "images" / "g7.png").write_bytes(b"no picture")
    table = pd.DataFrame({"id_str": [f"58772{row:014d}" for row in range(50)]})
    table["file_loc"] = [f"images/g{row}.png" for row in range(50)]
    table["label"] = ["a", "b"] * 25
    table.to_csv(folder / "catalog.csv", index=False)
    return read_catalog(folder / "catalog.csv")


def files(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_a_store_read_as_a_catalogue_is_that_catalogue(catalog: Catalog, tmp_path: Path) -> None:
    prepare_store(catalog, tmp_path / "store", PREPROCESSING)
    found = read_catalog(tmp_path / "store")
    assert found.fingerprint == catalog.fingerprint
    assert found.source == catalog.source == "survey"
    assert found.ids == catalog.ids
    assert [path.resolve() for path in found.paths()] == [path.resolve() for path in catalog.paths()]


def test_its_pictures_are_those_that_decoding_gives(catalog: Catalog, tmp_path: Path) -> None:
    prepare_store(catalog, tmp_path / "store", PREPROCESSING, canvas=CANVAS)
    store = read_catalog(tmp_path / "store")
    for preprocessing in (PREPROCESSING, CANVAS):
        expected, statuses = load_images(catalog.paths(), preprocessing)
        found, found_statuses = load_pictures(store, preprocessing)
        np.testing.assert_array_equal(found[:], expected)
        assert found_statuses == statuses
        assert "g7.png" in statuses[7]
        streamed = list(iter_pictures(store, preprocessing, batch_size=16))
        np.testing.assert_array_equal(np.concatenate([batch for _, batch, _ in streamed]), expected)
        assert [status for _, _, each in streamed for status in each] == statuses


@pytest.mark.parametrize("name", ["store.json", "catalog.parquet", "failed.parquet"])
def test_a_store_that_lost_a_file_is_no_folder_of_images(catalog: Catalog, tmp_path: Path, name: str) -> None:
    prepare_store(catalog, tmp_path / "store", PREPROCESSING)
    (tmp_path / "store" / name).unlink()
    said = rf"store was a prepared store and has lost its {name}; .* galaxalign data prepare CATALOG --out .*store$"
    with pytest.raises(InputError, match=said):
        load_pictures(read_catalog(tmp_path / "store"), PREPROCESSING)


def test_the_array_of_a_store_alone_is_no_image(catalog: Catalog, tmp_path: Path) -> None:
    prepare_store(catalog, tmp_path / "store", PREPROCESSING)
    for name in ("store.json", "catalog.parquet", "failed.parquet"):
        (tmp_path / "store" / name).unlink()
    with pytest.raises(InputError, match="has lost its store.json"):
        read_catalog(tmp_path / "store")
    folder = tmp_path / "cutouts"
    folder.mkdir()
    np.save(folder / "images.npy", np.zeros((9, 9)))  # a galaxy may be called so
    assert read_catalog(folder).ids == ["images"]


def test_numpy_alone_reads_a_store(catalog: Catalog, tmp_path: Path) -> None:
    prepare_store(catalog, tmp_path / "store", PREPROCESSING)
    images = np.load(tmp_path / "store" / "images.npy", mmap_mode="r")
    assert images.shape == (50, 16, 16, 3)
    assert pd.read_parquet(tmp_path / "store" / "failed.parquet")["row"].tolist() == [7]


def test_a_selection_of_a_store_shows_its_own_pictures(catalog: Catalog, tmp_path: Path) -> None:
    prepare_store(catalog, tmp_path / "store", PREPROCESSING)
    rows = [40, 3, 7, 11]
    chosen = read_catalog(tmp_path / "store").select(rows)
    expected, statuses = load_images(catalog.select(rows).paths(), PREPROCESSING)
    found, found_statuses = load_pictures(chosen, PREPROCESSING)
    np.testing.assert_array_equal(found[:], expected)
    assert found_statuses == statuses


def test_a_store_of_a_selection_stands_for_the_selection(catalog: Catalog, tmp_path: Path) -> None:
    chosen = catalog.select([5, 2, 30])
    prepare_store(chosen, tmp_path / "store", PREPROCESSING)
    found = read_catalog(tmp_path / "store")
    assert (found.ids, found.fingerprint) == (chosen.ids, catalog.fingerprint)
    np.testing.assert_array_equal(
        load_pictures(found, PREPROCESSING)[0][:], load_images(chosen.paths(), PREPROCESSING)[0]
    )


def test_a_table_changed_behind_its_pictures_is_noticed(catalog: Catalog, tmp_path: Path) -> None:
    prepare_store(catalog, tmp_path / "store", PREPROCESSING)
    table = pd.read_parquet(tmp_path / "store" / "catalog.parquet")
    table.iloc[::-1].to_parquet(tmp_path / "store" / "catalog.parquet", index=False)
    with pytest.raises(InputError, match="is not that of its pictures"):
        read_catalog(tmp_path / "store")


def test_where_crop_whole_picture_training_needs_nothing_more(catalog: Catalog, tmp_path: Path) -> None:
    whole = Preprocessing(size=16)
    prepare_store(catalog, tmp_path / "store", whole, canvas=whole.with_margin(whole.widest_margin()))
    assert not (tmp_path / "store" / "canvas.npy").exists()


class Stop(Exception):
    """Stands for a kill: nothing after it is run."""


@pytest.mark.parametrize("at", range(1, 15))
def test_stopped_at_any_write_it_continues_to_the_same_bytes(
    catalog: Catalog, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, at: int
) -> None:
    monkeypatch.setattr(prepare_module, "_BATCH", 16)
    monkeypatch.setattr(prepare_module, "_FLUSH", 16 * 16 * 3 * 30)
    views = {"preprocessing": PREPROCESSING, "canvas": CANVAS}
    prepare_store(catalog, tmp_path / "whole", **views)
    calls = 0
    synced = prepare_module._sync

    def stopping(file) -> None:
        nonlocal calls
        calls += 1
        if calls == at:
            raise Stop
        synced(file)

    monkeypatch.setattr(prepare_module, "_sync", stopping)
    with pytest.raises(Stop):
        prepare_store(catalog, tmp_path / "stopped", **views)
    with pytest.raises(InputError, match="not finished|no images|there is no catalogue"):
        read_catalog(tmp_path / "stopped")
    monkeypatch.setattr(prepare_module, "_sync", synced)
    # what was being written when the power failed
    for name in ("images.npy", "images.npy.failures", "canvas.npy"):
        if (tmp_path / "stopped" / name).exists():
            with (tmp_path / "stopped" / name).open("ab") as file:
                file.write(b"half a record")
    prepare_store(catalog, tmp_path / "stopped", **views)
    assert files(tmp_path / "stopped") == files(tmp_path / "whole")


def test_file_shorter_than_progress_is_not_filled_with_zeros(
    catalog: Catalog, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(prepare_module, "_finish", lambda *_: (_ for _ in ()).throw(Stop))
    with pytest.raises(Stop):
        prepare_store(catalog, tmp_path / "store", PREPROCESSING)
    with (tmp_path / "store" / "images.npy").open("ab") as file:
        file.truncate(1000)
    with pytest.raises(InputError, match=r"images\.npy is shorter than its record"):
        prepare_store(catalog, tmp_path / "store", PREPROCESSING)


def test_done_again_nothing_is_decoded(catalog: Catalog, tmp_path: Path) -> None:
    prepare_store(catalog, tmp_path / "store", PREPROCESSING)
    before = files(tmp_path / "store")
    for path in catalog.paths():
        path.unlink()
    prepare_store(catalog, tmp_path / "store", PREPROCESSING)
    assert files(tmp_path / "store") == before


def test_store_of_another_preprocessing_is_refused_naming_both(catalog: Catalog, tmp_path: Path) -> None:
    prepare_store(catalog, tmp_path / "store", PREPROCESSING)
    with pytest.raises(InputError, match=r"crop 0\.5, 16 px.*crop 1\.0, 16 px.*prepare"):
        load_pictures(read_catalog(tmp_path / "store"), Preprocessing(size=16))
    with pytest.raises(InputError, match=r"crop 0\.5, 16 px.*\], not .*crop 0\.5, 32 px"):
        prepare_store(catalog, tmp_path / "store", Preprocessing(crop=0.5, size=32))


def test_a_folder_of_other_things_is_left_alone(catalog: Catalog, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"holds other files \(catalog\.csv, images\)"):
        prepare_store(catalog, tmp_path / "survey", PREPROCESSING)


def test_a_changed_catalogue_does_not_continue_another_store(catalog: Catalog, tmp_path: Path) -> None:
    prepare_store(catalog, tmp_path / "store", PREPROCESSING)
    with pytest.raises(InputError, match="another catalogue"):
        prepare_store(catalog.select(np.arange(49, -1, -1)), tmp_path / "store", PREPROCESSING)


def test_a_second_process_is_told_to_wait(catalog: Catalog, tmp_path: Path) -> None:
    (tmp_path / "store").mkdir()
    with (
        prepare_module._alone(tmp_path / "store"),
        pytest.raises(InputError, match="another process is preparing"),
    ):
        prepare_store(catalog, tmp_path / "store", PREPROCESSING)


def test_a_disk_too_small_is_noticed_before_any_work(
    catalog: Catalog, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = prepare_module.shutil.disk_usage(tmp_path)._replace(free=1000)
    monkeypatch.setattr(prepare_module.shutil, "disk_usage", lambda path: usage)
    with pytest.raises(InputError, match="needs 0.0 GB more"):
        prepare_store(catalog, tmp_path / "store", PREPROCESSING)


def test_a_truncated_store_is_refused(catalog: Catalog, tmp_path: Path) -> None:
    prepare_store(catalog, tmp_path / "store", PREPROCESSING)
    path = tmp_path / "store" / "images.npy"
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(InputError, match=r"images\.npy is missing or damaged"):
        open_store(tmp_path / "store").images(PREPROCESSING)


def test_pictures_from_a_file_and_from_memory_are_indexed_alike(catalog: Catalog, tmp_path: Path) -> None:
    canvas = CANVAS
    prepare_store(catalog, tmp_path / "store", PREPROCESSING, canvas=canvas)
    mapped, _ = load_pictures(read_catalog(tmp_path / "store"), canvas)
    memory = load_images(catalog.paths(), canvas)[0]
    order = np.random.default_rng(1).permutation(50)[:20]
    good = np.arange(50) != 7
    margin = (canvas.side - 16) // 2
    for pictures in (mapped, Pictures(memory)):
        np.testing.assert_array_equal(pictures[order], memory[order])
        np.testing.assert_array_equal(pictures[5:9], memory[5:9])
        np.testing.assert_array_equal(pictures.take(good)[order[:10] % 49], memory[good][order[:10] % 49])
        framed = pictures.take(good).centre(16)
        assert framed.shape == (49, 16, 16, 3)
        np.testing.assert_array_equal(framed[3:5], memory[good][3:5, margin : margin + 16, margin : margin + 16])
        assert pictures[5:9].flags.owndata
        assert pictures[5:9].flags.c_contiguous


@pytest.fixture
def hdf5(tmp_path: Path) -> Path:
    """Return the like of Galaxy10: chunks of several rows, compressed."""
    rng = np.random.default_rng(2)
    with h5py.File(tmp_path / "like.h5", "w") as file:
        pixels = rng.integers(0, 255, (60, 24, 24, 3), dtype=np.uint8)
        file.create_dataset("images", data=pixels, chunks=(17, 8, 8, 1), compression="gzip")
        file.create_dataset("ans", data=(np.arange(60) % 10).astype(np.uint8))
    return tmp_path / "like.h5"


def rows_of(path: Path, rows: list[int]) -> Catalog:
    table = pd.DataFrame({"id_str": [f"row{row}" for row in rows]})
    table["file_loc"] = [f"{path.name}::images[{row}]" for row in rows]
    table.to_csv(path.parent / "rows.csv", index=False)
    return read_catalog(path.parent / "rows.csv")


def test_rows_of_hdf5_make_a_store(hdf5: Path, tmp_path: Path) -> None:
    catalog = rows_of(hdf5, list(range(60)))
    prepare_store(catalog, tmp_path / "store", Preprocessing(size=24))
    with h5py.File(hdf5) as file:
        np.testing.assert_array_equal(np.load(tmp_path / "store" / "images.npy"), file["images"][:])
    assert read_catalog(tmp_path / "store").fingerprint == catalog.fingerprint


def test_each_chunk_of_hdf5_is_unpacked_once(hdf5: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hdf5_module, "_BLOCK", 1)
    reads = []
    getitem = h5py.Dataset.__getitem__

    def counting(self, index, **settings):
        reads.append(index)
        return getitem(self, index, **settings)

    monkeypatch.setattr(h5py.Dataset, "__getitem__", counting)
    batches = list(iter_pictures(rows_of(hdf5, list(range(60))), Preprocessing(size=24), batch_size=7))
    assert sum(len(batch) for _, batch, _ in batches) == 60
    assert [index.start for index in reads] == [0, 17, 34, 51]


def test_rows_of_hdf5_come_in_the_order_of_the_catalogue(hdf5: Path) -> None:
    order = [59, 0, 17, 16, 40]
    with h5py.File(hdf5) as file:
        expected = file["images"][:][order]
    found = np.concatenate([batch for _, batch, _ in iter_pictures(rows_of(hdf5, order), Preprocessing(size=24))])
    np.testing.assert_array_equal(found, expected)


def test_a_row_that_is_not_there_is_a_status(hdf5: Path) -> None:
    _, _, statuses = next(iter(iter_pictures(rows_of(hdf5, [3, 60]), Preprocessing(size=24))))
    assert statuses[0] == "ok"
    assert "no image images[60]; the dataset has the shape 60 x 24 x 24 x 3" in statuses[1]


def test_another_dataset_name_names_those_found(hdf5: Path) -> None:
    table = rows_of(hdf5, [1]).table.assign(file_loc=["like.h5::pictures[1]"])
    table.to_csv(hdf5.parent / "other.csv", index=False)
    catalog = read_catalog(hdf5.parent / "other.csv")
    _, _, statuses = next(iter(iter_pictures(catalog, Preprocessing(size=24))))
    assert "no dataset pictures; it has ans (60), images (60 x 24 x 24 x 3)" in statuses[0]


def test_the_request_is_told_from_the_progress_of_an_older_one(catalog: Catalog, tmp_path: Path) -> None:
    (tmp_path / "store").mkdir()
    (tmp_path / "store" / "progress.json").write_text(json.dumps({"request": {"views": []}, "done": {}}))
    with pytest.raises(InputError, match="choose another --out or delete it"):
        prepare_store(catalog, tmp_path / "store", PREPROCESSING)


@pytest.mark.real
@pytest.mark.parametrize("survey", ["gz1", "gz2", "efigi"])
def test_real_pictures_come_from_a_store_as_from_their_files(shared: Path, tmp_path: Path, survey: str) -> None:
    catalog = read_catalog(shared / "data" / survey / "catalog.csv").select(np.arange(40))
    preprocessing = Preprocessing(crop=0.45, size=64)
    prepare_store(
        catalog, tmp_path / "store", preprocessing, canvas=preprocessing.with_margin(preprocessing.widest_margin())
    )
    store = read_catalog(tmp_path / "store")
    for each in (preprocessing, preprocessing.with_margin(preprocessing.widest_margin())):
        np.testing.assert_array_equal(load_pictures(store, each)[0][:], load_images(catalog.paths(), each)[0])


def test_interrupted_store_another_request_not_called_damaged(catalog: Catalog, tmp_path: Path) -> None:
    prepare_store(catalog, tmp_path / "store", PREPROCESSING)
    about = json.loads((tmp_path / "store" / "store.json").read_text())
    request = {key: value for key, value in about.items() if key != "n_failed"}
    (tmp_path / "store" / "store.json").unlink()
    (tmp_path / "store" / "progress.json").write_text(json.dumps({"request": request, "done": {}}))
    with pytest.raises(InputError, match=r"^[^(]*store holds pictures with .*, not .*24 px"):
        prepare_store(catalog, tmp_path / "store", Preprocessing(size=24))


def test_too_large_a_store_leaves_nothing_behind(catalog: Catalog, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="GB free"):
        prepare_store(catalog, tmp_path / "store", Preprocessing(size=10_000_000))
    prepare_store(catalog, tmp_path / "store", PREPROCESSING)
