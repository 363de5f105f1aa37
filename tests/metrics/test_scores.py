from __future__ import annotations

import pickle
from dataclasses import replace

import pytest
import torch
from torch import nn
from torch_fidelity.metric_fid import fid_features_to_statistics, fid_statistics_to_metric
from torch_fidelity.metric_isc import isc_features_to_metric
from torch_fidelity.metric_kid import kid_features_to_metric
from torch_fidelity.metric_prc import prc_features_to_metric

from gan_pipelines.classifier.resnet import Prediction
from gan_pipelines.core.config import ConfigError
from gan_pipelines.core.hashing import hash_images
from gan_pipelines.core.stores import KeyedStore
from gan_pipelines.gan import train
from gan_pipelines.metrics import (
    FeatureExtractor,
    FeaturesUnusable,
    MonitorConfig,
    ScoringConfig,
    find_neighbours,
    kernel_distance,
    make_monitor,
    open_reference,
    sample_candidates,
    score_generator,
)
from gan_pipelines.metrics import scores as scores_module
from projection import Projection

CONFIG = ScoringConfig(samples=300, is_splits=3, seed=5)


class Blind(Projection):
    """Gives every image the same prediction."""

    def forward(self, images):
        features, logits = super().forward(images)
        return Prediction(features, torch.ones_like(logits))


class Unlabelled(Projection):
    """Gives features alone, as a network that does not classify."""

    def forward(self, images):
        features, _ = super().forward(images)
        return Prediction(features, features[:, :0])


PROVENANCE = {"name": "projection", "weights_hash": "0123"}
METRICS = ["fid", "fid_infinity", "is", "kid", "precision", "recall", "density", "coverage", "authenticity"]


@pytest.fixture
def score(striped_images, tmp_path):
    """Score a generator against the images of the configuration's split."""

    def score(generator, config=CONFIG, *, network=None, images=striped_images, provenance=PROVENANCE):
        network = network or Projection()
        extractor = FeatureExtractor(network, {**provenance, "name": type(network).__name__})
        reference = open_reference(KeyedStore(tmp_path), images.select(*config.reference_split), extractor, "cpu")
        return score_generator(generator, extractor, reference, config, "cpu")

    return score


@pytest.fixture
def generator(tiny_gan, striped_images):
    train_images = striped_images.select("train")
    names, data_hash = train_images.class_names, train_images.content_hash
    epochs = train(tiny_gan, train_images.images, device="cpu", class_names=names, data_hash=data_hash)
    generator = list(epochs)[-1].generator
    weights = {name: dict(state) for name, state in generator.weights.items()}
    for state in weights.values():  # makes the images differ: after two epochs all are grey
        state["layers.6.weight"] = state["layers.6.weight"] * 1000
    return replace(generator, weights=weights, version="2026-01-02T03.04.05.678Z")


def test_scores_equal_torch_fidelity_on_the_same_images(generator, striped_images, score):
    scores = score(generator)
    assert [(each.metric, each.identity["weights"]) for each in scores] == [
        (metric, weights) for weights in ("ema", "raw") for metric in METRICS
    ]
    extractor = FeatureExtractor(Projection(), PROVENANCE)
    real = extractor(torch.from_numpy(striped_images.select("train").images)).features
    for weights in ("ema", "raw"):
        fake = extractor(generator.sample(300, seed=5, weights=weights))
        statistics = [fid_features_to_statistics(features) for features in (real, fake.features)]
        traces = sum(each["sigma"].trace() for each in statistics)
        fid = fid_statistics_to_metric(*statistics, verbose=False)["frechet_inception_distance"]
        isc = isc_features_to_metric(fake.logits, splits=3, shuffle=False)
        kid = kid_features_to_metric(fake.features, real, kid_subset_size=40, verbose=False)
        prc = prc_features_to_metric(fake.features.double(), real.double(), verbose=False)
        ours = {each.metric: each for each in scores if each.identity["weights"] == weights}
        assert ours["fid"].value == pytest.approx(fid, abs=1e-6 * traces)
        assert ours["is"].value == pytest.approx(isc["inception_score_mean"], rel=1e-5)
        assert ours["is"].spread == pytest.approx(isc["inception_score_std"], rel=1e-3)
        assert ours["kid"].value == pytest.approx(kid["kernel_inception_distance_mean"], rel=1e-4)
        assert (ours["precision"].value, ours["recall"].value) == pytest.approx((prc["precision"], prc["recall"]))
        assert ours["fid_infinity"].spread > 0


def test_a_score_has_its_comparability_key_identity_and_provenance(generator, striped_images, score):
    first = score(generator)[0]
    assert first.comparability == {
        "metric": "fid",
        "samples": 300,
        "extractor": "Projection",
        "extractor_weights": "0123",
        "resize_filter": "bicubic",
        "reference_split": "train",
        "reference_hash": striped_images.select("train").content_hash,
        "class_frequencies": "reference",
    }
    assert first.identity == {
        **generator.training,
        "generator_version": "2026-01-02T03.04.05.678Z",
        "weights": "ema",
        "sampling_seed": 5,
    }
    assert first.extractor == {**PROVENANCE, "name": "Projection"}
    assert first.flags == ()
    assert score(generator)[2].comparability["is_splits"] == 3


def test_the_reference_is_in_the_comparability_key_and_the_seed_in_the_identity(generator, score):
    base, test = score(generator)[0], score(generator, replace(CONFIG, reference_split="test"))[0]
    seed = score(generator, replace(CONFIG, seed=6))[0]
    assert test.comparability != base.comparability
    assert test.value != base.value
    assert seed.comparability == base.comparability
    assert seed.identity != base.identity
    both, turned = (
        score(generator, replace(CONFIG, reference_split=splits))[0] for splits in (["train", "test"], "test;train")
    )
    assert both.comparability["reference_split"] == "test + train"
    assert both.comparability == turned.comparability
    with pytest.raises(ConfigError, match="no split 'dev'"):
        score(generator, replace(CONFIG, reference_split="dev"))


def test_the_filter_that_resized_the_reference_is_in_the_comparability_key(generator, striped_images, score):
    scores = score(generator, images=replace(striped_images, resize_filter="box"))
    assert {each.comparability["resize_filter"] for each in scores} == {"box"}


def test_equal_predictions_are_flagged(generator, score):
    scores = score(generator, network=Blind())
    assert scores[2].value == pytest.approx(1.0)
    assert all("every image gets the same prediction" in each.flags[0] for each in scores)


def test_a_generator_of_one_image_is_flagged(generator, score):
    still = {name: {key: tensor * 0 for key, tensor in state.items()} for name, state in generator.weights.items()}
    scores = score(replace(generator, weights={**generator.weights, "raw": still["raw"]}))
    flags = {each.identity["weights"]: each.flags for each in scores}
    assert flags["ema"] == ()
    assert "look the same (collapse): their diversity is 0.0% of that of real images" in flags["raw"][0]
    assert len([each for each in scores if each.flags]) == len(scores) / 2


def test_a_generator_of_two_images_is_flagged_otherwise(generator, score, monkeypatch):
    monkeypatch.setattr("gan_pipelines.metrics.scores.relative_diversity", lambda *_: 0.3)
    assert all("(mode collapse): their diversity is 30% of that of" in each.flags[0] for each in score(generator))


def test_a_poor_classifier_is_flagged(generator, score):
    for accuracy, flags in {0.69: 1, 0.71: 0}.items():
        scores = score(generator, provenance={**PROVENANCE, "heldout_accuracy": accuracy})
        assert {len(each.flags) for each in scores} == {flags}


def test_fewer_images_than_features_are_flagged(generator, score):
    flags = {each.metric: each.flags for each in score(generator, replace(CONFIG, samples=12))}
    assert "FID of 12 images in 12 dimensions: a covariance is singular; take more than 12" in flags["fid"][0]
    assert flags["kid"] == ()
    assert not any("singular" in flag for each in score(generator, replace(CONFIG, samples=13)) for flag in each.flags)


def test_fid_infinity_is_left_out_below_twenty_samples_for_each_feature_and_a_note_says_so(generator, score):
    enough, few = score(generator, replace(CONFIG, samples=240)), score(generator, replace(CONFIG, samples=239))
    copies = "Copies are left out: no test or valid split has images that they could be compared with."
    assert {each.notes for each in enough} == {(copies,)}
    assert [each.metric for each in few] == [metric for metric in METRICS if metric != "fid_infinity"] * 2
    assert {each.notes for each in few} == {
        ("FID-infinity is left out: it needs 240 samples or more with 12 features, and there are 239.", copies)
    }


def test_features_that_are_not_finite_are_refused(generator, striped_images, score, tmp_path):
    score(generator)

    class Projection(nn.Module):  # the same name, so that the stored reference is used
        def forward(self, images):
            return Prediction(torch.full((len(images), 12), torch.nan), torch.zeros(len(images), 4))

    with pytest.raises(FeaturesUnusable, match="of the generated images that are infinite or NaN"):
        score(generator, network=Projection())


@pytest.fixture
def conditional_generator(tiny_gan, striped_images):
    config = replace(tiny_gan, networks=replace(tiny_gan.networks, family="acgan"), epochs=1)
    train_images = striped_images.select("train")
    epochs = train(config, train_images.images, train_images.labels, class_names=train_images.class_names, device="cpu")
    return list(epochs)[-1].generator


def test_a_conditional_generator_is_scored_class_by_class(conditional_generator, striped_images, score):
    scores = score(conditional_generator)
    of_classes = [each for each in scores if each.metric == "class_kid" and each.identity["weights"] == "raw"]
    assert [each.comparability["class"] for each in of_classes] == ["dark", "bright"]
    extractor, real = FeatureExtractor(Projection(), PROVENANCE), striped_images.select("train")
    samples = conditional_generator.sample(300, seed=5, weights="raw")
    for label, each in enumerate(of_classes):
        fake = extractor(samples[label::2]).features
        expected, _ = kernel_distance(fake, extractor(torch.from_numpy(real.images[real.labels == label])).features)
        assert (each.value, each.spread) == (pytest.approx(expected, rel=1e-4), None)


def test_a_conditional_generator_of_other_classes_is_refused(conditional_generator, striped_images, score):
    with pytest.raises(ConfigError, match="classes of the generated images is .'dark', 'bright'., but must be"):
        score(conditional_generator, images=replace(striped_images, class_names=("dark", "bright", "dim")))


def test_a_monitor_measures_the_same_fid_and_inception_score(generator, striped_images, score, tmp_path):
    extractor = FeatureExtractor(Projection(), PROVENANCE)
    reference = open_reference(KeyedStore(tmp_path), striped_images.select("train"), extractor, "cpu")
    config = replace(CONFIG, during_training=MonitorConfig(samples=300, every_epochs=4, weights="raw"))
    monitor = make_monitor(extractor, reference, config, "cpu")
    assert (monitor.metric, monitor.every_epochs) == ("fid_300", 4)
    same_samples = replace(CONFIG, seed=CONFIG.seed + 2**31)
    scores = score(generator, same_samples)
    expected = {each.metric: each.value for each in scores if each.identity["weights"] == "raw"}
    state = torch.get_rng_state()
    spread = next(each.spread for each in scores if each.metric == "is" and each.identity["weights"] == "raw")
    measured = {"fid_300": expected["fid"], "is_300": expected["is"], "spread_of_is_300": spread}
    assert monitor.measure(generator) == pytest.approx(measured)
    assert torch.equal(torch.get_rng_state(), state)
    other = replace(config, during_training=MonitorConfig(samples=1000, every_epochs=4, weights="raw"))
    assert make_monitor(extractor, reference, other, "cpu").metric == "fid_1k"
    assert make_monitor(extractor, reference, other, "cpu").key != monitor.key
    rarer = replace(config, during_training=MonitorConfig(samples=300, every_epochs=9, weights="raw"))
    assert make_monitor(extractor, reference, rarer, "cpu").key == monitor.key


def test_a_monitor_looks_for_its_device_where_it_measures(generator, striped_images, tmp_path, monkeypatch):
    extractor = FeatureExtractor(Projection(), PROVENANCE)
    reference = open_reference(KeyedStore(tmp_path), striped_images.select("train"), extractor, "cpu")
    config = replace(CONFIG, during_training=MonitorConfig(samples=300, batch=20, weights="raw"))
    asked = []
    monkeypatch.setattr(scores_module, "resolve_device", lambda name: asked.append(name) or torch.device("cpu"))
    monitor = make_monitor(extractor, reference, config, "auto")
    assert not asked
    measured = monitor.measure(generator)
    assert {*asked} == {"auto"}
    asked.clear()
    assert pickle.loads(pickle.dumps(monitor.measure))(generator) == measured  # in a process of another machine
    assert {*asked} == {"auto"}


def test_a_monitor_compares_the_first_samples_with_as_many_real_ones_if_asked_for(generator, striped_images, tmp_path):
    extractor = FeatureExtractor(Projection(), PROVENANCE)
    images = striped_images.select("train")
    reference = open_reference(KeyedStore(tmp_path), images, extractor, "cpu")
    config = replace(CONFIG, during_training=MonitorConfig(samples=300, batch=len(images)))
    measured = make_monitor(extractor, reference, config, "cpu").measure(generator)
    samples = generator.sample(300, seed=CONFIG.seed + 2**31)[: len(images)]
    both = (Projection()(each).features for each in (samples, torch.from_numpy(images.images)))
    statistics = [fid_features_to_statistics(features) for features in both]
    expected = fid_statistics_to_metric(*statistics, verbose=False)["frechet_inception_distance"]
    assert measured[f"fid_{len(images)}"] == pytest.approx(expected, rel=1e-3)
    assert measured["fid_300"] != measured[f"fid_{len(images)}"]
    few = replace(CONFIG, during_training=MonitorConfig(samples=300, batch=len(images) + 1))
    with pytest.raises(ConfigError, match=r"scoring\.during_training\.batch is 41, but must be at most the 40 images"):
        make_monitor(extractor, reference, few, "cpu")
    with pytest.raises(ConfigError, match="batch is 300, but must be below samples, 300"):
        MonitorConfig(samples=300, batch=300)


def test_without_classes_there_is_no_inception_score(generator, striped_images, score, tmp_path):
    found = score(generator, network=Unlabelled())
    expected = {each.metric: each.value for each in score(generator) if each.metric != "is"}
    assert {each.metric: each.value for each in found} == expected
    note = "The Inception Score is left out: the feature extractor does not classify."
    assert all(note in each.notes and not each.flags for each in found)
    extractor = FeatureExtractor(Unlabelled(), PROVENANCE)
    reference = open_reference(KeyedStore(tmp_path), striped_images.select("train"), extractor, "cpu")
    config = replace(CONFIG, during_training=MonitorConfig(samples=300))
    assert make_monitor(extractor, reference, config, "cpu").measure(generator).keys() == {"fid_300"}


@pytest.mark.parametrize("weights", ["ema", "raw"])
def test_images_memorised_by_the_weights_for_previews_are_found_with_their_originals(
    generator, striped_images, tmp_path, weights
):
    extractor = FeatureExtractor(Projection(), PROVENANCE)
    generator = replace(generator, config=replace(generator.config, preview_weights=weights))
    samples = generator.sample(256, seed=0, weights=weights)
    pixels = striped_images.images.copy()
    pixels[[3, 9]] = samples[[17, 200]].numpy()
    images = replace(striped_images, images=pixels, image_hashes=hash_images(pixels))
    reference = open_reference(KeyedStore(tmp_path), images, extractor, "cpu")
    candidates = sample_candidates(generator, images, "cpu")
    found = find_neighbours(candidates, extractor, reference, count=2, device="cpu")
    assert {tuple(sample.flatten().tolist()) for sample, _ in found} == {
        tuple(samples[row].flatten().tolist()) for row in (17, 200)
    }
    for sample, neighbours in found:
        assert neighbours.shape == (7, 1, 16, 16)
        assert torch.equal(sample, neighbours[0])


def test_images_of_another_shape_are_refused(generator, striped_images, tmp_path):
    colour = replace(striped_images, images=striped_images.images.repeat(3, axis=1))

    class OneChannel(Projection):
        def forward(self, images):
            return super().forward(images[:, :1])

    extractor = FeatureExtractor(OneChannel(), PROVENANCE)
    reference = open_reference(KeyedStore(tmp_path), colour, extractor, "cpu")
    with pytest.raises(ConfigError, match=r"generated images is \(1, 16, 16\), but must be \(3, 16, 16\)"):
        score_generator(generator, extractor, reference, CONFIG, "cpu")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"samples": 5}, "samples is 5, but must be 6 or more"),
        ({"is_splits": 301}, "samples is 300, but must be 301 or more"),
        ({"during_training": MonitorConfig(samples=5)}, "during_training.samples is 5, but must be 6 or more"),
        ({"is_splits": 0}, "is_splits is 0"),
        ({"extractor": "vgg"}, "extractor is 'vgg'"),
        ({"seed": -1}, "seed is -1"),
    ],
)
def test_invalid_settings_are_refused(change, message):
    with pytest.raises(ConfigError, match=message):
        replace(CONFIG, **change)
