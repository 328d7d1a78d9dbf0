"""A split keeps a galaxy on one side, its classes in proportion, and stays what it is."""

from __future__ import annotations

import sys
from collections import Counter
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings, strategies as st

from galaxalign.data.catalogs import Catalog, as_catalog
from galaxalign.data.splits.assign_parts import make_folds, make_split
from galaxalign.data.splits.leaks import LeakGuard
from galaxalign.data.splits.splits import EXCLUDED, PARTS, Split, read_split
from galaxalign.data.tables import write_table
from galaxalign.errors import InputError

BENCHMARKS = Path(__file__).parents[3] / "benchmarks"


def survey(source: str, *classes: int, prefix: str | None = None, **columns: object) -> Catalog:
    """Return a catalogue with so many galaxies of class c0, c1, ..."""
    labels = [f"c{number}" for number, n in enumerate(classes) for _ in range(n)]
    ids = [f"{prefix or source}-{number}-{k}" for number, n in enumerate(classes) for k in range(n)]
    frame = pd.DataFrame({"id_str": ids, "label": labels, **columns})
    return as_catalog(frame, source=source, require=("id_str",))


def parts_by_id(split: Split, source: str) -> dict[str, str]:
    rows = split.table[split.table["source"] == source]
    return dict(zip(rows["id_str"], rows["part"], strict=True))


def class_counts(split: Split, catalog: Catalog, part: str) -> list[int]:
    labels = Counter(catalog.table["label"][row] for row in split.part(catalog, part))
    return [labels[name] for name in sorted(set(catalog.table["label"]))]


# Proportions ----------------------------------------------------------------------------------------------


def test_each_class_of_each_catalogue_has_its_shares() -> None:
    one, two = survey("one", 1000, 100, 20), survey("two", 200)
    split = make_split(one, two, fractions=(0.65, 0.15, 0.20))
    assert class_counts(split, one, "train") == [650, 65, 13]
    assert class_counts(split, one, "validation") == [150, 15, 3]
    assert class_counts(split, one, "test") == [200, 20, 4]
    assert class_counts(split, two, "test") == [40]
    assert split.counts().loc["one"].tolist() == [728, 168, 224]


@settings(max_examples=40)
@given(
    classes=st.lists(st.integers(1, 60), min_size=1, max_size=5),
    test=st.sampled_from([0.0, 0.1, 0.2, 0.35]),
    seed=st.integers(0, 10),
)
def test_the_parts_cover_every_row_once_and_no_class_is_lost(classes: list[int], test: float, seed: int) -> None:
    catalog = survey("s", *classes)
    split = make_split(catalog, fractions=(1 - 0.15 - test, 0.15, test), seed=seed)
    rows = np.concatenate([split.part(catalog, part) for part in PARTS])
    assert sorted(rows) == list(range(len(catalog)))
    assert all(class_counts(split, catalog, "train"))
    for part, share in (("validation", 0.15), ("test", test)):
        for n, found in zip(classes, class_counts(split, catalog, part), strict=True):
            assert abs(found - share * n) <= 1 + 1e-9
            assert found == 0 if share == 0 else found > 0 or n < 3


def test_three_galaxies_of_a_class_go_to_three_parts() -> None:
    catalog = survey("s", 500, 3)
    split = make_split(catalog)
    assert [class_counts(split, catalog, part)[1] for part in PARTS] == [1, 1, 1]


def test_a_catalogue_without_labels_is_divided_as_one_class() -> None:
    catalog = as_catalog(pd.DataFrame({"id_str": range(100)}), require=("id_str",))
    split = make_split(catalog)
    assert [len(split.part(catalog, part)) for part in PARTS] == [70, 10, 20]
    assert len(split.part(catalog, "train", share=0.1)) == 7


# Determinism ----------------------------------------------------------------------------------------------


def test_the_order_of_rows_and_catalogues_makes_no_difference() -> None:
    one = survey("one", 80, 20)
    two = survey("two", 30, 30, prefix="one")  # 50 of its ids are of the first, too
    forward = make_split(one, two, seed=3)
    backward = make_split(two, one.select(np.random.default_rng(0).permutation(100)), seed=3)
    for source in ("one", "two"):
        assert parts_by_id(forward, source) == parts_by_id(backward, source)


def test_another_seed_is_another_split() -> None:
    catalog = survey("s", 200)
    tests = [set(make_split(catalog, seed=seed).part(catalog, "test").tolist()) for seed in (0, 1)]
    assert len(tests[0] & tests[1]) < 20  # 8 of 40 by chance


def test_new_rows_leave_galaxies_of_previous_split_where_they() -> None:
    old, new = survey("s", 100, 40), survey("s", 130, 70)
    before = make_split(old, seed=1)
    after = make_split(new, seed=1, previous=before)
    known = parts_by_id(before, "s")
    now = parts_by_id(after, "s")
    assert {identity: now[identity] for identity in known} == known
    assert class_counts(after, new, "test") == [26, 14]
    # Without it most stay, because only the cuts move.
    moved = sum(make_split(new, seed=1).table["part"][:100].to_numpy() != before.table["part"][:100].to_numpy())
    assert 0 < moved < 20


def test_a_full_previous_split_still_takes_new_rows() -> None:
    before = make_split(survey("s", 10), fractions=(0, 0, 1))
    bigger = survey("s", 12)
    after = make_split(bigger, fractions=(0.5, 0.1, 0.4), previous=before)
    assert [len(after.part(bigger, part)) for part in PARTS] == [1, 1, 10]


def test_galaxies_found_to_be_one_never_leave_the_test_part() -> None:
    catalog = survey("s", 60)
    before = make_split(catalog)
    train, validation, test = (catalog.ids[before.part(catalog, part)[0]] for part in PARTS)
    after = make_split(catalog, previous=before, links=[(train, test), (catalog.ids[0], "unknown")])
    assert parts_by_id(after, "s")[train] == parts_by_id(after, "s")[test] == "test"
    after = make_split(catalog, previous=before, links=[(train, validation)])
    assert parts_by_id(after, "s")[train] == "validation"


# One galaxy, one part -------------------------------------------------------------------------------------


@settings(max_examples=25)
@given(shared=st.integers(0, 40), seed=st.integers(0, 5))
def test_no_galaxy_is_in_two_parts(shared: int, seed: int) -> None:
    one = survey("one", 40, 10)
    labels = ["a"] * 20 + ["b"] * 20
    ids = [*one.ids[:shared], *(f"new-{n}" for n in range(40 - shared))]
    two = as_catalog(pd.DataFrame({"id_str": ids, "label": labels}), source="two", require=("id_str",))
    table = make_split(one, two, seed=seed).table
    assert (table.groupby("id_str")["part"].nunique() == 1).all()
    assert (table.groupby("group")["part"].nunique() == 1).all()
    assert table["group"].nunique() == 90 - shared


def test_common_test_part_has_share_of_galaxies_stand_in_both() -> None:
    one, two = survey("one", 300), survey("two", 300, prefix="one")
    split = make_split(one, two, fractions=(0.65, 0.15, 0.20))
    for catalog in (one, two):
        assert [len(split.part(catalog, part)) for part in PARTS] == pytest.approx([195, 45, 60], abs=2)


def test_neighbours_on_the_sky_are_in_one_part() -> None:
    ra = np.repeat(np.arange(100), 2) * 0.1
    dec = np.tile([0, 2 / 3600], 100)
    one, two = survey("one", 200, ra=ra, dec=dec), survey("two", 100, ra=ra[::2] + 1 / 3600, dec=0.0)
    table = make_split(one, two).table
    assert (table.groupby("group").size() == 3).all()
    assert (table.groupby("group")["part"].nunique() == 1).all()
    assert make_split(one, two, guard=LeakGuard(radius=0)).table["group"].nunique() == 300


def test_neighbours_within_an_arcminute_share_a_part() -> None:
    ra = np.repeat(np.arange(100), 2) * 0.1
    catalog = survey("s", 200, ra=ra, dec=np.tile([0, 59 / 3600], 100))
    assert make_split(catalog).table["group"].nunique() == 100
    assert make_split(catalog, guard=LeakGuard(radius=58)).table["group"].nunique() == 200


def test_a_column_keeps_rows_together() -> None:
    field = [f"field-{row // 4}" for row in range(200)]
    field[-1] = ""  # a missing value ties nothing together
    catalog = survey("s", 100, 100, field=field)
    split = make_split(catalog, group_column="field")
    table = split.table.assign(field=field)[:-1]
    assert (table.groupby("field")["part"].nunique() == 1).all()
    assert split.counts().loc["s"].tolist() == pytest.approx([140, 20, 40], abs=4)
    with pytest.raises(InputError, match="has the column night"):
        make_split(catalog, group_column="night")


# Benchmarks left out -------------------------------------------------------------------------------------


def test_galaxies_of_a_benchmark_are_in_no_part() -> None:
    ra = np.arange(100) * 0.1
    catalog = survey("s", 100, ra=ra, dec=0.0)
    by_place = survey("benchmark", 3, ra=ra[[5, 50, 99]] + 1.5 / 3600, dec=0.0)
    by_id = survey("other", 2, prefix="s")
    split = make_split(catalog, guard=LeakGuard(exclude=(by_place, by_id), exclude_radius=2))
    out = np.flatnonzero(split.table["part"] == EXCLUDED)
    assert out.tolist() == [0, 1, 5, 50, 99]
    assert sorted(np.concatenate([split.part(catalog, part) for part in PARTS])) == sorted(set(range(100)) - set(out))
    assert split.counts().loc["s"].to_dict() == {"train": 67, "validation": 9, "test": 19, EXCLUDED: 5}
    assert (make_split(catalog, guard=LeakGuard(exclude=(by_place,), exclude_radius=1)).table["part"] != EXCLUDED).all()
    # Without a radius of its own the exclusion has that of the groups.
    assert (make_split(catalog, guard=LeakGuard(exclude=(by_place,), radius=2)).table["part"] == EXCLUDED).sum() == 3


def test_a_finished_split_loses_the_galaxies_of_a_benchmark(tmp_path: Path) -> None:
    catalog = survey("s", 50)
    benchmark = survey("benchmark", 7, prefix="s")
    before = make_split(catalog)
    after = read_split(before.without(catalog, benchmark).write(tmp_path / "s.parquet"))
    assert (after.table["part"][:7] == EXCLUDED).all()
    assert after.table["part"][7:].tolist() == before.table["part"][7:].tolist()
    # A new split with the old one as its previous deals the excluded ones again, as nothing holds them back.
    again = make_split(catalog, previous=after)
    assert again.table["part"][7:].tolist() == before.table["part"][7:].tolist()


def test_a_benchmark_that_cannot_be_compared_is_refused() -> None:
    catalog = survey("s", 5)
    rows_only = as_catalog(pd.DataFrame({"x": range(5)}), source="rows", require=())
    with pytest.raises(InputError, match="s and rows have neither ids nor positions in common"):
        make_split(catalog, guard=LeakGuard(exclude=(rows_only,)))
    with pytest.raises(InputError, match="nothing is left to split"):
        make_split(catalog, guard=LeakGuard(exclude=(survey("same", 5, prefix="s"),)))


# Folds -----------------------------------------------------------------------------------------------------


@settings(max_examples=20, deadline=None)
@given(folds=st.integers(3, 6), classes=st.lists(st.integers(6, 40), min_size=1, max_size=3), seed=st.integers(0, 5))
def test_every_galaxy_is_in_the_test_part_of_one_fold(folds: int, classes: list[int], seed: int) -> None:
    catalog = survey("s", *classes)
    splits = make_folds(catalog, folds=folds, seed=seed)
    for part in ("test", "validation"):
        rows = np.concatenate([split.part(catalog, part) for split in splits])
        assert sorted(rows) == list(range(len(catalog)))
    for split in splits:
        for n, found in zip(classes, class_counts(split, catalog, "test"), strict=True):
            assert abs(found - n / folds) < 1
        # What is not in test or validation is trained on.
        held = set(split.part(catalog, "test")) | set(split.part(catalog, "validation"))
        assert set(split.part(catalog, "train")) == set(range(len(catalog))) - held


def test_folds_keep_neighbours_and_leave_benchmarks_out() -> None:
    catalog = survey("s", 200, ra=np.repeat(np.arange(100), 2) * 0.1, dec=np.tile([0, 30 / 3600], 100))
    splits = make_folds(catalog, folds=4, guard=LeakGuard(exclude=(survey("benchmark", 2, prefix="s"),)))
    for split in splits:
        table = split.table[2:]
        assert (table.groupby("group")["part"].nunique() == 1).all()
        assert (split.table["part"][:2] == EXCLUDED).all()
    for folds in (2, 101):
        with pytest.raises(InputError, match="give at least 3"):
            make_folds(catalog, folds=folds)


# Shares of the labels -------------------------------------------------------------------------------------


@settings(max_examples=30)
@given(
    classes=st.lists(st.integers(3, 150), min_size=1, max_size=4),
    seed=st.integers(0, 3),
    shares=st.tuples(st.floats(0.001, 1), st.floats(0.001, 1)),
)
def test_smaller_shares_lie_within_larger_ones_and_keep_class(
    classes: list[int], seed: int, shares: tuple[float, float]
) -> None:
    catalog = survey("s", *classes)
    split = make_split(catalog)
    small, large = (split.part(catalog, "train", share=share, seed=seed) for share in sorted(shares))
    assert set(small.tolist()) <= set(large.tolist()) <= set(split.part(catalog, "train").tolist())
    assert (np.diff(small) > 0).all()
    sizes = Counter(catalog.table["label"][split.part(catalog, "train")])
    for row, n in Counter(catalog.table["label"][small]).items():
        assert n == max(1, int(np.ceil(round(min(shares) * sizes[row], 9))))
    assert len(set(catalog.table["label"][small])) == len(sizes)


@pytest.mark.parametrize("seed", range(5))
def test_few_shot_subsets_nested_from_one_to_hundred_percent(seed: int) -> None:
    catalog = survey("s", 700, 300, 90, 12)
    split = make_split(catalog)
    subsets = [set(split.part(catalog, "train", share=share, seed=seed)) for share in (0.01, 0.05, 0.1, 0.2, 0.5, 1)]
    for smaller, larger in pairwise(subsets):
        assert smaller < larger
    assert subsets[-1] == set(split.part(catalog, "train"))
    assert [len(subset) for subset in subsets[:-1]] == [10, 41, 78, 155, 386]


def test_other_seeds_give_other_shares_of_the_same_part() -> None:
    catalog = survey("s", 400)
    split = make_split(catalog)
    subsets = [set(split.part(catalog, "train", share=0.1, seed=seed).tolist()) for seed in (0, 1, 2)]
    assert [len(subset) for subset in subsets] == [28, 28, 28]
    for a, b in ((0, 1), (0, 2), (1, 2)):
        assert len(subsets[a] & subsets[b]) < 12


def test_a_share_depends_on_no_other_class() -> None:
    catalog = survey("s", 100, 100)
    split = make_split(catalog)
    first = catalog.select(catalog.table["label"].to_numpy() == "c0")
    both = split.part(catalog, "train", share=0.1)
    alone = split.part(first, "train", share=0.1)
    assert [first.ids[row] for row in alone] == [catalog.ids[row] for row in both if row < 100]


@pytest.mark.parametrize("share", [0, -0.1, 1.5, float("nan")])
def test_a_share_that_is_none_is_refused(share: float) -> None:
    catalog = survey("s", 10)
    with pytest.raises(InputError, match="share"):
        make_split(catalog).part(catalog, "train", share=share)


# Saved and read -------------------------------------------------------------------------------------------


def test_a_saved_split_comes_back_and_gives_the_same_rows(tmp_path: Path) -> None:
    catalog = survey("s", 50, 9)
    split = make_split(catalog, fractions=(0.5, 0.25, 0.25), seed=7, guard=LeakGuard(radius=2))
    back = read_split(split.write(tmp_path / "split.parquet"))
    assert (back.fractions, back.seed, back.radius) == ((0.5, 0.25, 0.25), 7, 2.0)
    assert back.fingerprints == {"s": catalog.fingerprint}
    for part in PARTS:
        np.testing.assert_array_equal(back.part(catalog, part), split.part(catalog, part))
        np.testing.assert_array_equal(
            back.part(catalog, part, share=0.3, seed=2), split.part(catalog, part, share=0.3, seed=2)
        )


def test_a_saved_split_holds_ids_and_no_labels(tmp_path: Path) -> None:
    path = make_split(survey("s", 20)).write(tmp_path / "split.parquet")
    assert pq.read_schema(path).names == ["source", "id_str", "part", "group"]
    with pytest.raises(InputError, match=r"end in \.parquet"):
        make_split(survey("s", 20)).write(tmp_path / "split.csv")


def test_a_changed_catalogue_is_refused_with_both_fingerprints() -> None:
    catalog = survey("s", 20)
    changed = survey("s", 19, 1)
    split = make_split(catalog)
    with pytest.raises(InputError, match=f"{catalog.fingerprint[:12]}.*{changed.fingerprint[:12]}"):
        split.part(changed, "train")
    with pytest.raises(InputError, match=r"does not know the catalogue other .* made from s"):
        split.part(survey("other", 5), "train")


def test_catalogue_is_known_by_what_it_holds_not_by_its_name() -> None:
    split = make_split(survey("s", 20))
    renamed = survey("renamed", 20, prefix="s")
    assert len(split.part(renamed, "train")) == 14


def test_an_id_that_the_split_lacks_is_named() -> None:
    catalog = survey("s", 20)
    split = make_split(catalog)
    table = catalog.table.assign(id_str=[*catalog.ids[:-1], "stranger"])
    with pytest.raises(InputError, match="lacks stranger of s"):
        split.part(replace(catalog, table=table), "train")


def test_what_is_no_split_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no split at"):
        read_split(tmp_path / "none.parquet")
    for name, content in (("text.parquet", b"no parquet"), ("empty.parquet", b"")):
        (tmp_path / name).write_bytes(content)
        with pytest.raises(InputError, match="is not a saved split"):
            read_split(tmp_path / name)
    with pytest.raises(InputError, match="is not a saved split"):
        read_split(write_table(pd.DataFrame({"id_str": ["a"]}), tmp_path / "table.parquet"))


def test_a_split_of_a_later_version_is_refused(tmp_path: Path) -> None:
    split = make_split(survey("s", 5))
    metadata = {"galaxalign_split": '{"version": 2}'}
    with pytest.raises(InputError, match="newer GalaxAlign"):
        read_split(write_table(split.table, tmp_path / "later.parquet", metadata=metadata))


@pytest.mark.parametrize("fractions", [(0.5, 0.5), (0.7, 0.2, 0.2), (1.2, -0.1, -0.1), (0.7, 0.1, float("nan"))])
def test_fractions_that_do_not_add_up_are_refused(fractions: tuple[float, ...]) -> None:
    with pytest.raises(InputError, match="add up to 1"):
        make_split(survey("s", 5), fractions=fractions)


def test_other_wrong_input_is_refused() -> None:
    with pytest.raises(InputError, match="at least one"):
        make_split()
    with pytest.raises(InputError, match="two catalogues are called s"):
        make_split(survey("s", 5), survey("s", 6))
    with pytest.raises(InputError, match="has the column class"):
        make_split(survey("s", 5), label="class")
    with pytest.raises(InputError, match="no part 'valid'"):
        make_split(survey("s", 5)).part(survey("s", 5), "valid")
    with pytest.raises(InputError, match=r"dec = 95 in row 2"):
        make_split(survey("s", 2, ra=[0, 0], dec=[0, 95]))
    with pytest.raises(InputError, match="ra = '12h03m' in row 1, which is no number of degrees .it looks like hours"):
        make_split(survey("s", 1, ra=["12h03m"], dec=[0]))


# The split of the shared galaxies -------------------------------------------------------------------------


@pytest.fixture(scope="module")
def saved() -> Split:
    return read_split(BENCHMARKS / "splits" / "shared.parquet")


def test_no_shared_galaxy_is_on_two_sides(saved: Split) -> None:
    assert (saved.table.groupby("id_str")["part"].nunique() == 1).all()
    assert (saved.table.groupby("group")["part"].nunique() == 1).all()


@pytest.mark.real
def test_the_saved_split_is_the_one_its_script_makes(
    saved: Split, shared: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "path", [str(BENCHMARKS), *sys.path])
    import make_split as script

    made = script.shared_split(shared / "data")
    assert made.fingerprints == saved.fingerprints
    assert made.table.astype(str).equals(saved.table.astype(str))


@pytest.mark.real
def test_the_shared_test_part_never_leaks_across_sources(
    saved: Split, shared: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "path", [str(BENCHMARKS), *sys.path])
    import make_split as script

    catalogs = {catalog.source: catalog for catalog in script.catalogs(shared / "data")}
    held = {part: set() for part in PARTS}
    for catalog in catalogs.values():
        for part in PARTS:
            held[part] |= {catalog.ids[row] for row in saved.part(catalog, part)}
    assert not held["test"] & (held["train"] | held["validation"])
    assert not held["train"] & held["validation"]
    # The galaxies that stand in both surveys were really compared: there are six, and 271 with the votes.
    assert len({*catalogs["gz1"].ids} & {*catalogs["gz2"].ids}) == 6
    assert {*catalogs["gz2_stripe82"].ids} <= {*catalogs["gz2_stripe82_votes"].ids}

    labelled = catalogs["efigi"]
    for part, share in zip(PARTS, saved.fractions, strict=True):
        counts = labelled.table["label"][saved.part(labelled, part)].value_counts()
        expected = labelled.table["label"].value_counts() * share
        assert (abs(counts - expected) <= 1).all()
    for seed in (0, 1, 2):
        few = saved.part(labelled, "train", share=0.01, seed=seed)
        assert len(set(labelled.table["label"][few])) == 6
