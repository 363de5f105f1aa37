"""Fit the arms of a replicate, each once: what is finished is kept, whenever the process is killed."""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from gan_pipelines.augmentation.config import REAL_LONGER, Arm, ArmClassifierConfig, AugmentationConfig, list_arms
from gan_pipelines.augmentation.splits import Draw, ImageSplits
from gan_pipelines.augmentation.synthesis import SyntheticImages, choose_labels, needs_judge, synthesize
from gan_pipelines.classifier import (
    Classifier,
    LabelledImages,
    PredictionScores,
    fit_selected,
    score_predictions,
    steps_per_epoch,
)
from gan_pipelines.core.hashing import hash_arrays, hash_values
from gan_pipelines.core.runtime import DeviceName
from gan_pipelines.core.stores import KeyedStore
from gan_pipelines.gan import TrainedGenerator
from gan_pipelines.gan.config import TransformConfig
from gan_pipelines.gan.health import NARROW_BELOW, relative_diversity
from gan_pipelines.images import ImageSet

logger = logging.getLogger(__name__)

COMPARED = 256
"""Images, generated and real, among which twins are looked for."""
RECORD_FILE = "record.json"
PROBABILITIES_FILE = "probabilities.npy"
ENTRY_VERSION = 1
"""Part of the key of every fit: raise it when the same settings begin to give another one."""


class Replicate(NamedTuple):
    """The real images of one replicate, and the generator that was trained on them alone."""

    draw: Draw
    generator: TrainedGenerator


@dataclass(frozen=True)
class ArmFit:
    """One classifier: what it was fitted on, and what it makes of the test split.

    Attributes:
        fraction: of the real images.
        seed: of the replicate.
        arm: name of the arm.
        real_images: number that it was fitted on.
        synthetic_images: likewise.
        steps: of the optimiser.
        seconds: that fitting took.
        best_epoch: chosen on the validation split.
        valid_accuracy: of that epoch.
        scores: on the test split.
        correct: (test images,) whether it recognised each.
        history: of each epoch ``epoch``, ``train_loss``, ``valid_loss`` and ``valid_accuracy``.
    """

    fraction: float
    seed: int
    arm: str
    real_images: int
    synthetic_images: int
    steps: int
    seconds: float
    best_epoch: int
    valid_accuracy: float
    scores: PredictionScores
    correct: NDArray[np.bool_]
    history: list[dict[str, float]]


def fit_arms(
    store: KeyedStore,
    images: ImageSplits,
    replicate: Replicate,
    config: AugmentationConfig,
    device: DeviceName = "auto",
) -> Iterator[ArmFit]:
    """Fit the classifiers of one replicate, but for those that the store holds; yield each when it is there.

    The classifiers of all arms begin with the same weights.
    """
    fitting = _ReplicateFitting(store, images, replicate, config, device)
    for arm in list_arms(config):
        yield fitting.fit(arm)


def make_synthetic_images(
    images: ImageSplits, replicate: Replicate, config: AugmentationConfig, device: DeviceName = "auto"
) -> SyntheticImages:
    """Make the generated images that the arms of a replicate are fitted on, as many as the largest ratio wants."""
    draw, generator = replicate
    count = _count_synthetic(config.largest_ratio, len(draw.images))
    labels = choose_labels(draw.images.labels, len(draw.images.class_names), count, config.synthetic)
    judge = _fit_judge(images, draw, config, device) if needs_judge(generator, config.synthetic) else None
    made = synthesize(
        generator, labels, draw.images.class_names, config.synthetic, seed=draw.seed, judge=judge, device=device
    )
    _warn_of_twins(made.images, draw)
    origin = {"fraction": draw.fraction, "real_images": len(draw.images), "training": dict(generator.training)}
    return replace(made, provenance={**made.provenance, **origin})


def _fit_judge(images: ImageSplits, draw: Draw, config: AugmentationConfig, device: DeviceName) -> Classifier:
    """A classifier of a replicate's real images, for labels and confidences: that of the arm `REAL_LONGER`."""
    return fit_selected(
        _labelled(draw.images),
        _labelled(images.valid),
        len(draw.images.class_names),
        replace(config.classifier, seed=draw.seed),
        steps=_count_steps(REAL_LONGER, len(draw.images), config),
        device=device,
    ).classifier


def _count_synthetic(ratio: float, real_images: int) -> int:
    """Generated images of an arm: two at least, since batch norm needs as many."""
    return max(2, round(ratio * real_images))


def _count_steps(arm: Arm, real_images: int, config: AugmentationConfig) -> int:
    """Steps of the optimiser that an arm takes, see `list_arms`."""
    count = real_images + (0 if arm.is_short else _count_synthetic(config.largest_ratio, real_images))
    return config.classifier.epochs * steps_per_epoch(count, config.classifier.batch_size)


def _warn_of_twins(made: Tensor, draw: Draw) -> None:
    """Say so if the generated images are much more alike than the real ones: no loss and no accuracy shows it."""
    variety = relative_diversity(made[:COMPARED], draw.images.images)
    if variety < NARROW_BELOW:
        logger.warning(
            "Most generated images of seed %d have a twin, %.0f%% as far away as among real ones: the generator has "
            "collapsed or, with augmentation.synthetic.weights: ema, its average has had too few steps to follow it",
            draw.seed,
            100 * variety,
        )


def _labelled(images: ImageSet) -> LabelledImages:
    return LabelledImages(torch.from_numpy(images.images), torch.from_numpy(images.labels))


@dataclass(frozen=True)
class _ReplicateFitting:
    store: KeyedStore
    images: ImageSplits
    replicate: Replicate
    config: AugmentationConfig
    device: DeviceName

    def fit(self, arm: Arm) -> ArmFit:
        folder = self.store.get_or_build(self._key(arm), lambda folder: self._build(arm, folder))
        record: dict[str, Any] = json.loads((folder / RECORD_FILE).read_text())
        probabilities = np.load(folder / PROBABILITIES_FILE)
        labels = self.images.test.labels
        return ArmFit(
            fraction=self.replicate.draw.fraction,
            seed=self.replicate.draw.seed,
            arm=arm.name,
            scores=score_predictions(probabilities, labels),
            correct=probabilities.argmax(axis=1) == labels,
            **record,
        )

    def _build(self, arm: Arm, folder: Path) -> None:
        train, synthetic_count = self._training_images(arm)
        steps = _count_steps(arm, len(self.replicate.draw.images), self.config)
        start = time.monotonic()
        fit = fit_selected(
            train,
            _labelled(self.images.valid),
            len(self.images.train.class_names),
            self._classifier_config,
            steps=steps,
            transforms=self.config.transforms if arm.is_transformed else TransformConfig(),
            device=self.device,
        )
        record = {
            "real_images": len(train.images) - synthetic_count,
            "synthetic_images": synthetic_count,
            "steps": steps,
            "seconds": time.monotonic() - start,
            "best_epoch": fit.best_epoch,
            "valid_accuracy": fit.history[fit.best_epoch - 1]["valid_accuracy"],
            "history": fit.history,
        }
        probabilities = fit.classifier.predict(torch.from_numpy(self.images.test.images)).softmax(1)
        np.save(folder / PROBABILITIES_FILE, probabilities.numpy())
        (folder / RECORD_FILE).write_text(json.dumps(record))

    def _training_images(self, arm: Arm) -> tuple[LabelledImages, int]:
        """The images of an arm, and how many of them, the last ones, are generated."""
        real = _labelled(self.replicate.draw.images)
        if not arm.ratio:
            return real, 0
        chosen = self._synthetic.places < _count_synthetic(arm.ratio, len(real.images))
        synthetic = LabelledImages(self._synthetic.images[chosen], self._synthetic.labels[chosen])
        if not arm.has_real:
            return synthetic, len(synthetic.images)
        both = LabelledImages(*(torch.cat(parts) for parts in zip(real, synthetic, strict=True)))
        return both, len(synthetic.images)

    @property
    def _classifier_config(self) -> ArmClassifierConfig:
        """With the seed of the replicate: the classifiers of all its arms begin with the same weights."""
        return replace(self.config.classifier, seed=self.replicate.draw.seed)

    @cached_property
    def _synthetic(self) -> SyntheticImages:
        return make_synthetic_images(self.images, self.replicate, self.config, self.device)

    def _key(self, arm: Arm) -> str:
        """Hash of all that a fit depends on; of the generated images it is what they are made from."""
        draw, generator = self.replicate
        splits = [part.content_hash for part in (draw.images, self.images.valid, self.images.test)]
        steps = _count_steps(arm, len(draw.images), self.config)
        values: list[Any] = [arm._asdict(), steps, asdict(self._classifier_config), splits]
        if arm.is_transformed:
            values.append(asdict(self.config.transforms))
        if arm.ratio:
            weights: dict[str, Tensor] = dict(generator.weights[self.config.synthetic.weights])
            values += [
                asdict(self.config.synthetic),
                self.config.largest_ratio,
                hash_arrays(weights[name].numpy() for name in sorted(weights)),
            ]
        return hash_values(ENTRY_VERSION, *values)
