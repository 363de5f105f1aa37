from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from gan_pipelines.classifier import Classifier, ClassifierConfig, fit_classifier
from gan_pipelines.core.config import ConfigError

CONFIG = ClassifierConfig(network="resnet8", epochs=6, batch_size=13, learning_rate=0.01)


@pytest.fixture
def striped(striped_images):
    train, test = striped_images.select("train"), striped_images.select("test")
    return tuple(map(torch.from_numpy, (train.images, train.labels, test.images, test.labels)))


def test_it_learns_to_tell_dark_from_bright_images(striped):
    images, labels, test_images, test_labels = striped
    classifier = fit_classifier(images, labels, 2, CONFIG, device="cpu")
    assert classifier.accuracy(test_images, test_labels) == 1.0
    assert classifier.accuracy(test_images, 1 - test_labels) == 0.0


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


@pytest.mark.parametrize("network", ["resnet18", "resnet8"])
def test_a_saved_classifier_predicts_the_same(tmp_path, network):
    config = ClassifierConfig(network=network)
    classifier = Classifier(5, config).eval()
    images = torch.randint(0, 256, (3, 1, 32, 32), dtype=torch.uint8)
    classifier.save(tmp_path / "weights.safetensors")
    loaded = Classifier.load(tmp_path / "weights.safetensors", config)
    assert torch.equal(loaded(images).logits, classifier(images).logits)


@pytest.mark.parametrize(("stem", "parameters"), [("imagenet", 11_181_642), ("small", 11_173_962)])
def test_parameters_and_outputs_of_both_stems(stem, parameters):
    # torchvision's ResNet-18 has 11,689,512 parameters with 1,000 classes; the small stem saves 3 x 64 x (49 - 9).
    classifier = Classifier(10, ClassifierConfig(stem=stem)).eval()
    assert sum(parameter.numel() for parameter in classifier.parameters()) == parameters
    features, logits = classifier(torch.zeros(2, 3, 32, 32, dtype=torch.uint8))
    assert (features.shape, logits.shape) == ((2, 512), (2, 10))
    assert torch.allclose(classifier.head(features), logits)


def test_parameters_and_outputs_of_the_small_network():
    def convolution(inputs, outputs, size=9):
        return inputs * outputs * size + 2 * outputs  # with its batch norm

    blocks = [
        convolution(3, 16),
        *[convolution(16, 16)] * 2,
        *(convolution(16, 32), convolution(32, 32), convolution(16, 32, size=1)),
        *(convolution(32, 64), convolution(64, 64), convolution(32, 64, size=1)),
    ]
    classifier = Classifier(10, CONFIG).eval()
    assert sum(parameter.numel() for parameter in classifier.parameters()) == sum(blocks) + 65 * 10 == 78_042
    sizes = []
    for layer in classifier.backbone[:6]:
        layer.register_forward_hook(lambda _, __, output: sizes.append(output.shape[1:]))
    features, logits = classifier(torch.zeros(2, 3, 32, 32, dtype=torch.uint8))
    assert (features.shape, logits.shape) == ((2, 64), (2, 10))
    assert sizes[-3:] == [(16, 32, 32), (32, 16, 16), (64, 8, 8)]


def test_names_of_networks():
    configs = ClassifierConfig(), ClassifierConfig(stem="small"), CONFIG
    names = [config.network_name for config in configs]
    assert names == ["resnet18-imagenet-stem", "resnet18-small-stem", "resnet8"]


def test_grey_is_the_same_as_three_equal_channels():
    classifier = Classifier(3, CONFIG).eval()
    grey = torch.randint(0, 256, (2, 1, 32, 32), dtype=torch.uint8)
    assert torch.equal(classifier(grey).logits, classifier(grey.repeat(1, 3, 1, 1)).logits)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"network": "resnet50"}, "network is 'resnet50', but must be one of resnet18, resnet8"),
        ({"stem": "large"}, "stem is 'large'"),
        ({"network": "resnet8", "stem": "small"}, "stem is 'small', but must be left out with network: resnet8"),
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
