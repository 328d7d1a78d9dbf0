"""Flags into a query."""

from __future__ import annotations

import base64

import pytest

from galaxalign.errors import InputError
from galaxalign.gallery.query import Cone, Part
from galaxalign.verbs.search import as_query


def test_each_flag_is_a_part_with_its_weight(tmp_path):
    (tmp_path / "d.svg").write_text("<svg/>")
    (tmp_path / "d.png").write_bytes(b"12")
    query = as_query(
        text=["a spiral", "a bar^0.5", "a ring^-2"],
        not_="a merger^0.25",
        image="some/i.png^2",
        symbol=["edge_on", str(tmp_path / "d.svg"), f"{tmp_path / 'd.png'}^0.5"],
        id="123",
        cone="180.5,-1,0.5",
        k=7,
    )
    assert query.parts == [
        Part(kind="id", value="123"),
        Part(kind="image", value="some/i.png", weight=2),
        Part(kind="symbol", value="edge_on"),
        Part(kind="sketch", value="<svg/>"),
        Part(kind="sketch", value=f"data:image/png;base64,{base64.b64encode(b'12').decode()}", weight=0.5),
        Part(kind="text", value="a spiral"),
        Part(kind="text", value="a bar", weight=0.5),
        Part(kind="text", value="a ring", weight=-2),
        Part(kind="text", value="a merger", weight=-0.25),
    ]
    assert query.cone == Cone(ra=180.5, dec=-1, radius=0.5)


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"text": " "}, "is empty"),
        ({"text": "a bar^0"}, "weight 0"),
        ({"text": "x", "cone": "1,2"}, "RA,DEC,RADIUS"),
        ({"text": "x", "cone": "1,2,-3"}, "greater than 0"),
        ({"text": "x", "k": 0}, "-k is 0"),
        ({"symbol": "none.svg"}, "there is no drawing at none.svg"),
    ],
)
def test_flags_that_make_no_query_are_said(wrong, words):
    with pytest.raises(InputError, match=words):
        as_query(**wrong)
