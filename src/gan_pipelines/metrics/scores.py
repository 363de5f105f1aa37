"""Scores of a generator, each with what must be equal for a comparison and what it is a score of."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from functools import reduce
from operator import add
from typing import Any

import numpy as np
import torch
from torch import Tensor

from gan_pipelines.core.config import require
from gan_pipelines.core.devices import resolve_device
from gan_pipelines.core.hashing import hash_values
from gan_pipelines.core.runtime import DeviceName
from gan_pipelines.gan import WEIGHT_SETS, Monitor, TrainedGenerator, WeightSet
from gan_pipelines.gan.health import NARROW_BELOW, describe_mode_collapse, relative_diversity
from gan_pipelines.images import ImageSet
from gan_pipelines.metrics.config import ScoringConfig, abbreviate
from gan_pipelines.metrics.extractors import FeatureExtractor
from gan_pipelines.metrics.frechet import EXTRAPOLATION_PARTS, Moments, extrapolate_frechet, frechet_distance
from gan_pipelines.metrics.inception_score import COLLAPSED_BELOW, inception_score
from gan_pipelines.metrics.kernel import kernel_distance
from gan_pipelines.metrics.neighbours import nearest_neighbours, neighbour_scores
from gan_pipelines.metrics.reference import BATCH, Reference, extract_features

DIVERSITY_IMAGES = 256
"""Images whose nearest neighbours tell of mode collapse, of each class several."""
POOR_CLASSIFIER_BELOW = 0.7
"""Held-out accuracy under which features are too poor to judge images by."""
NEIGHBOUR_CANDIDATES = 256
"""Samples among which `find_neighbours` looks."""
NEIGHBOURS_SHOWN = 7
"""Real images that it shows beside each."""


@dataclass(frozen=True)
class Score:
    """One number, and where it comes from.

    Attributes:
        metric: ``fid``, ``fid_infinity``, ``is``, ``kid``, ``class_kid``, ``precision``, ``recall``, ``density`` or
            ``coverage``.
        value: what was measured.
        spread: of ``is`` the standard deviation over its splits, of ``kid`` over its subsets, of ``fid_infinity`` the
            standard error; None for the others.
        comparability: scores may stand beside each other only if this is equal.
        identity: what was scored: training, version of the generator, set of weights, seed of the samples.
        extractor: provenance of the features.
        flags: reasons to distrust the value, in words.
    """

    metric: str
    value: float
    spread: float | None
    comparability: dict[str, Any]
    identity: dict[str, Any]
    extractor: dict[str, Any]
    flags: tuple[str, ...] = ()


def score_generator(
    generator: TrainedGenerator,
    extractor: FeatureExtractor,
    reference: Reference,
    config: ScoringConfig,
    device: DeviceName = "auto",
) -> list[Score]:
    """Measure all scores, for both sets of weights, in one pass each over the samples.

    The generated images go from generator to extractor on the device, without files.

    Args:
        generator: what to score.
        extractor: of features and logits.
        reference: the real images to compare with.
        config: number of samples, their seed.
        device: where to compute.

    Raises:
        ConfigError: if generated and real images differ in shape or classes, or there are too few real ones, of a class
            or in all.
        FeaturesUnusable: if features are no numbers.
    """
    _require_same_kind(generator, reference.images)
    target = resolve_device(device)
    extractor = extractor.to(target)
    scores: list[Score] = []
    for weights in WEIGHT_SETS:
        samples = generator.sample_batches(config.samples, seed=config.seed, weights=weights, device=device)
        fake, logits = map(torch.cat, zip(*extract_features(extractor, samples, "generated"), strict=True))
        flags = _flags(_variety(generator, weights, reference.images, device), logits, extractor)
        identity = {
            **generator.training,
            "generator_version": generator.version,
            "weights": weights,
            "sampling_seed": config.seed,
        }
        measured = {
            **_measure(fake, logits, reference, config.is_splits),
            **(_measure_classes(fake, reference) if generator.is_conditional else {}),
        }
        for (metric, class_name), (value, spread) in measured.items():
            key = _comparability(metric, class_name, reference.images, extractor, config)
            own = _flags_of(metric, fake, reference)
            scores.append(Score(metric, value, spread, key, identity, dict(extractor.provenance), (*flags, *own)))
    return scores


Measured = dict[tuple[str, str | None], tuple[float, float | None]]
"""Value and spread by metric and class, if it is of a class."""


def _measure(fake: Tensor, logits: Tensor, reference: Reference, is_splits: int) -> Measured:
    device = fake.device
    real = reference.features.to(device)
    parts = [Moments.of_stream(part.split(BATCH)) for part in fake.tensor_split(EXTRAPOLATION_PARTS)]
    moments = reference.moments.to(device)
    neighbours = asdict(neighbour_scores(real, fake, reference.radii(device)))
    measured: dict[str, tuple[float, float | None]] = {"fid": (frechet_distance(moments, reduce(add, parts)), None)}
    if parts[-1].count > fake.shape[1]:
        measured["fid_infinity"] = extrapolate_frechet(moments, parts)
    measured["is"] = inception_score(logits, is_splits)
    measured["kid"] = kernel_distance(fake, real)
    measured |= {name: (value, None) for name, value in neighbours.items()}
    return {(metric, None): value for metric, value in measured.items()}


def _measure_classes(fake: Tensor, reference: Reference) -> Measured:
    names, labels = reference.images.class_names, torch.from_numpy(np.asarray(reference.images.labels))
    fake_labels = torch.arange(len(fake)) % len(names)  # as a generator makes them
    measured: Measured = {}
    for index, name in enumerate(names):
        made, real = fake[(fake_labels == index).to(fake.device)], reference.features[labels == index].to(fake.device)
        check_class_sizes(name, made=len(made), real=len(real))
        measured["class_kid", name] = kernel_distance(made, real)
    return measured


def check_class_sizes(name: str, made: int, real: int) -> None:
    """Raise a `ConfigError` if a class has too few generated or too few real images for a score of its own."""
    require(made > 1, f"number of samples of class {name}", made, "2 or more: raise scoring.samples")
    require(real > 1, f"number of reference images of class {name}", real, "2 or more: add some, or drop the class")


def _comparability(
    metric: str, class_name: str | None, reference: ImageSet, extractor: FeatureExtractor, config: ScoringConfig
) -> dict[str, Any]:
    key = {
        "metric": metric,
        "samples": config.samples,
        "extractor": extractor.provenance["name"],
        "extractor_weights": extractor.provenance["weights_hash"],
        "resize_filter": reference.resize_filter,
        "reference_split": config.reference_split,
        "reference_hash": reference.content_hash,
    }
    if metric == "is":
        key["is_splits"] = config.is_splits
    if class_name is not None:
        key["class"] = class_name
    return key


def make_monitor(
    extractor: FeatureExtractor, reference: Reference, config: ScoringConfig, device: DeviceName = "auto"
) -> Monitor:
    """Make the cheap score that a training takes now and then.

    It measures ``fid_<samples>`` and ``is_<samples>``; the images are never held at once, nor their features.
    """
    monitor = config.during_training
    target = resolve_device(device)
    network, moments = extractor.to(target), reference.moments.to(target)
    size = abbreviate(monitor.samples)

    def measure(generator: TrainedGenerator) -> dict[str, float]:
        _require_same_kind(generator, reference.images)
        batches = generator.sample_batches(monitor.samples, seed=config.seed, weights=monitor.weights, device=device)
        logits: list[Tensor] = []

        def features() -> Iterator[Tensor]:
            for prediction in extract_features(network, batches, "generated"):
                logits.append(prediction.logits)
                yield prediction.features

        distance = frechet_distance(moments, Moments.of_stream(features()))
        return {f"fid_{size}": distance, f"is_{size}": inception_score(torch.cat(logits), config.is_splits)[0]}

    key = hash_values(reference.key, asdict(monitor), config.seed)
    return Monitor(measure, metric=f"fid_{size}", key=key, every_epochs=monitor.every_epochs)


def find_neighbours(
    generator: TrainedGenerator,
    extractor: FeatureExtractor,
    reference: Reference,
    count: int,
    device: DeviceName = "auto",
) -> list[tuple[Tensor, Tensor]]:
    """Show what a generator may have memorised: samples of the averaged generator, and the real images nearest to each.

    Returns:
        for each of the samples that lie nearest to a real image, out of `NEIGHBOUR_CANDIDATES`, the sample (C, H, W)
        and its `NEIGHBOURS_SHOWN` nearest real images in feature space (N, C, H, W), the nearest first; uint8.
    """
    _require_same_kind(generator, reference.images)
    target = resolve_device(device)
    samples = generator.sample(NEIGHBOUR_CANDIDATES, seed=0, device=device)
    (prediction,) = extract_features(extractor.to(target), [samples.to(target)], "generated")
    features = reference.features.to(prediction.features.device)
    distances, nearest = nearest_neighbours(prediction.features, features, min(NEIGHBOURS_SHOWN, len(features)))
    chosen = distances[:, 0].argsort()[:count].tolist()
    real = reference.images.images
    return [(samples[row], torch.from_numpy(real[nearest[row].cpu().numpy()])) for row in chosen]


def _require_same_kind(generator: TrainedGenerator, images: ImageSet) -> None:
    if generator.is_conditional:
        names, known = list(generator.class_names), list(images.class_names)
        require(names == known, "classes of the generated images", names, f"{known}, as in the dataset; train again")
    made, real = tuple(generator.image_shape), images.images.shape[1:]
    require(made == real, "shape of the generated images", made, f"{real}, as the dataset is; train again")


def _variety(generator: TrainedGenerator, weights: WeightSet, reference: ImageSet, device: DeviceName) -> float:
    """Diversity of some samples, relative to as many real images."""
    count = min(DIVERSITY_IMAGES, len(reference))
    return relative_diversity(generator.sample(count, seed=0, weights=weights, device=device), reference.images)


def _flags(variety: float, logits: Tensor, extractor: FeatureExtractor) -> tuple[str, ...]:
    """Reasons to distrust every score of some samples."""
    flags = []
    if variety < NARROW_BELOW:
        flags.append(describe_mode_collapse(variety))
    if inception_score(logits, splits=1)[0] < COLLAPSED_BELOW:
        flags.append(
            "An Inception Score of 1 means that every image gets the same prediction: the generator has collapsed or "
            "the metric is broken."
        )
    accuracy = extractor.provenance.get("heldout_accuracy", 1.0)
    if accuracy < POOR_CLASSIFIER_BELOW:
        flags.append(f"The classifier behind these features gets only {accuracy:.1%} of held-out images right.")
    return tuple(flags)


def _flags_of(metric: str, fake: Tensor, reference: Reference) -> tuple[str, ...]:
    """Reasons to distrust one metric."""
    fewest, size = min(len(fake), len(reference.features)), fake.shape[1]
    if metric in ("fid", "fid_infinity") and fewest <= size:
        return (
            f"FID of {fewest:,} images in {size:,} dimensions: a covariance is singular; take more than {size:,} "
            "images, or read KID.",
        )
    return ()
