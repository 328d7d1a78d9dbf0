"""Encoders with an image tower and a text tower."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from galaxalign.data.images import Preprocessing
from galaxalign.models.base import Pixels
from galaxalign.models.cpu import depthwise_in_fp32
from galaxalign.models.image_tower import ImageTower, Normalization


class ClipEncoder(ImageTower):
    """An open_clip model, the preprocessing it expects, and a symbol tower once there is one.

    Parameters
    ----------
    model : nn.Module
        open_clip CLIP or CustomTextCLIP with `visual`, `encode_text` and `logit_scale`.
    tokenizer : callable
        Sentences -> token ids (N, L).
    config : dict
        open_clip's model configuration, written into a saved folder.
    symbol : nn.Module, optional
        The tower for symbols; None: symbols go through the image tower.
    name, preprocessing, pixels, device
        See `ImageTower`.
    """

    def __init__(
        self,
        model: nn.Module,
        tokenizer: Any,
        config: dict[str, Any],
        *,
        name: str,
        preprocessing: Preprocessing,
        pixels: Normalization,
        symbol: nn.Module | None = None,
        device: torch.device | str = "cpu",
    ) -> None:
        super().__init__(name=name, preprocessing=preprocessing, pixels=pixels, device=device)
        self.config, self.tokenizer = config, tokenizer
        self.model = model.to(self.device).eval()
        self.symbol = symbol.to(self.device).eval() if symbol is not None else None
        self.dimension = int(config["embed_dim"])
        for tower in (self.model, self.symbol):
            if tower is not None:
                depthwise_in_fp32(tower)

    @property
    def has_words(self) -> bool:
        """Whether there is a text tower: yes."""
        return True

    @property
    def logit_scale(self) -> float:
        """What the model multiplies cosines with words by."""
        return float(self.model.logit_scale.detach().exp())  # type: ignore[operator]

    def set_log_scale(self, value: Tensor) -> None:
        """Set the logarithm of `logit_scale`."""
        with torch.no_grad():
            self.model.logit_scale.copy_(value)  # type: ignore[operator]

    @property
    def visual(self) -> nn.Module:
        """Return the image tower: normalised pixels (N, 3, S, S) -> vectors (N, D) of any length."""
        return self.model.visual  # type: ignore[return-value]

    @property
    def text_tower(self) -> nn.Module | None:
        """The text tower as a module of its own; None where the model keeps its layers among its own."""
        return getattr(self.model, "text", None)

    def copy_symbol_tower(self) -> None:
        """Start a symbol tower as a copy of the image tower (the method's stage 2)."""
        self.symbol = copy.deepcopy(self.visual)

    def tokenize(self, texts: Sequence[str]) -> Tensor:
        """Return token ids (N, L), cut to the longest sentence: padding costs time and changes nothing."""
        tokens: Tensor = self.tokenizer(list(texts)).to(self.device)
        if hasattr(self.model, "text") and hasattr(self.model.text, "transformer") and self._is_hf:
            longest = int((tokens != self._pad).sum(1).max())
            tokens = tokens[:, :longest]
        return tokens

    @property
    def _is_hf(self) -> bool:
        return "hf_model_name" in self.config.get("text_cfg", {})

    @property
    def _pad(self) -> int:
        return int(self.model.text.config.pad_token_id)  # type: ignore[union-attr,arg-type]

    @torch.inference_mode()
    def encode_texts(self, texts: Sequence[str]) -> Tensor:
        """Return unit vectors (N, D); each distinct sentence is encoded once."""
        # Sentences of like length stand together, so that little is spent on padding.
        distinct = sorted(set(texts), key=lambda text: (len(text), text))
        if not distinct:
            return torch.zeros(0, self.dimension, device=self.device)
        chunks = [
            self.model.encode_text(self.tokenize(distinct[i : i + 256])).float()  # type: ignore[operator]
            for i in range(0, len(distinct), 256)
        ]
        vectors = F.normalize(torch.cat(chunks), dim=-1)
        where = {text: i for i, text in enumerate(distinct)}
        return vectors[torch.tensor([where[text] for text in texts], device=self.device)]

    def encode_symbols(self, symbols: Pixels) -> Tensor:
        """Return unit vectors (N, D) of uint8 symbols; without a symbol tower the image tower sees them."""
        return self._encode(self.symbol if self.symbol is not None else self.visual, symbols)
