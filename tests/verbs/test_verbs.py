"""From a catalogue to a model and back to answers, with a tower so small that it takes seconds."""

from __future__ import annotations

import functools
import json
import shutil
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from galaxalign.data.catalogs import CatalogScan, open_store
from galaxalign.data.tables import read_table, write_table
from galaxalign.errors import InputError
from galaxalign.gallery import Embeddings
from galaxalign.models import load_model, save_model, vote_columns
from galaxalign.morphology import load_taxonomy, read_votes
from galaxalign.verbs import classify, embed, evaluate, fit_votes, prepare, project, search, split, train
from tests.verbs.conftest import NAMES, RECIPE


@pytest.fixture
def start_cropped(start, tmp_path):
    """Return the same encoder looking at the middle of the pictures."""
    model = load_model(start.removeprefix("local-dir:"))
    model.encoder.preprocessing = replace(model.encoder.preprocessing, crop=0.8)
    return f"local-dir:{save_model(model, tmp_path / 'cropped', card='')}"


def test_model_classifies_and_reports_unreadable_pictures(trained, survey, tmp_path):
    out = tmp_path / "predictions.csv"
    table = classify(catalog=survey, model=trained)
    assert classify(catalog=survey, model=trained, out=out) == out
    assert list(table.columns) == ["id_str", "label", *(f"probability_{n}" for n in NAMES), "status"]
    saved = pd.read_csv(out, dtype={"id_str": str}).set_index("id_str")
    assert saved.index[0] == "5888489015273000000"
    for name, reason in (
        ("empty", "zero bytes"),
        ("text", "no image that is recognised"),
        ("missing", "there is no image"),
    ):
        assert reason in saved.loc[name, "status"]
        assert pd.isna(saved.loc[name, "label"])
    good = table[table["status"] == "ok"]
    assert len(good) == 80
    columns = [f"probability_{n}" for n in NAMES]
    np.testing.assert_allclose(good[columns].sum(axis=1), 1, rtol=1e-4)
    assert (good["label"].to_numpy() == np.array(NAMES)[good[columns].to_numpy().argmax(1)]).all()


@pytest.mark.slow
def test_every_verb_says_what_is_wrong_with_positions(trained, survey, tmp_path, capsys):
    table = pd.read_csv(survey, dtype={"id_str": str})
    table["ra"], table["dec"] = np.linspace(0, 23, len(table)), np.linspace(-30, 60, len(table))
    table.loc[5, "dec"] = np.inf
    other = survey.with_name("placed.csv")
    table.to_csv(other, index=False)
    verbs = {
        "classify": lambda catalog: classify(catalog=catalog, model=trained),
        "embed": lambda catalog: embed(catalog=catalog, model=trained, out=tmp_path / "e.parquet"),
        "evaluate": lambda catalog: evaluate(catalog=catalog, model=trained, part="train"),
    }
    for verb, do in verbs.items():
        capsys.readouterr()
        do(other)
        said = capsys.readouterr().err
        assert "placed: 1 of 83 rows have coordinates that no place on the sky has" in said, verb
        assert "dec = inf in row 6" in said
        assert said.count("looks like hours") == 1
        assert "no position" not in said
        do(survey)
        assert "sky" not in capsys.readouterr().err
    table.drop(columns="dec").to_csv(other, index=False)
    for verb, do in verbs.items():
        do(other)
        assert "placed: there is ra but no column dec" in capsys.readouterr().err, verb


@pytest.mark.slow
def test_training_says_which_columns_of_positions_are_missing(survey, start, tmp_path, capsys):
    (tmp_path / "tiny.toml").write_text(RECIPE)
    common = {"recipe": tmp_path / "tiny.toml", "taxonomy": "galaxy_mnist", "encoder": start}
    train(catalog=survey, out=tmp_path / "run", **common)
    assert "survey has no columns ra and dec, so galaxies are told by ids alone" in capsys.readouterr().err


def test_evaluation_takes_test_part_and_never_galaxy_trained_on(trained, survey, tmp_path, capsys):
    own = evaluate(catalog=survey, model=trained, out=tmp_path / "metrics.json")
    assert "test part" in capsys.readouterr().err
    assert own == json.loads((tmp_path / "metrics.json").read_text())
    parts = pd.read_parquet(trained / "split.parquet")
    assert own["n"] + own["n_failed"] == (parts["part"] == "test").sum()
    for key in ("accuracy", "macro_f1", "balanced_accuracy", "ece", "brier", "map", "map_at_5"):
        assert 0 <= own[key] <= 2
        assert len(own[f"{key}_ci"]) == 2
    assert own["fingerprint"] == load_model(trained).encoder.fingerprint
    # the same galaxies in another catalogue: those of the training part are left out
    other = survey.parent / "other.csv"
    table = pd.read_csv(survey, dtype=str).head(60)
    table.to_csv(other, index=False)
    elsewhere = evaluate(catalog=other, model=trained)
    trained_on = set(parts["id_str"][parts["part"] != "test"])
    assert elsewhere["n_trained_on"] == table["id_str"].isin(trained_on).sum() > 0
    assert elsewhere["n"] == 60 - elsewhere["n_trained_on"]
    assert (own["part"], elsewhere["part"]) == ("test", "all")


@pytest.mark.slow
def test_finished_model_neither_trained_again_nor_overwritten(trained, survey, start, tmp_path, capsys):
    before = (trained / "galaxalign.json").read_bytes()
    same = {"recipe": tmp_path / "tiny.toml", "catalog": survey, "taxonomy": "galaxy_mnist", "encoder": start}
    train(**same, out=tmp_path / "run")
    assert "nothing to do" in capsys.readouterr().err
    with pytest.raises(InputError, match=r"other settings \(seed, share\)"):
        train(**same, seed=1, share=50, out=tmp_path / "run")
    for wrong in (0, 120):
        with pytest.raises(InputError, match=f"--share is {wrong}; give percent, above 0 and up to 100"):
            train(**same, share=wrong, out=tmp_path / "none")
    assert (trained / "galaxalign.json").read_bytes() == before
    # elsewhere the same settings give the same model
    again = train(**same, split=trained / "split.parquet", out=tmp_path / "again")
    assert load_model(again).encoder.fingerprint == load_model(trained).encoder.fingerprint
    settings = json.loads(before)
    assert settings["recipe"]["name"] == "tiny"
    assert settings["data"]["n_train"][0] > 40
    assert {"packages", "git_commit", "python", "seed", "files"} <= settings.keys()
    assert "tiny" in (again / "README.md").read_text()


@pytest.mark.slow
def test_share_labels_percent_and_fraction_by_mistake_explained(survey, start, tmp_path, capsys):
    (tmp_path / "tiny.toml").write_text(RECIPE)
    same = {"recipe": tmp_path / "tiny.toml", "catalog": survey, "taxonomy": "galaxy_mnist", "encoder": start}
    used = {}
    for share in (50, 0.5):
        folder = train(**same, share=share, out=tmp_path / f"{share}")
        listed = pd.read_parquet(folder / "trained_on.parquet")
        used[share] = set(listed["id_str"][listed["part"] == "train"])
        said = capsys.readouterr().err
        assert ("for each of its 4 classes: 4 are taken; the fraction 0.5 is --share 50" in said) == (share == 0.5)
        assert json.loads((folder / "galaxalign.json").read_text())["data"]["share"] == share / 100
    parts = pd.read_parquet(folder / "split.parquet")
    assert len(used[0.5]) == 4
    assert used[0.5] < used[50]
    assert len(used[50]) == pytest.approx((parts["part"] == "train").sum() / 2, abs=4)


def test_search_by_galaxy_picture_words_and_symbol(trained, survey, tmp_path):
    path = embed(catalog=survey, model=trained, out=tmp_path / "e.parquet")
    gallery = Embeddings.read(path)
    assert len(gallery) == 83
    assert gallery.ok.sum() == 80
    first = gallery.ids[0]
    found = search(embeddings=path, id=first, k=5)
    assert first not in [entry.id_str for entry in found]
    assert [entry.rank for entry in found] == [1, 2, 3, 4, 5]
    itself = search(embeddings=path, image=survey.parent / "0.png", k=1)[0]
    assert itself.id_str == first
    assert itself.score == pytest.approx(1, abs=1e-3)
    labels = dict(zip(gallery.ids, gallery.columns["label"], strict=True))
    for query in ({"text": "a round smooth galaxy"}, {"symbol": "edge_on_disk"}, {"symbol": "3"}):
        entries = search(embeddings=path, k=7, **query)
        assert len({entry.id_str for entry in entries}) == 7
        assert all(entry.id_str in labels for entry in entries)
    both = search(embeddings=path, text=["a disc", "a spiral"], not_="a merger", k=3)
    assert len(both) == 3


@pytest.mark.slow
def test_a_search_by_symbol_uses_the_drawings_of_training(survey, start, tmp_path):
    drawings = tmp_path / "drawings"
    drawings.mkdir()
    for i, name in enumerate(NAMES):
        pixels = np.zeros((32, 32, 3), np.uint8)
        pixels[12 - 3 * i : 20 + 3 * i, 4:28] = 255  # thinner and thicker bars
        Image.fromarray(pixels).save(drawings / f"{name}.png")
    (tmp_path / "tiny.toml").write_text(RECIPE)
    folder = train(
        recipe=tmp_path / "tiny.toml", catalog=survey, taxonomy="galaxy_mnist", encoder=start,
        out=tmp_path / "drawn", symbols=drawings, quiet=True,
    )  # fmt: skip
    path = embed(catalog=survey, model=folder, out=tmp_path / "drawn.parquet")
    model = load_model(folder)
    assert model.symbols.shape == (len(NAMES), model.encoder.dimension)
    by_name = [e.score for e in search(embeddings=path, symbol=NAMES[1], k=5)]
    by_file = [e.score for e in search(embeddings=path, symbol=str(drawings / f"{NAMES[1]}.png"), k=5)]
    assert by_name == pytest.approx(by_file, abs=1e-3)
    assert len({round(float(v @ model.symbols[0]), 4) for v in model.symbols}) == len(NAMES)


def test_a_query_or_a_file_that_makes_no_sense_is_said(trained, survey, start, tmp_path):
    path = embed(catalog=survey, model=trained, out=tmp_path / "e.parquet")
    with pytest.raises(InputError, match="the query is empty"):
        search(embeddings=path)
    with pytest.raises(InputError, match="no galaxy has the id 'x'"):
        search(embeddings=path, id="x")
    with pytest.raises(InputError, match="made by a model with fingerprint"):
        search(embeddings=path, text="a disc", model=start.removeprefix("local-dir:"))
    with pytest.raises(InputError, match="there is no image nope.png to search with"):
        search(embeddings=path, image="nope.png")
    with pytest.raises(InputError, match="-k is 0"):
        search(embeddings=path, text="a disc", k=0)
    with pytest.raises(InputError, match=r"\.parquet"):
        embed(catalog=survey, model=trained, out=tmp_path / "e.csv")


def test_map_has_a_place_for_every_galaxy_that_could_be_read(trained, survey, tmp_path):
    path = embed(catalog=survey, model=trained, out=tmp_path / "e.parquet")
    project(embeddings=path, method="pca", out=tmp_path / "map.parquet")
    table = pd.read_parquet(tmp_path / "map.parquet")
    assert len(table) == 80
    assert np.isfinite(table[["x", "y"]].to_numpy()).all()
    assert (tmp_path / "map.png").stat().st_size > 5000


@pytest.mark.slow
def test_verbs_rename_columns_and_write_in_pieces(trained, survey, tmp_path, monkeypatch):
    whole = CatalogScan.pieces
    monkeypatch.setattr(CatalogScan, "pieces", lambda self: whole(self, 30))
    frame = pd.read_csv(survey, dtype=str).rename(columns={"id_str": "objid", "label": "kind"})
    frame = frame.assign(RA=np.arange(len(frame)) / 2, DEC=-1.5)
    other = write_table(frame, survey.parent / "other.fits")
    columns = {"id_str": "objid", "label": "kind"}
    expected = classify(catalog=survey, model=trained)
    for suffix in (".parquet", ".fits", ".vot", ".csv.gz"):
        out = classify(catalog=other, model=trained, columns=columns, out=tmp_path / f"p{suffix}")
        found = read_table(out, text_columns=("id_str",))
        assert found["id_str"].tolist() == expected["id_str"].tolist()
        assert found["label"].fillna("").tolist() == expected["label"].tolist()
        np.testing.assert_allclose(found[f"probability_{NAMES[0]}"], expected[f"probability_{NAMES[0]}"], rtol=1e-4)
    path = embed(catalog=other, model=trained, columns=columns, out=tmp_path / "e.parquet")
    embedded = Embeddings.read(path)
    assert embedded.ids == expected["id_str"].tolist()
    assert (embedded.columns["ra"] == frame["RA"]).all()
    assert embedded.columns["label"].tolist() == frame["kind"].fillna("").tolist()
    parts = split(catalogs=[other], columns=columns, out=tmp_path / "s.parquet")
    assert evaluate(catalog=other, model=trained, columns=columns, split=parts)["n"] > 0


def test_another_taxonomy_is_classified_by_words(trained, survey):
    table = classify(catalog=survey, model=trained, taxonomy="galaxy_zoo_1")
    assert {"probability_spiral", "probability_merger"} <= set(table.columns)


def test_a_catalogue_can_be_a_folder_of_pictures(trained, survey):
    for path in survey.parent.glob("8[01].jpg"):
        path.unlink()
    survey.unlink()
    table = classify(catalog=survey.parent, model=trained)
    assert len(table) == 80
    assert (table["status"] == "ok").all()


def test_input_at_fault_is_said_before_any_work(survey, start, tmp_path):
    common = {"catalog": survey, "taxonomy": "galaxy_mnist", "encoder": start, "out": tmp_path / "r"}
    with pytest.raises(InputError, match="is not in the taxonomy galaxy_zoo_1"):
        train(**(common | {"taxonomy": "galaxy_zoo_1"}))
    bare = survey.parent / "bare.csv"
    pd.read_csv(survey, dtype=str).drop(columns="label").to_csv(bare, index=False)
    with pytest.raises(InputError, match="has no column label; it has id_str, file_loc"):
        train(**(common | {"catalog": bare}))
    blocked = tmp_path / "file"
    blocked.write_text("")
    with pytest.raises(InputError, match="file"):
        train(**(common | {"out": blocked / "run"}))


def test_split_writes_what_train_and_evaluate_read(survey, start, trained, tmp_path):
    path = split(catalogs=[survey], out=tmp_path / "s.parquet", fractions=(0.5, 0.25, 0.25), seed=4)
    figures = evaluate(catalog=survey, model=trained, split=path, part="validation")
    assert figures["n"] + figures["n_failed"] in range(15, 27)


def test_train_and_evaluate_refuse_split_of_another_catalogue(survey, start, trained, tmp_path):
    table = pd.read_csv(survey, dtype=str)
    table["id_str"] = table["id_str"] + "x"
    other = survey.parent / "other.csv"
    table.to_csv(other, index=False)
    path = split(catalogs=[other], out=tmp_path / "other.parquet")
    with pytest.raises(InputError, match="the split does not know the catalogue survey"):
        evaluate(catalog=survey, model=trained, split=path)
    with pytest.raises(InputError, match="the split does not know the catalogue survey"):
        train(recipe=tmp_path / "tiny.toml", catalog=survey, taxonomy="galaxy_mnist", encoder=start, split=path,
              out=tmp_path / "refused")  # fmt: skip
    assert not (tmp_path / "refused" / "galaxalign.json").exists()


@pytest.mark.slow
def test_train_refuses_leaking_split_and_leaves_benchmarks_out(survey, start, tmp_path, capsys):
    (tmp_path / "tiny.toml").write_text(RECIPE)
    table = pd.read_csv(survey, dtype=str)
    table["ra"], table["dec"] = [str(10 + row // 2) for row in range(len(table))], "0"
    table.to_csv(survey, index=False)
    leaking = split(catalogs=[survey], out=tmp_path / "leaking.parquet", radius=0)
    common = {"recipe": tmp_path / "tiny.toml", "catalog": survey, "taxonomy": "galaxy_mnist", "encoder": start}
    with pytest.raises(InputError, match="the split leaks: .* --allow-leaks"):
        train(**common, split=leaking, out=tmp_path / "one")
    capsys.readouterr()
    benchmark = tmp_path / "benchmark.csv"
    pd.DataFrame({"ra": [10, 12], "dec": [0.5 / 3600, 5 / 3600]}).to_csv(benchmark, index=False)
    run = train(**common, split=leaking, out=tmp_path / "two", allow_leaks=True, exclude=[benchmark], radius="2arcsec")
    said = capsys.readouterr().err
    assert "the split leaks" in said
    assert "the same object under two labels" in said
    parts = pd.read_parquet(run / "split.parquet").set_index("id_str")["part"]
    assert parts[parts == "excluded"].index.tolist() == table["id_str"][:2].tolist(), "5 arcsec away is another galaxy"
    # What was excluded was not trained on, so it may be evaluated.
    few = survey.parent / "few.csv"
    table.head(2).to_csv(few, index=False)
    assert evaluate(catalog=few, model=run)["n_trained_on"] == 0


@pytest.mark.slow
def test_store_trains_the_same_model_and_gives_the_same_answers(survey, start_cropped, tmp_path):
    recipe = tmp_path / "tiny.toml"
    recipe.write_text(RECIPE)
    store = prepare(catalog=survey, out=tmp_path / "store", crop=0.8, size=32, for_training=True)
    common = {"recipe": recipe, "taxonomy": "galaxy_mnist", "encoder": start_cropped}
    from_files = train(catalog=survey, out=tmp_path / "files", **common)
    from_store = train(catalog=store, out=tmp_path / "mapped", **common)
    weights = ("open_clip_model.safetensors", "symbol_encoder.safetensors", "classifier.safetensors")
    for name in (*weights, "skipped.csv", "validation.json"):
        assert (from_files / name).read_bytes().replace(b"/files/", b"/mapped/") == (from_store / name).read_bytes()
    one, two = (classify(catalog=catalog, model=from_files) for catalog in (survey, store))
    pd.testing.assert_frame_equal(one, two)
    assert evaluate(catalog=store, model=from_files) == evaluate(catalog=survey, model=from_files)
    found = [Embeddings.read(embed(catalog=c, model=from_files, out=tmp_path / "e.parquet")) for c in (survey, store)]
    np.testing.assert_array_equal(found[0].vectors, found[1].vectors)
    np.testing.assert_array_equal(found[0].columns["image_path"], found[1].columns["image_path"])


@pytest.mark.slow
def test_store_for_a_model_trains_only_if_asked_for(survey, start_cropped, tmp_path):
    recipe = tmp_path / "tiny.toml"
    recipe.write_text(RECIPE)
    common = {"recipe": recipe, "taxonomy": "galaxy_mnist", "encoder": start_cropped}
    model = train(catalog=survey, out=tmp_path / "run", **common)
    store = prepare(catalog=survey, out=tmp_path / "store", model=model)
    assert len(classify(catalog=store, model=model)) == 83
    with pytest.raises(
        InputError,
        match=r"holds pictures with \[crop 0.8, 32 px.*\], but \[crop 0.8, 32 px.*margin 1.25\].*--for-training",
    ):
        train(catalog=store, out=tmp_path / "again", **common)
    with pytest.raises(InputError, match="leave out --crop, or"):
        prepare(catalog=survey, out=tmp_path / "other", model=model, crop=0.5)
    whole = prepare(catalog=survey, out=tmp_path / "whole", size=32)
    with pytest.raises(InputError, match=r"crop 1.0, 32 px.*\], but \[crop 0.8, 32 px.*\] is needed"):
        classify(catalog=whole, model=model)


@pytest.fixture
def plain(start, tmp_path):
    """Return the same encoder as any open_clip model, which has no way of its own to look at pictures."""
    folder = shutil.copytree(start.removeprefix("local-dir:"), tmp_path / "plain")
    (folder / "galaxalign.json").unlink()
    return f"local-dir:{folder}"


@pytest.mark.slow
def test_train_takes_preprocessing_of_store_where_none_is_given(survey, plain, tmp_path, capsys):
    recipe = tmp_path / "tiny.toml"
    recipe.write_text(RECIPE)
    common = {"recipe": recipe, "taxonomy": "galaxy_mnist", "encoder": plain}
    chain = {"crop": 0.8, "stretch": "log", "bands": "3,2,1", "pixel_scale": 0.3}
    store = prepare(catalog=survey, out=tmp_path / "store", size=32, for_training=True, **chain)
    run = train(catalog=store, out=tmp_path / "run", **common)
    assert f"as the store {store} was prepared: [crop 0.8, 32 px, stretch log" in capsys.readouterr().err
    held = open_store(store).preprocessings["images.npy"]
    assert load_model(run).encoder.preprocessing == held
    # What is said may agree with the store, and the rest is still the store's.
    train(catalog=store, out=tmp_path / "agreeing", crop="0.8", bands=["3", "2", "1"], **common)
    assert load_model(tmp_path / "agreeing").encoder.preprocessing == held


def test_store_does_not_fit_is_refused_before_anything_is_built(survey, trained, plain, tmp_path, monkeypatch):
    def never(*args, **kwargs):
        raise AssertionError("the encoder was built for nothing")

    store = prepare(catalog=survey, out=tmp_path / "store", size=32, crop=0.8)
    small = prepare(catalog=survey, out=tmp_path / "small", size=24)
    monkeypatch.setattr("galaxalign.models.load_encoder", never)
    monkeypatch.setattr("galaxalign.models.load_model", never)
    settings = {"catalog": store, "taxonomy": "galaxy_mnist", "encoder": plain, "out": tmp_path / "out"}
    with pytest.raises(InputError, match=r"crop 0.8, 32 px.*\], but \[crop 0.5, 32 px.*leave --crop"):
        train(**settings, crop=0.5)
    with pytest.raises(InputError, match=r"but \[crop 0.8, 32 px, stretch none.*margin 1.25\].*--for-training"):
        train(**settings)
    for encoder, size in (("lite", 128), ("ViT-B-32/openai", 224), ("resnet18.a1_in1k", 224), (plain, 32)):
        with pytest.raises(InputError, match=rf"crop 1.0, 24 px.*but \[crop 1.0, {size} px.*--size"):
            train(**settings | {"catalog": small, "encoder": encoder})
    with pytest.raises(InputError, match=r"crop 1.0, 24 px.*but \[crop 1.0, 32 px"):
        train(**settings | {"catalog": small, "encoder": f"local-dir:{trained}"})
    assert not (tmp_path / "out").exists()
    for verb in (classify, evaluate, functools.partial(embed, out=tmp_path / "e.parquet")):
        with pytest.raises(InputError, match=r"crop 1.0, 24 px.*but \[crop 1.0, 32 px"):
            verb(catalog=small, model=trained)


@pytest.fixture
def voted(survey):
    """Write the votes of twenty volunteers beside the survey: bright galaxies are smooth, dark ones are not."""
    table = pd.read_csv(survey, dtype={"id_str": str})
    tree = load_taxonomy("galaxy_zoo_2").tree
    for stem in tree.stems:
        table[f"{stem}_fraction"] = 0.0
    smooth = np.array([0.1, 0.2, 0.8, 0.9])[np.arange(len(table)) % 4]
    table["t01_smooth_or_features_a01_smooth_fraction"] = smooth
    table["t01_smooth_or_features_a02_features_or_disk_fraction"] = 1 - smooth
    for stem in (
        "t07_rounded_a16_completely_round",
        "t06_odd_a15_no",
        "t02_edgeon_a04_yes",
        "t09_bulge_shape_a27_no_bulge",
    ):
        table[f"{stem}_fraction"] = 1.0
    table["total_classifications"] = 20
    path = survey.with_name("votes.csv")
    table.to_csv(path, index=False)
    return path


@pytest.mark.slow
def test_model_learns_votes_keeps_in_folder_and_writes_them(voted, start, tmp_path, capsys):
    model = start.removeprefix("local-dir:")
    folder = fit_votes(catalog=voted, model=model, taxonomy="galaxy_zoo_2", out=tmp_path / "voting")
    assert "as fraction" in capsys.readouterr().err
    loaded, tree = load_model(folder), load_taxonomy("galaxy_zoo_2").tree
    assert loaded.votes.tree == tree
    assert loaded.votes.settings["catalog"] == "votes"
    assert (folder / "README.md").read_text().count("## Votes") == 1
    table = classify(catalog=voted, model=folder, votes=True, out=tmp_path / "votes.fits")
    assert "head fitted on the votes" in capsys.readouterr().err
    table = read_table(table)
    columns = [name for name in table if name.endswith(("_asked", "_fraction"))]
    assert columns == list(vote_columns(tree, np.zeros((1, len(tree.stems)))))
    good = table[table["status"] == "ok"]
    assert good["t01_smooth_or_features_asked"].to_numpy() == pytest.approx(1)
    fractions = good[[f"{stem}_fraction" for stem in tree.stems]].to_numpy(np.float64)
    np.testing.assert_allclose(good["t07_rounded_asked"], tree.asked(fractions)[:, 6], rtol=1e-5)
    assert table.loc[table["status"] != "ok", columns].isna().all(axis=None)
    # what is written is read as votes again
    again = read_votes(good, tree)
    np.testing.assert_allclose(again.fractions, fractions, atol=1e-5)


@pytest.mark.parametrize("suffix", ["csv", "parquet", "fits", "vot"])
def test_columns_of_votes_keep_names_of_tree_in_kind_of_table(suffix, tmp_path):
    names = ["smooth-or-featured_asked", "smooth-or-featured_smooth_fraction", "spiral-arm-count_more-than-4_fraction"]
    table = pd.DataFrame({name: np.array([0.25, np.nan], np.float32) for name in names})
    write_table(table, tmp_path / f"votes.{suffix}")
    assert list(read_table(tmp_path / f"votes.{suffix}").columns) == names


def test_votes_by_words_where_model_has_no_head_for_the_tree(survey, start, capsys):
    model = start.removeprefix("local-dir:")
    table = classify(catalog=survey, model=model, taxonomy="galaxy_zoo_2", votes=True)
    assert "words alone, not calibrated" in capsys.readouterr().err
    assert table["t03_bar_a06_bar_fraction"].notna().sum() == 80
    with pytest.raises(InputError, match="galaxy_mnist has no decision tree"):
        classify(catalog=survey, model=model, votes=True)
    assert not any(name.endswith("_asked") for name in classify(catalog=survey, model=model))


VOTES_RECIPE = """
name = "tiny-votes"
batch_size = 16
ema = 0.5
select = "votes"
[[stage]]
name = "votes"
pairs = { image-votes = 1.0 }
epochs = 2
"""


@pytest.mark.slow
def test_a_tower_is_trained_on_votes_and_then_a_head_fitted(survey, voted, start, tmp_path):
    (tmp_path / "votes.toml").write_text(VOTES_RECIPE)
    unlabelled = voted.with_name("unlabelled.csv")
    table = pd.read_csv(voted, dtype={"id_str": str}).drop(columns="label")
    table.to_csv(unlabelled, index=False)
    common = {"recipe": tmp_path / "votes.toml", "encoder": start}
    run = train(**common, catalog=unlabelled, taxonomy="galaxy_zoo_2", out=tmp_path / "run")
    history = read_table(run / "metrics.csv")
    assert np.isfinite(history[["vote_log_likelihood", "loss_image-votes"]].to_numpy(np.float64)).all()
    folder = fit_votes(catalog=unlabelled, model=run, out=tmp_path / "voting")
    assert load_model(folder).votes.settings["encoder_fingerprint"] == load_model(run).encoder.fingerprint
    assert load_model(run).encoder.fingerprint != load_model(start.removeprefix("local-dir:")).encoder.fingerprint
    with pytest.raises(InputError, match="learns from votes alone, and no catalogue has any"):
        train(**common, catalog=survey, taxonomy="galaxy_mnist", out=tmp_path / "none")
    silent = voted.with_name("silent.csv")
    table.drop(columns="total_classifications").to_csv(silent, index=False)
    with pytest.raises(InputError, match="the votes of silent are fractions and do not say of how many"):
        train(**common, catalog=silent, taxonomy="galaxy_zoo_2", out=tmp_path / "silent")


def test_a_head_is_fitted_on_votes_only(survey, voted, start, tmp_path):
    model = start.removeprefix("local-dir:")
    with pytest.raises(InputError, match="galaxy_mnist has no decision tree"):
        fit_votes(catalog=voted, model=model, out=tmp_path / "a")
    with pytest.raises(InputError, match="has no votes"):
        fit_votes(catalog=survey, model=model, taxonomy="galaxy_zoo_2", out=tmp_path / "a")
