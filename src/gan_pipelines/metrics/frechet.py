"""Fréchet distance between Gaussians fitted to features (Heusel et al. 2017, equation 6)."""

from __future__ import annotations

import torch
from torch import Tensor


class FeatureMoments:
    """Mean and covariance of features, accumulated batch by batch in float64: memory does not grow with their number.

    Sums are taken around the first batch's mean, so that a large common offset costs no digits.
    """

    def __init__(self) -> None:
        self.count = 0
        self._shift = self._sum = self._outer = torch.zeros(())

    def update(self, features: Tensor) -> None:
        """Add a batch of features, (N, D)."""
        features = features.double()
        if self.count == 0:
            self._shift = features.mean(dim=0)
            self._sum = torch.zeros_like(self._shift)
            self._outer = torch.zeros(len(self._shift), len(self._shift), dtype=torch.float64, device=features.device)
        centred = features - self._shift
        self.count += len(features)
        self._sum += centred.sum(dim=0)
        self._outer += centred.T @ centred

    @property
    def mean(self) -> Tensor:
        """(D,) float64."""
        return self._shift + self._sum / self.count

    @property
    def covariance(self) -> Tensor:
        """(D, D) float64, with N - 1 in the denominator; needs at least two features."""
        return (self._outer - torch.outer(self._sum, self._sum) / self.count) / (self.count - 1)


def frechet_distance(first: FeatureMoments, second: FeatureMoments) -> float:
    """|m1 - m2|^2 + tr(S1) + tr(S2) - 2 tr((S1 S2)^(1/2)), at least 0.

    (S1 S2)^(1/2) has the trace of (S1^(1/2) S2 S1^(1/2))^(1/2), which is symmetric: two eigendecompositions serve,
    also where a covariance is singular.
    """
    root = _symmetric_sqrt(first.covariance)
    product = root @ second.covariance @ root
    trace_of_root = torch.linalg.eigvalsh(product).clamp(min=0).sqrt().sum()
    traces = first.covariance.trace() + second.covariance.trace()
    distance = (first.mean - second.mean).square().sum() + traces - 2 * trace_of_root
    return max(0.0, distance.item())


def _symmetric_sqrt(matrix: Tensor) -> Tensor:
    values, vectors = torch.linalg.eigh(matrix)
    return (vectors * values.clamp(min=0).sqrt()) @ vectors.T
