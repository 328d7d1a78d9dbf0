"""Model folders: what is saved is what is loaded, anywhere, and nothing damaged is used."""

from __future__ import annotations

import json
import shutil

import numpy as np
import pytest
import torch

from galaxalign.analysis.classifiers import zero_shot
from galaxalign.analysis.encode import prompt_prototypes
from galaxalign.encoders.folder import Model, load_model, save_model
from galaxalign.encoders.load import _trunk_alone
from galaxalign.errors import InputError
from galaxalign.taxonomy import load_taxonomy

IMAGES = np.random.default_rng(0).integers(0, 255, (5, 32, 32, 3)).astype(np.uint8)


@pytest.fixture
def saved(tiny_clip, tmp_path):
    tiny_clip.copy_symbol_tower()
    with torch.no_grad():
        for parameter in tiny_clip.symbol.parameters():
            parameter.mul_(1.01)
    taxonomy = load_taxonomy("galaxy_mnist")
    choice = zero_shot(taxonomy.class_names, prompt_prototypes(tiny_clip, taxonomy), logit_scale=10.0)
    model = Model(tiny_clip, taxonomy, choice, settings={"seed": 3})
    return model, save_model(model, tmp_path / "model", card="# A card\n")


def test_a_moved_folder_gives_the_same_vectors_words_and_symbols(saved, tmp_path):
    model, folder = saved
    moved = tmp_path / "elsewhere" / "m"
    moved.parent.mkdir()
    shutil.move(folder, moved)
    loaded = load_model(moved)
    for one, other in (
        (model.encoder.encode_images(IMAGES), loaded.encoder.encode_images(IMAGES)),
        (model.encoder.encode_symbols(IMAGES), loaded.encoder.encode_symbols(IMAGES)),
        (model.encoder.encode_texts(["a disc"]), loaded.encoder.encode_texts(["a disc"])),
    ):
        torch.testing.assert_close(one, other)
    assert not torch.allclose(loaded.encoder.encode_symbols(IMAGES), loaded.encoder.encode_images(IMAGES))
    assert loaded.encoder.fingerprint == model.encoder.fingerprint
    assert loaded.taxonomy == model.taxonomy
    assert loaded.settings["seed"] == 3
    vectors = loaded.encoder.encode_images(IMAGES).numpy()
    np.testing.assert_allclose(
        loaded.classifier.predict_proba(vectors), model.classifier.predict_proba(vectors), rtol=1e-5
    )


def test_open_clip_itself_loads_the_folder(saved):
    import open_clip

    model, folder = saved
    plain, _, _ = open_clip.create_model_and_transforms(f"local-dir:{folder}")
    plain.eval()
    pixels = model.encoder.normalize(torch.from_numpy(IMAGES).permute(0, 3, 1, 2))
    with torch.inference_mode():
        torch.testing.assert_close(plain.encode_image(pixels), model.encoder.visual(pixels), atol=1e-3, rtol=1e-3)


def test_the_fingerprint_follows_the_weights_and_the_framing(saved):
    model, _ = saved
    before = model.encoder.fingerprint
    model.encoder.preprocessing = type(model.encoder.preprocessing)(crop=0.5, size=32)
    assert model.encoder.fingerprint != before
    model.encoder.preprocessing = type(model.encoder.preprocessing)(size=32)
    assert model.encoder.fingerprint == before
    with torch.no_grad():
        next(model.encoder.visual.parameters()).add_(1e-3)
    assert model.encoder.fingerprint != before


@pytest.mark.parametrize(
    "name",
    [
        "open_clip_model.safetensors",
        "symbol_encoder.safetensors",
        "classifier.safetensors",
        "open_clip_config.json",
    ],
)
def test_a_missing_or_altered_file_is_named(saved, name):
    _, folder = saved
    path = folder / name
    whole = path.read_bytes()
    path.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
    with pytest.raises(InputError, match=f"{name} was altered"):
        load_model(folder)
    path.unlink()
    with pytest.raises(InputError, match=f"lacks the file {name}"):
        load_model(folder)


def test_an_image_tower_taken_from_a_clip_model_is_saved_and_loaded(tiny_clip, tmp_path):
    tower = _trunk_alone(tiny_clip, tiny_clip.device)
    taxonomy = load_taxonomy("galaxy_mnist")
    choice = zero_shot(taxonomy.class_names, np.eye(4, tower.dimension, dtype=np.float32), logit_scale=10.0)
    loaded = load_model(save_model(Model(tower, taxonomy, choice), tmp_path / "tower", card=""))
    torch.testing.assert_close(loaded.encoder.encode_images(IMAGES), tower.encode_images(IMAGES))


def test_what_is_no_model_folder_is_said(saved, tmp_path):
    _, folder = saved
    with pytest.raises(InputError, match="there is no model folder"):
        load_model(tmp_path / "nowhere")
    with pytest.raises(InputError, match=r"galaxalign\.json is missing"):
        load_model(tmp_path)
    settings = json.loads((folder / "galaxalign.json").read_text())
    settings["classifier"]["temperature"] = 0.01
    (folder / "galaxalign.json").write_text(json.dumps(settings))
    with pytest.raises(InputError, match=r"galaxalign\.json was altered"):
        load_model(folder)
    (folder / "galaxalign.json").write_text("{")
    with pytest.raises(InputError, match="is damaged"):
        load_model(folder)
