"""The losses of discriminator and generator.

Discriminators return logits. Where a paper's discriminator ends in a sigmoid, the sigmoid is part of the loss.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import compress, repeat
from typing import Final, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from gan_pipelines.gan.config import ObjectiveName, PenaltyConfig
from gan_pipelines.gan.networks import Judgement
from gan_pipelines.gan.penalties import gradient_penalty, penalty_points


class Objective(NamedTuple):
    """A pair of losses over logits (N,). Each loss is a scalar that its network minimises."""

    discriminator_loss: Callable[[Tensor, Tensor], Tensor]
    """Takes the logits of real and of generated images."""
    generator_loss: Callable[[Tensor], Tensor] | None
    """Takes the logits of generated images. None where they are compared with those of real ones: then it is the loss
    of the discriminator with real and generated images exchanged."""
    threshold: Callable[[Tensor, Tensor], Tensor]
    """Takes the logits of real and of generated images; returns the logit above which an image counts as real."""


def _cross_entropy_discriminator(real_logits: Tensor, fake_logits: Tensor) -> Tensor:
    """-E log sigmoid(D(x)) - E log(1 - sigmoid(D(G(z)))): Goodfellow et al. 2014, equation 1."""
    return F.softplus(-real_logits).mean() + F.softplus(fake_logits).mean()


def _minimax_generator(fake_logits: Tensor) -> Tensor:
    """E log(1 - sigmoid(D(G(z)))): Goodfellow et al. 2014, equation 1."""
    return -F.softplus(fake_logits).mean()


def _non_saturating_generator(fake_logits: Tensor) -> Tensor:
    """-E log sigmoid(D(G(z))): Goodfellow et al. 2014, end of section 3."""
    return F.softplus(-fake_logits).mean()


def _least_squares_discriminator(real_logits: Tensor, fake_logits: Tensor) -> Tensor:
    """E (D(x) - 1)^2 / 2 + E D(G(z))^2 / 2: Mao et al. 2017, equation 9."""
    return ((real_logits - 1).square().mean() + fake_logits.square().mean()) / 2


def _least_squares_generator(fake_logits: Tensor) -> Tensor:
    """E (D(G(z)) - 1)^2 / 2: Mao et al. 2017, equation 9."""
    return (fake_logits - 1).square().mean() / 2


def _wasserstein_discriminator(real_logits: Tensor, fake_logits: Tensor) -> Tensor:
    """E D(G(z)) - E D(x): Arjovsky et al. 2017, algorithm 1, with the sign of a loss."""
    return fake_logits.mean() - real_logits.mean()


def _hinge_discriminator(real_logits: Tensor, fake_logits: Tensor) -> Tensor:
    """E max(0, 1 - D(x)) + E max(0, 1 + D(G(z))): Miyato et al. 2018, equation 16."""
    return F.relu(1 - real_logits).mean() + F.relu(1 + fake_logits).mean()


def _linear_generator(fake_logits: Tensor) -> Tensor:
    """-E D(G(z)): Arjovsky et al. 2017, algorithm 1; Miyato et al. 2018, equation 17."""
    return -fake_logits.mean()


def _relativistic(real_logits: Tensor, fake_logits: Tensor) -> Tensor:
    """-E log sigmoid(D(x) - D(G(z))) over pairs: Jolicoeur-Martineau 2018, RSGAN."""
    return F.softplus(fake_logits - real_logits).mean()


def _relativistic_average(real_logits: Tensor, fake_logits: Tensor) -> Tensor:
    """-E log sigmoid(D(x) - E D(G(z))) - E log(1 - sigmoid(D(G(z)) - E D(x))): the same, RaSGAN."""
    real_loss = F.softplus(fake_logits.mean() - real_logits).mean()
    return real_loss + F.softplus(fake_logits - real_logits.mean()).mean()


def _zero(real_logits: Tensor, fake_logits: Tensor) -> Tensor:
    return real_logits.new_zeros(())


def _half(real_logits: Tensor, fake_logits: Tensor) -> Tensor:
    """The midpoint of the targets 0 and 1."""
    return real_logits.new_full((), 0.5)


def _midpoint(real_logits: Tensor, fake_logits: Tensor) -> Tensor:
    """The midpoint of the means, since Wasserstein and relativistic logits are defined only up to a constant."""
    return (real_logits.mean() + fake_logits.mean()) / 2


OBJECTIVES: Final[dict[ObjectiveName, Objective]] = {
    "minimax": Objective(_cross_entropy_discriminator, _minimax_generator, _zero),
    "non_saturating": Objective(_cross_entropy_discriminator, _non_saturating_generator, _zero),
    "least_squares": Objective(_least_squares_discriminator, _least_squares_generator, _half),
    "wasserstein": Objective(_wasserstein_discriminator, _linear_generator, _midpoint),
    "hinge": Objective(_hinge_discriminator, _linear_generator, _zero),
    "relativistic": Objective(_relativistic, None, _midpoint),
    "relativistic_average": Objective(_relativistic_average, None, _midpoint),
}


class DiscriminatorLoss(nn.Module):
    """The loss of a discriminator step: objective, class loss and penalties.

    It is a module with a single forward pass, so that data-parallel wrappers average its gradients correctly.

    Attributes:
        penalty_factor: (), factor on all penalties, 1 at first. A tensor, since recorded steps take no numbers.
    """

    penalty_factor: Tensor

    def __init__(self, discriminator: nn.Module, objective: Objective, penalties: Sequence[PenaltyConfig]) -> None:
        super().__init__()
        self.discriminator = discriminator
        self.objective = objective
        self.penalties = penalties
        self.register_buffer("penalty_factor", torch.ones(()))

    def forward(
        self, real: Tensor, fake: Tensor, labels: Tensor | None, due: Sequence[bool] | None = None
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """Compute the loss of a batch of real and a batch of generated images.

        Args:
            real: (N, C, H, W) in [-1, 1].
            fake: (N, C, H, W) in [-1, 1].
            labels: (N,) class indices of both batches, or None.
            due: which of the penalties this step has; None: all.

        Returns:
            the scalar loss, and detached scalars: ``discriminator_loss``, the objective alone; ``real_accuracy`` and
            ``fake_accuracy``, the fractions of images on the right side of the objective's threshold; with an auxiliary
            classifier ``class_loss``, of real and generated images, and ``class_accuracy``, of real images; with
            penalties ``penalty``, their part of the loss, which is 0 in a step that has none.
        """
        real_logits, real_classes = _judge(self.discriminator, real, labels)
        fake_logits, fake_classes = _judge(self.discriminator, fake, labels)
        loss = objective_loss = self.objective.discriminator_loss(real_logits, fake_logits)
        threshold = self.objective.threshold(real_logits, fake_logits)
        metrics = {
            "discriminator_loss": objective_loss,
            "real_accuracy": (real_logits > threshold).float().mean(),
            "fake_accuracy": (fake_logits < threshold).float().mean(),
        }
        if real_classes is not None and fake_classes is not None and labels is not None:
            class_loss = F.cross_entropy(real_classes, labels) + F.cross_entropy(fake_classes, labels)
            loss = loss + class_loss
            metrics["class_loss"] = class_loss
            metrics["class_accuracy"] = (real_classes.argmax(dim=1) == labels).float().mean()
        if self.penalties:
            penalty = real.new_zeros(())
            for config in compress(self.penalties, due or repeat(True)):
                penalty = penalty + self._penalize(config, real, fake, labels)
            penalty = self.penalty_factor * penalty
            loss = loss + penalty
            metrics["penalty"] = penalty
        return loss, {name: value.detach() for name, value in metrics.items()}

    def _penalize(self, config: PenaltyConfig, real: Tensor, fake: Tensor, labels: Tensor | None) -> Tensor:
        """Compute a penalty, times its weight and the number of steps that it stands for."""
        points = penalty_points(config.at, real, fake)
        penalty = gradient_penalty(self.discriminator, points, labels, config.target_norm, config.one_sided)
        return config.every_steps * config.weight * penalty


def generator_loss(
    discriminator: nn.Module, objective: Objective, real: Tensor, fake: Tensor, labels: Tensor | None
) -> tuple[Tensor, dict[str, Tensor]]:
    """Compute the loss of a generator step: the objective and, with an auxiliary classifier, the class loss.

    Args:
        discriminator: maps images and labels to a `Judgement`.
        objective: the pair of losses.
        real: (N, C, H, W) in [-1, 1], real images; the discriminator sees them only if the objective compares them.
        fake: (N, C, H, W) in [-1, 1], generated images.
        labels: (N,) class indices of both batches, or None.

    Returns:
        the scalar loss, and detached scalars: ``generator_loss``, the objective alone; with an auxiliary classifier
        ``generator_class_loss``.
    """
    logits, classes = _judge(discriminator, fake, labels)
    if objective.generator_loss is None:
        real_logits, _ = _judge(discriminator, real, labels)
        loss = objective_loss = objective.discriminator_loss(logits, real_logits)
    else:
        loss = objective_loss = objective.generator_loss(logits)
    metrics = {"generator_loss": objective_loss.detach()}
    if classes is not None and labels is not None:
        class_loss = F.cross_entropy(classes, labels)
        loss = loss + class_loss
        metrics["generator_class_loss"] = class_loss.detach()
    return loss, metrics


def _judge(discriminator: nn.Module, images: Tensor, labels: Tensor | None) -> Judgement:
    """Run the discriminator and return its logits in fp32, whatever precision it runs in."""
    logits, class_logits = discriminator(images, labels)
    return Judgement(logits.float(), None if class_logits is None else class_logits.float())
