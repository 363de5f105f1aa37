"""Simple classifiers, of pixels and of features with fixed weights, for comparison with the networks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression
from sklearn.metrics.pairwise import rbf_kernel
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC

from gan_pipelines.augmentation.config import ProbeName
from gan_pipelines.augmentation.splits import Draw, ImageSplits, draw_rows
from gan_pipelines.core.runtime import DeviceName
from gan_pipelines.core.stores import KeyedStore
from gan_pipelines.images import ImageSet
from gan_pipelines.metrics import open_pretrained, open_reference

MAX_IMAGES = 5_000
"""Maximum number of training images of a simple classifier; the time of an SVM grows with their square."""
ITERATIONS = 1_000
"""Maximum number of iterations of logistic regression."""
PROBE = "linear probe of ImageNet features"

Vectors = NDArray[np.floating]
Features = Mapping[bytes, Vectors]
"""Features (D,) of images by their hash."""


def open_features(store: KeyedStore, splits: ImageSplits, probe: ProbeName, device: DeviceName) -> Features:
    """Return the features of the training and test images; they are extracted unless the store holds them.

    Args:
        store: reference statistics of earlier calls, as in `open_reference`.
        splits: the images.
        probe: feature extractor.
        device: where to extract.

    Raises:
        ExtractorUnavailable: if the network or its weights cannot be had.
    """
    extractor = open_pretrained(probe, setting="augmentation.probe")
    found = [open_reference(store, images, extractor, device) for images in (splits.train, splits.test)]
    return {
        image.tobytes(): vector
        for each in found
        for image, vector in zip(each.images.image_hashes, each.features.numpy(), strict=True)
    }


def score_simple_classifiers(draws: Sequence[Draw], test: ImageSet, features: Features | None = None) -> pd.DataFrame:
    """Fit scikit-learn's classifiers on the real images of each replicate, or on `MAX_IMAGES` of them.

    They are an SVM with the RBF kernel, the nearest neighbour and logistic regression, with their default settings, on
    flattened pixels in [0, 1]. A linear probe is logistic regression with the same settings (L2 penalty, C = 1) on
    features of the images, each divided by its standard deviation after subtracting its mean, both over the images that
    it is fitted on. None of them needs a validation split.

    Args:
        draws: real images of the replicates.
        test: images to score on.
        features: of all these images, from `open_features`; None fits no linear probe.

    Returns:
        one row for each replicate and classifier: ``fraction``, ``seed``, ``classifier``, ``images`` (number of
        training images) and ``accuracy`` on the test split, from 0 to 1.
    """
    test_pixels = _flatten(test.images)
    rows = []
    for draw in draws:
        images = _limit(draw)
        predictions = _predict(_flatten(images.images), images.labels, test_pixels)
        if features is not None:
            predictions[PROBE] = _probe(_look_up(images, features), images.labels, _look_up(test, features))
        rows += [
            {
                "fraction": draw.fraction,
                "seed": draw.seed,
                "classifier": name,
                "images": len(images),
                "accuracy": float((predicted == test.labels).mean()),
            }
            for name, predicted in predictions.items()
        ]
    return pd.DataFrame(rows)


def _predict(train: Vectors, labels: NDArray[np.int64], test: Vectors) -> dict[str, NDArray[np.int64]]:
    gamma = 1 / (train.shape[1] * float(train.var()))  # SVC's default; with its own kernel it takes far longer
    svm = SVC(kernel="precomputed").fit(rbf_kernel(train, train, gamma), labels)
    return {
        "SVM": svm.predict(rbf_kernel(test, train, gamma)),
        "1-NN": KNeighborsClassifier(1).fit(train, labels).predict(test),
        "logistic regression": LogisticRegression(max_iter=ITERATIONS).fit(train, labels).predict(test),
    }


def _probe(train: Vectors, labels: NDArray[np.int64], test: Vectors) -> NDArray[np.int64]:
    return make_pipeline(StandardScaler(), LogisticRegression(max_iter=ITERATIONS)).fit(train, labels).predict(test)


def _limit(draw: Draw) -> ImageSet:
    """The images of a replicate; of many, as many of each class as their share of `MAX_IMAGES`."""
    images = draw.images
    if len(images) <= MAX_IMAGES:
        return images
    return images.take(draw_rows(images.labels, np.arange(len(images)), MAX_IMAGES / len(images), draw.seed), "train")


def _look_up(images: ImageSet, features: Features) -> Vectors:
    """Features (N, D) of images."""
    return np.stack([features[image.tobytes()] for image in images.image_hashes])


def _flatten(images: NDArray[np.uint8]) -> Vectors:
    """Images (N, C, H, W) uint8 as vectors (N, C x H x W) in [0, 1]."""
    return images.reshape(len(images), -1) / np.float32(255)
