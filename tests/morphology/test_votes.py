"""Decision trees and the votes that are read by them."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from galaxalign.errors import InputError
from galaxalign.morphology.decision_tree import DecisionTree
from galaxalign.morphology.taxonomy import Taxonomy, load_taxonomy
from galaxalign.morphology.votes import has_votes, read_votes, vote_labels

TREE = load_taxonomy("galaxy_zoo_2").tree


def _column(stem):
    return TREE.stems.index(stem)


def _votes(**given):
    """Fractions of one galaxy, the other answers 0."""
    row = dict.fromkeys(TREE.stems, 0.0)
    for start, value in given.items():
        (stem,) = [stem for stem in TREE.stems if stem.startswith(start)]
        row[stem] = value
    return row


SPIRAL = _votes(
    t01_smooth_or_features_a01=0.2,
    t01_smooth_or_features_a02=0.8,
    t02_edgeon_a05=1.0,
    t03_bar_a06=0.75,
    t03_bar_a07=0.25,
    t04_spiral_a08=0.5,
    t04_spiral_a09=0.5,
    t05_bulge_prominence_a12=1.0,
    t06_odd_a15=1.0,
    t07_rounded_a16=1.0,
    t10_arms_winding_a28=1.0,
    t11_arms_number_a32=1.0,
)


def test_tree_has_published_size():
    assert len(TREE.questions) == 11
    assert len(TREE.stems) == 37


def test_asked_is_the_product_of_the_fractions_on_the_way():
    asked = TREE.asked([[SPIRAL[stem] for stem in TREE.stems]])[0]
    by_name = dict(zip([question.name for question in TREE.questions], asked, strict=True))
    assert by_name["t04_spiral"] == pytest.approx(0.8)
    assert by_name["t10_arms_winding"] == pytest.approx(0.4)
    # bulge: after the arms were counted, and where there are none
    assert by_name["t05_bulge_prominence"] == pytest.approx(0.8)
    # everything but an artefact is asked whether something is odd
    assert by_name["t06_odd"] == pytest.approx(1.0)
    assert by_name["t08_odd_feature"] == 0


def test_path_follows_the_majority():
    taken = [TREE.stems[column] for column in TREE.path([SPIRAL[stem] for stem in TREE.stems])]
    assert taken[:3] == ["t01_smooth_or_features_a02_features_or_disk", "t02_edgeon_a05_no", "t03_bar_a06_bar"]
    assert taken[-1] == "t06_odd_a15_no"


@pytest.mark.parametrize("suffix", ["_weighted_fraction", "_fraction", "_debiased"])
def test_fractions_are_read_by_any_suffix(suffix):
    table = pd.DataFrame([{f"{stem}{suffix}".upper(): value for stem, value in SPIRAL.items()}])
    votes = read_votes(table, TREE)
    assert votes.kind == suffix[1:]
    assert votes.fractions[0, _column("t03_bar_a06_bar")] == pytest.approx(0.75)
    assert np.isnan(votes.fractions[0, TREE.slices[7]]).all()


def test_kaggle_shares_become_fractions_of_those_asked():
    shares = TREE.shares([[SPIRAL[stem] for stem in TREE.stems]])[0]
    table = pd.DataFrame([dict(zip([a.share_column for a in TREE.answers], shares, strict=True))])
    votes = read_votes(table, TREE)
    assert votes.kind == "share"
    expected = np.array([SPIRAL[stem] for stem in TREE.stems])
    known = np.isfinite(votes.fractions[0])
    assert votes.fractions[0][known] == pytest.approx(expected[known], abs=1e-6)


def test_counts_give_fractions_and_voters():
    row = {f"{stem}_count": 0 for stem in TREE.stems}
    row |= {"t01_smooth_or_features_a01_smooth_count": 9, "t01_smooth_or_features_a02_features_or_disk_count": 3}
    votes = read_votes(pd.DataFrame([row]), TREE)
    assert votes.kind == "count"
    assert votes.fractions[0, 0] == 0.75
    assert votes.voters[0, 0] == 12
    assert votes.counts()[0, 0] == 9
    assert votes.voters[0, 1] == 0


def test_voters_are_those_who_came_to_the_question():
    row = {f"{stem}_fraction": value for stem, value in SPIRAL.items()} | {"total_classifications": 40}
    votes = read_votes(pd.DataFrame([row]), TREE)
    names = [question.name for question in TREE.questions]
    assert votes.voters[0, names.index("t10_arms_winding")] == pytest.approx(16)


def test_preferred_kind_is_what_was_seen_and_can_be_chosen():
    row = {f"{stem}_debiased": 0.5 for stem in TREE.stems} | {f"{s}_weighted_fraction": v for s, v in SPIRAL.items()}
    table = pd.DataFrame([row])
    assert read_votes(table, TREE).kind == "weighted_fraction"
    assert read_votes(table, TREE, kind="debiased").kind == "debiased"


def test_agreement_is_one_with_itself_and_less_with_others():
    smooth = _votes(t01_smooth_or_features_a01=1.0, t07_rounded_a16=1.0, t06_odd_a15=1.0)
    columns = [f"{stem}_fraction" for stem in TREE.stems]
    table = pd.DataFrame([[row[stem] for stem in TREE.stems] for row in (SPIRAL, smooth)], columns=columns)
    roots = read_votes(table, TREE).roots()
    agreement = roots @ roots.T
    assert np.diag(agreement) == pytest.approx([1, 1], abs=1e-6)
    assert 0.1 < agreement[0, 1] < 0.8


def test_a_question_needs_the_answers_that_all_ways_to_it_share():
    needs = {
        question.name: {TREE.stems[column].split("_a")[-1][:2] for column in needed}
        for question, needed in zip(TREE.questions, TREE.needs, strict=True)
    }
    assert needs["t01_smooth_or_features"] == set()
    assert needs["t10_arms_winding"] == {"02", "05", "08"}
    # With or without a bar, with or without arms:
    assert needs["t05_bulge_prominence"] == {"02", "05"}
    assert needs["t06_odd"] == set()
    assert needs["t08_odd_feature"] == {"14"}


@pytest.mark.parametrize("name", ["galaxy_zoo_1", "galaxy_zoo_1_handed"])
def test_either_rotation_counts_for_a_spiral(name):
    scheme = load_taxonomy(name)
    columns = [answer.share_column for answer in scheme.tree.answers]
    assert columns == ["P_EL", "P_CW", "P_ACW", "P_EDGE", "P_DK", "P_MG"]
    assert [sorted(kin) for kin in scheme.tree.kin] == [[0], [1, 2], [1, 2], [3], [4], [5]]
    shares = [[0.4, 0.25, 0.35, 0, 0, 0], [0.8, 0.2, 0, 0, 0, 0], [0, 0.6, 0, 0.1, 0.3, 0], [0.1, 0, 0, 0, 0.9, 0]]
    votes = read_votes(pd.DataFrame(shares, columns=columns).assign(NVOTE=[30, 20, 10, 40]), scheme.tree)
    assert votes.voters[:, 0].tolist() == [30, 20, 10, 40]
    labels = ["" if label < 0 else scheme.class_names[label] for label in vote_labels(scheme, votes)]
    spirals = ["spiral_anticlockwise", "spiral_clockwise"] if scheme.handed else ["spiral", "spiral"]
    assert labels == [spirals[0], "elliptical", spirals[1], ""]


@pytest.mark.parametrize("suffix", ["_total-votes", "_total"])
def test_voters_of_each_question_are_read(suffix):
    tree = load_taxonomy("gz_decals").tree
    row = {f"{stem}_fraction": 0.0 for stem in tree.stems} | {"smooth-or-featured_artifact_fraction": 1.0}
    row |= {f"{question.name}{suffix}": 0 for question in tree.questions} | {f"smooth-or-featured{suffix}": 37}
    votes = read_votes(pd.DataFrame([row]), tree)
    assert votes.voters[0].tolist() == [37] + 9 * [0]


@pytest.mark.parametrize("name", ["gz_decals", "gz_desi"])
def test_decals_tree_asks_about_mergers_unless_artefact(name):
    scheme = load_taxonomy(name)
    assert (len(scheme.tree.questions), len(scheme.tree.stems)) == (10, 34)
    row = dict.fromkeys(scheme.tree.stems, 0.0)
    row |= {"smooth-or-featured_smooth": 0.5, "how-rounded_round": 1.0, "smooth-or-featured_artifact": 0.1}
    row |= {"smooth-or-featured_featured-or-disk": 0.4, "disk-edge-on_yes": 0.5, "edge-on-bulge_none": 1.0}
    row |= {"disk-edge-on_no": 0.5, "bar_weak": 1.0, "has-spiral-arms_no": 1.0, "bulge-size_small": 1.0}
    asked = scheme.tree.asked([[row[stem] for stem in scheme.tree.stems]])[0]
    assert dict(zip(scheme.tree.places, asked.round(6), strict=True)) == {
        "smooth-or-featured": 1.0,
        "disk-edge-on": 0.4,
        "has-spiral-arms": 0.2,
        "bar": 0.2,
        "bulge-size": 0.2,
        "how-rounded": 0.5,
        "edge-on-bulge": 0.2,
        "spiral-winding": 0.0,
        "spiral-arm-count": 0.0,
        "merging": 0.9,
    }


def test_missing_columns_are_named():
    table = pd.DataFrame([{f"{stem}_fraction": value for stem, value in SPIRAL.items()}])
    with pytest.raises(InputError, match="t03_bar_a06_bar_fraction"):
        read_votes(table.drop(columns="t03_bar_a06_bar_fraction"), TREE)
    with pytest.raises(InputError, match="has no votes"):
        read_votes(pd.DataFrame({"label": ["x"]}), TREE, source="catalog.csv")


@pytest.mark.parametrize("bad", [-0.5, np.inf])
def test_impossible_votes_are_refused(bad):
    table = pd.DataFrame([{f"{stem}_fraction": value for stem, value in SPIRAL.items()}])
    table["t03_bar_a06_bar_fraction"] = bad
    with pytest.raises(InputError, match="row 1 has .* in t03_bar_a06_bar_fraction"):
        read_votes(table, TREE)


def test_has_votes():
    assert has_votes(pd.DataFrame([{f"{stem}_fraction": 0.5 for stem in TREE.stems}]), TREE)
    assert not has_votes(pd.DataFrame({"label": ["spiral"]}), TREE)


def test_classes_by_votes():
    scheme = load_taxonomy("galaxy_zoo_2")
    spiral = dict(SPIRAL) | {"t04_spiral_a08_spiral": 0.6, "t04_spiral_a09_no_spiral": 0.4}
    table = pd.DataFrame([{f"{stem}_fraction": value for stem, value in spiral.items()}, {}])
    labels = vote_labels(scheme, read_votes(table, TREE))
    assert scheme.class_names[labels[0]] == "barred_spiral"
    assert labels[1] == -1


def test_taxonomy_with_tree_survives_a_round_trip():
    scheme = load_taxonomy("galaxy_zoo_2")
    assert Taxonomy.from_dict(scheme.to_dict()) == scheme


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda q: q[0]["answers"][0].update(leads_to="t99"), "leads to 't99'"),
        (lambda q: q[1]["answers"][0].update(leads_to="t01_smooth_or_features"), "circle|leads back"),
        (lambda q: q[0]["answers"][1].update(name="a01_smooth"), "twice"),
        (lambda q: [a.update(leads_to="") for a in q[5]["answers"]], "no answer leads to the question 't08"),
    ],
)
def test_bad_trees_are_refused(change, message):
    data = load_taxonomy("galaxy_zoo_2").to_dict()
    change(data["questions"])
    with pytest.raises(InputError, match=message):
        Taxonomy.from_dict(data)


def test_mirror_images_swap_the_answers_with_a_handedness() -> None:
    handed = load_taxonomy("galaxy_zoo_1_handed").tree
    assert handed.flip_permutation().tolist() == [0, 2, 1, 3, 4, 5]
    plain = load_taxonomy("galaxy_zoo_2").tree
    assert plain.flip_permutation().tolist() == list(range(len(plain.stems)))
    (question,) = handed.questions
    alone = DecisionTree((replace(question, answers=(question.answers[0], *question.answers[2:])),))
    with pytest.raises(InputError, match="anticlockwise_spiral of galaxy_type has 0 mirror images"):
        alone.flip_permutation()
