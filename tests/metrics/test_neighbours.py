from __future__ import annotations

from dataclasses import astuple

import numpy as np
import pytest
import torch
from sklearn.neighbors import NearestNeighbors
from torch_fidelity.metric_prc import prc_features_to_metric

from gan_pipelines.metrics import Radii, nearest_neighbours, neighbour_scores, neighbours


@pytest.fixture(params=[7, 500])
def _block_size(request, monkeypatch):
    monkeypatch.setattr(neighbours, "BLOCK", request.param)


@pytest.mark.usefixtures("_block_size")
def test_precision_and_recall_equal_torch_fidelity():
    real, fake = torch.randn(120, 5).double(), torch.randn(90, 5).double() * 0.8 + 0.3
    ours = neighbour_scores(real, fake, Radii.of(real))
    oracle = prc_features_to_metric(fake, real, prc_neighborhood=3, verbose=False)
    assert (ours.precision, ours.recall) == pytest.approx((oracle["precision"], oracle["recall"]))
    assert 0 < ours.recall < ours.precision < 1


@pytest.mark.usefixtures("_block_size")
def test_density_and_coverage_equal_their_definitions():
    real, fake = torch.randn(60, 4), torch.randn(45, 4) + 0.5
    x, y = real.double().numpy(), fake.double().numpy()
    radii = [sorted(np.linalg.norm(x - point, axis=1))[5] for point in x]  # 0 is the point itself
    inside = np.array([[np.linalg.norm(a - b) <= radius for b in y] for a, radius in zip(x, radii, strict=True)])
    ours = neighbour_scores(real, fake, Radii.of(real))
    assert ours.density == pytest.approx(inside.sum() / (5 * 45))
    assert ours.coverage == pytest.approx(inside.any(axis=1).mean())
    assert 0 < ours.coverage < 1


def test_equal_sets_overlap_fully_and_distant_sets_not_at_all():
    real = torch.randn(50, 3)
    same = neighbour_scores(real, real, Radii.of(real))
    assert (same.precision, same.recall, same.coverage) == (1, 1, 1)
    assert astuple(neighbour_scores(real, real + 100, Radii.of(real))) == (0, 0, 0, 0)


def test_a_generator_of_few_images_has_high_precision_and_low_recall():
    real = torch.randn(200, 3)
    few = neighbour_scores(real, real[:8].repeat(10, 1), Radii.of(real))
    assert few.precision == 1
    assert few.recall <= 8 / 200
    assert few.coverage < 0.5


@pytest.mark.usefixtures("_block_size")
def test_nearest_neighbours_equal_scikit_learn():
    points, queries = torch.randn(80, 6), torch.randn(30, 6)
    distances, indices = nearest_neighbours(queries, points, 4)
    expected_distances, expected = NearestNeighbors(n_neighbors=4).fit(points.double()).kneighbors(queries.double())
    np.testing.assert_array_equal(indices.numpy(), expected)
    np.testing.assert_allclose(distances.numpy(), expected_distances, rtol=1e-9)
