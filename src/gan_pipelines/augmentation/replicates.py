"""A replicate of the experiment: its real images, and the source of its synthetic ones."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import NamedTuple

import torch

from gan_pipelines.augmentation.config import Arm, AugmentationConfig
from gan_pipelines.augmentation.sources import Source
from gan_pipelines.augmentation.splits import Draw
from gan_pipelines.classifier import LabelledImages, steps_per_epoch
from gan_pipelines.gan import check_steps
from gan_pipelines.gan.config import GanConfig
from gan_pipelines.images import ImageSet


class Replicate(NamedTuple):
    """The real images of one replicate, and the source of its synthetic ones."""

    draw: Draw
    source: Source


def configure_replicate(config: GanConfig, experiment: AugmentationConfig, draw: Draw, all_images: int) -> GanConfig:
    """Configure a variant for the real images of one replicate, which are drawn from so many.

    Unless the experiment states the epochs, they are so many that the steps are as many as with all images, or less
    than an epoch more; a step schedule is scaled with them.

    Raises:
        ConfigError: if the replicate has fewer images than a batch, or fewer batches than ``discriminator_steps``.
    """
    check_steps(config, len(draw.images))
    steps = config.epochs * config.steps_per_epoch(all_images)
    epochs = experiment.generator_epochs or math.ceil(steps / config.steps_per_epoch(len(draw.images)))
    schedule = config.schedule
    if schedule.kind == "step":
        every = max(1, round(schedule.every_epochs * epochs / config.epochs))
        schedule = replace(schedule, every_epochs=every)
    return replace(config, epochs=epochs, schedule=schedule, seed=draw.seed)


def count_synthetic(ratio: float, real_images: int) -> int:
    """Number of synthetic images for a ratio, at least one."""
    return max(1, round(ratio * real_images))


def count_steps(arm: Arm, real_images: int, config: AugmentationConfig) -> int:
    """Number of optimiser steps of an arm, see `list_arms`."""
    count = real_images + (0 if arm.is_short else count_synthetic(config.largest_ratio, real_images))
    return config.classifier.epochs * steps_per_epoch(count, config.classifier.batch_size)


def to_tensors(images: ImageSet) -> LabelledImages:
    """Images and labels of a set as tensors that share its memory."""
    return LabelledImages(torch.from_numpy(images.images), torch.from_numpy(images.labels))
