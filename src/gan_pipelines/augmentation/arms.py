"""Fit the classifiers of a replicate, one for each arm and learning rate. Finished ones are kept in a store."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from gan_pipelines.augmentation.config import Arm, AugmentationConfig, list_arms
from gan_pipelines.augmentation.replicates import (
    Replicate,
    count_steps,
    count_synthetic,
    to_tensors,
)
from gan_pipelines.augmentation.splits import Draw
from gan_pipelines.augmentation.synthesis import Selection, SyntheticImages
from gan_pipelines.augmentation.synthetic_sets import hash_synthetic_set
from gan_pipelines.classifier import (
    ClassifierConfig,
    LabelledImages,
    PredictionScores,
    fit_selected,
    precision_in_key,
    score_predictions,
)
from gan_pipelines.core.devices import resolve_device
from gan_pipelines.core.hashing import hash_values
from gan_pipelines.core.runtime import DeviceName
from gan_pipelines.core.stores import KeyedStore
from gan_pipelines.gan.config import TransformConfig
from gan_pipelines.images import ImageSet

RECORD_FILE = "record.json"
PROBABILITIES_FILE = "probabilities.npy"
ENTRY_VERSION = 3
"""Version of a fit, part of its key. Raise it when the classifier changes for the same settings."""


@dataclass(frozen=True)
class ArmFit:
    """One fitted classifier, with its scores on the test split.

    Attributes:
        fraction: fraction of the real training images.
        seed: seed of the replicate.
        arm: name of the arm.
        learning_rate: at the start of the fit.
        real_images: number of real images that it was fitted on.
        valid_images: number of images of the validation split.
        synthetic_images: number of synthetic images that it was fitted on.
        synthetic_diversity: diversity of the synthetic images relative to real ones, see `relative_diversity`; None
            for an arm without them.
        selection: numbers of images that the synthetic images of the largest ratio were chosen from; None for an arm
            without them, and for those of earlier versions.
        steps: number of optimiser steps.
        seconds: duration of the fit.
        best_epoch: epoch with the best accuracy on the validation split; the classifier has its weights.
        valid_accuracy: accuracy on the validation split after that epoch.
        scores: scores on the test split.
        correct: (test images,) whether its prediction is right.
        history: of each epoch, see `SelectedFit`.
    """

    fraction: float
    seed: int
    arm: str
    learning_rate: float
    real_images: int
    valid_images: int
    synthetic_images: int
    synthetic_diversity: float | None
    selection: Selection | None
    steps: int
    seconds: float
    best_epoch: int
    valid_accuracy: float
    scores: PredictionScores
    correct: NDArray[np.bool_]
    history: list[dict[str, float]]

    @property
    def valid_loss(self) -> float:
        """Loss on the validation split after the best epoch; infinite if the fit has diverged."""
        return self.history[self.best_epoch - 1]["valid_loss"]


def list_fits(
    store: KeyedStore,
    test: ImageSet,
    replicate: Replicate,
    synthetic: SyntheticImages,
    config: AugmentationConfig,
    device: DeviceName = "auto",
) -> list[Callable[[], ArmFit]]:
    """List the fits of one replicate, one for each arm and learning rate, as functions to call.

    A fit that the store holds is loaded. They are independent of each other, and the classifiers of all arms start from
    the same weights.

    Args:
        store: store of the fits.
        test: images to score on.
        replicate: real images of this replicate, and the source of synthetic ones.
        synthetic: images of this source, as many as the largest ratio needs.
        config: arms and classifier.
        device: device to fit on.
    """
    # The key stands for the source, which may be large, in tasks that are sent to other processes.
    synthetic_key = hash_synthetic_set(replicate, config, device)
    fitting = _ReplicateFitting(store, test, replicate.draw, synthetic, synthetic_key, config, device)
    return [partial(fitting.fit, arm, rate) for arm in list_arms(config) for rate in config.classifier.learning_rates]


@dataclass(frozen=True)
class _ReplicateFitting:
    store: KeyedStore
    test: ImageSet
    draw: Draw
    synthetic: SyntheticImages
    synthetic_key: str
    config: AugmentationConfig
    device: DeviceName

    def fit(self, arm: Arm, learning_rate: float) -> ArmFit:
        classifier = self.config.classifier.at(learning_rate, self.draw.seed)
        key = self._key(arm, classifier)
        folder = self.store.get_or_build(key, lambda folder: self._build(arm, classifier, folder))
        record: dict[str, Any] = json.loads((folder / RECORD_FILE).read_text())
        probabilities = np.load(folder / PROBABILITIES_FILE)
        labels = self.test.labels
        return ArmFit(
            fraction=self.draw.fraction,
            seed=self.draw.seed,
            arm=arm.name,
            learning_rate=learning_rate,
            valid_images=len(self.draw.valid),
            synthetic_diversity=self.synthetic.provenance["diversity"] if arm.ratio else None,
            selection=self.synthetic.selection if arm.ratio else None,
            scores=score_predictions(probabilities, labels),
            correct=probabilities.argmax(axis=1) == labels,
            **record,
        )

    def _build(self, arm: Arm, classifier: ClassifierConfig, folder: Path) -> None:
        draw = self.draw
        train, synthetic_count = self._training_images(arm)
        steps = count_steps(arm, len(draw.images), self.config)
        start = time.monotonic()
        fit = fit_selected(
            train,
            to_tensors(draw.valid),
            len(draw.images.class_names),
            classifier,
            steps=steps,
            transforms=self.config.transforms if arm.is_transformed else TransformConfig(),
            test=to_tensors(self.test) if self.config.test_curves else None,
            device=self.device,
        )
        record = {
            "real_images": len(train.images) - synthetic_count,
            "synthetic_images": synthetic_count,
            "steps": steps,
            "seconds": time.monotonic() - start,
            "best_epoch": fit.best_epoch,
            "valid_accuracy": fit.valid_accuracy,
            "history": fit.history,
        }
        fitted = fit.classifier.to(resolve_device(self.device))
        probabilities = fitted.predict(torch.from_numpy(self.test.images)).softmax(1)
        np.save(folder / PROBABILITIES_FILE, probabilities.numpy())
        (folder / RECORD_FILE).write_text(json.dumps(record))

    def _training_images(self, arm: Arm) -> tuple[LabelledImages, int]:
        """The images of an arm, real ones first, and the number of synthetic ones among them."""
        real = to_tensors(self.draw.images)
        if not arm.ratio:
            return real, 0
        chosen = self.synthetic.places < count_synthetic(arm.ratio, len(real.images))
        pixels = torch.from_numpy(self.synthetic.images[chosen.numpy()])
        synthetic = LabelledImages(pixels, self.synthetic.labels[chosen])
        if not arm.has_real:
            return synthetic, len(synthetic.images)
        both = LabelledImages(*(torch.cat(parts) for parts in zip(real, synthetic, strict=True)))
        return both, len(synthetic.images)

    def _key(self, arm: Arm, classifier: ClassifierConfig) -> str:
        """Hash of everything that determines a fit."""
        draw = self.draw
        splits = [part.content_hash for part in (draw.images, draw.valid, self.test)]
        steps = count_steps(arm, len(draw.images), self.config)
        values: list[Any] = [arm._asdict(), steps, asdict(classifier), splits]
        if arm.is_transformed:
            values.append(asdict(self.config.transforms))
        if arm.ratio:
            values.append(self.synthetic_key)
        if self.config.test_curves:
            values.append("test_curves")
        return hash_values(ENTRY_VERSION, *values, *precision_in_key(self.device))
