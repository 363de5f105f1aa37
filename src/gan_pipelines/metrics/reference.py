"""The real images' side of every score: computed once, and kept."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from gan_pipelines.classifier.resnet import Prediction
from gan_pipelines.core.config import require
from gan_pipelines.core.devices import resolve_device
from gan_pipelines.core.errors import ProjectError
from gan_pipelines.core.hashing import hash_values
from gan_pipelines.core.runtime import DeviceName
from gan_pipelines.core.stores import KeyedStore
from gan_pipelines.images import ImageSet
from gan_pipelines.metrics.config import MIN_IMAGES
from gan_pipelines.metrics.extractors import FeatureExtractor
from gan_pipelines.metrics.frechet import Moments
from gan_pipelines.metrics.neighbours import Radii

BATCH = 500
ENTRY_VERSION = 1
"""Part of the key of every entry: raise it when the same images and network begin to give other features."""


class FeaturesUnusable(ProjectError):
    """Features that no score can be taken from."""


@dataclass(frozen=True)
class Reference:
    """Real images, their features, and what scores need of them.

    Attributes:
        images: the images.
        features: (N, D) float32, memory-mapped, in the order of the images.
        moments: of the features.
        key: hash of images, resize filter and extractor.
        store: where all this is kept.
    """

    images: ImageSet
    features: Tensor
    moments: Moments
    key: str
    store: KeyedStore

    def radii(self, device: torch.device) -> Radii:
        """The radii of the features, computed at the first call ever.

        Raises:
            ConfigError: if there are too few images.
        """
        count = len(self.images)
        require(count >= MIN_IMAGES, "number of reference images", count, f"{MIN_IMAGES} or more")

        def build(folder: Path) -> None:
            radii = Radii.of(self.features.to(device))
            np.savez(folder / "radii.npz", third=radii.third.cpu(), fifth=radii.fifth.cpu())

        with np.load(self.store.get_or_build(f"{self.key}-radii", build) / "radii.npz") as saved:
            return Radii(*(torch.from_numpy(saved[name]).to(device) for name in ("third", "fifth")))


def open_reference(
    store: KeyedStore, images: ImageSet, extractor: FeatureExtractor, device: DeviceName = "auto"
) -> Reference:
    """Return the reference that some images are; their features are extracted only if the store does not hold them.

    Raises:
        ConfigError: if the images are all the same, or black, or were in [0, 1] before they became uint8.
        FeaturesUnusable: if the network gives features that are no numbers.
    """
    key = hash_values(
        ENTRY_VERSION,
        images.content_hash,
        images.resize_filter,
        extractor.provenance["name"],
        extractor.provenance["weights_hash"],
    )

    def build(folder: Path) -> None:
        alike = (images.image_hashes == images.image_hashes[0]).all()
        require(not alike, "reference images", "all the same", "different from each other")
        brightest = int(images.images.max())
        require(brightest > 1, "brightest pixel of the reference images", brightest, "above 1: levels go up to 255")
        target = resolve_device(device)
        batches = (torch.from_numpy(images.images[i : i + BATCH]).to(target) for i in range(0, len(images), BATCH))
        predictions = extract_features(extractor.to(target), batches, "real")
        features = torch.cat([prediction.features.cpu() for prediction in predictions])
        moments = Moments.of_stream(features.split(BATCH))
        np.save(folder / "features.npy", features.numpy())
        np.savez(folder / "moments.npz", count=moments.count, mean=moments.mean, scatter=moments.scatter)

    folder = store.get_or_build(key, build)
    with np.load(folder / "moments.npz") as saved:
        moments = Moments(int(saved["count"]), torch.from_numpy(saved["mean"]), torch.from_numpy(saved["scatter"]))
    features = torch.from_numpy(np.load(folder / "features.npy", mmap_mode="c"))
    return Reference(images, features, moments, key, store)


def extract_features(extractor: FeatureExtractor, batches: Iterable[Tensor], kind: str) -> Iterator[Prediction]:
    """Features and logits of a stream of images (N, C, H, W) uint8, on the device that they come from.

    Args:
        extractor: on that device.
        batches: of images.
        kind: what they are, for messages.

    Raises:
        FeaturesUnusable: if a feature or a logit is not a finite number.
    """
    for batch in batches:
        prediction = extractor(batch)
        if batch.device.type == "mps":  # it has no float64
            prediction = Prediction(*(part.cpu() for part in prediction))
        if not all(part.isfinite().all() for part in prediction):
            raise FeaturesUnusable(
                f"{extractor.provenance['name']} gives features of the {kind} images that are infinite or NaN; "
                "fit it anew with a lower scoring.classifier.learning_rate, or choose another scoring.extractor."
            )
        yield prediction
