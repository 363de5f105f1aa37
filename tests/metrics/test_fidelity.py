"""torch-fidelity's extractors, with random weights, against torch-fidelity's own classes."""

from __future__ import annotations

import math

import pytest
import torch
from safetensors.torch import save_file
from torch import nn
from torch.nn import functional as F
from torch_fidelity import calculate_metrics
from torch_fidelity import feature_extractor_clip as clip
from torch_fidelity.feature_extractor_clip import FeatureExtractorCLIP
from torch_fidelity.feature_extractor_dinov2 import FeatureExtractorDinoV2
from torch_fidelity.feature_extractor_vgg16 import FeatureExtractorVGG16
from torchvision.models import vgg16

from fidelity_inputs import LAYERS, Clip, Rgb
from gan_pipelines.core.stores import KeyedStore
from gan_pipelines.gan import train
from gan_pipelines.metrics import ExtractorUnavailable, ScoringConfig, open_pretrained, open_reference, score_generator
from gan_pipelines.metrics.extractors import PRETRAINED
from gan_pipelines.metrics.pretrained import hash_file


def draw_images(count, channels=3, size=32):
    draws = torch.Generator().manual_seed(0)
    return torch.randint(0, 256, (count, channels, size, size), dtype=torch.uint8, generator=draws)


@pytest.fixture
def clip_state():
    return Clip("clip-vit-b-32").state_dict()


def fidelity_clip(name, monkeypatch):
    monkeypatch.setattr(torch.jit, "load", lambda *_, **__: Clip(name))
    return FeatureExtractorCLIP(name, ["clip"], feature_extractor_weights_path="any")


@pytest.mark.parametrize("name", LAYERS)
@pytest.mark.parametrize("suffix", ["safetensors", "pth"])
def test_features_of_clip_equal_torch_fidelity(name, suffix, tmp_path, monkeypatch):
    path, state = tmp_path / f"weights.{suffix}", Clip(name).state_dict()
    save_file(state, path) if suffix == "safetensors" else torch.save(state, path)
    images = draw_images(3)
    extractor = open_pretrained(name, str(path))
    features, logits = extractor(images)
    assert torch.equal(features, fidelity_clip(name, monkeypatch)(images)[0])
    assert logits.shape == (3, 0)
    assert extractor.provenance["name"] == name


def test_clip_in_torchscript_is_read_only_if_it_is_the_published_file(tmp_path, monkeypatch, clip_state):
    path, pixels = tmp_path / "clip.pt", torch.zeros(1, 3, 64, 64)
    torch.jit.save(torch.jit.trace(Clip("clip-vit-b-32"), pixels), path)
    with pytest.raises(ExtractorUnavailable, match="read from .*clip.pt .it is TorchScript, .* not the published file"):
        open_pretrained("clip-vit-b-32", str(path))

    monkeypatch.setitem(clip.MODEL_METADATA["clip-vit-b-32"], "hash", hash_file(path))
    save_file(clip_state, tmp_path / "clip.safetensors")
    read = [open_pretrained("clip-vit-b-32", str(tmp_path / name)) for name in ("clip.pt", "clip.safetensors")]
    assert read[0].provenance == read[1].provenance


def test_scores_with_clip_equal_torch_fidelity(clip_state, tiny_gan, striped_images, tmp_path, monkeypatch):
    save_file(clip_state, tmp_path / "clip.safetensors")
    generator = list(train(tiny_gan, striped_images.images[:40], device="cpu"))[-1].generator
    config = ScoringConfig(extractor="clip-vit-b-32", samples=200, is_splits=2)
    real = striped_images.select("valid")
    extractor = open_pretrained("clip-vit-b-32", str(tmp_path / "clip.safetensors"))
    reference = open_reference(KeyedStore(tmp_path / "store"), real, extractor, "cpu")
    scores = score_generator(generator, extractor, reference, config, "cpu")
    monkeypatch.setattr(torch.jit, "load", lambda *_, **__: Clip("clip-vit-b-32"))
    oracle = calculate_metrics(
        input1=Rgb(generator.sample(200, seed=0, weights="raw")),
        input2=Rgb(torch.from_numpy(real.images)),
        feature_extractor="clip-vit-b-32", feature_extractor_weights_path="any",
        cuda=False, fid=True, kid=True, prc=True, verbose=False, cache=False,
        samples_shuffle=False, kid_subset_size=len(real), prc_neighborhood=3,
    )  # fmt: skip
    ours = {score.metric: score for score in scores if score.identity["weights"] == "raw"}
    traces = 2 * reference.moments.covariance.trace().item()
    assert ours["fid"].value == pytest.approx(oracle["frechet_inception_distance"], abs=1e-6 * traces)
    found = ours["precision"].value, ours["recall"].value
    assert found == pytest.approx((oracle["precision"], oracle["recall"]))
    assert "is" not in ours
    assert "The Inception Score is left out: the feature extractor does not classify." in ours["fid"].notes
    assert not any("Inception" in flag for flag in ours["fid"].flags)


@pytest.mark.integration  # half a gigabyte of weights
def test_features_of_vgg16_equal_torch_fidelity_and_its_logits_torchvision(tmp_path):
    torch.manual_seed(0)
    network = vgg16().eval()
    torch.save(network.state_dict(), tmp_path / "vgg16.pth")
    images = draw_images(2)
    features, logits = open_pretrained("vgg16", str(tmp_path / "vgg16.pth"))(images)
    oracle = FeatureExtractorVGG16("vgg16", ["fc2_relu"], feature_extractor_weights_path=str(tmp_path / "vgg16.pth"))
    (expected,) = oracle(images)
    assert features.numpy() == pytest.approx(expected.numpy(), abs=1e-5)
    assert logits.detach().numpy() == pytest.approx(network.classifier[6](expected).detach().numpy(), abs=1e-5)
    assert features.shape == (2, 4096)


class DinoV2(nn.Module):
    """DINOv2's ViT-S/14 written out over the names of the published weights, as its authors compute it."""

    def __init__(self, weights):
        super().__init__()
        self.weights = weights

    def linear(self, x, name):
        return F.linear(x, self.weights[f"{name}.weight"], self.weights[f"{name}.bias"])

    def norm(self, x, name):
        return F.layer_norm(x, (384,), self.weights[f"{name}.weight"], self.weights[f"{name}.bias"], eps=1e-6)

    def forward(self, pixels):
        weights = self.weights
        patches = F.conv2d(pixels, weights["patch_embed.proj.weight"], weights["patch_embed.proj.bias"], stride=14)
        x = torch.cat([weights["cls_token"].expand(len(pixels), 1, 384), patches.flatten(2).mT], dim=1)
        grid = weights["pos_embed"][:, 1:].reshape(1, 37, 37, 384).permute(0, 3, 1, 2)
        grid = F.interpolate(grid, scale_factor=(16.1 / 37, 16.1 / 37), mode="bicubic", antialias=False)
        x = x + torch.cat([weights["pos_embed"][:, :1], grid.permute(0, 2, 3, 1).reshape(1, 256, 384)], dim=1)
        for block in range(12):
            name = f"blocks.{block}"
            parts = self.linear(self.norm(x, f"{name}.norm1"), f"{name}.attn.qkv")
            query, key, value = parts.reshape(len(x), 257, 3, 6, 64).permute(2, 0, 3, 1, 4)
            attention = (query @ key.mT / math.sqrt(64)).softmax(-1) @ value
            attended = self.linear(attention.transpose(1, 2).flatten(2), f"{name}.attn.proj")
            x = x + weights[f"{name}.ls1.gamma"] * attended
            hidden = F.gelu(self.linear(self.norm(x, f"{name}.norm2"), f"{name}.mlp.fc1"))
            x = x + weights[f"{name}.ls2.gamma"] * self.linear(hidden, f"{name}.mlp.fc2")
        return self.norm(x, "norm")[:, 0]


def dino_weights():
    """Random weights with the names and shapes of the published ones."""
    shapes = {
        "cls_token": (1, 1, 384), "pos_embed": (1, 1370, 384), "mask_token": (1, 384),
        "patch_embed.proj.weight": (384, 3, 14, 14), "patch_embed.proj.bias": (384,),
        "norm.weight": (384,), "norm.bias": (384,),
    }  # fmt: skip
    layers = {"attn.qkv": (1152, 384), "attn.proj": (384, 384), "mlp.fc1": (1536, 384), "mlp.fc2": (384, 1536)}
    for block in range(12):
        for name, shape in layers.items():
            shapes |= {f"blocks.{block}.{name}.weight": shape, f"blocks.{block}.{name}.bias": shape[:1]}
        for name in ("norm1.weight", "norm1.bias", "ls1.gamma", "norm2.weight", "norm2.bias", "ls2.gamma"):
            shapes[f"blocks.{block}.{name}"] = (384,)
    draws = torch.Generator().manual_seed(0)
    return {name: torch.randn(shape, generator=draws) * 0.1 for name, shape in shapes.items()}


def test_features_of_dinov2_equal_the_network_written_out(tmp_path, monkeypatch):
    pytest.importorskip("timm")
    weights, images = dino_weights(), draw_images(2)
    torch.save(weights, tmp_path / "dino.pth")
    monkeypatch.setattr(torch.hub, "load", lambda *_: DinoV2(weights))
    expected = FeatureExtractorDinoV2("dinov2-vit-s-14", ["dinov2"])(images)[0].numpy()
    extractor = open_pretrained("dinov2-vit-s-14", str(tmp_path / "dino.pth"))
    features, logits = extractor(images)
    assert features.numpy() == pytest.approx(expected, abs=1e-4 * float(abs(expected).max()))
    assert abs(expected[0] - expected[1]).max() > 1e-2 * abs(expected).max()
    assert logits.shape == (2, 0)
    assert extractor.provenance["name"] == "dinov2-vit-s-14"


def test_published_weights_are_read_from_the_cache_of_pytorch(tmp_path, monkeypatch, clip_state):
    """What is there is used, and what is missing is asked for once, with the digits of its hash."""
    asked = []

    def download(url, path, digits):
        asked.append((url, digits))
        torch.save(clip_state, path)

    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path))
    monkeypatch.setattr(torch.hub, "download_url_to_file", download)
    first, second = (open_pretrained("clip-vit-b-32") for _ in range(2))
    assert first.provenance == second.provenance
    sha256 = clip.MODEL_METADATA["clip-vit-b-32"]["hash"]
    assert asked == [(clip.MODEL_URLS["clip-vit-b-32"], sha256)]


class Bomb:
    """Runs code when it is unpickled."""

    def __reduce__(self):
        return (print, ("unpickled",))


@pytest.mark.parametrize("name", [name for name in PRETRAINED if name != "imagenet"])
def test_code_in_a_weights_file_is_not_run(name, tmp_path, capsys):
    if name.startswith("dinov2"):
        pytest.importorskip("timm")
    torch.save({"weights": Bomb()}, tmp_path / "bomb.pth")
    with pytest.raises(ExtractorUnavailable, match=f"The weights of {name} could not be read from .*bomb.pth"):
        open_pretrained(name, str(tmp_path / "bomb.pth"))
    assert "unpickled" not in capsys.readouterr().out


@pytest.mark.parametrize("name", [name for name in PRETRAINED if name != "imagenet"])
def test_weights_of_another_network_are_refused(name, tmp_path):
    if name.startswith("dinov2"):
        pytest.importorskip("timm")
    torch.save({"other": torch.zeros(3)}, tmp_path / "other.pth")
    with pytest.raises(ExtractorUnavailable, match=f"The weights of {name} could not be read from .*other.pth"):
        open_pretrained(name, str(tmp_path / "other.pth"))
