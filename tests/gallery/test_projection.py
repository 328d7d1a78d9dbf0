"""Maps keep neighbours together, repeat with the seed, and are drawn without a display."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from galaxalign.errors import InputError
from galaxalign.gallery.projection import (
    METHODS,
    class_styles,
    grid_figure,
    map_figure,
    project,
    snap_to_grid,
)


def clusters(n: int = 90) -> tuple[np.ndarray, np.ndarray]:
    labels = np.arange(n) % 3
    vectors = 3 * np.eye(12)[labels] + 0.3 * np.random.default_rng(0).normal(size=(n, 12))
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32), labels


@pytest.mark.slow
@pytest.mark.parametrize("method", METHODS)
def test_a_map_separates_clusters_and_repeats(method: str) -> None:
    vectors, labels = clusters()
    xy = project(vectors, method=method, seed=1)
    assert xy.shape == (90, 2)
    assert xy.dtype == np.float32
    np.testing.assert_array_equal(xy, project(vectors, method=method, seed=1))
    distance = np.linalg.norm(xy[:, None] - xy[None], axis=2) + 1e9 * np.eye(90)
    assert (labels[distance.argmin(axis=1)] == labels).mean() > 0.95


@pytest.mark.parametrize("method", METHODS)
def test_four_galaxies_are_enough(method: str) -> None:
    xy = project(np.eye(4, 6), method=method)
    assert xy.shape == (4, 2)
    assert np.isfinite(xy).all()


def test_pca_gives_the_directions_of_largest_variance() -> None:
    rng = np.random.default_rng(0)
    xy = project(rng.normal(size=(500, 4)) * [0.1, 5, 2, 0.1], method="pca")
    assert xy.std(axis=0) == pytest.approx([5, 2], rel=0.15)


def test_a_map_that_cannot_be_made_is_refused() -> None:
    with pytest.raises(InputError, match="unknown projection 'som'; known are tsne, umap, pca"):
        project(np.eye(9), method="som")
    with pytest.raises(InputError, match="at least 4 galaxies"):
        project(np.eye(3), method="pca")
    with pytest.raises(InputError, match="not finite"):
        project(np.full((9, 2), np.nan), method="pca")


def test_the_grid_holds_every_galaxy_of_its_sample_once() -> None:
    xy = np.random.default_rng(0).normal(size=(50, 2))
    grid = snap_to_grid(xy, side=20)
    assert grid.shape == (7, 7)
    assert len(np.unique(grid)) == 49
    np.testing.assert_array_equal(grid, snap_to_grid(xy, side=20))


def test_the_grid_keeps_right_and_up() -> None:
    x, y = np.meshgrid(np.arange(5.0), np.arange(5.0))
    xy = np.stack([x.ravel(), y.ravel()], axis=1)
    grid = snap_to_grid(xy, side=5)
    np.testing.assert_array_equal(xy[grid][..., 0], x)
    np.testing.assert_array_equal(xy[grid][..., 1], y[::-1])  # row 0 of a picture is its top


def test_styles_differ_for_more_classes_than_any_taxonomy_has() -> None:
    assert len(set(class_styles(110))) == 110
    assert all(a[0] != b[0] and a[1] != b[1] for a, b in pairwise(class_styles(40)))


@pytest.mark.parametrize("suffix", ["png", "svg", "pdf"])
def test_map_figure_is_drawn_with_names_as_words(tmp_path: Path, suffix: str) -> None:
    vectors, labels = clusters()
    labels[:5] = -1
    out = tmp_path / f"map.{suffix}"
    xy = project(vectors, method="pca")
    assert map_figure(xy, labels, ["edge_on", "spiral", "merger", "absent"], out, title="t") == out
    assert out.stat().st_size > 1000
    if suffix == "png":
        with Image.open(out) as image:
            colours = {colour for _, colour in image.convert("RGB").getcolors(1 << 24) or []}
        assert len(colours) > 10


def test_grid_figure_puts_each_image_where_its_galaxy_is(tmp_path: Path) -> None:
    # Four plain colours: red lower left, green lower right, blue upper left, white upper right.
    colours = np.array([[255, 0, 0], [0, 255, 0], [0, 0, 255], [255, 255, 255]], dtype=np.uint8)
    images = np.broadcast_to(colours[:, None, None], (4, 8, 8, 3))
    out = grid_figure(images, np.array([[0, 0], [1, 0], [0, 1], [1, 1]]), tmp_path / "grid.png", side=2)
    with Image.open(out) as image:
        pixels = np.asarray(image.convert("RGB"))
    height, width = pixels.shape[:2]
    assert pixels[height // 4, width // 4].tolist() == [0, 0, 255]
    assert pixels[2 * height // 3, width // 4].tolist() == [255, 0, 0]
    assert pixels[2 * height // 3, 3 * width // 4].tolist() == [0, 255, 0]


def test_a_figure_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    xy, labels = np.zeros((4, 2)), np.zeros(4, int)
    with pytest.raises(InputError, match=r"map\.docx.*\.png"):
        map_figure(xy, labels, ["a"], tmp_path / "map.docx")
    with pytest.raises(InputError, match=r"cannot write .*absent"):
        map_figure(xy, labels, ["a"], tmp_path / "absent" / "map.png")
