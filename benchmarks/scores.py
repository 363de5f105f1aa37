"""What scores are worth: floors, responses to known damage, and how much chance there is in them.

    python benchmarks/scores.py floors OUT --env base
    python benchmarks/scores.py chance OUT --env fashion_mnist --data data/01_raw --variant mlp_gan

``floors`` scores real images against real ones, whole and damaged, into OUT/floors-<env>.csv. ``chance`` trains a
variant with three seeds, and scores it over sampling seeds and numbers of samples, into OUT/chance-<env>.csv. Both add
rows as they go, and take the classifier from OUT after the first call.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pandas as pd
import torch
from omegaconf import OmegaConf
from torch import Tensor
from torchvision.transforms.v2.functional import gaussian_blur

from gan_pipelines.core.config import parse
from gan_pipelines.core.stores import KeyedStore
from gan_pipelines.gan import CheckpointStore, TrainedGenerator, train
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
    neighbour_scores,
    open_reference,
)
from gan_pipelines.project.parameters import parse_variant

CONF = Path(__file__).parents[1] / "conf"
MAX_IMAGES = 5_000
"""Real images of a floor's side, so that each is compared with each in minutes."""
COUNTS = [500, 1000, 2000, 5000, 10_000, 20_000, 50_000]
SAMPLING_SEEDS = range(10)
TRAINING_SEEDS = range(3)
BATCH = 500


def main() -> None:
    """Measure floors or chance."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("command", choices=["floors", "chance"])
    parser.add_argument("out", type=Path)
    parser.add_argument("--env", default="base")
    parser.add_argument("--data", default="data/01_raw", help="where the images lie")
    parser.add_argument("--image-folder", action="store_true", help="they lie there as <split>/<class>/*")
    parser.add_argument("--classifier-epochs", type=int, help="fewer, for a machine without a GPU")
    parser.add_argument("--variant", default="cdcgan")
    parser.add_argument("--epochs", type=int, help="of the training, if not those of the environment")
    parser.add_argument("--samples", type=int, default=2000, help="of each score over sampling seeds")
    options = parser.parse_args()

    OmegaConf.register_new_resolver("oc.env", lambda *_: options.data, replace=True)
    parameters: Any = OmegaConf.to_container(OmegaConf.load(CONF / options.env / "parameters.yml"), resolve=False)
    dataset = parameters["dataset"]
    if options.env != "base":
        dataset |= {"path": options.data, "download": False}
    if options.image_folder:
        dataset |= {"source": "image_folder"}
    scoring = parse(ScoringConfig, parameters["scoring"], "scoring")
    if options.classifier_epochs:  # with the stem that is affordable
        classifier = replace(scoring.classifier, epochs=options.classifier_epochs, stem="imagenet")
        scoring = replace(scoring, classifier=classifier)
    images = prepare_image_set(KeyedStore(options.out / "image_sets"), parse(DatasetConfig, dataset, "dataset"))
    extractor = get_extractor(KeyedStore(options.out / "extractors"), images, scoring, "auto")
    print(extractor.provenance, flush=True)
    rows = Rows(options.out / f"{options.command}-{options.env}.csv", dict(extractor.provenance))
    if options.command == "floors":
        measure_floors(rows, images, extractor)
    else:
        config = parse_variant(options.variant, parameters["variants"][options.variant])
        config = replace(config, epochs=options.epochs or config.epochs, precision="auto")
        measure_chance(rows, images, extractor, config, options)


class Rows:
    """A table on disk that grows row by row."""

    def __init__(self, path: Path, provenance: dict[str, Any]) -> None:
        self.path = path
        self.common = {name: provenance[name] for name in ("name", "heldout_accuracy")}
        self.rows: list[dict[str, Any]] = []

    def add(self, **row: Any) -> None:
        """Add a row."""
        self.rows.append(row | self.common)
        pd.DataFrame(self.rows).to_csv(self.path, index=False)
        print(row, flush=True)


def measure_floors(rows: Rows, images: ImageSet, extractor: FeatureExtractor) -> None:
    """Score real images against real ones: test against train, then half of train against the other, also damaged."""
    train_set, test = images.select("train"), images.select("test")
    order = torch.randperm(len(train_set), generator=torch.Generator().manual_seed(0))[: 2 * MAX_IMAGES]
    first, second = order.tensor_split(2)
    pixels, labels = torch.from_numpy(train_set.images), torch.from_numpy(train_set.labels)
    reference = features_of(extractor, pixels[first])
    whole = features_of(extractor, pixels[order])
    rows.add(
        damage="test against train", amount=0, **compare(whole, features_of(extractor, torch.from_numpy(test.images)))
    )
    for damage, amount, damaged in damages(pixels[second], labels[second]):
        rows.add(damage=damage, amount=amount, **compare(reference, features_of(extractor, damaged)))


def damages(images: Tensor, labels: Tensor) -> Iterator[tuple[str, float, Tensor]]:
    """Damage images (N, C, H, W) uint8 more and more, in several ways; the first of each way is whole."""
    draws = torch.Generator().manual_seed(0)
    noise = torch.randn(images.shape, generator=draws)
    for sigma in (0, 8, 16, 32, 64):
        yield "noise, standard deviation in grey levels", sigma, (images + sigma * noise).clamp(0, 255).byte()
    for sigma in (0.0, 0.5, 1.0, 2.0, 4.0):
        yield "blur, standard deviation in pixels", sigma, gaussian_blur(images, [13, 13], sigma) if sigma else images
    classes = int(labels.max()) + 1
    for share in (0, 0.1, 0.2, 0.5, 0.8):
        yield "dropped classes, share of them", share, images[labels >= round(share * classes)]
    for share in (1, 2, 4, 16, 64):
        few = len(images) // share
        yield "repeated images, copies of each", share, images[torch.arange(len(images)) % few]


def features_of(extractor: FeatureExtractor, images: Tensor) -> tuple[Tensor, Tensor]:
    """Features and logits of images (N, C, H, W) uint8."""
    parts = list(extract_features(extractor, images.split(BATCH), "real"))
    return torch.cat([part.features for part in parts]), torch.cat([part.logits for part in parts])


def compare(real: tuple[Tensor, Tensor], other: tuple[Tensor, Tensor]) -> dict[str, float]:
    """All scores of some images against real ones, both as `features_of` gives them."""
    moments = [Moments.of_stream(features.split(BATCH)) for features, _ in (real, other)]
    scores = {"images": len(other[0]), "reference_images": len(real[0]), "fid": frechet_distance(*moments)}
    scores["kid"] = kernel_distance(other[0], real[0])[0]
    scores["is"] = inception_score(other[1], splits=1)[0]
    return scores | asdict(neighbour_scores(real[0], other[0], Radii.of(real[0])))


def measure_chance(
    rows: Rows, images: ImageSet, extractor: FeatureExtractor, config: Any, options: argparse.Namespace
) -> None:
    """Score generators of three training seeds, the first with ten sampling seeds, and all by number of samples."""
    train_set = images.select("train")
    reference = open_reference(KeyedStore(options.out / "references"), train_set, extractor).moments
    for training_seed in TRAINING_SEEDS:
        generator = train_one(options.out, replace(config, seed=training_seed), train_set)
        for weights in ("ema", "raw"):
            for sampling_seed in SAMPLING_SEEDS if training_seed == 0 else [0]:
                parts = sampled_moments(generator, extractor, options.samples, sampling_seed, weights)
                distance = frechet_distance(reference, sum_of(parts))
                rows.add(
                    what="sampling seeds",
                    training_seed=training_seed,
                    sampling_seed=sampling_seed,
                    weights=weights,
                    samples=options.samples,
                    fid=distance,
                )
        parts = sampled_moments(generator, extractor, COUNTS[-1], 99, "ema")
        for count in COUNTS:
            few = parts[: count // BATCH]
            row = {"samples": count, "fid": frechet_distance(reference, sum_of(few))}
            if len(few) >= 8:  # each quarter has more samples than features
                quarters = [sum_of(few[part * len(few) // 4 : (part + 1) * len(few) // 4]) for part in range(4)]
                row["fid_infinity"], row["fid_infinity_error"] = extrapolate_frechet(reference, quarters)
            rows.add(what="number of samples", training_seed=training_seed, sampling_seed=99, weights="ema", **row)


def train_one(out: Path, config: Any, images: ImageSet) -> TrainedGenerator:
    """Train, or take what was trained before."""
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


def sampled_moments(
    generator: TrainedGenerator, extractor: FeatureExtractor, count: int, seed: int, weights: Any
) -> list[Moments]:
    """Moments of each `BATCH` of samples."""
    batches = generator.sample_batches(count, seed=seed, weights=weights, batch_size=BATCH)
    return [Moments.of(part.features) for part in extract_features(extractor, batches, "generated")]


def sum_of(parts: list[Moments]) -> Moments:
    """Moments of all parts together."""
    return sum(parts[1:], start=parts[0])


if __name__ == "__main__":
    main()
