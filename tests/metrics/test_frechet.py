from __future__ import annotations

import weakref

import numpy as np
import pytest
import scipy.linalg
import scipy.stats
import torch
from torch_fidelity.metric_fid import fid_statistics_to_metric

from gan_pipelines.metrics import Moments, extrapolate_frechet, frechet_distance
from gan_pipelines.metrics.frechet import EXTRAPOLATION_PARTS, SAMPLES_PER_FEATURE


def moments(features, batch_size=97):
    return Moments.of_stream(torch.as_tensor(features).split(batch_size))


def correlated(count, size, seed, scale=1.0):
    draws = np.random.default_rng(seed)
    return draws.normal(size=(count, size)) @ draws.normal(size=(size, size)) * scale + draws.normal(size=size)


def test_moments_equal_numpy_for_any_batch_size():
    features = correlated(500, 16, seed=0)
    for batch_size in (1, 97, 500):
        ours = moments(features, batch_size)
        assert ours.count == 500
        np.testing.assert_allclose(ours.mean.numpy(), features.mean(0), rtol=1e-12)
        np.testing.assert_allclose(ours.covariance.numpy(), np.cov(features, rowvar=False), rtol=1e-10, atol=1e-12)


def test_the_covariance_is_accurate_despite_a_large_offset():
    features = correlated(300, 8, seed=1)
    shifted = moments(features + 1e7).covariance
    np.testing.assert_allclose(shifted.numpy(), np.cov(features, rowvar=False), rtol=1e-6)


def test_a_stream_is_not_held_in_memory():
    alive = []

    def batches():
        for _ in range(20):
            batch = torch.randn(5, 3)
            alive.append(weakref.ref(batch))
            yield batch
            del batch
            assert sum(reference() is not None for reference in alive) <= 1

    assert Moments.of_stream(batches()).count == 100


def test_moments_keep_their_root_where_they_are():
    ours = moments(correlated(50, 4, seed=0))
    assert ours.to(torch.device("cpu")).root is ours.root


def test_the_distance_equals_the_closed_form_for_independent_features():
    # Whitened features have exactly the unit covariance, so both Gaussians are known exactly.
    raw = torch.randn(400, 6, dtype=torch.float64)
    raw -= raw.mean(0)
    white = raw @ torch.linalg.inv(torch.linalg.cholesky(torch.cov(raw.T))).T
    first_std, second_std = torch.tensor([1.0, 2, 3, 4, 5, 6]), torch.tensor([2.0, 2, 1, 8, 5, 0.5])
    offset = torch.tensor([0.0, 1, 0, 0, -2, 0])
    expected = offset.square().sum() + (first_std - second_std).square().sum()
    distance = frechet_distance(moments(white * first_std), moments(white * second_std + offset))
    assert distance == pytest.approx(expected.item(), rel=1e-9)


@pytest.mark.parametrize(("count", "size"), [(400, 32), (40, 64)])
def test_the_distance_equals_scipy_and_torch_fidelity(count, size):
    """The second pair has fewer samples than features: both covariances are singular."""
    first, second = correlated(count, size, seed=2), correlated(count, size, seed=3, scale=1.5)
    ours = frechet_distance(moments(first), moments(second))
    means, covariances = [x.mean(0) for x in (first, second)], [np.cov(x, rowvar=False) for x in (first, second)]
    root = scipy.linalg.sqrtm(covariances[0] @ covariances[1])
    expected = np.sum((means[0] - means[1]) ** 2) + np.trace(covariances[0] + covariances[1] - 2 * root.real)
    statistics = [{"mu": mean, "sigma": sigma} for mean, sigma in zip(means, covariances, strict=True)]
    oracle = fid_statistics_to_metric(*statistics, verbose=False)["frechet_inception_distance"]
    tolerance = 1e-6 * np.trace(covariances[0] + covariances[1])
    assert ours == pytest.approx(oracle, abs=tolerance)
    if count > size:
        assert ours == pytest.approx(expected, abs=tolerance)


def test_the_distance_of_a_set_to_itself_is_zero_and_distances_are_symmetric():
    first, second = moments(correlated(200, 8, seed=4)), moments(correlated(200, 8, seed=5))
    assert frechet_distance(first, first) == pytest.approx(0, abs=1e-9)
    assert frechet_distance(first, second) == pytest.approx(frechet_distance(second, first), rel=1e-9)


@pytest.mark.integration
@pytest.mark.parametrize("scale", [1.0, 1.2])
def test_the_interval_of_the_extrapolation_contains_the_true_distance(scale):
    """The distance of two known Gaussians has a closed form; FID of few samples is far above it."""
    size, repeats = 8, 60
    reference = Moments(10, torch.zeros(size).double(), 9 * torch.eye(size).double())
    expected = size * (scale - 1) ** 2
    quantile = scipy.stats.t.ppf(0.975, EXTRAPOLATION_PARTS - 1)
    draws = torch.Generator().manual_seed(0)
    values, plain, is_covered = [], [], []
    for _ in range(repeats):
        parts = scale * torch.randn(
            EXTRAPOLATION_PARTS, size * SAMPLES_PER_FEATURE // EXTRAPOLATION_PARTS, size, generator=draws
        )
        value, error = extrapolate_frechet(reference, [Moments.of(part) for part in parts])
        values.append(value)
        plain.append(frechet_distance(reference, Moments.of(parts.flatten(end_dim=1))))
        is_covered.append(abs(value - expected) < quantile * error)
    bias, spread = np.mean(values) - expected, np.std(values)
    assert abs(bias) < 3 * spread / repeats**0.5
    assert np.mean(plain) - expected > 10 * spread / repeats**0.5
    assert np.mean(is_covered) > 0.88


def test_the_extrapolation_of_many_samples_is_precise():
    """Its error is that of the sampled mean: the variance of |m + e|^2 is 4 |m|^2 / N, where m is large."""
    reference = Moments(10, torch.zeros(4).double(), 9 * torch.eye(4).double())
    mean = torch.tensor([6.0, 0, 0, 0])
    errors = [
        extrapolate_frechet(reference, [Moments.of(part) for part in (torch.randn(4000, 4) + mean).tensor_split(20)])[1]
        for _ in range(20)
    ]
    assert np.mean(errors) == pytest.approx(2 * 6 / 4000**0.5, rel=0.15)


def test_the_extrapolation_is_the_intercept_of_a_line_through_two_numbers_of_samples():
    parts = [Moments(30, torch.zeros(4).double(), 30 * torch.eye(4).double()) for _ in range(4)]
    reference = Moments(1000, torch.zeros(4).double(), 999 * torch.eye(4).double())
    counts = np.array([90, 120])
    # Equal means and covariances of N / (N - 1) times the unit matrix, so each distance is known.
    distances = 4 * (np.sqrt(counts / (counts - 1)) - 1) ** 2
    line = np.polynomial.Polynomial.fit(1 / counts, distances, 1).convert()
    value, error = extrapolate_frechet(reference, parts)
    assert value == pytest.approx(line.coef[0], rel=1e-6)
    assert error == pytest.approx(0, abs=1e-12)
