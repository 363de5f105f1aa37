"""Real images of four known distributions, and a generator that knows them."""

from __future__ import annotations

from dataclasses import dataclass, field
from types import SimpleNamespace

import numpy as np
import torch
from torch import nn

from gan_pipelines.classifier.resnet import Prediction
from gan_pipelines.core.hashing import hash_images
from gan_pipelines.images import ImageSet
from gan_pipelines.images.duplicates import make_thumbnails
from gan_pipelines.metrics import FeatureExtractor, open_reference

NAMES = ("a", "b", "c", "d")


class Pixels(nn.Module):
    """Takes pixels as features."""

    def forward(self, images):
        features = images.float().flatten(1) / 32
        return Prediction(features, features[:, :4])


def draw_images(labels, seed, spread=1.0):
    """Draw 4x4 images whose mean depends on the class, with a multiple of the spread of real ones."""
    means = np.random.default_rng(1).uniform(60, 190, (len(NAMES), 1, 4, 4))
    noise = np.random.default_rng(seed).normal(scale=16 * spread, size=(len(labels), 1, 4, 4))
    return (means[labels] + noise).clip(0, 255).astype(np.uint8)


def draw_image_set(sizes, seed):
    """Draw as many images of each class."""
    labels = np.repeat(np.arange(len(NAMES)), sizes)
    images = draw_images(labels, seed)
    names, thumbnails = tuple(map(str, range(len(labels)))), make_thumbnails(images)
    return ImageSet(images, hash_images(images), labels, NAMES, {"train": len(labels)}, "box", names, thumbnails)


def make_reference(store, sizes, heldout=None):
    """Make an extractor and the reference of as many images of each class."""
    extractor = FeatureExtractor(Pixels(), {"name": "pixels", "weights_hash": "0"})
    return extractor, open_reference(
        store, draw_image_set(sizes, seed=3), extractor, "cpu", heldout=[] if heldout is None else [heldout]
    )


@dataclass
class PerfectGenerator:
    """Draws new images of the class that it is asked for, as varied as real ones or with another spread.

    Attributes:
        copied: images that samples repeat, with a little noise.
        copied_share: share of the samples that are copies.
        asked: numbers of images of each class that it was asked for, one list for each call.
    """

    is_conditional: bool = True
    training: dict = field(default_factory=lambda: {"data_hash": ""})
    copied: np.ndarray | None = None
    copied_share: float = 0.0
    spread: float = 1.0
    class_names: tuple = NAMES
    image_shape: tuple = (1, 4, 4)
    version: str = "v"
    config: SimpleNamespace = field(default_factory=lambda: SimpleNamespace(preview_weights="ema"))
    asked: list = field(default_factory=list)

    def sample(self, count, *, labels=None, **_):
        labels = torch.arange(count) % len(NAMES) if labels is None else labels
        self.asked.append(torch.bincount(labels).tolist())
        images = draw_images(labels.numpy(), seed=2, spread=self.spread)
        copies, draws = round(self.copied_share * count), np.random.default_rng(0)
        if copies:
            noise = draws.integers(2, size=images[:copies].shape, dtype=np.uint8)
            images[:copies] = draws.choice(self.copied, copies) ^ noise
        return torch.from_numpy(images)

    def sample_batches(self, count, *, labels=None, **_):
        yield self.sample(count, labels=labels)
