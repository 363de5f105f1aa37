from __future__ import annotations

import math

import pytest
import torch
from torch import nn

from gan_pipelines.gan.health import HealthCheck, TrainingDiverged, diversity


def metrics(sample_diversity, loss=1.0):
    return {"generator_loss": loss, "sample_diversity": sample_diversity}


def test_diversity_is_the_spread_of_pixels_over_images():
    images = torch.stack([torch.full((1, 4, 4), level, dtype=torch.uint8) for level in (0, 100)])
    assert diversity(images) == pytest.approx(50)
    gradient = torch.arange(16, dtype=torch.uint8).view(1, 1, 4, 4).expand(8, -1, -1, -1)
    assert diversity(gradient) == 0


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_a_loss_that_is_no_number_ends_the_training(bad):
    with pytest.raises(TrainingDiverged, match="generator_loss became .* in epoch 3"):
        HealthCheck().check(3, metrics(1.0, loss=bad), [])


def test_a_fresh_generator_may_be_grey_for_long():
    check = HealthCheck()
    for epoch in range(1, 20):
        check.check(epoch, metrics(0.001), [])


def test_a_single_dip_heals():
    check = HealthCheck()
    values = [0.5, 0.01, 0.01, 0.5, 0.01, 0.01, 0.5]
    collapsed = []
    for epoch, value in enumerate(values, start=1):
        check.check(epoch, metrics(value), [])
        collapsed.append(check.collapsed_epochs)
    assert collapsed == [0, 1, 2, 0, 1, 2, 0]


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_a_weight_that_is_no_number_ends_the_training(bad):
    network = nn.Linear(3, 3)
    HealthCheck().check(1, metrics(1.0), [network])
    network.weight.data[1, 1] = bad
    with pytest.raises(TrainingDiverged, match="weights of the Linear became infinite or NaN in epoch 1"):
        HealthCheck().check(1, metrics(1.0), [network])


def test_a_lasting_collapse_ends_the_training():
    check = HealthCheck()
    for epoch, value in enumerate([0.5, 0.01, 0.01], start=1):
        check.check(epoch, metrics(value), [])
    with pytest.raises(TrainingDiverged, match="collapsed: for 3 epochs up to epoch 4"):
        check.check(4, metrics(0.01), [])
