"""What discriminator and generator minimise, and the whole loss of a discriminator step as one module.

Discriminators give logits; where a paper ends its discriminator in a sigmoid, the sigmoid is in the loss.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from gan_pipelines.gan.config import ObjectiveName, PenaltyConfig
from gan_pipelines.gan.penalties import gradient_penalty, penalty_points

DISCRIMINATOR_METRICS: Final = ("discriminator_loss", "real_accuracy", "fake_accuracy", "penalty")


class Objective(NamedTuple):
    """A pair of losses over logits of shape (N,), each a scalar that its network minimises."""

    discriminator_loss: Callable[[Tensor, Tensor], Tensor]
    """Takes the logits of real and of generated images."""
    generator_loss: Callable[[Tensor], Tensor]
    """Takes the logits of generated images."""
    threshold: Callable[[Tensor, Tensor], Tensor]
    """The logit above which an image counts as judged real; takes the logits of real and of generated images."""


def _non_saturating_discriminator(real_logits: Tensor, fake_logits: Tensor) -> Tensor:
    """-E log sigmoid(D(x)) - E log(1 - sigmoid(D(G(z)))): Goodfellow et al. 2014, equation 1."""
    return F.softplus(-real_logits).mean() + F.softplus(fake_logits).mean()


def _non_saturating_generator(fake_logits: Tensor) -> Tensor:
    """-E log sigmoid(D(G(z))): Goodfellow et al. 2014, end of section 3."""
    return F.softplus(-fake_logits).mean()


def _wasserstein_discriminator(real_logits: Tensor, fake_logits: Tensor) -> Tensor:
    """E D(G(z)) - E D(x): falls as the critic tells real from generated. Arjovsky et al. 2017, algorithm 1."""
    return fake_logits.mean() - real_logits.mean()


def _wasserstein_generator(fake_logits: Tensor) -> Tensor:
    """-E D(G(z)): Arjovsky et al. 2017, algorithm 1."""
    return -fake_logits.mean()


def _zero(real_logits: Tensor, fake_logits: Tensor) -> Tensor:
    return real_logits.new_zeros(())


def _midpoint(real_logits: Tensor, fake_logits: Tensor) -> Tensor:
    """Halfway between the means: a critic's values have no zero of their own."""
    return (real_logits.mean() + fake_logits.mean()) / 2


OBJECTIVES: Final[dict[ObjectiveName, Objective]] = {
    "non_saturating": Objective(_non_saturating_discriminator, _non_saturating_generator, _zero),
    "wasserstein": Objective(_wasserstein_discriminator, _wasserstein_generator, _midpoint),
}


class DiscriminatorLoss(nn.Module):
    """Objective and penalty of one discriminator step, as one forward.

    One forward with one backward is what compiles as a whole and keeps the gradients of data-parallel training right.
    """

    def __init__(self, discriminator: nn.Module, objective: Objective, penalty: PenaltyConfig | None) -> None:
        super().__init__()
        self.discriminator = discriminator
        self.objective = objective
        self.penalty = penalty

    def forward(self, real: Tensor, fake: Tensor, labels: Tensor | None) -> tuple[Tensor, Tensor]:
        """Score a batch of real and a batch of generated images.

        Args:
            real: (N, C, H, W) in [-1, 1].
            fake: (N, C, H, W) in [-1, 1].
            labels: (N,) class indices of both batches, or None.

        Returns:
            the scalar loss, and the values of `DISCRIMINATOR_METRICS` as a detached tensor. ``discriminator_loss`` is
            without the penalty; an accuracy is the share of images on the right side of the objective's threshold.
        """
        real_logits = self.discriminator(real, labels).float()
        fake_logits = self.discriminator(fake, labels).float()
        loss = self.objective.discriminator_loss(real_logits, fake_logits)
        penalty = loss.new_zeros(())
        if self.penalty is not None:
            points = penalty_points(self.penalty.at, real, fake)
            penalty = self.penalty.weight * gradient_penalty(
                self.discriminator, points, labels, self.penalty.target_norm
            )
        threshold = self.objective.threshold(real_logits, fake_logits)
        accuracies = ((real_logits > threshold).float().mean(), (fake_logits < threshold).float().mean())
        return loss + penalty, torch.stack([loss, *accuracies, penalty]).detach()
