"""Fréchet distance between Gaussians fitted to features (Heusel et al. 2017, equation 6)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property, reduce
from operator import add

import torch
from scipy.stats import linregress
from torch import Tensor

EXTRAPOLATION_PARTS = 4
"""Number of equal parts of the samples for `extrapolate_frechet`."""


@dataclass(frozen=True, eq=False)
class Moments:
    """Count, mean and covariance of feature vectors. The sum of two is the moments of both sets together.

    Attributes:
        count: number of feature vectors.
        mean: (D,) float64.
        scatter: (D, D) float64, the sum of the outer products of the deviations from the mean.
    """

    count: int
    mean: Tensor
    scatter: Tensor

    @classmethod
    def of(cls, features: Tensor) -> Moments:
        """Compute the moments of features (N, D), N at least 1, in float64."""
        features = features.double()
        mean = features.mean(dim=0)
        centred = features - mean
        return cls(len(features), mean, centred.T @ centred)

    @classmethod
    def of_stream(cls, batches: Iterable[Tensor]) -> Moments:
        """Compute the moments of all batches (N, D) together, holding one batch at a time."""
        return reduce(add, map(cls.of, batches))

    def to(self, device: torch.device) -> Moments:
        """Copy to ``device``. For MPS, which has no float64, return the moments where they are."""
        if device.type == "mps":
            return self
        return Moments(self.count, self.mean.to(device), self.scatter.to(device))

    def __add__(self, other: Moments) -> Moments:
        """Merge two sets (Chan, Golub & LeVeque 1983): accurate even if all features share a large offset."""
        count = self.count + other.count
        difference = other.mean - self.mean
        share = other.count / count
        scatter = self.scatter + other.scatter + torch.outer(difference, difference) * (self.count * share)
        return Moments(count, self.mean + difference * share, scatter)

    @property
    def covariance(self) -> Tensor:
        """(D, D) float64, with N - 1 in the denominator; needs at least two feature vectors."""
        return self.scatter / (self.count - 1)

    @cached_property
    def root(self) -> Tensor:
        """(D, D) float64, the symmetric square root of the covariance."""
        values, vectors = torch.linalg.eigh(self.covariance)
        return (vectors * values.clamp(min=0).sqrt()) @ vectors.T


def frechet_distance(first: Moments, second: Moments) -> float:
    """Compute |m1 - m2|^2 + tr(S1) + tr(S2) - 2 tr((S1 S2)^(1/2)), at least 0.

    (S1 S2)^(1/2) has the same trace as (S1^(1/2) S2 S1^(1/2))^(1/2), the root of a symmetric matrix. Two
    eigendecompositions give it, even if a covariance is singular. The root of ``first`` is cached.
    """
    product = first.root @ second.covariance @ first.root
    trace_of_root = torch.linalg.eigvalsh(product).clamp(min=0).sqrt().sum()
    traces = first.covariance.trace() + second.covariance.trace()
    distance = (first.mean - second.mean).square().sum() + traces - 2 * trace_of_root
    return max(0.0, distance.item())


def extrapolate_frechet(reference: Moments, parts: Sequence[Moments]) -> tuple[float, float]:
    """Extrapolate FID to infinitely many samples (Chong & Forsyth 2020).

    The bias of FID falls as 1/N. A line is fitted by least squares to the distances of each part, each half and all
    samples over 1/N.

    Args:
        reference: moments of the real images; the bias that comes from their number remains.
        parts: moments of `EXTRAPOLATION_PARTS` equal parts of the samples, each with more samples than dimensions.

    Returns:
        the intercept of the line at 1/N = 0, and its standard error. The error covers neither the choice of the real
        images nor that of the training seed.
    """
    halves = [first + second for first, second in zip(parts[::2], parts[1::2], strict=True)]
    sets = [*parts, *halves, reduce(add, parts)]
    line = linregress([1 / each.count for each in sets], [frechet_distance(reference, each) for each in sets])
    return float(line.intercept), float(line.intercept_stderr)
