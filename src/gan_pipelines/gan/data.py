"""The training images and their batches."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from gan_pipelines.core.config import require
from gan_pipelines.core.devices import free_memory
from gan_pipelines.core.hashing import hash_dataset, hash_images
from gan_pipelines.core.pixels import to_float
from gan_pipelines.gan.config import GanConfig
from gan_pipelines.gan.health import diversity
from gan_pipelines.gan.networks import ImageShape

logger = logging.getLogger(__name__)

MAX_MEMORY_FRACTION = 0.5
"""Maximum fraction of free device memory for the images."""
DIVERSITY_IMAGES = 64
"""Number of real images from which the reference diversity is computed."""


class TrainingData:
    """Real images and their labels, on the training device or, if they do not fit there, on the host.

    Attributes:
        device: the training device, which batches are moved to.
        images: (N, C, H, W) uint8, on the training device or on the host.
        labels: (N,) class indices, on the same device as the images, or None.
        class_names: names of the classes; empty without labels.
        hash: hash of images, labels and class names.
        image_shape: channels, height and width.
        compared: number of images, `DIVERSITY_IMAGES` or all, whose diversity is taken.
        diversity: `health.diversity` of these, in grey levels.
    """

    def __init__(
        self,
        images: Tensor,
        labels: Tensor | None,
        class_names: tuple[str, ...],
        data_hash: str,
        device: torch.device,
    ) -> None:
        fits = images.nbytes <= MAX_MEMORY_FRACTION * free_memory(device)
        storage = device if fits else torch.device("cpu")
        if not fits:
            logger.info("The images do not fit beside the networks on %s: they stay in host memory", device.type)
        self.device = device
        self.images = images.to(storage)
        self.labels = None if labels is None else labels.to(storage)
        self.class_names = class_names
        self.hash = data_hash
        self.image_shape = ImageShape(*images.shape[1:])
        self.compared = min(len(images), DIVERSITY_IMAGES)
        chosen = images[torch.linspace(0, len(images) - 1, self.compared).long()]
        distinct = chosen.cpu().unique(dim=0)  # duplicates would lower the diversity
        require(len(distinct) > 1, "images", "all the same", "different from each other")
        self.diversity = diversity(distinct)

    @classmethod
    def prepare(
        cls,
        images: NDArray[np.uint8] | Tensor,
        labels: NDArray[np.int64] | Tensor | None,
        class_names: Sequence[str],
        device: torch.device,
        data_hash: str | None = None,
    ) -> TrainingData:
        """Check images and labels, hash them, and move them to the device.

        Args:
            images: (N, C, H, W) uint8.
            labels: (N,) class indices, or None.
            class_names: names of the classes.
            device: the training device.
            data_hash: hash of images, labels and class names, see `hash_dataset`; None computes it.

        Raises:
            ConfigError: if shapes or types are wrong, a label has no class name, or all images are the same.
        """
        images = torch.as_tensor(images)
        labels = None if labels is None else torch.as_tensor(labels).long()
        fits = images.dtype == torch.uint8 and images.ndim == 4
        require(fits, "images", f"{tuple(images.shape)} {images.dtype}", "(N, C, H, W) of uint8")
        if labels is not None:
            require(labels.shape == (len(images),), "labels", tuple(labels.shape), f"of shape ({len(images)},)")
            lowest, highest = int(labels.min()), int(labels.max())
            require(lowest >= 0, "the lowest label", lowest, "0 or more")
            require(
                highest < len(class_names), "the highest label", highest, f"below the {len(class_names)} class names"
            )
        if data_hash is None:
            plain_labels = None if labels is None else labels.cpu().numpy()
            data_hash = hash_dataset(hash_images(images.cpu().numpy()), plain_labels, class_names)
        return cls(images, labels, tuple(class_names), data_hash, device)

    def __len__(self) -> int:
        return len(self.images)

    def batches(self, order: Tensor, config: GanConfig, done: int = 0) -> Iterator[tuple[Tensor, Tensor | None]]:
        """Iterate over the batches of an epoch's discriminator steps, on the training device.

        Args:
            order: (number of images,) indices, the order in which the images are shown.
            config: size of the batches, and which are repeated or left out.
            done: number of steps to skip.

        Yields:
            images (N, C, H, W) float32 in [-1, 1], and labels (N,) or None; N is ``batch_size``, or less in the last
            batch.
        """
        batches = order.to(self.images.device).split(config.batch_size)
        for step in range(done, config.steps_per_epoch(len(order))):
            chosen = batches[step // config.steps_per_batch]
            labels = None if self.labels is None else self._to_device(self.labels[chosen])
            yield to_float(self._to_device(self.images[chosen])), labels

    def _to_device(self, part: Tensor) -> Tensor:
        """Copy to the training device; from pinned memory, so that the copy overlaps with computation."""
        if part.device.type == self.device.type:  # by type, since "cuda" != "cuda:0"
            return part
        return (part.pin_memory() if self.device.type == "cuda" else part).to(self.device, non_blocking=True)
