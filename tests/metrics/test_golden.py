"""Scores of fixed features are what they were when the numbers in golden.json were written."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

import pytest
import torch

from gan_pipelines.metrics import (
    Moments,
    Radii,
    extrapolate_frechet,
    frechet_distance,
    inception_score,
    kernel_distance,
    neighbour_scores,
)

GOLDEN = json.loads((Path(__file__).parents[1] / "fixtures/golden.json").read_text())["scores"]


def compute_scores():
    draws = torch.Generator().manual_seed(0)
    real, fake = torch.randn(2, 300, 16, generator=draws)
    logits = 2 * torch.randn(300, 10, generator=draws)
    fake = fake * 1.1 + 0.3
    moments = Moments.of(real)
    return {
        "frechet_distance": frechet_distance(moments, Moments.of(fake)),
        "frechet_distance_of_stream": frechet_distance(moments, Moments.of_stream(fake.split(70))),
        "extrapolate_frechet": extrapolate_frechet(moments, [Moments.of(part) for part in fake.tensor_split(4)]),
        "kernel_distance": kernel_distance(fake, real)[0],
        "kernel_distance_of_subsets": kernel_distance(fake[:200], real)[0],
        "neighbour_scores": asdict(neighbour_scores(real, fake, Radii.of(real))),
        "inception_score": inception_score(logits, 10),
        "inception_score_of_one_part": inception_score(logits, 1),
    }


@pytest.fixture(scope="module")
def scores():
    return compute_scores()


@pytest.mark.parametrize("name", GOLDEN)
def test_the_scores_of_fixed_features_have_not_changed(name, scores):
    found = scores[name] if isinstance(scores[name], dict | float) else list(scores[name])
    assert found == pytest.approx(GOLDEN[name], rel=1e-6, abs=1e-9), (
        "The same features give another score. If that is meant, raise ENTRY_VERSION in metrics/reference.py, so that "
        "stored references are made anew, and write the new numbers into tests/fixtures/golden.json."
    )
