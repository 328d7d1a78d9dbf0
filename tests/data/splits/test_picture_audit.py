"""Broken, blank, tiny, saturated and repeated pictures are found, and only those."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from galaxalign.data.catalogs import Catalog, as_catalog
from galaxalign.data.splits import make_split
from galaxalign.data.splits.audit import Rows, check_pairs, gather
from galaxalign.data.splits.picture_audit import PictureFacts, check_pictures, same_pictures, survey_pictures


def galaxy(seed: int, size: int = 96) -> Image.Image:
    """Return a picture of a few blobs on a noisy sky."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:size, :size] / size - 0.5
    light = 180 * np.exp(-(x**2 + y**2) * 60)
    for _ in range(6):
        cx, cy = rng.uniform(-0.4, 0.4, 2)
        light += 120 * np.exp(-((x - cx) ** 2 + (y - cy) ** 2) * rng.uniform(100, 400))
    grey = np.clip(light + rng.normal(12, 3, light.shape), 0, 255)
    return Image.fromarray(np.repeat(grey[:, :, None], 3, axis=2).astype(np.uint8))


@pytest.fixture(scope="module")
def spoilt(tmp_path_factory: pytest.TempPathFactory) -> Catalog:
    """Return twelve galaxies and one of each thing that can be wrong."""
    folder = tmp_path_factory.mktemp("images")
    for seed in range(12):
        galaxy(seed).save(folder / f"good-{seed}.png")
    (folder / "copy.png").write_bytes((folder / "good-0.png").read_bytes())
    galaxy(1).resize((80, 80)).save(folder / "again.jpg", quality=70)
    (folder / "broken.png").write_bytes((folder / "good-2.png").read_bytes()[:300])
    Image.new("RGB", (96, 96), (30, 30, 30)).save(folder / "blank.png")
    Image.new("RGB", (90, 96), (31, 31, 31)).save(folder / "blank-too.png")
    galaxy(20, size=20).save(folder / "tiny.png")
    full = np.asarray(galaxy(21)).copy()
    full[:30] = 255
    Image.fromarray(full).save(folder / "full.png")
    names = [*sorted(path.name for path in folder.iterdir()), "missing.png"]
    frame = pd.DataFrame({"id_str": [name.split(".")[0] for name in names], "file_loc": names})
    return as_catalog(frame, root=folder, source="s")


def found_in(catalog: Catalog) -> tuple[pd.DataFrame, list]:
    rows = gather(catalog)
    facts = survey_pictures(catalog.paths(), workers=2)
    return check_pictures(rows, facts), same_pictures(rows, facts)


def test_each_fault_is_found_once(spoilt: Catalog) -> None:
    found, _ = found_in(spoilt)
    by_kind = {kind: sorted(members["id_str"]) for kind, members in found.groupby("kind")}
    by_kind.pop("band")
    assert by_kind.pop("unlike_others") == ["full"]
    assert by_kind == {
        "broken": ["broken", "missing"],
        "blank": ["blank", "blank-too"],
        "tiny": ["tiny"],
        "saturated": ["full"],
    }
    said = found.set_index("id_str")["detail"]
    assert "no image at" in said["missing"]
    assert "is truncated: it ends before" in said["broken"]
    assert said["tiny"] == "20 pixels on its shorter side"


def test_the_same_picture_is_found_by_its_bytes_and_by_its_look(spoilt: Catalog) -> None:
    _, (files, pictures, *_) = found_in(spoilt)
    ids = spoilt.ids
    assert [{ids[a], ids[b]} for a, b in files.rows] == [{"copy", "good-0"}]
    assert [{ids[a], ids[b]} for a, b in pictures.rows] == [{"again", "good-1"}]
    assert 0 < pictures.distance[0] <= 16


def test_bands_are_described(spoilt: Catalog) -> None:
    found, _ = found_in(spoilt)
    bands = found.loc[found["kind"] == "band", "detail"].tolist()
    assert [text.split(":")[0] for text in bands] == ["red", "green", "blue"]


def test_two_catalogues_are_compared_but_other_is_not_audited(spoilt: Catalog, tmp_path: Path) -> None:
    galaxy(3).save(tmp_path / "theirs.png")
    galaxy(99).save(tmp_path / "new.png")
    (tmp_path / "bad.png").write_bytes(b"no picture")
    names = ["theirs.png", "new.png", "bad.png", "theirs.png"]
    other = as_catalog(pd.DataFrame({"id_str": list("abcd"), "file_loc": names}), root=tmp_path, source="other")
    rows = gather(other, against=spoilt)
    facts = survey_pictures([*other.paths(), *spoilt.paths()])
    assert check_pictures(rows, facts).query("kind != 'band'")["id_str"].tolist() == ["c"]
    files, pictures, *_ = same_pictures(rows, facts)
    assert files.rows.tolist() == [[0, 3], [0, 4 + spoilt.ids.index("good-3")]]
    assert pictures.rows.tolist() == [], "all three are tied together already"


@pytest.fixture(scope="module")
def copies(tmp_path_factory: pytest.TempPathFactory) -> Catalog:
    """Return 12 copies of one galaxy, three with the same bytes each, between 6 other galaxies."""
    folder = tmp_path_factory.mktemp("copies")
    for seed in range(6):
        galaxy(seed).save(folder / f"other-{seed}.png")
    for k in range(12):
        galaxy(50).save(folder / f"copy-{k:02d}.jpg", quality=80 + k // 3)
    names = sorted(path.name for path in folder.iterdir())
    frame = pd.DataFrame({"id_str": [name.split(".")[0] for name in names], "file_loc": names})
    return as_catalog(frame.assign(label=["", "a", "a", "b", *["a"] * 14]), root=folder, source="s")


def test_n_copies_of_one_picture_are_n_minus_one_findings(copies: Catalog) -> None:
    rows = gather(copies)
    pairs = same_pictures(rows, survey_pictures(copies.paths()))
    found = check_pairs(rows, pairs)
    kinds = found["kind"].value_counts().to_dict()
    assert kinds["same_file"] + kinds["same_picture"] == 11
    assert kinds["same_file"] == 8, "two of each three with the same bytes"
    listed = found[found["kind"] == "same_picture"]
    assert set(listed["id_str"]) == {"copy-00"}
    assert listed["other_id"].tolist() == ["copy-03", "copy-06", "copy-09"]
    assert (listed["distance"] <= 16).all()
    # the first copy has no label: it must not hide that of the others one differs
    conflicts = found[found["kind"] == "label_conflict"]
    assert "copy-03" in set(conflicts["id_str"]) | set(conflicts["other_id"])


def test_an_excluded_copy_hides_no_leak(copies: Catalog) -> None:
    split = make_split(copies)
    parts = ["excluded", "train", "excluded", "excluded", "test", *["train"] * 13]
    split = replace(split, table=split.table.assign(part=parts))
    rows = gather(copies, split)
    leaks = check_pairs(rows, same_pictures(rows, survey_pictures(copies.paths()))).query("kind == 'leak'")
    assert leaks[["id_str", "other_id"]].to_numpy().tolist() == [["copy-04", "copy-05"], ["copy-01", "copy-04"]]
    assert leaks["detail"].tolist() == ["same file", "same picture"]


def test_a_thousand_copies_take_no_million_pairs() -> None:
    n = 3000
    table = pd.DataFrame({"source": "s", "id_str": [str(row) for row in range(n)], "part": "", "label": ""})
    facts = PictureFacts(
        ["ok"] * n,
        np.ones((n, 3)),
        np.full(n, 50.0),
        np.zeros(n),
        np.full(n, 96),
        [""] * n,
        np.zeros((n, 32), np.uint8),
    )
    files, pictures, *_ = same_pictures(Rows(table, n, []), facts)
    assert len(files.rows) == 0
    assert pictures.rows.tolist() == [[0, row] for row in range(1, n)]


@pytest.mark.real
def test_no_two_of_real_galaxies_look_same_in_the_same_frame(shared: Path) -> None:
    from galaxalign.data.catalogs import read_catalog

    catalog = read_catalog(shared / "data" / "gz2" / "catalog.csv")
    found, pairs = found_in(catalog)
    assert all(len(told.rows) == 0 for told in pairs)
    assert not found["kind"].isin(["broken", "blank", "tiny", "saturated"]).any()
