"""Nodes of the augmentation experiment."""

from __future__ import annotations

import logging
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

from tqdm import tqdm

from gan_pipelines import augmentation, execution, figures, gan, images, tracking
from gan_pipelines.core.findings import Findings
from gan_pipelines.core.runtime import DeviceName
from gan_pipelines.core.stores import KeyedStore
from gan_pipelines.gan.config import GanConfig
from gan_pipelines.project.parameters import RuntimeConfig
from gan_pipelines.project.training import train_generator

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd
    from numpy.typing import NDArray

logger = logging.getLogger(__name__)

LEAKS_SHOWN = 3
NEAR_COPIES_SHOWN = 12
"""Maximum number of near-copies of each split in the figure."""
SCORES = ("fid_", "is_", "spread_of_is_")
"""Prefixes of the metrics that a monitor measures."""


def separate_images(image_set: images.ImageSet) -> tuple[augmentation.ImageSplits, list[dict[str, Any]]]:
    """Separate training, validation and test images; return them and the leaks, which are left out."""
    splits = augmentation.separate_images(image_set)
    if leaks := splits.leaks:
        shown = ", ".join(f"{leak.image} = {leak.twin} ({leak.correlation:g})" for leak in leaks[:LEAKS_SHOWN])
        more = f" and {len(leaks) - LEAKS_SHOWN} more" if len(leaks) > LEAKS_SHOWN else ""
        logger.info("Left out as duplicates or near-duplicates of held-out images: %s%s", shown, more)
    return splits, [leak._asdict() for leak in leaks]


class TrainedReplicate(NamedTuple):
    """What comes back from the training of a replicate's generator.

    Attributes:
        generator: the generator.
        history: metrics of each epoch.
        fingerprint: of the training.
        failure: why the training has failed; None if it has not.
    """

    generator: gan.TrainedGenerator
    history: Sequence[Mapping[str, float]]
    fingerprint: str
    failure: str | None


def train_generators(
    config: GanConfig,
    image_splits: augmentation.ImageSplits,
    checkpoints: gan.CheckpointStore,
    monitor: gan.Monitor,
    tracker: tracking.MlflowTracker,
    settings: augmentation.AugmentationConfig,
    runtime: RuntimeConfig,
    *_before: object,
) -> list[augmentation.Replicate]:
    """Train the generator of every replicate, each scored once at its end and logged as a nested MLflow run.

    Interrupted trainings are continued unless ``runtime.fresh``.

    Raises:
        TrainingDiverged: if a training has failed.
    """
    draws = augmentation.draw_images(image_splits, settings)
    count = len(image_splits.train)
    configs = [augmentation.configure_replicate(config, settings, draw, count) for draw in draws]
    train = partial(
        _train_replicate,
        checkpoints=checkpoints,
        monitor=monitor,
        device=runtime.device,
        fresh=runtime.fresh,
        progress_lines=4 if execution.runs_here(runtime) else 0,  # the lines of several processes would mix
    )
    replicates = []
    tasks = [partial(train, each, draw) for each, draw in zip(configs, draws, strict=True)]
    for draw, trained in zip(draws, execution.run_all(tasks, runtime), strict=True):
        _track_generator(tracker, draw, trained)
        if trained.failure:
            raise gan.TrainingDiverged(trained.failure)
        used = {settings.synthetic.weights: trained.generator.weights[settings.synthetic.weights]}
        source = augmentation.GeneratorSource(replace(trained.generator, weights=used))
        replicates.append(augmentation.Replicate(draw, source))
        logger.info("Generator %d of %d trained, on %d real images", len(replicates), len(draws), len(draw.images))
    return replicates


def _train_replicate(
    config: GanConfig,
    draw: augmentation.Draw,
    *,
    checkpoints: gan.CheckpointStore,
    monitor: gan.Monitor,
    device: DeviceName,
    fresh: bool,
    progress_lines: int,
) -> TrainedReplicate:
    """Train one generator. Its networks and optimisers are freed at the end, before the next training."""
    at_the_end = replace(monitor, every_epochs=config.epochs)
    epoch, generator, failure = train_generator(
        config,
        draw.images,
        checkpoints,
        at_the_end,
        device=device,
        fresh=fresh,
        samples_every=config.epochs,  # nobody sees grids, and each makes the checkpoints larger
        progress_lines=progress_lines,
    )
    return TrainedReplicate(generator, epoch.history, epoch.state.fingerprint, failure)


def _track_generator(tracker: tracking.MlflowTracker, draw: augmentation.Draw, trained: TrainedReplicate) -> None:
    last = trained.history[-1]
    scores = {name: value for name, value in last.items() if name.startswith(SCORES)}
    history = [{name: value for name, value in row.items() if name not in scores} for row in trained.history]
    images_per_epoch = trained.generator.training["images_seen"] / last["epoch"]
    tracker.log_child(
        "generator",
        f"generator {draw.fraction:g} seed {draw.seed}",
        {
            "fraction": draw.fraction,
            "seed": draw.seed,
            "real_images": len(draw.images),
            "epochs": last["epoch"],
            "training": trained.fingerprint,
        },
        history,
        scores,
        seconds=sum(images_per_epoch / row["images_per_second"] for row in history),
    )


def open_pool(
    pictures: images.ImageSet, image_splits: augmentation.ImageSplits, folder: images.FolderConfig
) -> tuple[augmentation.Pool, dict[str, Any], dict[str, NDArray[np.uint8]]]:
    """Find the pictures that may be used.

    Returns:
        the pool; its near-copies of real images, with the name of what made the pictures; and for each split a grid of
        near-copies, each beside the real image that it resembles.
    """
    pool = augmentation.open_pool(pictures, image_splits)
    shown = augmentation.pair_near_copies(pool, image_splits, NEAR_COPIES_SHOWN)
    report = {"name": folder.label, **pool.report()}
    logger.info(
        "Of %s pictures, %s are near-copies of test or validation images and left out; of the others, %.0f%% are "
        "near-copies of training images",
        f"{report['pictures']:,}",
        f"{report['left_out']:,}",
        100 * report["train_share"],
    )
    return pool, report, {split: figures.make_neighbour_grid(pairs) for split, pairs in shown.items()}


def draw_replicates(
    image_splits: augmentation.ImageSplits, pool: augmentation.Pool, settings: augmentation.AugmentationConfig
) -> list[augmentation.Replicate]:
    """Draw the real images of every replicate, each with the pool as the source of synthetic ones."""
    return [augmentation.Replicate(draw, pool) for draw in augmentation.draw_images(image_splits, settings)]


def make_synthetic_images(
    replicates: list[augmentation.Replicate],
    synthetic_store: KeyedStore,
    settings: augmentation.AugmentationConfig,
    device: DeviceName,
) -> list[augmentation.SyntheticImages]:
    """Generate or choose the synthetic images of every replicate, unless the store holds them."""
    return [
        augmentation.make_synthetic_set(synthetic_store, replicate, settings, device)
        for replicate in tqdm(replicates, unit="set", desc="synthetic images", disable=None)
    ]


def choose_synthetic_images(
    replicates: list[augmentation.Replicate], synthetic_sets: list[augmentation.SyntheticImages]
) -> augmentation.SyntheticImages:
    """Choose the synthetic images to export: those of the first replicate with the most real images."""
    pairs = zip(replicates, synthetic_sets, strict=True)
    _, chosen = max(pairs, key=lambda pair: pair[0].draw.fraction)
    return chosen


def fit_classifiers(
    replicates: list[augmentation.Replicate],
    synthetic_sets: list[augmentation.SyntheticImages],
    image_splits: augmentation.ImageSplits,
    fits: KeyedStore,
    tracker: tracking.MlflowTracker,
    settings: augmentation.AugmentationConfig,
    runtime: RuntimeConfig,
) -> list[augmentation.ArmFit]:
    """Fit the classifiers of all arms and replicates, unless the store holds them; log each as a nested MLflow run."""
    tasks = [
        fit
        for replicate, synthetic in zip(replicates, synthetic_sets, strict=True)
        for fit in augmentation.list_fits(fits, image_splits.test, replicate, synthetic, settings, runtime.device)
    ]
    done: list[augmentation.ArmFit] = []
    results = execution.run_all(tasks, runtime)
    for fit in tqdm(results, total=len(tasks), unit="fit", desc="fitting classifiers", disable=None):
        done.append(fit)
        _track_fit(tracker, fit)
        if len(done) * len(replicates) % len(tasks) == 0:
            logger.info("%d of %d classifiers fitted", len(done), len(tasks))
    return done


def _track_fit(tracker: tracking.MlflowTracker, fit: augmentation.ArmFit) -> None:
    names = ("fraction", "seed", "arm", "learning_rate", "real_images", "synthetic_images", "steps", "best_epoch")
    scores = fit.scores
    # Those of the best epoch are named test_loss and test_accuracy, and MLflow shows the value of the last epoch.
    history = [{re.sub("^test_", "by_epoch/test_", name): value for name, value in row.items()} for row in fit.history]
    tracker.log_child(
        "classifier",
        f"{fit.arm} {fit.fraction:g} seed {fit.seed} rate {fit.learning_rate:g}",
        {name: getattr(fit, name) for name in names},
        history,
        {
            "test_accuracy": scores.accuracy,
            "test_loss": scores.loss,
            "test_macro_f1": scores.macro_f1,
            "test_calibration_error": scores.calibration_error,
        },
        fit.seconds,
    )


def tabulate_fits(
    arm_fits: list[augmentation.ArmFit], image_splits: augmentation.ImageSplits
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Tabulate the scores of the classifiers, and their metrics by epoch."""
    scores = augmentation.tabulate_fits(arm_fits, image_splits.test.class_names)
    return scores, augmentation.tabulate_histories(arm_fits)


def score_simple_classifiers(
    replicates: list[augmentation.Replicate],
    image_splits: augmentation.ImageSplits,
    references: KeyedStore,
    settings: augmentation.AugmentationConfig,
    device: DeviceName,
) -> pd.DataFrame:
    """Score scikit-learn's classifiers, fitted on the real images of each replicate."""
    features = None
    if settings.probe is not None:
        features = augmentation.open_features(references, image_splits, settings.probe, device)
    return augmentation.score_simple_classifiers([draw for draw, _ in replicates], image_splits.test, features)


def compare_arms(
    arm_fits: list[augmentation.ArmFit],
    simple_scores: pd.DataFrame,
    image_splits: augmentation.ImageSplits,
    settings: augmentation.AugmentationConfig,
    near_copies: dict[str, Any] | None = None,
) -> tuple[pd.DataFrame, pd.DataFrame, list[dict[str, Any]]]:
    """Compare pairs of arms, also class by class; state whether the synthetic images help.

    ``near_copies`` is that of pictures that were made elsewhere.
    """
    comparisons = augmentation.tabulate_comparisons(arm_fits, settings)
    by_class = augmentation.tabulate_class_comparisons(arm_fits, settings, image_splits.test.class_names)
    verdicts = augmentation.state_verdicts(arm_fits, comparisons, simple_scores, settings, near_copies)
    return comparisons, by_class, verdicts


def summarize_experiment(
    arm_scores: pd.DataFrame, comparisons: pd.DataFrame, verdicts: list[dict[str, Any]]
) -> Findings:
    """Summarize the experiment in metrics and sentences."""
    return augmentation.summarize_experiment(arm_scores, comparisons, verdicts)


def plot_arms(arm_scores: pd.DataFrame, comparisons: pd.DataFrame) -> figures.Figure:
    """Plot the accuracy of each classifier, and the differences between arms with their intervals."""
    return figures.plot_arms(arm_scores, comparisons)


def plot_arm_curves(arm_histories: pd.DataFrame) -> figures.Figure:
    """Plot loss and accuracy by epoch of each arm, with bands over the replicates."""
    return figures.plot_arm_curves(arm_histories)
