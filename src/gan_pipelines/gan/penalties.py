"""Gradient penalties and weight clipping, which bound the gradient of the discriminator."""

from __future__ import annotations

from typing import assert_never

import torch
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel

from gan_pipelines.gan.config import PenaltyPoint


def penalty_points(at: PenaltyPoint, real: Tensor, fake: Tensor) -> Tensor:
    """Choose the points of a gradient penalty, one per image.

    Args:
        at: ``real`` or ``fake``, the images themselves; or ``line``, a uniformly random point on the line between a
            real and a generated image (Gulrajani et al. 2017, algorithm 1).
        real: (N, C, H, W) real images.
        fake: (N, C, H, W) generated images.

    Returns:
        (N, C, H, W), detached.
    """
    match at:
        case "real":
            points = real
        case "fake":
            points = fake.float()
        case "line":
            mix = torch.rand(len(real), 1, 1, 1, device=real.device)
            points = torch.lerp(real.float(), fake.float(), mix)
        case _:
            assert_never(at)
    return points.detach()


def gradient_penalty(discriminator: nn.Module, points: Tensor, labels: Tensor | None, target_norm: float) -> Tensor:
    """Compute the mean of (|grad_x D(x)|_2 - target_norm)^2 over the points.

    WGAN-GP is Gulrajani et al. 2017, equation 3, with target 1. R1 and R2 are Mescheder et al. 2018, equations 9 and
    10, with target 0; their gamma / 2 is the weight of `PenaltyConfig`.

    Args:
        discriminator: maps images (N, C, H, W) and labels to a `Judgement`.
        points: (N, C, H, W).
        labels: (N,) class indices, or None.
        target_norm: norm of the gradient that has no penalty, over all pixels and channels of an image.

    Returns:
        a scalar that can be differentiated with respect to the discriminator's weights.
    """
    points = points.detach().requires_grad_()
    with sdpa_kernel(SDPBackend.MATH):  # the only attention kernel with a second derivative
        logits = discriminator.forward(points, labels).logits  # uncompiled: torch.compile has no second derivative
    (gradients,) = torch.autograd.grad(logits.sum(), points, create_graph=True)
    squared_norms = gradients.float().square().sum(dim=(1, 2, 3))
    if target_norm == 0:
        return squared_norms.mean()
    norms = (squared_norms + 1e-12).sqrt()  # the gradient of sqrt is infinite at 0
    return (norms - target_norm).square().mean()


@torch.no_grad()
def clip_weights(discriminator: nn.Module, bound: float) -> None:
    """Clip every parameter to [-bound, bound], in place (Arjovsky et al. 2017, algorithm 1)."""
    for parameter in discriminator.parameters():
        parameter.clamp_(-bound, bound)
