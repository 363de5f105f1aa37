"""Nodes of the evaluation of a variant."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from gan_pipelines import gan, images, metrics
from gan_pipelines.runtime import DeviceName
from gan_pipelines.stores import KeyedStore
from gan_pipelines.typed_config import from_dict


def open_extractor(
    extractors: KeyedStore, image_set: images.ImageSet, scoring: dict[str, Any], device: DeviceName
) -> metrics.FeatureExtractor:
    """Open the feature extractor; a classifier is fitted unless the store holds it."""
    config = from_dict(metrics.ScoringConfig, scoring, "scoring")
    return metrics.get_extractor(extractors, image_set, config, device)


def score_generator(
    generator: gan.TrainedGenerator,
    image_set: images.ImageSet,
    extractor: metrics.FeatureExtractor,
    scoring: dict[str, Any],
    device: DeviceName,
) -> list[dict[str, Any]]:
    """Score both sets of weights; return one plain record per score."""
    config = from_dict(metrics.ScoringConfig, scoring, "scoring")
    return [asdict(score) for score in metrics.score_generator(generator, image_set, extractor, config, device)]
