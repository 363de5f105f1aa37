from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from gan_pipelines.classifier import Classifier, ClassifierConfig, fit_classifier
from gan_pipelines.core.config import ConfigError

CONFIG = ClassifierConfig(epochs=6, batch_size=13, learning_rate=0.01)


@pytest.fixture
def striped(striped_images):
    train, test = striped_images.select("train"), striped_images.select("test")
    return tuple(map(torch.from_numpy, (train.images, train.labels, test.images, test.labels)))


@pytest.mark.integration
def test_it_learns_to_tell_dark_from_bright_images(striped):
    images, labels, test_images, test_labels = striped
    classifier = fit_classifier(images, labels, 2, CONFIG, device="cpu")
    assert classifier.accuracy(test_images, test_labels) == 1.0
    assert classifier.accuracy(test_images, 1 - test_labels) == 0.0


@pytest.mark.integration
def test_seed_and_settings_decide_the_weights_and_the_global_random_state_is_unchanged(striped):
    images, labels, *_ = striped
    config = replace(CONFIG, epochs=1)
    torch.manual_seed(3)
    before = torch.get_rng_state()
    first = fit_classifier(images, labels, 2, config, device="cpu")
    assert torch.equal(torch.get_rng_state(), before)
    again = fit_classifier(images, labels, 2, config, device="cpu")
    other = fit_classifier(images, labels, 2, replace(config, seed=1), device="cpu")
    for setting in ("momentum", "weight_decay"):
        changed = fit_classifier(images, labels, 2, replace(config, **{setting: 0.0}), device="cpu")
        assert not torch.equal(first.head.weight, changed.head.weight)
    assert torch.equal(first.head.weight, again.head.weight)
    assert not torch.equal(first.head.weight, other.head.weight)


def test_a_saved_classifier_predicts_the_same(tmp_path):
    classifier = Classifier(5, "imagenet").eval()
    images = torch.randint(0, 256, (3, 1, 32, 32), dtype=torch.uint8)
    classifier.save(tmp_path / "weights.safetensors")
    loaded = Classifier.load(tmp_path / "weights.safetensors", "imagenet")
    assert torch.equal(loaded(images).logits, classifier(images).logits)


@pytest.mark.parametrize(("stem", "parameters"), [("imagenet", 11_181_642), ("small", 11_173_962)])
def test_parameters_and_outputs_of_both_stems(stem, parameters):
    # torchvision's ResNet-18 has 11,689,512 parameters with 1,000 classes; the small stem saves 3 x 64 x (49 - 9).
    classifier = Classifier(10, stem).eval()
    assert sum(parameter.numel() for parameter in classifier.parameters()) == parameters
    features, logits = classifier(torch.zeros(2, 3, 32, 32, dtype=torch.uint8))
    assert (features.shape, logits.shape) == ((2, 512), (2, 10))
    assert torch.allclose(classifier.head(features), logits)


def test_grey_is_the_same_as_three_equal_channels():
    classifier = Classifier(3, "imagenet").eval()
    grey = torch.randint(0, 256, (2, 1, 32, 32), dtype=torch.uint8)
    assert torch.equal(classifier(grey).logits, classifier(grey.repeat(1, 3, 1, 1)).logits)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"stem": "large"}, "stem is 'large'"),
        ({"epochs": 0}, "epochs is 0"),
        ({"batch_size": 1}, "batch_size is 1"),
        ({"learning_rate": 0.0}, "learning_rate is 0.0"),
        ({"momentum": 1.0}, "momentum is 1.0"),
        ({"weight_decay": -1.0}, "weight_decay is -1.0"),
        ({"seed": -1}, "seed is -1"),
    ],
)
def test_invalid_settings_are_refused(change, message):
    with pytest.raises(ConfigError, match=message):
        replace(CONFIG, **change)
