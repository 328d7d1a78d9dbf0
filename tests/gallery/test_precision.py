"""The estimated share of right answers is that of galaxies whose labels it has not seen."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from galaxalign.gallery.gallery import open_gallery
from galaxalign.gallery.precision import chance_of_being_right
from galaxalign.gallery.query import Part, Query


def test_the_estimate_holds_for_galaxies_without_a_label(embeddings, tmp_path):
    survey = embeddings(4000)
    truth = dict(zip(survey.ids, survey.columns["label"], strict=True))
    hidden = np.random.default_rng(1).random(len(survey)) < 0.5
    shown = np.where(hidden, "", survey.columns["label"])
    columns = survey.columns | {"label": shown.astype(object)}
    gallery = open_gallery(replace(survey, columns=columns).write(tmp_path / "e.parquet"))
    rng, errors, spread = np.random.default_rng(2), [], []
    for label in ("spiral", "merger"):
        for _ in range(10):
            query = Query(
                parts=[Part(kind="vector", value=list(rng.normal(size=gallery.dimension)))],
                where="label = ''", k=50, label=label,
            )  # fmt: skip
            answers = gallery.search(query)
            assert answers.precision is None  # no labelled galaxy is let through
            answers = gallery.search(query.model_copy(update={"where": None, "k": 200}))
            right = [truth[name] == label for name in answers.ids]
            errors.append(answers.precision[-1] - np.mean(right))
            spread.append(np.mean(right))
    assert np.abs(errors).mean() < 0.08
    assert np.std(spread) > 0.15  # else the mean would do as well


def test_what_looked_for_known_of_galaxy_and_else_must_be_said(file):
    gallery = open_gallery(file)
    near = gallery.neighbours("g1", k=10)
    assert near.precision.shape == (10,)
    assert ((near.precision > 0.25) & (near.precision <= 1)).all()
    page = gallery.search(near.query.model_copy(update={"k": 4, "offset": 6}))
    np.testing.assert_allclose(page.precision, near.precision[6:])
    two = Query(parts=[Part(kind="id", value="g1"), Part(kind="id", value="g2")])
    assert gallery.search(two).precision is None
    assert "what right answers are called" in gallery.search(two).why_no_precision
    assert gallery.search(two.model_copy(update={"label": "spiral"})).precision is not None


@pytest.mark.parametrize(("labels", "right", "words"), [(50, 20, "only 50 galaxies"), (500, 2, "only 2 labelled")])
def test_with_few_labels_there_is_no_estimate(labels, right, words):
    truth = np.arange(labels) < right
    assert words in chance_of_being_right(np.zeros(3), np.linspace(0, 1, labels), truth)


def test_the_first_answers_are_never_called_certain():
    scores = np.linspace(0, 1, 400)
    chances = chance_of_being_right(np.array([0.0, 0.5, 2.0]), scores, scores > 0.9)
    assert 0.9 < chances[2] < 1
    assert chances[0] < 0.01
    assert (np.diff(chances) >= 0).all()
