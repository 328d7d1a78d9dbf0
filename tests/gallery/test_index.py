"""An index: made in pieces, continued, added to; never of two encoders."""

from __future__ import annotations

import importlib
import os
import shutil
import signal
from dataclasses import replace

import numpy as np
import pytest
from filelock import FileLock

from galaxalign.errors import InputError
from galaxalign.gallery.gallery import open_gallery
from galaxalign.gallery.query import Cone, Part, Query
from galaxalign.verbs.index import index

indexing = importlib.import_module("galaxalign.verbs.index")


def vectors_of(gallery):
    ids = sorted(gallery.table(["id_str"], where="status = 'ok'")["id_str"].to_pylist())
    return ids, gallery.vectors(ids)


def test_an_index_continues_where_it_was_killed(file, embeddings, tmp_path, monkeypatch):
    monkeypatch.setattr(indexing, "_PIECE", 64)
    whole = index(embeddings=file, out=tmp_path / "whole")
    stored, pieces = indexing._stored, []

    def killed(table, *rest):
        pieces.append(len(table))
        if len(pieces) == 4:
            raise KeyboardInterrupt
        return stored(table, *rest)

    monkeypatch.setattr(indexing, "_stored", killed)
    with pytest.raises(KeyboardInterrupt):
        index(embeddings=file, out=tmp_path / "i")
    with pytest.raises(InputError, match="is not finished"):
        open_gallery(tmp_path / "i")
    other = embeddings(50, seed=1).write(tmp_path / "other.parquet")
    with pytest.raises(InputError, match="is not finished with another"):
        index(embeddings=other, out=tmp_path / "i")
    index(embeddings=file, out=tmp_path / "i")
    assert sum(pieces) - pieces[3] == 400  # nothing twice
    (ids, ours), (names, theirs) = (vectors_of(open_gallery(path)) for path in (tmp_path / "i", whole))
    assert ids == names
    np.testing.assert_array_equal(ours, theirs)


def test_new_galaxies_are_added_and_changed_ones_replaced(file, embeddings, tmp_path):
    place = index(embeddings=file, out=tmp_path / "i")
    more = embeddings(60, seed=5)
    more = replace(more, ids=[*(f"g{row}" for row in range(10)), *(f"new{row}" for row in range(50))])
    path = more.write(tmp_path / "more.parquet")
    for _ in range(2):  # the second time everything is there already
        index(embeddings=path, out=place)
        for exact_below in (0, 10**6):
            gallery = open_gallery(place, exact_below=exact_below)
            assert len(gallery) == 450
            np.testing.assert_allclose(gallery.vector("g3"), more.vectors[3], atol=1e-6)
            np.testing.assert_allclose(gallery.vector("new7"), more.vectors[17], atol=1e-6)
            assert gallery.galaxy("new7")["redshift"] == pytest.approx(more.columns["redshift"][17])


def test_a_place_that_cannot_be_written_is_said(file, tmp_path):
    (tmp_path / "note.txt").write_text("no folder")
    with pytest.raises(InputError, match=r"note\.txt/i cannot be used for an index \(Not a directory\)"):
        index(embeddings=file, out=tmp_path / "note.txt" / "i", quiet=True)


def test_galaxies_added_meanwhile_do_not_disturb_an_open_index(embeddings, tmp_path):
    out = index(embeddings=embeddings(900).write(tmp_path / "a.parquet"), out=tmp_path / "i", exact_below=0, quiet=True)
    gallery = open_gallery(out, exact_below=0)
    query = Query(parts=[Part(kind="id", value="g3")], k=50)
    index(
        embeddings=embeddings(900, seed=1, prefix="h").write(tmp_path / "b.parquet"), out=out, exact_below=0, quiet=True
    )
    assert len(gallery._rows.sampled(10_000)) == 882  # those with an embedding
    found = gallery.search(query).ids
    assert {identity[0] for identity in found} == {"g"}
    assert len(gallery.rows(found)) == 50
    assert {identity[0] for identity in open_gallery(out, exact_below=0).search(query).ids} == {"g", "h"}


def test_what_does_not_belong_into_an_index_is_refused(file, survey, tmp_path):
    place = index(embeddings=file, out=tmp_path / "i")
    other = replace(survey, metadata={"fingerprint": "def"}).write(tmp_path / "other.parquet")
    with pytest.raises(InputError, match="fingerprint def, the index .* by one with abc"):
        index(embeddings=other, out=place)
    fewer = replace(survey, columns={"label": survey.columns["label"]}).write(tmp_path / "fewer.parquet")
    with pytest.raises(InputError, match="differ in the columns dec, healpix_29, ra, redshift, votes"):
        index(embeddings=fewer, out=place)
    twice = replace(survey, ids=["g1", *survey.ids[1:]]).write(tmp_path / "twice.parquet")
    with pytest.raises(InputError, match="more than once"):
        index(embeddings=twice, out=tmp_path / "j")
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "thesis.tex").write_text("x")
    with pytest.raises(InputError, match=r"holds other things \(thesis\.tex\)"):
        index(embeddings=file, out=tmp_path / "full")
    with pytest.raises(InputError, match="no embeddings file"):
        index(embeddings=tmp_path / "none.parquet", out=tmp_path / "k")
    with pytest.raises(InputError, match="is no index"):
        open_gallery(tmp_path / "full")
    assert len(open_gallery(place)) == 400


def test_two_do_not_write_one_index_at_once(file, tmp_path):
    out = tmp_path / "i"
    out.mkdir()
    held = FileLock(out / ".lock")  # as another process holds it
    with held, pytest.raises(InputError, match="another galaxalign index is writing"):
        index(embeddings=file, out=out, quiet=True)
    assert len(open_gallery(index(embeddings=file, out=out, quiet=True))) == 400


def test_large_gallery_gets_an_accurate_vector_index(embeddings, tmp_path):
    path = embeddings(2000).write(tmp_path / "e.parquet")
    place = index(embeddings=path, out=tmp_path / "i", exact_below=1000, quiet=True)
    exact, fast = open_gallery(path), open_gallery(place, exact_below=1000)
    assert [entry.name for entry in fast._rows._galaxies.list_indices()].count("embedding_idx") == 1
    hits = []
    for row in range(0, 40):
        if row % 50 != 7:
            one, other = (gallery.neighbours(f"g{row}", k=10).ids for gallery in (exact, fast))
            hits.append(len({*one} & {*other}))
    assert np.mean(hits) >= 9.7
    query = Query(
        parts=[Part(kind="id", value="g1"), Part(kind="id", value="g2", weight=-0.5)], where="votes > 25", k=10
    )
    assert len({*exact.search(query).ids} & {*fast.search(query).ids}) >= 9


@pytest.fixture(scope="module")
def large(embeddings, tmp_path_factory):
    """Return 12,000 galaxies compared one by one, and by a vector index on disk."""
    folder = tmp_path_factory.mktemp("large")
    path = embeddings(12_000).write(folder / "e.parquet")
    place = index(embeddings=path, out=folder / "i", exact_below=0, quiet=True)
    return open_gallery(path), open_gallery(place, exact_below=0)


@pytest.mark.parametrize(
    "further",
    [
        {"where": "label = 'merger'", "k": 2000},  # none of them near the galaxy asked with
        {"where": "votes = 7 AND redshift < 0.02", "k": 200},
        {"cone": Cone(ra=40, dec=-90, radius=8), "k": 200},
        {"cone": Cone(ra=0, dec=5, radius=6), "k": 200},
        {"moc": "3/1-5", "k": 500},
        {"k": 100, "offset": 9_950},
    ],
)
def test_filter_or_a_far_page_loses_no_galaxy_of_a_vector_index(large, further):
    exact, fast = large
    query = Query(parts=[Part(kind="id", value="g0")], **further)
    one, other = exact.search(query), fast.search(query)
    assert len(other) == len(one) > 0
    if "offset" not in further and len(one) < further["k"]:
        assert set(other.ids) == set(one.ids)


def test_many_answers_of_vector_index_nearly_those_of_comparing(large):
    exact, fast = large
    query = Query(parts=[Part(kind="id", value="g0")], k=3000)
    # Who is the last of thousands is told by the short codes of the index: 2882 of 3000.
    assert len({*exact.search(query).ids} & {*fast.search(query).ids}) >= 0.95 * 3000


def test_the_sample_of_an_index_is_of_all_its_galaxies(embeddings, tmp_path, monkeypatch):
    monkeypatch.setattr(indexing, "_SAMPLE", 300)
    path = embeddings(2000).write(tmp_path / "e.parquet")
    gallery = open_gallery(index(embeddings=path, out=tmp_path / "i", quiet=True), exact_below=0)
    rows = [int(name[1:]) for name in gallery._rows.sampled(10**6).table(["id_str"])["id_str"].to_pylist()]
    assert len(rows) == 300
    assert 850 < np.mean(rows) < 1150
    assert max(rows) > 1900


@pytest.mark.parametrize(
    ("weights", "further"),
    [
        ((1,), {"where": "label = 'merger'"}),
        ((1,), {"where": "label = 'merger' AND redshift < 0.1"}),
        ((1,), {"cone": Cone(ra=10, dec=-30, radius=40)}),
        ((1, 1), {}),
        ((1, 0.5, -1), {}),
        ((1, -2), {}),
        ((0.2, -1, -1), {"where": "votes > 25"}),
    ],
)
def test_what_a_vector_index_finds_is_what_comparing_all_finds(large, weights, further):
    """Also where what is wanted lies far from each part, because of a filter or of what is not wanted."""
    exact, fast = large
    shares = []
    for row in range(0, 48, 4):
        parts = [Part(kind="id", value=f"g{row + 2 * place}", weight=w) for place, w in enumerate(weights)]
        query = Query(parts=parts, k=20, **further)
        one, other = exact.search(query), fast.search(query)
        shares.append(len({*one.ids} & {*other.ids}) / len(one))
        scores = {entry.id_str: entry for entry in one}
        for entry in other:
            if entry.id_str in scores:
                assert entry.score == pytest.approx(scores[entry.id_str].score, abs=0.02)
    assert np.mean(shares) >= 0.97
    assert min(shares) >= 0.8


@pytest.mark.parametrize(
    "part", ["galaxies.lance/data", "galaxies.lance/_versions", "about.lance/data", "sample.lance"]
)
def test_a_damaged_index_is_said_to_be_damaged(file, tmp_path, part):
    place = index(embeddings=file, out=tmp_path / "i", quiet=True)
    for one in (place / part).rglob("*"):
        if one.is_file():
            one.write_bytes(one.read_bytes()[: one.stat().st_size // 2])
    two = Query(parts=[Part(kind="id", value="g0"), Part(kind="id", value="g1")], where="votes > 3")
    with pytest.raises(InputError, match=r"the index .*/i cannot be read or written .*remove it and make it again"):
        open_gallery(place, exact_below=0).search(two)
    with pytest.raises(InputError, match=r"the index .*/i cannot be read or written"):
        index(embeddings=file, out=place, quiet=True)


@pytest.mark.parametrize("name", ["flux.g", "_rowid", "_distance", "healpix_29"])
def test_a_column_that_no_index_can_hold_is_named(survey, tmp_path, name):
    path = replace(survey, columns={**survey.columns, name: survey.columns["votes"]}).write(tmp_path / "e.parquet")
    with pytest.raises(InputError, match=f"the column '{name}' cannot be in an index; rename it"):
        index(embeddings=path, out=tmp_path / "i", quiet=True)
    assert not (tmp_path / "i").exists()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="processes of POSIX")
def test_open_index_answers_in_another_folder_and_process(embeddings, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    index(embeddings=embeddings(900).write(tmp_path / "a.parquet"), out="i", exact_below=0, quiet=True)
    gallery = open_gallery("i", exact_below=0)
    query = Query(parts=[Part(kind="id", value="g3")], k=5)
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    here = gallery.search(query).ids
    child = os.fork()
    if child == 0:
        signal.alarm(30)
        os._exit(0 if gallery.search(query).ids == here else 1)
    assert os.waitpid(child, 0)[1] == 0


def test_an_index_made_anew_under_an_open_one_is_said(embeddings, tmp_path):
    file = embeddings(900).write(tmp_path / "a.parquet")
    out = index(embeddings=file, out=tmp_path / "i", exact_below=0, quiet=True)
    gallery = open_gallery(out, exact_below=0)
    shutil.rmtree(out)
    index(embeddings=file, out=out, exact_below=0, quiet=True)
    for where in (None, "redshift < 0.1"):
        with pytest.raises(InputError, match="made anew since it was opened"):
            gallery.search(Query(parts=[Part(kind="id", value="g3")], k=5, where=where))
