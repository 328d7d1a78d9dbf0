"""The model in the box."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

import galaxalign
from galaxalign.errors import InputError
from galaxalign.models.model_folder import BOX, load_model, model_folder
from galaxalign.morphology.taxonomy import load_taxonomy
from galaxalign.verbs.simulate import simulate


@pytest.fixture(scope="module")
def model():
    return load_model("galaxy-lite")


def test_it_is_small_and_tells_what_it_has_learnt(model):
    folder = model_folder("galaxy-lite")
    assert BOX == ("galaxy-lite",)
    assert sum(path.stat().st_size for path in folder.iterdir()) < 20e6
    assert [model.taxonomy.name, *model.also] == ["galaxy_zoo_2", "efigi", "galaxy_zoo_1"]
    assert model.encoder.fingerprint == model.votes.settings["encoder_fingerprint"]
    # the taxonomies are those of the package as it is now
    for name in (model.taxonomy.name, *model.also):
        assert model.task(load_taxonomy(name)).taxonomy == load_taxonomy(name)
    card = (folder / "README.md").read_text()
    assert "What it is not good at" in card
    assert not re.search(r"\{[A-Z]+\}|Not measured yet", card)


def test_no_path_of_the_machine_that_made_it_is_in_it():
    for path in model_folder("galaxy-lite").glob("*.json"):
        assert not re.search(r'"/[a-z]+/', path.read_text()), path.name


@pytest.mark.slow
def test_folder_of_cutouts_classified_without_word_about_models(tmp_path):
    simulate(taxonomy="galaxy10_sdss", n=6, out=tmp_path / "sky", size=64, seed=1)
    Image.fromarray(np.zeros((40, 40, 3), np.uint8)).save(tmp_path / "sky" / "images" / "blank.png")
    table = galaxalign.classify(catalog=tmp_path / "sky" / "images", votes=True)
    assert len(table) == 7
    assert (table["status"] == "ok").sum() == 6
    chances = table.filter(like="probability_")[table["status"] == "ok"]
    assert list(chances.columns) == [f"probability_{name}" for name in load_taxonomy("galaxy_zoo_2").class_names]
    np.testing.assert_allclose(chances.sum(axis=1), 1, atol=1e-5)
    good = table[table["status"] == "ok"]
    np.testing.assert_allclose(good["t03_bar_a06_bar_fraction"] + good["t03_bar_a07_no_bar_fraction"], 1, atol=1e-5)


def test_galaxies_that_it_has_learnt_from_are_no_test(tmp_path):
    known = pd.read_parquet(model_folder("galaxy-lite") / "trained_on.parquet")
    ids = known["id_str"][known["source"] == "efigi"].tolist()[:2]
    for name in (*ids, "new"):
        Image.fromarray(np.full((40, 40, 3), 50, np.uint8) + np.eye(40, dtype=np.uint8)[..., None] * 90).save(
            tmp_path / f"{name}.png"
        )
    rows = [{"id_str": name, "file_loc": f"{name}.png", "label": "elliptical"} for name in (*ids, "new")]
    pd.DataFrame(rows).to_csv(tmp_path / "catalog.csv", index=False)
    figures = galaxalign.evaluate(catalog=tmp_path / "catalog.csv", taxonomy="efigi")
    assert figures["n_trained_on"] == 2
    assert figures["n"] == 1


@pytest.mark.slow
def test_model_new_head_for_votes_still_knows_what_learnt_from(tmp_path):
    simulate(taxonomy="galaxy10_sdss", n=40, out=tmp_path / "sky", size=64, seed=1)
    table = pd.read_csv(tmp_path / "sky" / "catalog.csv", dtype={"id_str": str})
    stems = load_taxonomy("galaxy_zoo_2").tree.stems
    shares = np.random.default_rng(0).integers(0, 9, (len(table), len(stems)))
    votes = pd.DataFrame(shares, columns=[f"{stem}_count" for stem in stems])
    path = tmp_path / "sky" / "voted.csv"
    pd.concat([table, votes], axis=1).to_csv(path, index=False)
    folder = galaxalign.fit_votes(catalog=path, taxonomy="galaxy_zoo_2", out=tmp_path / "run", quiet=True)
    before = set(pd.read_parquet(model_folder("galaxy-lite") / "trained_on.parquet")["id_str"])
    after = set(pd.read_parquet(folder / "trained_on.parquet")["id_str"])
    assert before < after
    assert after - before <= set(table["id_str"])


def test_a_folder_of_its_name_comes_first(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("galaxy-lite").mkdir()
    with pytest.raises(InputError, match="galaxy-lite is not a finished GalaxAlign model"):
        load_model("galaxy-lite")
