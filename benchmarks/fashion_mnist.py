"""Compare Fashion-MNIST trainings with published losses and accuracies, and objectives with each other.

    python benchmarks/fashion_mnist.py train OUT --data data/01_raw --variant mlp_gan --objective minimax --seed 1
    python benchmarks/fashion_mnist.py score OUT --data data/01_raw
    python benchmarks/fashion_mnist.py all OUT --data data/01_raw

``train`` writes a row for each epoch to OUT/<run>.csv and saves the generator every 20 epochs and at the end; an
interrupted run resumes if started again. ``score`` writes FID and IS of all generators in OUT, measured with the
project's ResNet-18, to OUT/scores.csv, and the rows of all epochs to OUT/history.csv. ``all`` makes every run of the
page and scores them.
"""

from __future__ import annotations

import argparse
import copy
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import pandas as pd
import torch
import yaml

from gan_pipelines.core.config import parse
from gan_pipelines.core.pixels import to_float
from gan_pipelines.core.stores import KeyedStore
from gan_pipelines.gan import CheckpointStore, Epoch, GanConfig, TrainedGenerator, train
from gan_pipelines.gan.config import PenaltyConfig
from gan_pipelines.gan.objectives import OBJECTIVES, DiscriminatorLoss, generator_loss
from gan_pipelines.gan.variants import parse_variant
from gan_pipelines.images import DatasetConfig, ImageSet, prepare_image_set
from gan_pipelines.metrics import (
    Moments,
    ScoringConfig,
    extract_features,
    frechet_distance,
    get_extractor,
    inception_score,
    open_reference,
)

PARAMETERS = Path(__file__).parents[1] / "conf/fashion_mnist/parameters.yml"
PUBLISHED_BATCH = 96
"""Batch size of the published losses and accuracies."""
COMPARED = ("minimax", "non_saturating", "least_squares", "wasserstein")
"""Objectives that are compared over three seeds."""


class Run(NamedTuple):
    """What a run of the page is made with."""

    variant: str
    objective: str = "non_saturating"
    seed: int = 0
    epochs: int = 20
    precision: str = "bf16"

    @property
    def name(self) -> str:
        """Name of its files."""
        return f"{self.variant}-{self.objective}-{self.seed}-{self.precision}"

    def configure(self, variant: GanConfig) -> GanConfig:
        """Return the settings of the variant with those of this run."""
        return replace(
            variant,
            objective=self.objective,
            penalties=(PenaltyConfig(),) if self.objective == "wasserstein" else (),
            seed=self.seed,
            epochs=self.epochs,
            precision=self.precision,
        )


RUNS = (
    Run("mlp_gan", epochs=40, precision="fp32"),
    Run("dcgan"),
    *(Run("mlp_gan", objective, seed) for objective in COMPARED for seed in range(3)),
)


def main() -> None:
    """Train one generator, or score all."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("command", choices=["train", "score", "all"])
    parser.add_argument("out", type=Path)
    parser.add_argument("--data", required=True, help="folder with torchvision's FashionMNIST")
    parser.add_argument("--variant", default="mlp_gan")
    parser.add_argument("--objective", default="non_saturating")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--epochs", type=int, default=20)
    parser.add_argument("--precision", default="fp32")
    parser.add_argument("--train-images", type=int, help="number of images, for a quick trial")
    options = parser.parse_args()

    parameters = yaml.safe_load(PARAMETERS.read_text())
    dataset = parse(DatasetConfig, parameters["dataset"] | {"path": options.data, "download": False}, "dataset")
    images = prepare_image_set(KeyedStore(options.out / "image_sets"), dataset)
    if options.command != "score":
        given = Run(options.variant, options.objective, options.seed, options.epochs, options.precision)
        for run in RUNS if options.command == "all" else [given]:
            variant = parse_variant(run.variant, parameters["variants"][run.variant])
            train_one(options.out, run, run.configure(variant), images.select("train"), options.train_images)
    if options.command != "train":
        score(options.out, images, parse(ScoringConfig, parameters["scoring"], "scoring"))


def train_one(out: Path, run: Run, config: GanConfig, images: ImageSet, count: int | None) -> None:
    """Train, write a row after each epoch, and save the generator."""
    rows = out / f"{run.name}.csv"
    checkpoints = CheckpointStore(out / "checkpoints", keep=1, interval_seconds=120)
    for epoch in train(config, images.images[:count], checkpoints=checkpoints, samples_every=5):
        row = {
            "variant": run.variant,
            "objective": config.objective,
            "seed": config.seed,
            "precision": config.precision,
        }
        row |= epoch.history[-1] | judge_batch(epoch, images)
        before = pd.read_csv(rows) if rows.exists() else pd.DataFrame(columns=list(row))
        before = before[before["epoch"] < epoch.number]  # a resumed run repeats some epochs
        pd.concat([before, pd.DataFrame([row])] if len(before) else [pd.DataFrame([row])]).to_csv(rows, index=False)
        if epoch.number % 20 == 0 or epoch.number == run.epochs:
            epoch.generator.save(out / f"{run.name}-{epoch.number}.safetensors")


def judge_batch(epoch: Epoch, images: ImageSet) -> dict[str, float]:
    """Measure losses and accuracies on one batch, with its size and the networks' training mode as published."""
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
        _, metrics = DiscriminatorLoss(discriminator, objective, ())(real, fake, None)
        metrics |= generator_loss(discriminator, objective, real, fake, None)[1]
    return {f"batch_{name}": value.item() for name, value in metrics.items()}


def score(out: Path, images: ImageSet, scoring: ScoringConfig) -> None:
    """Score every generator against the train split; each row has the held-out accuracy of the classifier."""
    histories = [pd.read_csv(path) for path in sorted(out.glob("*-*.csv"))]
    pd.concat(histories).to_csv(out / "history.csv", index=False)
    extractor = get_extractor(KeyedStore(out / "extractors"), images, scoring, "auto")
    reference = open_reference(KeyedStore(out / "references"), images.select("train"), extractor, "cpu").moments
    rows = []
    for path in sorted(out.glob("*.safetensors")):
        generator = TrainedGenerator.load(path)
        for weights in generator.weights:
            batches = generator.sample_batches(scoring.samples, seed=scoring.seed, weights=weights)
            predictions = list(extract_features(extractor, batches, "generated"))
            fake = Moments.of_stream(prediction.features for prediction in predictions)
            mean, _ = inception_score(torch.cat([prediction.logits for prediction in predictions]), scoring.is_splits)
            config = generator.config
            row = {"variant": path.stem.split("-")[0], "objective": config.objective, "seed": config.seed}
            row |= {"precision": config.precision, "epoch": generator.training["epoch"], "weights": weights}
            row |= {"fid": frechet_distance(reference, fake), "is_mean": mean, "samples": scoring.samples}
            rows.append(row | {"extractor_heldout_accuracy": extractor.provenance["heldout_accuracy"]})
            pd.DataFrame(rows).to_csv(out / "scores.csv", index=False)
            print(rows[-1], flush=True)


if __name__ == "__main__":
    main()
