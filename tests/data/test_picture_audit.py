"""Broken, blank, tiny, saturated and repeated pictures are found, and only those."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from galaxalign.data.audit import gather
from galaxalign.data.catalog import Catalog, as_catalog
from galaxalign.data.picture_audit import check_pictures, same_pictures, survey_pictures


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
    _, (files, pictures) = found_in(spoilt)
    ids = spoilt.ids
    assert [{ids[a], ids[b]} for a, b in files.rows] == [{"copy", "good-0"}]
    assert [{ids[a], ids[b]} for a, b in pictures.rows] == [{"again", "good-1"}]
    assert 0 < pictures.distance[0] <= 16


def test_bands_are_described(spoilt: Catalog) -> None:
    found, _ = found_in(spoilt)
    bands = found.loc[found["kind"] == "band", "detail"].tolist()
    assert [text.split(":")[0] for text in bands] == ["red", "green", "blue"]


def test_two_catalogues_are_compared_but_the_other_is_not_audited(spoilt: Catalog, tmp_path: Path) -> None:
    galaxy(3).save(tmp_path / "theirs.png")
    galaxy(99).save(tmp_path / "new.png")
    (tmp_path / "bad.png").write_bytes(b"no picture")
    names = ["theirs.png", "new.png", "bad.png", "theirs.png"]
    other = as_catalog(pd.DataFrame({"id_str": list("abcd"), "file_loc": names}), root=tmp_path, source="other")
    rows = gather(other, against=spoilt)
    facts = survey_pictures([*other.paths(), *spoilt.paths()])
    assert check_pictures(rows, facts).query("kind != 'band'")["id_str"].tolist() == ["c"]
    files, pictures = same_pictures(rows, facts)
    assert files.rows.tolist() == [[0, 3], [0, 4 + spoilt.ids.index("good-3")]]
    assert pictures.rows.tolist() == [[3, 4 + spoilt.ids.index("good-3")]]


@pytest.mark.real
def test_no_two_of_the_real_galaxies_look_the_same_in_the_same_frame(shared: Path) -> None:
    from galaxalign.data.catalog import read_catalog

    catalog = read_catalog(shared / "data" / "gz2" / "catalog.csv")
    found, pairs = found_in(catalog)
    assert all(len(told.rows) == 0 for told in pairs)
    assert not found["kind"].isin(["broken", "blank", "tiny", "saturated"]).any()
