"""Splits of the real images without leaks: no held-out image is trained on."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from gan_pipelines.augmentation.config import AugmentationConfig
from gan_pipelines.core.config import ConfigError
from gan_pipelines.core.errors import ProjectError
from gan_pipelines.images import ImageSet
from gan_pipelines.images.duplicates import Duplicate, find_twins
from gan_pipelines.metrics.labels import allocate_samples

VALID_SHARE = 0.1
"""Fraction of the training images that becomes the validation split if the dataset has none."""


class HeldOutImagesInTraining(ProjectError):
    """The experiment would train on held-out images."""


@dataclass(frozen=True)
class ImageSplits:
    """The real images of the experiment by split.

    Attributes:
        train: images to train generators and classifiers on.
        valid: images of which each replicate draws those to choose the best epoch, ratio and learning rate on.
        test: images to score on, once.
        leaks: training and validation images that were left out: they are duplicates or near-duplicates of held-out
            images.
        leaked_share: share of the training images that were left out, from 0 to 1.
    """

    train: ImageSet
    valid: ImageSet
    test: ImageSet
    leaks: tuple[Duplicate, ...]
    leaked_share: float


class Draw(NamedTuple):
    """The real images of one replicate.

    Attributes:
        fraction: fraction of the training images.
        seed: seed of the replicate.
        images: the images drawn, with the class frequencies of the training images.
        valid: images to choose the best epoch, ratio and learning rate on, with the class frequencies of the validation
            split: at most ``max_valid_share`` as many as ``images``, but one of each class.
    """

    fraction: float
    seed: int
    images: ImageSet
    valid: ImageSet


def check_splits(train_splits: tuple[str, ...], splits: list[str]) -> None:
    """Check that the experiment can hold out images.

    Args:
        train_splits: splits that the GAN is trained on.
        splits: splits of the dataset.

    Raises:
        HeldOutImagesInTraining: if the GAN is trained on more than the train split.
        ConfigError: if the dataset lacks the train or the test split.
    """
    for split in ("train", "test"):
        if split not in splits:
            raise ConfigError(
                f"An augmentation experiment needs a {split} split, and the dataset has only {', '.join(splits)}; put "
                f"some images of each class into a folder {split} or, beside dataset.folder_split: train, set "
                "dataset.test_fraction: 0.2."
            )
    held_out = [split for split in train_splits if split != "train"]
    if held_out:
        raise HeldOutImagesInTraining(
            f"dataset.train_splits has {held_out[0]}, which the classifiers would be measured on; an augmentation "
            "experiment needs dataset.train_splits: [train]."
        )


def training_sizes(class_sizes: Sequence[int], has_valid: bool) -> list[int]:
    """Number of training images of each class that `separate_images` leaves, with leaks.

    Args:
        class_sizes: number of images of each class in the training split.
        has_valid: whether the dataset has a validation split.
    """
    drawn = [0] * len(class_sizes) if has_valid else count_drawn(class_sizes, VALID_SHARE)
    return [size - count for size, count in zip(class_sizes, drawn, strict=True)]


def count_drawn(class_sizes: Iterable[int], fraction: float) -> list[int]:
    """Number of images of each class that a fraction draws, at least one."""
    return [max(1, round(fraction * size)) for size in class_sizes]


def check_fractions(fractions: Sequence[float], class_sizes: Sequence[int]) -> None:
    """Raise a `ConfigError` if two fractions draw the same images of classes with so many training images."""
    known: dict[tuple[int, ...], float] = {}
    for fraction in fractions:
        counts = count_drawn(class_sizes, fraction)
        if (same := known.setdefault(tuple(counts), fraction)) != fraction:
            raise ConfigError(
                f"augmentation.fractions has {same:g} and {fraction:g}, which draw the same {sum(counts)} images, at "
                "least one of each class; leave one out."
            )


def separate_images(images: ImageSet) -> ImageSplits:
    """Separate training, validation and test images, and leave out leaks.

    Leaks are training images with a duplicate or near-duplicate in the validation or test split, and validation images
    with one in the test split. Without a validation split, a tenth of the training images of each class becomes one.

    Raises:
        HeldOutImagesInTraining: if no training or validation image of a class is left.
    """
    train, test = images.rows("train"), images.rows("test")
    if "valid" in images.split_sizes:
        valid = images.rows("valid")
    else:
        is_valid = np.isin(train, draw_rows(images.labels, train, VALID_SHARE, seed=0))
        train, valid = train[~is_valid], train[is_valid]
    leaks = []
    kept = []
    for asked, known in ((train, np.concatenate([valid, test])), (valid, test)):
        twins = find_twins(images.at(asked), images.at(known))
        leaks += [Duplicate(images.names[row], images.names[twin], correlation) for row, twin, correlation in twins]
        kept.append(np.setdiff1d(asked, [found.row for found in twins]))
    for split, rows in zip(("training", "validation"), kept, strict=True):
        _require_every_class(images, rows, split)
    return ImageSplits(
        train=images.take(kept[0], "train"),
        valid=images.take(kept[1], "valid"),
        test=images.take(test, "test"),
        leaks=tuple(leaks),
        leaked_share=1 - len(kept[0]) / len(train),
    )


def draw_images(splits: ImageSplits, config: AugmentationConfig) -> list[Draw]:
    """Draw each fraction for each replicate; for one seed, smaller fractions are subsets of larger ones.

    Raises:
        ConfigError: if two fractions draw the same images.
    """
    check_fractions(config.fractions, np.bincount(splits.train.labels).tolist())
    return [_draw(splits, fraction, seed, config) for fraction in config.fractions for seed in config.seeds]


def _draw(splits: ImageSplits, fraction: float, seed: int, config: AugmentationConfig) -> Draw:
    train, valid = splits.train, splits.valid
    images = train.take(draw_rows(train.labels, np.arange(len(train)), fraction, seed), "train")
    sizes = np.bincount(valid.labels, minlength=len(valid.class_names))
    counts = allocate_samples(sizes, min(len(valid), int(config.max_valid_share * len(images))))
    chosen = _draw_of_each(valid.labels, np.arange(len(valid)), np.maximum(counts, 1), seed)
    return Draw(fraction, seed, images, valid.take(chosen, "valid"))


def draw_rows(labels: NDArray[np.int64], rows: NDArray[np.intp], fraction: float, seed: int) -> NDArray[np.intp]:
    """Draw a fraction of the rows of each class, at least one, in ascending order."""
    return _draw_of_each(labels, rows, count_drawn(np.bincount(labels[rows]), fraction), seed)


def _draw_of_each(
    labels: NDArray[np.int64], rows: NDArray[np.intp], counts: Iterable[int], seed: int
) -> NDArray[np.intp]:
    """Draw the stated number of rows of each class, or all that it has, in ascending order."""
    random = np.random.default_rng(seed)
    drawn = [random.permutation(rows[labels[rows] == label])[:count] for label, count in enumerate(counts)]
    return np.sort(np.concatenate(drawn))


def _require_every_class(images: ImageSet, rows: NDArray[np.intp], split: str) -> None:
    lost = {*range(len(images.class_names))} - {*images.labels[rows].tolist()}
    if lost:
        raise HeldOutImagesInTraining(
            f"No {split} image of class {images.class_names[min(lost)]} is left: duplicates and near-duplicates of "
            "images in other splits are removed, and without a valid split it is drawn from train; add some, or remove "
            "the class."
        )
