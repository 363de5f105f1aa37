"""Fréchet distance between Gaussians fitted to features (Heusel et al. 2017, equation 6)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property, reduce
from operator import add

import torch
from torch import Tensor

EXTRAPOLATION_PARTS = 20
"""Number of equal parts of the samples for `extrapolate_frechet`."""
SAMPLES_PER_FEATURE = 20
"""Minimum number of samples for each feature, below which the extrapolation is biased by more than its error."""


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
        """Copy to ``device``. For MPS, which has no float64, return the moments where they are.

        On the same device they are not copied: they keep their root, which takes seconds for thousands of features.
        """
        if device.type == "mps" or device == self.mean.device:
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
    """Extrapolate FID to infinitely many samples, as Chong & Forsyth (2020) propose, by the jackknife.

    The bias of FID falls as 1/N. With K parts, d the distance of all samples and d_k that of all but part k, the
    straight line over 1/N through d and the mean of the d_k is K d - (K - 1) mean(d_k) at 1/N = 0 (Quenouille 1956).
    The spread of the d_k gives its standard error (Tukey 1958). The result may be slightly below 0.

    Args:
        reference: moments of the real images; the bias that comes from their number remains.
        parts: moments of K equal parts of the samples, with `SAMPLES_PER_FEATURE` or more samples per feature in all.

    Returns:
        the extrapolated distance and its standard error, of K - 1 degrees of freedom. The error covers neither the
        choice of the real images nor that of the training seed.
    """
    count = len(parts)
    whole = frechet_distance(reference, reduce(add, parts))
    others = ([*parts[:left_out], *parts[left_out + 1 :]] for left_out in range(count))
    distances = torch.tensor([frechet_distance(reference, reduce(add, each)) for each in others], dtype=torch.float64)
    value = count * whole - (count - 1) * distances.mean()
    error = ((count - 1) * distances.var(correction=0)).sqrt()
    return value.item(), error.item()
