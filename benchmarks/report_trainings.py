"""The trainings of the reports, and their scores; see reports.py."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import torch
import yaml
from PIL import Image

from devices import describe_device
from gan_pipelines.augmentation import AugmentationConfig
from gan_pipelines.augmentation.splits import draw_rows
from gan_pipelines.core.config import merge, parse
from gan_pipelines.core.stores import KeyedStore
from gan_pipelines.figures import make_image_grid
from gan_pipelines.gan import CheckpointStore, Epoch, GanConfig, TrainedGenerator, TrainingDiverged, train
from gan_pipelines.gan.config import PenaltyConfig
from gan_pipelines.gan.variants import parse_variant
from gan_pipelines.images import DatasetConfig, ImageSet, prepare_image_set
from gan_pipelines.metrics import (
    ScoringConfig,
    get_extractor,
    make_monitor,
    open_reference,
    score_generator,
)
from tables import write_table

CONF = Path(__file__).parents[1] / "conf"
CHECKPOINT_SECONDS = 30
TRIAL_CLASSIFIER = {"network": "resnet8", "stem": "imagenet", "epochs": 1}
TRIAL = {
    "scoring": {"samples": 64, "classifier": TRIAL_CLASSIFIER, "during_training": {"samples": 64, "batch": 32}},
    "augmentation": {"replicates": 2, "ratios": [1], "classifier": TRIAL_CLASSIFIER, "generator_epochs": 2},
}
TRIAL_VARIANT = {"networks": {"width": 8}, "batch_size": 16, "discriminator_steps": 1, "epochs": 2}
FOLDERS = {
    "cifar10_32": "cifar10",
    "cifar10_64": "cifar10",
    "cifar10_64_attention": "cifar10",
    "playing_cards": "playing-cards",
}
"""Folders of images in DATA, by environment."""


class Training(NamedTuple):
    """A training of the reports.

    Attributes:
        environment: folder under conf/.
        variant: what is trained.
        objective: in place of the variant's.
        seed: of the training.
        fraction: of the training images of each class; the scores compare with all.
    """

    environment: str
    variant: str
    objective: str | None = None
    seed: int = 0
    fraction: float = 1

    @property
    def name(self) -> str:
        """Name of its files."""
        drawn = [] if self.fraction == 1 else [f"{self.fraction:g}"]
        objective = [self.objective] if self.objective else []
        return "-".join([self.environment, *drawn, self.variant, *objective, str(self.seed)])


@dataclass(frozen=True)
class Settings:
    """Settings of a training, its images, its scores and the augmentation experiment."""

    gan: GanConfig
    dataset: DatasetConfig
    scoring: ScoringConfig
    augmentation: AugmentationConfig
    grid_at_epochs: tuple[float, ...]
    checkpoint_seconds: float


def read_settings(training: Training, data: Path, is_trial: bool) -> Settings:
    """Read what the environment of a training says."""
    parameters = yaml.safe_load((CONF / training.environment / "parameters.yml").read_text())
    dataset = parameters["dataset"] | {"path": str(data), "download": False}
    folder = data / FOLDERS.get(training.environment, "")
    if folder != data and folder.is_dir():
        dataset |= {"source": "image_folder", "path": str(folder)}
    variant = parameters["variants"][training.variant] or {}
    if is_trial:
        parameters, variant = merge(parameters, TRIAL), merge(variant, TRIAL_VARIANT)
    gan = replace(parse_variant(training.variant, variant), seed=training.seed)
    if training.objective:
        penalties = (PenaltyConfig(),) if training.objective == "wasserstein" else ()
        gan = replace(gan, objective=training.objective, penalties=penalties)
    return Settings(
        gan,
        parse(DatasetConfig, dataset, "dataset"),
        parse(ScoringConfig, parameters["scoring"], "scoring"),
        parse(AugmentationConfig, parameters["augmentation"], "augmentation"),
        tuple(parameters["reporting"].get("grid_at_epochs", ())),
        checkpoint_seconds=0 if is_trial else CHECKPOINT_SECONDS,
    )


def open_images(out: Path, settings: Settings) -> ImageSet:
    """Open the images, which are prepared once."""
    return prepare_image_set(KeyedStore(out / "image_sets"), settings.dataset)


def fit_extractor(out: Path, settings: Settings) -> str:
    """Fit the extractor of the scores, unless there is one; say how good it is."""
    images = open_images(out, settings)
    started = time.perf_counter()
    provenance = get_extractor(KeyedStore(out / "extractors"), images, settings.scoring, "auto").provenance
    took = time.perf_counter() - started
    return f"{provenance['name']}: accuracy {provenance['heldout_accuracy']:.3f} on held-out images, {took:.0f} s"


def train_and_score(out: Path, training: Training, settings: Settings, deadline: float) -> str:
    """Train until the deadline, score, and say in a sentence what was done."""
    path = out / "scores" / f"{training.name}.csv"
    done = pd.read_csv(path) if path.exists() else pd.DataFrame(columns=["epoch"])
    if settings.gan.epochs in done["epoch"].to_numpy():
        return f"{training.name}: was finished"
    started = time.perf_counter()
    images = open_images(out, settings)
    train_set = draw(images.select(*settings.dataset.train_splits), training)
    kept, failure = train_until(out, training.name, settings, train_set, deadline)
    if not kept:
        return f"{training.name}: {failure}"
    trained = time.perf_counter() - started
    scores = pd.DataFrame([{"training": training.name, **row} for row in score(out, settings, images, kept)])
    write_table(path, scores.assign(epochs=settings.gan.epochs, torch=torch.__version__, device=describe_device()))
    last = scores[(scores["metric"] == "fid") & (scores["weights"] == "raw")].iloc[-1]
    progress = f"{last['epoch']:.0f} of {settings.gan.epochs} epochs, {trained:.0f} s"
    return f"{training.name}: {progress}, FID {last['value']:.2f}{f'; {failure}' if failure else ''}"


def draw(images: ImageSet, training: Training) -> ImageSet:
    """Draw the images of a training: its fraction of each class, or all."""
    if training.fraction == 1:
        return images
    rows = draw_rows(images.labels, np.arange(len(images)), training.fraction, training.seed)
    return images.take(rows, "train")


def train_until(
    out: Path, name: str, settings: Settings, train_set: ImageSet, deadline: float
) -> tuple[list[Path], str]:
    """Train until the deadline; keep history, grids and generators in files with this name.

    Returns:
        the files of the generators, and why the training has failed, if it has.
    """
    folder = out / "generators" / name
    for each in (folder, out / "grids"):
        each.mkdir(parents=True, exist_ok=True)
    every = settings.scoring.during_training.every_epochs
    failure = ""
    try:
        for epoch in train(
            settings.gan,
            train_set.images,
            train_set.labels,
            class_names=train_set.class_names,
            data_hash=train_set.content_hash,
            checkpoints=CheckpointStore(out / "checkpoints", keep=1, interval_seconds=settings.checkpoint_seconds),
            samples_at=settings.grid_at_epochs,
        ):
            write_table(out / "history" / f"{name}.csv", pd.DataFrame(epoch.history))
            is_last = epoch.number == settings.gan.epochs or time.time() > deadline
            if is_last or epoch.number % every == 0:
                keep(epoch, folder, out / "grids" / name)
            if is_last:
                break
    except TrainingDiverged as error:
        failure = str(error)
    return sorted(folder.glob("*.safetensors")), failure


def keep(epoch: Epoch, folder: Path, grids: Path) -> None:
    """Keep the generator of an epoch, a grid of its samples, and those of parts of epochs so far, named 00.5."""
    epoch.generator.save(folder / f"{epoch.number:04d}.safetensors")
    parts = {number: samples for number, samples in epoch.sample_history.items() if number % 1}
    for number, samples in {**parts, epoch.number: epoch.samples}.items():
        Image.fromarray(make_image_grid(samples)).save(f"{grids}-{number:04g}.png")


def score(out: Path, settings: Settings, images: ImageSet, paths: list[Path]) -> Iterator[dict[str, Any]]:
    """Score generators: a few samples of each, and as many of the last as the environment says."""
    scoring = settings.scoring
    extractor = get_extractor(KeyedStore(out / "extractors"), images, scoring, "auto")
    reference = open_reference(
        KeyedStore(out / "references"),
        images.select(*scoring.reference_split),
        extractor,
        "auto",
        heldout=[images.select("test")],
    )
    common = {name: extractor.provenance[name] for name in ("name", "heldout_accuracy")}
    monitor = make_monitor(extractor, reference, scoring)
    for path in paths:
        generator = TrainedGenerator.load(path)
        for metric, value in monitor.measure(generator).items():
            weights = scoring.during_training.weights
            yield {"epoch": int(path.stem), "metric": metric, "weights": weights, "value": value, **common}
    for each in map(asdict, score_generator(generator, extractor, reference, scoring)):
        if "class" not in each["comparability"]:
            values = {"metric": each["metric"], "value": each["value"], "spread": each["spread"]}
            flags = {"weights": each["identity"]["weights"], "flags": " ".join(each["flags"])}
            yield {"epoch": int(path.stem), "samples": scoring.samples, **values, **flags, **common}
