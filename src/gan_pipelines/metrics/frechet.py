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
"""Parts of the samples that `extrapolate_frechet` takes apart and together."""


@dataclass(frozen=True, eq=False)
class Moments:
    """Count, mean and covariance of features; those of two sets add up to those of both.

    Attributes:
        count: number of features.
        mean: (D,) float64.
        scatter: (D, D) float64, the sum of the outer products around the mean.
    """

    count: int
    mean: Tensor
    scatter: Tensor

    @classmethod
    def of(cls, features: Tensor) -> Moments:
        """The moments of features (N, D), N at least 1, taken in float64."""
        features = features.double()
        mean = features.mean(dim=0)
        centred = features - mean
        return cls(len(features), mean, centred.T @ centred)

    @classmethod
    def of_stream(cls, batches: Iterable[Tensor]) -> Moments:
        """The moments of all batches (N, D) together; memory does not grow with their number."""
        return reduce(add, map(cls.of, batches))

    def to(self, device: torch.device) -> Moments:
        """The same on ``device``, but for MPS, which has no float64."""
        if device.type == "mps":
            return self
        return Moments(self.count, self.mean.to(device), self.scatter.to(device))

    def __add__(self, other: Moments) -> Moments:
        """Chan, Golub & LeVeque 1983: a large common offset costs no digits."""
        count = self.count + other.count
        apart = other.mean - self.mean
        share = other.count / count
        scatter = self.scatter + other.scatter + torch.outer(apart, apart) * (self.count * share)
        return Moments(count, self.mean + apart * share, scatter)

    @property
    def covariance(self) -> Tensor:
        """(D, D) float64, with N - 1 in the denominator; needs at least two features."""
        return self.scatter / (self.count - 1)

    @cached_property
    def root(self) -> Tensor:
        """(D, D) float64, the symmetric square root of the covariance."""
        values, vectors = torch.linalg.eigh(self.covariance)
        return (vectors * values.clamp(min=0).sqrt()) @ vectors.T


def frechet_distance(first: Moments, second: Moments) -> float:
    """|m1 - m2|^2 + tr(S1) + tr(S2) - 2 tr((S1 S2)^(1/2)), at least 0.

    (S1 S2)^(1/2) has the trace of (S1^(1/2) S2 S1^(1/2))^(1/2), which is symmetric: two eigendecompositions serve,
    also where a covariance is singular. That of ``first`` is kept for the next distance.
    """
    product = first.root @ second.covariance @ first.root
    trace_of_root = torch.linalg.eigvalsh(product).clamp(min=0).sqrt().sum()
    traces = first.covariance.trace() + second.covariance.trace()
    distance = (first.mean - second.mean).square().sum() + traces - 2 * trace_of_root
    return max(0.0, distance.item())


def extrapolate_frechet(reference: Moments, parts: Sequence[Moments]) -> tuple[float, float]:
    """FID at infinitely many samples (Chong & Forsyth 2020): its bias falls as 1/N, so a line through FID over 1/N.

    Args:
        reference: of the real images; its own bias stays.
        parts: of `EXTRAPOLATION_PARTS` equal parts of the generated images, each with more samples than features.

    Returns:
        where the line meets 1/N = 0, and the standard error of that by least squares over the distances of each part,
        each half, and the whole; the error of the reference and of the training is not in it.
    """
    halves = [first + second for first, second in zip(parts[::2], parts[1::2], strict=True)]
    sets = [*parts, *halves, reduce(add, parts)]
    line = linregress([1 / each.count for each in sets], [frechet_distance(reference, each) for each in sets])
    return float(line.intercept), float(line.intercept_stderr)
