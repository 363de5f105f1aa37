"""Measure the floors of scores, their responses to known damage, and their variation by chance.

    python benchmarks/scores.py floors OUT --env base
    python benchmarks/scores.py floors OUT --env base --extractor imagenet
    python benchmarks/scores.py chance OUT --env fashion_mnist --data data/01_raw --variant mlp_gan

``floors`` scores held-out images as generators are scored, in ten random and ten stratified splits, then damaged
images, and writes OUT/floors-<env>.csv; for another extractor than the classifier, the extractor's name and _ come
before. ``chance`` trains a variant with three seeds, scores it with several sampling seeds and numbers of samples, and
writes OUT/chance-<env>.csv. Rows are written as soon as they are measured. The classifier is fitted once and kept in
OUT.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from dataclasses import asdict, replace
from functools import reduce
from operator import add
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
import yaml
from torch import Tensor
from torchvision.transforms.v2.functional import gaussian_blur

from gan_pipelines.core.config import parse
from gan_pipelines.core.stores import KeyedStore
from gan_pipelines.gan import CheckpointStore, TrainedGenerator, train
from gan_pipelines.gan.variants import parse_variant
from gan_pipelines.images import DatasetConfig, ImageSet, prepare_image_set
from gan_pipelines.metrics import (
    FeatureExtractor,
    Moments,
    Radii,
    ScoringConfig,
    extract_features,
    extrapolate_frechet,
    frechet_distance,
    get_extractor,
    inception_score,
    kernel_distance,
    labels_like,
    neighbour_scores,
    open_reference,
    stratified_labels,
)
from gan_pipelines.metrics.frechet import EXTRAPOLATION_PARTS, SAMPLES_PER_FEATURE

CONF = Path(__file__).parents[1] / "conf"
SPLITS = range(10)
"""Seeds of the random splits into held-out and reference images."""
COUNTS = [500, 1000, 2000, 5000, 10_000, 20_000, 50_000]
SAMPLING_SEEDS = range(10)
TRAINING_SEEDS = range(3)
BATCH = 500
RANDOM, STRATIFIED, TEST = "none: random splits", "none: stratified splits", "test against train"
FLOORS = (RANDOM, STRATIFIED, TEST)
"""Kinds of undamaged held-out images, in the column of the damages."""


def main() -> None:
    """Measure floors or chance."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("command", choices=["floors", "chance"])
    parser.add_argument("out", type=Path)
    parser.add_argument("--env", default="base")
    parser.add_argument("--data", default="data/01_raw", help="folder with the images")
    parser.add_argument("--image-folder", action="store_true", help="the folder contains <split>/<class>/*")
    parser.add_argument("--extractor", choices=["classifier", "imagenet"], default="classifier")
    parser.add_argument("--images", type=int, default=5000, help="at most so many on each side of a comparison")
    parser.add_argument("--classifier-epochs", type=int, help="fewer epochs and the faster stem, without a GPU")
    parser.add_argument("--variant", default="cdcgan")
    parser.add_argument("--epochs", type=int, help="epochs of a training, if not those of the environment")
    parser.add_argument("--samples", type=int, default=2000, help="samples of a score with each sampling seed")
    options = parser.parse_args()

    parameters = read_parameters(options.env, options.data, options.image_folder)
    dataset = parameters["dataset"]
    scoring = parse(ScoringConfig, parameters["scoring"] | {"extractor": options.extractor}, "scoring")
    if options.classifier_epochs:
        classifier = replace(scoring.classifier, epochs=options.classifier_epochs, stem="imagenet")
        scoring = replace(scoring, classifier=classifier)
    images = prepare_image_set(KeyedStore(options.out / "image_sets"), parse(DatasetConfig, dataset, "dataset"))
    extractor = get_extractor(KeyedStore(options.out / "extractors"), images, scoring, "auto")
    print(extractor.provenance, flush=True)
    prefix = "" if options.extractor == "classifier" else f"{options.extractor}_"
    rows = Rows(options.out / f"{prefix}{options.command}-{options.env}.csv", dict(extractor.provenance))
    if options.command == "floors":
        measure_floors(rows, images, extractor, scoring, options.images)
        measure_damages(rows, images, extractor, scoring, options.images)
    else:
        config = parse_variant(options.variant, parameters["variants"][options.variant])
        config = replace(config, epochs=options.epochs or config.epochs, precision="auto")
        measure_chance(rows, images, extractor, config, options)


def read_parameters(env: str, data: str, is_image_folder: bool) -> dict[str, Any]:
    """Read the parameters of an environment.

    Args:
        env: folder under conf/.
        data: folder with the images, in place of the environment's.
        is_image_folder: whether they are in <split>/<class>/ there, whatever the source of the environment.
    """
    parameters: dict[str, Any] = yaml.safe_load((CONF / env / "parameters.yml").read_text())
    if env != "base":
        parameters["dataset"] |= {"path": data, "download": False}
    if is_image_folder:
        parameters["dataset"] |= {"source": "image_folder"}
    return parameters


class Rows:
    """A CSV file that is written anew with each row, so that an interrupted run loses nothing."""

    def __init__(self, path: Path, provenance: dict[str, Any]) -> None:
        self.path = path
        self.common = {name: provenance.get(name) for name in ("name", "heldout_accuracy")}
        self.rows: list[dict[str, Any]] = []

    def add(self, **row: Any) -> None:
        """Add a row."""
        self.rows.append(row | self.common)
        pd.DataFrame(self.rows).to_csv(self.path, index=False)
        print(row, flush=True)


def measure_floors(
    rows: Rows, images: ImageSet, extractor: FeatureExtractor, scoring: ScoringConfig, max_images: int
) -> None:
    """Score held-out images against as many reference images as the train split has.

    There are as many held-out images as samples of a generator, or as the test split has, if these are fewer. The
    splits of both together are random, for unconditional generators, and stratified, for conditional ones; their
    Inception Score is that of both together, up to the samples of a generator, since its parts should be as large. The
    test split against the train split follows, which the classifier has not seen.
    """
    train_set, test = (limit(images.select(split), max_images) for split in ("train", "test"))
    count = min(scoring.samples, len(test))
    labels = torch.from_numpy(np.concatenate([train_set.labels, test.labels]))
    real, other = (extract(extractor, torch.from_numpy(each.images)) for each in (train_set, test))
    features, logits = map(torch.cat, zip(real, other, strict=True))
    for kind, arrange in {RANDOM: random_order, STRATIFIED: stratified_order}.items():
        for split in SPLITS:
            order = arrange(labels, torch.Generator().manual_seed(split))
            heldout, reference = order[:count], order[-len(train_set) :]
            scores = compare(
                features[reference], features[heldout], logits[order[: scoring.samples]], scoring.is_splits
            )
            rows.add(damage=kind, amount=split, **scores)
    # Folders are read class by class, and each part of the Inception Score should have all classes.
    order = random_order(other[1], torch.Generator().manual_seed(0))
    rows.add(damage=TEST, amount=0, **compare(real[0], other[0], other[1][order], scoring.is_splits))


def limit(images: ImageSet, count: int) -> ImageSet:
    """Draw images of a split, or take all if there are no more."""
    rows = torch.randperm(len(images), generator=torch.Generator().manual_seed(0))[:count].sort().values
    return images.take(rows.numpy(), "limited")


def random_order(labels: Tensor, draws: torch.Generator) -> Tensor:
    """Order images (N,) at random."""
    return torch.randperm(len(labels), generator=draws)


def stratified_order(labels: Tensor, draws: torch.Generator) -> Tensor:
    """Order images (N,) at random, so that the classes are about equally frequent in every part of the order."""
    by_class = random_order(labels, draws)
    by_class = by_class[labels[by_class].argsort(stable=True)]
    order = torch.empty_like(by_class)
    order[stratified_labels(torch.bincount(labels).numpy(), len(labels)).argsort(stable=True)] = by_class
    return order


def measure_damages(
    rows: Rows, images: ImageSet, extractor: FeatureExtractor, scoring: ScoringConfig, max_images: int
) -> None:
    """Score one half of the train split against the other, undamaged and damaged."""
    train_set = images.select("train")
    order = torch.randperm(len(train_set), generator=torch.Generator().manual_seed(0))[: 2 * max_images]
    first, second = order.tensor_split(2)
    pixels, labels = torch.from_numpy(train_set.images), torch.from_numpy(train_set.labels)
    reference, _ = extract(extractor, pixels[first])
    undamaged = extract(extractor, pixels[second])
    for damage, amount, damaged in damage_images(pixels[second]):
        scores = compare(reference, *(extract(extractor, damaged) if amount else undamaged), scoring.is_splits)
        rows.add(damage=damage, amount=amount, **scores)
    for damage, amount, chosen in choose_images(labels[second]):
        scores = compare(reference, *(part[chosen] for part in undamaged), scoring.is_splits)
        rows.add(damage=damage, amount=amount, **scores)


def damage_images(images: Tensor) -> Iterator[tuple[str, float, Tensor]]:
    """Damage images (N, C, H, W) uint8 in several ways, each by a growing amount; the first amount changes nothing."""
    draws = torch.Generator().manual_seed(0)
    noise = torch.randn(images.shape, generator=draws)
    for sigma in (0, 8, 16, 32, 64):
        yield "noise, standard deviation in grey levels", sigma, (images + sigma * noise).clamp(0, 255).byte()
    for sigma in (0.0, 0.5, 1.0, 2.0, 4.0):
        yield "blur, standard deviation in pixels", sigma, gaussian_blur(images, [13, 13], sigma) if sigma else images


def choose_images(labels: Tensor) -> Iterator[tuple[str, float, Tensor]]:
    """Choose fewer of the images with these labels (N,): fewer classes, or few images that are repeated.

    Yields:
        the damage, its growing amount, of which the first changes nothing, and rows of the images.
    """
    classes = int(labels.max()) + 1
    for share in (0, 0.1, 0.2, 0.5, 0.8):
        yield "dropped classes, share of them", share, (labels >= round(share * classes)).nonzero().squeeze(1)
    for share in (1, 2, 4, 16, 64):
        yield "repeated images, copies of each", share, torch.arange(len(labels)) % (len(labels) // share)


def extract(extractor: FeatureExtractor, images: Tensor) -> tuple[Tensor, Tensor]:
    """Extract features and logits of images (N, C, H, W) uint8."""
    parts = list(extract_features(extractor, images.split(BATCH), "real"))
    return torch.cat([part.features for part in parts]), torch.cat([part.logits for part in parts])


def compare(real: Tensor, other: Tensor, logits: Tensor, is_splits: int) -> dict[str, float]:
    """Score images, given by features, against the features of real ones; the Inception Score is that of the logits."""
    moments = [Moments.of_stream(features.split(BATCH)) for features in (real, other)]
    scores = {"images": len(other), "reference_images": len(real), "fid": frechet_distance(*moments)}
    scores["kid"] = kernel_distance(other, real)[0]
    scores["is"], scores["is_part"] = inception_score(logits, is_splits)[0], len(logits) // is_splits
    return scores | asdict(neighbour_scores(real, other, Radii.of(real)))


def measure_chance(
    rows: Rows, images: ImageSet, extractor: FeatureExtractor, config: Any, options: argparse.Namespace
) -> None:
    """Score generators of several training seeds by number of samples, and the first also by sampling seed."""
    train_set = images.select("train")
    reference = open_reference(KeyedStore(options.out / "references"), train_set, extractor).moments
    for training_seed in TRAINING_SEEDS:
        generator = train_one(options.out, replace(config, seed=training_seed), train_set)
        for weights in ("ema", "raw"):
            for sampling_seed in SAMPLING_SEEDS if training_seed == 0 else [0]:
                parts = sample_moments(generator, extractor, train_set, options.samples, sampling_seed, weights)
                distance = frechet_distance(reference, reduce(add, parts))
                rows.add(
                    what="sampling seeds",
                    training_seed=training_seed,
                    sampling_seed=sampling_seed,
                    weights=weights,
                    samples=options.samples,
                    fid=distance,
                )
        parts = sample_moments(generator, extractor, train_set, COUNTS[-1], 99, "ema")
        for count in COUNTS:
            chosen = parts[: count // BATCH]
            row = {"samples": count, "fid": frechet_distance(reference, reduce(add, chosen))}
            if count >= max(SAMPLES_PER_FEATURE * len(reference.mean), EXTRAPOLATION_PARTS * BATCH):
                length = len(chosen) // EXTRAPOLATION_PARTS
                groups = [reduce(add, chosen[start : start + length]) for start in range(0, len(chosen), length)]
                row["fid_infinity"], row["fid_infinity_error"] = extrapolate_frechet(reference, groups)
            rows.add(what="number of samples", training_seed=training_seed, sampling_seed=99, weights="ema", **row)


def train_one(out: Path, config: Any, images: ImageSet) -> TrainedGenerator:
    """Train, or load the checkpoint of a finished training."""
    store = CheckpointStore(out / "checkpoints", keep=1, interval_seconds=60)
    for epoch in train(
        config,
        images.images,
        images.labels,
        class_names=images.class_names,
        data_hash=images.content_hash,
        checkpoints=store,
        samples_every=100,
    ):
        if epoch.number % 10 == 0:
            print(config.seed, epoch.number, epoch.metrics, flush=True)
    return epoch.generator


def sample_moments(
    generator: TrainedGenerator, extractor: FeatureExtractor, images: ImageSet, count: int, seed: int, weights: Any
) -> list[Moments]:
    """Generate samples with the class frequencies of images; return the moments of each `BATCH` of them."""
    labels = labels_like(images, count, generator)
    batches = generator.sample_batches(count, seed=seed, weights=weights, labels=labels, batch_size=BATCH)
    return [Moments.of(part.features) for part in extract_features(extractor, batches, "generated")]


if __name__ == "__main__":
    main()
