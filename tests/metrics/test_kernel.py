from __future__ import annotations

import numpy as np
import pytest
import torch
from torch_fidelity.metric_kid import kid_features_to_metric

from gan_pipelines.metrics import kernel, kernel_distance


def check_against_torch_fidelity(first, second, subsets):
    features = torch.randn(first, 24), torch.randn(second, 24) * 1.1 + 0.1
    ours = kernel_distance(*features)
    size = min(1000, first, second)
    oracle = kid_features_to_metric(*features, kid_subset_size=size, kid_subsets=subsets, verbose=False)
    assert ours[0] == pytest.approx(oracle["kernel_inception_distance_mean"], abs=1e-6)
    return ours[1], pytest.approx(oracle["kernel_inception_distance_std"], abs=1e-5)


@pytest.mark.parametrize(("first", "second"), [(300, 200), (150, 150)])
def test_equals_torch_fidelity(first, second):
    check_against_torch_fidelity(first, second, subsets=100)


def test_a_set_that_is_whole_in_every_pair_gives_no_standard_deviation():
    for second in (100, 101, 1500):
        assert kernel_distance(torch.randn(100, 8), torch.randn(second, 8))[1] is None


def test_a_subset_has_at_most_a_thousand_features(monkeypatch):
    monkeypatch.setattr(kernel, "SUBSETS", 10)
    spread, expected = check_against_torch_fidelity(1300, 1100, subsets=10)
    assert spread == expected


def test_equals_the_definition():
    first, second = torch.randn(7, 3), torch.randn(7, 3) + 1

    def kernel(x, y):
        return (np.dot(x, y) / 3 + 1) ** 3

    x, y = first.double().numpy(), second.double().numpy()
    pairs = [(i, j) for i in range(7) for j in range(7) if i != j]
    expected = np.mean([kernel(x[i], x[j]) + kernel(y[i], y[j]) for i, j in pairs])
    expected -= 2 * np.mean([kernel(a, b) for a in x for b in y])
    assert kernel_distance(first, second)[0] == pytest.approx(expected, rel=1e-5)


def test_the_distance_between_samples_of_one_distribution_is_zero_on_average():
    distances = [kernel_distance(torch.randn(40, 8), torch.randn(40, 8))[0] for _ in range(200)]
    assert abs(np.mean(distances)) < 3 * np.std(distances) / np.sqrt(200)


def test_the_distance_between_stratified_samples_is_too_low():
    """As the docstring says: with equal numbers of each class, the means differ less than by chance."""
    means = 3 * torch.randn(4, 8)

    def draw(labels):
        return means[labels] + torch.randn(len(labels), 8)

    stratified, independent = (
        [kernel_distance(draw(labels()), draw(labels()))[0] for _ in range(200)]
        for labels in (lambda: torch.arange(40) % 4, lambda: torch.randint(4, (40,)))
    )
    assert abs(np.mean(independent)) < 3 * np.std(independent) / np.sqrt(200)
    assert np.mean(stratified) < -10 * np.std(stratified) / np.sqrt(200)
