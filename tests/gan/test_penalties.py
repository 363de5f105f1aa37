from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from gan_pipelines.gan.networks import Judgement
from gan_pipelines.gan.penalties import clip_weights, gradient_penalty, penalty_points


class LinearCritic(nn.Module):
    def __init__(self, weights):
        super().__init__()
        self.weights = nn.Parameter(weights)

    def forward(self, images, labels=None):
        return Judgement(images.flatten(1) @ self.weights)


class CurvedCritic(LinearCritic):
    def forward(self, images, labels=None):
        return Judgement(F.softplus(super().forward(images).logits) ** 2)


@pytest.mark.parametrize("target", [0.0, 1.0, 2.5])
def test_of_a_linear_critic_the_gradient_is_its_weights(target):
    critic = LinearCritic(torch.tensor([3.0, 0.0, -4.0, 0.0]))
    penalty = gradient_penalty(critic, torch.randn(5, 1, 2, 2), None, target)
    assert penalty.item() == pytest.approx((5 - target) ** 2, rel=1e-5)


@pytest.mark.parametrize(("target", "one_sided"), [(0.0, False), (1.0, False), (1.0, True)])
def test_gradients_with_respect_to_the_weights_equal_finite_differences(target, one_sided):
    points = torch.randn(6, 1, 2, 2, dtype=torch.float64)
    weights = torch.tensor([0.5, -1.0, 0.25, 2.0], dtype=torch.float64)

    def penalty_by_hand(weights):
        # d/dx softplus(w x)^2 = 2 softplus(w x) sigmoid(w x) w
        inner = points.flatten(1) @ weights
        norms = (2 * F.softplus(inner) * torch.sigmoid(inner)).abs() * weights.norm()
        assert norms.min() < 1 < norms.max()  # both sides are there
        return ((norms - target) * (1 - one_sided * (norms < target).double())).square().mean()

    critic = CurvedCritic(weights.clone())
    penalty = gradient_penalty(critic, points, None, target, one_sided)
    penalty.backward()
    assert penalty.item() == pytest.approx(penalty_by_hand(weights).item(), rel=1e-6)
    step = 1e-6
    for index in range(4):
        nudge = torch.zeros_like(weights)
        nudge[index] = step
        slope = (penalty_by_hand(weights + nudge) - penalty_by_hand(weights - nudge)) / (2 * step)
        assert critic.weights.grad[index].item() == pytest.approx(slope.item(), rel=1e-5)


@pytest.mark.parametrize(("slope", "expected"), [(0.5, 0.0), (1.0, 0.0), (3.0, 4.0)])
def test_on_one_side_only_larger_norms_are_penalised(slope, expected):
    critic = LinearCritic(torch.tensor([slope, 0.0, 0.0, 0.0]))
    penalty = gradient_penalty(critic, torch.randn(5, 1, 2, 2), None, 1.0, one_sided=True)
    assert penalty.item() == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize("target", [0.0, 1.0])
def test_a_flat_critic_gives_finite_gradients(target):
    critic = LinearCritic(torch.zeros(4))
    penalty = gradient_penalty(critic, torch.randn(3, 1, 2, 2), None, target)
    assert penalty.item() == pytest.approx(target, abs=1e-5)
    penalty.backward()
    assert torch.isfinite(critic.weights.grad).all()


def test_points_of_the_line_lie_between_the_pair_each_at_its_own_place():
    real, fake = torch.zeros(64, 3, 4, 4), torch.ones(64, 3, 4, 4)
    points = penalty_points("line", real, fake)
    places = points[:, 0, 0, 0]
    assert torch.equal(points, places.view(-1, 1, 1, 1).expand_as(points))
    assert places.min() >= 0
    assert places.max() <= 1
    assert places.unique().numel() == 64
    assert places.mean().item() == pytest.approx(0.5, abs=0.12)


def test_points_near_real_images_have_noise_of_up_to_half_the_standard_deviation():
    real = torch.randn(256, 1, 8, 8) * 2 + 3
    points = penalty_points("dragan", real, torch.full_like(real, torch.nan))
    shares = (points - real) / (0.5 * real.std())  # of each image a share of its own, times uniform noise
    assert shares.min() >= 0
    assert shares.max() <= 1
    largest = shares.amax(dim=(1, 2, 3))
    assert largest.unique().numel() == 256
    assert largest.mean().item() == pytest.approx(0.5 * 64 / 65, abs=0.06)
    noise = shares / largest.view(-1, 1, 1, 1)
    assert noise.mean().item() == pytest.approx(0.5 * 65 / 64, abs=0.02)
    assert noise.var(dim=0).min() > 0.05


def test_points_at_real_and_at_fake_are_those_and_carry_no_graph():
    real, fake = torch.randn(2, 1, 2, 2), torch.randn(2, 1, 2, 2, requires_grad=True)
    assert torch.equal(penalty_points("real", real, fake), real)
    assert torch.equal(penalty_points("fake", real, fake), fake)
    assert not penalty_points("fake", real, fake).requires_grad
    assert not penalty_points("line", real, fake).requires_grad
    assert not penalty_points("dragan", real.requires_grad_(), fake).requires_grad


def test_clipping_bounds_every_parameter_and_moves_no_other():
    critic = nn.Sequential(nn.Linear(3, 3), nn.BatchNorm1d(3))
    critic[0].weight.data = torch.tensor([[-2.0, -0.5, -0.1], [0.0, 0.1, 0.5], [0.6, 1.0, 2.0]])
    clip_weights(critic, 0.5)
    assert critic[0].weight.tolist() == torch.tensor([[-0.5, -0.5, -0.1], [0.0, 0.1, 0.5], [0.5, 0.5, 0.5]]).tolist()
    assert critic[1].weight.tolist() == [0.5, 0.5, 0.5]
