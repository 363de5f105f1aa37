"""Scores of a generator, each with what must be equal for a comparison and what it is a score of."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from gan_pipelines.classifier.resnet import Prediction
from gan_pipelines.devices import resolve_device
from gan_pipelines.gan import WEIGHT_SETS, TrainedGenerator, WeightSet
from gan_pipelines.gan.health import NARROW_BELOW, describe_mode_collapse, diversity
from gan_pipelines.images import ImageSet
from gan_pipelines.metrics.config import ScoringConfig
from gan_pipelines.metrics.extractors import FeatureExtractor
from gan_pipelines.metrics.frechet import FeatureMoments, frechet_distance
from gan_pipelines.metrics.inception_score import COLLAPSED_BELOW, inception_score
from gan_pipelines.runtime import DeviceName
from gan_pipelines.typed_config import require

REFERENCE_BATCH = 250
DIVERSITY_IMAGES = 256
"""Images whose nearest neighbours tell of mode collapse, of each class several."""
POOR_CLASSIFIER_BELOW = 0.7
"""Held-out accuracy under which features are too poor to judge images by."""


@dataclass(frozen=True)
class Score:
    """One number, and where it comes from.

    Attributes:
        metric: ``fid``, ``is_mean`` or ``is_std``.
        value: what was measured.
        comparability: scores may stand beside each other only if this is equal.
        identity: what was scored: training, version of the generator, set of weights, seed of the samples.
        extractor: provenance of the features.
        flags: reasons to distrust the value, in words.
    """

    metric: str
    value: float
    comparability: dict[str, Any]
    identity: dict[str, Any]
    extractor: dict[str, Any]
    flags: tuple[str, ...] = ()


def score_generator(
    generator: TrainedGenerator,
    images: ImageSet,
    extractor: FeatureExtractor,
    config: ScoringConfig,
    device: DeviceName = "auto",
) -> list[Score]:
    """Measure FID and Inception Score against real images, for both sets of weights, in one pass over the samples.

    The generated images go from generator to extractor on the device, without files.

    Args:
        generator: what to score.
        images: holds the reference split.
        extractor: of features and logits.
        config: number of samples, reference split, seed.
        device: where to compute.

    Raises:
        ConfigError: if there is no such reference split, or generated and real images differ in shape.
    """
    made, real_shape = tuple(generator.image_shape), images.images.shape[1:]
    require(made == real_shape, "shape of the generated images", made, f"{real_shape}, as the dataset is; train again")
    target = resolve_device(device)
    extract = extractor.to(target)
    reference = images.select(config.reference_split)
    real, _ = _extract_features(extract, (part.to(target) for part in _batches(reference)))
    scores: list[Score] = []
    for weight_set in WEIGHT_SETS:
        samples = generator.sample_batches(config.samples, seed=config.seed, weights=weight_set, device=device)
        fake, logits = _extract_features(extract, samples)
        mean, std = inception_score(logits, config.is_splits)
        flags = _flags(_variety(generator, weight_set, reference, device), mean, extractor)
        identity = {
            **generator.training,
            "generator_version": generator.version,
            "weights": weight_set,
            "sampling_seed": config.seed,
        }
        for metric, value in {"fid": frechet_distance(real, fake), "is_mean": mean, "is_std": std}.items():
            key = _comparability(metric, reference, extractor, config)
            scores.append(Score(metric, value, key, identity, dict(extractor.provenance), flags))
    return scores


def _comparability(
    metric: str, reference: ImageSet, extractor: FeatureExtractor, config: ScoringConfig
) -> dict[str, Any]:
    return {
        "metric": metric,
        "samples": config.samples,
        "is_splits": None if metric == "fid" else config.is_splits,
        "extractor": extractor.provenance["name"],
        "extractor_weights": extractor.provenance["weights_hash"],
        "resize_filter": reference.resize_filter,
        "reference_split": config.reference_split,
        "reference_hash": reference.content_hash,
    }


def _extract_features(extract: FeatureExtractor, batches: Iterable[Tensor]) -> tuple[FeatureMoments, Tensor]:
    """Moments of the features, and all logits, of a stream of images."""
    moments, logits = FeatureMoments(), []
    for batch in batches:
        prediction = extract(batch)
        if batch.device.type == "mps":  # it has no float64
            prediction = Prediction(*(part.cpu() for part in prediction))
        moments.update(prediction.features)
        logits.append(prediction.logits)
    return moments, torch.cat(logits)


def _batches(images: ImageSet) -> Iterator[Tensor]:
    for start in range(0, len(images), REFERENCE_BATCH):
        yield torch.from_numpy(images.images[start : start + REFERENCE_BATCH])


def _variety(generator: TrainedGenerator, weights: WeightSet, reference: ImageSet, device: DeviceName) -> float:
    """Diversity of some samples, relative to as many real images."""
    count = min(DIVERSITY_IMAGES, len(reference))
    real = torch.from_numpy(reference.images[np.linspace(0, len(reference) - 1, count).astype(int)]).unique(dim=0)
    if len(real) < 2:  # nothing to compare with
        return math.inf
    return diversity(generator.sample(count, seed=0, weights=weights, device=device)) / diversity(real)


def _flags(variety: float, inception_score_mean: float, extractor: FeatureExtractor) -> tuple[str, ...]:
    flags = []
    if variety < NARROW_BELOW:
        flags.append(describe_mode_collapse(variety))
    if inception_score_mean < COLLAPSED_BELOW:
        flags.append(
            "An Inception Score of 1 means that every image gets the same prediction: the generator has collapsed or "
            "the metric is broken."
        )
    accuracy = extractor.provenance.get("heldout_accuracy", 1.0)
    if accuracy < POOR_CLASSIFIER_BELOW:
        flags.append(f"The classifier behind these features gets only {accuracy:.1%} of held-out images right.")
    return tuple(flags)
