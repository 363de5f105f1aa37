"""Labels of generated samples: the classes are as frequent as in the reference."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from gan_pipelines.core.config import require

MIN_CLASS_IMAGES = 2
"""Minimum number of generated and of real images of a class for its KID."""


def allocate_samples(class_sizes: NDArray[np.int64], samples: int) -> NDArray[np.int64]:
    """Divide samples among classes in proportion to their sizes, by the method of largest remainders.

    Args:
        class_sizes: (classes,) number of reference images of each class, at least one of them positive.
        samples: number of samples to divide.

    Returns:
        (classes,) numbers of samples, which add up to ``samples``; of equal remainders, the first is rounded up.
    """
    counts, remainders = np.divmod(class_sizes * samples, class_sizes.sum())
    largest = np.argsort(-remainders, kind="stable")[: samples - counts.sum()]
    counts[largest] += 1
    return counts


def stratified_labels(class_sizes: NDArray[np.int64], samples: int) -> Tensor:
    """Make the class indices of samples, evenly mixed: every run of consecutive samples has about the same frequencies.

    Sample k of the n of a class is put at (k + 1/2) / n of the way. Classes of equal size take turns.

    Args:
        class_sizes: (classes,) number of reference images of each class.
        samples: number of samples.

    Returns:
        (samples,) int64 class indices.
    """
    counts = allocate_samples(class_sizes, samples)
    labels = np.repeat(np.arange(len(counts)), counts)
    places = np.concatenate([(np.arange(count) + 0.5) / count for count in counts if count])
    return torch.from_numpy(labels[np.argsort(places, kind="stable")])


def check_class_sizes(class_names: Sequence[str], class_sizes: NDArray[np.int64], samples: int) -> None:
    """Raise a `ConfigError` if a class has too few generated or too few real images for KID.

    Args:
        class_names: names of the classes.
        class_sizes: number of reference images of each class.
        samples: number of images to generate.
    """
    made_sizes, allowed = allocate_samples(class_sizes, samples).tolist(), f"{MIN_CLASS_IMAGES} or more"
    for name, made, real in zip(class_names, made_sizes, class_sizes.tolist(), strict=True):
        images, remedy = f"number of reference images of class {name}", "add some, or drop the class"
        require(real >= MIN_CLASS_IMAGES, images, real, f"{allowed}: {remedy}")
        require(
            made >= MIN_CLASS_IMAGES, f"number of samples of class {name}", made, f"{allowed}: raise scoring.samples"
        )
