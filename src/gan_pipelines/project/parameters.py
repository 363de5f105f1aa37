"""From the parameters of a run to typed configurations."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, replace
from typing import Any

from gan_pipelines.augmentation.config import AugmentationConfig
from gan_pipelines.augmentation.splits import Draw
from gan_pipelines.core.config import from_dict, merge, require
from gan_pipelines.gan.config import GanConfig, SamplingConfig, TransformConfig
from gan_pipelines.gan.variants import VARIANTS
from gan_pipelines.images.config import DatasetConfig


def configure_gan(variant: str, overrides: Mapping[str, Any] | None) -> GanConfig:
    """Lay the parameters of a variant, None if there are none, over its row in the table of variants.

    Raises:
        ConfigError: if a setting is unknown, has the wrong type, or is not allowed.
    """
    path, overrides = f"variants.{variant}", overrides or {}
    require(isinstance(overrides, Mapping), path, overrides, "a mapping of settings")
    return from_dict(GanConfig, merge(asdict(VARIANTS[variant]), overrides), path)


def configure_sampling(values: Mapping[str, Any]) -> SamplingConfig:
    """Read the sampling parameters; classes may look like numbers.

    Raises:
        ConfigError: if a setting is unknown, has the wrong type, or is not allowed.
    """
    require(isinstance(values, Mapping), "sampling", values, "a mapping of settings")
    classes = values.get("classes")
    if classes is not None:
        named = list(map(str, classes)) if isinstance(classes, list) else str(classes)  # YAML makes numbers of 3 and 7
        values = {**values, "classes": named}
    return from_dict(SamplingConfig, values, "sampling")


def configure_replicate(config: GanConfig, experiment: AugmentationConfig, draw: Draw) -> GanConfig:
    """The configuration of a variant for the real images of one replicate of an experiment.

    Unless the experiment states the epochs, they are so many that the steps are about those that the variant takes over
    all images; a schedule stretches along.
    """
    epochs = experiment.generator_epochs or math.ceil(config.epochs / draw.fraction)
    schedule = config.schedule
    if schedule.kind == "step":
        every = max(1, round(schedule.every_epochs * epochs / config.epochs))
        schedule = replace(schedule, every_epochs=every)
    return replace(config, epochs=epochs, schedule=schedule, seed=draw.seed)


def check_transforms(path: str, transforms: TransformConfig, dataset: DatasetConfig) -> None:
    """Raise a `ConfigError` if an transforms would make images that their labels no longer fit, or empty ones.

    Args:
        path: where it stands in the parameters.
        transforms: what is done to images.
        dataset: says what their labels bear, and how large they are.
    """
    setting, allowed = "dataset.label_preserving", dataset.label_preserving
    require(
        allowed.horizontal_flip or not transforms.horizontal_flip,
        f"{path}.horizontal_flip",
        True,
        f"false for these images: {setting}.horizontal_flip says whether their labels bear it",
    )
    require(
        transforms.rotation_degrees <= allowed.rotation_degrees,
        f"{path}.rotation_degrees",
        transforms.rotation_degrees,
        f"at most {allowed.rotation_degrees:g} for these images: {setting}.rotation_degrees is what labels bear",
    )
    padding, size = transforms.crop_padding, dataset.image_size
    require(padding < size, f"{path}.crop_padding", padding, f"below dataset.image_size, {size}")
