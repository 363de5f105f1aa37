"""Random transforms of image batches on their device."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from gan_pipelines.gan.config import TransformConfig


def apply_transforms(images: Tensor, config: TransformConfig) -> Tensor:
    """Flip, rotate and shift each image at random, in one bilinear resampling.

    Args:
        images: (N, C, H, W) in [-1, 1].
        config: which transforms, and their largest extent.

    Returns:
        (N, C, H, W) in [-1, 1], on the same device. Pixels from outside the image are black (-1).
    """
    if config == TransformConfig():
        return images
    count, _, height, width = images.shape
    matrices = _inverse_transforms(count, height, width, config, images.device)
    grid = F.affine_grid(matrices, list(images.shape), align_corners=False)
    # grid_sample pads with 0, so black must be 0 meanwhile.
    return F.grid_sample(images + 1, grid.to(images.dtype), mode="bilinear", align_corners=False) - 1


def _inverse_transforms(count: int, height: int, width: int, config: TransformConfig, device: torch.device) -> Tensor:
    """Draw (N, 2, 3) affine matrices from output to input coordinates, both in [-1, 1]."""
    angles = torch.deg2rad((torch.rand(count, device=device) * 2 - 1) * config.rotation_degrees)
    flips = torch.ones(count, device=device)
    if config.horizontal_flip:
        flips = torch.randint(0, 2, (count,), device=device) * 2.0 - 1
    shifts = torch.randint(-config.crop_padding, config.crop_padding + 1, (count, 2), device=device)
    cosines, sines = angles.cos(), angles.sin()
    rows = [
        torch.stack([flips * cosines, -flips * sines * height / width, shifts[:, 0] * 2 / width], dim=1),
        torch.stack([sines * width / height, cosines, shifts[:, 1] * 2 / height], dim=1),
    ]
    return torch.stack(rows, dim=1)
