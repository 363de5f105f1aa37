"""Many images as one."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from torch import Tensor
from torchvision.utils import make_grid


def make_image_grid(images: Tensor, columns: int = 8) -> NDArray[np.uint8]:
    """Lay images (N, C, H, W) uint8 out row by row: (height, width, 3) uint8, with two black pixels between."""
    grid: NDArray[np.uint8] = make_grid(images, nrow=columns, padding=2).permute(1, 2, 0).numpy()
    return grid
