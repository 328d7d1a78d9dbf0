"""Marks make the next answers better, and leave as labels."""

from __future__ import annotations

import csv

import numpy as np
import pandas as pd
import pytest

from galaxalign.errors import InputError
from galaxalign.gallery.feedback import export_marks, refine, refined_query
from galaxalign.gallery.gallery import open_gallery
from galaxalign.gallery.query import Part, Query
from galaxalign.verbs.search import search


def share(gallery, ids, label="spiral"):
    return np.mean([row == label for row in gallery.rows(ids, ["label"])["label"].to_pylist()])


@pytest.mark.parametrize("marks", [1, 3, 8])
def test_marking_brings_more_wanted_few_marks_and_with_many(file, marks):
    gallery = open_gallery(file)
    rng = np.random.default_rng(0)
    query = Query(parts=[Part(kind="vector", value=list(rng.normal(size=gallery.dimension)))], k=30)
    first = gallery.search(query)
    labels = dict(zip(first.ids, gallery.rows(first.ids, ["label"])["label"].to_pylist(), strict=True))
    every = gallery.table(["id_str", "label"], where="status = 'ok'").to_pylist()
    good = [row["id_str"] for row in every if row["label"] == "spiral"][:marks]
    bad = [name for name, label in labels.items() if label != "spiral" and name not in good][:marks]
    found = refine(gallery, query, good, bad)
    assert not {*found.ids} & {*good, *bad}
    assert len(found) == 30
    assert share(gallery, found.ids) > share(gallery, first.ids) + 0.2
    if marks == 8:
        assert len(found.query.parts) == 1
        assert share(gallery, found.ids) > 0.8


def test_marks_that_make_no_sense_are_said(file):
    gallery = open_gallery(file)
    query = Query(parts=[Part(kind="id", value="g0")])
    assert refined_query(gallery, query, [], []) == query
    with pytest.raises(InputError, match="g1 is marked good and bad"):
        refine(gallery, query, ["g1"], ["g1"])
    with pytest.raises(InputError, match="only bad galaxies"):
        refine(gallery, Query(), [], ["g1"])
    with pytest.raises(InputError, match="no galaxy has the id 'x'"):
        refine(gallery, query, ["x"], [])
    assert len(refine(gallery, Query(k=5), ["g1"], [])) == 5
    with pytest.raises(InputError, match="a floor means nothing"):
        refine(gallery, query.model_copy(update={"floor": 0.5}), ["g1"], [])


def test_after_marks_precision_is_still_that_of_label_asked_for(file):
    gallery = open_gallery(file)
    query = Query(parts=[Part(kind="id", value="g1")], k=20)  # a spiral
    found = refine(gallery, query, ["g5", "g9", "g13"], ["g2", "g4", "g3"])
    assert len(found.query.parts) == 1
    assert found.query.label == "spiral"
    assert "g1" not in refine(gallery, query.model_copy(update={"k": 300}), ["g5", "g9"], ["g2", "g4"]).ids
    assert found.precision is not None
    assert found.precision[-1] == pytest.approx(share(gallery, found.ids), abs=0.2)


def test_marks_leave_as_a_catalogue_and_as_a_manifest(survey, tmp_path):
    paths = np.array([f"/images/{row}.jpg" for row in range(len(survey))], dtype=object)
    survey.columns["image_path"] = paths
    gallery = open_gallery(survey.write(tmp_path / "e.parquet"))
    out = export_marks(gallery, ["g3", "g1"], ["g2"], tmp_path / "labels.csv", label="barred")
    table = pd.read_csv(out)
    assert table["id_str"].tolist() == ["g3", "g1", "g2"]
    assert table["label"].tolist() == ["barred", "barred", "not_barred"]
    assert table["file_loc"].tolist() == ["/images/3.jpg", "/images/1.jpg", "/images/2.jpg"]
    out = export_marks(gallery, ["g3"], ["g2"], tmp_path / "m.csv", label="barred", manifest=True)
    rows = list(csv.DictReader(out.open()))
    assert list(rows[0]) == ["subject_id", "filename", "#id_str", "#label", "#ra", "#dec"]
    assert [(row["filename"], row["#label"]) for row in rows] == [("3.jpg", "barred"), ("2.jpg", "not_barred")]
    with pytest.raises(InputError, match=r"must end in \.csv"):
        export_marks(gallery, ["g3"], [], tmp_path / "m.fits", label="barred", manifest=True)
    with pytest.raises(InputError, match="g3 is marked good and bad"):
        export_marks(gallery, ["g3"], ["g3"], tmp_path / "m.csv", label="barred")
    with pytest.raises(InputError, match="nothing is marked"):
        export_marks(gallery, [], [], tmp_path / "m.csv", label="barred")


def test_marks_in_a_table_refine_a_search(file, tmp_path):
    (tmp_path / "marks.csv").write_text("id_str,mark\ng1,good\ng5,Good\ng2,bad\n")
    found = search(embeddings=file, marks=tmp_path / "marks.csv", k=20)
    assert found.ids == refine(open_gallery(file), Query(k=20), ["g1", "g5"], ["g2"]).ids
    (tmp_path / "marks.csv").write_text("id_str,mark\ng1,maybe\n")
    with pytest.raises(InputError, match="the mark 'maybe' in row 1"):
        search(embeddings=file, marks=tmp_path / "marks.csv")
    (tmp_path / "marks.csv").write_text("id_str\ng1\n")
    with pytest.raises(InputError, match="no column mark"):
        search(embeddings=file, marks=tmp_path / "marks.csv")


def test_a_manifest_of_what_no_browser_shows_is_refused(survey, tmp_path):
    survey.columns["image_path"] = np.array([f"/images.h5#{row}" for row in range(len(survey))], dtype=object)
    gallery = open_gallery(survey.write(tmp_path / "e.parquet"))
    with pytest.raises(InputError, match=r"the image of one galaxy is images\.h5#3"):
        export_marks(gallery, ["g3"], ["g2"], tmp_path / "m.csv", label="barred", manifest=True)
