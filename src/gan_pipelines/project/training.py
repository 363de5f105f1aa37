"""The training of a generator as the pipelines do it: with checkpoints and progress."""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Iterator
from contextlib import closing
from itertools import chain
from typing import NamedTuple

from gan_pipelines import gan, images
from gan_pipelines.core.config import naming, require
from gan_pipelines.core.runtime import DeviceName
from gan_pipelines.gan.config import GanConfig
from gan_pipelines.project.progress import TrainingProgress

logger = logging.getLogger(__name__)


class Training(NamedTuple):
    """A training that is over.

    Attributes:
        epoch: the last epoch, with history, samples and the best generator.
        generator: the generator of the last epoch; if infinite or NaN values have ruined the next one, that of the
            best epoch, or of the last one if none was measured.
        failure: why the training has failed, a sentence; None if it has not.
    """

    epoch: gan.Epoch
    generator: gan.TrainedGenerator
    failure: str | None


def train_generator(  # noqa: PLR0913 (most are keywords)
    config: GanConfig,
    train_images: images.ImageSet,
    checkpoints: gan.CheckpointStore,
    monitor: gan.Monitor,
    *,
    device: DeviceName,
    fresh: bool,
    restart_epoch: int | None = None,
    samples_every: int = 10,
    samples_at: Collection[float] = (),
    progress_lines: int = 20,
    on_start: Callable[[str, bool], None] | None = None,
    on_epoch: Callable[[gan.Epoch], None] | None = None,
) -> Training:
    """Train, or continue an interrupted training, and show its progress.

    Args:
        config: configuration of the variant.
        train_images: real images to train on.
        checkpoints: store of the states of trainings.
        monitor: score during training.
        device: device to train on.
        fresh: whether to discard the checkpoints of an earlier training.
        restart_epoch: epoch whose state is kept, to go back to, or None.
        samples_every: epochs between two sample grids.
        samples_at: more epochs with one, as `gan.train` takes them.
        progress_lines: number of lines to log where there is no terminal; 0 shows nothing anywhere.
        on_start: called once with the training's fingerprint and whether the training is continued.
        on_epoch: called after each epoch.

    Returns:
        the training, also if it has failed after an epoch.

    Raises:
        ConfigError: if the state of ``restart_epoch`` is not kept, or no epoch comes after it.
        TrainingDiverged: if it has failed before its first epoch was over or, without a measured one, the first after
            an interruption.
    """
    fingerprint = gan.fingerprint(config, train_images.content_hash, device)
    if fresh:
        checkpoints.discard(fingerprint)
    if restart_epoch is not None:
        with naming("runtime"):  # before anything is deleted
            require(restart_epoch < config.epochs, "restart_epoch", restart_epoch, f"below epochs, {config.epochs}")
            checkpoints.go_back(fingerprint, restart_epoch)
    with TrainingProgress(config.epochs, config.images_per_epoch(len(train_images)), progress_lines) as progress:

        def on_step(images_seen: int) -> None:
            if on_start is not None and not progress.has_begun:
                on_start(fingerprint, images_seen > 0)
            progress.on_step(images_seen)

        training = gan.train(
            config,
            train_images.images,
            train_images.labels,
            class_names=train_images.class_names,
            data_hash=train_images.content_hash,
            device=device,
            checkpoints=checkpoints,
            samples_every=samples_every,
            samples_at=samples_at,
            monitor=monitor,
            on_step=on_step,
        )

        def after_epoch(epoch: gan.Epoch) -> None:
            progress.on_epoch(epoch.number, epoch.images_seen, epoch.metrics)
            if on_epoch is not None:
                on_epoch(epoch)

        with closing(training) as epochs:
            return _finish(epochs, after_epoch)


def _finish(epochs: Iterator[gan.Epoch], after_epoch: Callable[[gan.Epoch], None]) -> Training:
    """Train all epochs, or those before a failure; a failure before the end of the first one is raised."""
    first = epoch = next(epochs)
    failure = None
    try:
        for epoch in chain([first], epochs):
            if epoch.best is None:
                _ = epoch.generator  # a copy, since the next epoch may ruin the weights
            after_epoch(epoch)
    except gan.TrainingDiverged as error:
        failure = str(error)
        logger.warning("The training has failed: %s What it has measured is saved before the run ends.", failure)
    is_ruined = not epoch.is_newest
    return Training(epoch, (is_ruined and epoch.best) or epoch.generator, failure)
