"""What bounds a discriminator's slope: gradient penalties along two axes (where, and which norm), and clipping."""

from __future__ import annotations

from typing import assert_never

import torch
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel

from gan_pipelines.gan.config import PenaltyPoint


def penalty_points(at: PenaltyPoint, real: Tensor, fake: Tensor) -> Tensor:
    """Choose the points of a gradient penalty, one per image.

    Args:
        at: ``real``; ``fake``; or ``line``: a uniform draw, per image, on the straight line between a real and a
            generated image (Gulrajani et al. 2017, algorithm 1).
        real: (N, C, H, W).
        fake: (N, C, H, W).

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
    """Mean of (|grad_x D(x)|_2 - target_norm)^2 over the points.

    Gulrajani et al. 2017, equation 3 (target 1); Mescheder et al. 2018, equations 9 and 10 (target 0; their gamma / 2
    is the weight here).

    Args:
        discriminator: maps (N, C, H, W) and labels to a judgement with logits (N,).
        points: (N, C, H, W).
        labels: (N,) or None.
        target_norm: the norm that is not penalised, over all pixels and channels of an image.

    Returns:
        a scalar, differentiable with respect to the discriminator's weights.
    """
    points = points.detach().requires_grad_()
    with sdpa_kernel(SDPBackend.MATH):  # the kernel of attention that can be differentiated twice
        logits = discriminator.forward(points, labels).logits  # not compiled: torch.compile differentiates only once
    (gradients,) = torch.autograd.grad(logits.sum(), points, create_graph=True)
    squared_norms = gradients.float().square().sum(dim=(1, 2, 3))
    if target_norm == 0:
        return squared_norms.mean()
    norms = (squared_norms + 1e-12).sqrt()  # the square root's own gradient is infinite at 0
    return (norms - target_norm).square().mean()


@torch.no_grad()
def clip_weights(discriminator: nn.Module, bound: float) -> None:
    """Bring every parameter into [-bound, bound] (Arjovsky et al. 2017, algorithm 1)."""
    for parameter in discriminator.parameters():
        parameter.clamp_(-bound, bound)
