"""Score real pictures of known effect as if another program had made them, and ask whether they help a classifier.

    python benchmarks/made_elsewhere.py docs/results/augmentation --data FOLDER

FOLDER has torchvision's files of Fashion-MNIST. Its first 10,000 training images, at 16x16, are the training images of
the experiment, and its first 2,000 test images the test images. For each of `PLANTS` a copy of the project runs
`evaluate_folder` and `augment_folder`. Writes made_elsewhere_scores.csv and made_elsewhere_verdicts.csv.
"""

from __future__ import annotations

import argparse
import json
import subprocess
from collections.abc import Callable, Hashable, Iterable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pandas as pd
from PIL import Image
from torchvision.datasets import FashionMNIST

from catalog import KEDRO, copy_files, find_newest
from gan_pipelines.core.files import folder_name

TRAIN, TEST, PICTURES, LEAKED = 10_000, 2_000, 6_000, 300
"""Numbers of real images, of pictures in each folder, and of test images that are slipped in."""
METRICS = ("fid", "kid", "precision", "recall", "authenticity", "heldout_authenticity", "copies")
PARAMETERS = """\
dataset:
  source: image_folder
  path: data/real
  image_size: 16
  channels: 1
  label_preserving: {horizontal_flip: true, rotation_degrees: 15}
scoring:
  extractor: classifier
  classifier: {network: resnet8, epochs: 10}
  samples: 5000
augmentation:
  fractions: [0.05]
  replicates: 5
  ratios: [2]
  transforms: {rotation_degrees: 0, crop_padding: 0}
  classifier: {network: resnet8, epochs: 6, batch_size: 32, learning_rates: [0.05]}
"""

Labelled = tuple[np.ndarray, np.ndarray]
"""Pictures (N, H, W) uint8 and their labels (N,)."""


def take(data: FashionMNIST, rows: slice) -> Labelled:
    """Some images of a split, with their labels."""
    return data.data[rows].numpy(), data.targets[rows].numpy()


def unused(train: FashionMNIST, _: FashionMNIST) -> Labelled:
    """A tenth of the training images, none of which the experiment has."""
    return take(train, slice(TRAIN, TRAIN + PICTURES))


def noise(train: FashionMNIST, _: FashionMNIST) -> Labelled:
    """Random pixels under the labels of these images."""
    pictures, labels = take(train, slice(TRAIN, TRAIN + PICTURES))
    return np.random.default_rng(0).integers(0, 256, pictures.shape, dtype=np.uint8), labels


def copies(train: FashionMNIST, _: FashionMNIST) -> Labelled:
    """Training images of the experiment again."""
    return take(train, slice(PICTURES))


def leaky(train: FashionMNIST, test: FashionMNIST) -> Labelled:
    """The unused images, with test images of the experiment slipped in."""
    (pictures, labels), (leaked, leaked_labels) = unused(train, test), take(test, slice(LEAKED))
    return np.concatenate([leaked, pictures[LEAKED:]]), np.concatenate([leaked_labels, labels[LEAKED:]])


PLANTS: tuple[Callable[[FashionMNIST, FashionMNIST], Labelled], ...] = (unused, noise, copies, leaky)


def main() -> None:
    """Make the folders, run both pipelines on each, and write the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--data", type=Path, required=True)
    options = parser.parse_args()
    train, test = (FashionMNIST(options.data, train=is_train) for is_train in (True, False))
    scores, verdicts = [], []
    with TemporaryDirectory() as work:
        project = prepare_project(Path(work, "project"), train, test)
        for plant in PLANTS:
            name = plant.__name__
            write_pictures(project / "data/made" / name, train.classes, *plant(train, test))
            for pipeline in ("evaluate_folder", "augment_folder"):
                asked = ["--env=elsewhere", f"--pipelines={pipeline}", f"--params=folder.path=data/made/{name}"]
                subprocess.run([KEDRO, "run", *asked], cwd=project, check=True)
            scores.append({"pictures": name, **read_scores(project)})
            verdicts += [{"pictures": name, **row} for row in read_verdicts(project)]
            pd.DataFrame(scores).to_csv(options.folder / "made_elsewhere_scores.csv", index=False)
            pd.DataFrame(verdicts).to_csv(options.folder / "made_elsewhere_verdicts.csv", index=False)


def prepare_project(project: Path, train: FashionMNIST, test: FashionMNIST) -> Path:
    """Copy the project, with an environment ``elsewhere`` and the real images."""
    copy_files(project)
    environment = project / "conf/elsewhere"
    environment.mkdir()
    (environment / "globals.yml").write_text("experiment: elsewhere\n")
    (environment / "parameters.yml").write_text(PARAMETERS)
    for split, (pictures, labels) in {"train": take(train, slice(TRAIN)), "test": take(test, slice(TEST))}.items():
        write_pictures(project / "data/real" / split, train.classes, pictures, labels)
    return project


def write_pictures(folder: Path, classes: list[str], pictures: np.ndarray, labels: Iterable[int]) -> None:
    """Write PNG files into a folder for each class."""
    for number, (picture, label) in enumerate(zip(pictures, labels, strict=True)):
        place = folder / folder_name(classes[label])
        place.mkdir(parents=True, exist_ok=True)
        Image.fromarray(picture).save(place / f"{number:05}.png")


def read_scores(project: Path) -> dict[str, Any]:
    """Scores of the newest run, and whether it warns of copies."""
    records = json.loads(find_newest(project, "08_reporting/elsewhere/folder/scores.json").read_text())
    values = {record["metric"]: record["value"] for record in records if "class" not in record["comparability"]}
    is_flagged = any(flag.startswith("Samples repeat") for record in records for flag in record["flags"])
    return {
        "samples": records[0]["comparability"]["samples"],
        **{metric: values[metric] for metric in METRICS},
        "is_flagged": is_flagged,
    }


def read_verdicts(project: Path) -> list[dict[Hashable, Any]]:
    """Primary comparisons of the newest run, with what was found in the pictures."""
    reports = "08_reporting/elsewhere/folder"
    found = json.loads(find_newest(project, f"{reports}/near_copies.json").read_text())
    leaks = [copy for copy in found["near_copies"] if copy["split"] == "test"]
    table = pd.read_csv(find_newest(project, f"{reports}/comparisons.csv")).query("is_primary")
    columns = ["baseline", "arm", "difference", "interval_low", "interval_high", "verdict"]
    counts = {
        **{name: found[name] for name in ("left_out", "left_out_share", "real_left_out_share", "train_share")},
        "train_copies": found["train_copies"],
        "test_copies": sum(copy["correlation"] == 1 for copy in leaks),
    }
    return [{**row, **counts} for row in table[columns].to_dict("records")]


if __name__ == "__main__":
    main()
