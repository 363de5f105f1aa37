from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch import nn
from torch_fidelity.metric_fid import fid_features_to_statistics, fid_statistics_to_metric
from torch_fidelity.metric_isc import isc_features_to_metric

from gan_pipelines.classifier.resnet import Prediction
from gan_pipelines.gan import train
from gan_pipelines.metrics import FeatureExtractor, ScoringConfig, score_generator
from gan_pipelines.typed_config import ConfigError

CONFIG = ScoringConfig(samples=300, is_splits=3, seed=5)


class Projection(nn.Module):
    """A fixed random projection in place of a trained network."""

    def __init__(self):
        super().__init__()
        draws = torch.Generator().manual_seed(0)
        self.weights = nn.Parameter(torch.randn(256, 12, generator=draws), requires_grad=False)

    def forward(self, images):
        features = (images.float() / 255).flatten(1) @ self.weights
        return Prediction(features, (features[:, :4] * 50).sin() * 3)


class Blind(Projection):
    """Gives every image the same prediction."""

    def forward(self, images):
        features, logits = super().forward(images)
        return Prediction(features, torch.ones_like(logits))


PROVENANCE = {"name": "projection", "weights_hash": "0123"}


@pytest.fixture
def generator(tiny_gan, striped_images):
    train_images = striped_images.select("train")
    epochs = train(tiny_gan, train_images.images, device="cpu", class_names=train_images.class_names)
    generator = list(epochs)[-1].generator
    weights = {name: dict(state) for name, state in generator.weights.items()}
    for state in weights.values():  # two epochs make grey images: let these differ from each other
        state["layers.6.weight"] = state["layers.6.weight"] * 1000
    return replace(generator, weights=weights, version="2026-01-02T03.04.05.678Z")


def test_scores_equal_torch_fidelitys_on_the_same_images(generator, striped_images):
    extractor = FeatureExtractor(Projection(), PROVENANCE)
    scores = score_generator(generator, striped_images, extractor, CONFIG, "cpu")
    assert [(score.metric, score.identity["weights"]) for score in scores] == [
        (metric, weights) for weights in ("ema", "raw") for metric in ("fid", "is_mean", "is_std")
    ]
    real = extractor(torch.from_numpy(striped_images.select("train").images)).features
    for weights in ("ema", "raw"):
        fake = extractor(generator.sample(300, seed=5, weights=weights))
        statistics = [fid_features_to_statistics(features) for features in (real, fake.features)]
        fid = fid_statistics_to_metric(*statistics, verbose=False)["frechet_inception_distance"]
        isc = isc_features_to_metric(fake.logits, splits=3, shuffle=False)
        ours = {score.metric: score.value for score in scores if score.identity["weights"] == weights}
        assert ours["fid"] == pytest.approx(fid, rel=1e-4)
        assert ours["is_mean"] == pytest.approx(isc["inception_score_mean"], rel=1e-5)
        assert ours["is_std"] == pytest.approx(isc["inception_score_std"], rel=1e-3)


def test_a_score_says_what_it_is_and_what_it_may_stand_beside(generator, striped_images):
    extractor = FeatureExtractor(Projection(), PROVENANCE)
    score = score_generator(generator, striped_images, extractor, CONFIG, "cpu")[0]
    assert score.comparability == {
        "metric": "fid",
        "samples": 300,
        "is_splits": None,
        "extractor": "projection",
        "extractor_weights": "0123",
        "resize_filter": "bicubic",
        "reference_split": "train",
        "reference_hash": striped_images.select("train").content_hash,
    }
    assert score.identity == {
        **generator.training,
        "generator_version": "2026-01-02T03.04.05.678Z",
        "weights": "ema",
        "sampling_seed": 5,
    }
    assert score.extractor == PROVENANCE
    assert score.flags == ()


def test_other_references_and_seeds_show(generator, striped_images):
    extractor = FeatureExtractor(Projection(), PROVENANCE)

    def fid(config):
        return score_generator(generator, striped_images, extractor, config, "cpu")[0]

    base, test, seed = fid(CONFIG), fid(replace(CONFIG, reference_split="test")), fid(replace(CONFIG, seed=6))
    assert test.comparability != base.comparability
    assert test.value != base.value
    assert seed.comparability == base.comparability
    assert seed.identity != base.identity
    with pytest.raises(ConfigError, match="no split 'dev'"):
        fid(replace(CONFIG, reference_split="dev"))


def test_an_inception_score_of_one_is_flagged(generator, striped_images):
    scores = score_generator(generator, striped_images, FeatureExtractor(Blind(), PROVENANCE), CONFIG, "cpu")
    assert scores[1].value == pytest.approx(1.0)
    assert all("every image gets the same prediction" in score.flags[0] for score in scores)


def test_a_generator_of_one_image_is_flagged(generator, striped_images):
    still = {name: {key: tensor * 0 for key, tensor in state.items()} for name, state in generator.weights.items()}
    extractor = FeatureExtractor(Projection(), PROVENANCE)
    scores = score_generator(replace(generator, weights=still), striped_images, extractor, CONFIG, "cpu")
    assert all("0% as far away as among real images: mode collapse" in score.flags[0] for score in scores)


def test_a_poor_classifier_is_flagged(generator, striped_images):
    for accuracy, flags in {0.69: 1, 0.71: 0}.items():
        extractor = FeatureExtractor(Projection(), {**PROVENANCE, "heldout_accuracy": accuracy})
        scores = score_generator(generator, striped_images, extractor, CONFIG, "cpu")
        assert [len(score.flags) for score in scores] == [flags] * 6


def test_images_of_another_shape_are_refused(generator, striped_images):
    colour = replace(striped_images, images=striped_images.images.repeat(3, axis=1))
    with pytest.raises(ConfigError, match=r"generated images is \(1, 16, 16\), but must be \(3, 16, 16\)"):
        score_generator(generator, colour, FeatureExtractor(Projection(), PROVENANCE), CONFIG, "cpu")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"samples": 2}, "samples is 2, but must be 3 or more"),
        ({"is_splits": 0}, "is_splits is 0"),
        ({"extractor": "vgg"}, "extractor is 'vgg'"),
        ({"seed": -1}, "seed is -1"),
    ],
)
def test_settings_that_cannot_work_are_refused(change, message):
    with pytest.raises(ConfigError, match=message):
        replace(CONFIG, **change)
