"""Precision, recall, density and coverage from nearest neighbours in feature space."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

PRECISION_NEIGHBOURS = 3
DENSITY_NEIGHBOURS = 5
BLOCK = 500
"""Number of rows of a distance matrix that are computed at a time."""


@dataclass(frozen=True)
class Radii:
    """Distances from each feature vector to its nearest neighbours in the same set, itself not counted.

    Attributes:
        first: (N,) float64, distance to the nearest.
        third: (N,) float64, distance to the third nearest.
        fifth: (N,) float64, distance to the fifth nearest.
    """

    first: Tensor
    third: Tensor
    fifth: Tensor

    @classmethod
    def of(cls, features: Tensor) -> Radii:
        """Compute the radii of features (N, D), N at least 6."""
        nearest, _ = nearest_neighbours(features, features, DENSITY_NEIGHBOURS + 1)
        return cls(*(nearest[:, number].clone() for number in (1, PRECISION_NEIGHBOURS, DENSITY_NEIGHBOURS)))


@dataclass(frozen=True)
class NeighbourScores:
    """Overlap of real and generated images in feature space.

    The k-neighbour ball of an image reaches to its k-th nearest neighbour among images of the same set.

    Attributes:
        precision: share of generated images inside the 3-neighbour ball of a real image (Kynkäänniemi et al. 2019,
            equations 1 and 2).
        recall: share of real images inside the 3-neighbour ball of a generated image (the same equations).
        density: mean number of 5-neighbour balls of real images that a generated image is inside, divided by 5; may
            exceed 1 (Naeem et al. 2020, equation 3).
        coverage: share of real images whose 5-neighbour ball contains a generated image (Naeem et al. 2020,
            equation 4).
    """

    precision: float
    recall: float
    density: float
    coverage: float


def neighbour_scores(real: Tensor, fake: Tensor, real_radii: Radii) -> NeighbourScores:
    """Measure the overlap in float64; a point on the surface of a ball is inside.

    Args:
        real: (N, D) features of real images, N at least 6.
        fake: (M, D) features of generated images, M at least 6.
        real_radii: radii of ``real``.
    """
    fake_radii = Radii.of(fake)
    is_precise = torch.zeros(len(fake), dtype=torch.bool, device=fake.device)
    recalled = covered = balls = 0
    radii = zip(real_radii.third.split(BLOCK), real_radii.fifth.split(BLOCK), strict=True)
    fake = fake.double()
    for rows, (third, fifth) in zip(_blocks(real), radii, strict=True):
        distances = torch.cdist(rows, fake)
        is_precise |= (distances <= third[:, None]).any(dim=0)
        recalled += int((distances <= fake_radii.third).any(dim=1).sum())
        in_fifth = distances <= fifth[:, None]
        covered += int(in_fifth.any(dim=1).sum())
        balls += int(in_fifth.sum())
    return NeighbourScores(
        precision=is_precise.double().mean().item(),
        recall=recalled / len(real),
        density=balls / (DENSITY_NEIGHBOURS * len(fake)),
        coverage=covered / len(real),
    )


def nearest_neighbours(queries: Tensor, features: Tensor, count: int) -> tuple[Tensor, Tensor]:
    """Find the nearest features for each query.

    Args:
        queries: (Q, D).
        features: (N, D).
        count: number of neighbours of each query, at most N.

    Returns:
        distances (Q, count) float64, the smallest first, and indices (Q, count) into ``features``.
    """
    features = features.double()
    found = [torch.cdist(rows, features).topk(count, largest=False) for rows in _blocks(queries)]
    return torch.cat([each.values for each in found]), torch.cat([each.indices for each in found])


def _blocks(features: Tensor) -> Iterator[Tensor]:
    return (rows.double() for rows in features.split(BLOCK))
