"""The augmentation experiment of a report; see reports.py."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

from gan_pipelines.augmentation import (
    ArmFit,
    AugmentationConfig,
    Draw,
    GeneratorSource,
    ImageSplits,
    Replicate,
    configure_replicate,
    draw_images,
    list_fits,
    make_synthetic_set,
    score_simple_classifiers,
    separate_images,
    state_verdicts,
    summarize_experiment,
    tabulate_class_comparisons,
    tabulate_comparisons,
    tabulate_fits,
    tabulate_histories,
)
from gan_pipelines.core.stores import KeyedStore
from gan_pipelines.execution import ExecutionConfig, run_all
from gan_pipelines.figures import plot_arm_curves, plot_arms
from gan_pipelines.gan import TrainedGenerator
from report_trainings import Settings, open_images, train_until
from tables import write_table


def augment(
    out: Path, settings: Settings, fractions: Sequence[float], deadline: float, at_once: ExecutionConfig
) -> Iterator[str]:
    """Train the generators and fit the classifiers until the deadline; say in sentences what was done, and the result.

    What is finished is kept in OUT. The tables come once all classifiers are fitted.
    """
    config = replace(settings.augmentation, fractions=tuple(fractions))
    splits = separate_images(open_images(out, settings))
    draws = draw_images(splits, config)
    configs = [configure_replicate(settings.gan, config, draw, len(splits.train)) for draw in draws]
    trainings = [
        partial(train_replicate, out, replace(settings, gan=gan), draw, deadline)
        for gan, draw in zip(configs, draws, strict=True)
    ]
    paths = []
    for path, failure in run_all(trainings, at_once):
        if failure:
            yield failure
        if path is not None:
            paths.append(path)
    yield f"augmentation: {len(paths)} of {len(draws)} generators are trained"
    if len(paths) < len(draws):
        return
    replicates = [
        Replicate(draw, GeneratorSource(TrainedGenerator.load(path))) for draw, path in zip(draws, paths, strict=True)
    ]
    tasks = [task for each in replicates for task in list_replicate_fits(out, each, splits, config)]
    fits = [fit for fit in run_all([partial(before, deadline, task) for task in tasks], at_once) if fit is not None]
    yield f"augmentation: {len(fits)} of {len(tasks)} classifiers are fitted"
    if len(fits) == len(tasks):
        name = "-".join(["augmentation", *(f"{fraction:g}" for fraction in fractions)])
        yield from write_results(out / name, fits, draws, splits, config)


def train_replicate(out: Path, settings: Settings, draw: Draw, deadline: float) -> tuple[Path | None, str]:
    """Train the generator of a replicate until the deadline.

    Returns:
        its file, if it is finished, and why the training has failed, if it has.
    """
    gan = settings.gan
    # Its last epoch is all that is wanted of it.
    during = replace(settings.scoring.during_training, every_epochs=gan.epochs)
    settings = replace(settings, scoring=replace(settings.scoring, during_training=during))
    name = f"augmentation-{draw.fraction:g}-{draw.seed}"
    last = out / "generators" / name / f"{gan.epochs:04d}.safetensors"
    failure = "" if last.exists() else train_until(out, name, settings, draw.images, deadline)[1]
    return last if last.exists() else None, f"{name}: {failure}" if failure else ""


def list_replicate_fits(
    out: Path, replicate: Replicate, splits: ImageSplits, config: AugmentationConfig
) -> list[Callable[[], ArmFit]]:
    """List the classifiers to fit for a replicate; its synthetic images are made if they are not there."""
    synthetic = make_synthetic_set(KeyedStore(out / "synthetic"), replicate, config)
    return list_fits(KeyedStore(out / "fits"), splits.test, replicate, synthetic, config)


def before(deadline: float, task: Callable[[], ArmFit]) -> ArmFit | None:
    """Do a task unless the deadline is over."""
    return task() if time.time() < deadline else None


def write_results(
    folder: Path, fits: Sequence[ArmFit], draws: Sequence[Draw], splits: ImageSplits, config: AugmentationConfig
) -> Sequence[str]:
    """Write tables, figures and verdicts as the pipeline has them; return the result in sentences."""
    class_names = splits.test.class_names
    tables = {
        "arm_scores": tabulate_fits(fits, class_names),
        "arm_histories": tabulate_histories(fits),
        "comparisons": tabulate_comparisons(fits, config),
        "class_comparisons": tabulate_class_comparisons(fits, config, class_names),
        "simple_scores": score_simple_classifiers(draws, splits.test),
    }
    verdicts = state_verdicts(fits, tables["comparisons"], tables["simple_scores"], config)
    for name, table in tables.items():
        write_table(folder / f"{name}.csv", table)
    (folder / "verdicts.json").write_text(json.dumps(verdicts, indent=2))
    plot_arms(tables["arm_scores"], tables["comparisons"]).savefig(folder / "arms.png")
    plot_arm_curves(tables["arm_histories"]).savefig(folder / "arm_curves.png")
    return summarize_experiment(tables["arm_scores"], tables["comparisons"], verdicts).sentences
