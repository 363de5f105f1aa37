"""The judge of a replicate: it labels candidates, and says which are good enough."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from gan_pipelines.augmentation.config import REAL_LONGER, AugmentationConfig
from gan_pipelines.augmentation.replicates import count_steps, to_tensors
from gan_pipelines.augmentation.sources import Candidates
from gan_pipelines.augmentation.splits import Draw
from gan_pipelines.classifier import Classifier, fit_selected
from gan_pipelines.core.runtime import DeviceName
from gan_pipelines.metrics import nearest_neighbours


class Judgement(NamedTuple):
    """Class indices of candidates (N,), whether the classifier is sure enough of each, and whether it is near enough.

    An image is near enough if its distance to the nearest real image is within the range.
    """

    labels: Tensor
    is_confident: Tensor
    is_near: Tensor


@dataclass(frozen=True)
class DistanceRange:
    """Range of the distance to the nearest real image in feature space.

    Attributes:
        real: (N, D) features of the real training images.
        low: smallest distance that is accepted.
        high: largest one.
    """

    real: Tensor
    low: float
    high: float

    @classmethod
    def between(cls, quantiles: tuple[float, float], real: Tensor, heldout: Tensor) -> DistanceRange:
        """Take quantiles of the distances of other real images (M, D), which were not trained on, as the range."""
        distances, _ = nearest_neighbours(heldout, real, 1)
        low, high = distances[:, 0].quantile(torch.tensor(quantiles, dtype=distances.dtype)).tolist()
        return cls(real, low, high)

    def contains(self, features: Tensor) -> Tensor:
        """Whether each image (N, D) is within the range: (N,)."""
        distances, _ = nearest_neighbours(features, self.real, 1)
        return (distances[:, 0] >= self.low) & (distances[:, 0] <= self.high)


@dataclass(frozen=True)
class Judge:
    """A classifier of a replicate's real images.

    Attributes:
        classifier: fitted on the real images alone.
        min_confidence: minimum probability of an image's label.
        distances: range of the distance to the nearest real image; None accepts all.
    """

    classifier: Classifier
    min_confidence: float = 0.0
    distances: DistanceRange | None = None

    def judge(self, candidates: Candidates) -> Judgement:
        """Judge images; those without labels get the most probable ones."""
        features, logits = self.classifier.describe(candidates.images)
        probabilities = logits.softmax(1)
        labels = probabilities.argmax(1) if candidates.labels is None else candidates.labels
        is_confident = probabilities.gather(1, labels[:, None])[:, 0] >= self.min_confidence
        is_near = torch.ones_like(is_confident) if self.distances is None else self.distances.contains(features)
        return Judgement(labels, is_confident, is_near)


def fit_judge(draw: Draw, config: AugmentationConfig, device: DeviceName) -> Judge:
    """Fit the arm `REAL_LONGER` with each learning rate, and take the one with the lowest validation loss."""
    real, valid = to_tensors(draw.images), to_tensors(draw.valid)
    fits = [
        fit_selected(
            real,
            valid,
            len(draw.images.class_names),
            config.classifier.at(rate, draw.seed),
            steps=count_steps(REAL_LONGER, len(draw.images), config),
            device=device,
        )
        for rate in config.classifier.learning_rates
    ]
    classifier = min(fits, key=lambda fit: fit.valid_loss).classifier
    quantiles = config.synthetic.distance_quantiles
    distances = quantiles and DistanceRange.between(
        quantiles, *(classifier.describe(part.images).features for part in (real, valid))
    )
    return Judge(classifier, config.synthetic.min_confidence, distances)
