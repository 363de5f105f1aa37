"""Nodes of the training of a variant."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from gan_pipelines import figures, gan, images
from gan_pipelines.configure import configure_gan
from gan_pipelines.gan.config import GanConfig
from gan_pipelines.progress import TrainingProgress
from gan_pipelines.runtime import DeviceName
from gan_pipelines.tracking import MlflowTracker


def config_resolver(variant: str) -> Callable[[dict[str, Any]], GanConfig]:
    """Make the node that lays the parameters of a variant over its row in the table of variants."""

    def resolve_config(overrides: dict[str, Any]) -> GanConfig:
        return configure_gan(variant, overrides)

    return resolve_config


def summarize_model(config: GanConfig, train_images: images.ImageSet) -> pd.DataFrame:
    """List the layers of both networks with their output shapes and parameter counts."""
    shape = gan.ImageShape(*train_images.images.shape[1:])
    return pd.DataFrame(gan.summarize_networks(config, shape, len(train_images.class_names)))


def train_gan(
    config: GanConfig,
    train_images: images.ImageSet,
    checkpoints: gan.CheckpointStore,
    tracker: MlflowTracker,
    grid_every_epochs: int,
    device: DeviceName,
) -> tuple[gan.TrainedGenerator, pd.DataFrame, dict[str, NDArray[np.uint8]]]:
    """Train; return the generator, the metrics by epoch, and grids of the fixed samples."""
    rows, grids = [], {}
    images_per_epoch = len(train_images) // config.batch_size * config.batch_size
    with TrainingProgress(config.epochs, images_per_epoch) as progress:
        epochs = gan.train(
            config,
            train_images.images,
            train_images.labels,
            class_names=train_images.class_names,
            device=device,
            checkpoints=checkpoints,
            on_step=progress.on_step,
        )
        for epoch in epochs:
            progress.on_epoch(epoch.number, epoch.images_seen, epoch.metrics)
            tracker.log_metrics(epoch.metrics, step=epoch.number)
            rows.append({"epoch": epoch.number, "images_seen": epoch.images_seen, **epoch.metrics})
            if epoch.number % grid_every_epochs == 0 or epoch.number in (1, config.epochs):
                grids[f"epoch-{epoch.number:04d}"] = figures.make_image_grid(epoch.samples)
    generator = epoch.generator
    provenance = {**generator.training, "mlflow_run_id": tracker.run_id}
    return replace(generator, training=provenance), pd.DataFrame(rows), grids


def plot_losses(history: pd.DataFrame) -> figures.Figure:
    """Draw the curves of a training."""
    return figures.plot_losses(history)
