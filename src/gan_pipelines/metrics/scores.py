"""Scores of a generator, each with its comparability key, its origin and reasons to distrust it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from gan_pipelines.core.config import require
from gan_pipelines.core.devices import resolve_device
from gan_pipelines.core.hashing import hash_values
from gan_pipelines.core.runtime import DeviceName
from gan_pipelines.core.score_names import MADE_ELSEWHERE
from gan_pipelines.gan import WEIGHT_SETS, Monitor, TrainedGenerator, WeightSet
from gan_pipelines.gan.health import NARROW_BELOW, describe_low_diversity, relative_diversity
from gan_pipelines.images import ImageSet
from gan_pipelines.metrics.config import ScoringConfig, abbreviate
from gan_pipelines.metrics.extractors import FeatureExtractor
from gan_pipelines.metrics.frechet import (
    EXTRAPOLATION_PARTS,
    SAMPLES_PER_FEATURE,
    Moments,
    extrapolate_frechet,
    frechet_distance,
)
from gan_pipelines.metrics.inception_score import MIN_INCEPTION_SCORE, inception_score
from gan_pipelines.metrics.kernel import kernel_distance
from gan_pipelines.metrics.labels import MIN_CLASS_IMAGES, allocate_samples, stratified_labels
from gan_pipelines.metrics.memorisation import NEIGHBOURS, Copies, Nearness, find_copies
from gan_pipelines.metrics.neighbours import nearest_neighbours, neighbour_scores
from gan_pipelines.metrics.reference import BATCH, Reference, extract_features

MONITOR_VERSION = 3
"""Version in the key of a monitor. Raise it when the same generator would get other numbers."""
MONITOR_SEED_OFFSET = 2**31
"""Added to the sampling seed for the samples of a monitor: the best epoch is scored on others than those that chose it.
PyTorch uses the lower 32 bits of a seed."""
DIVERSITY_IMAGES = 256
"""Maximum number of samples whose diversity is measured; enough for several of each class."""
MIN_HELDOUT_ACCURACY = 0.7
"""Held-out accuracy of the classifier below which scores from its features are flagged."""
NEIGHBOUR_CANDIDATES = 256
"""Number of samples whose nearest real images `find_neighbours` looks for."""
NEIGHBOURS_SHOWN = 7
"""Number of real images that `find_neighbours` returns for a sample."""


@dataclass(frozen=True)
class Score:
    """The value of one metric, and where it comes from.

    Attributes:
        metric: ``fid``, ``fid_infinity``, ``is``, ``kid``, ``class_kid``, ``precision``, ``recall``, ``density``,
            ``coverage``, ``authenticity``, ``heldout_authenticity`` or ``copies``.
        value: the measured value.
        spread: standard deviation over the splits of ``is`` and over the subsets of ``kid`` and ``class_kid``, None
            if there are too few images to draw any; standard error of ``fid_infinity``; None for the other metrics.
        comparability: comparability key; only scores with equal keys may be compared.
        identity: what was scored: training, version of the generator, set of weights, sampling seed.
        extractor: provenance of the feature extractor.
        flags: reasons to distrust the value, one sentence each.
        notes: reasons why other metrics of the same samples are missing, one sentence each.
    """

    metric: str
    value: float
    spread: float | None
    comparability: dict[str, Any]
    identity: dict[str, Any]
    extractor: dict[str, Any]
    flags: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


def score_generator(
    generator: TrainedGenerator,
    extractor: FeatureExtractor,
    reference: Reference,
    config: ScoringConfig,
    device: DeviceName = "auto",
) -> list[Score]:
    """Measure all metrics for both sets of weights.

    The samples are generated once for each set of weights, and pass from generator to extractor on the device. The
    classes of a conditional generator are as frequent as in the reference.

    Args:
        generator: the generator to score.
        extractor: the extractor of the reference's features.
        reference: real images to compare with.
        config: number of samples, sampling seed, and splits of the Inception Score.
        device: where to compute.

    Raises:
        ConfigError: if generated and real images differ in shape or classes, or if there are fewer than `MIN_IMAGES`
            real images.
        FeaturesUnusable: if a feature or a logit is infinite or NaN.
    """
    _require_same_kind(generator, reference.images)
    target = resolve_device(device)
    extractor = extractor.to(target)
    labels = labels_like(reference.images, config.samples, generator)
    scores: list[Score] = []
    for weights in WEIGHT_SETS:
        samples = generator.sample_batches(
            config.samples, seed=config.seed, weights=weights, labels=labels, device=device
        )
        fake, logits = map(torch.cat, zip(*extract_features(extractor, samples, "generated"), strict=True))
        flags = _flag_samples(_diversity(generator, weights, reference.images, device), logits, extractor)
        identity = {
            **generator.training,
            "generator_version": generator.version,
            "weights": weights,
            "sampling_seed": config.seed,
        }
        is_training_set = generator.training["data_hash"] == reference.images.content_hash
        memorisation, copied = _measure_memorisation(fake, reference) if is_training_set else ({}, ())
        measured = {
            **_measure(fake, logits, reference, config.is_splits),
            **memorisation,
            **({} if labels is None else _measure_classes(fake, labels, reference)),
        }
        flags += copied
        if failure := generator.training.get("failure"):
            flags += (f"The training has failed, and these are the scores of its epoch {identity['epoch']}: {failure}",)
        notes = (
            *_note_missing(measured, fake, () if labels is None else reference.images.class_names),
            *_note_memorisation(measured),
        )
        scores += _make_scores(
            measured, fake, reference, extractor, config, identity=identity, flags=flags, notes=notes
        )
    return scores


def score_images(
    images: ImageSet,
    name: str,
    extractor: FeatureExtractor,
    reference: Reference,
    config: ScoringConfig,
    device: DeviceName = "auto",
    *,
    is_training_set: bool = False,
) -> list[Score]:
    """Measure images that were made elsewhere, as `score_generator` does.

    They are as many as the settings ask for, drawn at random, or all if there are fewer. Classes are scored one by one
    if both sets have the same ones.

    Args:
        images: the images to score.
        name: what made them.
        extractor: the extractor of the reference's features.
        reference: images to compare with.
        config: number of images, seed of the draw, splits of the Inception Score, and name of the reference's split.
        device: where to compute.
        is_training_set: whether to measure memorisation, as if their generator had been trained on the reference.

    Raises:
        ConfigError: if the images of both sets differ in shape, or if there are fewer than `MIN_IMAGES` of either or
            fewer than ``is_splits`` to score.
        FeaturesUnusable: if a feature or a logit is infinite or NaN.
    """
    shape, real = images.images.shape[1:], reference.images
    require(
        shape == real.images.shape[1:], "shape of the images", shape, f"that of the reference, {real.images.shape[1:]}"
    )
    needed = config.fewest_samples
    require(len(images) >= needed, "number of images", len(images), f"{needed} or more")
    have_classes = images.class_names == real.class_names and len(real.class_names) > 1
    drawn, notes = _draw(images, real if have_classes else None, config)
    config, target = replace(config, samples=len(drawn)), resolve_device(device)
    extractor = extractor.to(target)
    batches = (torch.from_numpy(drawn.images[i : i + BATCH]).to(target) for i in range(0, len(drawn), BATCH))
    made, logits = map(torch.cat, zip(*extract_features(extractor, batches, "scored"), strict=True))
    # Folders are read class by class, and parts of the images, as the Inception Score takes them, must be alike.
    order = torch.from_numpy(_mix_classes(drawn.labels, config.seed)).to(made.device)
    labels = torch.from_numpy(np.asarray(drawn.labels)).to(made.device)
    made, logits, labels = made[order], logits[order], labels[order]
    diversity = relative_diversity(spread_out(drawn, min(DIVERSITY_IMAGES, len(real))), real.images)
    memorisation, copied = _measure_memorisation(made, reference) if is_training_set else ({}, ())
    measured = {
        **_measure(made, logits, reference, config.is_splits),
        **memorisation,
        **(_measure_classes(made, labels, reference) if have_classes else {}),
    }
    identity = {
        "generator": MADE_ELSEWHERE,
        "weights": MADE_ELSEWHERE,
        "name": name,
        "recipe": images.content_hash,
        "trained_epochs": 0,
        "seed": 0,
        "sampling_seed": config.seed,
        "data_hash": real.content_hash,
        "device": target.type,
    }
    flags = _flag_samples(diversity, logits, extractor) + copied
    notes += tuple(_note_missing(measured, made, real.class_names if have_classes else ()))
    notes += tuple(_note_memorisation(measured)) if is_training_set else ()
    return _make_scores(measured, made, reference, extractor, config, identity=identity, flags=flags, notes=notes)


def _draw(images: ImageSet, real: ImageSet | None, config: ScoringConfig) -> tuple[ImageSet, tuple[str, ...]]:
    """Draw the images to score, with the class frequencies of ``real`` where there are enough; say if there are not."""
    if len(images) < config.samples:
        return images, (
            f"There are {len(images):,} images, fewer than scoring.samples, {config.samples:,}: scores of other "
            "numbers of images do not compare with these.",
        )
    order = np.random.default_rng(config.seed).permutation(len(images))
    rows, notes = order[: config.samples], tuple[str, ...]()
    if real is not None:
        sizes, real_sizes = (np.bincount(each.labels, minlength=len(real.class_names)) for each in (images, real))
        wanted = allocate_samples(real_sizes, config.samples)
        if (sizes >= wanted).all():
            of_class = [order[images.labels[order] == label][:count] for label, count in enumerate(wanted)]
            rows = np.concatenate(of_class)
        else:
            short = [name for name, has, needs in zip(real.class_names, sizes, wanted, strict=True) if has < needs]
            notes = (
                f"Too few images of class {', '.join(short)} for the class frequencies of the reference: the images "
                "are drawn with their own.",
            )
    return images.take(np.sort(rows), next(iter(images.split_sizes))), notes


def _mix_classes(labels: NDArray[np.int64], seed: int) -> NDArray[np.intp]:
    """Order images at random so that every run of them has about the same classes, as `stratified_labels` does."""
    order, places = np.random.default_rng(seed).permutation(len(labels)), np.empty(len(labels))
    for label in np.unique(labels):
        rows = order[labels[order] == label]
        places[rows] = (np.arange(len(rows)) + 0.5) / len(rows)
    return np.argsort(places, kind="stable")


Measured = dict[tuple[str, str | None], tuple[float, float | None]]
"""Value and spread by metric and name of the class; the name is None for metrics over all images."""


def _make_scores(
    measured: Measured,
    fake: Tensor,
    reference: Reference,
    extractor: FeatureExtractor,
    config: ScoringConfig,
    *,
    identity: dict[str, Any],
    flags: tuple[str, ...],
    notes: tuple[str, ...],
) -> list[Score]:
    """Make a score of each metric, with its own key and flags beside those of all."""
    return [
        Score(
            metric=metric,
            value=value,
            spread=spread,
            comparability=_comparability(metric, class_name, reference, extractor, config),
            identity=identity,
            extractor=dict(extractor.provenance),
            flags=(*flags, *_flag_metric(metric, fake, reference)),
            notes=notes,
        )
        for (metric, class_name), (value, spread) in measured.items()
    ]


def _measure(fake: Tensor, logits: Tensor, reference: Reference, is_splits: int) -> Measured:
    """Measure the metrics over all images."""
    device = fake.device
    radii = reference.radii(device)  # raises first, where there are too few real images for any metric
    real, moments = reference.features.to(device), reference.moments.to(device)
    measured: Measured = {("fid", None): (frechet_distance(moments, Moments.of_stream(fake.split(BATCH))), None)}
    if len(fake) >= SAMPLES_PER_FEATURE * fake.shape[1]:
        parts = [Moments.of_stream(part.split(BATCH)) for part in fake.tensor_split(EXTRAPOLATION_PARTS)]
        measured["fid_infinity", None] = extrapolate_frechet(moments, parts)
    if logits.shape[1]:
        measured["is", None] = inception_score(logits, is_splits)
    measured["kid", None] = kernel_distance(fake, real)
    for metric, value in asdict(neighbour_scores(real, fake, radii)).items():
        measured[metric, None] = (value, None)
    return measured


def _measure_memorisation(fake: Tensor, reference: Reference) -> tuple[Measured, tuple[str, ...]]:
    """Measure the nearness to the images of the training beside that of held-out images; list reasons to distrust."""
    made = Nearness.of(fake, reference.features.to(fake.device), reference.radii(fake.device))
    measured: Measured = {("authenticity", None): (made.authenticity, None)}
    heldout = reference.heldout_nearness(fake.device)
    if heldout is None:
        return measured, ()
    copies = find_copies(made, heldout)
    measured["heldout_authenticity", None] = (heldout.authenticity, None)
    measured["copies", None] = (copies.share, None)
    return measured, (_describe_copies(copies),) if copies.are_significant else ()


def _describe_copies(copies: Copies) -> str:
    return (
        f"Samples repeat training images: {copies.share:.1%} of them are as near to one as the nearest "
        f"{copies.rank:,} of {copies.heldout:,} held-out images (distance to the nearest training image, relative to "
        f"the {NEIGHBOURS} nearest); look at the picture neighbours."
    )


def _measure_classes(fake: Tensor, labels: Tensor, reference: Reference) -> Measured:
    """Measure KID for each class of which there are enough images."""
    real_labels = torch.from_numpy(np.asarray(reference.images.labels))
    measured: Measured = {}
    for index, name in enumerate(reference.images.class_names):
        made, real = fake[labels == index], reference.features[real_labels == index].to(fake.device)
        if min(len(made), len(real)) >= MIN_CLASS_IMAGES:
            measured["class_kid", name] = kernel_distance(made, real)
    return measured


def _note_missing(measured: Measured, fake: Tensor, class_names: Sequence[str]) -> Iterator[str]:
    """Say why metrics were not measured; ``class_names`` are those of a conditional generator."""
    samples, features = fake.shape
    if ("is", None) not in measured:
        yield "The Inception Score is left out: the feature extractor does not classify."
    if ("fid_infinity", None) not in measured:
        yield (
            f"FID-infinity is left out: it needs {SAMPLES_PER_FEATURE * features:,} samples or more with {features:,} "
            f"features, and there are {samples:,}."
        )
    missing = [name for name in class_names if ("class_kid", name) not in measured]
    if missing:
        needed = f"{MIN_CLASS_IMAGES} samples and {MIN_CLASS_IMAGES} reference images of a class"
        yield f"KID of class {', '.join(missing)} is left out: it needs {needed}."


def _note_memorisation(measured: Measured) -> Iterator[str]:
    """Say why metrics of memorisation were not measured."""
    if ("authenticity", None) not in measured:
        yield "Authenticity and copies are left out: the reference is not the images that the generator was trained on."
    elif ("copies", None) not in measured:
        yield "Copies are left out: no test or valid split has images that they could be compared with."


def labels_like(reference: ImageSet, samples: int, generator: TrainedGenerator) -> Tensor | None:
    """Make labels with the class frequencies of the reference; None for an unconditional generator."""
    if not generator.is_conditional:
        return None
    return stratified_labels(np.bincount(reference.labels, minlength=len(reference.class_names)), samples)


def _comparability(
    metric: str, class_name: str | None, reference: Reference, extractor: FeatureExtractor, config: ScoringConfig
) -> dict[str, Any]:
    """Make the comparability key of a score."""
    key = {
        "metric": metric,
        "samples": config.samples,
        "extractor": extractor.provenance["name"],
        "extractor_weights": extractor.provenance["weights_hash"],
        "resize_filter": reference.images.resize_filter,
        "reference_split": config.reference,
        "reference_hash": reference.images.content_hash,
        "class_frequencies": "reference",
    }
    if metric == "is":
        key["is_splits"] = config.is_splits
    if metric in ("heldout_authenticity", "copies") and reference.heldout is not None:
        key["heldout_hash"] = reference.heldout.images.content_hash
    if class_name is not None:
        key["class"] = class_name
    return key


def make_monitor(
    extractor: FeatureExtractor, reference: Reference, config: ScoringConfig, device: DeviceName = "auto"
) -> Monitor:
    """Make the monitor that scores a generator during its training.

    It measures ``fid_<samples>``, such as ``fid_5k``, and ``fid_<batch>`` if a batch is asked for; if the extractor
    classifies, ``is_<samples>`` and ``spread_of_is_<samples>``, its standard deviation over the splits. Images and
    features are held one batch at a time; only the logits are kept, and the features of the batch.

    Args:
        extractor: the extractor of the reference's features.
        reference: real images to compare with.
        config: sampling seed, splits of the Inception Score, and settings of the monitor.
        device: where to compute.

    Raises:
        ConfigError: if the batch is larger than the reference.
    """
    monitor, count = config.during_training, len(reference.features)
    allowed = f"at most the {count} images of the reference"
    require((monitor.batch or 0) <= count, "scoring.during_training.batch", monitor.batch, allowed)
    measured = {name: value for name, value in asdict(monitor).items() if value is not None and name != "every_epochs"}
    key = hash_values(MONITOR_VERSION, reference.key, measured, config.seed, config.is_splits)
    measure = _Measurement(extractor, reference, config, device)
    return Monitor(measure, metric=f"fid_{abbreviate(monitor.samples)}", key=key, every_epochs=monitor.every_epochs)


@dataclass(frozen=True)
class _Measurement:
    """Measures a generator where it is called: in a process of another machine, whose device may be another."""

    extractor: FeatureExtractor
    reference: Reference
    config: ScoringConfig
    device: DeviceName

    def __reduce__(self) -> tuple[type[_Measurement], tuple[Any, ...]]:
        """Pickle without what is on this process's device."""
        return type(self), (self.extractor, self.reference, self.config, self.device)

    @cached_property
    def network(self) -> FeatureExtractor:
        return self.extractor.to(resolve_device(self.device))

    @cached_property
    def moments(self) -> Moments:
        return self.reference.moments.to(resolve_device(self.device))

    @cached_property
    def batch_moments(self) -> Moments:
        """Moments of as many real images as a batch has."""
        features, draws = self.reference.features, torch.Generator().manual_seed(self.config.seed)
        chosen = torch.randperm(len(features), generator=draws)[: self.config.during_training.batch]
        return Moments.of(features[chosen]).to(resolve_device(self.device))

    def __call__(self, generator: TrainedGenerator) -> dict[str, float]:
        monitor, images = self.config.during_training, self.reference.images
        _require_same_kind(generator, images)
        batches = generator.sample_batches(
            monitor.samples,
            seed=self.config.seed + MONITOR_SEED_OFFSET,
            weights=monitor.weights,
            labels=labels_like(images, monitor.samples, generator),
            device=self.device,
        )
        size, batch = abbreviate(monitor.samples), monitor.batch or 0
        first: list[Tensor] = []  # these two fill up as the stream is read
        logits: list[Tensor] = []

        def stream() -> Iterator[Tensor]:
            for prediction in extract_features(self.network, batches, "generated"):
                logits.append(prediction.logits)
                if sum(map(len, first)) < batch:
                    first.append(prediction.features)
                yield prediction.features

        scores = {f"fid_{size}": frechet_distance(self.moments, Moments.of_stream(stream()))}
        if batch:
            made = Moments.of(torch.cat(first)[:batch])
            scores[f"fid_{abbreviate(batch)}"] = frechet_distance(self.batch_moments, made)
        predictions = torch.cat(logits)
        if predictions.shape[1]:
            value, spread = inception_score(predictions, self.config.is_splits)
            scores |= {f"is_{size}": value, f"spread_of_is_{size}": spread}
        return scores


def find_neighbours(
    candidates: Tensor, extractor: FeatureExtractor, reference: Reference, count: int, device: DeviceName = "auto"
) -> list[tuple[Tensor, Tensor]]:
    """Find the generated images closest to real ones in feature space, to look for memorised images.

    Args:
        candidates: (N, C, H, W) uint8, generated images, such as `sample_candidates` and `spread_out` give.
        extractor: the extractor of the reference's features.
        reference: real images to compare with.
        count: maximum number of candidates to return: those with the smallest distance to a real image.
        device: where to compute.

    Returns:
        pairs of a candidate (C, H, W) uint8 and its nearest real images (N, C, H, W) uint8, the nearest first; N is
        `NEIGHBOURS_SHOWN`, or less if there are fewer real images.

    Raises:
        FeaturesUnusable: if a feature or a logit is infinite or NaN.
    """
    target = resolve_device(device)
    (prediction,) = extract_features(extractor.to(target), [candidates.to(target)], "generated")
    features = reference.features.to(prediction.features.device)
    distances, nearest = nearest_neighbours(prediction.features, features, min(NEIGHBOURS_SHOWN, len(features)))
    chosen = distances[:, 0].argsort()[:count].tolist()
    real = reference.images.images
    return [(candidates[row], torch.from_numpy(real[nearest[row].cpu().numpy()])) for row in chosen]


def sample_candidates(generator: TrainedGenerator, reference: ImageSet, device: DeviceName = "auto") -> Tensor:
    """Generate `NEIGHBOUR_CANDIDATES` images for `find_neighbours`, with the weights for previews.

    Raises:
        ConfigError: if generated and real images differ in shape or classes.
    """
    _require_same_kind(generator, reference)
    weights = generator.config.preview_weights
    labels = labels_like(reference, NEIGHBOUR_CANDIDATES, generator)
    return generator.sample(NEIGHBOUR_CANDIDATES, seed=0, weights=weights, labels=labels, device=device)


def spread_out(images: ImageSet, count: int = NEIGHBOUR_CANDIDATES) -> Tensor:
    """Take (N, C, H, W) uint8 images at even distances from a set, ``count`` of them or all."""
    rows = np.linspace(0, len(images) - 1, min(count, len(images))).astype(int)
    return torch.from_numpy(images.images[rows])


def _require_same_kind(generator: TrainedGenerator, images: ImageSet) -> None:
    """Raise a `ConfigError` if generated and real images differ in shape or classes."""
    if generator.is_conditional:
        names, known = list(generator.class_names), list(images.class_names)
        require(names == known, "classes of the generated images", names, f"{known}, as in the dataset; train again")
    made, real = tuple(generator.image_shape), images.images.shape[1:]
    require(made == real, "shape of the generated images", made, f"{real}, as the dataset is; train again")


def _diversity(generator: TrainedGenerator, weights: WeightSet, reference: ImageSet, device: DeviceName) -> float:
    """Measure the diversity of samples relative to as many real images."""
    count = min(DIVERSITY_IMAGES, len(reference))
    labels = labels_like(reference, count, generator)
    samples = generator.sample(count, seed=0, weights=weights, labels=labels, device=device)
    return relative_diversity(samples, reference.images)


def _flag_samples(diversity: float, logits: Tensor, extractor: FeatureExtractor) -> tuple[str, ...]:
    """List reasons to distrust every metric of the samples."""
    flags = []
    if diversity < NARROW_BELOW:
        flags.append(describe_low_diversity(diversity))
    if logits.shape[1] and inception_score(logits, splits=1)[0] < MIN_INCEPTION_SCORE:
        flags.append(
            "An Inception Score of 1 means that every image gets the same prediction: the generator has collapsed or "
            "the metric is broken."
        )
    accuracy = extractor.provenance.get("heldout_accuracy", 1.0)
    if accuracy < MIN_HELDOUT_ACCURACY:
        flags.append(f"The classifier behind these features gets only {accuracy:.1%} of held-out images right.")
    return tuple(flags)


def _flag_metric(metric: str, fake: Tensor, reference: Reference) -> tuple[str, ...]:
    """List reasons to distrust one metric."""
    images, dimensions = min(len(fake), len(reference.features)), fake.shape[1]
    if metric in ("fid", "fid_infinity") and images <= dimensions:
        return (
            f"FID of {images:,} images in {dimensions:,} dimensions: a covariance is singular; take more than "
            f"{dimensions:,} images, or read KID.",
        )
    return ()
