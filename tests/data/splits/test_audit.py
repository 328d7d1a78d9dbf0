"""An audit of tables finds leaks, contradictory labels and impossible positions, each once."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from galaxalign.data.catalogs import Catalog, as_catalog, read_catalog
from galaxalign.data.catalogs.position_checks import sky_doubts
from galaxalign.data.splits.assign_parts import make_split
from galaxalign.data.splits.audit import (
    COLUMNS,
    check_classes,
    check_pairs,
    check_positions,
    gather,
    same_ids,
    same_values,
    sky_pairs_of,
)
from galaxalign.data.splits.leaks import LeakGuard, refuse_leaks, refuse_leaks_across
from galaxalign.data.splits.splits import Split, read_split
from galaxalign.errors import InputError


def survey(source: str, n: int, **columns: object) -> Catalog:
    frame = pd.DataFrame({"id_str": [f"{source}-{row}" for row in range(n)], **columns})
    return as_catalog(frame, source=source, require=("id_str",))


def kinds(found: pd.DataFrame) -> dict[str, int]:
    return found["kind"].value_counts().to_dict()


def twins(n: int = 20) -> Catalog:
    """Return n pairs of rows at one place, of which the first has two labels, and a neighbour of the first."""
    ra = np.repeat(np.arange(n), 2) * 0.1
    label = ["spiral", "elliptical", *["spiral"] * (2 * n - 2), "spiral"]
    return survey("s", 2 * n + 1, ra=[*ra, 0.0], dec=[*np.zeros(2 * n), 40 / 3600], label=label)


def test_a_split_by_chance_leaks_and_a_grouped_one_does_not() -> None:
    catalog = twins()
    by_chance, grouped = make_split(catalog, guard=LeakGuard(radius=0)), make_split(catalog)
    rows = gather(catalog, by_chance)
    leaks = check_pairs(rows, sky_pairs_of(rows))
    leaks = leaks[leaks["kind"] == "leak"]
    parts = dict(zip(by_chance.table["id_str"], by_chance.table["part"], strict=True))
    expected = [k for k in range(20) if parts[f"s-{2 * k}"] != parts[f"s-{2 * k + 1}"]]
    assert len(expected) > 3
    beside = {("s-0", "s-40"), ("s-1", "s-40")}
    found = set(zip(leaks["id_str"], leaks["other_id"], strict=True))
    assert found - beside == {(f"s-{2 * k}", f"s-{2 * k + 1}") for k in expected}
    assert found & beside == {pair for pair in beside if parts[pair[0]] != parts[pair[1]]}
    assert (leaks["part"] != leaks["other_part"]).all()
    assert (leaks["severity"] == "error").all()
    rows = gather(catalog, grouped)
    assert kinds(check_pairs(rows, sky_pairs_of(rows))) == {"same_position": 20, "neighbours": 2, "label_conflict": 1}


def test_rows_that_are_excluded_do_not_leak() -> None:
    catalog = twins()
    split = make_split(catalog, guard=LeakGuard(radius=0))
    for row in range(41):
        split.table.loc[row, "part"] = "excluded" if row % 2 else split.table["part"][row]
    rows = gather(catalog, split)
    leaks = check_pairs(rows, sky_pairs_of(rows)).query("kind == 'leak'")
    assert not leaks["id_str"].isin([f"s-{row}" for row in range(1, 41, 2)]).any()
    assert len(leaks) <= 1  # only s-0 and s-40 are left near each other


def test_findings_have_the_promised_columns_and_the_distance() -> None:
    rows = gather(survey("s", 2, ra=[10, 10], dec=[0, 1 / 3600]))
    found = check_pairs(rows, sky_pairs_of(rows))
    assert tuple(found.columns) == COLUMNS
    assert found[["kind", "id_str", "other_id", "unit"]].to_numpy().tolist() == [
        ["same_position", "s-0", "s-1", "arcsec"]
    ]
    assert found["distance"][0] == pytest.approx(1)


def test_neighbours_may_have_different_labels() -> None:
    catalog = survey("s", 2, ra=[10, 10], dec=[0, 30 / 3600], label=["spiral", "elliptical"])
    assert kinds(check_pairs(gather(catalog), sky_pairs_of(gather(catalog)))) == {"neighbours": 1}


def test_another_catalogue_compared_by_id_and_position_but_not() -> None:
    one = as_catalog(pd.DataFrame({"id_str": ["a", "b"], "ra": [1, 2], "dec": [0, 0]}), source="one", require=())
    two = as_catalog(
        pd.DataFrame({"id_str": ["b", "c", "d"], "ra": [np.nan, 1, 1], "dec": [np.nan, 0, 0]}), source="two", require=()
    )
    rows = gather(one, against=two)
    found = check_pairs(rows, [*same_ids(rows), *sky_pairs_of(rows)])
    pairs = found[["kind", "id_str", "other_source", "other_id"]].to_numpy().tolist()
    assert pairs == [
        ["same_id", "b", "two", "b"],
        ["same_position", "a", "two", "c"],
        ["same_position", "a", "two", "d"],
    ]
    with pytest.raises(InputError, match="two catalogues are called one"):
        gather(one, against=one)


def test_row_numbers_are_no_ids() -> None:
    tables = [as_catalog(pd.DataFrame({"x": range(3)}), source=name, require=()) for name in ("one", "two")]
    assert same_ids(gather(tables[0], against=tables[1])) == []


def test_a_leak_across_catalogues_of_one_split_is_found() -> None:
    one, two = survey("one", 20, ra=np.arange(20.0), dec=0.0), survey("two", 20, ra=np.arange(20.0), dec=0.0)
    split = make_split(one, two, guard=LeakGuard(radius=0))
    rows = gather(one, split, two)
    assert kinds(check_pairs(rows, sky_pairs_of(rows)))["leak"] > 2


def test_a_column_of_ids_tells_leaks_and_conflicts() -> None:
    catalog = survey("s", 30, galaxy=[f"g{row // 2}" for row in range(30)], label=["a"] * 29 + ["b"])
    split = make_split(catalog)
    rows = gather(catalog, split)
    found = check_pairs(rows, same_values(rows, "galaxy"))
    parts = split.table["part"].to_numpy()
    assert kinds(found)["leak"] == sum(parts[::2] != parts[1::2]) > 0
    assert found.query("kind == 'label_conflict'")[["id_str", "other_id"]].to_numpy().tolist() == [["s-28", "s-29"]]
    assert "same_group" not in kinds(found)
    with pytest.raises(InputError, match="has the column night"):
        same_values(rows, "night")


def test_one_pair_is_one_leak_however_many_things_tell_it() -> None:
    catalog = survey("s", 30, ra=np.repeat(np.arange(15.0), 2), dec=0.0, galaxy=np.repeat(np.arange(15), 2))
    rows = gather(catalog, make_split(catalog, guard=LeakGuard(radius=0)))
    leaks = check_pairs(rows, [*sky_pairs_of(rows), *same_values(rows, "galaxy")]).query("kind == 'leak'")
    pairs = {frozenset(pair) for pair in leaks[["id_str", "other_id"]].to_numpy().tolist()}
    assert len(pairs) > 2
    assert len(leaks) == len(pairs)


def test_impossible_and_doubtful_positions_findings_not_errors() -> None:
    catalog = survey("s", 4, ra=[10, 400, np.nan, 10], dec=[0, 0, 0, -91])
    found = check_positions(gather(catalog))
    assert found["id_str"].tolist() == ["s-1", "s-3", ""]
    assert found["detail"][0] == "ra = 400, dec = 0 in row 2 is no place on the sky, in degrees"
    assert found["detail"][2] == "1 of 4 rows have no position and cannot be matched by it"
    assert len(sky_pairs_of(gather(catalog))) == 2, "the others are still compared"


def test_text_that_is_no_degrees_is_refused_with_the_reason() -> None:
    with pytest.raises(InputError, match="looks like hours, minutes and seconds"):
        gather(survey("s", 1, ra=["12:03:11.5"], dec=["+3"]))


def test_classes_are_counted_and_rare_ones_named() -> None:
    found = check_classes(gather(survey("s", 40, label=["a"] * 30 + ["b"] * 4 + [None] * 6)))
    assert found[["kind", "label"]].to_numpy().tolist() == [
        ["class", "a"],
        ["class", "b"],
        ["rare_class", "b"],
        ["no_label", ""],
    ]
    assert found["detail"].tolist() == [
        "30 of 34 galaxies (88.2%)",
        "4 of 34 galaxies (11.8%)",
        "only 4 of 34 galaxies: too few to learn or to measure",
        "6 of 40 rows have no label",
    ]
    assert len(check_classes(gather(survey("s", 3)))) == 0


def test_training_refuses_a_leaking_split_unless_allowed() -> None:
    catalog = twins()
    split = make_split(catalog, guard=LeakGuard(radius=0))
    with pytest.raises(
        InputError, match=r"the split leaks: \d+ pairs.* arcsec apart; make it anew with .*--allow-leaks"
    ):
        refuse_leaks(catalog, split)
    conflict, leak = refuse_leaks(catalog, split, LeakGuard(allow_leaks=True))
    assert conflict == "s: 1 pairs of rows are the same object under two labels (first: s-0 spiral, s-1 elliptical)"
    assert leak.startswith("the split leaks")
    assert refuse_leaks(catalog, make_split(catalog)) == [conflict]


def test_a_split_that_was_tampered_with_leaks_by_its_own_groups() -> None:
    catalog = survey("s", 20, galaxy=[row // 2 for row in range(20)])
    split = make_split(catalog, group_column="galaxy")
    assert refuse_leaks(catalog, split) == []
    train = split.table.index[split.table["part"] == "train"][0]
    split.table.loc[train, "part"] = "test"
    with pytest.raises(InputError, match=r"1 pairs of rows \(2 galaxies\).*same group of the split"):
        refuse_leaks(catalog, split)


def test_split_grouped_by_wrong_positions_refused_once_right() -> None:
    ra = np.repeat(np.arange(60) * 4.0, 2)
    ids = [f"s-{row}" for row in range(120)]
    table = pd.DataFrame({"id_str": ids, "ra": ra, "dec": np.tile([0, 20 / 3600], 60)})
    hours = as_catalog(table.assign(ra=np.random.default_rng(0).permutation(ra) / 15), source="s", require=())
    right = as_catalog(table, source="s", require=())
    split = make_split(hours)
    assert right.fingerprint == hours.fingerprint, "positions are no part of it"
    assert refuse_leaks(hours, split) == [f"s: {said}" for said in sky_doubts(hours.table["ra"], hours.table["dec"])]
    with pytest.raises(InputError, match=r"the split leaks: \d+ pairs of rows .* make it anew"):
        refuse_leaks(right, split)
    assert refuse_leaks(right, make_split(right)) == []


def moved(split: Split, source: str, **parts: str) -> Split:
    """Return the split in which rows of a catalogue, by id, have other parts."""
    table = split.table.copy()
    for identity, part in parts.items():
        row = (table["source"] == source) & (table["id_str"] == identity)
        assert row.sum() == 1
        table.loc[row, "part"] = part
    return Split(table, split.fingerprints, split.fractions, split.seed, split.radius)


def three() -> list[Catalog]:
    """Return catalogues that share ids (a and b), that share a galaxy 2 arcsec apart (d), and a value of a column."""
    a = pd.DataFrame({"id_str": ["p", "q", "r", "s"], "night": ["1", "2", "3", "4"]})
    b = pd.DataFrame({"id_str": ["q", "t", "u"], "ra": [1.0, 2.0, 3.0], "dec": 0.0, "night": ["5", "6", "4"]})
    d = pd.DataFrame({"id_str": ["v", "w"], "ra": [9.0, 2.0], "dec": [0.0, 2 / 3600]})
    tables = {"a": a, "b": b, "d": d}
    return [as_catalog(table, source=name, require=()) for name, table in tables.items()]


def test_galaxy_in_parts_of_two_catalogues_is_refused() -> None:
    catalogs = three()
    split = make_split(*catalogs, group_column="night")
    assert refuse_leaks_across(catalogs, split) == []
    every = {identity: "train" for identity in "pqrstuvw"}
    for source, catalog in zip("abd", catalogs, strict=True):
        split = moved(split, source, **{identity: every[identity] for identity in catalog.ids})
    assert refuse_leaks_across(catalogs, split) == []
    by_id = moved(split, "b", q="test")
    with pytest.raises(
        InputError,
        match=r"^the split leaks: 1 galaxies of a are also in b or closer than 60 arcsec to one, in another part, "
        r"first q \(train\) and q \(test\) \(same id\); make it anew .*, or say --allow-leaks$",
    ):
        refuse_leaks_across(catalogs, by_id)
    by_group = moved(split, "a", s="validation")
    with pytest.raises(InputError, match=r"1 galaxies of a .* s \(validation\) and u \(train\) \(same group of the"):
        refuse_leaks_across(catalogs, by_group)
    by_place = moved(split, "d", w="test")
    with pytest.raises(InputError, match=r"1 galaxies of b are also in d .* t \(train\) and w \(test\)"):
        refuse_leaks_across(catalogs, by_place)
    # without positions and groups only ids are left
    for one in (by_group, by_place):
        alone = Split(one.table.assign(group=range(9)), one.fingerprints, one.fractions, one.seed, one.radius)
        assert refuse_leaks_across(catalogs[::2], alone, LeakGuard(radius=0)) == []
    apart = by_place.table.assign(group=range(9))
    apart_split = Split(apart, split.fingerprints, split.fractions, split.seed, split.radius)
    assert refuse_leaks_across(catalogs, apart_split, LeakGuard(radius=1.9)) == []
    with pytest.raises(InputError, match=r"closer than 2.1 arcsec .* w \(test\), 2 arcsec apart"):
        refuse_leaks_across(catalogs, apart_split, LeakGuard(radius=2.1))
    # what is in no part does not leak, and every pair of catalogues has its sentence
    assert refuse_leaks_across(catalogs, moved(by_id, "a", q="excluded")) == []
    both = moved(by_id, "d", w="test")
    said = refuse_leaks_across(catalogs, both, LeakGuard(allow_leaks=True))
    assert [line.partition(" or closer")[0][len("the split leaks: ") :] for line in said] == [
        "1 galaxies of a are also in b",
        "1 galaxies of b are also in d",
    ]
    assert refuse_leaks_across(catalogs[:1], both) == []


def test_row_numbers_of_two_catalogues_are_not_compared() -> None:
    tables = [
        as_catalog(pd.DataFrame({"ra": np.arange(8.0) + k, "dec": k}), source=f"s{k}", require=()) for k in (0, 40)
    ]
    split = make_split(*tables)
    parts = ["train"] * 8 + ["test"] * 8
    ungrouped = Split(split.table.assign(part=parts, group=range(16)), split.fingerprints, split.fractions, 0, 60.0)
    assert refuse_leaks_across(tables, ungrouped) == []


@pytest.mark.real
def test_split_for_several_catalogues_no_galaxy_in_two_parts(shared: Path) -> None:
    names = ("efigi", "gz1", "gz2", "gz2_stripe82")
    catalogs = [read_catalog(shared / "data" / name / "catalog.csv") for name in names]
    split = read_split(Path(__file__).parents[3] / "benchmarks" / "splits" / "mixture.parquet")
    assert refuse_leaks_across(catalogs, split) == []
    of_two = set(catalogs[1].ids) & set(catalogs[2].ids)
    first = next(k for k in range(len(catalogs[2])) if catalogs[2].ids[k] in of_two)
    then = split.parts_of(catalogs[2])[first]
    there = "test" if then == "train" else "train"
    with pytest.raises(InputError, match=r"1 galaxies of gz1 are also in gz2 "):
        refuse_leaks_across(catalogs, moved(split, "gz2", **{catalogs[2].ids[first]: there}))


def test_a_split_of_another_catalogue_is_refused() -> None:
    with pytest.raises(InputError, match=r"does not know the catalogue other .* made from s"):
        gather(survey("other", 5), make_split(survey("s", 5)))
