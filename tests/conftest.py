"""Shared fixtures."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import settings

# How long an example takes tells more of the machine than of the program.
settings.register_profile("galaxalign", deadline=None)
settings.load_profile("galaxalign")


@pytest.fixture(scope="session")
def shared() -> Path:
    """Return the folder with the real galaxies; without it skip on a user's machine and fail in CI."""
    default = Path(__file__).parents[1] / ".." / "shared"
    folder = Path(os.environ.get("GALAXALIGN_SHARED", default)).resolve()
    if not (folder / "data" / "efigi" / "catalog.csv").is_file():
        reason = f"no real galaxies at {folder}; set GALAXALIGN_SHARED to the folder that holds data/efigi"
        if os.environ.get("CI"):
            pytest.fail(reason)
        pytest.skip(reason)
    return folder


@pytest.fixture
def tiny_clip():
    """Return a CLIP with random weights that trains in milliseconds, at 32 px."""
    import open_clip
    import torch

    from galaxalign.data.preprocessing import Preprocessing
    from galaxalign.encoders.clip import ClipEncoder

    torch.manual_seed(0)
    config = {
        "embed_dim": 16,
        "vision_cfg": {
            "timm_model_name": "test_efficientnet",
            "timm_model_pretrained": False,
            "timm_pool": "",
            "timm_proj": "linear",
            "image_size": 32,
        },
        "text_cfg": {"context_length": 77, "vocab_size": 49408, "width": 32, "heads": 2, "layers": 1},
        "custom_text": True,
    }
    model = open_clip.CustomTextCLIP(**{k: v for k, v in config.items() if k != "custom_text"})
    half = (0.5, 0.5, 0.5)
    return ClipEncoder(
        model,
        open_clip.get_tokenizer("RN50"),
        config,
        name="tiny",
        preprocessing=Preprocessing(size=32),
        mean=half,
        std=half,
    )
