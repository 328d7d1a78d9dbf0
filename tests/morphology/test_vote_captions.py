"""Sentences from votes: grammatical, silent on what was hardly asked, hedged as the votes are."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings, strategies as st

from galaxalign.morphology.decision_tree import Answer, DecisionTree, Question
from galaxalign.morphology.grammar import flip_caption
from galaxalign.morphology.morphology import Morphology
from galaxalign.morphology.taxonomy import load_taxonomy, taxonomy_names
from galaxalign.morphology.vote_captions import vote_caption
from galaxalign.morphology.voted_answers import posterior, vote_morphology
from galaxalign.morphology.votes import read_votes

TREES = {name: tree for name in taxonomy_names() if (tree := load_taxonomy(name).tree) is not None}
ZOO = TREES["galaxy_zoo_2"]


ROUNDNESS = r"\bround\b(?! bulge)|\boval\b|moderately elliptical|elongated|cigar"
IN_DISC = r"\b(un)?barred\b|\bbar\b|spiral|\barms?\b"
# Words that only the answers of these questions use; a galaxy may have heard of them from any of the questions.
WORDS = {
    ("t02_edgeon",): "edge-on|from its side",
    ("t03_bar",): r"\b(un)?barred\b|\bbar\b",
    ("t04_spiral",): r"spiral|\barms?\b|armless",
    ("t05_bulge_prominence", "t09_bulge_shape"): "bulge",
    ("t06_odd",): r"\bodd\b",
    ("t07_rounded",): ROUNDNESS,
    ("t08_odd_feature",): r"\bring|lens|\barc\b|disturbed|irregular|merging|merger|dust|unusual",
    ("t09_bulge_shape",): "boxy|box-shaped|rounded bulge|round bulge",
    ("t10_arms_winding",): r"wound|\b(tight|loose|open)\b",
    ("t11_arms_number",): r"\b(one|two|three|four)\b.{0,40}arms?\b|-armed",
}


def votes_of(tree: DecisionTree = ZOO, voters: float = 40, **fractions: float) -> tuple[np.ndarray, np.ndarray]:
    """Return fractions, given by how the answers' names begin, and voters, who all came to where the tree lets them."""
    row = np.zeros(len(tree.stems))
    for start, value in fractions.items():
        (column,) = [c for c, stem in enumerate(tree.stems) if stem.replace("-", "_").startswith(start)]
        row[column] = value
    return row, voters * tree.asked(row[None])[0]


SPIRAL = {
    "t01_smooth_or_features_a02": 1.0,
    "t02_edgeon_a05": 1.0,
    "t03_bar_a06": 1.0,
    "t04_spiral_a08": 1.0,
    "t10_arms_winding_a30": 1.0,
    "t11_arms_number_a32": 1.0,
    "t05_bulge_prominence_a11": 1.0,
    "t06_odd_a15": 1.0,
}
EDGE_ON = {"t01_smooth_or_features_a02": 1.0, "t02_edgeon_a04": 1.0, "t09_bulge_shape_a25": 1.0}
DUST_LANE = {"t06_odd_a14": 0.7, "t06_odd_a15": 0.3, "t08_odd_feature_a38": 0.8, "t08_odd_feature_a22": 0.2}


def assert_grammatical(caption: str) -> None:
    assert caption[0].isupper()
    assert caption.endswith(".")
    assert caption.count(".") == 1
    wrong = (
        r"  |,\s*,|\bno no\b|\b[Aa] (?!one)[aeio]|\b[Aa]n [^aeiou]|\b(possibly|perhaps) (possibly|perhaps)|with[ ,.]*$"
    )
    assert not re.search(wrong, caption.removesuffix(".")), caption
    assert not re.search(r"\b(\w+) \1\b|\bnan\b|None|\d|_|\bdisk\b", caption), caption


def assert_free_of_contradiction(caption: str) -> None:
    has, *lacks = re.split(r"(?:, but|,? with|that has) (?=no )", caption)
    edge_on = "edge-on" in caption and "not seen edge-on" not in caption
    assert not (edge_on and re.search(rf"{IN_DISC}|\bring\b", caption)), caption
    if re.search("boxy|rounded bulge|box-shaped", caption):
        assert edge_on, caption
    if re.search(ROUNDNESS, caption):
        assert "smooth" in caption, caption
    if "smooth" in caption.replace("smooth to others", ""):
        assert not re.search(rf"{IN_DISC}|bulge|edge-on", caption), caption
    for lack in lacks:
        assert not ("spiral" in has and "spiral arms" in lack), caption
        assert not (re.search(r"\bbar(red)?\b", has) and re.search(r"\bbar\b", lack)), caption
        assert not ("bulge" in has and "bulge" in lack), caption
    assert len(re.findall("bulge", caption)) <= 1, caption
    if "artefact" in caption:
        galaxy = r"galaxy|oval|round|arms|bulge|merging|odd|disc"
        assert not re.search(galaxy, caption.replace("instead of a galaxy", "")), caption


def assert_silent_on_what_was_hardly_asked(fractions: np.ndarray, voters: np.ndarray, caption: str) -> None:
    asked = ZOO.asked(np.asarray(fractions)[None])[0]
    names = [question.name for question in ZOO.questions]
    enough = {name for name, reach, count in zip(names, asked, voters, strict=True) if reach >= 0.25 and not count < 4}
    for questions, words in WORDS.items():
        if not enough & set(questions):
            assert not re.search(words, caption), f"{questions[0]} was hardly asked, yet: {caption}"


def assert_as_sure_as_the_votes(fractions: np.ndarray, caption: str) -> None:
    """Check the sentence for people against the plain fractions, which the prior can only make less sure."""
    share = dict(zip(ZOO.stems, np.nan_to_num(fractions), strict=True))
    plain = re.split("possibly|perhaps", caption)[0]
    for words, stem in {
        r"^An? barred": "t03_bar_a06_bar",
        r"^An? unbarred|no bar": "t03_bar_a07_no_bar",
        r"^An? (un)?(barred )?spiral": "t04_spiral_a08_spiral",
        "^An edge-on": "t02_edgeon_a04_yes",
        "^A star or": "t01_smooth_or_features_a03_star_or_artifact",
        r"^An? (smooth,|smooth galaxy)": "t01_smooth_or_features_a01_smooth",
        r"\btwo\b": "t11_arms_number_a32_2",
        "tightly wound": "t10_arms_winding_a28_tight",
        "a small bulge": "t05_bulge_prominence_a11_just_noticeable",
        "merging": "t08_odd_feature_a24_merger",
        "a ring": "t08_odd_feature_a19_ring",
    }.items():
        assert not (re.search(words, plain) and share[stem] < 0.65), f"{stem} {share[stem]:.2f}, yet: {caption}"
        assert not (re.search(words.lstrip("^"), caption) and share[stem] < 0.5) or "smooth" in words, caption


def random_votes(tree: DecisionTree, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the answers of up to 60 volunteers, as divided as it happens."""
    rng = np.random.default_rng(seed)
    spread = float(rng.choice([0.1, 0.3, 1.0]))
    parts = [rng.dirichlet(np.full(len(question.answers), spread)) for question in tree.questions]
    fractions = np.concatenate(parts)
    asked = tree.asked(fractions[None])[0]
    voters = np.full(len(asked), np.nan) if rng.random() < 0.3 else np.floor(asked * rng.integers(1, 61))
    unasked = tree.spread((voters == 0)[None])[0]
    return np.where(unasked, np.nan, fractions), voters


SEEDS = st.integers(0, 2**32 - 1)


@settings(deadline=None, max_examples=300)
@given(st.sampled_from(sorted(TREES)), SEEDS, st.booleans())
def test_no_votes_make_a_contradiction_or_bad_grammar(name, seed, drawn):
    tree = TREES[name]
    fractions, voters = random_votes(tree, seed)
    caption = vote_caption(tree, fractions, voters, np.random.default_rng(seed) if drawn else None)
    assert_grammatical(caption)
    assert_free_of_contradiction(caption)
    if tree is ZOO:
        assert_silent_on_what_was_hardly_asked(fractions, voters, caption)
        if not drawn:
            assert_as_sure_as_the_votes(fractions, caption)
    assert flip_caption(flip_caption(caption)) == caption


@settings(deadline=None, max_examples=100)
@given(st.sampled_from(sorted(TREES)), SEEDS)
def test_same_votes_give_same_sentence_and_so_does_same_seed(name, seed):
    fractions, voters = random_votes(TREES[name], seed)
    assert vote_caption(TREES[name], fractions, voters) == vote_caption(TREES[name], fractions, voters)
    first, second = (vote_caption(TREES[name], fractions, voters, np.random.default_rng(seed)) for _ in range(2))
    assert first == second


@settings(deadline=None, max_examples=100)
@given(st.sampled_from(sorted(TREES)), SEEDS, st.booleans())
def test_morphology_from_votes_has_nothing_that_cannot_be_seen(name, seed, drawn):
    tree = TREES[name]
    fractions, voters = random_votes(tree, seed)
    found = vote_morphology(tree, fractions, voters, np.random.default_rng(seed) if drawn else None)
    if found.form == "artifact":
        assert found == Morphology(form="artifact")
    if found.edge_on or found.form == "smooth":
        assert (found.bar, found.arms, found.arm_strength, found.winding, found.handedness) == (None,) * 5
    if found.edge_on:
        assert found.outer_ring is None
    if not found.edge_on:
        assert found.bulge_shape is None


# --- the sentences that people read ----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fractions", "expected"),
    [
        (
            {"t01_smooth_or_features_a01": 1.0, "t07_rounded_a16": 1.0, "t06_odd_a15": 1.0},
            "A smooth, completely round galaxy.",
        ),
        (SPIRAL, "A barred spiral galaxy with two loosely wound arms and a small bulge."),
        (
            SPIRAL | {"t03_bar_a06": 0.55, "t03_bar_a07": 0.45},
            "A spiral galaxy with two loosely wound arms and a small bulge, possibly with a bar.",
        ),
        (
            SPIRAL | {"t03_bar_a06": 0.0, "t03_bar_a07": 1.0},
            "An unbarred spiral galaxy with two loosely wound arms and a small bulge.",
        ),
        (
            SPIRAL | {"t10_arms_winding_a30": 0.45, "t10_arms_winding_a29": 0.55},
            "A barred spiral galaxy with two perhaps moderately wound arms and a small bulge.",
        ),
        (
            SPIRAL | {"t11_arms_number_a32": 0.4, "t11_arms_number_a33": 0.4, "t11_arms_number_a37": 0.2},
            "A barred spiral galaxy with loosely wound arms and a small bulge.",
        ),
        (EDGE_ON | DUST_LANE, "An edge-on disc galaxy crossed by a dust lane, with a rounded bulge."),
        (
            EDGE_ON | DUST_LANE | {"t08_odd_feature_a38": 0.6, "t08_odd_feature_a22": 0.4},
            "An edge-on disc galaxy with a rounded bulge and something odd about it, possibly crossed by a dust lane.",
        ),
        (
            {"t01_smooth_or_features_a01": 0.6, "t01_smooth_or_features_a02": 0.4, "t07_rounded_a17": 1.0},
            "An oval galaxy that looks smooth to most.",
        ),
        (
            {"t01_smooth_or_features_a01": 0.46, "t01_smooth_or_features_a02": 0.44, "t01_smooth_or_features_a03": 0.1},
            "A galaxy that looks smooth to some and like a disc to others.",
        ),
        (
            {"t01_smooth_or_features_a01": 0.48, "t01_smooth_or_features_a02": 0.52, "t02_edgeon_a04": 1.0},
            "A probable edge-on disc galaxy.",
        ),
        (
            {"t01_smooth_or_features_a01": 0.5, "t01_smooth_or_features_a02": 0.46, "t07_rounded_a18": 1.0},
            "A cigar-shaped galaxy that looks smooth to some and like a disc to others.",
        ),
        (
            {"t01_smooth_or_features_a01": 0.46, "t01_smooth_or_features_a02": 0.5, "t02_edgeon_a04": 1.0},
            "A galaxy that looks like an edge-on disc to some and smooth to others.",
        ),
        ({"t01_smooth_or_features_a03": 1.0}, "A star or image artefact."),
        ({"t01_smooth_or_features_a03": 0.6, "t01_smooth_or_features_a01": 0.4}, "A probable star or image artefact."),
    ],
)
def test_sentences_read_as_an_astronomer_writes(fractions, expected):
    assert vote_caption(ZOO, *votes_of(**fractions)) == expected


def test_galaxies_of_other_surveys():
    decals = votes_of(
        TREES["gz_decals"],
        smooth_or_featured_featured=1.0,
        disk_edge_on_no=1.0,
        bar_strong=0.5,
        bar_weak=0.4,
        bar_no=0.1,
        has_spiral_arms_yes=1.0,
        spiral_winding_tight=1.0,
        spiral_arm_count_2=1.0,
        bulge_size_moderate=1.0,
        merging_minor=0.9,
        merging_none=0.1,
    )
    expected = "A spiral galaxy with two tightly wound arms, a bar, a moderate bulge and a slightly disturbed shape."
    assert vote_caption(TREES["gz_decals"], *decals) == expected
    first = {"galaxy_type_clockwise": 0.9, "galaxy_type_elliptical": 0.1}
    handed, plain = TREES["galaxy_zoo_1_handed"], TREES["galaxy_zoo_1"]
    assert vote_caption(handed, *votes_of(handed, **first)) == "A spiral galaxy with clockwise arms."
    assert vote_caption(plain, *votes_of(plain, **first)) == "A spiral galaxy."


def test_votes_for_either_rotation_are_votes_for_a_spiral():
    votes = {"galaxy_type_clockwise": 0.35, "galaxy_type_anticlockwise": 0.3, "galaxy_type_elliptical": 0.35}
    for name in ("galaxy_zoo_1", "galaxy_zoo_1_handed"):
        assert "spiral" in vote_caption(TREES[name], *votes_of(TREES[name], **votes))
        assert "clockwise" not in vote_caption(TREES[name], *votes_of(TREES[name], **votes))


@settings(deadline=None, max_examples=100)
@given(SEEDS)
def test_the_mirrored_votes_give_the_mirrored_sentence(seed):
    tree = TREES["galaxy_zoo_1_handed"]
    fractions, voters = random_votes(tree, seed)
    mirrored = fractions[[0, 2, 1, 3, 4, 5]]
    if fractions[1] != fractions[2]:
        assert flip_caption(vote_caption(tree, fractions, voters)) == vote_caption(tree, mirrored, voters)


def test_fewer_votes_make_a_humbler_sentence():
    divided = SPIRAL | {
        "t03_bar_a06": 0.75,
        "t03_bar_a07": 0.25,
        "t11_arms_number_a32": 0.8,
        "t11_arms_number_a31": 0.2,
    }
    many, few = (vote_caption(ZOO, *votes_of(voters=voters, **divided)) for voters in (40, 4))
    assert many == "A barred spiral galaxy with two loosely wound arms and a small bulge."
    assert few == "A spiral galaxy with perhaps two loosely wound arms and a small bulge, possibly with a bar."
    assert vote_caption(ZOO, *votes_of(voters=3, **divided)) == "An unidentified object."
    probabilities = [posterior(0.9, voters, 3) for voters in (0, 2, 5, 10, 40, 1000)]
    assert probabilities[0] == pytest.approx(1 / 3)
    assert probabilities == sorted(probabilities)
    assert probabilities[-1] == pytest.approx(0.9, abs=0.01)


def test_a_question_that_few_came_to_is_passed_over():
    hardly = SPIRAL | {"t01_smooth_or_features_a02": 0.2, "t01_smooth_or_features_a01": 0.8, "t07_rounded_a17": 1.0}
    assert vote_caption(ZOO, *votes_of(**hardly)) == "A smooth, oval galaxy."
    fractions, voters = votes_of(**SPIRAL)
    voters[[question.name for question in ZOO.questions].index("t03_bar")] = 3
    assert "bar" not in vote_caption(ZOO, fractions, voters)


def test_without_votes_nothing_is_said():
    nothing = np.full(len(ZOO.stems), np.nan)
    voters = np.zeros(len(ZOO.questions))
    for rng in (None, np.random.default_rng(0)):
        assert vote_caption(ZOO, nothing, voters, rng) == "An unidentified object."
        assert vote_morphology(ZOO, nothing, voters, rng) == Morphology()


def test_a_tree_without_words_speaks_by_its_morphology():
    def answer(name: str, leads_to: str = "", **fields: object) -> Answer:
        return Answer(name, name, (f"{name} galaxy",), Morphology(**fields), leads_to)  # type: ignore[arg-type]

    tree = DecisionTree(
        (
            Question("kind", "?", (answer("smooth", form="smooth"), answer("disc", "ring", form="featured"))),
            Question("ring", "?", (answer("some", "end", inner_ring=0.5), answer("none", "end", inner_ring=0.0))),
            Question("end", "?", (answer("merging", merger=True), answer("alone", merger=False))),
        )
    )
    unknown = np.full(3, np.nan)
    assert vote_caption(tree, [0, 1, 1, 0, 0, 1], unknown) == "A disc galaxy with a distinct inner ring."
    assert vote_caption(tree, [0, 1, 0, 1, 0, 1], unknown) == "A disc galaxy with no inner ring."
    expected = "A disc galaxy merging with another galaxy, with a distinct inner ring."
    assert vote_caption(tree, [0, 1, 1, 0, 1, 0], unknown) == expected


def test_every_answer_can_be_told():
    """Unanimous votes on the way to an answer that has words or a morphology leave a trace of it."""
    for name, tree in TREES.items():
        for column, answer in enumerate(tree.answers):
            if not answer.fixes or answer.fixes in ({"edge_on": False}, {"merger": False}):
                continue
            told = vote_caption(tree, *unanimous(tree, column))
            kept = vote_morphology(tree, *unanimous(tree, column)).known()
            assert answer.fixes.items() <= kept.items(), f"{name} {answer.name}: {told}"
            others = {
                vote_caption(tree, *unanimous(tree, other))
                for part in tree.slices
                if part.start <= column < part.stop
                for other in range(part.start, part.stop)
                if other not in tree.kin[column]
            }
            assert told not in others, f"{name} {answer.name}: {told}"


def unanimous(tree: DecisionTree, column: int) -> tuple[np.ndarray, np.ndarray]:
    """Return votes that are all for one answer, and for the first way that leads to it."""
    fractions = np.zeros(len(tree.stems))
    decided: set[int] = set()
    while True:
        fractions[column] = 1.0
        index = next(i for i, part in enumerate(tree.slices) if part.start <= column < part.stop)
        decided.add(index)
        if not tree.parents[index]:
            break
        column = tree.parents[index][0]
    for index, part in enumerate(tree.slices):
        if index not in decided:
            fractions[part.stop - 1] = 1.0
    return fractions, np.full(len(tree.questions), 40.0)


# --- sentences for training ------------------------------------------------------------------------------

DIVIDED = SPIRAL | {
    "t01_smooth_or_features_a01": 0.3,
    "t01_smooth_or_features_a02": 0.6,
    "t01_smooth_or_features_a03": 0.1,
    "t07_rounded_a17": 1.0,
    "t03_bar_a06": 0.4,
    "t03_bar_a07": 0.6,
}


@pytest.mark.slow
def test_drawn_answers_are_as_frequent_as_the_votes():
    rng = np.random.default_rng(0)
    fractions, voters = votes_of(**DIVIDED)
    found = [vote_morphology(ZOO, fractions, voters, rng) for _ in range(4000)]

    def share(**fields: object) -> float:
        return float(np.mean([fields.items() <= one.known().items() for one in found]))

    assert share(form="smooth") == pytest.approx(0.3, abs=0.03)
    assert share(form="artifact") == pytest.approx(0.1, abs=0.02)
    assert share(form="featured", bar=0.7) == pytest.approx(0.24, abs=0.03)
    captions = [vote_caption(ZOO, fractions, voters, rng) for _ in range(4000)]
    assert np.mean(["artefact" in caption for caption in captions]) == pytest.approx(0.1, abs=0.02)
    assert np.mean(["smooth" in caption for caption in captions]) == pytest.approx(0.3, abs=0.03)


def test_drawn_sentences_vary_and_hedge_what_is_rare():
    rng = np.random.default_rng(0)
    captions = [vote_caption(ZOO, *votes_of(**DIVIDED), rng) for _ in range(500)]
    assert len(set(captions)) > 150
    assert all(re.search("possible|artefact$", caption) for caption in captions if "artefact" in caption)
    assert all(re.search("may|might", caption) for caption in captions if "smooth" in caption)
    barred = [caption for caption in captions if re.search(r"\bbar\b", caption) and "no " not in caption]
    assert barred
    assert all(re.search(r"(possibly|perhaps) .*\bbar\b", caption) for caption in barred)


def test_votes_are_read_into_sentences_from_published_structure():
    """The columns of GZ DECaLS as counts and as fractions, and of Galaxy Zoo 1."""
    tree = TREES["gz_decals"]
    assert len(tree.questions) == 10
    assert len(tree.stems) == 34
    assert tree.stems == TREES["gz_desi"].stems
    fractions, _ = votes_of(
        tree, smooth_or_featured_smooth=0.75, smooth_or_featured_featured=0.25, how_rounded_round=1.0, merging_none=1.0
    )
    row = dict(zip(tree.stems, fractions, strict=True))
    totals = {f"{question.name}_total-votes": 0 for question in tree.questions}
    totals |= {"smooth-or-featured_total-votes": 40, "how-rounded_total-votes": 30, "merging_total-votes": 40}
    as_fractions = pd.DataFrame([{f"{stem}_fraction": value for stem, value in row.items()} | totals])
    owner = tree.spread(np.array([list(totals.values())]))[0]
    as_counts = pd.DataFrame([{stem: row[stem] * owner[c] for c, stem in enumerate(tree.stems)}])
    predicted = pd.DataFrame([{f"{s}_fraction": v if v or s.startswith("smooth") else np.nan for s, v in row.items()}])
    for table, kind, voters in (
        (as_fractions, "fraction", 40),
        (as_counts, "count", 40),
        (predicted, "fraction", None),
    ):
        votes = read_votes(table, tree)
        assert votes.kind == kind
        assert voters is None or votes.voters[0, 0] == voters
        assert vote_caption(tree, votes.fractions[0], votes.voters[0]) == "A smooth, completely round galaxy."
    table = pd.DataFrame([{"P_EL": 0.1, "P_CW": 0.1, "P_ACW": 0.8, "P_EDGE": 0, "P_DK": 0, "P_MG": 0, "NVOTE": 30}])
    votes = read_votes(table, TREES["galaxy_zoo_1_handed"])
    assert (votes.kind, votes.voters[0, 0]) == ("share", 30)
    assert vote_caption(votes.tree, votes.fractions[0], votes.voters[0]) == "A spiral galaxy with anticlockwise arms."


@pytest.mark.slow
@pytest.mark.real
def test_all_real_votes_make_sound_sentences(shared):
    votes = read_votes(pd.read_csv(shared / "data" / "votes" / "gz2_stripe82_votes.csv.gz"), ZOO)
    assert len(votes) == 19649
    rng = np.random.default_rng(0)
    artefact = ZOO.stems.index("t01_smooth_or_features_a03_star_or_artifact")
    said = set()
    for fractions, voters in votes:
        for generator in (None, rng):
            caption = vote_caption(ZOO, fractions, voters, generator)
            assert_grammatical(caption)
            assert_free_of_contradiction(caption)
            assert_silent_on_what_was_hardly_asked(fractions, voters, caption)
            said.add(caption)
            if generator is None:
                assert_as_sure_as_the_votes(fractions, caption)
                assert ("artefact" in caption) == (ZOO.path(fractions)[0] == artefact)
    assert len(said) > 4000


def test_the_example_of_the_documentation_runs(capsys):
    pages = (Path(__file__).parents[2] / "docs").rglob("*.md")
    blocks = [block for page in pages for block in re.findall(r"```[^\n]*\n(.*?)```", page.read_text(), re.DOTALL)]
    code = next(block for block in blocks if "vote_caption(tree, fractions, voters)" in block)
    exec(code, {})
    first, second = capsys.readouterr().out.splitlines()
    assert f"# {first}\n" in code
    assert_grammatical(second)


def test_words_survive_a_round_trip():
    taxonomy = load_taxonomy("galaxy_zoo_2")
    again = type(taxonomy).from_dict(taxonomy.to_dict())
    assert again.tree == taxonomy.tree
    assert any(answer.words for answer in again.tree.answers)
    assert any(answer.subjects for answer in again.tree.answers)
