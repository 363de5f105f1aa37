"""Fit the classifier: for a number of epochs, or keeping the best epoch on a validation split."""

from __future__ import annotations

import copy
import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from gan_pipelines.classifier.config import ClassifierConfig
from gan_pipelines.classifier.resnet import Classifier
from gan_pipelines.core.config import require
from gan_pipelines.core.devices import RandomState, autocast, resolve_device, resolve_precision
from gan_pipelines.core.pixels import to_float
from gan_pipelines.core.recording import Step, record_on_cuda
from gan_pipelines.core.runtime import DeviceName
from gan_pipelines.gan.config import TransformConfig
from gan_pipelines.gan.transforms import apply_transforms

NO_TRANSFORMS = TransformConfig()


class LabelledImages(NamedTuple):
    """Images (N, 1 or 3, H, W) uint8 and class indices (N,)."""

    images: Tensor
    labels: Tensor


@dataclass(frozen=True)
class SelectedFit:
    """A classifier with the weights of its best epoch on the validation split.

    Attributes:
        classifier: in evaluation mode, on the CPU.
        best_epoch: number of the epoch, from 1, with the highest validation accuracy; the validation loss breaks ties.
        history: for each epoch ``epoch``, ``train_loss``, ``valid_loss`` and ``valid_accuracy``, and with a test split
            ``test_loss`` and ``test_accuracy``.
    """

    classifier: Classifier
    best_epoch: int
    history: list[dict[str, float]]

    @property
    def valid_accuracy(self) -> float:
        """Accuracy on the validation split after the best epoch, from 0 to 1."""
        return self.history[self.best_epoch - 1]["valid_accuracy"]

    @property
    def valid_loss(self) -> float:
        """Loss on the validation split after the best epoch; infinite if the fit has diverged."""
        return self.history[self.best_epoch - 1]["valid_loss"]


def fit_classifier(
    images: Tensor,
    labels: Tensor,
    num_classes: int,
    config: ClassifierConfig,
    *,
    device: DeviceName = "auto",
) -> Classifier:
    """Fit a classifier from random weights with cross entropy.

    Every batch is full: batch norm normalises with the statistics of its batch, and those of a small last batch
    mislead. Forward passes are in bf16 where the device computes in it natively. PyTorch's global random state is not
    touched.

    Args:
        images: (N, 1 or 3, H, W) uint8, N at least 1.
        labels: (N,) class indices.
        num_classes: number of outputs.
        config: network, budget and optimiser.
        device: where to compute.

    Returns:
        the classifier in evaluation mode, on the CPU.

    Raises:
        ConfigError: if there are no images.
    """
    steps = config.epochs * steps_per_epoch(len(images), config.batch_size)
    fitting = _Fitting(LabelledImages(images, labels), num_classes, config, device)
    for _ in fitting.run_epochs(steps, NO_TRANSFORMS):
        pass
    return fitting.classifier.eval().cpu()


def fit_selected(
    train: LabelledImages,
    valid: LabelledImages,
    num_classes: int,
    config: ClassifierConfig,
    *,
    steps: int,
    transforms: TransformConfig = NO_TRANSFORMS,
    test: LabelledImages | None = None,
    device: DeviceName = "auto",
) -> SelectedFit:
    """Fit a classifier as `fit_classifier` does, and keep the best epoch on the validation split.

    Args:
        train: at least one image.
        valid: at least one image.
        num_classes: number of outputs.
        config: network, optimiser, and number of epochs.
        steps: total number of optimiser steps, at least ``config.epochs``. An epoch is an equal part of them, whatever
            the number of images.
        transforms: random transforms of the training images, drawn anew for each batch.
        test: images to measure loss and accuracy on after each epoch, for curves; they choose nothing.
        device: where to compute.

    Raises:
        ConfigError: if there are no training images.
    """
    fitting = _Fitting(train, num_classes, config, device)
    history: list[dict[str, float]] = []
    best = (-1.0, 0.0)
    for epoch, train_loss in enumerate(fitting.run_epochs(steps, transforms), start=1):
        row = {"epoch": epoch, "train_loss": train_loss, **_measure(fitting.classifier, valid, "valid")}
        history.append(row if test is None else row | _measure(fitting.classifier, test, "test"))
        rank = (row["valid_accuracy"], -row["valid_loss"])
        if rank > best:
            best, best_epoch = rank, epoch
            weights = copy.deepcopy(fitting.classifier.state_dict())
    fitting.classifier.load_state_dict(weights)
    return SelectedFit(fitting.classifier.eval().cpu(), best_epoch, history)


def _measure(classifier: Classifier, images: LabelledImages, split: str) -> dict[str, float]:
    """Mean loss, infinite if the fit has diverged, and accuracy on a split, named after it."""
    logits, labels = classifier.predict(images.images), images.labels.cpu()
    loss = F.cross_entropy(logits, labels).nan_to_num(nan=math.inf, posinf=math.inf).item()
    return {f"{split}_loss": loss, f"{split}_accuracy": (logits.argmax(1) == labels).float().mean().item()}


def precision_in_key(device: DeviceName) -> list[str]:
    """The precision in which classifiers are fitted on a device, for the key of what depends on one.

    Nothing for fp32: it is not in keys of earlier versions.
    """
    precision = resolve_precision("auto", resolve_device(device))
    return [] if precision == "fp32" else [precision]


def steps_per_epoch(count: int, batch_size: int) -> int:
    """Count the full batches that take each image at least once; images of the next pass fill the last batch."""
    return math.ceil(count / batch_size)


class _Fitting:
    """Classifier, optimiser, training images and random state of a fit."""

    def __init__(self, train: LabelledImages, num_classes: int, config: ClassifierConfig, device: DeviceName) -> None:
        count = len(train.images)
        require(count >= 1, "number of images to fit a classifier on", count, "1 or more")
        target = resolve_device(device)
        self.config = config
        self.device, self.precision = target, resolve_precision("auto", target)
        self.random = RandomState(config.seed, target)
        self.train = LabelledImages(*(part.to(target) for part in train))
        with self.random.active():
            classifier = Classifier(num_classes, config)
        self.classifier = classifier.to(memory_format=torch.channels_last).to(target)
        self.optimizer = torch.optim.SGD(
            self.classifier.parameters(),
            lr=config.learning_rate,
            momentum=config.momentum,
            weight_decay=config.weight_decay,
        )

    def run_epochs(self, steps: int, transforms: TransformConfig) -> Iterator[float]:
        """Divide the steps evenly between the epochs; yield the mean loss of each epoch."""
        schedule = torch.optim.lr_scheduler.CosineAnnealingLR(self.optimizer, T_max=self.config.epochs)
        batches = self._batches()
        step = self._choose_step(transforms)
        boundaries = [steps * epoch // self.config.epochs for epoch in range(self.config.epochs + 1)]
        for start, end in pairwise(boundaries):
            self.classifier.train()
            with self.random.active():
                losses = [step(next(batches))["loss"].clone() for _ in range(start, end)]
            if self.config.schedule == "cosine":
                schedule.step()
            yield torch.stack(losses).mean().item()

    def _choose_step(self, transforms: TransformConfig) -> Step:
        """An optimiser step, which takes the indices of a batch and returns its ``loss``; recorded on CUDA."""
        (step,) = record_on_cuda([partial(self._step, transforms)], [self.optimizer], self.device)
        return step

    def _step(self, transforms: TransformConfig, batch: Tensor) -> dict[str, Tensor]:
        pixels = apply_transforms(to_float(self.train.images[batch]), transforms)
        with autocast(self.device, self.precision):
            logits = self.classifier.classify(pixels).logits
        loss = F.cross_entropy(logits.float(), self.train.labels[batch])
        self.optimizer.zero_grad()
        loss.backward()
        self.optimizer.step()
        return {"loss": loss.detach()}

    def _batches(self) -> Iterator[Tensor]:
        """Yield the image indices of each batch without end: full batches, cut from one random order after another."""
        count, size = len(self.train.images), self.config.batch_size
        order = torch.empty(0, dtype=torch.int64, device=self.train.images.device)
        while True:
            while len(order) < size:
                order = torch.cat([order, torch.randperm(count, device=order.device)])
            yield order[:size]
            order = order[size:]
