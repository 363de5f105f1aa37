"""What a GAN is trained on."""

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
from gan_pipelines.gan.health import diversity
from gan_pipelines.gan.networks import ImageShape

logger = logging.getLogger(__name__)

MAX_MEMORY_FRACTION = 0.5
"""Of the device's free memory, that the images may take."""
DIVERSITY_IMAGES = 64
"""Real images whose diversity the samples are compared with."""


class TrainingData:
    """Real images as uint8, with their labels: on the training device or, where they do not fit, on the host.

    Attributes:
        device: on which batches come.
        images: (N, C, H, W) uint8, there or on the host.
        labels: (N,) on the same device as the images, or None.
    """

    def __init__(
        self,
        images: Tensor,
        labels: Tensor | None,
        class_names: tuple[str, ...],
        data_hash: str,
        device: torch.device,
    ) -> None:
        home = device if images.nbytes <= MAX_MEMORY_FRACTION * free_memory(device) else torch.device("cpu")
        if home != device:
            logger.info("The images do not fit beside the networks: they stay on the host, and go over batch by batch")
        self.device = device
        self.images = images.to(home)
        self.labels = None if labels is None else labels.to(home)
        self.class_names = class_names
        self.hash = data_hash
        self.image_shape = ImageShape(*images.shape[1:])
        chosen = images[torch.linspace(0, len(images) - 1, min(len(images), DIVERSITY_IMAGES)).long()]
        distinct = chosen.cpu().unique(dim=0)  # a twin among the real images says nothing of the generated ones
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
        """Check images and labels, fingerprint them, and put them on the device."""
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

    def batches(self, order: Tensor, batch_size: int, done: int = 0) -> Iterator[tuple[Tensor, Tensor | None]]:
        """Whole batches in a given order of the images: (N, C, H, W) in [-1, 1] and labels (N,).

        Args:
            order: (number of images,) indices.
            batch_size: images of each batch; what is left over at the end is left out.
            done: batches to pass over.
        """
        order = order.to(self.images.device)
        for start in range(done * batch_size, len(order) - batch_size + 1, batch_size):
            chosen = order[start : start + batch_size]
            labels = None if self.labels is None else self._bring(self.labels[chosen])
            yield to_float(self._bring(self.images[chosen])), labels

    def _bring(self, part: Tensor) -> Tensor:
        """The same on the training device; from pinned memory it goes over while the device computes."""
        if part.device.type == self.device.type:  # "cuda" and "cuda:0" are not equal
            return part
        return (part.pin_memory() if self.device.type == "cuda" else part).to(self.device, non_blocking=True)
