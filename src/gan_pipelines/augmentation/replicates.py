"""Training of the generator of one replicate."""

from __future__ import annotations

import math
from dataclasses import replace

from gan_pipelines.augmentation.config import AugmentationConfig
from gan_pipelines.augmentation.splits import Draw
from gan_pipelines.gan.config import GanConfig


def configure_replicate(config: GanConfig, experiment: AugmentationConfig, draw: Draw) -> GanConfig:
    """Configure a variant for the real images of one replicate.

    Unless the experiment states the epochs, they are scaled by 1 / fraction, so that the number of steps stays about
    the same; a step schedule is scaled with them.
    """
    epochs = experiment.generator_epochs or math.ceil(config.epochs / draw.fraction)
    schedule = config.schedule
    if schedule.kind == "step":
        every = max(1, round(schedule.every_epochs * epochs / config.epochs))
        schedule = replace(schedule, every_epochs=every)
    return replace(config, epochs=epochs, schedule=schedule, seed=draw.seed)
