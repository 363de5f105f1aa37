"""Memorisation: how near samples are to training images, and whether more are copies than among held-out images."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from scipy import stats
from torch import Tensor

from gan_pipelines.metrics.neighbours import Radii, nearest_neighbours

NEIGHBOURS = 50
"""Number of training images to whose mean distance that of the nearest is compared; as in Carlini et al. 2023."""
HELDOUT_SHARE = 0.01
"""Share of held-out images that are as near to a training image as a copy."""
SIGNIFICANCE = 0.001
"""Probability below which so many copies are no chance."""


@dataclass(frozen=True)
class Nearness:
    """How near images are to training images in feature space.

    Attributes:
        authenticity: share of authentic images, from 0 to 1. An image is authentic if its nearest training image is
            nearer to another training image than to it (Alaa et al. 2022, "How Faithful is your Synthetic Data?").
        relative: (M,) float64, distance to the nearest training image, divided by the mean distance to the nearest
            `NEIGHBOURS` (Carlini et al. 2023, "Extracting Training Data from Diffusion Models"): from 0, a copy, to 1.
            Unlike the distance itself, it does not fall where images are typical and training images are dense.
    """

    authenticity: float
    relative: Tensor

    @classmethod
    def of(cls, images: Tensor, training: Tensor, training_radii: Radii) -> Nearness:
        """Measure features of images (M, D), M at least 1, against those of training images (N, D), N at least 6."""
        distances, nearest = nearest_neighbours(images, training, min(NEIGHBOURS, len(training)))
        authentic = distances[:, 0] > training_radii.first[nearest[:, 0]]
        mean = distances.mean(dim=1).clamp(min=torch.finfo(distances.dtype).tiny)  # 0 for an image that is there often
        return cls(authentic.double().mean().item(), distances[:, 0] / mean)


@dataclass(frozen=True)
class Copies:
    """How many samples are as near to a training image as few held-out images are.

    Attributes:
        share: share of samples whose relative distance is at most that of the held-out image of this ``rank``.
        rank: number of held-out images that are as near: `HELDOUT_SHARE` of them, at least one.
        heldout: number of held-out images.
        probability: of so many or more, if samples were held-out images.
    """

    share: float
    rank: int
    heldout: int
    probability: float

    @property
    def are_significant(self) -> bool:
        """Whether there are more than by chance."""
        return self.probability < SIGNIFICANCE


def find_copies(made: Nearness, heldout: Nearness) -> Copies:
    """Count the samples that are as near to a training image as few held-out images are.

    Whatever the distribution of the distances, the number of samples below the k-th smallest of n held-out distances
    is beta-binomial with parameters k and n + 1 - k if samples and held-out images are alike.
    """
    samples, count = len(made.relative), len(heldout.relative)
    rank = math.ceil(HELDOUT_SHARE * count)
    copies = int((made.relative <= heldout.relative.kthvalue(rank).values).sum())
    probability = stats.betabinom(samples, rank, count + 1 - rank).sf(copies - 1)
    return Copies(copies / samples, rank, count, float(probability))
