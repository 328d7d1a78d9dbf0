"""The same galaxy is known again in another frame, pixel scale and stretch; another galaxy is not."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from galaxalign.data.catalogs import read_catalog
from galaxalign.data.splits.appearance import THRESHOLD, look_alikes, signatures


def galaxy(seed: int, size: int = 200) -> np.ndarray:
    """Return a disc with knots and stars around it, float (size, size, 3)."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:size, :size] / size - 0.5
    turn, flat = rng.uniform(0, np.pi), rng.uniform(0.4, 1)
    u, v = x * np.cos(turn) + y * np.sin(turn), (-x * np.sin(turn) + y * np.cos(turn)) / flat
    light = 200 * np.exp(-np.hypot(u, v) / 0.05)
    for _ in range(14):
        r, a = rng.uniform(0.03, 0.16), rng.uniform(0, 2 * np.pi)
        light += 70 * np.exp(-((x - r * np.cos(a)) ** 2 + (y - r * np.sin(a)) ** 2) / (2 * 0.012**2))
    for _ in range(10):
        cx, cy = rng.uniform(-0.5, 0.5, 2)
        light += rng.uniform(40, 150) * np.exp(-((x - cx) ** 2 + (y - cy) ** 2) / (2 * 0.008**2))
    noise = rng.normal(12, 3, (size, size, 3))
    return np.clip(light[:, :, None] * rng.uniform(0.7, 1, 3) + noise, 0, 255)


def save(picture: np.ndarray, path: Path) -> Path:
    Image.fromarray(np.clip(picture, 0, 255).astype(np.uint8)).save(path, quality=85)
    return path


def reframe(picture: np.ndarray, share: float, size: int, gamma: float) -> np.ndarray:
    side = share * len(picture)
    low = (len(picture) - side) / 2 + 2  # not quite centred
    image = Image.fromarray(picture.astype(np.uint8))
    cut = image.resize((size, size), Image.Resampling.BICUBIC, box=(low, low, low + side, low + side))
    return 255 * (np.asarray(cut) / 255) ** gamma


@pytest.fixture(scope="module")
def surveys(tmp_path_factory: pytest.TempPathFactory) -> tuple[list[Path], list[Path]]:
    """Return 40 galaxies, and another survey's pictures of 10 of them and of 20 others."""
    folder = tmp_path_factory.mktemp("surveys")
    one = [save(galaxy(seed), folder / f"one-{seed}.jpg") for seed in range(40)]
    rng = np.random.default_rng(0)
    two = [
        save(reframe(galaxy(seed), rng.uniform(0.45, 0.8), 90, rng.uniform(0.8, 1.2)), folder / f"two-{seed}.jpg")
        for seed in (*range(10), *range(100, 120))
    ]
    return one, two


def test_other_frames_of_ten_galaxies_found_and_nothing_else(surveys: tuple[list[Path], list[Path]]) -> None:
    one, two = (signatures(paths) for paths in surveys)
    found = look_alikes(one, two)
    sure = found.likeness >= THRESHOLD
    pairs = list(zip(found.first[sure].tolist(), found.second[sure].tolist(), strict=True))
    assert sorted(pairs) == [(k, k) for k in range(10)]
    assert (np.diff(found.likeness) <= 0).all()


def test_the_order_of_the_two_makes_no_difference(surveys: tuple[list[Path], list[Path]]) -> None:
    one, two = (signatures(paths) for paths in surveys)
    forth, back = look_alikes(one, two), look_alikes(two, one)
    assert forth.likeness[:10] == pytest.approx(back.likeness[:10], abs=0.1)
    assert set(forth.first[:10].tolist()) == set(back.second[:10].tolist())


def test_within_one_set_no_picture_matches_and_pairs_come_once(surveys: tuple[list[Path], list[Path]]) -> None:
    paths = [*surveys[0][:15], *surveys[1][:5]]
    found = look_alikes(signatures(paths))
    sure = found.likeness >= THRESHOLD
    assert sorted(zip(found.first[sure].tolist(), found.second[sure].tolist(), strict=True)) == [
        (k, 15 + k) for k in range(5)
    ]
    assert (found.first < found.second).all()


def test_two_pictures_alone_are_the_same_only_if_they_are(surveys: tuple[list[Path], list[Path]]) -> None:
    one, two = surveys
    assert look_alikes(signatures(one[:1]), signatures(two[:1])).likeness[0] >= THRESHOLD
    for k in range(1, 8):
        other = look_alikes(signatures(one[:1]), signatures(two[k : k + 1]))
        assert not (other.likeness >= THRESHOLD).any()


def test_three_copies_in_nearly_one_frame_are_all_found(tmp_path: Path) -> None:
    whole = galaxy(0)
    paths = [save(whole, tmp_path / "a.jpg"), save(reframe(whole, 0.95, 180, 1), tmp_path / "b.jpg")]
    paths += [save(reframe(whole, 0.9, 190, 1), tmp_path / "c.jpg"), save(galaxy(1), tmp_path / "d.jpg")]
    found = look_alikes(signatures(paths))
    sure = found.likeness >= THRESHOLD
    pairs = zip(found.first[sure].tolist(), found.second[sure].tolist(), strict=True)
    assert sorted(pairs) == [(0, 1), (0, 2), (1, 2)]


def test_pictures_that_show_nothing_match_nothing(tmp_path: Path) -> None:
    paths = [save(np.full((64, 64, 3), 9.0), tmp_path / f"{k}.png") for k in range(3)] + [tmp_path / "missing.png"]
    marks = signatures(paths)
    assert not marks.good.any()
    assert len(look_alikes(marks).first) == 0


@pytest.mark.real
def test_ids_galaxy_zoo_1_and_2_share_are_found_by_appearance(shared: Path) -> None:
    one, two = (read_catalog(shared / "data" / name / "catalog.csv") for name in ("gz1", "gz2"))
    common = sorted(set(one.ids) & set(two.ids))
    # The first rows hold one of the six a second time: it is found all the same.
    them = one.select([one.ids.index(identity) for identity in common] + list(range(150)))
    found = look_alikes(signatures(two.paths()), signatures(them.paths()))
    sure = found.likeness >= THRESHOLD
    pairs = {(two.ids[a], them.ids[b]) for a, b in zip(found.first[sure], found.second[sure], strict=True)}
    assert pairs == {(identity, identity) for identity in common}
    assert len(common) == 6
