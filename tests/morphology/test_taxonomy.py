"""Taxonomies: labels as real files spell them, strict loading, mirrored classes."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, strategies as st

from galaxalign.errors import InputError
from galaxalign.morphology.taxonomy import Taxonomy, load_taxonomy, taxonomy_names

MINIMAL = """
name = "mine"
title = "Mine"
description = "Two classes."
citation = "none"
ignored = ["junk"]

[[classes]]
name = "red"
title = "Red galaxies"
phrases = ["red galaxy"]

[[classes]]
name = "blue"
title = "Blue galaxies"
phrases = ["blue galaxy"]
morphology = { form = "featured" }
"""

GALAXY10_DECALS = (
    "Disturbed Galaxies",
    "Merging Galaxies",
    "Round Smooth Galaxies",
    "In-between Round Smooth Galaxies",
    "Cigar Shaped Smooth Galaxies",
    "Barred Spiral Galaxies",
    "Unbarred Tight Spiral Galaxies",
    "Unbarred Loose Spiral Galaxies",
    "Edge-on Galaxies without Bulge",
    "Edge-on Galaxies with Bulge",
)


def written(folder: Path, text: str) -> Path:
    path = folder / "mine.toml"
    path.write_text(text)
    return path


def test_the_taxonomies_come_with_the_package():
    assert taxonomy_names() == (
        "efigi",
        "galaxy10_decals",
        "galaxy10_sdss",
        "galaxy_mnist",
        "galaxy_zoo_1",
        "galaxy_zoo_1_handed",
        "galaxy_zoo_2",
        "gz_decals",
        "gz_desi",
    )


@pytest.mark.parametrize("name", taxonomy_names())
def test_a_taxonomy_survives_json(name):
    taxonomy = load_taxonomy(name)
    assert taxonomy.name == name
    assert Taxonomy.from_dict(json.loads(json.dumps(taxonomy.to_dict()))) == taxonomy


@pytest.mark.parametrize("name", taxonomy_names())
def test_every_class_has_its_own_morphology_and_its_own_phrases(name):
    taxonomy = load_taxonomy(name)
    assert len({entry.morphology for entry in taxonomy.classes}) == len(taxonomy)
    phrases = [phrase for entry in taxonomy.classes for phrase in entry.phrases]
    assert len(set(phrases)) == len(phrases)
    assert all(entry.morphology.known() for entry in taxonomy.classes)
    assert all(len(entry.phrases) >= 3 for entry in taxonomy.classes)


def test_galaxy10_decals_has_official_names_in_official_order():
    taxonomy = load_taxonomy("galaxy10_decals")
    assert tuple(entry.title for entry in taxonomy.classes) == GALAXY10_DECALS
    assert [taxonomy.index(title) for title in GALAXY10_DECALS] == list(range(10))
    assert [entry.code for entry in taxonomy.classes] == list(range(10))


@pytest.mark.parametrize(
    "label",
    [
        "round_smooth",
        "Round Smooth Galaxies",
        " ROUND-SMOOTH ",
        "smooth_round",
        2,
        "2",
        2.0,
        "2.0",
        np.int64(2),
    ],
)
def test_a_label_is_read_in_every_spelling_that_files_use(label):
    assert load_taxonomy("galaxy10_decals").index(label) == 2


@given(
    st.sampled_from(taxonomy_names()),
    st.data(),
    st.sampled_from("_ -"),
    st.sampled_from(["lower", "upper", "title"]),
)
def test_case_and_separators_do_not_matter(name, data, separator, case):
    taxonomy = load_taxonomy(name)
    index = data.draw(st.integers(0, len(taxonomy) - 1))
    label = getattr(taxonomy.class_names[index].replace("_", separator), case)()
    assert taxonomy.index(label) == index


@pytest.mark.parametrize(
    ("name", "label", "closest"),
    [
        ("galaxy10_decals", "Rund Smoth Galaxies", "round_smooth"),
        ("galaxy10_decals", "bared spiral", "barred_spiral"),
        ("efigi", "lentikular", "lenticular"),
        ("galaxy_zoo_1", "mergr", "merger"),
    ],
)
def test_an_unknown_label_names_the_closest_class(name, label, closest):
    with pytest.raises(InputError, match=f"the closest known is '{closest}'"):
        load_taxonomy(name).index(label)


@pytest.mark.parametrize("label", [-1, "-1", 10, "10", 1.5])
def test_number_that_is_no_code_is_refused_with_the_known_codes(label):
    with pytest.raises(InputError, match="its integer codes are 0, 1, 2"):
        load_taxonomy("galaxy10_decals").index(label)


def test_a_number_is_refused_where_the_taxonomy_has_no_codes():
    with pytest.raises(InputError, match="has no integer codes"):
        load_taxonomy("efigi").index(1)


def test_true_is_no_code_even_beside_a_1():
    with pytest.raises(InputError, match="label True in row 2"):
        load_taxonomy("galaxy10_decals").encode([1, True])


def test_encode_skips_missing_labels_and_names_unknown_rows():
    taxonomy = load_taxonomy("galaxy_zoo_1")
    labels = ["elliptical", "dont_know", None, float("nan"), "", "spiral_clockwise", "Merger"]
    codes = taxonomy.encode(labels)
    assert codes.dtype == np.int64
    assert codes.tolist() == [0, -1, -1, -1, -1, 1, 3]
    with pytest.raises(InputError, match=r"in row 2 .*'elliptical'"):
        taxonomy.encode(["spiral", "eliptical"])


def test_a_missing_label_is_not_an_ignored_one():
    taxonomy = load_taxonomy("galaxy_zoo_1")
    assert taxonomy.index("dont_know") is None
    with pytest.raises(InputError, match="missing"):
        taxonomy.index(None)


def test_rotations_are_two_classes_in_the_handed_taxonomy():
    merged, handed = load_taxonomy("galaxy_zoo_1"), load_taxonomy("galaxy_zoo_1_handed")
    rotations = ["spiral_clockwise", "spiral_anticlockwise"]
    assert merged.encode(rotations).tolist() == [1, 1]
    assert not merged.handed
    assert handed.handed
    clockwise, anticlockwise = handed.encode(rotations)
    assert clockwise != anticlockwise
    flip = handed.flip_permutation()
    assert flip[clockwise] == anticlockwise
    assert flip[anticlockwise] == clockwise


@pytest.mark.parametrize("name", taxonomy_names())
def test_two_flips_give_the_class_back(name):
    flip = load_taxonomy(name).flip_permutation()
    assert flip[flip].tolist() == list(range(len(flip)))


@pytest.mark.parametrize("name", taxonomy_names())
def test_cigars_are_smooth_and_in_between_is_elliptical(name):
    for entry in load_taxonomy(name).classes:
        if "cigar" in entry.name:
            assert entry.morphology.form == "smooth"
            assert not any("disc" in phrase or "edge-on" in phrase for phrase in entry.phrases)
        if "in_between" in entry.name:
            assert "moderately elliptical" in entry.phrases[0]
            assert 0.4 < entry.morphology.axis_ratio < 0.85


# --- one's own file ------------------------------------------------------------------------------------


def test_ones_own_file_is_read(tmp_path):
    taxonomy = load_taxonomy(written(tmp_path, MINIMAL))
    assert taxonomy.class_names == ("red", "blue")
    assert taxonomy.encode(["Blue Galaxies", "junk"]).tolist() == [1, -1]


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("citation", "citaton", r"mine.toml: unknown key 'citaton'.*'citation'"),
        ('phrases = ["blue', 'phrase = ["blue', r"mine.toml, classes\[1\]: unknown key 'phrase'.*'phrases'"),
        ("form =", "from =", r"mine.toml, classes\[1\], morphology: unknown key 'from'.*'form'"),
        ('"featured"', '"featureful"', r"classes\[1\], morphology: .*featureful"),
        ('form = "featured"', "bar = true", r"classes\[1\], morphology: the key 'bar' holds True"),
        ('form = "featured"', "edge_on = 1", r"classes\[1\], morphology: the key 'edge_on' holds 1"),
        ('form = "featured"', 'arms = "two"', r"classes\[1\], morphology: the key 'arms' holds 'two'"),
        ('form = "featured"', "bar = 3", r"classes\[1\], morphology: .*between 0 and 1"),
        ('title = "Mine"', "", r"mine.toml: the key 'title' is missing"),
        ('title = "Mine"', "title = 3", r"mine.toml: the key 'title' holds 3"),
        ('["red galaxy"]', "[]", r"classes\[0\].*no phrases"),
        ('"red"', '"Red One"', r"classes\[0\].*lower_snake_case"),
        ('name = "blue"', 'name = "red"', "gives the label .* to two classes"),
        ('form = "featured"', 'handedness = "clockwise"', "0 mirror images of the class blue"),
        ('name = "mine"', "name = ", "not valid TOML"),
    ],
)
def test_a_mistake_in_a_file_is_named_with_its_place(tmp_path, old, new, message):
    assert old in MINIMAL
    with pytest.raises(InputError, match=message):
        load_taxonomy(written(tmp_path, MINIMAL.replace(old, new, 1)))


def test_gz_desi_is_gz_decals_under_another_name():
    ours, theirs = (load_taxonomy(name).to_dict() for name in ("gz_desi", "gz_decals"))
    assert [key for key in ours if ours[key] != theirs[key]] == ["name", "title", "description", "citation"]


def test_a_file_extends_a_shipped_taxonomy(tmp_path):
    path = written(
        tmp_path,
        """
extends = "gz_decals"
name = "mine"
ignored = ["junk"]

[[classes]]
name = "merger"
morphology = { merger = true, disturbance = 0.9 }

[[classes]]
name = "lens"
title = "Lens"
phrases = ["gravitational lens"]

[[questions]]
name = "bar"
[[questions.answers]]
name = "no"
phrases = ["galaxy that lacks a bar"]
""",
    )
    base, mine = load_taxonomy("gz_decals"), load_taxonomy(path)
    assert mine.class_names == (*base.class_names, "lens")
    assert (mine.name, mine.title, mine.ignored) == ("mine", base.title, ("junk",))
    assert mine.classes[0].phrases == base.classes[0].phrases
    assert mine.classes[0].morphology.known() == {"merger": True, "disturbance": 0.9}
    assert mine.classes[1:-1] == base.classes[1:]
    assert mine.tree is not None
    assert base.tree is not None
    changed = [new for old, new in zip(base.tree.answers, mine.tree.answers, strict=True) if new != old]
    assert [(answer.name, answer.phrases) for answer in changed] == [("no", ("galaxy that lacks a bar",))]


def test_a_file_extends_a_file_beside_it(tmp_path, monkeypatch):
    written(tmp_path, MINIMAL)
    (tmp_path / "second.toml").write_text('extends = "mine.toml"\nname = "second"\ntitle = "Second"\n')
    (tmp_path / "third.toml").write_text('extends = "second.toml"\nname = "third"\n')
    third = load_taxonomy(tmp_path / "third.toml")
    assert (third.name, third.title, third.class_names) == ("third", "Second", ("red", "blue"))
    monkeypatch.chdir(tmp_path)
    assert load_taxonomy("third.toml") == third


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('extends = "mine.toml"\nname = "a"', r"circle: .*mine\.toml → .*mine\.toml; drop one extends"),
        ('extends = "other.toml"\nname = "a"', r"circle: .*mine\.toml → .*other\.toml → .*mine\.toml"),
        (
            'extends = "gz_decal"\nname = "a"',
            r"mine\.toml extends the taxonomy 'gz_decal', which is unknown; known are",
        ),
        ('extends = "gone.toml"\nname = "a"', r"gone\.toml cannot be read"),
        ('extends = "gz_decals"', r"mine\.toml extends gz_decals, but has no name of its own; add one"),
        ('extends = 3\nname = "a"', "must be of type str"),
        ('extends = "gz_decals"\nname = "a"\nclass = 1', "unknown key 'class'"),
        ('extends = "gz_decals"\nname = "a"\nclasses = [1]', "expected a table"),
    ],
)
def test_a_wrong_base_is_refused_in_one_sentence(tmp_path, text, message):
    (tmp_path / "other.toml").write_text('extends = "../' + tmp_path.name + '/mine.toml"\nname = "other"\n')
    with pytest.raises(InputError, match=message):
        load_taxonomy(written(tmp_path, text))


def test_an_unknown_taxonomy_and_a_missing_file_are_refused(tmp_path):
    with pytest.raises(InputError, match=r"'galaxy11' is unknown; known are efigi"):
        load_taxonomy("galaxy11")
    with pytest.raises(InputError, match="cannot be read"):
        load_taxonomy(tmp_path / "absent.toml")


@pytest.mark.parametrize(
    ("attribute", "message"),
    [
        ('name = "A"\ntitle = "a"\nlevels = []', "no levels"),
        (
            'name = "A"\ntitle = "a"\nlevels = [{ value = 1, words = "x" }, { value = 0, words = "y" }]',
            "ascend",
        ),
        ('name = "A"\ntitle = "a"\nfield = "bra"\nlevels = [{ value = 0, words = "x" }]', "'bra'.*'bar'"),
        ('name = "A"\ntitle = "a"\nlevels = [{ value = 0, word = "x" }]', "'word'.*'words'"),
    ],
)
def test_a_mistake_in_an_attribute_is_named(tmp_path, attribute, message):
    with pytest.raises(InputError, match=message):
        load_taxonomy(written(tmp_path, f"{MINIMAL}\n[[attributes]]\n{attribute}\n"))


# --- real galaxies ---------------------------------------------------------------------------------------


def _rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


@pytest.mark.real
def test_every_real_label_and_hubble_type_is_known(shared):
    efigi = load_taxonomy("efigi")
    rows = _rows(shared / "data" / "efigi" / "catalog.csv")
    labels = efigi.encode(row["label"] for row in rows)
    assert labels.min() == 0
    assert np.array_equal(labels, efigi.encode(row["hubble_type"] for row in rows))
    zoo = load_taxonomy("galaxy_zoo_1")
    labels = zoo.encode(row["label"] for row in _rows(shared / "data" / "gz1" / "catalog.csv"))
    assert np.bincount(labels + 1, minlength=5).tolist() == [41, 3452, 642, 733, 84]


def _outward_turn(path: Path, crop: float) -> float:
    """Return > 0 if the arms, followed outwards, turn clockwise on the picture, < 0 if the other way.

    A logarithmic spiral is a plane wave in (log r, angle); its sense is the sign of its wave vector.
    """
    image_module = pytest.importorskip("PIL.Image")
    from scipy.ndimage import map_coordinates

    image = np.asarray(image_module.open(path).convert("L"), dtype=float)
    margin = int(image.shape[0] * (1 - crop) / 2)
    image = image[margin : len(image) - margin, margin : len(image) - margin]
    centre = (len(image) - 1) / 2
    log_radius = np.linspace(np.log(0.06), np.log(0.42), 64) + np.log(len(image))
    # Rows run downwards, so that a growing angle turns clockwise on the picture.
    angle = np.linspace(0, 2 * np.pi, 128, endpoint=False)
    radius, angle = np.meshgrid(np.exp(log_radius), angle, indexing="ij")
    polar = map_coordinates(
        image, [centre + radius * np.sin(angle), centre + radius * np.cos(angle)], order=1, mode="nearest"
    )
    mean = polar.mean(axis=1, keepdims=True)
    power = np.abs(np.fft.fft2((polar - mean) / (mean + 3) * np.hanning(64)[:, None])) ** 2
    two_and_three_arms = power[:, 2:4].sum(axis=1)
    return float(two_and_three_arms[-6:].sum() - two_and_three_arms[1:7].sum())


@pytest.mark.real
def test_handedness_means_same_on_pictures_efigi_and_galaxy_zoo(shared):
    turns: dict[str, list[float]] = {"clockwise": [], "anticlockwise": []}
    rotation = next(a for a in load_taxonomy("efigi").attributes if a.name == "Arm_Rotation")
    ends = {level.value: level.morphology.handedness for level in rotation.levels if level.morphology.handedness}
    assert set(ends) == {0.0, 1.0}
    folder = shared / "data" / "efigi"
    for row in _rows(folder / "catalog.csv"):
        end = ends.get(float(row["Arm_Rotation"]))
        clear = float(row["Arm_Strength"]) >= 0.5 and float(row["Inclination"]) <= 0.25
        if end and clear and len(turns[end]) < 100:
            turns[end].append(_outward_turn(folder / row["file_loc"], crop=1.0))
    zoo: dict[str, list[float]] = {"clockwise": [], "anticlockwise": []}
    folder = shared / "data" / "gz1"
    for row in _rows(folder / "catalog.csv"):
        end = row["label"].removeprefix("spiral_")
        if end in zoo and len(zoo[end]) < 100:
            zoo[end].append(_outward_turn(folder / row["file_loc"], crop=1 / 3))
    for sample in (turns, zoo):
        # A clockwise galaxy's arms turn anticlockwise outwards.
        assert np.mean(np.array(sample["clockwise"]) < 0) > 0.7
        assert np.mean(np.array(sample["anticlockwise"]) > 0) > 0.7
