"""Figures by bins of a column are those of the galaxies in each bin, and nothing else."""

from __future__ import annotations

import json
from itertools import pairwise
from typing import Any

import numpy as np
import pandas as pd
import pytest

from galaxalign.errors import InputError
from galaxalign.evaluation.by_bin import by_column
from galaxalign.evaluation.metrics import bootstrap_intervals, bootstrap_mean, classification_metrics


def galaxies(n: int, classes: int = 3, seed: int = 0) -> dict[str, Any]:
    rng = np.random.default_rng(seed)
    truth = rng.integers(0, classes, n)
    chances = rng.dirichlet(np.ones(classes), n) + 0.5 * np.eye(classes)[truth]
    return {"y_true": truth, "probabilities": chances / chances.sum(axis=1, keepdims=True)}


def test_a_method_that_fails_on_faint_galaxies_is_seen_to() -> None:
    magnitude = np.random.default_rng(1).permutation(np.linspace(14, 18, 400))
    truth = np.arange(400) % 2
    faint = magnitude > 17
    found = by_column(
        magnitude,
        y_true=truth,
        probabilities=np.eye(2)[np.where(faint, 1 - truth, truth)],
        precisions={"map": np.where(faint, 0.25, 0.75), "map_at_5": np.where(faint, 0.5, 1.0)},
    )
    assert [entry["n"] for entry in found] == [100] * 4
    assert [entry["accuracy"] for entry in found] == [1, 1, 1, 0]
    assert [entry["macro_f1"] for entry in found] == [1, 1, 1, 0]
    assert [entry["map"] for entry in found] == [0.75, 0.75, 0.75, 0.25]
    assert [entry["map_at_5"] for entry in found] == [1, 1, 1, 0.5]
    assert [entry["bin"] for entry in found] == ["14 to 14.99", "15 to 15.99", "16.01 to 17", "17.01 to 18"]
    assert found[0]["low"] == 14
    assert found[-1]["high"] == 18
    assert all(one["high"] < other["low"] for one, other in pairwise(found))


def test_figures_and_intervals_are_those_of_the_rows_of_the_bin() -> None:
    data, values = galaxies(200), np.r_[np.zeros(120), np.ones(80)]
    groups = np.arange(200) // 2
    precision = np.random.default_rng(2).random(200)
    precision[:5] = np.nan
    first, second = by_column(values, **data, precisions={"map": precision}, groups=groups, n_bootstrap=200, seed=3)
    for entry, rows in ((first, slice(0, 120)), (second, slice(120, 200))):
        truth, chances = data["y_true"][rows], data["probabilities"][rows]
        told = classification_metrics(truth, chances, ["a", "b", "c"])
        intervals = bootstrap_intervals(truth, chances, groups=groups[rows], n=200, seed=3)
        for name in ("accuracy", "macro_f1"):
            assert entry[name] == pytest.approx(told[name])
            assert entry[f"{name}_ci"] == pytest.approx(intervals[name])
        assert entry["map"] == pytest.approx(np.nanmean(precision[rows]))
        assert entry["map_ci"] == pytest.approx(bootstrap_mean(precision[rows], groups=groups[rows], n=200, seed=3))
    assert first["map_at_5"] is None


def test_macro_f1_of_a_bin_is_over_the_classes_that_it_has() -> None:
    found = by_column(
        np.array(["near", "near", "near", "far", "far"]),
        y_true=np.array([0, 0, 1, 2, 2]),
        probabilities=np.eye(3)[[0, 1, 1, 2, 2]],
    )
    assert [entry["bin"] for entry in found] == ["near", "far"]
    assert found[0]["macro_f1"] == pytest.approx(2 / 3)
    assert found[1]["macro_f1"] == 1


@pytest.mark.parametrize(
    "values",
    [
        np.array([1.0, np.nan, 2.0, np.inf, 1.5, 3.0]),
        [1, None, 2, None, 1.5, 3],
        pd.Series([10, None, 20, None, 15, 30], dtype="Int64", index=[5, 4, 3, 2, 1, 0]),
    ],
)
def test_missing_numbers_are_a_bin_of_their_own_and_the_last(values: Any) -> None:
    truth = np.array([0, 0, 1, 0, 1, 1])
    guess = np.array([0, 1, 1, 0, 1, 1])
    found = by_column(values, y_true=truth, probabilities=np.eye(2)[guess], bins=2)
    assert [(entry["kind"], entry["n"]) for entry in found] == [("range", 2), ("range", 2), ("unknown", 2)]
    assert [entry["accuracy"] for entry in found] == [1, 1, 0.5]
    assert found[2]["low"] is None


def test_equal_numbers_stay_together() -> None:
    many_zeros = np.r_[np.zeros(80), np.arange(1.0, 21.0)]
    found = by_column(many_zeros, **galaxies(100))
    assert [entry["n"] for entry in found] == [80, 7, 7, 6]
    assert [entry["bin"] for entry in found] == ["0", "1 to 7", "8 to 14", "15 to 20"]
    few = by_column(np.array([2, 0, 1, 1, 1, 1, 1, 2]), **galaxies(8))
    assert [(entry["bin"], entry["n"]) for entry in few] == [("0", 1), ("1", 5), ("2", 2)]


@pytest.mark.parametrize("seed", range(20))
def test_every_galaxy_is_in_one_bin(seed: int) -> None:
    rng = np.random.default_rng(seed)
    n = int(rng.integers(1, 60))
    values = rng.integers(0, rng.integers(1, 30), n).astype(float)
    values[rng.random(n) < 0.2] = np.nan
    found = by_column(values, **galaxies(n), bins=int(rng.integers(1, 7)), n_bootstrap=5)
    assert sum(entry["n"] for entry in found) == n
    ranges = [entry for entry in found if entry["kind"] == "range"]
    for entry in ranges:
        assert entry["n"] == ((values >= entry["low"]) & (values <= entry["high"])).sum()


def test_text_has_most_frequent_values_then_others_then_unknown() -> None:
    survey = pd.Series(["sdss"] * 5 + ["legacy"] * 3 + ["hst"] * 3 + ["jwst", "lsst", None, ""])
    found = by_column(survey, **galaxies(15), bins=3)
    assert [(entry["bin"], entry["kind"], entry["n"]) for entry in found] == [
        ("sdss", "value", 5),
        ("hst", "value", 3),
        ("legacy", "value", 3),
        ("other", "other", 2),
        ("unknown", "unknown", 2),
    ]
    flags = by_column(np.array([True, False, True]), **galaxies(3))
    assert [(entry["bin"], entry["kind"]) for entry in flags] == [("True", "value"), ("False", "value")]


def test_small_bins_have_no_interval_or_map() -> None:
    found = by_column(
        np.array([0, 0, 1, 1]),
        **galaxies(4),
        precisions={"map": np.array([0.5, np.nan, np.nan, np.nan])},
        groups=np.array(["a", "a", "b", "c"]),
    )
    assert found[0]["map"] == 0.5
    assert found[0]["map_ci"] is None
    assert found[0]["accuracy_ci"] is None
    assert found[1]["map"] is None
    assert found[1]["accuracy_ci"] is not None
    json.dumps(found, allow_nan=False)


def test_what_does_not_fit_is_refused() -> None:
    with pytest.raises(ValueError, match="3 values for 4 galaxies"):
        by_column(np.zeros(3), **galaxies(4))
    with pytest.raises(ValueError, match="2 groups for 4 galaxies"):
        by_column(np.zeros(4), **galaxies(4), groups=np.zeros(2))
    with pytest.raises(ValueError, match=r"expected \(N, K\)"):
        by_column(np.zeros(2), y_true=np.zeros(2, int), probabilities=np.zeros(2))
    with pytest.raises(InputError, match="give 1 or more"):
        by_column(np.zeros(4), **galaxies(4), bins=0)
    broken = galaxies(4)
    broken["probabilities"][2] = np.nan
    with pytest.raises(InputError, match="row 2 is not finite"):
        by_column(np.arange(4), **broken)
