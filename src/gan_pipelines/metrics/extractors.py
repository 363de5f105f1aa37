"""Feature extractors: the project's classifier and Inception v3."""

from __future__ import annotations

import copy
import json
import logging
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from gan_pipelines.classifier import Classifier, fit_classifier
from gan_pipelines.classifier.resnet import Prediction
from gan_pipelines.core.config import require
from gan_pipelines.core.errors import ProjectError
from gan_pipelines.core.hashing import hash_arrays, hash_values
from gan_pipelines.core.runtime import DeviceName
from gan_pipelines.core.stores import KeyedStore
from gan_pipelines.images import ImageSet
from gan_pipelines.metrics.config import ScoringConfig

logger = logging.getLogger(__name__)

WEIGHTS_FILE = "classifier.safetensors"
PROVENANCE_FILE = "provenance.json"
HELDOUT_SPLIT = "test"
ENTRY_VERSION = 3
"""Version in the key of a fitted classifier. Raise it when the same settings would give other weights."""
INCEPTION_LAYERS = ["2048", "logits_unbiased"]


class ExtractorUnavailable(ProjectError):
    """The weights of the chosen feature extractor cannot be read or downloaded."""


@dataclass(frozen=True)
class FeatureExtractor:
    """A network that extracts features and logits from images.

    Attributes:
        network: maps (N, 1 or 3, H, W) uint8 images to features (N, D) and logits (N, classes).
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
        with torch.inference_mode():
            prediction: Prediction = self.network(images)
        return prediction

    def to(self, device: torch.device) -> FeatureExtractor:
        """Copy the extractor to ``device``."""
        return FeatureExtractor(copy.deepcopy(self.network).to(device), self.provenance)


class InceptionNetwork(nn.Module):
    """torch-fidelity's Inception v3 (Heusel et al. 2017): 2,048 features and 1,008 logits.

    The network resizes images of any size to 299x299 itself.
    """

    def __init__(self, weights: Path | None) -> None:
        super().__init__()
        from torch_fidelity.feature_extractor_inceptionv3 import (  # noqa: PLC0415 (loads torchvision, a second)
            FeatureExtractorInceptionV3,
        )

        self.inception = FeatureExtractorInceptionV3(
            "inception-v3-compat",
            INCEPTION_LAYERS,
            feature_extractor_weights_path=None if weights is None else str(weights),
        )

    def forward(self, images: Tensor) -> Prediction:
        """Extract features and logits of (N, 1 or 3, H, W) uint8 images; grey is repeated to three channels."""
        return Prediction(*self.inception(images.expand(-1, 3, -1, -1)))


def get_extractor(store: KeyedStore, images: ImageSet, config: ScoringConfig, device: DeviceName) -> FeatureExtractor:
    """Return the extractor of a configuration; a classifier is fitted unless the store holds it.

    Args:
        store: fitted classifiers.
        images: with a train split to fit the classifier on and a test split to measure its accuracy.
        config: the extractor, Inception's weights, and how the classifier is fitted.
        device: where to fit the classifier; the extractor is returned on the CPU.

    Raises:
        ExtractorUnavailable: if Inception's weights cannot be read or downloaded.
    """
    if config.extractor == "inception":
        return open_inception(config.inception_weights)
    return _get_classifier(store, images, config, device)


def open_inception(weights: str | None) -> FeatureExtractor:
    """Open Inception on the CPU.

    Args:
        weights: path of the weights, or None for those in PyTorch's hub cache, which are downloaded if missing.

    Raises:
        ExtractorUnavailable: if the weights cannot be read or downloaded, or are not Inception's.
    """
    remedy = "name a local copy in scoring.inception_weights, or set scoring.extractor to classifier"
    path = None if weights is None else Path(weights)
    try:
        if path is not None:
            torch.load(path, weights_only=True)  # refuses pickled code, which torch-fidelity would run
        network = InceptionNetwork(path)
    except Exception as error:  # a download, the cache or a wrong file may raise any type
        reason = str(error).splitlines()[0]
        source = "downloaded or read from PyTorch's hub cache" if path is None else f"read from {path}"
        raise ExtractorUnavailable(f"Inception's weights could not be {source} ({reason}); {remedy}.") from error
    return FeatureExtractor(network, {"name": "inception-v3", "weights_hash": hash_weights(network.inception)})


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
