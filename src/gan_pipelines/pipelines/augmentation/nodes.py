"""Nodes of the augmentation experiment of a variant."""

from __future__ import annotations

import logging
from typing import Any

import pandas as pd
from tqdm import tqdm

from gan_pipelines import augmentation, figures, gan, images
from gan_pipelines.core.findings import Findings
from gan_pipelines.core.runtime import DeviceName
from gan_pipelines.core.stores import KeyedStore
from gan_pipelines.gan.config import GanConfig
from gan_pipelines.project.progress import TrainingProgress
from gan_pipelines.tracking import MlflowTracker

logger = logging.getLogger(__name__)

LEAKS_SHOWN = 3


def separate_images(image_set: images.ImageSet) -> tuple[augmentation.ImageSplits, list[dict[str, Any]]]:
    """Tell training, validation and test images apart; return them, and those that were left out as leaks."""
    separated = augmentation.separate_images(image_set)
    if leaks := separated.leaks:
        shown = ", ".join(f"{leak.image} = {leak.twin} ({leak.correlation:g})" for leak in leaks[:LEAKS_SHOWN])
        more = f" and {len(leaks) - LEAKS_SHOWN} more" if len(leaks) > LEAKS_SHOWN else ""
        logger.info("Left out, since they show a held-out image too, the same or nearly: %s%s", shown, more)
    return separated, [leak._asdict() for leak in leaks]


def train_generators(
    config: GanConfig,
    image_splits: augmentation.ImageSplits,
    checkpoints: gan.CheckpointStore,
    settings: augmentation.AugmentationConfig,
    device: DeviceName,
    fresh: bool,
) -> list[augmentation.Replicate]:
    """Train a generator on each fraction in each replicate, or go on where that was cut short.

    With ``fresh`` nothing of earlier trainings is used.
    """
    draws = augmentation.draw_images(image_splits.train, settings)
    configs = [augmentation.configure_replicate(config, settings, draw) for draw in draws]
    for each, draw in zip(configs, draws, strict=True):  # before the first is trained
        gan.check_steps(each, len(draw.images))
    replicates = []
    for number, (each, draw) in enumerate(zip(configs, draws, strict=True), start=1):
        logger.info("Generator %d of %d, on %d real images", number, len(draws), len(draw.images))
        if fresh:
            checkpoints.discard(gan.fingerprint(each, draw.images.content_hash, device))
        replicates.append(augmentation.Replicate(draw, _train_generator(each, draw.images, checkpoints, device)))
    return replicates


def _train_generator(
    config: GanConfig, real: images.ImageSet, checkpoints: gan.CheckpointStore, device: DeviceName
) -> gan.TrainedGenerator:
    training = gan.train(
        config, real.images, real.labels, class_names=real.class_names, device=device, checkpoints=checkpoints
    )
    images_per_epoch = len(real) // config.batch_size * config.batch_size
    with TrainingProgress(config.epochs, images_per_epoch, lines=4) as progress:
        for epoch in training:
            progress.on_epoch(epoch.number, epoch.images_seen, epoch.metrics)
    return epoch.generator


def make_synthetic_images(
    replicates: list[augmentation.Replicate],
    image_splits: augmentation.ImageSplits,
    settings: augmentation.AugmentationConfig,
    device: DeviceName,
) -> augmentation.SyntheticImages:
    """Make the generated images of the first replicate with the most real images, as its arms see them."""
    largest = max(replicates, key=lambda replicate: replicate.draw.fraction)
    return augmentation.make_synthetic_images(image_splits, largest, settings, device)


def fit_classifiers(
    replicates: list[augmentation.Replicate],
    image_splits: augmentation.ImageSplits,
    fits: KeyedStore,
    tracker: MlflowTracker,
    settings: augmentation.AugmentationConfig,
    device: DeviceName,
) -> list[augmentation.ArmFit]:
    """Fit the classifier of every arm in every replicate, unless the store holds it; each is a run of its own."""
    done = []
    total = len(replicates) * len(augmentation.list_arms(settings))
    with tqdm(total=total, unit="fit", desc="fitting classifiers", disable=None) as bar:
        for replicate in replicates:
            for fit in augmentation.fit_arms(fits, image_splits, replicate, settings, device):
                done.append(fit)
                _track(tracker, fit)
                bar.update()
            logger.info("%d of %d classifiers fitted", len(done), total)
    return done


def _track(tracker: MlflowTracker, fit: augmentation.ArmFit) -> None:
    names = ("fraction", "seed", "arm", "real_images", "synthetic_images", "steps", "best_epoch")
    scores = fit.scores
    tracker.log_child(
        f"{fit.arm} {fit.fraction:g} seed {fit.seed}",
        {name: getattr(fit, name) for name in names},
        fit.history,
        {
            "test_accuracy": scores.accuracy,
            "test_macro_f1": scores.macro_f1,
            "test_calibration_error": scores.calibration_error,
        },
        fit.seconds,
    )


def tabulate_fits(
    arm_fits: list[augmentation.ArmFit], image_splits: augmentation.ImageSplits
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """List the classifiers with their scores, and their epochs."""
    scores = augmentation.tabulate_fits(arm_fits, image_splits.test.class_names)
    return scores, augmentation.tabulate_histories(arm_fits)


def compare_arms(
    arm_fits: list[augmentation.ArmFit], settings: augmentation.AugmentationConfig
) -> tuple[pd.DataFrame, list[dict[str, Any]]]:
    """Compare arms in pairs, and say whether the generated images help."""
    comparisons = augmentation.tabulate_comparisons(arm_fits, settings)
    return comparisons, augmentation.state_verdicts(arm_fits, comparisons, settings)


def summarize_experiment(
    arm_scores: pd.DataFrame, comparisons: pd.DataFrame, verdicts: list[dict[str, Any]]
) -> Findings:
    """Summarize the experiment for the terminal and for MLflow."""
    return augmentation.summarize_experiment(arm_scores, comparisons, verdicts)


def plot_arms(arm_scores: pd.DataFrame, comparisons: pd.DataFrame) -> figures.Figure:
    """Draw the accuracy of each classifier, and the differences between arms with their intervals."""
    return figures.plot_arms(arm_scores, comparisons)


def plot_arm_curves(arm_histories: pd.DataFrame) -> figures.Figure:
    """Draw loss and accuracy by epoch of each arm, with bands over the replicates."""
    return figures.plot_arm_curves(arm_histories)
