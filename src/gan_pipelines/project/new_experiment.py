"""An environment of one's own: settings that fit a folder of pictures, and the files that state them."""

from __future__ import annotations

import json
import re
from pathlib import Path
from textwrap import indent

from gan_pipelines.core.config import ConfigError, require
from gan_pipelines.core.files import atomic_write
from gan_pipelines.images import FolderReport

TRAINED_IMAGES = {"cpu": 120_000, "gpu": 2_000_000}
"""That the discriminator sees: at 32x32 about five minutes of one core, where it computes in bf16."""
FITTED_IMAGES = 100_000
"""That the classifier whose features are used is fitted on, all epochs together: four to five minutes of one core."""
RESERVED_NAMES = ("base", "local")
BATCH_SIZE = 32
LEARNING_RATE = "1.0e-3"
FRACTIONS = (0.1, 0.25, 0.5, 1)


def check_name(name: str, conf: Path) -> None:
    """Raise a `ConfigError` unless a new environment can have a name: it stands in paths and on the command line."""
    allowed = "letters, digits and _, beginning with a letter"
    require(re.fullmatch("[A-Za-z][A-Za-z0-9_]*", name) is not None, "the experiment's name", name, allowed)
    require(
        name not in RESERVED_NAMES,
        "the experiment's name",
        name,
        f"another than {' and '.join(RESERVED_NAMES)}, which Kedro uses",
    )
    if (conf / name).exists():
        raise ConfigError(f"There is an experiment {name} already; choose another name, or remove {conf.name}/{name}.")


def write_experiment(conf: Path, name: str, parameters: str) -> None:
    """Write the environment's folder, whole or not at all."""
    with atomic_write(conf / name) as folder:
        folder.mkdir()
        (folder / "globals.yml").write_text(f"experiment: {name}\n")
        (folder / "parameters.yml").write_text(parameters)


def choose_variant(report: FolderReport) -> str:
    """The conditional DCGAN, or the one that asks for no class if there is but one."""
    return "cdcgan" if len(report.train_counts) > 1 else "dcgan"


def suggest_parameters(report: FolderReport, path: str, has_gpu: bool) -> str:
    """Settings with which a DCGAN comes to something on the pictures in minutes, as YAML that gives the reasons.

    Args:
        report: of the pictures.
        path: of their folder, as it is to be read from the project's folder.
        has_gpu: whether there is one to train on.
    """
    pictures, classes = sum(report.train_counts.values()), len(report.train_counts)
    epochs = _bounded(TRAINED_IMAGES["gpu" if has_gpu else "cpu"] / pictures, 1, 1000)
    samples = 1000 * _bounded(max(pictures, 10 * classes) / 1000, 1, 10)
    return f"""\
# {pictures:,} training pictures of {classes} class{"es" * (classes > 1)}, and what kedro experiment chose for them.

dataset:
  source: image_folder
{_describe_folder(report, path)}
  train_splits: [train]
  # What leaves a label right, a picture mirrored or turned, is for you to say; augmentation does nothing else.
  label_preserving: {{horizontal_flip: false, rotation_degrees: 0}}

variants:
  {choose_variant(report)}:
    networks: {{width: {64 if has_gpu else 32}, discriminator_norm: none}}
    penalty: {{at: real, target_norm: 0, weight: 1}}   # R1 holds the discriminator back
    generator_optimizer: {{learning_rate: {LEARNING_RATE}, betas: [0, 0.9]}}
    discriminator_optimizer: {{learning_rate: {LEARNING_RATE}, betas: [0, 0.9]}}
    batch_size: {BATCH_SIZE}
    ema_decay: 0.99
    epochs: {epochs}   # minutes on {"a GPU" if has_gpu else "two cores"}; more give better images

scoring:
{_describe_extractor(pictures, classes)}
  samples: {samples}   # about as many as training pictures; more for numbers to publish
  reference_split: train
  seed: 0
  during_training: {{samples: {min(samples, 2000)}, every_epochs: {max(1, epochs // 5)}, weights: ema}}

{_describe_augmentation(report.dataset.image_size, pictures, classes)}\
reporting:
  grid_every_epochs: {max(1, epochs // 10)}
"""


def _bounded(value: float, lowest: int, highest: int) -> int:
    return min(highest, max(lowest, round(value)))


def _describe_folder(report: FolderReport, path: str) -> str:
    dataset = report.dataset
    lines = [f"path: {json.dumps(path, ensure_ascii=False)}"]
    if dataset.folder_split is not None:
        lines += [
            f"folder_split: {dataset.folder_split}   # its folders are classes, not splits:",
            f"test_fraction: {dataset.test_fraction}    # so much of each class is held out",
        ]
    if dataset.on_bad_image == "skip":
        lines.append(f"on_bad_image: skip    # {len(report.skipped)} files cannot be used")
    lines += [
        f"image_size: {dataset.image_size}   # a power of two that nine of ten pictures reach",
        f"channels: {dataset.channels}      # {'grey' if dataset.channels == 1 else 'colour'}",
    ]
    return indent("\n".join(lines), "  ")


def _describe_extractor(pictures: int, classes: int) -> str:
    if classes == 1:
        return "  extractor: inception   # no classifier can be fitted on one class; its weights come from the net"
    epochs = _bounded(FITTED_IMAGES / pictures, 3, 30)
    return f"  extractor: classifier\n  classifier: {{stem: imagenet, epochs: {epochs}}}"


def _describe_augmentation(image_size: int, pictures: int, classes: int) -> str:
    if classes == 1:
        return ""
    needed = max(4 * BATCH_SIZE, 5 * classes)
    fraction = next(fraction for fraction in FRACTIONS if fraction * pictures >= needed or fraction == 1)
    return f"""\
# augment_<variant> asks whether generated images help a classifier that has so many of the real ones. Each replicate
# trains a generator of its own, for as long as the one above.
augmentation:
  fractions: [{fraction}]   # the smallest with five pictures a class
  replicates: 5
  ratios: [1, 3]
  synthetic: {{weights: ema}}
  transforms: {{crop_padding: {image_size // 16}}}
  classifier: {{epochs: 10, batch_size: {BATCH_SIZE}, learning_rate: 0.02}}

"""
