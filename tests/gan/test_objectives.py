from __future__ import annotations

from typing import get_args

import numpy as np
import pytest
import torch
from torch import nn

from gan_pipelines.gan.config import ObjectiveName, PenaltyConfig
from gan_pipelines.gan.networks import Judgement
from gan_pipelines.gan.objectives import OBJECTIVES, DiscriminatorLoss, generator_loss

REAL = np.array([-1.5, 0.2, 0.6, 0.7])
FAKE = np.array([0.7, -2.0, 1.1, -0.4])


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


# The formulas as the papers print them, in NumPy.
FORMULAS = {
    "minimax": (
        lambda real, fake: -(np.log(sigmoid(real)).mean() + np.log(1 - sigmoid(fake)).mean()),
        lambda fake: np.log(1 - sigmoid(fake)).mean(),
    ),
    "non_saturating": (
        lambda real, fake: -np.log(sigmoid(real)).mean() - np.log(1 - sigmoid(fake)).mean(),
        lambda fake: -np.log(sigmoid(fake)).mean(),
    ),
    "least_squares": (
        lambda real, fake: 0.5 * ((real - 1) ** 2).mean() + 0.5 * (fake**2).mean(),
        lambda fake: 0.5 * ((fake - 1) ** 2).mean(),
    ),
    "wasserstein": (lambda real, fake: fake.mean() - real.mean(), lambda fake: -fake.mean()),
    "hinge": (
        lambda real, fake: np.maximum(0, 1 - real).mean() + np.maximum(0, 1 + fake).mean(),
        lambda fake: -fake.mean(),
    ),
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
    real, fake = torch.tensor(REAL), torch.tensor([0.7, 0.2, 0.8, 0.4])  # between the targets of least squares
    assert objective.discriminator_loss(real + better, fake - better) < objective.discriminator_loss(real, fake)
    assert objective.generator_loss(fake + better) < objective.generator_loss(fake)


def test_extreme_logits_stay_finite():
    huge = torch.tensor([-1e4, 1e4])
    for objective in OBJECTIVES.values():
        assert torch.isfinite(objective.discriminator_loss(huge, huge))
        assert torch.isfinite(objective.generator_loss(huge))


def test_an_image_counts_as_judged_real_above_the_middle_of_the_targets():
    real, fake = torch.tensor([3.0, 5.0]), torch.tensor([-1.0, 1.0])
    expected = {"minimax": 0, "non_saturating": 0, "least_squares": 0.5, "wasserstein": 2, "hinge": 0}
    assert {name: OBJECTIVES[name].threshold(real, fake).item() for name in expected} == expected


class MeanDiscriminator(nn.Module):
    """The logit is ten times the mean of the image."""

    def forward(self, images, labels=None):
        return Judgement(images.mean(dim=(1, 2, 3)) * 10)


def constant_images(*levels):
    return torch.tensor(levels).view(-1, 1, 1, 1).expand(-1, 3, 4, 4).contiguous()


def test_metrics_of_a_discriminator_step():
    real, fake = constant_images(0.5, 0.25, -0.125, 1.0), constant_images(-0.5, 0.75, -0.25, -1.0)
    loss, metrics = DiscriminatorLoss(MeanDiscriminator(), OBJECTIVES["non_saturating"], None)(real, fake, None)
    expected = FORMULAS["non_saturating"][0](np.array([5, 2.5, -1.25, 10]), np.array([-5, 7.5, -2.5, -10]))
    assert loss.item() == pytest.approx(expected, rel=1e-6)
    values = {name: value.item() for name, value in metrics.items()}
    assert values == pytest.approx({"discriminator_loss": expected, "real_accuracy": 0.75, "fake_accuracy": 0.75})


def test_a_critic_is_judged_around_the_middle_of_its_values():
    # All values are positive: around 0 every generated image would count as taken for real.
    real, fake = constant_images(0.9, 0.8, 0.55), constant_images(0.4, 0.5, 0.7)
    _, metrics = DiscriminatorLoss(MeanDiscriminator(), OBJECTIVES["wasserstein"], None)(real, fake, None)
    assert [metrics["real_accuracy"].item(), metrics["fake_accuracy"].item()] == pytest.approx([2 / 3, 2 / 3])


def test_the_weighted_penalty_is_added_once_and_reported_apart():
    # The gradient of the logit is 10 / 48 at each of 48 pixels: norm 10 / sqrt(48).
    real, fake = constant_images(0.5, 0.25), constant_images(-0.5, 0.75)
    penalty = PenaltyConfig(at="line", target_norm=1.0, weight=3.0)
    loss, metrics = DiscriminatorLoss(MeanDiscriminator(), OBJECTIVES["wasserstein"], penalty)(real, fake, None)
    expected = 3.0 * (10 / 48**0.5 - 1) ** 2
    assert metrics["penalty"].item() == pytest.approx(expected, rel=1e-5)
    assert loss.item() == pytest.approx(metrics["discriminator_loss"].item() + expected, rel=1e-5)


class ClassDiscriminator(nn.Module):
    """The logit is the mean of the image times its label."""

    def forward(self, images, labels=None):
        return Judgement(images.mean(dim=(1, 2, 3)) * labels)


def test_real_generated_and_penalised_images_are_judged_with_their_labels():
    # The gradient of a logit is label / 48 at each of 48 pixels.
    real, fake, labels = constant_images(1.0, 1.0), constant_images(0.5, 0.5), torch.tensor([2.0, 6.0])
    penalty = PenaltyConfig(at="line", target_norm=0.0, weight=1.0)
    _, metrics = DiscriminatorLoss(ClassDiscriminator(), OBJECTIVES["wasserstein"], penalty)(real, fake, labels)
    assert metrics["discriminator_loss"].item() == pytest.approx(0.5 * 4 - 4)
    assert metrics["penalty"].item() == pytest.approx((2**2 + 6**2) / 2 / 48)


class Classifying(nn.Module):
    """Logit: the mean of the image; class logits: its first pixels."""

    def forward(self, images, labels=None):
        return Judgement(images.mean(dim=(1, 2, 3)), images[:, 0, 0, :3])


def cross_entropy(class_logits, labels):
    shares = np.exp(class_logits) / np.exp(class_logits).sum(axis=1, keepdims=True)
    return -np.log(shares[np.arange(len(labels)), labels]).mean()


def test_an_auxiliary_classifier_learns_from_real_and_generated_images():
    real, fake, labels = torch.rand(4, 1, 4, 4), -torch.rand(4, 1, 4, 4), torch.tensor([0, 2, 1, 1])
    objective = OBJECTIVES["non_saturating"]
    loss, metrics = DiscriminatorLoss(Classifying(), objective, None)(real, fake, labels)
    pixels = real[:, 0, 0, :3].numpy(), fake[:, 0, 0, :3].numpy()
    class_loss = sum(cross_entropy(part, labels.numpy()) for part in pixels)
    adversarial = objective.discriminator_loss(real.mean(dim=(1, 2, 3)), fake.mean(dim=(1, 2, 3))).item()
    assert metrics["class_loss"].item() == pytest.approx(class_loss, rel=1e-5)
    assert metrics["discriminator_loss"].item() == pytest.approx(adversarial, rel=1e-5)
    assert loss.item() == pytest.approx(adversarial + class_loss, rel=1e-5)
    right = (pixels[0].argmax(axis=1) == labels.numpy()).mean()
    assert metrics["class_accuracy"].item() == pytest.approx(right)


def test_the_generator_is_asked_for_the_class_that_it_was_given():
    fake, labels = torch.rand(4, 1, 4, 4), torch.tensor([0, 2, 1, 1])
    objective = OBJECTIVES["hinge"]
    expected = -fake.mean().item() + cross_entropy(fake[:, 0, 0, :3].numpy(), labels.numpy())
    loss, metrics = generator_loss(Classifying(), objective, fake, labels)
    assert loss.item() == pytest.approx(expected, rel=1e-5)
    assert metrics["generator_loss"].item() == pytest.approx(-fake.mean().item(), rel=1e-5)
    assert sum(metrics.values()).item() == pytest.approx(expected, rel=1e-5)
    loss, metrics = generator_loss(MeanDiscriminator(), objective, fake, labels)
    assert loss.item() == pytest.approx(-10 * fake.mean().item(), rel=1e-5)
    assert set(metrics) == {"generator_loss"}
