"""Measure seconds and peak memory of scoring 10,000 images of 32x32 pixels against 10,000 others, with each extractor.

    python benchmarks/scoring_costs.py docs/results/scores/scoring_costs.csv [--images N] [--rounds N]

The images are noise, since the costs do not depend on what they show, and the classifiers have random weights. Each
measurement has a process of its own. The seconds of an extractor are those of both features and all scores, without the
start of the process; those of `kedro score` are of the whole command, the first with empty stores and the second with
the features of the reference in a store. `evaluate_folder` runs with the images as a dataset of its own. Peaks are
those of resident memory. Contenders alternate; medians are written. Linux only.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from PIL import Image

from catalog import KEDRO, copy_files, run_measured
from gan_pipelines.classifier import Classifier
from gan_pipelines.classifier.config import ClassifierConfig
from gan_pipelines.core.hashing import hash_images
from gan_pipelines.core.stores import KeyedStore
from gan_pipelines.images import ImageSet
from gan_pipelines.images.duplicates import make_thumbnails
from gan_pipelines.metrics import FeatureExtractor, ScoringConfig, open_pretrained, open_reference, score_images

SIZE = 32
CLASSES = 10
CLASSIFIERS = {
    "classifier, small stem": ClassifierConfig(network="resnet18", stem="small"),
    "classifier, 7x7 stem": ClassifierConfig(network="resnet18", stem="imagenet"),
}
EXTRACTORS = ("imagenet", *CLASSIFIERS)


def main() -> None:
    """Measure all contenders, or run one and print its seconds."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path)
    parser.add_argument("--images", type=int, default=10_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--only", choices=EXTRACTORS, help="run one contender in this process")
    options = parser.parse_args()
    if options.only:
        print(score(options.only, options.images))
        return
    rows = [row for _ in range(options.rounds) for row in measure_all(options.out, options.images)]
    table = pd.DataFrame(rows).groupby("contender", sort=False).median()
    table.assign(images=options.images, threads=torch.get_num_threads()).round(1).to_csv(options.out)
    print(table)


def measure_all(out: Path, count: int) -> list[dict[str, str | float]]:
    """Measure every contender once."""
    rows: list[dict[str, str | float]] = []
    for name in EXTRACTORS:
        _, peak, printed = run_measured(
            [sys.executable, __file__, str(out), f"--images={count}", f"--only={name}"], Path.cwd()
        )
        rows.append({"contender": name, "seconds": float(printed), "peak_mib": peak})
    with tempfile.TemporaryDirectory() as folder:
        project = copy_files(Path(folder, "project"))
        folders = [write_pictures(Path(folder, name), make_images(count, seed)) for seed, name in enumerate("ab")]
        for name in ("kedro score, first time", "kedro score, again"):
            seconds, peak, _ = run_measured([str(KEDRO), "score", *map(str, folders)], project)
            rows.append({"contender": name, "seconds": seconds, "peak_mib": peak})
        seconds, peak, _ = run_measured(evaluate_folder(*folders, count), project)
        rows.append({"contender": "evaluate_folder", "seconds": seconds, "peak_mib": peak})
    return rows


def evaluate_folder(made: Path, real: Path, count: int) -> list[str]:
    """The command that scores a folder against a dataset."""
    dataset = f"dataset.source=image_folder,dataset.path={real},dataset.folder_split=train"
    images = f"dataset.image_size={SIZE},dataset.channels=3,folder.path={made}"
    scoring = f"scoring.extractor=imagenet,scoring.samples={count}"
    return [str(KEDRO), "run", "--pipelines=evaluate_folder", f"--params={dataset},{images},{scoring}"]


def score(name: str, count: int) -> float:
    """Score images with an extractor; return the seconds."""
    scored, real = make_images(count, 0), make_images(count, 1)
    extractor = open_extractor(name)
    with tempfile.TemporaryDirectory() as folder:
        started = time.perf_counter()
        reference = open_reference(KeyedStore(Path(folder)), real, extractor)
        score_images(scored, "noise", extractor, reference, ScoringConfig(samples=count))
        return time.perf_counter() - started


def open_extractor(name: str) -> FeatureExtractor:
    """Open ``imagenet``, or make a classifier with random weights."""
    if name == "imagenet":
        return open_pretrained("imagenet")
    network = Classifier(CLASSES, CLASSIFIERS[name]).eval()
    return FeatureExtractor(network, {"name": name, "weights_hash": "random", "heldout_accuracy": 1.0})


def make_images(count: int, seed: int) -> ImageSet:
    """Draw images of noise, in one class."""
    images = np.random.default_rng(seed).integers(0, 256, (count, 3, SIZE, SIZE), np.uint8)
    names = tuple(map(str, range(count)))
    hashes, thumbnails = hash_images(images), make_thumbnails(images)
    return ImageSet(images, hashes, np.zeros(count, np.int64), ("all",), {"train": count}, "box", names, thumbnails)


def write_pictures(folder: Path, images: ImageSet) -> Path:
    """Write images as PNG files, all in one class; return their folder."""
    (folder / "all").mkdir(parents=True)
    for name, pixels in zip(images.names, images.images, strict=True):
        Image.fromarray(pixels.transpose(1, 2, 0)).save(folder / f"all/{name}.png")
    return folder


if __name__ == "__main__":
    main()
