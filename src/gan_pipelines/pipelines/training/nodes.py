"""Nodes of the training of a variant."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from gan_pipelines import figures, gan, images, tracking
from gan_pipelines.core.runtime import DeviceName
from gan_pipelines.gan.config import GanConfig
from gan_pipelines.project.parameters import ReportingConfig, RuntimeConfig
from gan_pipelines.project.training import train_generator

if TYPE_CHECKING:
    import pandas as pd

    from gan_pipelines.gan.state import TrainingState

logger = logging.getLogger(__name__)


def resolve_config(config: GanConfig, device: DeviceName) -> GanConfig:
    """Replace settings that are ``auto`` by their values on the device."""
    return gan.resolve_auto(config, device)


def summarize_model(config: GanConfig, train_images: images.ImageSet) -> pd.DataFrame:
    """List the layers of both networks with their output shapes and parameter counts."""
    shape = gan.ImageShape(*train_images.images.shape[1:])
    return _tabulate(gan.summarize_networks(config, shape, len(train_images.class_names)))


def train_gan(
    config: GanConfig,
    train_images: images.ImageSet,
    checkpoints: gan.CheckpointStore,
    milestones: gan.MilestoneStore,
    monitor: gan.Monitor,
    tracker: tracking.MlflowTracker,
    reporting: ReportingConfig,
    runtime: RuntimeConfig,
) -> tuple[gan.TrainedGenerator, gan.TrainedGenerator, pd.DataFrame, dict[str, NDArray[np.uint8]]]:
    """Train, or go on with an interrupted training; log metrics and keep milestones while it runs.

    Returns:
        the generator of the last epoch, that of the best epoch by the monitor, the metrics by epoch, and sample grids.
        Generators of a training that has failed say so in ``training["failure"]``.
    """
    grids: dict[str, NDArray[np.uint8]] = {}
    origin = {"mlflow_run_id": tracker.run_id}

    def after_epoch(epoch: gan.Epoch) -> None:
        tracker.log_history(epoch.history)
        for number, samples in epoch.sample_history.items():
            if (name := _name_epoch(number)) not in grids:
                grids[name] = figures.make_image_grid(samples)
                if float(number).is_integer():  # MLflow's steps are whole numbers
                    tracker.log_picture("samples", int(number), grids[name])
        if epoch.number in reporting.list_milestones(epoch.number) and epoch.is_newest:  # else it is there already
            states = checkpoints if reporting.restartable_milestones else None
            _keep_milestone(epoch.state, _add_origin(epoch.generator, origin), milestones, states)

    epoch, generator, failure = train_generator(
        config,
        train_images,
        checkpoints,
        monitor,
        device=runtime.device,
        fresh=runtime.fresh,
        restart_epoch=runtime.restart_epoch,
        samples_every=reporting.grid_every_epochs,
        samples_at=reporting.grid_at_epochs,
        on_start=tracker.begin_training,
        on_epoch=after_epoch,
    )
    _warn_of_missing(reporting, epoch, milestones, checkpoints)
    origin |= {"failure": failure} if failure else {}
    last, best = (_add_origin(each, origin) for each in (generator, epoch.best or generator))
    return last, best, _tabulate(epoch.history), grids


def _keep_milestone(
    state: TrainingState,
    generator: gan.TrainedGenerator,
    milestones: gan.MilestoneStore,
    checkpoints: gan.CheckpointStore | None,
) -> None:
    """Keep a generator and, with ``checkpoints``, the state; if the disk does not allow it, say so and go on."""
    try:
        version = milestones.save(generator)
        if checkpoints is not None:
            checkpoints.keep_epoch(state.fingerprint, state.epoch, state.images_seen, state.state_dict())
    except OSError as error:
        logger.warning("The milestone of epoch %d could not be kept (%s); the training goes on.", state.epoch, error)
    else:
        logger.info("The generator of epoch %d is kept as version %s", state.epoch, version)


def _name_epoch(number: float) -> str:
    """``epoch-0010`` or, of a fraction, ``epoch-0000.5``; the names are in the order of the epochs."""
    whole, _, fraction = np.format_float_positional(number, trim="-").partition(".")
    return f"epoch-{int(whole):04d}" + (f".{fraction}" if fraction else "")


def _warn_of_missing(
    reporting: ReportingConfig, epoch: gan.Epoch, milestones: gan.MilestoneStore, checkpoints: gan.CheckpointStore
) -> None:
    """Log of which epochs nothing was kept, most likely because they were over before it was asked for."""
    kept = {*milestones.list_epochs(epoch.state.fingerprint)}
    if reporting.restartable_milestones:
        kept.intersection_update(checkpoints.list_epochs(epoch.state.fingerprint))
    if missing := sorted({*reporting.list_milestones(epoch.number)} - kept):
        logger.warning(
            "There is no %smilestone of epoch %s, and it cannot be made any more; runtime.fresh: true trains again "
            "from the beginning.",
            "restartable " if reporting.restartable_milestones else "",
            ", ".join(map(str, missing)),
        )


def _add_origin(generator: gan.TrainedGenerator, origin: Mapping[str, str | None]) -> gan.TrainedGenerator:
    return replace(generator, training={**generator.training, **origin})


def check_training(generator: gan.TrainedGenerator, *_saved: object) -> None:
    """End the run of a training that has failed, after all that it has measured is saved.

    Raises:
        TrainingDiverged: if the training has failed.
    """
    if failure := generator.training.get("failure"):
        raise gan.TrainingDiverged(failure)


def plot_losses(history: pd.DataFrame) -> figures.Figure:
    """Plot losses, accuracies and scores by epoch."""
    return figures.plot_losses(history)


def _tabulate(rows: Sequence[object]) -> pd.DataFrame:
    import pandas as pd  # noqa: PLC0415 (half a second to load: not for listing the pipelines)

    return pd.DataFrame(rows)
