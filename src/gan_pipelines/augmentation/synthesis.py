"""Labelled images from a generator."""

from __future__ import annotations

import json
import logging
import math
from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Protocol

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

IMAGES_FILE = "images.npy"
LABELS_FILE = "labels.npy"
PLACES_FILE = "places.npy"
DESCRIPTION_FILE = "description.json"
ATTEMPTS = 20
"""Maximum number of rounds in which missing images are generated again."""
MIN_OFFERED = 250
"""Minimum number of images per round that a classifier chooses from: the last few need many candidates."""


class SynthesisFailed(ProjectError):
    """None of a generator's images is good enough."""


class Generator(Protocol):
    """What `synthesize` needs of a `TrainedGenerator`."""

    @property
    def is_conditional(self) -> bool:
        """Whether it generates images of a given class."""

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
        """Generate images: (count, C, H, W) uint8 on the CPU."""


@dataclass(frozen=True)
class SyntheticImages:
    """Generated images with labels and provenance.

    Attributes:
        images: (N, C, H, W) uint8; memory-mapped if loaded from disk, also by a process that receives them.
        labels: (N,) int64 indices into ``class_names``.
        places: (N,) ascending positions among the requested images; some are missing if images were rejected.
        class_names: names of the classes.
        provenance: plain values: settings, seed, source of the labels, and the number of missing images by class.
    """

    images: NDArray[np.uint8]
    labels: Tensor
    places: Tensor
    class_names: tuple[str, ...]
    provenance: Mapping[str, Any]

    def save(self, folder: Path) -> None:
        """Write arrays and description into an existing folder."""
        np.save(folder / IMAGES_FILE, self.images)
        np.save(folder / LABELS_FILE, self.labels.numpy())
        np.save(folder / PLACES_FILE, self.places.numpy())
        description = {"class_names": self.class_names, "provenance": self.provenance}
        (folder / DESCRIPTION_FILE).write_text(json.dumps(description))

    @classmethod
    def load(cls, folder: Path) -> SyntheticImages:
        """Open a folder that `save` wrote; images are read when they are used."""
        description = json.loads((folder / DESCRIPTION_FILE).read_text())
        return cls(
            # Copy-on-write: the file never changes, and PyTorch does not warn about read-only memory.
            images=np.load(folder / IMAGES_FILE, mmap_mode="c"),
            labels=torch.from_numpy(np.load(folder / LABELS_FILE)),
            places=torch.from_numpy(np.load(folder / PLACES_FILE)),
            class_names=tuple(description["class_names"]),
            provenance=description["provenance"],
        )


def choose_labels(real: NDArray[np.int64], num_classes: int, count: int, config: SyntheticConfig) -> Tensor:
    """Choose the class indices (count,) of the images to generate.

    The first images alone, as a smaller ratio takes them, have the balance that is asked for as well. With ``fill``,
    each image is of a class that has the fewest real and synthetic images so far.

    Args:
        real: (N,) class indices of the real images.
        num_classes: number of classes.
        count: number of images to generate.
        config: balance of the classes.
    """
    if config.balance == "fill":
        totals = np.bincount(real, minlength=num_classes)
        return torch.tensor([_add_to_smallest(totals) for _ in range(count)])
    pattern = np.arange(num_classes) if config.balance == "uniform" else np.random.default_rng(0).permutation(real)
    return torch.from_numpy(np.resize(pattern, count).astype(np.int64))


def _add_to_smallest(totals: NDArray[np.int64]) -> int:
    """Count one more image of the smallest class; return the class."""
    label = int(totals.argmin())
    totals[label] += 1
    return label


def needs_judge(generator: Generator, config: SyntheticConfig) -> bool:
    """Whether `synthesize` needs a classifier, for labels or for confidences."""
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
    """Generate an image for each label.

    The images of an unconditional generator are labelled by ``judge``. Images whose label has a probability below
    ``config.min_confidence`` are replaced, in up to `ATTEMPTS` rounds. Images still missing then are left out and
    counted in the provenance.

    Args:
        generator: generator of the images.
        labels: (N,) requested class indices.
        class_names: names of the classes.
        config: weights, truncation and minimum confidence.
        seed: seed of the latents.
        judge: classifier fitted only on real images that the generator was trained on; None if none is needed.
        device: device to compute on.

    Raises:
        ValueError: if a judge is needed and None is given.
        SynthesisFailed: if no image is good enough.
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
            "%d of %d images are missing: the classifier was not confident enough of any that were generated",
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
    return SyntheticImages(torch.cat(pictures)[by_place].numpy(), labels[places], places, class_names, provenance)


def _label(
    images: Tensor, asked: Tensor, generator: Generator, config: SyntheticConfig, judge: Classifier | None
) -> tuple[Tensor, Tensor]:
    """Class indices (N,) of generated images, and whether each is good enough (N,)."""
    if judge is None:
        return asked, torch.ones(len(asked), dtype=torch.bool)
    probabilities = judge.predict(images).softmax(1)
    labels = asked if generator.is_conditional else probabilities.argmax(1)
    return labels, probabilities.gather(1, labels[:, None])[:, 0] >= config.min_confidence


def _fit_in(wanted: Tensor, labels: Tensor, is_good: Tensor) -> tuple[Tensor, Tensor]:
    """Match images with requested labels: positions in ``wanted``, and of the images that fill them."""
    taken, offered = [], []
    for label in wanted.unique():
        places, images = (wanted == label).nonzero()[:, 0], (is_good & (labels == label)).nonzero()[:, 0]
        count = min(len(places), len(images))
        taken.append(places[:count])
        offered.append(images[:count])
    return torch.cat(taken), torch.cat(offered)
