"""Nodes of the training of a variant."""

from __future__ import annotations

from contextlib import closing
from dataclasses import replace

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from gan_pipelines import figures, gan, images
from gan_pipelines.core.runtime import DeviceName
from gan_pipelines.gan.config import GanConfig
from gan_pipelines.project.progress import TrainingProgress
from gan_pipelines.tracking import MlflowTracker


def resolve_config(config: GanConfig, device: DeviceName) -> GanConfig:
    """Replace settings that are ``auto`` by what they are on the device."""
    return gan.resolve_auto(config, device)


def summarize_model(config: GanConfig, train_images: images.ImageSet) -> pd.DataFrame:
    """List the layers of both networks with their output shapes and parameter counts."""
    shape = gan.ImageShape(*train_images.images.shape[1:])
    return pd.DataFrame(gan.summarize_networks(config, shape, len(train_images.class_names)))


def train_gan(
    config: GanConfig,
    train_images: images.ImageSet,
    checkpoints: gan.CheckpointStore,
    monitor: gan.Monitor,
    tracker: MlflowTracker,
    grid_every_epochs: int,
    device: DeviceName,
    fresh: bool,
) -> tuple[gan.TrainedGenerator, gan.TrainedGenerator, pd.DataFrame, dict[str, NDArray[np.uint8]]]:
    """Train, or go on where a training was cut short.

    With ``fresh`` nothing of an earlier training is used.

    Returns:
        the generator of the last epoch, that of the best by the monitor, the metrics by epoch, and
        sample grids.
    """
    fingerprint = gan.fingerprint(config, train_images.content_hash, device)
    if fresh:
        checkpoints.discard(fingerprint)
    grids: dict[str, NDArray[np.uint8]] = {}

    def on_step(images_seen: int) -> None:
        tracker.begin_training(fingerprint, continues=images_seen > 0)
        progress.on_step(images_seen)

    training = gan.train(
        config,
        train_images.images,
        train_images.labels,
        class_names=train_images.class_names,
        device=device,
        checkpoints=checkpoints,
        samples_every=grid_every_epochs,
        monitor=monitor,
        on_step=on_step,
    )
    images_per_epoch = len(train_images) // config.batch_size * config.batch_size
    with TrainingProgress(config.epochs, images_per_epoch) as progress, closing(training) as epochs:
        for epoch in epochs:
            progress.on_epoch(epoch.number, epoch.images_seen, epoch.metrics)
            tracker.log_history(epoch.history)
            for number, samples in epoch.sample_history.items():
                if (name := f"epoch-{number:04d}") not in grids:
                    grids[name] = figures.make_image_grid(samples)
                    tracker.log_picture("samples", number, grids[name])
    last, best = (
        replace(generator, training={**generator.training, "mlflow_run_id": tracker.run_id})
        for generator in (epoch.generator, epoch.best or epoch.generator)
    )
    return last, best, pd.DataFrame(epoch.history), grids


def plot_losses(history: pd.DataFrame) -> figures.Figure:
    """Draw the curves of a training."""
    return figures.plot_losses(history)
