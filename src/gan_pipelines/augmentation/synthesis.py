"""Labelled images from a generator."""

from __future__ import annotations

import logging
import math
from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from gan_pipelines.augmentation.config import SyntheticConfig
from gan_pipelines.classifier import Classifier
from gan_pipelines.core.errors import ProjectError
from gan_pipelines.core.runtime import DeviceName
from gan_pipelines.gan import WeightSet

logger = logging.getLogger(__name__)

LabelSource = Literal["generator", "classifier"]

ATTEMPTS = 20
"""Rounds in which images are made, in place of those that were turned down in earlier ones."""
MIN_OFFERED = 250
"""Images that a classifier chooses from in each round, so that the last few places do not wait for luck."""


class SynthesisFailed(ProjectError):
    """A generator from which the wanted images cannot be had."""


class Generator(Protocol):
    """What `synthesize` needs of a `TrainedGenerator`."""

    @property
    def is_conditional(self) -> bool:
        """Whether it makes the class that it is asked for."""

    def sample(
        self,
        count: int,
        *,
        seed: int,
        weights: WeightSet,
        labels: Tensor | None,
        truncation: float | None,
        device: DeviceName,
    ) -> Tensor:
        """Make images: (count, C, H, W) uint8 on the CPU."""


@dataclass(frozen=True)
class SyntheticImages:
    """Generated images with labels, and where both come from.

    Attributes:
        images: (N, C, H, W) uint8.
        labels: (N,) int64 indices into ``class_names``.
        places: (N,) ascending: which of the wanted images each one is; a filter may leave some out.
        class_names: of the labels.
        provenance: in plain values: generator, seed, settings, what the labels come from, and images that are missing.
    """

    images: Tensor
    labels: Tensor
    places: Tensor
    class_names: tuple[str, ...]
    provenance: Mapping[str, Any]


def choose_labels(real: NDArray[np.int64], num_classes: int, count: int, config: SyntheticConfig) -> Tensor:
    """Class indices (count,) of the images to make.

    Where the first so many images are taken, as for a smaller ratio, their balance is the same.

    Args:
        real: (N,) class indices of the real images.
        num_classes: of them.
        count: of images.
        config: says how the classes are balanced.
    """
    pattern = np.arange(num_classes) if config.balance == "uniform" else np.random.default_rng(0).permutation(real)
    return torch.from_numpy(np.resize(pattern, count).astype(np.int64))


def needs_judge(generator: Generator, config: SyntheticConfig) -> bool:
    """Whether `synthesize` needs a classifier, for the labels or to filter."""
    return config.min_confidence > 0 or not generator.is_conditional


def synthesize(
    generator: Generator,
    labels: Tensor,
    class_names: tuple[str, ...],
    config: SyntheticConfig,
    *,
    seed: int,
    judge: Classifier | None = None,
    device: DeviceName = "auto",
) -> SyntheticImages:
    """Make an image for each label.

    An unconditional generator's images get their labels from ``judge``. With ``config.min_confidence``, images of whose
    label the judge is less sure are made anew, some twenty times over; what is still missing then is left out, and
    counted in the provenance.

    Args:
        generator: what makes them.
        labels: (N,) wanted class indices.
        class_names: of the labels.
        config: weights, truncation, and the confidence that is asked for.
        seed: of the latents.
        judge: a classifier that was fitted on nothing but real images that the generator was trained on.
        device: where to compute.

    Raises:
        ValueError: if a judge is needed and there is none.
        SynthesisFailed: if no image at all could be had.
    """
    if needs_judge(generator, config) and judge is None:
        raise ValueError("judge is None, but must be a classifier, to give labels or to filter.")
    open_places = torch.arange(len(labels))
    pictures, found = [], []
    for attempt in range(ATTEMPTS):
        wanted = labels[open_places]
        count = len(wanted) if judge is None else max(len(wanted), MIN_OFFERED)
        asked = wanted.repeat(math.ceil(count / len(wanted)))[:count]
        images = generator.sample(
            count,
            seed=seed * ATTEMPTS + attempt,
            weights=config.weights,
            labels=asked if generator.is_conditional else None,
            truncation=config.truncation,
            device=device,
        )
        taken, offered = _fit_in(wanted, *_label(images, asked, generator, config, judge))
        pictures.append(images[offered])
        found.append(open_places[taken])
        open_places = open_places[~torch.isin(torch.arange(len(wanted)), taken)]
        if not len(open_places):
            break
    order = torch.cat(found)
    if not len(order):
        raise SynthesisFailed(
            f"Of no image of the generator is the classifier {config.min_confidence:.0%} sure; lower "
            "augmentation.synthetic.min_confidence, or train for longer."
        )
    if len(open_places):
        logger.warning(
            "%d of %d images are missing: the classifier was not sure enough of any that the generator made",
            len(open_places),
            len(labels),
        )
    places, by_place = order.sort()
    provenance = {
        **asdict(config),
        "labels_from": "generator" if generator.is_conditional else "classifier",
        "seed": seed,
        "missing": {
            class_names[label]: count for label, count in sorted(Counter(labels[open_places].tolist()).items())
        },
    }
    return SyntheticImages(torch.cat(pictures)[by_place], labels[places], places, class_names, provenance)


def _label(
    images: Tensor, asked: Tensor, generator: Generator, config: SyntheticConfig, judge: Classifier | None
) -> tuple[Tensor, Tensor]:
    """Class indices (N,) of generated images, and which of them (N,) are good enough."""
    if judge is None:
        return asked, torch.ones(len(asked), dtype=torch.bool)
    probabilities = judge.predict(images).softmax(1)
    labels = asked if generator.is_conditional else probabilities.argmax(1)
    return labels, probabilities.gather(1, labels[:, None])[:, 0] >= config.min_confidence


def _fit_in(wanted: Tensor, labels: Tensor, is_good: Tensor) -> tuple[Tensor, Tensor]:
    """Positions among those wanted that can be filled, and of the images that fill them."""
    taken, offered = [], []
    for label in wanted.unique():
        places, images = (wanted == label).nonzero()[:, 0], (is_good & (labels == label)).nonzero()[:, 0]
        count = min(len(places), len(images))
        taken.append(places[:count])
        offered.append(images[:count])
    return torch.cat(taken), torch.cat(offered)
