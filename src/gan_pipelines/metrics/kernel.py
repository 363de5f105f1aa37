"""Kernel Inception Distance, KID (Bińkowski et al. 2018)."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

SUBSETS = 100
SUBSET_SIZE = 1000
SUBSET_SEED = 2020
"""Seed of the random subsets, as in torch-fidelity: the same features give the same distance there and here."""


def kernel_distance(first: Tensor, second: Tensor) -> tuple[float, float | None]:
    """Estimate the squared maximum mean discrepancy under the kernel (x.y / D + 1)^3.

    The estimate is unbiased if the images of each set are drawn independently. Between sets with fixed numbers of each
    class, it is slightly too low: their means differ less than by chance.

    Args:
        first: features (N, D), N at least 2.
        second: features (M, D), M at least 2.

    Returns:
        mean and standard deviation over 100 pairs of random subsets of 1,000, or of the size of the smaller set. Two
        sets of equal size, at most 1,000, are compared once as a whole. The mean may be slightly below 0. The standard
        deviation is None where the smaller set is in all pairs as a whole: it would be far too low, or 0.
    """
    size = min(SUBSET_SIZE, len(first), len(second))
    draws = np.random.RandomState(SUBSET_SEED)
    distances = []
    for _ in range(1 if size == len(first) == len(second) else SUBSETS):
        chosen = [features[torch.from_numpy(draws.choice(len(features), size, False))] for features in (first, second)]
        distances.append(_unbiased_distance(*chosen))
    is_drawn = size < min(len(first), len(second))
    return float(np.mean(distances)), float(np.std(distances)) if is_drawn else None


def _unbiased_distance(first: Tensor, second: Tensor) -> float:
    size = len(first)
    within = sum(_kernel(each, each).fill_diagonal_(0).sum() for each in (first, second)) / (size * (size - 1))
    return float(within - 2 * _kernel(first, second).mean())


def _kernel(first: Tensor, second: Tensor) -> Tensor:
    products = (first @ second.T).double()  # float32 products are fast; only the sums need float64
    return (products / first.shape[1] + 1) ** 3
