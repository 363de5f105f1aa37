from __future__ import annotations

import numpy as np
import pytest
import torch
from torch_fidelity.metric_isc import isc_features_to_metric

from gan_pipelines.metrics import inception_score


@pytest.mark.parametrize("splits", [1, 10])
def test_equals_torch_fidelity(splits):
    logits = torch.randn(500, 7) * 3
    mean, std = inception_score(logits, splits)
    oracle = isc_features_to_metric(logits, splits=splits, shuffle=False)
    assert mean == pytest.approx(oracle["inception_score_mean"], rel=1e-6)
    assert std == pytest.approx(oracle["inception_score_std"], rel=1e-5, abs=1e-12)


def test_equals_the_definition():
    logits = torch.randn(60, 4, dtype=torch.float64)
    probabilities = np.exp(logits.numpy()) / np.exp(logits.numpy()).sum(1, keepdims=True)
    marginal = probabilities.mean(0)
    expected = np.exp((probabilities * np.log(probabilities / marginal)).sum(1).mean())
    assert inception_score(logits, 1)[0] == pytest.approx(expected, rel=1e-12)


def test_certain_predictions_of_equally_many_images_per_class_score_the_number_of_classes():
    logits = torch.eye(5).repeat(20, 1) * 1e4
    assert inception_score(logits, 4) == pytest.approx((5, 0))


def test_equal_predictions_score_one():
    assert inception_score(torch.tensor([[2.0, -1.0, 0.5]]).repeat(50, 1), 5) == pytest.approx((1, 0))
