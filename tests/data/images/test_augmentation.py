"""Random changes of training images."""

from __future__ import annotations

import pytest
import torch

from galaxalign.data.images.augmentation import Augmentation, augment

STILL = Augmentation(rotate=False, flip=False, scale=0, shift=0, noise=0, colour=0)


def canvas(n: int = 4, side: int = 32) -> torch.Tensor:
    return torch.randint(0, 256, (n, 3, side, side), generator=torch.Generator().manual_seed(1)).to(torch.uint8)


def run(images: torch.Tensor, settings: Augmentation, size: int, factor: float, seed: int = 0):
    return augment(images, settings, size=size, factor=factor, generator=torch.Generator().manual_seed(seed))


def test_without_changes_the_frame_comes_out_as_it_went_in():
    images = canvas()
    result, mirrored = run(images, STILL, 32, 1.0)
    torch.testing.assert_close(result, images.float(), atol=0.01, rtol=0)
    assert not mirrored.any()


def test_a_wider_canvas_is_cut_to_its_middle():
    images = canvas(side=40)
    result, _ = run(images, STILL, 20, 2.0)
    torch.testing.assert_close(result, images.float()[:, :, 10:30, 10:30], atol=0.01, rtol=0)


def test_a_mirrored_image_is_the_mirror_image_and_is_reported():
    images = canvas(64)
    result, mirrored = run(images, STILL.model_copy(update={"flip": True}), 32, 1.0)
    assert 10 < int(mirrored.sum()) < 54
    wanted = torch.where(mirrored[:, None, None, None], images.flip(3).float(), images.float())
    torch.testing.assert_close(result, wanted, atol=0.01, rtol=0)


def test_the_same_generator_gives_the_same_images():
    first, _ = run(canvas(), Augmentation(), 32, 1.0, seed=5)
    again, _ = run(canvas(), Augmentation(), 32, 1.0, seed=5)
    other, _ = run(canvas(), Augmentation(), 32, 1.0, seed=6)
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
    assert first.min() >= 0
    assert first.max() <= 255


def test_a_turn_keeps_the_centre_in_place():
    images = torch.zeros(8, 3, 33, 33, dtype=torch.uint8)
    images[:, :, 15:18, 15:18] = 200
    result, _ = run(images, STILL.model_copy(update={"rotate": True}), 33, 1.0)
    assert (result[:, :, 16, 16] > 190).all()


def shown_smaller(images: torch.Tensor, settings: Augmentation = STILL) -> torch.Tensor:
    """Return the images at half their size, in the middle of a frame of the size that they have."""
    generator = torch.Generator().manual_seed(3)
    return augment(images, settings, size=images.shape[-1], factor=1.0, generator=generator, views=(2.0, 2.0))[0]


def middle_of(images: torch.Tensor) -> torch.Tensor:
    """Return which pixels (S, S) the images cover when they are shown at half their size."""
    side = images.shape[-1]
    inside = torch.zeros(side, side, dtype=torch.bool)
    inside[side // 4 : -side // 4, side // 4 : -side // 4] = True
    return inside


def test_around_image_shown_smaller_is_sky_as_at_rim_or_black():
    levels = torch.tensor([30.0, 60.0, 90.0])
    images = levels[:, None, None].expand(64, 3, 32, 32).clone()
    images[:, :, 12:20, 12:20] = 200
    images[:, :, 2:6, 2:6] = 250  # beside the rim, where a reflection would show it again
    images = images.to(torch.uint8)
    result, inside = shown_smaller(images), middle_of(images)
    halved = torch.nn.functional.avg_pool2d(images.float(), 2)
    torch.testing.assert_close(result[:, :, inside], halved.flatten(2), atol=0.01, rtol=0)
    outside = result[:, :, ~inside]
    black = (outside == 0).all(2).all(1)
    assert 16 < int(black.sum()) < 48
    torch.testing.assert_close(outside[~black], levels[:, None].expand_as(outside[~black]), atol=0.01, rtol=0)


def test_the_sky_around_has_the_scatter_of_the_rim():
    generator = torch.Generator().manual_seed(0)
    images = (60 + 5 * torch.randn(32, 3, 64, 64, generator=generator)).round().to(torch.uint8)
    images[:, :, 20:44, 20:44] = 255
    outside = shown_smaller(images)[:, :, ~middle_of(images)]
    sky = outside[outside.mean((1, 2)) > 30]
    assert 8 < len(sky) < 24
    assert float(sky.mean()) == pytest.approx(60, abs=1)
    assert float(sky.std(2).mean()) == pytest.approx(5, rel=0.2)


def test_galaxy_shown_smaller_once_however_turned_and_shifted():
    place = torch.arange(32.0)
    blob = 250 * torch.exp(-((place - 21) ** 2) / 18)
    images = (blob[:, None] * blob[None, :] / 250).round().expand(32, 3, 32, 32).to(torch.uint8)
    turned = STILL.model_copy(update={"rotate": True, "flip": True, "shift": 0.05})
    flux = shown_smaller(images, turned).sum((2, 3))
    torch.testing.assert_close(flux, images.float().sum((2, 3)) / 4, rtol=0.05, atol=0)


def test_a_view_of_a_part_is_what_it_is_without_views():
    # the same zooms, said in the two ways
    settings = Augmentation(scale=0.25)
    images = canvas(16, side=64)
    plain, mirrored = run(images, settings, 32, 2.0)
    generator = torch.Generator().manual_seed(0)
    viewed, also = augment(images, settings, size=32, factor=2.0, generator=generator, views=(0.4, 0.625))
    torch.testing.assert_close(viewed, plain, atol=0.1, rtol=0)
    assert torch.equal(mirrored, also)


def test_up_to_whole_canvas_corners_reflections_and_never_black():
    images = torch.full((32, 3, 32, 32), 200, dtype=torch.uint8)
    turned = STILL.model_copy(update={"rotate": True})
    generator = torch.Generator().manual_seed(0)
    result, _ = augment(images, turned, size=32, factor=1.0, generator=generator, views=(0.5, 1.0))
    torch.testing.assert_close(result, images.float(), atol=0.01, rtol=0)


def test_where_some_shown_smaller_others_still_have_no_black():
    images = torch.full((64, 3, 32, 32), 200, dtype=torch.uint8)
    images[:, :, 8:24, 8:24] = 100  # its area tells how large an image is shown
    turned = STILL.model_copy(update={"rotate": True})
    generator = torch.Generator().manual_seed(0)
    result, _ = augment(images, turned, size=32, factor=1.0, generator=generator, views=(0.6, 1.6))
    area = ((result[:, 0] - 100).abs() < 1).sum((1, 2))
    larger, smaller = result[area > 300], result[area < 180]
    assert min(len(larger), len(smaller)) > 10
    assert larger.min() > 99
    assert 0.2 < float((smaller.amin((1, 2, 3)) == 0).float().mean()) < 0.8


@pytest.mark.parametrize("times", [2, 4])
def test_detail_finer_than_the_frame_comes_out_grey_not_as_dots(times):
    board = 255 * (torch.arange(32 * times)[:, None] + torch.arange(32 * times)[None, :]) % 510
    images = board.expand(16, 3, *board.shape).to(torch.uint8)
    moved = STILL.model_copy(update={"rotate": True, "shift": 0.05})
    generator = torch.Generator().manual_seed(0)
    result, _ = augment(images, moved, size=32, factor=1.0, generator=generator, views=(1.0, 1.0))
    torch.testing.assert_close(result, torch.full_like(result, 127.5), atol=0.5, rtol=0)


def test_detail_that_the_frame_can_hold_stays():
    board = (255 * (torch.arange(32)[:, None] + torch.arange(32)[None, :]) % 510).expand(2, 3, 32, 32).to(torch.uint8)
    result, _ = augment(board, STILL, size=32, factor=1.0, generator=torch.Generator(), views=(1.0, 1.0))
    torch.testing.assert_close(result, board.float(), atol=0.01, rtol=0)
