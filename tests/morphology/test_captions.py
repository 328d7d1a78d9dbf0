"""Captions: grammatical, hedged as the bounds are, without contradictions, silent on what is undefined."""

from __future__ import annotations

import csv
import re

import numpy as np
import pytest
from hypothesis import given, strategies as st

from galaxalign.errors import InputError
from galaxalign.morphology.attribute_values import attribute_morphology
from galaxalign.morphology.captions import (
    attribute_caption,
    class_caption,
    class_prompts,
    describe,
)
from galaxalign.morphology.grammar import flip_caption, with_article
from galaxalign.morphology.morphology import Morphology
from galaxalign.morphology.taxonomy import load_taxonomy, taxonomy_names

EFIGI = load_taxonomy("efigi")
ALL_CLASSES = [entry for name in taxonomy_names() for entry in load_taxonomy(name).classes]

# What each attribute's words contain, whatever its level.
WORDS = {
    "Bulge_to_Total": "bulge|concentrated light|diffuse light",
    "Arm_Strength": r"(weak|strong|no|clear)[^.]* spiral arms",
    "Arm_Curvature": "open|wound",
    "Arm_Rotation": "clockwise",
    "Bar_Length": r"\bbar\b",
    "Inner_Ring": "inner ring",
    "Outer_Ring": "outer ring",
    "Pseudo_Ring": "pseudo-ring",
    "Perturbation": "distort",
    "Visible_Dust": "dust features",
    "Dust_Dispersion": "patchy|smooth dust",
    "Flocculence": "flocculent",
    "Hot_Spots": "knots",
    "Inclination": "seen|outline",
    "Contamination": "in front of it|blended",
    "Multiplicity": "neighbouring",
}
# The noun of each attribute that grades a presence.
NOUNS = {
    "Bulge_to_Total": "bulge",
    "Arm_Strength": "spiral arms",
    "Bar_Length": "bar",
    "Inner_Ring": "inner ring",
    "Outer_Ring": "outer ring",
    "Pseudo_Ring": "outer pseudo-ring",
    "Perturbation": "distortion",
    "Visible_Dust": "dust features",
    "Flocculence": "flocculent structure",
    "Hot_Spots": "bright knots",
    "Multiplicity": "neighbouring galaxies",
}
LEVELS = {attribute.name: attribute.levels for attribute in EFIGI.attributes}


def row_of(label: str = "", **values: tuple[float, float, float]) -> dict[str, object]:
    """Return a row with the given value, lower and upper bound of each attribute, all others undefined."""
    row: dict[str, object] = {"label": label}
    for attribute in EFIGI.attributes:
        for end, number in zip(("", "_inf", "_sup"), values.get(attribute.name, (-1.0, -1.0, -1.0)), strict=True):
            row[attribute.name + end] = number
    return row


@st.composite
def rows(draw):
    quarters = st.sampled_from([0.0, 0.25, 0.5, 0.75, 1.0])
    values = {}
    for attribute in EFIGI.attributes:
        if draw(st.booleans()):
            low, value, high = sorted(draw(st.tuples(quarters, quarters, quarters)))
            values[attribute.name] = (value, low, high)
    return row_of(draw(st.sampled_from(["", *EFIGI.class_names])), **values)


GENERATORS = st.one_of(st.none(), st.integers(0, 2**32 - 1).map(np.random.default_rng))


def parts(caption: str) -> tuple[str, str, str]:
    """Return what a caption says there is, says there is not, and says there is not clearly."""
    found = re.split(r"(?:, but|,? with|that has) (?=no )", caption.removesuffix("."), maxsplit=1)
    has, lacks = found if len(found) == 2 else (found[0], "")
    plain, _, clear = lacks.partition("no clear ")
    return has, plain, clear


def items(listed: str) -> set[str]:
    return {item.removeprefix("no ").strip() for item in re.split(", | or | and ", listed)} - {"", "no"}


def assert_sound(row: dict[str, object], caption: str) -> None:
    """Check grammar, silence on the undefined, hedges and freedom from contradiction."""
    has, plain, clear = parts(caption)
    label = str(row["label"])
    values = {name: [float(row[name + end]) for end in ("", "_inf", "_sup")] for name in WORDS}  # type: ignore[arg-type]

    assert caption[0].isupper()
    assert caption.endswith(".")
    assert "  " not in caption
    assert not re.search(r",\s*,|\bno no\b|\ba [aeiou]|\ban [^aeiou]|\bpossibly possibly|with \.|\bnan\b|-1", caption)
    assert caption.count("spiral arms") <= 1

    for name, words in WORDS.items():
        if values[name][0] < 0:
            said = re.search(words, caption)
            assert not said, f"{name} is undefined, yet: {caption}"
    for name, noun in NOUNS.items():
        value, low, high = values[name]
        if noun in items(plain):
            assert (value, high) == (0, 0), f"{name}: {caption}"
        if noun in items(clear):
            assert value == 0, f"{name}: {caption}"
            assert 0 < high <= 0.25, f"{name}: {caption}"
        words = min(LEVELS[name], key=lambda level: abs(level.value - value)).words
        if value > 0 and f" {words}" in has:
            assert (f"possibly {words}" in has) == (low == 0), f"{name}: {caption}"

    lacks = items(plain) | items(clear)
    assert not any(f" {noun}" in has for noun in lacks)
    assert not ("distort" in has and "distortion" in lacks)
    assert not ("flocculent" in has and "flocculent structure" in lacks)
    assert not ("outer ring" in has and "outer pseudo-ring" in lacks)
    assert not ("outer pseudo-ring" in has and "outer ring" in lacks)
    assert not ("dust features" in lacks and "patchy" in has)
    assert not ("spiral galaxy" in has and "spiral arms" in lacks)
    assert not ("irregular galaxy" in has and "distortion" in lacks)
    if re.search("clockwise|wound|open", has):
        assert values["Arm_Strength"][1] > 0
    plane = re.compile(r"\barms\b|\bbar\b|\bring\b|pseudo-ring|clockwise|wound")
    if "edge-on" in caption:
        assert not plane.search(caption)
    if label in {"elliptical", "dwarf_elliptical"}:
        assert not plane.search(caption)
        assert not re.search("seen|flocculent|bulge", caption)
    if label in {"lenticular", "irregular"}:
        assert "arms" not in caption
    if label and label not in {"elliptical", "dwarf_elliptical"}:
        assert "outline" not in caption


# --- classes ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("taxonomy", "name", "caption"),
    [
        ("galaxy10_decals", "barred_spiral", "A picture of a barred spiral galaxy"),
        ("galaxy10_decals", "unbarred_tight_spiral", "A picture of an unbarred tight spiral galaxy"),
        ("galaxy10_decals", "edge_on_with_bulge", "A picture of an edge-on galaxy with a bulge"),
        ("efigi", "irregular", "A picture of an irregular galaxy"),
        ("galaxy_zoo_1_handed", "spiral_anticlockwise", "A picture of an anticlockwise spiral galaxy"),
    ],
)
def test_caption_of_class_is_the_papers_with_the_right_article(taxonomy, name, caption):
    found = load_taxonomy(taxonomy)
    assert class_caption(found.classes[found.index(name)]) == caption


@pytest.mark.parametrize("galaxy_class", ALL_CLASSES, ids=lambda entry: entry.name)
def test_prompts_of_class_begin_with_caption_and_are_distinct(galaxy_class):
    prompts = class_prompts(galaxy_class)
    assert prompts[0] == class_caption(galaxy_class)
    assert len(set(prompts)) == len(prompts) >= 12
    assert not any(re.search(r"\ba [aeiou]|\ban (?!S-)[^aeiou]", prompt) for prompt in prompts)


@pytest.mark.parametrize(
    "phrase",
    [
        "a unique galaxy",
        "an unbarred spiral",
        "an unimpressive galaxy",
        "a one-armed spiral",
        "an S0 galaxy",
        "an S-shaped galaxy",
        "a Z-shaped galaxy",
        "an edge-on disc",
        "a European galaxy",
        "a Sombrero galaxy",
    ],
)
def test_the_article_follows_the_sound(phrase):
    assert with_article(phrase.split(" ", 1)[1]) == phrase


# --- a Morphology ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("morphology", "sentence"),
    [
        (Morphology(), "A galaxy."),
        (Morphology(form="artifact"), "An image artefact instead of a galaxy."),
        (Morphology(form="smooth", axis_ratio=0.95), "A round smooth galaxy."),
        (Morphology(form="smooth", axis_ratio=0.65), "A moderately elliptical smooth galaxy."),
        (Morphology(form="smooth", axis_ratio=0.3), "A very elongated, cigar-shaped smooth galaxy."),
        (Morphology(merger=True), "A pair of merging galaxies."),
        (Morphology(form="featured", arms=0), "A disc galaxy with no spiral arms."),
        (
            Morphology(form="featured", edge_on=True, bulge=0.4, bulge_shape="boxy", bar=0.8, arms=2),
            "A disc galaxy seen edge-on, with a medium-sized boxy bulge.",
        ),
        (
            Morphology(form="featured", bar=0.8, arms=2, winding=0.1, handedness="clockwise"),
            "A barred spiral galaxy with two wide open, clockwise spiral arms and a long bar.",
        ),
        (
            Morphology(form="featured", bar=0.0, arms=1, axis_ratio=0.9, dust=0.0),
            "An unbarred spiral galaxy seen face-on, with one spiral arm, but no dust features.",
        ),
    ],
)
def test_a_morphology_is_described(morphology, sentence):
    assert describe(morphology) == sentence


FRACTION = st.one_of(st.none(), st.floats(0, 1))
MORPHOLOGIES = st.builds(
    Morphology,
    form=st.sampled_from([None, "smooth", "featured"]),
    axis_ratio=st.one_of(st.none(), st.floats(0.05, 1)),
    edge_on=st.sampled_from([None, True, False]),
    bulge=FRACTION,
    bulge_shape=st.sampled_from([None, "round", "boxy", "none"]),
    bar=FRACTION,
    arms=st.one_of(st.none(), st.integers(0, 5)),
    arm_strength=FRACTION,
    winding=FRACTION,
    handedness=st.sampled_from([None, "clockwise", "anticlockwise"]),
    inner_ring=FRACTION,
    outer_ring=FRACTION,
    merger=st.sampled_from([None, True, False]),
    disturbance=FRACTION,
    irregularity=FRACTION,
    dust=FRACTION,
    flocculence=FRACTION,
)


@given(MORPHOLOGIES)
def test_description_free_contradictions_and_mirrors_galaxy(morphology):
    text = describe(morphology)
    has, plain, _ = parts(text)
    assert not any(re.search(rf"\b{noun}\b", has) for noun in items(plain))
    assert not re.search(r"\ba [aeiou]|\ban [^aeiou]|  |,\s*,", text)
    assert not ("edge-on" in text and re.search(r"\barms?\b|\bbar\b|\bring\b|clockwise", text))
    if morphology.form == "smooth" and not morphology.merger:
        assert not re.search(r"\bdisc\b|edge-on|spiral|\bbulge\b", text)
    assert flip_caption(text) == describe(morphology.flipped())


# --- graded attributes -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("bar", "sentence"),
    [
        ((0.25, 0.25, 0.5), "A lenticular galaxy with a weak bar."),
        ((0.25, 0.0, 0.5), "A lenticular galaxy with possibly a weak bar."),
        ((1.0, 0.75, 1.0), "A lenticular galaxy with a very long bar."),
        ((0.0, 0.0, 0.0), "A lenticular galaxy with no bar."),
        ((0.0, 0.0, 0.25), "A lenticular galaxy with no clear bar."),
        ((0.0, 0.0, 0.5), "A lenticular galaxy."),
        ((-1.0, -1.0, -1.0), "A lenticular galaxy."),
    ],
)
def test_hedges_follow_the_bounds(bar, sentence):
    assert attribute_caption(EFIGI, row_of("lenticular", Bar_Length=bar)) == sentence


def test_what_depends_on_arms_is_said_only_of_certain_arms():
    turning = {"Arm_Curvature": (0.75, 0.75, 1.0), "Arm_Rotation": (1.0, 1.0, 1.0)}
    certain = row_of("early_spiral", Arm_Strength=(0.25, 0.25, 0.5), **turning)
    assert (
        attribute_caption(EFIGI, certain)
        == "An early-type spiral galaxy with weak, tightly wound, clockwise spiral arms."
    )
    doubtful = row_of("early_spiral", Arm_Strength=(0.25, 0.0, 0.5), **turning)
    assert attribute_caption(EFIGI, doubtful) == "An early-type spiral galaxy with possibly weak spiral arms."
    unseen = row_of("early_spiral", **turning)
    assert attribute_caption(EFIGI, unseen) == "An early-type spiral galaxy."


def test_disc_seen_edge_on_has_no_bar_arms_or_rotation_in_words():
    row = row_of(
        "late_spiral",
        Inclination=(1.0, 1.0, 1.0),
        Bar_Length=(0.5, 0.5, 0.75),
        Arm_Strength=(0.5, 0.5, 0.5),
        Arm_Rotation=(0.0, 0.0, 0.0),
        Bulge_to_Total=(0.25, 0.25, 0.25),
    )
    assert attribute_caption(EFIGI, row) == "A late-type spiral galaxy seen edge-on, with a small bulge."


def test_inclination_of_a_spheroid_is_its_elongation():
    inclination = {"Inclination": (0.5, 0.5, 0.5)}
    assert attribute_caption(EFIGI, row_of("elliptical", **inclination)) == (
        "An elliptical galaxy with a moderately elongated outline."
    )
    assert attribute_caption(EFIGI, row_of("lenticular", **inclination)) == (
        "A lenticular galaxy seen at a moderate inclination."
    )
    assert attribute_caption(EFIGI, row_of(**inclination)) == "A galaxy."


def test_columns_found_in_case_and_missing_bounds_hedge_nothing():
    assert attribute_caption(EFIGI, {"LABEL": "S0", "bar_length": 0.25}) == "A lenticular galaxy with a weak bar."


def test_value_that_is_no_number_and_unknown_label_are_refused():
    with pytest.raises(InputError, match="column Bar_Length holds 'long'"):
        attribute_caption(EFIGI, {"Bar_Length": "long"})
    with pytest.raises(InputError, match="'lenticular'"):
        attribute_caption(EFIGI, {"label": "lentikular"})


@given(rows(), GENERATORS)
def test_no_row_contradicts_or_describes_the_undefined(row, rng):
    assert_sound(row, attribute_caption(EFIGI, row, rng))


@given(rows())
def test_a_row_without_its_label_does_not_tell_the_class(row):
    unlabelled = row | {"label": ""}
    assert not re.search("elliptical|lenticular|irregular|spiral galaxy", attribute_caption(EFIGI, unlabelled))


@given(rows(), st.integers(0, 2**32 - 1))
def test_the_same_seed_gives_the_same_caption(row, seed):
    first, second = (attribute_caption(EFIGI, row, np.random.default_rng(seed)) for _ in range(2))
    assert first == second
    assert attribute_caption(EFIGI, row) == attribute_caption(EFIGI, row)


def test_generator_varies_the_caption_within_what_the_row_says():
    row = row_of(
        "late_spiral",
        Bulge_to_Total=(0.25, 0.25, 0.5),
        Bar_Length=(0.5, 0.5, 0.5),
        Visible_Dust=(0.5, 0.25, 0.75),
        Inclination=(0.25, 0.25, 0.25),
    )
    rng = np.random.default_rng(0)
    assert len({attribute_caption(EFIGI, row, rng) for _ in range(100)}) > 30


@given(rows())
def test_attributes_refine_the_morphology_of_the_class(row):
    base = Morphology() if not row["label"] else EFIGI.classes[EFIGI.index(row["label"])].morphology
    refined = attribute_morphology(EFIGI, row, base)
    assert refined.form == base.form
    if refined.edge_on:
        assert refined.arms is refined.bar is refined.handedness is refined.winding is None
    if refined.arms == 0:
        assert refined.handedness is None
    if base.form == "smooth":
        assert not refined.edge_on
        assert refined.bar == base.bar


def test_undefined_attributes_leave_morphology_of_class_alone():
    for galaxy_class in EFIGI.classes:
        assert (
            attribute_morphology(EFIGI, row_of(galaxy_class.name), galaxy_class.morphology) == galaxy_class.morphology
        )


def test_attributes_give_handedness_inclination_and_rings():
    base = EFIGI.classes[EFIGI.index("early_spiral")].morphology
    row = row_of(
        "early_spiral",
        Arm_Strength=(0.5, 0.25, 0.75),
        Arm_Rotation=(1.0, 1.0, 1.0),
        Inclination=(0.5, 0.5, 0.5),
        Outer_Ring=(0.0, 0.0, 0.0),
        Pseudo_Ring=(0.25, 0.25, 0.25),
        Bar_Length=(0.75, 0.5, 0.75),
    )
    refined = attribute_morphology(EFIGI, row, base)
    assert refined.handedness == "clockwise"
    assert refined.edge_on is False
    assert refined.axis_ratio == 0.55
    assert refined.outer_ring == 0.5
    assert refined.bar == 0.75
    ringed = attribute_morphology(EFIGI, row | {"Outer_Ring": 0.75, "Outer_Ring_sup": 1.0}, base)
    assert ringed.outer_ring == 0.75
    armless = attribute_morphology(EFIGI, row | row_of(Arm_Strength=(0.0, 0.0, 0.0)), base)
    assert (armless.arms, armless.arm_strength, armless.winding) == (0, 0, None)


# --- mirrored --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "mirrored"),
    [
        ("A picture of a clockwise spiral galaxy", "A picture of an anticlockwise spiral galaxy"),
        ("An anticlockwise galaxy", "A clockwise galaxy"),
        ("weak, possibly clockwise spiral arms", "weak, possibly anticlockwise spiral arms"),
        ("An image of a Z-shaped, clockwise spiral", "An image of an S-shaped, anticlockwise spiral"),
        ("a spiral that turns counter-clockwise", "a spiral that turns clockwise"),
        ("A smooth galaxy", "A smooth galaxy"),
    ],
)
def test_a_mirrored_caption_turns_the_other_way(text, mirrored):
    assert flip_caption(text) == mirrored


@pytest.mark.parametrize("galaxy_class", ALL_CLASSES, ids=lambda entry: entry.name)
def test_two_flips_give_every_prompt_back(galaxy_class):
    for prompt in class_prompts(galaxy_class):
        assert flip_caption(flip_caption(prompt)) == prompt
        turns = galaxy_class.morphology.handedness is not None
        assert (flip_caption(prompt) != prompt) == turns


@given(rows(), GENERATORS)
def test_two_flips_give_every_attribute_caption_back(row, rng):
    caption = attribute_caption(EFIGI, row, rng)
    assert flip_caption(flip_caption(caption)) == caption


@pytest.mark.slow
@pytest.mark.real
def test_all_real_rows_make_sound_captions(shared):
    rng = np.random.default_rng(0)
    with (shared / "data" / "efigi" / "catalog.csv").open(newline="") as file:
        real = list(csv.DictReader(file))
    assert len(real) == 3312
    captions = set()
    for row in real:
        for named in (row, row | {"label": ""}):
            for generator in (None, rng):
                caption = attribute_caption(EFIGI, named, generator)
                assert_sound(named, caption)
                assert flip_caption(flip_caption(caption)) == caption
                captions.add(caption)
        base = EFIGI.classes[EFIGI.index(row["label"])].morphology
        refined = attribute_morphology(EFIGI, row, base)
        if float(row["Inclination"]) == 1 and base.form == "featured":
            assert refined.edge_on
            assert refined.handedness is None
    assert len(captions) > 8000
