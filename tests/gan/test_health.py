from __future__ import annotations

import math

import pytest
import torch
from sklearn.datasets import load_digits
from torch import nn

from gan_pipelines.gan.health import NARROW_BELOW, HealthCheck, TrainingDiverged, diversity


def metrics(sample_diversity, loss=1.0):
    return {"generator_loss": loss, "sample_diversity": sample_diversity}


def test_diversity_is_the_median_distance_to_the_nearest_other_image():
    levels = [0, 10, 30, 100, 200]  # distances to the nearest: 10, 10, 20, 70, 100
    images = torch.stack([torch.full((3, 4, 4), level, dtype=torch.uint8) for level in levels])
    assert diversity(images) == pytest.approx(20)
    halves = torch.zeros(2, 1, 2, 2, dtype=torch.uint8)
    halves[1, 0, 0] = 100  # half of the pixels differ by 100: root mean square 100 / sqrt 2
    assert diversity(halves) == pytest.approx(100 / math.sqrt(2))
    assert diversity(torch.full((8, 1, 4, 4), 77, dtype=torch.uint8)) == 0


@pytest.fixture(scope="module")
def digits():
    images = torch.tensor(load_digits().images * 15.9, dtype=torch.uint8)[:, None]
    return images[torch.randperm(len(images), generator=torch.Generator().manual_seed(0))]


@pytest.mark.parametrize("modes", [1, 3, 10, 20])
@pytest.mark.parametrize("noise", [0, 10])
def test_samples_of_a_few_modes_are_told_from_healthy_ones(digits, modes, noise):
    # Real images in place of samples: each a digit of its own, or a few digits again and again, with some noise.
    real, healthy = diversity(digits[:64]), diversity(digits[64:128])
    chosen = digits[torch.arange(64) % modes].float()
    collapsed = (chosen + noise * torch.randn(chosen.shape)).clamp(0, 255).to(torch.uint8)
    assert healthy / real > 2 * NARROW_BELOW
    assert diversity(collapsed) / real < NARROW_BELOW


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_a_loss_that_is_no_number_ends_the_training(bad):
    with pytest.raises(TrainingDiverged, match="generator_loss became .* in epoch 3"):
        HealthCheck().check(3, metrics(1.0, loss=bad), [])


def test_a_fresh_generator_may_be_grey_for_long():
    check = HealthCheck()
    for epoch in range(1, 20):
        check.check(epoch, metrics(0.001), [])
        assert not check.has_collapsed


def test_a_single_dip_heals():
    check = HealthCheck()
    values = [0.5, 0.01, 0.01, 0.5, 0.01, 0.01, 0.5]
    collapsed = []
    for epoch, value in enumerate(values, start=1):
        check.check(epoch, metrics(value), [])
        collapsed.append(check.collapsed_epochs)
    assert collapsed == [0, 1, 2, 0, 1, 2, 0]


@pytest.mark.parametrize(
    ("values", "warned_in"),
    [
        ([0.1, 0.2, 0.8, 0.3, 0.3, 0.3, 0.3], [6]),  # once
        ([0.8, 0.3, 0.3, 0.7, 0.3, 0.3, 0.7], []),  # dips heal
        ([0.1, 0.2, 0.3, 0.3, 0.3], []),  # it was never there
    ],
)
def test_mode_collapse_is_warned_of_when_variety_is_lost_for_good(values, warned_in, caplog):
    check = HealthCheck()
    for epoch, value in enumerate(values, start=1):
        check.check(epoch, metrics(value), [])
    assert [message.split(":")[0] for message in caplog.messages] == [f"Epoch {epoch}" for epoch in warned_in]
    assert all("mode collapse" in message for message in caplog.messages)


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_a_weight_that_is_no_number_ends_the_training(bad):
    network = nn.Linear(3, 3)
    HealthCheck().check(1, metrics(1.0), [network])
    network.weight.data[1, 1] = bad
    with pytest.raises(TrainingDiverged, match="weights of the Linear became infinite or NaN in epoch 1"):
        HealthCheck().check(1, metrics(1.0), [network])


def test_a_lasting_collapse_is_noted_and_not_taken_for_mode_collapse(caplog):
    check, noted = HealthCheck(), []
    for epoch, value in enumerate([0.5, 0.01, 0.01, 0.01, 0.01, 0.5], start=1):
        check.check(epoch, metrics(value), [])
        noted.append(check.has_collapsed)
    assert noted == [False, False, False, True, True, False]
    assert caplog.messages == []
