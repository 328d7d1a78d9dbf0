"""The questions and answers in the columns of the published tables of votes.

The names of columns (count, fraction, weighted or debiased fraction) begin with question and answer. Sources: Kaggle's
Galaxy Zoo challenge; Willett et al. 2013 and Hart et al. 2016 (Galaxy Zoo 2); Walmsley et al. 2022 and 2023 (DECaLS,
DESI); Willett et al. 2017 (Hubble); Simmons et al. 2017 (CANDELS).
"""

from __future__ import annotations

from collections.abc import Iterable

from galaxalign.errors import InputError

_NAMED = 8  # columns that an error names

_KAGGLE = dict(enumerate((3, 2, 2, 2, 4, 2, 3, 7, 3, 3, 6), start=1))

_GALAXY_ZOO_2 = """
t01_smooth_or_features: a01_smooth a02_features_or_disk a03_star_or_artifact
t02_edgeon: a04_yes a05_no
t03_bar: a06_bar a07_no_bar
t04_spiral: a08_spiral a09_no_spiral
t05_bulge_prominence: a10_no_bulge a11_just_noticeable a12_obvious a13_dominant
t06_odd: a14_yes a15_no
t07_rounded: a16_completely_round a17_in_between a18_cigar_shaped
t08_odd_feature: a19_ring a20_lens_or_arc a21_disturbed a22_irregular a23_other a24_merger a38_dust_lane
t09_bulge_shape: a25_rounded a26_boxy a27_no_bulge
t10_arms_winding: a28_tight a29_medium a30_loose
t11_arms_number: a31_1 a32_2 a33_3 a34_4 a36_more_than_4 a37_cant_tell
"""

_DECALS_1_2 = """
smooth-or-featured: smooth featured-or-disk artifact
disk-edge-on: yes no
has-spiral-arms: yes no
bar: yes no
bulge-size: dominant obvious none
how-rounded: completely in-between cigar-shaped
edge-on-bulge: boxy none rounded
spiral-winding: tight medium loose
spiral-arm-count: 1 2 3 4 more-than-4
merging: neither tidal-debris both merger
"""

_DECALS_5 = """
smooth-or-featured: smooth featured-or-disk artifact
disk-edge-on: yes no
has-spiral-arms: yes no
bar: strong weak no
bulge-size: dominant large moderate small none
how-rounded: round in-between cigar-shaped
edge-on-bulge: boxy none rounded
spiral-winding: tight medium loose
spiral-arm-count: 1 2 3 4 more-than-4 cant-tell
merging: none minor-disturbance major-disturbance merger
"""

# Hubble's tree, only the answers that a table has.
_HUBBLE = """
t01_smooth_or_features: a01_smooth a02_features_or_disk a03_star_or_artifact
t02_edgeon: a01_yes a02_no
t03_bar: a01_bar a02_no_bar
t04_spiral: a01_spiral a02_no_spiral
t05_bulge_prominence: a01_no_bulge a03_obvious a04_dominant
t06_odd: a01_yes
t07_rounded: a01_completely_round a02_in_between a03_cigar_shaped
t08_odd_feature: a01_ring a02_lens_or_arc a04_irregular a06_merger a07_dust_lane
t09_bulge_shape: a01_rounded a02_boxy a03_no_bulge
t10_arms_winding: a01_tight a02_medium a03_loose
t11_arms_number: a01_1 a02_2 a03_3 a04_4 a05_more_than_4
t12_clumpy: a01_yes a02_no
"""

_CANDELS = """
t00_smooth_or_featured: a0_smooth a1_features a2_artifact
t01_how_rounded: a0_completely a1_inbetween a2_cigarshaped
t02_clumpy_appearance: a0_yes a1_no
t03_how_many_clumps: a0_1 a1_2 a2_3 a3_4 a4_5_plus a5_cant_tell
t04_clump_configuration: a0_straight_line a1_chain a2_cluster_or_irregular a3_spiral
t05_is_one_clump_brightest: a0_yes a1_no
t06_brightest_clump_central: a0_yes a1_no
t07_galaxy_symmetrical: a0_yes a1_no
t08_clumps_embedded_larger_object: a0_yes a1_no
t09_disk_edge_on: a0_yes a1_no
t10_edge_on_bulge: a0_yes a1_no
t11_bar_feature: a0_yes a1_no
t12_spiral_pattern: a0_yes a1_no
t13_spiral_arm_winding: a0_tight a1_medium a2_loose
t14_spiral_arm_count: a0_1 a1_2 a2_3 a3_4 a4_5_plus a5_cant_tell
t15_bulge_prominence: a0_no_bulge a1_obvious a2_dominant
t16_merging_tidal_debris: a0_merging a1_tidal_debris a2_both a3_neither
"""


def _answers(tree: str) -> tuple[str, ...]:
    """Return "question_answer" for each answer of a tree, a question on each line."""
    questions = (line.split(": ") for line in tree.strip().splitlines())
    return tuple(f"{question}_{answer}" for question, answers in questions for answer in answers.split())


ANSWERS: dict[str, tuple[str, ...]] = {
    "kaggle_galaxy_zoo": tuple(f"Class{q}.{a}" for q, count in _KAGGLE.items() for a in range(1, count + 1)),
    "galaxy_zoo_2": _answers(_GALAXY_ZOO_2),
    "gz_decals": _answers(_DECALS_5),
    "gz_decals_1_2": _answers(_DECALS_1_2),
    "gz_desi": _answers(_DECALS_5),
    "gz_hubble": _answers(_HUBBLE),
    "gz_candels": _answers(_CANDELS),
}
"""Beginnings of the names of vote columns, by data set."""


def check_votes(survey: str, columns: Iterable[object], where: object, homepage: str) -> None:
    """Check that a table of votes has positions (except Kaggle's) and every answer of its data set."""
    found = [str(name).strip().lower() for name in columns]
    places = () if survey == "kaggle_galaxy_zoo" else ("ra", "dec")
    missing = [place for place in places if place not in found]
    missing += [
        answer
        for answer in ANSWERS[survey]
        if not any(name == answer.lower() or name.startswith(f"{answer.lower()}_") for name in found)
    ]
    if missing:
        named = ", ".join(missing[:_NAMED]) + (f" and {len(missing) - _NAMED} more" if len(missing) > _NAMED else "")
        raise InputError(f"{where} lacks columns of the published table of {survey}: {named}; fetch it from {homepage}")
