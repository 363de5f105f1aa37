from __future__ import annotations

from typing import get_args

import numpy as np
import pytest
import torch
from torch import nn

from gan_pipelines.gan.config import ObjectiveName, PenaltyConfig
from gan_pipelines.gan.objectives import OBJECTIVES, DiscriminatorLoss

REAL = np.array([-1.5, 0.2, 3.0, 0.9])
FAKE = np.array([0.7, -2.0, 1.1, -0.4])


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


# The formulas as the papers print them, in NumPy.
FORMULAS = {
    "non_saturating": (
        lambda real, fake: -np.log(sigmoid(real)).mean() - np.log(1 - sigmoid(fake)).mean(),
        lambda fake: -np.log(sigmoid(fake)).mean(),
    ),
    "wasserstein": (lambda real, fake: fake.mean() - real.mean(), lambda fake: -fake.mean()),
}


def test_every_objective_has_a_formula_here_and_a_name_in_the_configuration():
    assert set(OBJECTIVES) == set(FORMULAS) == set(get_args(ObjectiveName))


@pytest.mark.parametrize("name", FORMULAS)
def test_losses_equal_the_published_formulas_and_their_derivatives(name):
    objective = OBJECTIVES[name]
    discriminator_formula, generator_formula = FORMULAS[name]
    real = torch.tensor(REAL, requires_grad=True)
    fake = torch.tensor(FAKE, requires_grad=True)

    loss = objective.discriminator_loss(real, fake)
    assert loss.item() == pytest.approx(discriminator_formula(REAL, FAKE), rel=1e-12)
    loss.backward()
    assert objective.generator_loss(fake).item() == pytest.approx(generator_formula(FAKE), rel=1e-12)

    step = 1e-6
    for index in range(len(REAL)):
        nudge = np.eye(len(REAL))[index] * step
        slope = (discriminator_formula(REAL + nudge, FAKE) - discriminator_formula(REAL - nudge, FAKE)) / (2 * step)
        assert real.grad[index].item() == pytest.approx(slope, abs=1e-8)
        slope = (discriminator_formula(REAL, FAKE + nudge) - discriminator_formula(REAL, FAKE - nudge)) / (2 * step)
        assert fake.grad[index].item() == pytest.approx(slope, abs=1e-8)


@pytest.mark.parametrize("name", FORMULAS)
def test_losses_fall_as_each_network_gets_better(name):
    objective, better = OBJECTIVES[name], 0.1
    real, fake = torch.tensor(REAL), torch.tensor(FAKE)
    assert objective.discriminator_loss(real + better, fake - better) < objective.discriminator_loss(real, fake)
    assert objective.generator_loss(fake + better) < objective.generator_loss(fake)


def test_extreme_logits_stay_finite():
    huge = torch.tensor([-1e4, 1e4])
    assert torch.isfinite(OBJECTIVES["non_saturating"].discriminator_loss(huge, huge))


class MeanDiscriminator(nn.Module):
    """The logit is ten times the mean of the image."""

    def forward(self, images, labels=None):
        return images.mean(dim=(1, 2, 3)) * 10


def constant_images(*levels):
    return torch.tensor(levels).view(-1, 1, 1, 1).expand(-1, 3, 4, 4).contiguous()


def test_metrics_of_a_discriminator_step():
    real, fake = constant_images(0.5, 0.25, -0.125, 1.0), constant_images(-0.5, 0.75, -0.25, -1.0)
    loss, metrics = DiscriminatorLoss(MeanDiscriminator(), OBJECTIVES["non_saturating"], None)(real, fake, None)
    expected = FORMULAS["non_saturating"][0](np.array([5, 2.5, -1.25, 10]), np.array([-5, 7.5, -2.5, -10]))
    assert loss.item() == pytest.approx(expected, rel=1e-6)
    assert metrics.tolist() == pytest.approx([expected, 0.75, 0.75, 0.0], rel=1e-6)


def test_a_critic_is_judged_around_the_middle_of_its_values():
    # All values are positive: around 0 every generated image would count as taken for real.
    real, fake = constant_images(0.9, 0.8, 0.55), constant_images(0.4, 0.5, 0.7)
    _, metrics = DiscriminatorLoss(MeanDiscriminator(), OBJECTIVES["wasserstein"], None)(real, fake, None)
    assert metrics[1:3].tolist() == pytest.approx([2 / 3, 2 / 3])


def test_the_weighted_penalty_is_added_once_and_reported_apart():
    # The gradient of the logit is 10 / 48 at each of 48 pixels: norm 10 / sqrt(48).
    real, fake = constant_images(0.5, 0.25), constant_images(-0.5, 0.75)
    penalty = PenaltyConfig(at="line", target_norm=1.0, weight=3.0)
    loss, metrics = DiscriminatorLoss(MeanDiscriminator(), OBJECTIVES["wasserstein"], penalty)(real, fake, None)
    expected = 3.0 * (10 / 48**0.5 - 1) ** 2
    assert metrics[3].item() == pytest.approx(expected, rel=1e-5)
    assert loss.item() == pytest.approx(metrics[0].item() + expected, rel=1e-5)


class ClassDiscriminator(nn.Module):
    """The logit is the mean of the image times its label."""

    def forward(self, images, labels=None):
        return images.mean(dim=(1, 2, 3)) * labels


def test_real_generated_and_penalised_images_are_judged_with_their_labels():
    # The gradient of a logit is label / 48 at each of 48 pixels.
    real, fake, labels = constant_images(1.0, 1.0), constant_images(0.5, 0.5), torch.tensor([2.0, 6.0])
    penalty = PenaltyConfig(at="line", target_norm=0.0, weight=1.0)
    _, metrics = DiscriminatorLoss(ClassDiscriminator(), OBJECTIVES["wasserstein"], penalty)(real, fake, labels)
    assert metrics[0].item() == pytest.approx(0.5 * 4 - 4)
    assert metrics[3].item() == pytest.approx((2**2 + 6**2) / 2 / 48)
