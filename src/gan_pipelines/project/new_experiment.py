"""A new environment for a folder of pictures: suggested settings, and the files that hold them."""

from __future__ import annotations

import json
import re
from pathlib import Path
from textwrap import indent

from gan_pipelines.core.config import ConfigError, require
from gan_pipelines.core.files import atomic_write
from gan_pipelines.images import FolderReport

TRAINED_IMAGES = {"cpu": 120_000, "gpu": 2_000_000}
"""Training budget in real images shown to the discriminator. On a CPU it takes five minutes of one core at 32x32."""
FITTED_IMAGES = 100_000
"""Images over all epochs of fitting the feature extractor; four to five minutes of one core."""
RESERVED_NAMES = ("base", "local")
BATCH_SIZE = 32
LEARNING_RATE = "1.0e-3"
FRACTIONS = (0.1, 0.25, 0.5, 1)


def check_name(name: str, conf: Path) -> None:
    """Raise a `ConfigError` unless a new environment can have the name; it is used in paths and on the command line."""
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
    """Write the environment's folder, complete or not at all."""
    with atomic_write(conf / name) as folder:
        folder.mkdir()
        (folder / "globals.yml").write_text(f"experiment: {name}\n")
        (folder / "parameters.yml").write_text(parameters)


def choose_variant(report: FolderReport) -> str:
    """Choose the conditional DCGAN, or the unconditional one if there is only one class."""
    return "cdcgan" if len(report.train_counts) > 1 else "dcgan"


def suggest_parameters(report: FolderReport, path: str, has_gpu: bool) -> str:
    """Suggest settings with which a DCGAN learns something from the pictures in minutes, as YAML with comments.

    Args:
        report: report on the pictures.
        path: path of their folder, relative to the project.
        has_gpu: whether the machine has a GPU.
    """
    pictures, classes = sum(report.train_counts.values()), len(report.train_counts)
    epochs = _bounded(TRAINED_IMAGES["gpu" if has_gpu else "cpu"] / pictures, 1, 1000)
    samples = 1000 * _bounded(max(pictures, 10 * classes) / 1000, 1, 10)
    return f"""\
# yaml-language-server: $schema=../parameters.schema.json
# Settings that kedro experiment chose for {pictures:,} training pictures of {classes} class{"es" * (classes > 1)}.

dataset:
  source: image_folder
{_describe_folder(report, path)}
  train_splits: [train]
  # State which transforms keep the labels right; others are refused.
  label_preserving: {{horizontal_flip: false, rotation_degrees: 0}}

variants:
  {choose_variant(report)}:
    networks: {{width: {64 if has_gpu else 32}, discriminator_norm: none}}
    penalty: {{at: real, target_norm: 0, weight: 1}}   # R1 regularisation of the discriminator
    generator_optimizer: {{learning_rate: {LEARNING_RATE}, betas: [0, 0.9]}}
    discriminator_optimizer: {{learning_rate: {LEARNING_RATE}, betas: [0, 0.9]}}
    batch_size: {BATCH_SIZE}
    ema_decay: 0.99
    epochs: {epochs}   # minutes on {"a GPU" if has_gpu else "two cores"}; more epochs give better images

scoring:
{_describe_extractor(pictures, classes)}
  samples: {samples}   # about as many as training pictures; use more for published numbers
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
    lines = [f"path: {json.dumps(_escape_interpolation(path), ensure_ascii=False)}"]
    if dataset.folder_split is not None:
        lines += [
            f"folder_split: {dataset.folder_split}   # the folders are classes, not splits",
            f"test_fraction: {dataset.test_fraction}    # fraction of each class for the test split",
        ]
    if dataset.on_bad_image == "skip":
        lines.append(f"on_bad_image: skip    # {len(report.skipped)} files cannot be used")
    lines += [
        f"image_size: {dataset.image_size}   # largest power of two that nine of ten pictures reach",
        f"channels: {dataset.channels}      # {'grey' if dataset.channels == 1 else 'colour'}",
    ]
    return indent("\n".join(lines), "  ")


def _escape_interpolation(text: str) -> str:
    """Keep OmegaConf from taking ``${...}`` in a text for the name of another setting."""
    return re.sub(r"(\\*)\$\{", lambda found: 2 * found[1] + r"\${", text)


def _describe_extractor(pictures: int, classes: int) -> str:
    if classes == 1:
        return "  extractor: inception   # one class: no classifier can be fitted. The weights are downloaded"
    epochs = _bounded(FITTED_IMAGES / pictures, 3, 30)
    return f"  extractor: classifier\n  classifier: {{stem: imagenet, epochs: {epochs}}}"


def _describe_augmentation(image_size: int, pictures: int, classes: int) -> str:
    if classes == 1:
        return ""
    needed = max(4 * BATCH_SIZE, 5 * classes)
    fraction = next(fraction for fraction in FRACTIONS if fraction * pictures >= needed or fraction == 1)
    return f"""\
# augment_<variant> tests whether generated images help a classifier that is trained on a fraction of the real images.
# Each replicate trains its own generator, for as many steps as above.
augmentation:
  fractions: [{fraction}]   # the smallest with five pictures of each class and four batches
  replicates: 5
  ratios: [1, 3]
  synthetic: {{weights: ema}}
  transforms: {{crop_padding: {image_size // 16}}}
  classifier: {{epochs: 10, batch_size: {BATCH_SIZE}, learning_rates: [0.01, 0.05]}}

"""
