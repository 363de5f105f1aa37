"""Measure the augmentation experiment with images of known effect in the place of generated ones.

    python benchmarks/planted_truths.py docs/results/augmentation

Runs the experiment of conf/base for each of `PLANTS`: with all arms, its classifier, its learning rates and both
verdicts. Writes FOLDER/planted_arm_scores.csv and FOLDER/planted_comparisons.csv, the tables of the experiment after a
column ``plant``. It takes some minutes.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pandas as pd
import torch
from omegaconf import OmegaConf
from torch import Tensor

from gan_pipelines import execution
from gan_pipelines.augmentation import (
    ArmFit,
    AugmentationConfig,
    Draw,
    GeneratorSource,
    ImageSplits,
    Replicate,
    draw_images,
    list_fits,
    make_synthetic_set,
    separate_images,
    tabulate_comparisons,
    tabulate_fits,
)
from gan_pipelines.core.config import parse
from gan_pipelines.core.stores import KeyedStore
from gan_pipelines.images import DatasetConfig, ImageSet, prepare_image_set

BASE = Path(__file__).parents[1] / "conf/base/parameters.yml"

Make = Callable[[Tensor, torch.Generator], Tensor]
"""Makes images (N, C, H, W) uint8 of the classes (N,) that are asked for."""


@dataclass
class PlantedGenerator:
    """Stands in for a generator: ``make`` decides about its images, ``weights`` are its identity."""

    make: Make
    is_conditional: bool = True
    weights: Mapping[str, Mapping[str, Tensor]] = field(
        default_factory=lambda: {"ema": {"w": torch.zeros(2)}, "raw": {"w": torch.ones(2)}}
    )
    training: Mapping[str, Any] = field(default_factory=dict)

    def sample(self, count: int, *, seed: int, labels: Tensor, **_: object) -> Tensor:
        """Make images of the classes ``labels``."""
        return self.make(labels, torch.Generator().manual_seed(seed))


def held_back(splits: ImageSplits, draw: Draw) -> Make:
    """Real images that the replicate has not drawn, of the class that is asked for."""
    is_drawn = np.isin(splits.train.names, draw.images.names)
    images, labels = torch.from_numpy(splits.train.images[~is_drawn]), splits.train.labels[~is_drawn]

    def make(wanted: Tensor, random: torch.Generator) -> Tensor:
        members = {label: np.flatnonzero(labels == label) for label in wanted.unique().tolist()}
        draws = torch.randint(0, 2**31, (len(wanted),), generator=random).tolist()
        rows = [
            members[label][number % len(members[label])] for label, number in zip(wanted.tolist(), draws, strict=True)
        ]
        return images[rows]

    return make


def wrong_labels(splits: ImageSplits, draw: Draw) -> Make:
    """Held-back images of any class but the one that is asked for."""
    right, classes = held_back(splits, draw), len(draw.images.class_names)

    def make(wanted: Tensor, random: torch.Generator) -> Tensor:
        return right((wanted + torch.randint(1, classes, wanted.shape, generator=random)) % classes, random)

    return make


def noise(_: ImageSplits, draw: Draw) -> Make:
    """Random pixels, whatever class is asked for."""
    shape = draw.images.images.shape[1:]

    def make(wanted: Tensor, random: torch.Generator) -> Tensor:
        return torch.randint(0, 256, (len(wanted), *shape), generator=random).to(torch.uint8)

    return make


PLANTS = (held_back, wrong_labels, noise)


def main() -> None:
    """Run the experiment with each plant and write the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    folder = parser.parse_args().folder
    parameters: Any = OmegaConf.to_container(OmegaConf.load(BASE), resolve=False)
    config = parse(AugmentationConfig, parameters["augmentation"], "augmentation")
    with TemporaryDirectory() as work:
        dataset = parse(DatasetConfig, parameters["dataset"], "dataset")
        images = prepare_image_set(KeyedStore(Path(work) / "image_sets"), dataset)
        for name, table in measure(
            images, config, KeyedStore(Path(work) / "fits"), execution.ExecutionConfig()
        ).items():
            table.to_csv(folder / f"planted_{name}.csv", index=False)


def measure(
    images: ImageSet, config: AugmentationConfig, store: KeyedStore, engine: execution.ExecutionConfig
) -> dict[str, pd.DataFrame]:
    """Run the experiment with each plant.

    Args:
        images: real images.
        config: settings of the experiment.
        store: store of synthetic images and fits. All plants share the fits of real images alone.
        engine: where the classifiers are fitted.

    Returns:
        the tables ``arm_scores`` and ``comparisons`` of the experiment, with the name of the plant as first column.
    """
    splits = separate_images(images)
    scores, comparisons = [], []
    for plant in PLANTS:
        fits = [*execution.run_all(list_all_fits(splits, config, store, plant), engine)]
        scores.append(tabulate_fits(fits, images.class_names).assign(plant=plant.__name__))
        comparisons.append(tabulate_comparisons(fits, config).assign(plant=plant.__name__))
    tables = {"arm_scores": pd.concat(scores), "comparisons": pd.concat(comparisons)}
    return {name: table[["plant", *table.columns.drop("plant")]] for name, table in tables.items()}


def list_all_fits(
    splits: ImageSplits, config: AugmentationConfig, store: KeyedStore, plant: Callable[[ImageSplits, Draw], Make]
) -> list[Callable[[], ArmFit]]:
    """List the fits of all arms and replicates, with the images of a plant as generated ones."""
    identity = torch.frombuffer(bytearray(plant.__name__.encode()), dtype=torch.uint8)
    weights = {kind: {"w": identity} for kind in ("ema", "raw")}
    tasks: list[Callable[[], ArmFit]] = []
    for draw in draw_images(splits, config):
        generator: Any = PlantedGenerator(plant(splits, draw), weights=weights)
        replicate = Replicate(draw, GeneratorSource(generator))
        synthetic = make_synthetic_set(store, replicate, config)
        tasks += list_fits(store, splits.test, replicate, synthetic, config)
    return tasks


if __name__ == "__main__":
    main()
