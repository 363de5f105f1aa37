"""Grids of images."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torchvision.utils import make_grid

CLASS_GRID_COLUMNS = 16


def make_image_grid(images: Tensor | NDArray[np.uint8], columns: int = 8) -> NDArray[np.uint8]:
    """Arrange images (N, C, H, W) uint8 row by row, two black pixels apart: (height, width, 3) uint8."""
    grid: NDArray[np.uint8] = make_grid(torch.as_tensor(images), nrow=columns, padding=2).permute(1, 2, 0).numpy()
    return grid


def make_class_grid(samples: Mapping[str | None, Tensor]) -> NDArray[np.uint8]:
    """Arrange images (N, C, H, W) in one row for each class; images without a class (None) fill a square."""
    per_class = CLASS_GRID_COLUMNS**2 if None in samples else CLASS_GRID_COLUMNS
    shown = [images[:per_class] for images in samples.values()]
    return make_image_grid(torch.cat(shown), columns=min(len(shown[0]), CLASS_GRID_COLUMNS))


def make_neighbour_grid(found: Sequence[tuple[Tensor, Tensor]]) -> NDArray[np.uint8]:
    """Arrange queries (C, H, W), the leftmost of each row, beside their neighbours (N, C, H, W)."""
    rows = [torch.cat([query[None], neighbours]) for query, neighbours in found]
    return make_image_grid(torch.cat(rows), columns=len(rows[0]))
