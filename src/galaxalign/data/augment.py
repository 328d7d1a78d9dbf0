"""Random changes that a galaxy image may undergo without becoming another galaxy."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from pydantic import BaseModel, ConfigDict, Field
from torch import Tensor

from galaxalign.data.images import Framing

__all__ = ["Augmentation", "augment", "canvas_framing", "canvas_framing_factor"]


class Augmentation(BaseModel):
    """How strongly training images vary.

    Parameters
    ----------
    rotate : bool
        Turn by any angle: a galaxy has no up.
    flip : bool
        Mirror half of the images; where handedness is a class the label is mirrored too.
    scale : float
        Largest change of the apparent size, as a factor minus one.
    shift : float
        Largest shift as a fraction of the frame.
    noise : float
        Standard deviation of added pixel noise, in 0..255, drawn up to this.
    colour : float
        Largest change of brightness, contrast and of each band, as a fraction.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    rotate: bool = True
    flip: bool = True
    scale: float = Field(0.15, ge=0, lt=1)
    shift: float = Field(0.05, ge=0, lt=0.5)
    noise: float = Field(4.0, ge=0)
    colour: float = Field(0.1, ge=0, lt=1)


def canvas_framing_factor(crop: float) -> float:
    """Return how much larger than the framed square the loaded picture should be, 1 to sqrt(2).

    A square turned by 45 degrees needs sqrt(2) of its side; where the frame has less, reflection fills in.

    Parameters
    ----------
    crop : float
        The framing's fraction of the shorter side.
    """
    return min(math.sqrt(2), 1 / crop)


def canvas_framing(framing: Framing) -> Framing:
    """Return how pictures are loaded that `augment` is to turn: the framed square and what lies around it."""
    factor = canvas_framing_factor(framing.crop)
    return Framing(crop=min(1.0, framing.crop * factor), size=round(framing.size * factor))


def augment(
    images: Tensor, settings: Augmentation, *, size: int, factor: float, generator: torch.Generator
) -> tuple[Tensor, Tensor]:
    """Return randomly changed images, resampled once, and which of them were mirrored.

    Parameters
    ----------
    images : Tensor (N, 3, L, L), uint8
        Canvases, `factor` times as wide as the frame.
    settings : Augmentation
    size : int
        Side S of the result.
    factor : float
        Canvas side over frame side.
    generator : torch.Generator
        On the CPU; the only source of randomness.

    Returns
    -------
    images : Tensor (N, 3, S, S), float32 in 0..255
    mirrored : Tensor (N,), bool
    """
    n, device = len(images), images.device

    def uniform(low: float, high: float, *shape: int) -> Tensor:
        return torch.rand(n, *shape, generator=generator) * (high - low) + low

    angle = uniform(0, 2 * math.pi if settings.rotate else 0)
    bound = math.log1p(settings.scale)
    zoom = torch.exp(uniform(-bound, bound)) / factor
    mirrored = uniform(0, 1) < (0.5 if settings.flip else 0.0)
    sign = torch.where(mirrored, -1.0, 1.0)
    cos, sin = torch.cos(angle) * zoom, torch.sin(angle) * zoom
    shift = uniform(-2 * settings.shift, 2 * settings.shift, 2) / factor
    # output x is mirrored first, then turned
    affine = torch.stack(
        [
            torch.stack([cos * sign, -sin, shift[:, 0]], 1),
            torch.stack([sin * sign, cos, shift[:, 1]], 1),
        ],
        1,
    ).to(device)
    grid = F.affine_grid(affine, [n, 3, size, size], align_corners=False)
    result = F.grid_sample(images.float(), grid, mode="bilinear", padding_mode="reflection", align_corners=False)
    if settings.colour:
        c = settings.colour
        gain = uniform(1 - c, 1 + c, 1, 1, 1) * uniform(1 - c / 2, 1 + c / 2, 3, 1, 1)
        mean = result.mean((1, 2, 3), keepdim=True)
        contrast = uniform(1 - c, 1 + c, 1, 1, 1).to(device)
        result = ((result - mean) * contrast + mean) * gain.to(device)
    if settings.noise:
        strength = uniform(0, settings.noise, 1, 1, 1)
        result = result + (torch.randn(result.shape, generator=generator) * strength).to(device)
    return result.clamp_(0, 255), mirrored
