from __future__ import annotations

from types import SimpleNamespace

import pytest

from gan_pipelines.augmentation import AugmentationConfig, configure_replicate
from gan_pipelines.core.config import ConfigError
from gan_pipelines.gan.config import GanConfig, ScheduleConfig

CONFIG = GanConfig(objective="hinge", batch_size=32, epochs=20, schedule=ScheduleConfig(kind="step", every_epochs=5))
ALL = 1257
"""Number of training images, of which a replicate has a fraction."""


def replicate(count, config=CONFIG, **settings):
    draw = SimpleNamespace(seed=7, images=range(count))
    return configure_replicate(config, AugmentationConfig(**settings), draw, ALL)


@pytest.mark.parametrize("count", [33, 63, 64, 126, 500, 1257])
@pytest.mark.parametrize("drop_last", [True, False])
def test_a_generator_of_few_images_is_trained_for_as_many_steps_as_one_of_all(count, drop_last):
    config = GanConfig(objective="hinge", batch_size=32, epochs=20, drop_last=drop_last)
    steps = 20 * config.steps_per_epoch(ALL)
    made = replicate(count, config)
    assert 0 <= made.epochs * made.steps_per_epoch(count) - steps < made.steps_per_epoch(count)


@pytest.mark.parametrize("epochs", [None, 3])
def test_fewer_images_than_a_batch_are_refused(epochs):
    with pytest.raises(ConfigError, match="batch_size is 32, but must be at most the 31 images"):
        replicate(31, generator_epochs=epochs)


def test_the_schedule_of_a_replicate_has_as_many_steps_down():
    made = replicate(126)
    assert (made.epochs, made.schedule.every_epochs, made.seed) == (260, 65, 7)
    assert replicate(ALL).epochs == 20


def test_epochs_that_are_stated_are_those_of_all_fractions():
    assert replicate(126, generator_epochs=40).epochs == 40
