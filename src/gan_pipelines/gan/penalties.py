"""Gradient penalties and weight clipping, which bound the gradient of the discriminator."""

from __future__ import annotations

from typing import assert_never

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel

from gan_pipelines.gan.config import PenaltyPoint


def penalty_points(at: PenaltyPoint, real: Tensor, fake: Tensor) -> Tensor:
    """Choose the points of a gradient penalty, one per image.

    Args:
        at: ``real`` or ``fake``, the images themselves; ``line``, a uniformly random point on the line between a real
            and a generated image (Gulrajani et al. 2017, algorithm 1); ``dragan``, such a point between a real image
            and the same with noise (Kodali et al. 2017). The noise of a pixel is that of the authors' code: uniform
            between 0 and half the standard deviation of the batch.
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
            points = _between(real.float(), fake.float())
        case "dragan":
            points = _between(real, real + 0.5 * real.std() * torch.rand_like(real))
        case _:
            assert_never(at)
    return points.detach()


def _between(start: Tensor, end: Tensor) -> Tensor:
    """Choose a uniformly random point on the line between each pair of images."""
    return torch.lerp(start, end, torch.rand(len(start), 1, 1, 1, device=start.device))


def gradient_penalty(
    discriminator: nn.Module, points: Tensor, labels: Tensor | None, target_norm: float, one_sided: bool = False
) -> Tensor:
    """Compute the mean of (|grad_x D(x)|_2 - target_norm)^2 over the points.

    WGAN-GP is Gulrajani et al. 2017, equation 3, with target 1; one-sided it is WGAN-LP (Petzka et al. 2018). R1 and R2
    are Mescheder et al. 2018, equations 9 and 10, with target 0; their gamma / 2 is the weight of `PenaltyConfig`.

    Args:
        discriminator: maps images (N, C, H, W) and labels to a `Judgement`.
        points: (N, C, H, W).
        labels: (N,) class indices, or None.
        target_norm: norm of the gradient that has no penalty, over all pixels and channels of an image.
        one_sided: smaller norms have none either.

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
    excess = norms - target_norm
    return (F.relu(excess) if one_sided else excess).square().mean()


@torch.no_grad()
def clip_weights(discriminator: nn.Module, bound: float) -> None:
    """Clip every parameter to [-bound, bound], in place (Arjovsky et al. 2017, algorithm 1)."""
    for parameter in discriminator.parameters():
        parameter.clamp_(-bound, bound)
