"""The training of a generator as the pipelines do it: with checkpoints and progress."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing

from gan_pipelines import gan, images
from gan_pipelines.core.runtime import DeviceName
from gan_pipelines.gan.config import GanConfig
from gan_pipelines.project.progress import TrainingProgress


def train_generator(  # noqa: PLR0913 (most are keywords)
    config: GanConfig,
    train_images: images.ImageSet,
    checkpoints: gan.CheckpointStore,
    monitor: gan.Monitor,
    *,
    device: DeviceName,
    fresh: bool,
    samples_every: int = 10,
    progress_lines: int = 20,
    on_start: Callable[[str, bool], None] | None = None,
    on_epoch: Callable[[gan.Epoch], None] | None = None,
) -> gan.Epoch:
    """Train, or continue an interrupted training, and show its progress.

    Args:
        config: configuration of the variant.
        train_images: real images to train on.
        checkpoints: store of the states of trainings.
        monitor: score during training.
        device: device to train on.
        fresh: whether to discard the checkpoints of an earlier training.
        samples_every: epochs between two sample grids.
        progress_lines: number of lines to log where there is no terminal.
        on_start: called once with the training's fingerprint and whether the training is continued.
        on_epoch: called after each epoch.

    Returns:
        the last epoch.
    """
    fingerprint = gan.fingerprint(config, train_images.content_hash, device)
    if fresh:
        checkpoints.discard(fingerprint)
    images_per_epoch = len(train_images) // config.batch_size * config.batch_size
    with TrainingProgress(config.epochs, images_per_epoch, progress_lines) as progress:

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
            monitor=monitor,
            on_step=on_step,
        )
        with closing(training) as epochs:
            for epoch in epochs:
                progress.on_epoch(epoch.number, epoch.images_seen, epoch.metrics)
                if on_epoch is not None:
                    on_epoch(epoch)
    return epoch
