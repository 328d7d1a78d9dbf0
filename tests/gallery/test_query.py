"""The query language: what is a query, and what is said of what is none."""

from __future__ import annotations

import json

import pytest

from galaxalign.errors import InputError
from galaxalign.gallery.query import Cone, Part, Query, read_query
from galaxalign.verbs.search import as_query


def test_a_query_comes_back_from_json_as_it_was(tmp_path):
    query = Query(
        parts=[Part(kind="text", value="a spiral"), Part(kind="vector", value=[1.0, 0.5], weight=-0.5)],
        where="redshift < 0.1",
        cone=Cone(ra=10, dec=-5, radius=0.5),
        k=3,
    )
    (tmp_path / "q.json").write_text(query.model_dump_json())
    assert read_query(tmp_path / "q.json") == query
    assert read_query(json.loads(query.model_dump_json())) == query


@pytest.mark.parametrize(
    ("broken", "words"),
    [
        ({"parts": [{"kind": "smell", "value": "x"}]}, r"parts\.0\.kind"),
        ({"parts": [{"kind": "text", "value": "  "}]}, "is empty"),
        ({"parts": [{"kind": "text", "value": [1, 2]}]}, "needs text"),
        ({"parts": [{"kind": "vector", "value": "x"}]}, "needs numbers"),
        ({"parts": [{"kind": "text", "value": "x", "weight": 0}]}, "weight 0"),
        ({"parts": [{"kind": "vector", "value": [float("nan")]}]}, "finite"),
        ({"cone": {"ra": 10, "dec": 95, "radius": 1}}, r"cone\.dec"),
        ({"k": 0}, "k: "),
        ({"wehre": "x"}, "wehre"),
    ],
)
def test_what_is_no_query_is_said_with_its_place(broken, words):
    with pytest.raises(InputError, match=words):
        read_query(broken)


def test_a_file_that_is_no_json_is_named(tmp_path):
    (tmp_path / "q.json").write_text("{")
    with pytest.raises(InputError, match=r"q\.json is no JSON"):
        read_query(tmp_path / "q.json")
    with pytest.raises(InputError, match=r"none\.json cannot be read"):
        read_query(tmp_path / "none.json")


@pytest.mark.parametrize(("text", "weight"), [("^.5", 0.5), ("^+2", 2), ("^1e-1", 0.1), ("^-2.", -2), ("", 1)])
def test_a_weight_may_be_written_as_numbers_are(text, weight):
    (part,) = as_query(text=f"a bar{text}").parts
    assert (part.value, part.weight) == ("a bar", weight)


@pytest.mark.parametrize("weight", ["abc", "", "nan", "inf", "1e999", "0,5"])
def test_a_weight_that_is_no_number_is_not_searched_as_words(weight):
    for flags in ({"text": f"a bar^{weight}"}, {"text": "a", "not_": f"a bar^{weight}"}):
        with pytest.raises(InputError, match=r"the weight .* of 'a bar' is no number"):
            as_query(**flags)


def test_an_id_may_hold_what_looks_like_no_weight():
    assert as_query(id="NGC^abc").parts[0].value == "NGC^abc"
