"""A simulated survey shows what its catalogue says, and the same seed gives the same bytes."""

from __future__ import annotations

import subprocess
import sys
from itertools import pairwise
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings, strategies as st
from PIL import Image

from galaxalign.errors import InputError
from galaxalign.morphology.fill_in import complete, scatter
from galaxalign.morphology.morphology import Morphology
from galaxalign.morphology.render_light import galaxy_light
from galaxalign.morphology.simulate import draw_galaxy
from galaxalign.morphology.taxonomy import load_taxonomy, taxonomy_names
from galaxalign.verbs.simulate import simulate


def bytes_of(folder: Path) -> dict[str, bytes]:
    return {p.relative_to(folder).as_posix(): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def surface(morphology: Morphology, seed: int, side: int = 129, radius: float = 50) -> np.ndarray:
    """Return the r band of the structured light, without sky and atmosphere."""
    rng = np.random.default_rng(seed)
    return galaxy_light(complete(morphology, rng), rng, shape=(side, side), radius=radius).image[1]


def turning(image: np.ndarray) -> float:
    """Return how the two-armed pattern turns with radius: > 0 is anticlockwise, followed outwards."""
    side = image.shape[0]
    y, x = np.mgrid[0:side, 0:side] - side // 2
    r, azimuth = np.hypot(x, y), np.arctan2(-y, x)  # row 0 on top
    waves = [(image * np.exp(2j * azimuth))[(r >= low) & (r < low + 2)].mean() for low in np.arange(14, 38, 2)]
    return float(np.angle(sum(b * np.conj(a) for a, b in pairwise(waves))))


def elongation(image: np.ndarray) -> float:
    """Return the minor over the major axis from the second moments."""
    light = np.clip(image, 0, None)
    y, x = np.mgrid[0 : image.shape[0], 0 : image.shape[1]].astype(float)
    y, x = y - (light * y).sum() / light.sum(), x - (light * x).sum() / light.sum()
    moments = np.array([[(light * x * x).sum(), (light * x * y).sum()], [(light * x * y).sum(), (light * y * y).sum()]])
    small, large = np.linalg.eigvalsh(moments)
    return float(np.sqrt(small / large))


@pytest.mark.parametrize(("handedness", "sign"), [("clockwise", 1), ("anticlockwise", -1)])
def test_arms_turn_as_the_handedness_says(handedness: str, sign: int) -> None:
    spiral = Morphology(
        form="featured", edge_on=False, axis_ratio=1.0, arms=2, arm_strength=0.9, winding=0.4, bar=0.0,
        bulge=0.1, flocculence=0.0, disturbance=0.0, irregularity=0.0, inner_ring=0.0, outer_ring=0.0, dust=0.0,
        merger=False, handedness=handedness,
    )  # fmt: skip
    turns = [sign * turning(surface(spiral, seed)) for seed in range(6)]
    assert min(turns) > 0


def test_axis_ratio_and_edge_on_disc_are_as_thin_as_they_say() -> None:
    plain = {"form": "featured", "merger": False, "disturbance": 0.0, "irregularity": 0.0, "dust": 0.0, "bulge": 0.0}
    discs = {
        ratio: np.mean([
            elongation(surface(Morphology(**plain, edge_on=False, arms=0, arm_strength=0.0, bar=0.0, inner_ring=0.0,
                                          outer_ring=0.0, axis_ratio=ratio), seed)) for seed in range(3)
        ])
        for ratio in (0.4, 0.9)
    }  # fmt: skip
    assert discs[0.4] == pytest.approx(0.4, abs=0.12)
    assert discs[0.9] == pytest.approx(0.9, abs=0.12)
    assert elongation(surface(Morphology(**plain, edge_on=True, axis_ratio=0.15), 0)) < 0.3


def test_bar_stretches_the_inner_light_and_its_absence_does_not() -> None:
    plain = {
        "form": "featured", "edge_on": False, "axis_ratio": 1.0, "merger": False, "disturbance": 0.0, "dust": 0.0,
        "irregularity": 0.0, "arms": 0, "arm_strength": 0.0, "bulge": 0.1, "inner_ring": 0.0, "outer_ring": 0.0,
    }  # fmt: skip

    def stretch(bar: float) -> float:
        """Return the amplitude of two-fold symmetry where a bar would be, inside 0.4 of the radius of 50."""
        y, x = np.mgrid[0:129, 0:129] - 64
        r, azimuth = np.hypot(x, y), np.arctan2(-y, x)
        inside = (r > 8) & (r < 20)
        images = [surface(Morphology(**plain, bar=bar), seed) for seed in range(4)]
        return float(np.mean([abs((i * np.exp(2j * azimuth))[inside].sum()) / i[inside].sum() for i in images]))

    with_bar, without = stretch(0.7), stretch(0.0)
    assert with_bar > 0.2  # from where on galaxies count as barred
    assert with_bar > 3 * without


def test_arms_make_structure_that_a_smooth_galaxy_lacks() -> None:
    def roughness(morphology: Morphology) -> float:
        image = surface(morphology, 3)
        return float(np.abs(image - image[::-1, ::-1]).sum() / image.sum())

    smooth = Morphology(form="smooth", axis_ratio=0.9, bulge=0.5)
    assert roughness(Morphology(form="featured", irregularity=0.9)) > 3 * roughness(smooth)


@pytest.mark.parametrize("name", taxonomy_names())
def test_every_class_of_every_taxonomy_can_be_drawn(name: str) -> None:
    for index, entry in enumerate(load_taxonomy(name).classes):
        picture = draw_galaxy(entry.morphology, np.random.default_rng(index), size=48)
        assert picture.shape == (48, 48, 3)
        assert picture.dtype == np.uint8
        assert int(picture.max()) > 60
        assert picture[18:30, 18:30].mean() > np.median(picture)


@settings(max_examples=25, deadline=None)
@given(
    seed=st.integers(0, 2**32),
    form=st.sampled_from([None, "smooth", "featured", "artifact"]),
    arms=st.sampled_from([None, 0, 1, 2, 5]),
    edge_on=st.sampled_from([None, True, False]),
    merger=st.sampled_from([None, True, False]),
    level=st.sampled_from([None, 0.0, 0.5, 1.0]),
)
def test_completing_a_morphology_keeps_what_is_known(
    seed: int, form: str | None, arms: int | None, edge_on: bool | None, merger: bool | None, level: float | None
) -> None:
    given_ = Morphology(
        form=form, arms=arms, edge_on=edge_on, merger=merger,
        irregularity=level, disturbance=level, dust=level, bulge=level, bar=level, inner_ring=level,
    )  # fmt: skip
    full = complete(given_, np.random.default_rng(seed))
    assert given_.known().items() <= full.known().items()
    if form != "artifact":
        unknown = set(Morphology.field_names()) - set(full.known())
        assert unknown <= ({"winding", "handedness"} if not full.arms else set())
    assert draw_galaxy(given_, np.random.default_rng(seed), size=32).shape == (32, 32, 3)


def test_scatter_moves_numbers_and_keeps_ends_and_the_unknown() -> None:
    moved = scatter(Morphology(bar=0.7, bulge=0.0, axis_ratio=1.0), np.random.default_rng(0))
    assert moved.bar != 0.7
    assert (moved.bulge, moved.axis_ratio, moved.dust) == (0.0, 1.0, None)


def test_survey_is_balanced_and_same_for_any_number_of_workers(tmp_path: Path) -> None:
    paths = [simulate(n=20, out=tmp_path / str(w), size=32, seed=5, workers=w) for w in (1, 2)]
    assert bytes_of(tmp_path / "1") == bytes_of(tmp_path / "2")
    table = pd.read_csv(paths[0], dtype={"id_str": str})
    taxonomy = load_taxonomy("galaxy10_decals")
    assert table.label.value_counts().to_dict() == dict.fromkeys(taxonomy.class_names, 2)
    assert [c for c in table if c.startswith("true_")] == [f"true_{f}" for f in Morphology.field_names()]
    assert table.loc[table.label == "merging", "true_merger"].all()
    assert (table.loc[table.label == "barred_spiral", "true_bar"] > 0.2).all()
    for place in table.file_loc:
        with Image.open(tmp_path / "1" / place) as picture:
            assert (picture.format, picture.size, picture.mode) == ("JPEG", (32, 32), "RGB")


def test_another_seed_makes_another_survey_in_place_of_first(tmp_path: Path) -> None:
    simulate(n=3, out=tmp_path, size=32, seed=0, workers=1)
    first = bytes_of(tmp_path)
    simulate(n=2, out=tmp_path, size=32, seed=1, workers=1)
    second = bytes_of(tmp_path)
    assert len(second) == 3
    assert all(second[name] != first[name] for name in second)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"n": 0}, "n is 0; simulate needs 1 or more"),
        ({"size": 8}, "size is 8; simulate needs 32 or more"),
        ({"seed": -1}, "seed is -1"),
        ({"workers": 0}, "workers is 0"),
        ({"taxonomy": "galaxy_11"}, "taxonomy 'galaxy_11' is unknown"),
    ],
)
def test_bad_settings_are_refused_before_anything_is_written(
    tmp_path: Path, options: dict[str, object], message: str
) -> None:
    with pytest.raises(InputError, match=message):
        simulate(out=tmp_path / "new", **options)
    assert not (tmp_path / "new").exists()


def test_a_folder_with_other_files_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "images").mkdir()
    photo = tmp_path / "images" / "holiday.jpg"
    photo.write_bytes(b"keep me")
    with pytest.raises(InputError, match=r"holds other files, such as holiday\.jpg"):
        simulate(n=1, out=tmp_path)
    assert photo.read_bytes() == b"keep me"


@pytest.mark.slow
def test_script_without_main_guard_simulates_in_processes(tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text(
        f"from galaxalign import simulate\nsimulate(n=9, out={str(tmp_path / 'out')!r}, size=32, workers=2)\n"
    )
    done = subprocess.run([sys.executable, str(script)], capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stderr
    assert len(list((tmp_path / "out" / "images").iterdir())) == 9


def test_an_output_that_is_a_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("text")
    with pytest.raises(InputError, match="is a file, not a folder"):
        simulate(n=1, out=tmp_path / "file")


def test_a_tiny_picture_is_refused() -> None:
    with pytest.raises(InputError, match="32 or more"):
        draw_galaxy(Morphology(), np.random.default_rng(0), size=10)


def test_a_catalogue_of_the_users_own_is_left_alone(tmp_path: Path) -> None:
    mine = tmp_path / "catalog.csv"
    mine.write_text("id_str,file_loc,label\n1,a.jpg,spiral\n")
    with pytest.raises(InputError, match=r"holds other files, such as catalog\.csv"):
        simulate(n=1, out=tmp_path)
    assert mine.read_text().startswith("id_str,file_loc,label\n1")
