"""Train variants for the same minutes, on the same machine, with the same seeds, and score them alike.

    python benchmarks/quality.py OUT --env cifar10_quick --rows dcgan "small batches=dcgan:batch_size=32" --minutes 2 8

A row is a variant with the settings that the environment has for it, if any, and with changes; it may have a name of
its own. Trainings run one after another, each with all cores or the GPU. Only their own minutes count, not those of
scores. A training is scored after the first epoch in which each number of minutes is over, and ends with the last one;
its scores state the minutes that it has taken. ``epochs`` matter only to a schedule that ends: then the training ends
with them; a schedule that would end later is cut off.

OUT gets scores.csv, with a row for each score as soon as it is measured, the first of real images from another split
than the reference; scores.png, the scores over minutes; and a grid of samples for each training in grids/. FID and KID
are by a few samples of the averaged weights (EMA), with fixed features (``imagenet``) and with those of the classifier,
which is fitted once. With ``--images``, which trains with few images, the share of copies of them is measured as well.
The same command goes on where it was interrupted: a finished training is not repeated, any other begins anew. Rows with
other options need another OUT.
"""

from __future__ import annotations

import argparse
import re
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from itertools import product
from pathlib import Path
from typing import Any, NamedTuple, get_args

import numpy as np
import pandas as pd
import torch
from matplotlib.figure import Figure
from omegaconf import OmegaConf
from PIL import Image
from torch import Tensor

from devices import describe_device
from gan_pipelines.core.config import ConfigError, merge, parse, require, suggest
from gan_pipelines.core.devices import resolve_device
from gan_pipelines.core.stores import KeyedStore
from gan_pipelines.figures import make_image_grid
from gan_pipelines.gan import VARIANTS, Epoch, GanConfig, TrainedGenerator, TrainingDiverged, train
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

MAX_EPOCHS = 1_000_000
"""Epochs of a training that only its minutes end."""
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
    reference_split = options.reference_split or scoring.reference_split
    scoring = replace(scoring, samples=options.samples, reference_split=reference_split)
    dataset = parse(DatasetConfig, parameters["dataset"], "dataset")
    # The share of copies needs held-out images to compare with.
    is_heldout = options.images is None or reference_split not in dataset.train_splits
    require(is_heldout, "--reference-split", reference_split, "a split without training images, with --images")
    images = prepare_image_set(KeyedStore(options.out / "image_sets"), dataset)
    training_set = choose_images(images.select(*dataset.train_splits), options.images)
    few_images = None if options.images is None else training_set
    scorers = {
        name: open_scorer(options.out, images, few_images, replace(scoring, extractor=name))
        for name in options.extractors
    }
    other_split = images.select("train" if reference_split == "test" else "test")
    measure_real(options.out, leave_out(other_split, few_images) if few_images else other_split, scorers)
    for training in trainings:
        measure(options.out, training, training_set, sorted(options.minutes), scorers)


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
    config = replace(parse_variant(variant, merge(variants.get(variant) or {}, changed)), seed=seed)
    return config if config.schedule.depends_on_end else replace(config, epochs=MAX_EPOCHS)


def open_scorer(out: Path, images: ImageSet, few_images: ImageSet | None, scoring: ScoringConfig) -> Scorer:
    """Open a feature extractor and the features of the real images, also of those of the trainings if they are few."""
    extractor = get_extractor(KeyedStore(out / "extractors"), images, scoring, "auto")
    open_features = partial(open_reference, KeyedStore(out / "references"), extractor=extractor)
    reference = images.select(scoring.reference_split)
    training = None if few_images is None else open_features(few_images, heldout=reference)
    return Scorer(extractor, open_features(reference), training, scoring)


def read_scores(out: Path) -> pd.DataFrame:
    """Read scores.csv, if it is there already."""
    path = out / "scores.csv"
    table = pd.read_csv(path) if path.exists() else pd.DataFrame()
    return table.reindex(columns=list(dict.fromkeys(["row", "settings", "seed", "wanted_minutes", *table.columns])))


def measure_real(out: Path, images: ImageSet, scorers: dict[str, Scorer]) -> None:
    """Score real images, as many as samples if there are so many, unless it is done; write a row for each score."""
    before = read_scores(out)
    if (before["row"] == REAL).any():
        return
    rows = []
    for name, scorer in scorers.items():
        chosen = torch.from_numpy(choose_images(images, scorer.config.samples).images)
        row = {"row": REAL, "settings": "", "seed": 0, "scored_images": len(chosen), "extractor": name}
        rows.append(row | scorer.score_images(chosen.split(BATCH), "real"))
    pd.DataFrame([*rows, *before.to_dict("records")]).to_csv(out / "scores.csv", index=False)


def measure(
    out: Path, training: Training, images: ImageSet, minutes: Sequence[float], scorers: dict[str, Scorer]
) -> None:
    """Train and score, unless it is done; write a row for each score, then the figure."""
    before = read_scores(out)
    is_row = (before["row"] == training.row) & (before["seed"] == training.seed)
    is_finished = (before["settings"] == training.settings) & (before["wanted_minutes"] >= minutes[-1])
    if (is_row & is_finished).any():
        return
    rows = before[~is_row].to_dict("records")
    common = {"row": training.row, "settings": training.settings, "seed": training.seed}
    common |= {"device": describe_device(), "torch": torch.__version__}
    for row in train_and_score(training, images, minutes, scorers, out / "grids"):
        rows.append(common | row)
        print(rows[-1], flush=True)
        pd.DataFrame(rows).to_csv(out / "scores.csv", index=False)
    plot_scores(pd.DataFrame(rows)).savefig(out / "scores.png")


def train_and_score(
    training: Training, images: ImageSet, minutes: Sequence[float], scorers: dict[str, Scorer], grids: Path
) -> Iterator[dict[str, Any]]:
    """Train until the minutes are over, and score when each number of them is; a failure is a row without scores."""
    left = list(minutes)
    try:
        for epoch, trained in clock_epochs(training.config, images):
            due = [wanted for wanted in left if trained >= wanted or epoch.number == training.config.epochs]
            if due:
                left = left[len(due) :]
                progress = {"epoch": epoch.number, "images": epoch.images_seen, "minutes": round(trained, 3)}
                scored = {extractor: scorer.score(epoch.generator) for extractor, scorer in scorers.items()}
                for extractor, scores in scored.items():  # all at once, so that no interruption falls between them
                    yield {"wanted_minutes": due[-1], **progress, "extractor": extractor, **scores}
                save_grid(epoch, grids, training)
            if not left:
                return
    except TrainingDiverged as error:
        yield {"wanted_minutes": minutes[-1], "failure": str(error)}


def clock_epochs(config: GanConfig, images: ImageSet) -> Iterator[tuple[Epoch, float]]:
    """Train; yield each epoch with the minutes of training until then, without those between the epochs."""
    trained, started = 0.0, time.perf_counter()
    options = {"class_names": images.class_names, "data_hash": images.content_hash}
    for epoch in train(config, images.images, images.labels, **options):
        trained += (time.perf_counter() - started) / 60
        yield epoch, trained
        started = time.perf_counter()


def save_grid(epoch: Epoch, grids: Path, training: Training) -> None:
    """Save the samples of an epoch; later ones replace them."""
    grids.mkdir(exist_ok=True)
    name = re.sub(r"[^\w.=-]+", "_", f"{training.row}-{training.seed}")
    Image.fromarray(make_image_grid(epoch.samples)).save(grids / f"{name}.png")


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
