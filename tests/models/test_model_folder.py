"""Model folders: what is saved is what is loaded, anywhere, and nothing damaged is used."""

from __future__ import annotations

import json
import shutil

import numpy as np
import pytest
import timm
import torch

from galaxalign.data.images.preprocessing import ImageOptions, Preprocessing
from galaxalign.errors import InputError
from galaxalign.inference.pipeline import prompt_prototypes
from galaxalign.models.by_name import _trunk_alone, load_encoder
from galaxalign.models.classifiers import zero_shot
from galaxalign.models.minilm import build_timm_minilm
from galaxalign.models.model_folder import Model, load_model, save_model, starting_folder
from galaxalign.models.vision import VisionEncoder, create_timm
from galaxalign.morphology.taxonomy import load_taxonomy

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


def test_moved_folder_gives_the_same_vectors_words_and_symbols(saved, tmp_path):
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


def test_image_tower_taken_from_clip_model_is_saved_and_loaded(tiny_clip, tmp_path):
    tower = _trunk_alone(tiny_clip, tiny_clip.device)
    taxonomy = load_taxonomy("galaxy_mnist")
    choice = zero_shot(taxonomy.class_names, np.eye(4, tower.dimension, dtype=np.float32), logit_scale=10.0)
    loaded = load_model(save_model(Model(tower, taxonomy, choice), tmp_path / "tower", card=""))
    torch.testing.assert_close(loaded.encoder.encode_images(IMAGES), tower.encode_images(IMAGES))


def test_training_goes_on_from_the_model_in_the_box():
    loaded, model = load_encoder("galaxy-lite"), load_model("galaxy-lite").encoder
    assert loaded.fingerprint == model.fingerprint
    assert (loaded.symbol is None) == (model.symbol is None)
    alone = load_encoder("galaxy-lite", words=False)
    assert isinstance(alone, VisionEncoder)
    assert alone.preprocessing == model.preprocessing
    for name, weight in alone.visual.state_dict().items():
        assert torch.equal(weight, model.visual.trunk.state_dict()[name]), name
    with pytest.raises(InputError, match="start from another encoder"):
        load_encoder("galaxy-lite", look=ImageOptions(crop=0.3))


def test_training_goes_on_from_a_folder(saved, tmp_path):
    model, folder = saved
    name = f"local-dir:{folder}"
    assert starting_folder(name) == folder
    assert starting_folder(str(folder)) is None, "a bare path is no name of an encoder"
    assert starting_folder(f"local-dir:{tmp_path}") is None
    loaded = load_encoder(name)
    assert loaded.fingerprint == model.encoder.fingerprint
    torch.testing.assert_close(loaded.encode_symbols(IMAGES), model.encoder.encode_symbols(IMAGES))
    alone = load_encoder(name, words=False)
    tower = _trunk_alone(model.encoder, model.encoder.device)
    torch.testing.assert_close(alone.encode_images(IMAGES), tower.encode_images(IMAGES))


def tower_without_head():
    """Return the architecture and random weights of a MobileNetV3 without what follows its pooling."""
    torch.manual_seed(0)
    architecture = "mobilenetv3_small_100"
    trunk = timm.create_model(architecture, num_classes=0)
    kept = {name: value for name, value in trunk.state_dict().items() if not name.startswith("conv_head.")}
    assert len(kept) < len(trunk.state_dict())
    return architecture, kept


def test_training_goes_on_from_a_folder_whose_tower_has_no_head(tmp_path):
    architecture, weights = tower_without_head()
    encoder = build_timm_minilm(architecture, weights, preprocessing=Preprocessing(size=32))
    taxonomy = load_taxonomy("galaxy_mnist")
    choice = zero_shot(taxonomy.class_names, np.eye(4, encoder.dimension, dtype=np.float32), logit_scale=10.0)
    name = f"local-dir:{save_model(Model(encoder, taxonomy, choice), tmp_path / 'model', card='')}"
    torch.testing.assert_close(load_encoder(name).encode_images(IMAGES), encoder.encode_images(IMAGES))
    alone = load_encoder(name, words=False)
    assert alone.dimension == 576
    tower = _trunk_alone(encoder, encoder.device)
    torch.testing.assert_close(alone.encode_images(IMAGES), tower.encode_images(IMAGES))


def test_folder_without_words_is_no_start_for_recipe_needs_them(tmp_path):
    architecture, weights = tower_without_head()
    trunk = create_timm(architecture, weights, size=32)
    half = (0.5, 0.5, 0.5)
    tower = VisionEncoder(trunk, name=architecture, preprocessing=Preprocessing(size=32), pixels=(half, half))
    taxonomy = load_taxonomy("galaxy_mnist")
    choice = zero_shot(taxonomy.class_names, np.eye(4, tower.dimension, dtype=np.float32), logit_scale=10.0)
    folder = save_model(Model(tower, taxonomy, choice), tmp_path / "tower", card="")
    alone = load_encoder(f"local-dir:{folder}", words=False)
    torch.testing.assert_close(alone.encode_images(IMAGES), tower.encode_images(IMAGES))
    with pytest.raises(InputError, match="tower has no words, which this recipe needs; name another encoder"):
        load_encoder(f"local-dir:{folder}")


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
