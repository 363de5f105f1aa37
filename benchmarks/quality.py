"""Train variants for the same minutes, on the same machine, with the same seeds, and score them alike.

    python benchmarks/quality.py OUT --env cifar10_quick --rows dcgan "small batches=dcgan:batch_size=32" --minutes 2 8

A row is a variant with the settings that the environment has for it, if any, and with changes; it may have a name of
its own. First the speed of every row is measured: a few steps of each in turn, several times. Let nothing else run
then. From there on, minutes are images at that speed, so that a training may run beside other work. It has the number
of epochs that comes nearest to the last minutes, and its schedule ends with them. It is scored after the epochs that
come nearest to each number of minutes; the scores state the minutes of these epochs. For a speed, learning rates are
next to nothing, so that nothing diverges.

OUT gets speeds.csv; scores.csv, with a row for each score as soon as it is measured, the first of real images from
another split than the reference; scores.png, the scores over minutes; and a grid of samples for each training in
grids/. FID and KID are by a few samples of the averaged weights (EMA), with fixed features (``imagenet``) and with
those of the classifier, which is fitted once. With ``--images``, which trains with few images, the share of copies of
them is measured as well. The same command goes on where it was interrupted, from the checkpoints in checkpoints/, two
for each training; more minutes go on from there. Once the speeds are there, commands with some of the rows or seeds may
run at the same time. Rows with other options need another OUT, as do other minutes of rows whose schedule ends.
"""

from __future__ import annotations

import argparse
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence, Set
from dataclasses import replace
from functools import partial
from itertools import product
from pathlib import Path
from typing import Any, NamedTuple, get_args

import numpy as np
import pandas as pd
import torch
from filelock import FileLock
from matplotlib.figure import Figure
from omegaconf import OmegaConf
from PIL import Image
from torch import Tensor

from devices import describe_device
from gan_pipelines.core.config import ConfigError, merge, parse, require, suggest
from gan_pipelines.core.devices import resolve_device
from gan_pipelines.core.stores import KeyedStore
from gan_pipelines.figures import make_image_grid
from gan_pipelines.gan import (
    VARIANTS,
    CheckpointStore,
    Epoch,
    GanConfig,
    TrainedGenerator,
    TrainingDiverged,
    train,
)
from gan_pipelines.gan.config import ScheduleConfig
from gan_pipelines.gan.variants import parse_variant
from gan_pipelines.images import DatasetConfig, ImageSet, prepare_image_set
from gan_pipelines.metrics import (
    FeatureExtractor,
    Moments,
    Nearness,
    Reference,
    ScoringConfig,
    extract_features,
    find_copies,
    frechet_distance,
    get_extractor,
    kernel_distance,
    labels_like,
    open_reference,
)
from gan_pipelines.metrics.config import ExtractorName
from scores import BATCH, read_parameters, stratified_order
from tables import write_table

STEPS = 40
"""Discriminator steps of a round in which a speed is measured."""
ROUNDS = 3
"""Rounds in which a speed is measured, after one to warm up."""
REAL = "real images"
"""Name of the row of real images, for comparison."""
SCORES = {"fid": "FID", "kid": "KID", "copies": "share of copies"}
"""Titles of the scores, by their columns."""


class Scorer(NamedTuple):
    """What scores with one extractor.

    Attributes:
        extractor: of the features.
        reference: the real images to score against.
        training: the images of the trainings, if they are few enough to look for copies of them.
        config: number of images to score, and the sampling seed.
    """

    extractor: FeatureExtractor
    reference: Reference
    training: Reference | None
    config: ScoringConfig

    def score(self, generator: TrainedGenerator) -> dict[str, float]:
        """Score samples of a generator, with the class frequencies of the reference."""
        count, seed = self.config.samples, self.config.seed
        labels = labels_like(self.reference.images, count, generator)
        return self.score_images(generator.sample_batches(count, seed=seed, labels=labels, device="auto"), "generated")

    def score_images(self, batches: Iterable[Tensor], kind: str) -> dict[str, float]:
        """Score images (N, C, H, W) uint8, in batches."""
        device = resolve_device("auto")
        batches = (batch.to(device) for batch in batches)
        made = torch.cat([part.features.cpu() for part in extract_features(self.extractor.to(device), batches, kind)])
        scores = {"fid": frechet_distance(self.reference.moments, Moments.of(made))}
        scores["kid"], _ = kernel_distance(made, self.reference.features)
        if self.training is not None:
            cpu = torch.device("cpu")
            nearness = Nearness.of(made, self.training.features, self.training.radii(cpu))
            scores["copies"] = find_copies(nearness, self.training.heldout_nearness(cpu)).share
        return scores


class Training(NamedTuple):
    """A training of the benchmark.

    Attributes:
        row: name of the row.
        settings: variant and changes.
        seed: of the training.
        config: all settings.
    """

    row: str
    settings: str
    seed: int
    config: GanConfig


class Schedule(NamedTuple):
    """When a training is scored and ends.

    Attributes:
        epochs: wanted minutes by the number of the epoch that comes nearest to them, in ascending order.
        epoch_minutes: minutes of an epoch.
    """

    epochs: dict[int, float]
    epoch_minutes: float

    @classmethod
    def nearest(cls, minutes: Iterable[float], images_per_minute: float, images_per_epoch: int) -> Schedule:
        """Choose the epochs, at least one; that which is nearest to several numbers of minutes stands for the last."""
        epoch_minutes = images_per_epoch / images_per_minute
        return cls({max(1, round(wanted / epoch_minutes)): wanted for wanted in sorted(minutes)}, epoch_minutes)


def main() -> None:
    """Train and score what is not yet done."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path)
    parser.add_argument("--env", default="base", help="environment with the images, settings and scores")
    parser.add_argument("--data", default="data/01_raw", help="folder with the images")
    parser.add_argument("--image-folder", action="store_true", help="the folder contains <split>/<class>/*")
    parser.add_argument("--rows", nargs="+", required=True, metavar="[NAME=]VARIANT[:SETTING=VALUE,...]")
    parser.add_argument("--minutes", nargs="+", type=float, default=[2.0, 4.0, 8.0], help="when to score")
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2])
    parser.add_argument("--extractors", nargs="+", default=["imagenet", "classifier"], choices=get_args(ExtractorName))
    parser.add_argument("--images", type=int, help="train with so many images, with the classes of all")
    parser.add_argument("--samples", type=int, default=5_000, help="samples of a score")
    parser.add_argument("--reference-split", help="real images to score against, if not those of the environment")
    options = parser.parse_args()

    parameters = read_parameters(options.env, options.data, options.image_folder)
    trainings = [read_row(row, seed, parameters["variants"]) for seed, row in product(options.seeds, options.rows)]
    scoring = parse(ScoringConfig, parameters["scoring"], "scoring")
    reference_split = (options.reference_split,) if options.reference_split else scoring.reference_split
    scoring = replace(scoring, samples=options.samples, reference_split=reference_split)
    dataset = parse(DatasetConfig, parameters["dataset"], "dataset")
    # The share of copies needs held-out images to compare with.
    is_heldout = options.images is None or not {*reference_split} & {*dataset.train_splits}
    require(is_heldout, "--reference-split", scoring.reference, "a split without training images, with --images")
    images = prepare_image_set(KeyedStore(options.out / "image_sets"), dataset)
    training_set = choose_images(images.select(*dataset.train_splits), options.images)
    few_images = None if options.images is None else training_set
    scorers = {
        name: open_scorer(options.out, images, few_images, replace(scoring, extractor=name))
        for name in options.extractors
    }
    for split in [split for split in ("train", "test") if split not in reference_split][:1]:
        other = images.select(split)
        measure_real(options.out, leave_out(other, few_images) if few_images else other, scorers)
    speeds = measure_speeds(options.out, trainings, training_set)
    for training in trainings:
        images_per_epoch = training.config.images_per_epoch(len(training_set))
        schedule = Schedule.nearest(options.minutes, speeds[training.settings], images_per_epoch)
        measure(options.out, training, training_set, schedule, scorers)


def choose_images(images: ImageSet, count: int | None) -> ImageSet:
    """Choose so many images at random, with the class frequencies of all; None chooses all."""
    if count is None:
        return images
    order = stratified_order(torch.from_numpy(images.labels), torch.Generator().manual_seed(0))
    return images.take(order[:count].sort().values.numpy(), "chosen")


def leave_out(images: ImageSet, others: ImageSet) -> ImageSet:
    """Leave out the images that others have, pixel by pixel."""
    left_out = {digest.tobytes() for digest in others.image_hashes}
    kept = [row for row, digest in enumerate(images.image_hashes) if digest.tobytes() not in left_out]
    return images.take(np.array(kept), "left")


def read_row(row: str, seed: int, variants: dict[str, Any]) -> Training:
    """Read a row of the command line; without a name, its settings are its name."""
    settings = re.sub("^[^:=]+=", "", row)
    return Training(row.removesuffix(f"={settings}"), settings, seed, configure(settings, seed, variants))


def configure(settings: str, seed: int, variants: dict[str, Any]) -> GanConfig:
    """Add up the settings of a variant: its own, those of the environment, and the changes of the row."""
    variant, _, changes = settings.partition(":")
    if variant not in VARIANTS:
        raise ConfigError(f"--rows has {variant}, which is not a variant; {suggest(variant, list(VARIANTS))}")
    # A comma separates settings only in front of the next name, since lists have commas too.
    changed: Any = OmegaConf.to_container(OmegaConf.from_dotlist(re.split(r",(?=[\w.]+=)", changes) if changes else []))
    return replace(parse_variant(variant, merge(variants.get(variant) or {}, changed)), seed=seed)


def open_scorer(out: Path, images: ImageSet, few_images: ImageSet | None, scoring: ScoringConfig) -> Scorer:
    """Open a feature extractor and the features of the real images, also of those of the trainings if they are few."""
    extractor = get_extractor(KeyedStore(out / "extractors"), images, scoring, "auto")
    open_features = partial(open_reference, KeyedStore(out / "references"), extractor=extractor)
    reference = images.select(*scoring.reference_split)
    training = None if few_images is None else open_features(few_images, heldout=[reference])
    return Scorer(extractor, open_features(reference), training, scoring)


def read_scores(out: Path) -> pd.DataFrame:
    """Read scores.csv, if it is there already."""
    path = out / "scores.csv"
    table = pd.read_csv(path) if path.exists() else pd.DataFrame()
    columns = ["row", "settings", "seed", "wanted_minutes", "epoch", "failure"]
    return table.reindex(columns=list(dict.fromkeys([*columns, *table.columns])))


def measure_real(out: Path, images: ImageSet, scorers: dict[str, Scorer]) -> None:
    """Score real images, as many as samples if there are so many, unless it is done; write a row for each score."""
    if (read_scores(out)["row"] == REAL).any():
        return
    rows: list[dict[str, Any]] = []
    for name, scorer in scorers.items():
        chosen = torch.from_numpy(choose_images(images, scorer.config.samples).images)
        row = {"row": REAL, "settings": "", "seed": 0, "scored_images": len(chosen), "extractor": name}
        rows.append(row | scorer.score_images(chosen.split(BATCH), "real"))
    add_scores(out, rows)


def measure_speeds(out: Path, trainings: Sequence[Training], images: ImageSet) -> Mapping[str, float]:
    """Measure the speed of all rows in turn, unless it is done.

    Returns:
        median images per minute, by settings.
    """
    path = out / "speeds.csv"
    rows = pd.read_csv(path).to_dict("records") if path.exists() else []
    known = {row["settings"] for row in rows}
    running = {
        training.settings: run_epochs(slow_down(training.config), repeat(images, training.config))
        for training in trainings
        if training.settings not in known
    }
    for number, (settings, epochs) in product(range(ROUNDS + 1), running.items()):
        speed = 60 * next(epochs).metrics["images_per_second"]
        common = {"device": describe_device(), "torch": torch.__version__}
        rows += [{"settings": settings, "round": number, "images_per_minute": round(speed), **common}] * (number > 0)
    table = pd.DataFrame(rows)
    if running:
        write_table(path, table)
    return table.groupby("settings")["images_per_minute"].median().to_dict()


def slow_down(config: GanConfig) -> GanConfig:
    """The configuration with which a speed is measured: whatever the learning rates, a step takes the same time."""
    optimizers = {
        name: replace(getattr(config, name), learning_rate=1e-12)
        for name in ("generator_optimizer", "discriminator_optimizer")
    }
    return replace(config, epochs=ROUNDS + 1, schedule=ScheduleConfig(), **optimizers)


def repeat(images: ImageSet, config: GanConfig) -> ImageSet:
    """Take the images of a round, again and again if there are too few."""
    return images.take(np.arange(STEPS * config.batch_size) % len(images), "round")


def measure(out: Path, training: Training, images: ImageSet, schedule: Schedule, scorers: Mapping[str, Scorer]) -> None:
    """Train and score, unless it is done; write a row for each score, then the figure."""
    common = {"row": training.row, "settings": training.settings, "seed": training.seed}
    done = select(read_scores(out), common)
    if schedule.epochs.keys() <= {*done["epoch"]} or done["failure"].notna().any():
        return
    left = schedule.epochs.keys() - {*done["epoch"]}
    for rows in train_and_score(training, images, schedule, left, scorers, out):
        add_scores(out, [common | {"device": describe_device(), "torch": torch.__version__} | row for row in rows])
    plot_scores(read_scores(out)).savefig(out / "scores.png")


def select(table: pd.DataFrame, values: Mapping[str, Any]) -> pd.DataFrame:
    """Select the rows that have these values."""
    return table[(table[[*values]] == pd.Series(values)).all(axis="columns")]


def add_scores(out: Path, rows: Sequence[Mapping[str, Any]]) -> None:
    """Add rows to scores.csv; those of the same training with other settings go."""
    with FileLock(out / "scores.lock"):
        table = read_scores(out)
        same = select(table, {name: rows[0][name] for name in ("row", "seed")})
        others = table.drop(same[same["settings"] != rows[0]["settings"]].index)
        write_table(out / "scores.csv", pd.DataFrame([*others.to_dict("records"), *rows]))
    for row in rows:
        print(row, flush=True)


def train_and_score(
    training: Training,
    images: ImageSet,
    schedule: Schedule,
    left: Set[int],
    scorers: Mapping[str, Scorer],
    out: Path,
) -> Iterator[list[dict[str, Any]]]:
    """Train, and score after those epochs of the schedule that are left; a failure is a row without scores."""
    config = replace(training.config, epochs=max(schedule.epochs))
    checkpoints, left = CheckpointStore(out / "checkpoints" / name_files(training)), {*left}
    try:
        for epoch in run_epochs(config, images, checkpoints):
            missed = [schedule.epochs[number] for number in left if number < epoch.number]
            require(
                not missed, "--minutes", missed, f"more: {training.row} was trained for longer; or take another OUT"
            )
            if epoch.number not in left:
                continue
            left.remove(epoch.number)
            progress = {
                "wanted_minutes": schedule.epochs[epoch.number],
                "epoch": epoch.number,
                "images": epoch.images_seen,
                "minutes": epoch.number * schedule.epoch_minutes,
            }
            save_grid(epoch, out / "grids", training)
            # All at once, so that no interruption falls between them.
            yield [
                progress | {"extractor": extractor} | scorer.score(epoch.generator)
                for extractor, scorer in scorers.items()
            ]
    except TrainingDiverged as error:
        yield [{"wanted_minutes": max(schedule.epochs.values()), "failure": str(error)}]


def run_epochs(config: GanConfig, images: ImageSet, checkpoints: CheckpointStore | None = None) -> Iterator[Epoch]:
    """Train, epoch by epoch."""
    names = {"class_names": images.class_names, "data_hash": images.content_hash}
    return train(config, images.images, images.labels, **names, checkpoints=checkpoints)


def save_grid(epoch: Epoch, grids: Path, training: Training) -> None:
    """Save the samples of an epoch; later ones replace them."""
    grids.mkdir(exist_ok=True)
    Image.fromarray(make_image_grid(epoch.samples)).save(grids / f"{name_files(training)}.png")


def name_files(training: Training) -> str:
    """Name of the files of a training: its row and seed, without characters that a name may not have."""
    return re.sub(r"[^\w.=-]+", "_", f"{training.row}-{training.seed}")


def plot_scores(table: pd.DataFrame) -> Figure:
    """Plot scores over minutes of training: a panel for each score and extractor, in it a line for each row of means.

    Args:
        table: rows of scores.csv; those without a score are left out. Real images are a dashed line.
    """
    scored = table[table["extractor"].notna()] if "extractor" in table else table.iloc[:0]
    names = [name for name in SCORES if name in scored]
    extractors = scored["extractor"].unique() if len(scored) else []
    figure = Figure(figsize=(6 * max(1, len(extractors)), 4 * max(1, len(names))), layout="constrained", dpi=80)
    for number, (name, extractor) in enumerate(product(names, extractors)):
        axes = figure.add_subplot(len(names), len(extractors), number + 1)
        for row, rows in scored[scored["extractor"] == extractor].groupby("row", sort=False):
            if row == REAL:
                axes.axhline(rows[name].iloc[0], color="grey", linestyle="--", label=REAL)
                continue
            means = rows.groupby("wanted_minutes")[["minutes", name]].mean()
            (line,) = axes.plot(means["minutes"], means[name], label=row)
            axes.plot(rows["minutes"], rows[name], ".", color=line.get_color())
        axes.set(title=f"features: {extractor}", xlabel="minutes of training", ylabel=f"{SCORES[name]}, EMA weights")
        axes.set_yscale("log" if name == "fid" else "linear")
        axes.legend(frameon=False, fontsize=8)
        axes.grid(alpha=0.3)
    return figure


if __name__ == "__main__":
    main()
