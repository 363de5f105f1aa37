"""How good predictions are."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import f1_score, recall_score

CALIBRATION_BINS = 15


class PredictionScores(NamedTuple):
    """Of predicted class probabilities.

    Attributes:
        accuracy: share of images whose most probable class is theirs.
        macro_f1: mean over classes of the F1 score.
        calibration_error: expected calibration error (Guo et al. 2017), over 15 bins of equal width.
        class_accuracy: of each class, the share of its images that are recognised; NaN without any.
    """

    accuracy: float
    macro_f1: float
    calibration_error: float
    class_accuracy: list[float]


def score_predictions(probabilities: NDArray[np.floating], labels: NDArray[np.int64]) -> PredictionScores:
    """Score class probabilities (N, classes), rows of which sum to 1, against class indices (N,)."""
    classes = range(probabilities.shape[1])
    guesses = probabilities.argmax(axis=1)
    recalls = recall_score(labels, guesses, labels=classes, average=None, zero_division=np.nan)
    return PredictionScores(
        accuracy=float((guesses == labels).mean()),
        macro_f1=float(f1_score(labels, guesses, labels=classes, average="macro", zero_division=0.0)),
        calibration_error=_calibration_error(probabilities.max(axis=1), guesses == labels),
        class_accuracy=recalls.tolist(),
    )


def _calibration_error(confidences: NDArray[np.floating], correct: NDArray[np.bool_]) -> float:
    """Mean, weighted by the images of a bin, of how far its accuracy is from its mean confidence."""
    bins = np.minimum((confidences * CALIBRATION_BINS).astype(int), CALIBRATION_BINS - 1)
    gaps = np.bincount(bins, weights=correct.astype(float) - confidences, minlength=CALIBRATION_BINS)
    return float(np.abs(gaps).sum() / len(confidences))
