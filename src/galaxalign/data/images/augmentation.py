"""Random changes of galaxy images that keep the class."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from pydantic import BaseModel, ConfigDict, Field
from torch import Tensor


class Augmentation(BaseModel):
    """How strongly training images vary.

    Parameters
    ----------
    rotate : bool
        Turn by any angle.
    flip : bool
        Mirror half of the images, and their labels where handedness is a class.
    scale : float
        Largest change of the apparent size, as a factor minus one.
    shift : float
        Largest shift as a fraction of the frame.
    noise : float
        Standard deviation of added pixel noise, in 0..255, drawn up to this.
    colour : float
        Largest change of brightness, contrast and of each band, as a fraction.
    telescopes : float
        Share of the images that imitate another survey: bands, stretch, seeing, sky level and depth.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    rotate: bool = True
    flip: bool = True
    scale: float = Field(0.15, ge=0, lt=1)
    shift: float = Field(0.05, ge=0, lt=0.5)
    noise: float = Field(4.0, ge=0)
    colour: float = Field(0.1, ge=0, lt=1)
    telescopes: float = Field(0.0, ge=0, le=1)


def augment(
    images: Tensor,
    settings: Augmentation,
    *,
    size: int,
    factor: float,
    generator: torch.Generator,
    views: tuple[float, float] | None = None,
) -> tuple[Tensor, Tensor]:
    """Return randomly changed images, resampled once, and which were mirrored.

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
    views : (float, float), optional
        Smallest and largest share of the canvas to show, in place of `settings.scale`. Above 1 the canvas is shown
        smaller, surrounded by sky as at its rim or, for half of the images, by black.

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
    smallest, largest = (-bound - math.log(factor), bound - math.log(factor))
    if views is not None:
        smallest, largest = math.log(views[0]), math.log(views[1])
    zoom = torch.exp(uniform(smallest, largest))
    mirrored = uniform(0, 1) < (0.5 if settings.flip else 0.0)
    sign = torch.where(mirrored, -1.0, 1.0)
    cos, sin = torch.cos(angle) * zoom, torch.sin(angle) * zoom
    shift = uniform(-2 * settings.shift, 2 * settings.shift, 2) * zoom[:, None]
    # output x is mirrored first, then turned
    affine = torch.stack(
        [
            torch.stack([cos * sign, -sin, shift[:, 0]], 1),
            torch.stack([sin * sign, cos, shift[:, 1]], 1),
        ],
        1,
    ).to(device)
    grid = F.affine_grid(affine, [n, 3, size, size], align_corners=False)
    result = _sampled(images.float(), grid, zoom.to(device) * images.shape[-1] / size)
    if views is not None and views[1] > 1:
        result = _surrounded(result, images, grid, zoom.to(device), generator)
    if settings.telescopes:
        result = _other_telescopes(result, settings.telescopes, generator)
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


def _sampled(images: Tensor, grid: Tensor, step: Tensor) -> Tensor:
    """Return the images sampled at a grid; shrink those with steps of two pixels or more first, against aliasing."""
    halvings = step.log2().round().clamp(0, 3).int()
    result = torch.empty((len(images), images.shape[1], *grid.shape[1:3]), device=images.device)
    for level in set(halvings.tolist()):
        chosen = halvings == level
        small = F.avg_pool2d(images[chosen], 2**level) if level else images[chosen]
        result[chosen] = F.grid_sample(
            small, grid[chosen], mode="bilinear", padding_mode="reflection", align_corners=False
        )
    return result


def _surrounded(shown: Tensor, images: Tensor, grid: Tensor, zoom: Tensor, generator: torch.Generator) -> Tensor:
    """Return images with sky or black, in place of reflections, around smaller canvases.

    Sky has the median and the scatter of the canvas's rim, one pixel wide, in each band.
    """
    n, bands, size, _ = shown.shape
    ends = images.float()
    rim = torch.cat([ends[:, :, 0], ends[:, :, -1], ends[:, :, :, 0], ends[:, :, :, -1]], 2)
    level = rim.median(2).values
    scatter = 1.4826 * (rim - level[:, :, None]).abs().median(2).values
    noise = torch.randn((n, bands, size, size), generator=generator).to(shown)
    sky = level[:, :, None, None] + scatter[:, :, None, None] * noise
    black = (torch.rand(n, generator=generator) < 0.5).to(shown.device)
    sky = torch.where(black[:, None, None, None], 0.0, sky)
    outside = (grid.abs() > 1).any(3)[:, None] & (zoom > 1)[:, None, None, None]
    return torch.where(outside, sky, shown)


def _other_telescopes(images: Tensor, share: float, generator: torch.Generator) -> Tensor:
    """Return images of which a share imitate another survey.

    Each image gets some of: grey from a random mixture of its bands, or its bands mixed anew and scaled (0.67 to 1.5
    times); a power-law stretch (exponent 0.5 to 2 of brightness); seeing (a Gaussian of up to 2 px); a sky level of
    up to 15 % of the range; noise of up to 8 % of it, correlated or not.
    """
    n, _, side, _ = images.shape
    device = images.device

    def uniform(low: float, high: float, *shape: int) -> Tensor:
        return (torch.rand(n, *shape, generator=generator) * (high - low) + low).to(device)

    def chosen(probability: float) -> Tensor:
        return (torch.rand(n, 1, 1, 1, generator=generator) < probability * share).float().to(device)

    x = images / 255
    mix = torch.softmax(uniform(-2, 2, 3, 3), dim=2)
    grey = (x * torch.softmax(uniform(-3, 3, 3), dim=1)[:, :, None, None]).sum(1, keepdim=True).expand_as(x)
    other = torch.einsum("nij,njhw->nihw", 0.6 * torch.eye(3, device=device) + 0.4 * mix, x)
    other = other * torch.exp(uniform(-0.4, 0.4, 3))[:, :, None, None]
    is_grey, is_other = chosen(0.4), chosen(0.6)
    x = is_grey * grey + (1 - is_grey) * (is_other * other + (1 - is_other) * x)
    curved = x.clamp(1e-4, 1) ** torch.exp(uniform(-math.log(2), math.log(2)))[:, None, None, None]
    bent = chosen(0.7)
    x = bent * curved + (1 - bent) * x
    # One separable Gaussian kernel for each image, as a depthwise convolution.
    sigma = uniform(0.3, 2.0)[:, None] * side / 128
    reach = torch.arange(-4, 5, device=device)[None, :]
    kernel = torch.exp(-0.5 * (reach / sigma) ** 2)
    kernel = (kernel / kernel.sum(1, keepdim=True)).repeat_interleave(3, 0)
    flat = F.pad(x.reshape(1, 3 * n, side, side), (4, 4, 4, 4), mode="reflect")
    blurred = F.conv2d(F.conv2d(flat, kernel[:, None, :, None], groups=3 * n), kernel[:, None, None, :], groups=3 * n)
    soft = chosen(0.5)
    x = soft * blurred.reshape(x.shape) + (1 - soft) * x
    sky = chosen(0.4) * uniform(0, 0.15)[:, None, None, None]
    x = x * (1 - sky) + sky
    noise = torch.randn((n, 3, side, side), generator=generator).to(device)
    coarse = F.interpolate(noise[:, :, : side // 2, : side // 2], scale_factor=side / (side // 2), mode="bilinear")
    noise = torch.where(uniform(0, 1, 1, 1, 1) < 0.5, noise, coarse)
    x = x + chosen(0.5) * uniform(0, 0.08)[:, None, None, None] * noise
    return x.clamp(0, 1) * 255
