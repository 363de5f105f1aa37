"""Compare the images of exported generators with those of PyTorch, for every variant.

    python benchmarks/serving_parity.py ROWS

Each variant is trained for one epoch on the digits, exported, and asked for 1,000 images of each set of weights; both
get the same latents and labels. ROWS, a CSV, is written anew and gets a row for each variant and set of weights.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pandas as pd
import torch

from gan_pipelines.core.config import parse
from gan_pipelines.core.stores import KeyedStore
from gan_pipelines.gan import VARIANTS, TrainedGenerator, train
from gan_pipelines.gan.sampling import classes_in_turn
from gan_pipelines.gan.variants import parse_variant
from gan_pipelines.images import DatasetConfig, ImageSet, prepare_image_set
from gan_pipelines.serving import ExportConfig, export_generator
from scores import read_parameters

COUNT = 1_000


def main() -> None:
    """Compare all variants."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("rows", type=Path)
    options = parser.parse_args()
    parameters = read_parameters("base", "", False)
    with TemporaryDirectory() as scratch:
        dataset = parse(DatasetConfig, parameters["dataset"], "dataset")
        images = prepare_image_set(KeyedStore(Path(scratch)), dataset).select("train")
        rows: list[dict[str, Any]] = []
        for variant in VARIANTS:
            rows += compare(variant, train_shortly(variant, parameters["variants"][variant], images))
            print(rows[-1], flush=True)
            pd.DataFrame(rows).to_csv(options.rows, index=False)


def train_shortly(variant: str, settings: dict[str, Any] | None, images: ImageSet) -> TrainedGenerator:
    """Train a variant for an epoch."""
    config = replace(parse_variant(variant, settings), epochs=1)
    (epoch,) = train(config, images.images, images.labels, class_names=images.class_names)
    return epoch.generator


def compare(variant: str, generator: TrainedGenerator) -> Iterator[dict[str, Any]]:
    """Compare the images of both sets of weights."""
    exported = export_generator(generator, [], ExportConfig(), "digits")
    draws = torch.Generator().manual_seed(0)
    latents = torch.randn(COUNT, generator.config.networks.latent_size, generator=draws)
    labels = classes_in_turn(COUNT, len(generator.class_names))
    for weights, network in exported.networks.items():
        made, expected = (
            torch.cat([*each.decode(latents, labels, weights=weights)]).numpy().astype(int)
            for each in (exported, generator)
        )
        differences = np.abs(made - expected)
        yield {
            "variant": variant,
            "weights": weights,
            "images": COUNT,
            "largest_difference": differences.max(),
            "share_of_values": (differences > 0).mean(),
            "contrast": expected.std(),
            "bytes": len(network),
        }


if __name__ == "__main__":
    main()
