"""A gallery finds what is asked for, says why, and gives the same answers from memory and from disk."""

from __future__ import annotations

from dataclasses import replace

import astropy.units as u
import numpy as np
import pytest
from astropy.coordinates import SkyCoord

from galaxalign.errors import InputError
from galaxalign.gallery.embeddings import Embeddings
from galaxalign.gallery.gallery import open_gallery
from galaxalign.gallery.query import Cone, Part, Query
from galaxalign.verbs.index import index


@pytest.fixture(params=["memory", "disk", "disk read into memory"])
def gallery(request, file, tmp_path):
    if request.param == "memory":
        return open_gallery(file)
    return open_gallery(index(embeddings=file, out=tmp_path / "i"), exact_below=0 if request.param == "disk" else 10**6)


def like(vector, **further):
    return Query(parts=[Part(kind="vector", value=[float(x) for x in vector])], **further)


def test_a_single_part_ranks_by_cosine(gallery, survey):
    query = np.random.default_rng(1).normal(size=gallery.dimension)
    found = gallery.search(like(query, k=12))
    cosines = survey.vectors @ (query / np.linalg.norm(query))
    order = np.argsort(-np.where(survey.ok, cosines, -9))[:12]
    assert found.ids == [survey.ids[row] for row in order]
    assert [entry.rank for entry in found] == list(range(1, 13))
    np.testing.assert_allclose([entry.score for entry in found], cosines[order], atol=1e-5)
    np.testing.assert_allclose([entry.ra for entry in found], survey.columns["ra"][order])
    next_page = gallery.search(like(query, k=5, offset=7))
    assert next_page.ids == found.ids[7:]
    assert next_page[0].rank == 8


def test_the_galaxy_asked_with_is_left_out_unless_wanted(gallery):
    assert "g8" not in gallery.neighbours("g8", k=20).ids
    kept = gallery.search(Query(parts=[Part(kind="id", value="g8")], exclude_self=False, k=1))
    assert kept.ids == ["g8"]
    assert kept[0].score == pytest.approx(1, abs=1e-5)


def test_reasons_add_up_to_score_negatives_only_subtract(gallery):
    query = Query(parts=[Part(kind="id", value="g0"), Part(kind="id", value="g5", weight=-0.5)], k=30)
    found = gallery.search(query)
    for entry in found:
        assert sum(entry.why) == pytest.approx(entry.score)
        assert entry.why[1] <= 0
    table = found.to_table()
    assert table.column_names == ["rank", "id_str", "score", "ra", "dec", "why_1", "why_2", "precision", "duplicates"]
    np.testing.assert_allclose(table["why_1"].to_numpy() + table["why_2"].to_numpy(), table["score"].to_numpy())


@pytest.mark.parametrize(
    "where",
    [
        "redshift > 0.1",
        "label = 'spiral' AND votes >= 25",
        "label IN ('merger', 'edge_on') OR redshift IS NULL",
        "NOT (redshift <= 0.15)",
        "label LIKE 'ell%' AND redshift BETWEEN 0.05 AND 0.1",
        "`votes` = 3",
    ],
)
def test_a_condition_lets_the_same_rows_through_everywhere(gallery, file, where):
    frame = open_gallery(file).table().to_pandas()
    z = frame["redshift"]
    expected = {
        "redshift > 0.1": z > 0.1,
        "label = 'spiral' AND votes >= 25": (frame.label == "spiral") & (frame.votes >= 25),
        "label IN ('merger', 'edge_on') OR redshift IS NULL": frame.label.isin(["merger", "edge_on"]) | z.isna(),
        "NOT (redshift <= 0.15)": z > 0.15,
        "label LIKE 'ell%' AND redshift BETWEEN 0.05 AND 0.1": (frame.label == "elliptical") & z.between(0.05, 0.1),
        "`votes` = 3": frame.votes == 3,
    }[where]
    rows = gallery.table(["id_str"], where=where)
    assert sorted(rows["id_str"].to_pylist()) == sorted(frame.id_str[expected])
    found = gallery.search(like(gallery.vector("g0"), where=where, k=400))
    assert set(found.ids) == set(frame.id_str[expected & (frame.status == "ok")])


@pytest.mark.parametrize(
    "where",
    ["nothing = 1", "redshift <", "1 = 1) OR (1 = 1", 'label = "x"', "votes = 1; DROP TABLE galaxies",
     "id_str IN (SELECT id_str FROM galaxies)", "", "load_extension('x') = 1", "1=1 -- x"],
)  # fmt: skip
def test_a_condition_that_is_none_is_one_sentence(gallery, where):
    with pytest.raises(InputError, match="condition"):
        gallery.search(like(gallery.vector("g0"), where=where))
    with pytest.raises(InputError, match="condition"):
        gallery.table(["id_str"], where=where)


@pytest.mark.parametrize("cone", [Cone(ra=359.5, dec=10, radius=25), Cone(ra=40, dec=-89, radius=30)])
def test_a_cone_is_a_cone(gallery, survey, cone):
    found = gallery.search(like(gallery.vector("g0"), cone=cone, k=400))
    sky = SkyCoord(survey.columns["ra"] * u.deg, survey.columns["dec"] * u.deg)
    inside = sky.separation(SkyCoord(cone.ra * u.deg, cone.dec * u.deg)).deg <= cone.radius
    assert set(found.ids) == {survey.ids[row] for row in np.flatnonzero(inside & survey.ok)}
    assert len(found) > 5


@pytest.mark.parametrize("order", [2, 7])
def test_a_moc_is_a_moc_also_where_it_is_ragged(gallery, survey, tmp_path, order):
    from mocpy import MOC

    moc = MOC.from_cone(lon=100 * u.deg, lat=20 * u.deg, radius=40 * u.deg, max_depth=order)
    moc.save(tmp_path / "m.fits", format="fits")
    inside = moc.contains_lonlat(survey.columns["ra"] * u.deg, survey.columns["dec"] * u.deg)
    expected = {survey.ids[row] for row in np.flatnonzero(inside & survey.ok)}
    for text in (str(tmp_path / "m.fits"), moc.to_string("ascii"), moc.to_string("json")):
        assert set(gallery.search(like(gallery.vector("g0"), moc=text, k=400)).ids) == expected
    with pytest.raises(InputError, match="MOC"):
        gallery.search(like(gallery.vector("g0"), moc=str(tmp_path / "m.fits")), files=False)
    with pytest.raises(InputError, match="MOC"):
        gallery.search(like(gallery.vector("g0"), moc="3/99999999"))


def test_rows_come_in_the_order_asked_for(gallery, survey):
    assert gallery.rows(["g9", "g2"], ["id_str", "label"]).to_pylist() == [
        {"id_str": "g9", "label": "spiral"},
        {"id_str": "g2", "label": "edge_on"},
    ]
    assert gallery.galaxy("g7")["status"] == "zero bytes"
    np.testing.assert_allclose(gallery.vectors(["g9", "g2"]), survey.vectors[[9, 2]], atol=1e-6)
    top = gallery.table(["id_str", "redshift"], where="votes > 10", order="-redshift", limit=5, offset=2)
    frame = gallery.table().to_pandas()
    expected = frame[frame.votes > 10].sort_values("redshift", ascending=False).iloc[2:7]
    assert top["id_str"].to_pylist() == expected["id_str"].tolist()
    assert len(gallery.table(["id_str"], limit=3)) == 3
    assert "embedding" not in gallery.columns
    assert gallery.columns["votes"] == "int64"


def test_what_is_not_there_is_said(gallery):
    with pytest.raises(InputError, match="no galaxy has the id 'x'"):
        gallery.galaxy("x")
    with pytest.raises(InputError, match='no galaxy has the id "x\'"'):
        gallery.rows(["x'"])
    with pytest.raises(InputError, match="zero bytes"):
        gallery.neighbours("g7")
    with pytest.raises(InputError, match="no column 'mass'"):
        gallery.table(["mass"])
    with pytest.raises(InputError, match="the query is empty"):
        gallery.search(Query())
    with pytest.raises(InputError, match="only says what is not wanted"):
        gallery.search(Query(parts=[Part(kind="id", value="g0", weight=-1)]))
    with pytest.raises(InputError, match="3 dimensions"):
        gallery.search(like([1, 2, 3]))
    with pytest.raises(InputError, match="zero or not finite"):
        gallery.search(like(np.zeros(16)))


def test_below_the_floor_nothing_is_shown(gallery):
    every = gallery.neighbours("g0", k=50)
    floor = every[10].score - 1e-6
    some = gallery.search(every.query.model_copy(update={"floor": floor}))
    assert some.ids == every.ids[:11]


def test_entries_of_one_galaxy_are_one_answer(survey, tmp_path):
    ids = [*survey.ids, "copy", "beside"]
    vectors = np.vstack([survey.vectors, survey.vectors[8], survey.vectors[16]])
    columns = {name: np.append(values, values[[8, 12]]) for name, values in survey.columns.items()}
    columns["ra"][-2:] = columns["ra"][12], columns["ra"][12] + 1 / 3600  # one arcsec beside g12
    columns["dec"][-2:] = 80, columns["dec"][12]
    path = Embeddings(ids, vectors, [*survey.status, "ok", "ok"], {}, columns).write(tmp_path / "e.parquet")
    gallery = open_gallery(path)
    found = gallery.search(Query(parts=[Part(kind="id", value="g0")], k=402))
    groups = {entry.id_str: entry.duplicates for entry in found if entry.duplicates}
    assert {frozenset((one, *others)) for one, others in groups.items()} == {
        frozenset({"g8", "copy"}),
        frozenset({"g12", "beside"}),
    }
    assert [entry.rank for entry in found] == list(range(1, len(found) + 1))
    loose = gallery.search(found.query.model_copy(update={"collapse": False}))
    assert len(loose) == len(found) + 2


@pytest.mark.parametrize(
    ("where", "rows"),
    [("redshift < '0.1'", "redshift < 0.1"), ("votes >= '25'", "votes >= 25"),
     ("id_str = 864747469304063596", "id_str = '864747469304063596'")],
)  # fmt: skip
def test_quoted_numbers_compare_as_the_column_does(survey, tmp_path, where, rows):
    path = replace(survey, ids=["864747469304063596", *survey.ids[1:]]).write(tmp_path / "e.parquet")
    gallery = open_gallery(path)
    found = gallery.table(["id_str"], where=where)
    assert found == gallery.table(["id_str"], where=rows)
    assert 0 < len(found) < 400


@pytest.mark.parametrize(
    "where",
    ["redshift < ?", "redshift < $1", "redshift < 0.1 \ud800", "redshift < \0", "repeat('x', 100000000) = 'a'",
     "now() > '2020-01-01'", "embedding IS NOT NULL", "healpix_29 > 0", "_rowid < 5", "rowid < 5 AND votes = 1",
     "redshift < `", "nosuch = 1", "NOT " * 20_000 + "votes = 1", "votes = 1" + " AND votes = 1" * 20_000],
)  # fmt: skip
def test_both_kinds_of_gallery_refuse_the_same_queries(gallery, where):
    for ask in (lambda: gallery.search(like(gallery.vector("g0"), where=where)), lambda: gallery.table(where=where)):
        with pytest.raises(InputError, match="the condition") as refused:
            ask()
        assert len(str(refused.value)) < 800
        assert "nothing" not in str(refused.value)


def test_a_column_called_rowid_is_a_column(tmp_path, survey):
    numbers = np.arange(len(survey.ids))[::-1].copy()
    path = replace(survey, columns={"rowid": numbers}).write(tmp_path / "e.parquet")
    found = open_gallery(path).table(["id_str"], where="rowid < 3")
    assert found["id_str"].to_pylist() == ["g397", "g398", "g399"]


def test_conditions_over_more_and_more_columns_forgotten_again(tmp_path, survey):
    path = replace(survey, columns={f"c{n}": np.arange(len(survey.ids)) for n in range(10, 50)}).write(
        tmp_path / "e.parquet"
    )
    gallery = open_gallery(path)
    for number in range(10, 49):
        assert len(gallery.table(["id_str"], where=f"c{number} < 5 AND c{number + 1} < 3")) == 3
    assert len(gallery._rows._sql._kept) <= 8


@pytest.mark.parametrize("moc", ["30/1", "99/1", '{"30": [1]}', '{"6": [-1]}', '{"6": "x"}', '{"a": [1]}', "6/5-1"])
def test_what_is_no_moc_is_not_an_empty_one(gallery, moc):
    with pytest.raises(InputError, match="MOC"):
        gallery.search(like(gallery.vector("g0"), moc=moc))


def test_a_position_that_is_none_is_unknown(survey, tmp_path):
    """Some catalogues write -99 where there is no position: these are not all one galaxy."""
    columns = dict(survey.columns)
    columns["ra"][:40], columns["dec"][:40] = -99, -99
    path = replace(survey, columns=columns).write(tmp_path / "e.parquet")
    for gallery in (open_gallery(path), open_gallery(index(embeddings=path, out=tmp_path / "i"), exact_below=0)):
        found = gallery.neighbours("g0", k=390)
        assert not any(entry.duplicates for entry in found)
        assert next(entry for entry in found if entry.id_str == "g4").ra is None
        for area in ({"cone": Cone(ra=261, dec=-81, radius=180)}, {"moc": "0/0-11"}):
            assert "g4" not in gallery.search(like(gallery.vector("g0"), k=400, **area)).ids
