"""Scores of predicted class probabilities."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import f1_score, recall_score

CALIBRATION_BINS = 15
"""Number of confidence bins of the expected calibration error."""


class PredictionScores(NamedTuple):
    """Scores of predicted class probabilities, all but the loss from 0 to 1.

    Attributes:
        accuracy: share of images whose most probable class is their label.
        macro_f1: F1 score, averaged over the classes that have images.
        calibration_error: expected calibration error (Guo et al. 2017) over 15 bins of equal width; NaN for a
            classifier that has diverged.
        loss: mean cross entropy, in nats; NaN for a classifier that has diverged.
        class_accuracy: for each class, the share of its images that are classified correctly; NaN if there are none.
    """

    accuracy: float
    macro_f1: float
    calibration_error: float
    loss: float
    class_accuracy: list[float]


def score_predictions(probabilities: NDArray[np.floating], labels: NDArray[np.int64]) -> PredictionScores:
    """Score class probabilities (N, classes), whose rows sum to 1, against class indices (N,)."""
    classes = range(probabilities.shape[1])
    predicted = probabilities.argmax(axis=1)
    recalls = recall_score(labels, predicted, labels=classes, average=None, zero_division=np.nan)
    return PredictionScores(
        accuracy=float((predicted == labels).mean()),
        macro_f1=float(f1_score(labels, predicted, labels=np.unique(labels), average="macro", zero_division=0.0)),
        calibration_error=_calibration_error(probabilities.max(axis=1), predicted == labels),
        loss=_cross_entropy(probabilities, labels),
        class_accuracy=recalls.tolist(),
    )


def _cross_entropy(probabilities: NDArray[np.floating], labels: NDArray[np.int64]) -> float:
    """Mean negative log of the probability of the label, which counts as at least the machine epsilon."""
    of_labels = probabilities[np.arange(len(labels)), labels]
    return float(-np.log(of_labels.clip(min=np.finfo(probabilities.dtype).eps)).mean())


def _calibration_error(confidences: NDArray[np.floating], correct: NDArray[np.bool_]) -> float:
    """Average the gap between accuracy and mean confidence over the bins, weighted by their numbers of images."""
    if np.isnan(confidences).any():
        return float("nan")
    bins = np.minimum((confidences * CALIBRATION_BINS).astype(int), CALIBRATION_BINS - 1)
    gaps = np.bincount(bins, weights=correct.astype(float) - confidences, minlength=CALIBRATION_BINS)
    return float(np.abs(gaps).sum() / len(confidences))
