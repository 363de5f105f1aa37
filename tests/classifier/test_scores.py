from __future__ import annotations

import numpy as np
import pytest

from gan_pipelines.classifier import score_predictions

# Predicted classes 0, 0, 1, 2; labels 0, 1, 1, 0.
PROBABILITIES = np.array([[0.9, 0.1, 0.0], [0.6, 0.4, 0.0], [0.2, 0.7, 0.1], [0.1, 0.1, 0.8]])
LABELS = np.array([0, 1, 1, 0])


def test_accuracy_and_f1_by_hand():
    scores = score_predictions(PROBABILITIES, LABELS)
    assert scores.accuracy == 0.5
    assert scores.class_accuracy[:2] == [0.5, 0.5]
    assert np.isnan(scores.class_accuracy[2])  # no image has label 2
    # F1 of class 0: precision 1/2, recall 1/2; of class 1: 1 and 1/2; class 2 has no image.
    assert scores.macro_f1 == pytest.approx((1 / 2 + 2 / 3) / 2)


def test_calibration_error_by_hand():
    # Four bins of one image each: |1 - 0.9|, |0 - 0.6|, |1 - 0.7|, |0 - 0.8|.
    assert score_predictions(PROBABILITIES, LABELS).calibration_error == pytest.approx((0.1 + 0.6 + 0.3 + 0.8) / 4)


def test_loss_by_hand():
    of_labels = [0.9, 0.4, 0.7, 0.1]
    assert score_predictions(PROBABILITIES, LABELS).loss == pytest.approx(-np.log(of_labels).mean())


def test_a_label_of_probability_zero_has_a_finite_loss():
    assert score_predictions(np.array([[1.0, 0.0]]), np.array([1])).loss == pytest.approx(-np.log(np.finfo(float).eps))


def test_a_classifier_that_has_diverged_has_neither_loss_nor_calibration():
    scores = score_predictions(np.full((3, 2), np.nan), np.array([0, 0, 1]))
    assert np.isnan([scores.loss, scores.calibration_error]).all()
    assert scores.accuracy == pytest.approx(2 / 3)  # NaN counts as the first class


def test_images_of_one_bin_are_averaged_before_the_gap_is_taken():
    probabilities = np.tile([0.75, 0.25], (8, 1))
    labels = np.array([0, 0, 0, 0, 0, 0, 1, 1])
    assert score_predictions(probabilities, labels).calibration_error == pytest.approx(0)
    assert score_predictions(np.tile([1.0, 0.0], (4, 1)), np.array([0, 0, 0, 1])).calibration_error == pytest.approx(
        0.25
    )
