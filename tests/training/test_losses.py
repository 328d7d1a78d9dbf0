"""Losses say what they are documented to say."""

from __future__ import annotations

import torch
import torch.nn.functional as F

from galaxalign.training.losses import alignment_loss, same, same_class_loss, sigmoid_loss


def unit(n: int, d: int = 8, seed: int = 0) -> torch.Tensor:
    return F.normalize(torch.randn(n, d, generator=torch.Generator().manual_seed(seed)), dim=-1)


SCALE = torch.tensor(10.0)


def test_pair_targets_are_clips_symmetric_cross_entropy():
    a, b = unit(6), unit(6, seed=1)
    logits = SCALE * a @ b.T
    wanted = (F.cross_entropy(logits, torch.arange(6)) + F.cross_entropy(logits.T, torch.arange(6))) / 2
    torch.testing.assert_close(alignment_loss(a, b, torch.eye(6), SCALE), wanted)


def test_pair_targets_punish_matches_of_the_same_class():
    a = unit(1).repeat(4, 1)
    y = torch.zeros(4, dtype=torch.long)
    other = torch.tensor([1])
    b = torch.cat([a, -a[:1]])
    yb = torch.cat([y, other])
    rightly = alignment_loss(a, b, same(y, yb), SCALE)
    uniform = torch.log(torch.tensor(4.0))
    torch.testing.assert_close(rightly, uniform, atol=1e-4, rtol=0)
    assert alignment_loss(a, a, torch.eye(4), SCALE) > 1.3


def test_same_class_targets_one_prompt_per_class_classifier():
    images, prompts = unit(10), unit(3, seed=1)
    y = torch.tensor([0, 1, 2, 0, 1, 2, 0, 0, 0, 1])
    logits = SCALE * images @ prompts.T
    forward = F.cross_entropy(logits, y)
    backward = -sum((F.log_softmax(logits.T, 1)[k] * (y == k).float()).sum() / (y == k).sum() for k in range(3)) / 3
    loss = alignment_loss(images, prompts, same(y, torch.arange(3)), SCALE)
    torch.testing.assert_close(loss, (forward + backward) / 2)


def test_log_prior_enters_choice_of_images_among_prompts_only():
    images, prompts, y = unit(5), unit(2, seed=1), torch.tensor([0, 0, 0, 1, 1])
    prior = torch.log(torch.tensor([0.9, 0.1]))
    k = torch.arange(2)
    plain = alignment_loss(images, prompts, same(y, k), SCALE)
    shifted = alignment_loss(images, prompts, same(y, k), SCALE, log_prior=prior)
    logits = SCALE * images @ prompts.T
    wanted = plain + (F.cross_entropy(logits + prior, y) - F.cross_entropy(logits, y)) / 2
    torch.testing.assert_close(shifted, wanted)


def test_a_class_without_partner_in_the_batch_is_left_out():
    a, b = unit(3), unit(2, seed=1)
    with_stranger = alignment_loss(a, b, same(torch.tensor([0, 1, 7]), torch.tensor([0, 1])), SCALE)
    assert torch.isfinite(with_stranger)
    nobody = alignment_loss(a, b, same(torch.tensor([5, 6, 7]), torch.tensor([0, 1])), SCALE)
    assert nobody == 0


def test_soft_targets_cross_entropy_match_made_to_sum_to_one():
    a, b = unit(3), unit(5, seed=1)
    match = torch.rand(3, 5, generator=torch.Generator().manual_seed(2))
    logits = SCALE * a @ b.T
    forward = F.cross_entropy(logits, match / match.sum(1, keepdim=True))
    backward = F.cross_entropy(logits.T, match.T / match.T.sum(1, keepdim=True))
    torch.testing.assert_close(alignment_loss(a, b, match, SCALE), (forward + backward) / 2)


def test_what_is_only_to_be_told_apart_from_does_not_choose():
    a, b = unit(3), unit(7, seed=1)
    match = torch.eye(3, 7)
    logits = SCALE * a @ b.T
    wanted = (F.cross_entropy(logits, torch.arange(3)) + F.cross_entropy(logits.T[:3], torch.arange(3))) / 2
    torch.testing.assert_close(alignment_loss(a, b, match, SCALE, askers=3), wanted)


def test_the_sigmoid_loss_judges_each_pair_by_itself():
    a, b, margin = unit(2), unit(3, seed=1), torch.tensor(0.4)
    match = torch.tensor([[1.0, 0.0, 0.25], [0.0, 1.0, 0.0]])
    p = torch.sigmoid(SCALE * (a @ b.T - margin))
    wanted = -(match * p.log() + (1 - match) * (1 - p).log()).sum() / 2
    torch.testing.assert_close(sigmoid_loss(a, b, match, SCALE, margin), wanted)


def test_every_two_galaxies_are_judged_by_themselves():
    a, y, margin = unit(4), torch.tensor([0, 0, 1, 2]), torch.tensor(0.3)
    losses = []
    for i in range(4):
        for j in range(4):
            if i != j:
                p = torch.sigmoid(SCALE * (a[i] @ a[j] - margin))
                t = 0.95 if y[i] == y[j] else 0.05
                losses.append(-t * torch.log(p) - (1 - t) * torch.log(1 - p))
    torch.testing.assert_close(same_class_loss(a, y, SCALE, margin, smoothing=0.1), torch.stack(losses).mean())
    assert same_class_loss(a[:1], y[:1], SCALE, margin) == 0
