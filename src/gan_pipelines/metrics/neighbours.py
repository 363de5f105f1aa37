"""Scores that ask which features lie among which: precision, recall, density, coverage, nearest neighbours."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

PRECISION_NEIGHBOURS = 3
DENSITY_NEIGHBOURS = 5
BLOCK = 500
"""Rows of a table of distances that are held at once."""


@dataclass(frozen=True)
class Radii:
    """How far the neighbours of each of some features are, itself not counted.

    Attributes:
        third: (N,) float64, distance to the third nearest.
        fifth: (N,) float64, distance to the fifth nearest.
    """

    third: Tensor
    fifth: Tensor

    @classmethod
    def of(cls, features: Tensor) -> Radii:
        """The radii of features (N, D), N at least 6."""
        nearest, _ = nearest_neighbours(features, features, DENSITY_NEIGHBOURS + 1)
        return cls(nearest[:, PRECISION_NEIGHBOURS].clone(), nearest[:, DENSITY_NEIGHBOURS].clone())


@dataclass(frozen=True)
class NeighbourScores:
    """How generated images lie among real ones, in feature space.

    Attributes:
        precision: share of the generated that lie within the third-neighbour ball of a real one (Kynkäänniemi et al.
            2019, equations 1 and 2).
        recall: share of the real that lie within the third-neighbour ball of a generated one.
        density: number of real fifth-neighbour balls around a generated one, over 5; may be above 1 (Naeem et al. 2020,
            equation 3).
        coverage: share of the real fifth-neighbour balls that hold a generated one (equation 4).
    """

    precision: float
    recall: float
    density: float
    coverage: float


def neighbour_scores(real: Tensor, fake: Tensor, real_radii: Radii) -> NeighbourScores:
    """Score generated features (M, D) against real ones (N, D); distances in float64, the edge of a ball belongs to it.

    Args:
        real: features, N at least 6.
        fake: features, M at least 6.
        real_radii: of ``real``.
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
    """Distances (Q, count) float64 from queries (Q, D) to the nearest of features (N, D), and their indices."""
    features = features.double()
    found = [torch.cdist(rows, features).topk(count, largest=False) for rows in _blocks(queries)]
    return torch.cat([each.values for each in found]), torch.cat([each.indices for each in found])


def _blocks(features: Tensor) -> Iterator[Tensor]:
    return (rows.double() for rows in features.split(BLOCK))
