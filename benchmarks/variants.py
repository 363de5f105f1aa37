"""Train every variant on the digits with three seeds; write scores, sizes and samples.

    python benchmarks/variants.py docs/results/variants

Writes scores of real images to OUT/floors.csv, a row for each training and set of weights to OUT/scores.csv, and
samples of the first seed to OUT/<variant>.png. Each training has one core. With ``--variants`` the rows of the others
stay.
"""

from __future__ import annotations

import argparse
import os
import time
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from functools import cache
from itertools import product
from multiprocessing import get_context
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

import pandas as pd
import torch
import yaml
from PIL import Image

from gan_pipelines.core.config import parse
from gan_pipelines.core.stores import KeyedStore
from gan_pipelines.figures import make_image_grid
from gan_pipelines.gan import VARIANTS, ImageShape, TrainedGenerator, summarize_networks, train
from gan_pipelines.gan.variants import parse_variant
from gan_pipelines.images import DatasetConfig, ImageSet, prepare_image_set
from gan_pipelines.metrics import (
    FeatureExtractor,
    Reference,
    ScoringConfig,
    get_extractor,
    open_reference,
    score_generator,
)
from scores import Rows, measure_floors

PARAMETERS: dict[str, Any] = yaml.safe_load((Path(__file__).parents[1] / "conf/base/parameters.yml").read_text())
SEEDS = range(3)
METRICS = ["fid", "is", "precision", "recall", "copies"]
SAMPLES = 64


def main() -> None:
    """Train the variants, and replace their rows."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path)
    parser.add_argument("--variants", nargs="+", default=[*VARIANTS], choices=[*VARIANTS])
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory() as scratch:
        scorer = open_scorer(scratch)  # fits the classifier, once
        with ProcessPoolExecutor(os.cpu_count(), get_context("spawn"), torch.set_num_threads, (1,)) as pool:
            trainings = product([scratch], [options.out], options.variants, SEEDS)
            rows = [row for found in pool.map(measure, *zip(*trainings, strict=True)) for row in found]
        floors = Rows(options.out / "floors.csv", dict(scorer.extractor.provenance))
        measure_floors(floors, scorer.images, scorer.extractor, scorer.scoring, len(scorer.images))
    path, measured = options.out / "scores.csv", pd.DataFrame(rows)
    if path.exists():
        others = pd.read_csv(path).query("variant not in @options.variants")
        measured = pd.concat([others, measured]).sort_values("variant", key=lambda names: names.map([*VARIANTS].index))
    measured.to_csv(path, index=False)


class Scorer(NamedTuple):
    """What scores need."""

    images: ImageSet
    extractor: FeatureExtractor
    reference: Reference
    scoring: ScoringConfig


@cache
def open_scorer(scratch: str) -> Scorer:
    """Open the digits, the feature extractor, and the features of the train split."""
    dataset = parse(DatasetConfig, PARAMETERS["dataset"], "dataset")
    scoring = parse(ScoringConfig, PARAMETERS["scoring"], "scoring")
    images = prepare_image_set(KeyedStore(Path(scratch, "image_sets")), dataset)
    extractor = get_extractor(KeyedStore(Path(scratch, "extractors")), images, scoring, "cpu")
    references, train_split = KeyedStore(Path(scratch, "references")), images.select(*scoring.reference_split)
    reference = open_reference(references, train_split, extractor, "cpu", heldout=[images.select("test")])
    return Scorer(images, extractor, reference, scoring)


def measure(scratch: str, out: Path, variant: str, seed: int) -> list[dict[str, Any]]:
    """Train one generator; return a row for each set of weights."""
    images = open_scorer(scratch).reference.images
    config = replace(parse_variant(variant, PARAMETERS["variants"][variant]), seed=seed)
    started = time.process_time()
    *_, last = train(config, images.images, labels=images.labels, class_names=images.class_names, device="cpu")
    layers = summarize_networks(config, ImageShape(*images.images.shape[1:]), len(images.class_names))
    common = {
        "variant": variant,
        "seed": seed,
        "conditional": last.generator.is_conditional,
        "epochs": config.epochs,
        "processor_seconds": round(time.process_time() - started, 1),
    }
    totals = {f"{layer.network}_parameters": layer.parameters for layer in layers if layer.layer == "total"}
    if seed == SEEDS[0]:
        Image.fromarray(make_image_grid(last.generator.sample(SAMPLES, seed=0))).save(out / f"{variant}.png")
    rows = [common | totals | row for row in score(scratch, last.generator)]
    print(*rows, sep="\n", flush=True)
    return rows


def score(scratch: str, generator: TrainedGenerator) -> list[dict[str, Any]]:
    """Score both sets of weights: with many samples, and with as many as there are held-out images."""
    _, extractor, reference, scoring = open_scorer(scratch)
    rows: dict[str, dict[str, Any]] = {weights: {"weights": weights} for weights in generator.weights}
    for suffix, samples in {"": scoring.samples, "_heldout_count": len(reference.heldout.images)}.items():
        for each in score_generator(generator, extractor, reference, replace(scoring, samples=samples), "cpu"):
            if each.metric in METRICS:
                rows[each.identity["weights"]][f"{each.metric}{suffix}"] = each.value
    return [*rows.values()]


if __name__ == "__main__":
    main()
