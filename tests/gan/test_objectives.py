from __future__ import annotations

from dataclasses import replace
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
        lambda real, fake: np.log(1 - sigmoid(fake)).mean(),
    ),
    "non_saturating": (
        lambda real, fake: -np.log(sigmoid(real)).mean() - np.log(1 - sigmoid(fake)).mean(),
        lambda real, fake: -np.log(sigmoid(fake)).mean(),
    ),
    "least_squares": (
        lambda real, fake: 0.5 * ((real - 1) ** 2).mean() + 0.5 * (fake**2).mean(),
        lambda real, fake: 0.5 * ((fake - 1) ** 2).mean(),
    ),
    "wasserstein": (lambda real, fake: fake.mean() - real.mean(), lambda real, fake: -fake.mean()),
    "hinge": (
        lambda real, fake: np.maximum(0, 1 - real).mean() + np.maximum(0, 1 + fake).mean(),
        lambda real, fake: -fake.mean(),
    ),
    "relativistic": (
        lambda real, fake: -np.log(sigmoid(real - fake)).mean(),
        lambda real, fake: -np.log(sigmoid(fake - real)).mean(),
    ),
    "relativistic_average": (
        lambda real, fake: -np.log(sigmoid(real - fake.mean())).mean() - np.log(1 - sigmoid(fake - real.mean())).mean(),
        lambda real, fake: -np.log(sigmoid(fake - real.mean())).mean() - np.log(1 - sigmoid(real - fake.mean())).mean(),
    ),
}


def test_every_objective_has_a_formula_here_and_a_name_in_the_configuration():
    assert set(OBJECTIVES) == set(FORMULAS) == set(get_args(ObjectiveName))


class GivenLogits(nn.Module):
    """Takes logits for images."""

    def forward(self, images, labels=None):
        return Judgement(images)


def loss_of_generator(name, real, fake):
    """As a training computes it, in fp32."""
    return generator_loss(GivenLogits(), OBJECTIVES[name], real, fake, None)[0]


def slopes(formula, *logits):
    """Finite differences of a formula, for each of its arguments."""
    step = 1e-6
    for place in range(len(logits)):
        above, below = (
            [formula(*logits[:place], logits[place] + sign * nudge, *logits[place + 1 :]) for nudge in np.eye(4) * step]
            for sign in (1, -1)
        )
        yield (np.array(above) - np.array(below)) / (2 * step)


@pytest.mark.parametrize("name", FORMULAS)
def test_losses_equal_the_published_formulas_and_their_derivatives(name):
    discriminator_formula, generator_formula = FORMULAS[name]
    real = torch.tensor(REAL, requires_grad=True)
    fake = torch.tensor(FAKE, requires_grad=True)

    loss = OBJECTIVES[name].discriminator_loss(real, fake)
    assert loss.item() == pytest.approx(discriminator_formula(REAL, FAKE), rel=1e-12)
    loss.backward()
    for logits, expected in zip((real, fake), slopes(discriminator_formula, REAL, FAKE), strict=True):
        assert logits.grad.numpy() == pytest.approx(expected, abs=1e-8)

    fake.grad = None
    loss = loss_of_generator(name, torch.tensor(REAL), fake)
    assert loss.item() == pytest.approx(generator_formula(REAL, FAKE), rel=1e-6)
    loss.backward()
    _, expected = slopes(generator_formula, REAL, FAKE)
    assert fake.grad.numpy() == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize("name", FORMULAS)
def test_losses_fall_as_each_network_gets_better(name):
    objective, better = OBJECTIVES[name], 0.1
    real, fake = torch.tensor(REAL), torch.tensor([0.7, 0.2, 0.8, 0.4])  # between the targets of least squares
    assert objective.discriminator_loss(real + better, fake - better) < objective.discriminator_loss(real, fake)
    assert loss_of_generator(name, real, fake + better) < loss_of_generator(name, real, fake)


def test_extreme_logits_stay_finite():
    huge = torch.tensor([-1e4, 1e4])
    for name, objective in OBJECTIVES.items():
        assert torch.isfinite(objective.discriminator_loss(huge, huge))
        assert torch.isfinite(objective.discriminator_loss(huge, huge.flip(0)))
        assert torch.isfinite(loss_of_generator(name, huge, huge.flip(0)))


class CountingDiscriminator(GivenLogits):
    """Counts the batches that it judges."""

    batches = 0

    def forward(self, images, labels=None):
        self.batches += 1
        return super().forward(images, labels)


@pytest.mark.parametrize("name", FORMULAS)
def test_real_images_are_judged_for_the_generator_only_where_it_is_compared_with_them(name):
    discriminator = CountingDiscriminator()
    generator_loss(discriminator, OBJECTIVES[name], torch.tensor(REAL), torch.tensor(FAKE), None)
    assert discriminator.batches == (2 if name.startswith("relativistic") else 1)


def test_an_image_counts_as_judged_real_above_the_middle_of_the_targets():
    real, fake = torch.tensor([3.0, 5.0]), torch.tensor([-1.0, 1.0])
    expected = {"minimax": 0, "non_saturating": 0, "least_squares": 0.5, "wasserstein": 2, "hinge": 0}
    expected |= {"relativistic": 2, "relativistic_average": 2}
    assert {name: OBJECTIVES[name].threshold(real, fake).item() for name in expected} == expected


class MeanDiscriminator(nn.Module):
    """The logit is ten times the mean of the image."""

    def forward(self, images, labels=None):
        return Judgement(images.mean(dim=(1, 2, 3)) * 10)


def constant_images(*levels):
    return torch.tensor(levels).view(-1, 1, 1, 1).expand(-1, 3, 4, 4).contiguous()


def test_metrics_of_a_discriminator_step():
    real, fake = constant_images(0.5, 0.25, -0.125, 1.0), constant_images(-0.5, 0.75, -0.25, -1.0)
    loss, metrics = DiscriminatorLoss(MeanDiscriminator(), OBJECTIVES["non_saturating"], ())(real, fake, None)
    expected = FORMULAS["non_saturating"][0](np.array([5, 2.5, -1.25, 10]), np.array([-5, 7.5, -2.5, -10]))
    assert loss.item() == pytest.approx(expected, rel=1e-6)
    values = {name: value.item() for name, value in metrics.items()}
    assert values == pytest.approx({"discriminator_loss": expected, "real_accuracy": 0.75, "fake_accuracy": 0.75})


def test_a_critic_is_judged_around_the_middle_of_its_values():
    # All values are positive: around 0 every generated image would count as taken for real.
    real, fake = constant_images(0.9, 0.8, 0.55), constant_images(0.4, 0.5, 0.7)
    _, metrics = DiscriminatorLoss(MeanDiscriminator(), OBJECTIVES["wasserstein"], ())(real, fake, None)
    assert [metrics["real_accuracy"].item(), metrics["fake_accuracy"].item()] == pytest.approx([2 / 3, 2 / 3])


def test_the_weighted_penalty_is_added_once_and_reported_apart():
    # The gradient of the logit is 10 / 48 at each of 48 pixels: norm 10 / sqrt(48).
    real, fake = constant_images(0.5, 0.25), constant_images(-0.5, 0.75)
    penalty = PenaltyConfig(at="line", target_norm=1.0, weight=3.0)
    loss, metrics = DiscriminatorLoss(MeanDiscriminator(), OBJECTIVES["wasserstein"], [penalty])(real, fake, None)
    expected = 3.0 * (10 / 48**0.5 - 1) ** 2
    assert metrics["penalty"].item() == pytest.approx(expected, rel=1e-5)
    assert loss.item() == pytest.approx(metrics["discriminator_loss"].item() + expected, rel=1e-5)


R1, R2 = PenaltyConfig(at="real", target_norm=0.0, weight=2.0), PenaltyConfig(at="fake", target_norm=0.0, weight=3.0)


class CubicDiscriminator(nn.Module):
    """The logit is a third of the sum of cubes: its gradient is the squares."""

    def forward(self, images, labels=None):
        return Judgement((images**3).sum(dim=(1, 2, 3)) / 3)


def penalize(*penalties, due=None):
    real, fake = constant_images(0.5, 0.25), constant_images(-1.0, 0.75)
    loss, metrics = DiscriminatorLoss(CubicDiscriminator(), OBJECTIVES["hinge"], penalties)(real, fake, None, due)
    assert loss.item() == pytest.approx(metrics["discriminator_loss"].item() + metrics["penalty"].item())
    return metrics["penalty"].item()


def test_several_penalties_add_up():
    # Of 48 equal pixels, the squared norm of the gradient is 48 times the fourth power of one.
    first, second = 2.0 * 48 * (0.5**4 + 0.25**4) / 2, 3.0 * 48 * (1 + 0.75**4) / 2
    assert penalize(R1) == pytest.approx(first)
    assert penalize(R2) == pytest.approx(second)
    assert penalize(R1, R2) == pytest.approx(first + second)


def test_a_one_sided_penalty_takes_only_the_norms_above_its_target():
    # The gradients of the real images have norms of 0.25 * sqrt(48) and 0.0625 * sqrt(48): above 1 and below.
    one_sided = PenaltyConfig(at="real", target_norm=1.0, one_sided=True, weight=2.0)
    assert penalize(one_sided) == pytest.approx(2.0 * (0.25 * 48**0.5 - 1) ** 2 / 2)


def test_over_its_steps_a_lazy_penalty_is_that_of_every_step():
    lazy = replace(R1, every_steps=4)
    parts = [penalize(lazy, R2, due=[step == 4, True]) - penalize(R2) for step in range(1, 5)]
    assert parts[:3] == [0, 0, 0]
    assert sum(parts) / 4 == pytest.approx(penalize(R1))


class ClassDiscriminator(nn.Module):
    """The logit is the mean of the image times its label."""

    def forward(self, images, labels=None):
        return Judgement(images.mean(dim=(1, 2, 3)) * labels)


def test_real_generated_and_penalised_images_are_judged_with_their_labels():
    # The gradient of a logit is label / 48 at each of 48 pixels.
    real, fake, labels = constant_images(1.0, 1.0), constant_images(0.5, 0.5), torch.tensor([2.0, 6.0])
    penalty = PenaltyConfig(at="line", target_norm=0.0, weight=1.0)
    _, metrics = DiscriminatorLoss(ClassDiscriminator(), OBJECTIVES["wasserstein"], [penalty])(real, fake, labels)
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
    loss, metrics = DiscriminatorLoss(Classifying(), objective, ())(real, fake, labels)
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
    loss, metrics = generator_loss(Classifying(), objective, -fake, fake, labels)
    assert loss.item() == pytest.approx(expected, rel=1e-5)
    assert metrics["generator_loss"].item() == pytest.approx(-fake.mean().item(), rel=1e-5)
    assert sum(metrics.values()).item() == pytest.approx(expected, rel=1e-5)
    loss, metrics = generator_loss(MeanDiscriminator(), objective, -fake, fake, labels)
    assert loss.item() == pytest.approx(-10 * fake.mean().item(), rel=1e-5)
    assert set(metrics) == {"generator_loss"}
