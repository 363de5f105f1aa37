"""Reference statistics: features of the real images and their statistics, computed once and stored."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
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
from gan_pipelines.images.duplicates import SAME_CORRELATION, find_twins
from gan_pipelines.metrics.config import MIN_IMAGES
from gan_pipelines.metrics.extractors import FeatureExtractor
from gan_pipelines.metrics.frechet import Moments
from gan_pipelines.metrics.memorisation import Nearness
from gan_pipelines.metrics.neighbours import Radii

BATCH = 500
ENTRY_VERSION = 3
"""Version in the key of a reference. Raise it when the same images and network would give other statistics."""


class FeaturesUnusable(ProjectError):
    """Features or logits that are infinite or NaN."""


@dataclass(frozen=True)
class Reference:
    """Real images with their features and reference statistics.

    Attributes:
        images: the real images.
        features: (N, D) float32, memory-mapped, in the order of the images.
        moments: moments of the features.
        key: hash of images, resize filter and extractor.
        store: where features and statistics are stored.
        heldout: real images of another split, or None.
    """

    images: ImageSet
    features: Tensor
    moments: Moments
    key: str
    store: KeyedStore
    heldout: Reference | None = None

    def radii(self, device: torch.device) -> Radii:
        """Return the radii of the features on ``device``; they are computed unless the store holds them.

        Raises:
            ConfigError: if there are fewer than `MIN_IMAGES` images.
        """
        count = len(self.images)
        require(count >= MIN_IMAGES, "number of reference images", count, f"{MIN_IMAGES} or more")

        def build(folder: Path) -> None:
            radii = Radii.of(self.features.to(device))
            np.savez(folder / "radii.npz", **{name: each.cpu() for name, each in vars(radii).items()})

        with np.load(self.store.get_or_build(f"{self.key}-radii", build) / "radii.npz") as saved:
            return Radii(**{name: torch.from_numpy(saved[name]).to(device) for name in saved})

    def heldout_nearness(self, device: torch.device) -> Nearness | None:
        """Return how near the held-out images are to these, or None if there are none.

        It is computed on ``device`` unless the store holds it, and returned on the CPU.

        Raises:
            ConfigError: if there are fewer than `MIN_IMAGES` images.
        """
        if self.heldout is None:
            return None
        heldout, radii = self.heldout.features, self.radii(device)

        def build(folder: Path) -> None:
            found = Nearness.of(heldout.to(device), self.features.to(device), radii)
            np.savez(folder / "nearness.npz", authenticity=found.authenticity, relative=found.relative.cpu())

        with np.load(
            self.store.get_or_build(f"{self.key}-heldout-{self.heldout.key}", build) / "nearness.npz"
        ) as saved:
            return Nearness(float(saved["authenticity"]), torch.from_numpy(saved["relative"]))


def open_reference(
    store: KeyedStore,
    images: ImageSet,
    extractor: FeatureExtractor,
    device: DeviceName = "auto",
    *,
    heldout: Sequence[ImageSet] = (),
) -> Reference:
    """Return the reference statistics of images; the features are extracted unless the store holds them.

    Args:
        store: features and statistics of earlier calls.
        images: the real images, of one split or of all.
        extractor: extractor of the features.
        device: where to extract.
        heldout: real images of other splits; features are extracted of the first as well, without those that are among
            the images, or nearly: copies would be as near as they are. Where fewer than `MIN_IMAGES` are left, the next
            split takes its place.

    Raises:
        ConfigError: if all images are the same, or no pixel is above 1, as when images in [0, 1] are cast to uint8.
        FeaturesUnusable: if a feature or a logit is infinite or NaN.
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
    unseen = (leave_out_twins(store, split, images) for split in heldout)
    enough = next((split for split in unseen if len(split) >= MIN_IMAGES), None)
    others = None if enough is None else open_reference(store, enough, extractor, device)
    return Reference(images, features, moments, key, store, others)


def leave_out_twins(store: KeyedStore, images: ImageSet, others: ImageSet) -> ImageSet:
    """Leave out the images that others have too, or nearly; which, is searched unless the store holds it."""

    def build(folder: Path) -> None:
        every, known = (each.at(np.arange(len(each))) for each in (images, others))
        twins = [twin.row for twin in find_twins(every, known, SAME_CORRELATION)]
        np.save(folder / "rows.npy", np.setdiff1d(every.rows, twins))

    key = hash_values(ENTRY_VERSION, "twins", SAME_CORRELATION, images.content_hash, others.content_hash)
    rows = np.load(store.get_or_build(key, build) / "rows.npy")
    return images if len(rows) == len(images) else images.take(rows, "heldout")


def extract_features(extractor: FeatureExtractor, batches: Iterable[Tensor], kind: str) -> Iterator[Prediction]:
    """Extract features and logits batch by batch.

    Args:
        extractor: on the device of the batches.
        batches: images (N, 1 or 3, H, W) uint8.
        kind: ``real`` or ``generated``, for the error message.

    Yields:
        features and logits on the device of the batch, or on the CPU in place of MPS, which has no float64.

    Raises:
        FeaturesUnusable: if a feature or a logit is infinite or NaN.
    """
    for batch in batches:
        prediction = extractor(batch)
        if batch.device.type == "mps":
            prediction = Prediction(*(part.cpu() for part in prediction))
        if not all(part.isfinite().all() for part in prediction):
            is_fitted = "fitted_on" in extractor.provenance
            remedy = "fit it anew with a lower scoring.classifier.learning_rate" if is_fitted else "check its weights"
            raise FeaturesUnusable(
                f"{extractor.provenance['name']} gives features of the {kind} images that are infinite or NaN; "
                f"{remedy}, or choose another extractor."
            )
        yield prediction
