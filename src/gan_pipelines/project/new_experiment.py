"""A new environment for a folder of pictures: suggested settings, and the files that hold them."""

from __future__ import annotations

import json
import math
import re
from pathlib import Path
from textwrap import indent

import yaml

from gan_pipelines.core.config import ConfigError, require
from gan_pipelines.core.errors import printable
from gan_pipelines.core.files import UNFINISHED, atomic_write
from gan_pipelines.images import DatasetUnusable, FolderReport
from gan_pipelines.images.label_files import SPLIT_COLUMN
from gan_pipelines.metrics.labels import MIN_CLASS_IMAGES
from gan_pipelines.project.config_loader import check_file

TRAINED_IMAGES = {"cpu": 120_000, "gpu": 2_000_000}
"""Training budget in real images shown to the discriminator. On a CPU it takes six minutes of one core at 32x32."""
MANY_EPOCHS = 300
"""Epochs from which DiffAugment is suggested. With 500 pictures, it changes little after so many, and helps after twice
as many (docs/results/quality.md)."""
FITTED_IMAGES = 100_000
"""Images over all epochs of fitting the feature extractor; four to five minutes of one core."""
IMAGENET_FEATURES = 1280
"""Number of features of the extractor ``imagenet``."""
RESERVED_NAMES = ("base", "local")
BATCH_SIZE = 32
MAX_SAMPLES = 50_000
"""Maximum number of samples for scores; more than 10,000 are taken only for the rarest class."""
RESULTS = ("data/05_model_input", "data/06_models", "data/07_model_output", "data/08_reporting", "mlruns/artifacts")
"""Folders of the project that hold a folder for each experiment."""
PAGE = "data/08_reporting/{name}/dataset.html"
"""Page about the pictures, which a new experiment replaces."""
LEARNING_RATE = "4.0e-4"
UNPRINTABLE = r"[\x7f-\x9f\u2028\u2029\ufeff\ufffe\uffff]"
"""Characters that JSON allows in a text, and YAML does not."""
FRACTIONS = (0.1, 0.25, 0.5, 1)
REPLICATES = 5


def check_name(name: str, conf: Path) -> None:
    """Raise a `ConfigError` unless a new environment can have the name; it is used in paths and on the command line.

    No other environment may have it as its experiment, and no results of an earlier one may be left.

    Args:
        name: name of the environment and of the experiment.
        conf: folder ``conf`` of the project.
    """
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
    for path in sorted(conf.glob("*/globals.yml")):
        if not _is_finished(path.parent):
            continue
        content = path.read_bytes()
        check_file(f"{conf.name}/{path.parent.name}/{path.name}", content)
        if (yaml.safe_load(content) or {}).get("experiment") == name:
            raise ConfigError(f"{conf.name}/{path.parent.name} is the experiment {name} already; choose another name.")
    left = [folder for folder in RESULTS if _holds_results(conf.parent / folder / name)]
    if left:
        raise ConfigError(
            f"Results of an earlier experiment {name} would mix with new ones; choose another name, or remove "
            f"{' and '.join(f'{folder}/{name}' for folder in left)}."
        )


def _holds_results(folder: Path) -> bool:
    """Whether there is a folder with anything but the page of `kedro experiment` and what a kill left half written."""
    return folder.exists() and any(file.name != Path(PAGE).name and _is_finished(file) for file in folder.iterdir())


def _is_finished(path: Path) -> bool:
    return not path.name.startswith(UNFINISHED)


def check_path(folder: Path) -> None:
    """Raise a `ConfigError` if the path of a folder cannot be written into settings, which are UTF-8."""
    if printable(str(folder)) != str(folder):
        raise ConfigError(f"The path {folder} is not UTF-8; rename the folder.")


def write_experiment(conf: Path, name: str, parameters: str) -> None:
    """Write the environment's folder, complete or not at all."""
    with atomic_write(conf / name) as folder:
        folder.mkdir()
        (folder / "globals.yml").write_text(f'experiment: "{name}"\n')  # on, yes and null are no texts in YAML
        (folder / "parameters.yml").write_text(parameters, encoding="utf-8")


def choose_variant(report: FolderReport) -> str:
    """Choose ACGAN, which learns the most in few minutes, or the unconditional DCGAN if there is only one class."""
    return "acgan" if len(report.train_counts) > 1 else "dcgan"


def suggest_parameters(report: FolderReport, path: str, has_gpu: bool, has_imagenet: bool = False) -> str:
    """Suggest settings with which a GAN learns something from the pictures in minutes, as YAML with comments.

    Args:
        report: report on the pictures.
        path: path of their folder, relative to the project.
        has_gpu: whether the machine has a GPU.
        has_imagenet: whether the extra ``imagenet`` is installed.

    Raises:
        DatasetUnusable: if no settings can score a generator of these pictures.
    """
    _require_scorable(report)
    pictures, classes = sum(report.train_counts.values()), len(report.train_counts)
    epochs = _bounded(TRAINED_IMAGES["gpu" if has_gpu else "cpu"] / pictures, 1, 1000)
    samples = _count_samples(report)
    # The augmentation experiment makes a validation split of up to half of the pictures.
    batch_size = BATCH_SIZE if pictures >= 2 * BATCH_SIZE else BATCH_SIZE // 2
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
    networks: {{width: {64 if has_gpu else 32}}}
    generator_optimizer: {{learning_rate: {LEARNING_RATE}}}
    discriminator_optimizer: {{learning_rate: {LEARNING_RATE}}}
    batch_size: {batch_size}
{_describe_transforms(epochs)}\
    epochs: {epochs}   # minutes on {"a GPU" if has_gpu else "two cores"}; more epochs give better images

scoring:
{_describe_extractor(report, has_imagenet)}
  samples: {samples}   # about as many as training pictures; use more for published numbers
  reference_split: train
  seed: 0
  during_training: {{samples: {min(samples, 2000)}, every_epochs: {max(1, epochs // 5)}, weights: ema}}

{_describe_augmentation(report.dataset.image_size, pictures, classes, has_imagenet)}\
reporting:
  grid_every_epochs: {max(1, epochs // 10)}
"""


def _describe_transforms(epochs: int) -> str:
    if epochs < MANY_EPOCHS:
        return ""
    return "    differentiable_transforms: {kinds: [colour, translation, cutout]}   # each picture is seen so often\n"


def _require_scorable(report: FolderReport) -> None:
    """Raise `DatasetUnusable` if there is no test split for the feature extractor, or a class is too rare."""
    counts, folder = report.train_counts, report.dataset.path
    if len(counts) > 1 and "test" not in report.class_counts:
        place, remedy = f"{folder} has no folder test", "make one, with some pictures of each class"
        if (labels := report.dataset.labels) is not None:
            place = f"{labels} in {folder} has no test split"
            remedy = f"state test for some pictures of each class in a column {SPLIT_COLUMN}"
        raise DatasetUnusable(f"{place}, on which the feature extractor is tested; {remedy}.")
    rarest = min(counts, key=counts.__getitem__)
    if _count_samples(report) > max(MAX_SAMPLES, 10 * len(counts)):
        raise DatasetUnusable(
            f"Class {rarest} has {counts[rarest]} of {sum(counts.values()):,} training pictures, too few to score it; "
            "add some, or remove the class."
        )


def _count_samples(report: FolderReport) -> int:
    """About as many as training pictures, in thousands; more if the rarest class would get too few."""
    counts = report.train_counts.values()
    pictures = sum(counts)
    # One sample more than needed: a run counts unusable files as well before it decodes them.
    needed = (MIN_CLASS_IMAGES + 1) * pictures / min(counts)
    return 1000 * max(_bounded(max(pictures, 10 * len(counts)) / 1000, 1, 10), math.ceil(needed / 1000))


def _quote(text: str) -> str:
    r"""Quote a text for YAML and OmegaConf, where ``${`` stands for another setting and ``\${`` for itself."""
    quoted = json.dumps(re.sub(r"(\\*)\$\{", r"\1\1\\${", text), ensure_ascii=False)
    return re.sub(UNPRINTABLE, lambda found: f"\\u{ord(found[0]):04x}", quoted)


def _bounded(value: float, lowest: int, highest: int) -> int:
    return min(highest, max(lowest, round(value)))


def _describe_folder(report: FolderReport, path: str) -> str:
    dataset = report.dataset
    lines = [f"path: {_quote(path)}"]
    splitless = "the folders are classes, not splits"
    if dataset.labels is not None:
        lines += [f"labels: {_quote(dataset.labels)}", f"label_column: {_quote(dataset.label_column)}"]
        splitless = "the labels have no splits"
    if dataset.folder_split is not None:
        lines += [
            f"folder_split: {dataset.folder_split}   # {splitless}",
            f"test_fraction: {dataset.test_fraction}    # fraction of each class for the test split",
        ]
    if dataset.on_bad_image == "skip":
        lines.append(f"on_bad_image: skip    # {len(report.skipped)} files cannot be used")
    if dataset.value_range is not None:
        values = json.dumps([int(value) if value.is_integer() else value for value in dataset.value_range])
        lines.append(f"value_range: {values}   # black and white in pictures of more than 8 bits")
    lines += [
        f"image_size: {dataset.image_size}   # largest power of two that nine of ten pictures reach",
        f"fit: {dataset.fit}       # cuts off {report.cut_off:.0%} of the pixels; pad and stretch keep all",
        f"channels: {dataset.channels}      # {'grey' if dataset.channels == 1 else 'colour'}",
    ]
    return indent("\n".join(lines), "  ")


def _describe_extractor(report: FolderReport, has_imagenet: bool) -> str:
    pictures, classes = sum(report.train_counts.values()), len(report.train_counts)
    # Of fewer images than features, covariances are singular.
    are_enough = min(pictures, _count_samples(report)) > IMAGENET_FEATURES
    if has_imagenet and (are_enough or classes == 1):
        return "  extractor: imagenet   # fixed weights: scores are the same on every machine"
    if classes == 1:
        return "  extractor: inception   # one class: no classifier can be fitted. The weights are downloaded"
    epochs = _bounded(FITTED_IMAGES / pictures, 3, 30)
    return f"  extractor: classifier\n  classifier: {{stem: imagenet, epochs: {epochs}}}"


def _describe_augmentation(image_size: int, pictures: int, classes: int, has_imagenet: bool) -> str:
    if classes == 1:
        return ""
    needed = max(4 * BATCH_SIZE, 5 * classes)
    fraction = next(fraction for fraction in FRACTIONS if fraction * pictures >= needed or fraction == 1)
    probe = "  probe: imagenet   # a linear probe, to compare the classifiers with\n" if has_imagenet else ""
    return f"""\
# augment_<variant> tests whether generated images help a classifier that is trained on a fraction of the real images.
# Each replicate trains its own generator, for as many steps as above: all of them take {REPLICATES} times as long as
# train_<variant>. Lower replicates, or set generator_epochs, for less.
augmentation:
  fractions: [{fraction}]   # the smallest with five pictures of each class and four batches
  replicates: {REPLICATES}
  ratios: [1, 3]
  synthetic: {{weights: ema}}
  transforms: {{crop_padding: {image_size // 16}}}
  classifier: {{epochs: 10, batch_size: {BATCH_SIZE}, learning_rates: [0.01, 0.05]}}
{probe}
"""
