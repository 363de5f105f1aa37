"""Simple classifiers of pixels, for comparison with the networks."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression
from sklearn.metrics.pairwise import rbf_kernel
from sklearn.neighbors import KNeighborsClassifier
from sklearn.svm import SVC

from gan_pipelines.augmentation.splits import Draw, draw_rows
from gan_pipelines.images import ImageSet

MAX_IMAGES = 5_000
"""Maximum number of training images of a simple classifier; the time of an SVM grows with their square."""
ITERATIONS = 1_000
"""Maximum number of iterations of logistic regression."""

Pixels = NDArray[np.floating]


def score_simple_classifiers(draws: Sequence[Draw], test: ImageSet) -> pd.DataFrame:
    """Fit scikit-learn's classifiers on the real images of each replicate, or on `MAX_IMAGES` of them.

    They are an SVM with the RBF kernel, the nearest neighbour and logistic regression, with their default settings, on
    flattened pixels in [0, 1]. They need no validation split.

    Args:
        draws: real images of the replicates.
        test: images to score on.

    Returns:
        one row for each replicate and classifier: ``fraction``, ``seed``, ``classifier``, ``images`` (number of
        training images) and ``accuracy`` on the test split, from 0 to 1.
    """
    test_pixels = _flatten(test.images)
    rows = []
    for draw in draws:
        images = _limit(draw)
        predictions = _predict(_flatten(images.images), images.labels, test_pixels)
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


def _predict(train: Pixels, labels: NDArray[np.int64], test: Pixels) -> dict[str, NDArray[np.int64]]:
    gamma = 1 / (train.shape[1] * float(train.var()))  # SVC's default; with its own kernel it takes far longer
    svm = SVC(kernel="precomputed").fit(rbf_kernel(train, train, gamma), labels)
    return {
        "SVM": svm.predict(rbf_kernel(test, train, gamma)),
        "1-NN": KNeighborsClassifier(1).fit(train, labels).predict(test),
        "logistic regression": LogisticRegression(max_iter=ITERATIONS).fit(train, labels).predict(test),
    }


def _limit(draw: Draw) -> ImageSet:
    """The images of a replicate; of many, as many of each class as their share of `MAX_IMAGES`."""
    images = draw.images
    if len(images) <= MAX_IMAGES:
        return images
    return images.take(draw_rows(images.labels, np.arange(len(images)), MAX_IMAGES / len(images), draw.seed), "train")


def _flatten(images: NDArray[np.uint8]) -> Pixels:
    """Images (N, C, H, W) uint8 as vectors (N, C x H x W) in [0, 1]."""
    return images.reshape(len(images), -1) / np.float32(255)
