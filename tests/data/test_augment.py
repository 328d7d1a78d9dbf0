"""Random changes of training images."""

from __future__ import annotations

import torch

from galaxalign.data.augment import Augmentation, augment

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
