"""Transfer to another taxonomy, with a tower so small that it takes seconds."""

from __future__ import annotations

import shutil
import sys
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import timm
import torch
from PIL import Image

from galaxalign.data.images.preprocessing import Preprocessing
from galaxalign.data.splits.splits import read_split
from galaxalign.errors import InputError
from galaxalign.inference.pipeline import prompt_prototypes
from galaxalign.models.classifiers import zero_shot
from galaxalign.models.model_folder import Model, load_model, save_model
from galaxalign.models.vision import VisionEncoder
from galaxalign.morphology.taxonomy import load_taxonomy
from galaxalign.training import chooser
from galaxalign.training.adapt import add_adapters, interpolate, merge_adapters, tower_weights
from galaxalign.training.batch import TrainingData
from galaxalign.training.checkpoint import save_checkpoint
from galaxalign.training.loop import fit
from galaxalign.training.recipe import Recipe
from galaxalign.verbs.classify import classify
from galaxalign.verbs.evaluate import evaluate
from galaxalign.verbs.split import split
from galaxalign.verbs.train import train
from galaxalign.verbs.transfer import transfer
from galaxalign.verbs.with_model import classifier_for

NAMES = load_taxonomy("galaxy_zoo_1").class_names
RECIPE = """
name = "tiny"
batch_size = 16
symbol_variants = 4
ema = 0.5
augmentation = { colour = 0.0 }
[[stage]]
name = "one"
pairs = { image-text = 1.0, image-symbol = 1.0, symbol-text = 1.0 }
epochs = 2
lr_trunk = 3e-3
lr_head = 1e-2
"""
SUPERVISED = RECIPE.replace("image-text = 1.0, image-symbol = 1.0, symbol-text = 1.0", "image-label = 1.0")


def pictures(folder, names, n, *, start=0):
    """Write n pictures, a brightness for each class, and their catalogue with positions."""
    rng = np.random.default_rng(start)
    folder.mkdir()
    rows = []
    for i in range(n):
        pixels = rng.integers(0, 30, (40, 40, 3)) + 60 * (i % len(names))
        Image.fromarray(pixels.clip(0, 255).astype(np.uint8)).save(folder / f"{i}.png")
        rows.append((f"{folder.name}{i:04d}", f"{i}.png", names[i % len(names)], start + i * 0.1, 0.0))
    path = folder / "catalog.csv"
    pd.DataFrame(rows, columns=["id_str", "file_loc", "label", "ra", "dec"]).to_csv(path, index=False)
    return path


@pytest.fixture
def target(tmp_path):
    return pictures(tmp_path / "target", NAMES, 120, start=100)


@pytest.fixture(scope="session")
def pretrained_once(start, tmp_path_factory):
    """Return a folder with a model that learnt another survey with another taxonomy, and that survey."""
    folder = tmp_path_factory.mktemp("pretrained")
    (folder / "tiny.toml").write_text(RECIPE)
    survey = pictures(folder / "first", load_taxonomy("galaxy_mnist").class_names, 60)
    run = {"recipe": folder / "tiny.toml", "catalog": survey, "taxonomy": "galaxy_mnist", "encoder": start}
    train(**run, out=folder / "model", quiet=True)
    return folder


@pytest.fixture
def pretrained(pretrained_once, tmp_path):
    """Return a copy of that model, and the recipes beside it."""
    (tmp_path / "tiny.toml").write_text(RECIPE)
    (tmp_path / "supervised.toml").write_text(SUPERVISED)
    shutil.copytree(pretrained_once / "first", tmp_path / "first")
    return shutil.copytree(pretrained_once / "model", tmp_path / "pretrained")


@pytest.fixture
def common(target, pretrained, tmp_path):
    return {"catalog": target, "model": pretrained, "taxonomy": "galaxy_zoo_1", "quiet": True}


def weights(model):
    return load_model(model).encoder.visual.state_dict()


def same(one, two):
    return all(torch.equal(value, two[key]) for key, value in one.items())


@pytest.mark.slow
def test_zero_shot_and_linear_leave_the_tower_as_it_is(common, pretrained, target, tmp_path, capsys):
    words = transfer(**common, method="zero-shot", out=tmp_path / "words")
    linear = transfer(**(common | {"quiet": False}), method="linear", share=50, out=tmp_path / "linear")
    assert "learning from 44 galaxies (50 % of the training labels)" in capsys.readouterr().err
    for folder in (words, linear):
        assert same(weights(folder), weights(pretrained))
        assert set(classify(catalog=target, model=folder)["label"]) <= set(NAMES)
    saved = load_model(words)
    assert (saved.classifier.name, saved.classifier.n_validation) == ("prompts", 0)
    assert saved.symbols.shape == (4, 16)  # the symbol tower of before draws the new classes
    settings = load_model(linear).settings
    assert settings["transfer"]["asked"]["model_fingerprint"] == load_model(pretrained).encoder.fingerprint
    assert settings["transfer"]["model_taxonomy"] == "galaxy_mnist"
    assert settings["data"]["n_train"] == [44]
    figures = evaluate(catalog=target, model=linear)
    assert figures["part"] == "test"
    assert figures["accuracy"] > 0.8
    # words need no labels
    bare = target.parent / "bare.csv"
    pd.read_csv(target).drop(columns="label").to_csv(bare, index=False)
    transfer(**(common | {"catalog": bare}), method="zero-shot", out=tmp_path / "bare")


@pytest.mark.slow
@pytest.mark.parametrize("verb", ["train", "transfer"])
def test_both_verbs_log_the_same_notes(verb, target, pretrained, tmp_path, capsys):
    table = pd.read_csv(target)
    table.loc[3:, ["ra", "dec"]] = np.nan
    table.loc[5, "label"] = None
    table.to_csv(target, index=False)
    run = {"catalog": target, "taxonomy": "galaxy_zoo_1", "share": 0.5, "out": tmp_path / "run"}
    if verb == "train":
        train(**run, recipe=tmp_path / "tiny.toml", encoder=f"local-dir:{pretrained}")
    else:
        transfer(**run, model=pretrained, method="linear")
    notes = capsys.readouterr().err
    assert "target: 117 of 120 rows have no position" in notes
    assert "--share 0.5 is 0.5 % of the" in notes
    assert "1 of 120 rows of target have no label or an ignored one; left out" in notes


@pytest.mark.parametrize(("variants", "drawn"), [(4, 4), (64, 16)])
def test_symbols_of_a_class_are_drawn_at_most_16_times(variants, drawn, tiny_clip, monkeypatch):
    asked = []
    monkeypatch.setattr(chooser, "symbol_prototypes", lambda *_, variants, drawings: asked.append(variants))
    chooser.symbol_vectors(tiny_clip, load_taxonomy("galaxy_mnist"), SimpleNamespace(symbol_variants=variants))
    chooser.symbol_vectors(tiny_clip, load_taxonomy("galaxy_mnist"))
    assert asked == [drawn, 16]


def test_cosines_with_words_have_the_scale_of_the_encoder(tiny_clip, tmp_path):
    tiny_clip.set_log_scale(torch.tensor(20.0).log())
    taxonomy = load_taxonomy("galaxy_mnist")
    choice = chooser.by_words(tiny_clip, taxonomy)
    assert choice.settings["logit_scale"] == pytest.approx(20)
    again = load_model(save_model(Model(tiny_clip, taxonomy, choice), tmp_path / "m", card=""))
    assert again.encoder.logit_scale == pytest.approx(20)
    assert classifier_for(again, "galaxy_zoo_1")[1].settings["logit_scale"] == pytest.approx(20)


@pytest.mark.slow
@pytest.mark.parametrize("method", ["fine-tune", "lp-ft", "flyp-symbols"])
def test_tower_learns_target_and_few_labels_make_enough_steps(method, common, pretrained, target, tmp_path):
    own = {"flyp-symbols": "tiny.toml"}.get(method, "supervised.toml")
    folder = transfer(**common, method=method, share=25, steps=24, recipe=tmp_path / own, out=tmp_path / "run", seed=2)
    assert not same(weights(folder), weights(pretrained))
    settings = load_model(folder).settings
    assert settings["recipe"]["stages"][0]["epochs"] == 24  # 24 galaxies are one step of 16
    assert settings["data"]["n_train"] == [24]
    assert evaluate(catalog=target, model=folder)["accuracy"] > 0.7
    assert ("skipped" in load_model(folder).classifier.validation["head"]) == (method == "flyp-symbols")
    assert f"({method})" in (folder / "README.md").read_text()


@pytest.mark.slow
def test_shares_are_nested_and_validation_part_can_be_share_too(common, tmp_path):
    seen = []
    for share in (10, 50):
        folder = transfer(**common, method="linear", share=share, validation_share=50, out=tmp_path / f"{share}")
        table = pd.read_parquet(folder / "trained_on.parquet")
        here = table[table["source"] == "target"]
        seen.append(set(here["id_str"][here["part"] == "train"]))
        assert (here["part"] == "validation").sum() == 8
    assert seen[0] < seen[1]


@pytest.mark.slow
def test_mixed_weights_lie_between_and_need_no_training(common, pretrained, tmp_path, monkeypatch):
    run = {**common, "method": "fine-tune", "recipe": tmp_path / "supervised.toml", "steps": 12, "out": tmp_path / "r"}
    before = weights(pretrained)
    after = weights(transfer(**run, wise_ft=1))
    assert (tmp_path / "r" / "checkpoint.safetensors").is_file()
    half = weights(transfer(**run, wise_ft=0.5))
    for key, value in half.items():
        if value.is_floating_point():
            torch.testing.assert_close(value, (before[key] + after[key]) / 2, rtol=1e-4, atol=1e-6)
    told = load_model(transfer(**run, wise_ft="auto")).settings["wise_ft"]
    assert len(told["validation_log_loss"]) == 11
    best = min(told["validation_log_loss"], key=lambda share: told["validation_log_loss"][share])
    assert float(best) == told["share"]
    untouched = weights(transfer(**run, wise_ft="0"))
    assert same({key: value for key, value in untouched.items() if value.is_floating_point()}, before)
    with pytest.raises(InputError, match=r"other settings .*seed"):
        transfer(**run, wise_ft=0.5, seed=1)


@pytest.mark.slow
def test_interpolated_statistics_of_batch_normalisation_work(common, target, pretrained, tmp_path):
    """On the way from one EfficientNet to the other no tower collapses for want of its own statistics."""
    run = {**common, "method": "fine-tune", "recipe": tmp_path / "supervised.toml", "steps": 24, "out": tmp_path / "r"}
    for share in (0.3, 0.6, 1.0):
        folder = transfer(**run, wise_ft=share)
        statistics = {k: v for k, v in weights(folder).items() if "running_var" in k}
        assert statistics
        assert all(bool((v > 0).all()) for v in statistics.values())
        assert evaluate(catalog=target, model=folder)["accuracy"] > 0.7


@pytest.mark.slow
def test_killed_run_resumes_and_a_finished_one_is_kept(common, tmp_path, monkeypatch, capsys):
    run = {**common, "method": "lp-ft", "recipe": tmp_path / "supervised.toml", "steps": 30, "share": 50}
    straight = transfer(**run, out=tmp_path / "straight")

    class KilledError(Exception):
        pass

    def save_and_die(folder, identity, state):
        save_checkpoint(folder, identity, state)
        if state.epoch >= 4:
            raise KilledError

    with monkeypatch.context() as patch:
        patch.setattr("galaxalign.training.loop.save_checkpoint", save_and_die)
        with pytest.raises(KilledError):
            transfer(**run, out=tmp_path / "broken")
    resumed = transfer(**run, out=tmp_path / "broken")
    assert load_model(resumed).encoder.fingerprint == load_model(straight).encoder.fingerprint
    assert not (resumed / "checkpoint.safetensors").exists()
    monkeypatch.setattr("galaxalign.training.job.fit", None)
    transfer(**(run | {"quiet": False}), out=tmp_path / "broken")
    assert "nothing to do" in capsys.readouterr().err
    with pytest.raises(InputError, match=r"other settings \(share"):
        transfer(**(run | {"share": 20}), out=tmp_path / "broken")


@pytest.mark.slow
def test_model_that_knows_galaxies_of_the_test_part_is_refused(common, pretrained, target, tmp_path, capsys):
    parts = split(catalogs=[target], out=tmp_path / "parts.parquet")
    table = pd.read_parquet(parts)
    test = table["id_str"][table["part"] == "test"].tolist()
    known = pd.read_parquet(pretrained / "trained_on.parquet")
    place = pd.read_csv(target).set_index("id_str").loc[test[0]]
    # one galaxy by its id, one under another name 1 arcsec away
    known.loc[0, "id_str"] = test[1]
    known.loc[1, ["ra", "dec"]] = [place["ra"], place["dec"] + 1 / 3600]
    known.to_parquet(pretrained / "trained_on.parquet")
    run = {**common, "method": "linear", "split": parts}
    with pytest.raises(InputError, match=rf"trained or chosen on 2 of the {len(test)} test galaxies of target"):
        transfer(**run, out=tmp_path / "refused")
    with pytest.raises(InputError, match=r"on 1 of the \d+ test galaxies"):
        transfer(**run, radius="0arcsec", out=tmp_path / "refused")
    transfer(**(run | {"quiet": False}), allow_leaks=True, out=tmp_path / "allowed")
    assert "trained or chosen on 2 of" in capsys.readouterr().err
    # the way out that the sentence names
    parts = split(catalogs=[target], exclude=[pretrained / "trained_on.parquet"], out=tmp_path / "clean.parquet")
    folder = transfer(**(run | {"split": parts}), out=tmp_path / "clean")
    # a chain of models remembers all of it
    chain = pd.read_parquet(folder / "trained_on.parquet")
    assert set(chain["source"]) == {"first", "target"}
    assert set(known["id_str"]) < set(chain["id_str"])


@pytest.mark.slow
def test_training_further_refuses_galaxies_already_learnt(pretrained, target, tmp_path, capsys):
    parts = split(catalogs=[target], out=tmp_path / "parts.parquet")
    table = pd.read_parquet(parts)
    test = table["id_str"][table["part"] == "test"].tolist()
    known = pd.read_parquet(pretrained / "trained_on.parquet")
    run = {"recipe": tmp_path / "tiny.toml", "catalog": target, "taxonomy": "galaxy_zoo_1", "split": parts}
    run["encoder"] = f"local-dir:{pretrained}"
    further = train(**run, out=tmp_path / "further", quiet=True)
    learnt = pd.read_parquet(further / "trained_on.parquet")
    own = table["id_str"][table["part"].isin(["train", "validation"])]
    assert set(learnt["id_str"]) == set(known["id_str"]) | set(own)
    assert set(learnt["source"]) == {"first", "target"}
    known.loc[0, "id_str"] = test[1]
    known.to_parquet(pretrained / "trained_on.parquet")
    said = rf"the model .*pretrained was trained or chosen on 1 of the {len(test)} test galaxies of target"
    with pytest.raises(InputError, match=rf"{said} \(first: {test[1]}\).*--exclude .*, or say --allow-leaks"):
        train(**run, out=tmp_path / "refused", quiet=True)
    assert not (tmp_path / "refused" / "galaxalign.json").exists()
    capsys.readouterr()
    train(**run, allow_leaks=True, out=tmp_path / "allowed")
    assert "was trained or chosen on 1 of the" in capsys.readouterr().err


@pytest.mark.slow
def test_two_catalogues_refuse_a_galaxy_trained_and_tested(tmp_path, tiny_clip, capsys):
    taxonomy = load_taxonomy("galaxy_mnist")
    choice = zero_shot(taxonomy.class_names, prompt_prototypes(tiny_clip, taxonomy), logit_scale=10.0)
    start = save_model(Model(tiny_clip, taxonomy, choice), tmp_path / "start", card="")
    (tmp_path / "tiny.toml").write_text(RECIPE)
    surveys = [pictures(tmp_path / name, taxonomy.class_names, 40, start=at) for name, at in (("one", 0), ("two", 100))]
    second = pd.read_csv(surveys[1])
    second.loc[0, "id_str"] = "one0000"
    second.to_csv(surveys[1], index=False)
    path = split(catalogs=surveys, out=tmp_path / "parts.parquet")
    parts = read_split(path)
    shared_row = parts.table["id_str"] == "one0000"
    assert parts.table["part"][shared_row].nunique() == 1
    parts.table.loc[shared_row, "part"] = ["train", "test"]
    parts.write(path)
    run = {"recipe": tmp_path / "tiny.toml", "catalog": surveys, "taxonomy": "galaxy_mnist", "split": path}
    run["encoder"] = f"local-dir:{start}"
    with pytest.raises(
        InputError, match=r"1 galaxies of one are also in two .* one0000 \(train\) and one0000 \(test\)"
    ):
        train(**run, out=tmp_path / "refused")
    assert not (tmp_path / "refused" / "galaxalign.json").exists()
    assert (train(**run, allow_leaks=True, out=tmp_path / "allowed") / "galaxalign.json").is_file()
    assert "1 galaxies of one are also in two" in capsys.readouterr().err


@pytest.mark.slow
def test_model_without_list_says_leaks_cannot_be_looked_for(common, pretrained, tmp_path, capsys):
    (pretrained / "trained_on.parquet").unlink()
    transfer(**(common | {"quiet": False}), method="zero-shot", out=tmp_path / "said")
    assert "does not tell which galaxies it was trained on" in capsys.readouterr().err


@pytest.mark.slow
def test_input_at_fault_is_one_sentence(common, pretrained, tmp_path):
    out = tmp_path / "run"
    for wrong, said in (
        ({"method": "magic"}, "no method 'magic' of transfer; choose zero-shot, linear"),
        ({"share": 0}, "--share is 0; give percent"),
        ({"share": 120}, "--share is 120"),
        ({"validation_share": 0}, "--validation-share is 0; give percent"),
        ({"method": "linear", "wise_ft": "auto"}, "trains no tower, so there is nothing to mix"),
        ({"wise_ft": "much"}, "--wise-ft is much; give a number from 0"),
        ({"wise_ft": 1.5}, "--wise-ft is 1.5"),
        ({"method": "linear", "recipe": "supervised"}, "leave --recipe out"),
        ({"method": "lora"}, "no linear layers to put adapters beside"),
        ({"model": tmp_path / "nowhere"}, "there is no model folder"),
        ({"out": pretrained}, "is the folder of the model to start from"),
    ):
        with pytest.raises(InputError, match=said):
            transfer(**({"out": out} | common | wrong))
    assert not (out / "galaxalign.json").exists()


@pytest.mark.slow
def test_the_target_can_be_looked_at_in_another_frame(common, tmp_path, capsys):
    folder = transfer(**(common | {"quiet": False}), method="linear", crop=0.5, out=tmp_path / "run")
    assert "images are seen with" in capsys.readouterr().err
    assert load_model(folder).encoder.preprocessing.crop == 0.5


@pytest.fixture
def transformer():
    """Return a small transformer without words."""
    torch.manual_seed(0)
    half = (0.5, 0.5, 0.5)
    trunk = timm.create_model("test_vit", num_classes=0, img_size=32)
    return VisionEncoder(trunk, name="test_vit", preprocessing=Preprocessing(size=32), pixels=(half, half))


def test_without_peft_lora_says_how_to_get_it(transformer, monkeypatch):
    monkeypatch.setitem(sys.modules, "peft", None)
    with pytest.raises(InputError, match=r"pip install 'galaxalign\[lora\]'"):
        add_adapters(transformer)


@pytest.mark.slow
def test_adapters_alone_are_trained_and_then_merged(transformer):
    pytest.importorskip("peft")
    rng = np.random.default_rng(0)
    labels = np.arange(48) % 3
    images = rng.integers(0, 40, (48, 32, 32, 3)).astype(np.uint8)
    for image, label in zip(images, labels, strict=True):
        image[..., label] += 180
    data = TrainingData(
        images, labels, images, labels, [["a"], ["b"], ["c"]], np.zeros((3, 1, 32, 32, 3)), np.arange(3)
    )
    plan = Recipe.model_validate(
        {
            "name": "t",
            "batch_size": 12,
            "ema": 0.5,
            "augmentation": {"colour": 0.0},
            "stage": [{"name": "s", "pairs": {"image-label": 1}, "epochs": 8, "lr_trunk": 1e-2, "lr_head": 1e-2}],
        }
    )
    before = tower_weights(transformer)["visual"]
    add_adapters(transformer, rank=2)
    result = fit(transformer, plan, data)
    assert result.history[-1]["accuracy"] > 0.9
    adapted = transformer.visual.state_dict()
    base = {key.replace(".base_layer.", "."): value for key, value in adapted.items() if "lora_" not in key}
    assert same(before, base)
    expected = transformer.encode_images(images)
    merge_adapters(transformer)
    merged = transformer.visual.state_dict()
    assert merged.keys() == before.keys()
    changed = {key.rsplit(".", 2)[1] for key in before if not torch.equal(before[key], merged[key])}
    assert changed == {"qkv", "proj", "fc1", "fc2"}
    torch.testing.assert_close(transformer.encode_images(images), expected, rtol=0, atol=0.02)  # bf16
    assert not any("lora" in name for name, _ in transformer.visual.named_modules())


def test_interpolation_ends_where_the_towers_are(tiny_clip):
    before = tower_weights(tiny_clip)
    with torch.no_grad():
        for tensor in tiny_clip.visual.state_dict().values():
            tensor += 1
    tiny_clip.copy_symbol_tower()
    after = tower_weights(tiny_clip)
    for share, state in ((0.0, before["visual"]), (1.0, after["visual"])):
        interpolate(tiny_clip, before, after, share)
        # the symbol tower came from the image tower, so it goes back to it
        for tower in (tiny_clip.visual, tiny_clip.symbol):
            assert same({k: v for k, v in state.items() if v.is_floating_point()}, tower.state_dict())


def test_training_starts_from_a_given_head(tiny_clip):
    labels = np.arange(12) % 3
    images = np.zeros((12, 32, 32, 3), np.uint8)
    data = TrainingData(
        images, labels, images, labels, [["a"], ["b"], ["c"]], np.zeros((3, 1, 32, 32, 3)), np.arange(3)
    )
    stage = {"name": "s", "pairs": {"image-label": 1}, "epochs": 1, "lr_trunk": 0, "lr_head": 1e-9}
    plan = Recipe.model_validate({"name": "t", "batch_size": 12, "stage": [stage]})
    head = torch.randn(3, tiny_clip.dimension + 1)
    torch.testing.assert_close(fit(tiny_clip, plan, data, head=head).head, head, rtol=0, atol=1e-5)
