"""The Fashion-MNIST experiment: losses and accuracies beside the published ones, and objectives beside each other.

    python benchmarks/fashion_mnist.py train OUT --data data/01_raw --variant mlp_gan --objective minimax --seed 1
    python benchmarks/fashion_mnist.py score OUT --data data/01_raw

``train`` adds one row an epoch to OUT/<run>.csv and keeps the generator; it may be cut off, and goes on where it was.
``score`` measures FID and IS of all generators in OUT with the project's ResNet-18, into OUT/scores.csv.
"""

from __future__ import annotations

import argparse
import copy
from dataclasses import replace
from pathlib import Path

import pandas as pd
import torch
import yaml

from gan_pipelines.classifier import Classifier, fit_classifier
from gan_pipelines.core.config import parse
from gan_pipelines.core.pixels import to_float
from gan_pipelines.core.stores import KeyedStore
from gan_pipelines.gan import CheckpointStore, Epoch, GanConfig, TrainedGenerator, train
from gan_pipelines.gan.config import PenaltyConfig
from gan_pipelines.gan.objectives import OBJECTIVES, DiscriminatorLoss, generator_loss
from gan_pipelines.images import DatasetConfig, ImageSet, prepare_image_set
from gan_pipelines.metrics.config import ScoringConfig
from gan_pipelines.metrics.frechet import Moments, frechet_distance
from gan_pipelines.metrics.inception_score import inception_score
from gan_pipelines.project.parameters import parse_variant

PARAMETERS = Path(__file__).parents[1] / "conf/fashion_mnist/parameters.yml"
PUBLISHED_BATCH = 96
BATCH = 500


def main() -> None:
    """Train one generator, or score all."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("command", choices=["train", "score"])
    parser.add_argument("out", type=Path)
    parser.add_argument("--data", required=True, help="the folder that holds torchvision's FashionMNIST")
    parser.add_argument("--variant", default="mlp_gan")
    parser.add_argument("--objective", default="non_saturating")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--epochs", type=int, default=20)
    parser.add_argument("--precision", default="fp32")
    parser.add_argument("--train-images", type=int, help="fewer, to try it out")
    options = parser.parse_args()

    parameters = yaml.safe_load(PARAMETERS.read_text())
    dataset = parse(DatasetConfig, parameters["dataset"] | {"path": options.data, "download": False}, "dataset")
    images = prepare_image_set(KeyedStore(options.out / "image_sets"), dataset)
    if options.command == "score":
        score(options.out, images, parse(ScoringConfig, parameters["scoring"], "scoring"))
        return
    config = replace(
        parse_variant(options.variant, parameters["variants"][options.variant]),
        objective=options.objective,
        penalty=PenaltyConfig() if options.objective == "wasserstein" else None,
        seed=options.seed,
        epochs=options.epochs,
        precision=options.precision,
    )
    train_one(options.out, options.variant, config, images.select("train"), options.train_images)


def train_one(out: Path, variant: str, config: GanConfig, images: ImageSet, count: int | None) -> None:
    """Train, write a row after each epoch, and keep the generator."""
    name = f"{variant}-{config.objective}-{config.seed}"
    rows = out / f"{name}.csv"
    checkpoints = CheckpointStore(out / "checkpoints", keep=1, interval_seconds=120)
    for epoch in train(config, images.images[:count], checkpoints=checkpoints, samples_every=5):
        row = {"variant": variant, "objective": config.objective, "seed": config.seed, "precision": config.precision}
        row |= epoch.history[-1] | judge_batch(epoch, images)
        before = pd.read_csv(rows) if rows.exists() else pd.DataFrame(columns=list(row))
        before = before[before["epoch"] < epoch.number]  # a run cut off shows some epochs twice
        pd.concat([before, pd.DataFrame([row])] if len(before) else [pd.DataFrame([row])]).to_csv(rows, index=False)
        epoch.generator.save(out / f"{name}-{epoch.number if epoch.number % 20 == 0 else 'newest'}.safetensors")


def judge_batch(epoch: Epoch, images: ImageSet) -> dict[str, float]:
    """Losses and accuracies on one batch of the published size, with the networks in training mode, as published."""
    draws = torch.Generator().manual_seed(epoch.number)
    chosen = torch.randperm(len(images), generator=draws)[:PUBLISHED_BATCH]
    real = to_float(torch.from_numpy(images.images[chosen.numpy()]))
    config = epoch.generator.config
    with torch.no_grad(), torch.random.fork_rng():
        torch.manual_seed(epoch.number)
        latents = torch.randn(PUBLISHED_BATCH, config.networks.latent_size)
        fake = epoch.generator.network("raw").train()(latents, None)
        discriminator = copy.deepcopy(epoch.state.discriminator).cpu().train()
        objective = OBJECTIVES[config.objective]
        _, metrics = DiscriminatorLoss(discriminator, objective, None)(real, fake, None)
        metrics |= generator_loss(discriminator, objective, fake, None)[1]
    return {f"batch_{name}": value.item() for name, value in metrics.items()}


def score(out: Path, images: ImageSet, scoring: ScoringConfig) -> None:
    """Score every generator against the train split; the classifier's accuracy on the test split goes with each row."""
    real, heldout = images.select("train"), images.select("test")
    classifier = open_classifier(out / "classifier.safetensors", real, scoring)
    accuracy = classifier.accuracy(torch.from_numpy(heldout.images), torch.from_numpy(heldout.labels))
    with torch.inference_mode():
        parts = torch.from_numpy(real.images).split(BATCH)
        reference = Moments.of_stream(classifier(part).features for part in parts)
    rows = []
    for path in sorted(out.glob("*.safetensors")):
        if path.stem == "classifier":
            continue
        generator = TrainedGenerator.load(path)
        for weights in generator.weights:
            batches = generator.sample_batches(scoring.samples, seed=scoring.seed, weights=weights)
            with torch.inference_mode():
                predictions = [classifier(batch) for batch in batches]
            fake = Moments.of_stream(prediction.features for prediction in predictions)
            mean, _ = inception_score(torch.cat([prediction.logits for prediction in predictions]), scoring.is_splits)
            row = {"generator": path.stem, "epoch": generator.training["epoch"], "weights": weights}
            row |= {"fid": frechet_distance(reference, fake), "is_mean": mean, "samples": scoring.samples}
            rows.append(row | {"extractor_heldout_accuracy": accuracy})
            pd.DataFrame(rows).to_csv(out / "scores.csv", index=False)
            print(rows[-1], flush=True)


def open_classifier(path: Path, images: ImageSet, scoring: ScoringConfig) -> Classifier:
    """The ResNet-18 of the scores, fitted on the first call."""
    if not path.exists():
        pixels, labels = torch.from_numpy(images.images), torch.from_numpy(images.labels)
        fit_classifier(pixels, labels, len(images.class_names), scoring.classifier).save(path)
    return Classifier.load(path, scoring.classifier.stem)


if __name__ == "__main__":
    main()
