"""The encoders themselves: towers, names, and what is said when one cannot be had."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from galaxalign.errors import InputError
from galaxalign.models.base import Encoder, eight_views
from galaxalign.models.by_name import load_encoder
from galaxalign.models.cpu import depthwise_in_fp32
from galaxalign.models.minilm import build_lite
from galaxalign.models.vision import build_vision, create_timm, verify_sha256

IMAGES = np.random.default_rng(0).integers(0, 255, (4, 128, 128, 3)).astype(np.uint8)


@pytest.fixture(scope="module")
def lite():
    return build_lite()


def test_lite_gives_unit_vectors_of_both_kinds_in_one_space(lite):
    assert isinstance(lite, Encoder)
    images, texts = lite.encode_images(IMAGES), lite.encode_texts(["a spiral galaxy", "a dog"])
    assert images.shape == (4, 384)
    assert texts.shape == (2, 384)
    for vectors in (images, texts):
        torch.testing.assert_close(vectors.norm(dim=1), torch.ones(len(vectors)))


@pytest.mark.slow
def test_lite_knows_before_training_what_its_classifier_knew(lite):
    """A picture lands nearer to the words that EfficientNet's own classifier would give it."""
    from timm.data import ImageNetInfo

    from galaxalign.models.minilm import _lite0_state

    state = _lite0_state()
    trunk = create_timm("tf_efficientnet_lite0", {k: v for k, v in state.items() if "classifier" not in k}, size=128)
    trunk.eval()
    names = [name.split(",")[0] for name in ImageNetInfo().label_descriptions()]
    words = lite.encode_texts([f"A picture of a {name}" for name in names])
    x = lite.normalize(torch.from_numpy(IMAGES).permute(0, 3, 1, 2))
    with torch.inference_mode():
        logits = trunk(x) @ state["classifier.weight"].T
        logits = logits - logits.mean(1, keepdim=True)
        cosines = lite.encode_images(IMAGES) @ words.T
    correlation = torch.corrcoef(torch.stack([logits.flatten(), cosines.flatten()]))[0, 1]
    assert correlation > 0.3


def test_each_distinct_sentence_is_encoded_once(lite, monkeypatch):
    counts = []
    encode = lite.model.encode_text
    monkeypatch.setattr(lite.model, "encode_text", lambda tokens: counts.append(len(tokens)) or encode(tokens))
    vectors = lite.encode_texts(["a", "b", "a", "a"])
    assert counts == [2]
    torch.testing.assert_close(vectors[0], vectors[3])
    assert lite.encode_texts([]).shape == (0, 384)


def test_a_sentence_means_the_same_in_any_company(lite):
    alone = lite.encode_texts(["a ring"])
    beside = lite.encode_texts(["a ring", "a very long sentence about a galaxy with a bar, two arms and a large bulge"])
    torch.testing.assert_close(alone[0], beside[0], atol=1e-5, rtol=0)


def test_eight_views_different_and_four_where_handedness_counts():
    image = torch.arange(2 * 3 * 4 * 4).reshape(2, 3, 4, 4)
    assert len({view.numpy().tobytes() for view in eight_views(image)}) == 8
    turns = eight_views(image, mirror=False)
    assert len(turns) == 4
    assert torch.equal(turns[1], torch.rot90(image, 1, (2, 3)))


def test_depthwise_convolutions_compute_the_same_in_float32():
    layer = torch.nn.Conv2d(8, 8, 3, groups=8, padding=1)
    x = torch.randn(2, 8, 9, 9)
    wanted = layer(x)
    depthwise_in_fp32(layer)
    with torch.autocast("cpu", torch.bfloat16):
        result = layer(x)
    assert result.dtype == torch.float32
    torch.testing.assert_close(result, wanted)


def test_a_timm_tower_loads_from_a_local_file(tmp_path):
    import timm

    model = timm.create_model("test_efficientnet", num_classes=0)
    path = tmp_path / "tower.safetensors"
    save_file(model.state_dict(), path)
    encoder = build_vision(f"test_efficientnet@{path}")
    assert encoder.encode_images(IMAGES).shape == (4, encoder.dimension)
    with pytest.raises(InputError, match="no text tower"):
        encoder.encode_texts(["a"])
    save_file({"wrong": torch.zeros(1)}, path)
    with pytest.raises(InputError, match="do not fit test_efficientnet"):
        build_vision(f"test_efficientnet@{path}")
    path.write_bytes(b"junk")
    with pytest.raises(InputError, match="not a readable safetensors file"):
        build_vision(f"test_efficientnet@{path}")


def test_pickled_weights_are_not_loaded(tmp_path):
    path = tmp_path / "tower.pth"
    torch.save({}, path)
    with pytest.raises(InputError, match=r"not a \.safetensors file"):
        build_vision(f"test_efficientnet@{path}")


def test_unknown_names_say_which_are_known():
    with pytest.raises(InputError, match="unknown encoder 'light'; known are lite"):
        load_encoder("light")
    with pytest.raises(InputError, match="device 'toaster'"):
        load_encoder("lite", device="toaster")


def test_weights_with_another_checksum_are_refused(tmp_path):
    path = tmp_path / "w"
    path.write_bytes(b"x")
    with pytest.raises(InputError, match="has sha256"):
        verify_sha256(path, "0" * 64)
    with pytest.raises(InputError, match="is missing"):
        verify_sha256(tmp_path / "none", "0" * 64)


@pytest.mark.slow
@pytest.mark.real
def test_the_dinov2_derived_tower_loads_at_another_size(shared):
    file = shared / "weights" / "dinov2_vits14_timm_fp16.safetensors"
    encoder = load_encoder(f"vit_small_patch14_dinov2.lvd142m@{file}", words=False)
    assert encoder.dimension == 384
