from __future__ import annotations

import json
import struct
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from gan_pipelines.core.config import ConfigError
from gan_pipelines.core.pixels import to_float, to_uint8
from gan_pipelines.gan import (
    GeneratorUnusable,
    NetworkConfig,
    PenaltyConfig,
    SamplingConfig,
    TrainedGenerator,
    TransformConfig,
    fingerprint,
    interpolate,
    sample_classes,
    train,
)
from gan_pipelines.gan.sampling import classes_in_turn

FIXTURES = Path(__file__).parents[1] / "fixtures"


@pytest.fixture
def generator(tiny_gan, tiny_images):
    return list(train(tiny_gan, tiny_images, device="cpu", class_names=["a", "b"]))[-1].generator


def test_a_file_describes_itself(generator, tmp_path):
    path = tmp_path / "generator.safetensors"
    generator.save(path)
    loaded = TrainedGenerator.load(path)
    assert (loaded.config, loaded.image_shape, loaded.class_names) == (generator.config, (1, 8, 8), ("a", "b"))
    assert loaded.training == generator.training
    for weights in ("ema", "raw"):
        assert torch.equal(loaded.sample(9, seed=1, weights=weights), generator.sample(9, seed=1, weights=weights))


def test_the_file_holds_a_header_and_tensors_and_nothing_to_unpickle(generator, tmp_path):
    path = tmp_path / "generator.safetensors"
    generator.save(path)
    content = path.read_bytes()
    (length,) = struct.unpack("<Q", content[:8])
    header = json.loads(content[8 : 8 + length])
    tensors = {name for name in header if name != "__metadata__"}
    assert {"ema.layers.0.weight", "raw.layers.0.weight"} < tensors
    assert len(content) == 8 + length + max(header[name]["data_offsets"][1] for name in tensors)


def test_a_file_of_format_2_makes_the_images_that_it_made_then():
    generator = TrainedGenerator.load(FIXTURES / "generator_format_2.safetensors")
    networks = NetworkConfig(family="cdcgan", latent_size=8, width=4, discriminator_norm="none")
    assert generator.config.networks == networks
    assert (generator.config.discriminator_steps, generator.config.transforms) == (1, TransformConfig())
    assert (generator.image_shape, generator.training["epoch"]) == ((1, 16, 16), 2)
    with np.load(FIXTURES / "generator_format_2_samples.npz") as expected:  # by the version that wrote the file
        for weights in ("ema", "raw"):
            samples = generator.sample(20, seed=0, weights=weights).int()
            assert (samples - torch.from_numpy(expected[weights])).abs().max() <= 1  # other CPUs round otherwise


def test_a_file_of_format_3_knows_its_penalty_and_its_training(tmp_path):
    generator = TrainedGenerator.load(FIXTURES / "generator_format_3.safetensors")
    assert generator.config.penalties == (PenaltyConfig(at="real", target_norm=0.0, weight=2.0),)
    training = generator.training
    assert fingerprint(generator.config, training["data_hash"], "cpu") == training["fingerprint"]
    assert generator.sample(2, seed=0).shape == (2, 1, 8, 8)


@pytest.mark.parametrize("number", [2, 3])
def test_a_file_of_an_earlier_format_is_saved_in_the_present_one(tmp_path, number):
    generator = TrainedGenerator.load(FIXTURES / f"generator_format_{number}.safetensors")
    generator.save(tmp_path / "generator.safetensors")
    again = TrainedGenerator.load(tmp_path / "generator.safetensors")
    assert (again.config, again.training) == (generator.config, generator.training)
    assert torch.equal(again.sample(3, seed=0), generator.sample(3, seed=0))


def test_a_later_format_is_refused(tmp_path):
    path = tmp_path / "later.safetensors"
    save_file({"x": torch.zeros(1)}, path, metadata={"format": "gan_pipelines.generator/5"})
    with pytest.raises(GeneratorUnusable, match="holds gan_pipelines.generator/5, but gan_pipelines.generator/4 was"):
        TrainedGenerator.load(path)


def test_another_file_is_refused(tmp_path):
    path = tmp_path / "other.safetensors"
    save_file({"x": torch.zeros(1)}, path)
    with pytest.raises(GeneratorUnusable, match="holds no generator, but gan_pipelines.generator/4 was expected"):
        TrainedGenerator.load(path)


def test_the_seed_decides_the_samples_and_the_batch_size_does_not(generator):
    samples = generator.sample(10, seed=3)
    assert samples.shape == (10, 1, 8, 8)
    assert samples.dtype == torch.uint8
    in_parts = torch.cat(list(generator.sample_batches(10, seed=3, batch_size=4)))
    assert (samples.int() - in_parts.int()).abs().max() <= 1  # rounding after sums in another order
    assert torch.equal(samples, generator.sample(10, seed=3))
    assert not torch.equal(samples, generator.sample(10, seed=4))
    assert not torch.equal(samples, generator.sample(10, seed=3, weights="raw"))


def test_samples_are_what_the_network_makes_of_the_seeds_latents(generator):
    latents = torch.randn(5, 4, generator=torch.Generator().manual_seed(8))
    with torch.no_grad():
        images = generator.network("ema")(latents, None)
    expected = ((images + 1) * 127.5).round().to(torch.uint8)
    assert torch.equal(generator.sample(5, seed=8), expected)


def test_classes_in_turn():
    assert classes_in_turn(5, 3).tolist() == [0, 1, 2, 0, 1]
    assert classes_in_turn(5, 0) is None


def test_pixels_go_to_floats_and_back_unchanged():
    levels = torch.arange(256, dtype=torch.uint8)
    floats = to_float(levels)
    assert (floats.min().item(), floats.max().item()) == (-1, 1)
    assert torch.equal(to_uint8(floats), levels)
    assert to_uint8(torch.tensor([-1.5, 2.0])).tolist() == [0, 255]


def latents_of(generator, monkeypatch, **options):
    """What the network is given."""
    seen = []
    network = generator.network()
    network.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    monkeypatch.setattr(TrainedGenerator, "network", lambda *_: network)
    generator.sample(4000, seed=0, **options)
    return torch.cat(seen)


def test_truncated_latents_are_normal_within_the_bound_and_zero_outside(generator, monkeypatch):
    latents = latents_of(generator, monkeypatch, truncation=1.0)
    assert latents.abs().max() <= 1
    # Of N(0, 1) cut off at 1: variance 1 - 2 phi(1) / (2 Phi(1) - 1) = 0.2911.
    assert latents.var().item() == pytest.approx(0.2911, rel=0.02)
    assert latents.mean().item() == pytest.approx(0, abs=0.01)


def test_without_truncation_the_latents_are_normal(generator, monkeypatch):
    latents = latents_of(generator, monkeypatch)
    assert latents.var().item() == pytest.approx(1, rel=0.03)
    assert latents.abs().max() > 3


@pytest.fixture
def conditional(tiny_gan, tiny_images):
    networks = NetworkConfig(family="acgan", latent_size=4, width=4, discriminator_norm="none")
    options = {"labels": np.arange(43) % 3, "class_names": ["ace", "king", "queen"], "device": "cpu"}
    return list(train(replace(tiny_gan, networks=networks, epochs=1), tiny_images, **options))[-1].generator


def test_an_interpolation_walks_on_great_circles_from_latent_to_latent(conditional, monkeypatch):
    asked = []

    def decode(self, latents, labels, **options):
        asked.append((latents, labels))
        yield torch.zeros(len(latents), 1, 8, 8, dtype=torch.uint8)

    monkeypatch.setattr(TrainedGenerator, "decode", decode)
    assert interpolate(conditional, 2, 5, seed=3).shape == (10, 1, 8, 8)
    ((latents, labels),) = asked
    assert labels.tolist() == [0] * 5 + [1] * 5
    for walk in latents.view(2, 5, -1).double():
        angles = torch.rad2deg(torch.arccos(torch.cosine_similarity(walk[:-1], walk[1:], dim=1)))
        whole = torch.rad2deg(torch.arccos(torch.cosine_similarity(walk[0], walk[-1], dim=0)))
        assert angles.sum().item() == pytest.approx(whole.item(), rel=1e-4)  # all in one plane, never back
        weights = torch.linalg.lstsq(walk[[0, -1]].T, walk[2][:, None]).solution.flatten()
        half = torch.deg2rad(whole / 2)
        expected = (torch.sin(half) / torch.sin(2 * half)).item()  # both ends weigh the same in the middle
        assert weights.tolist() == pytest.approx([expected, expected], rel=1e-4)


def test_an_interpolation_shows_images_of_the_generator(generator):
    shown = interpolate(generator, 3, 2, seed=1, weights="raw")
    draws = torch.Generator().manual_seed(1)
    start, end = torch.randn(2, 3, 4, generator=draws)
    (ends,) = generator.decode(torch.stack([start, end], dim=1).flatten(end_dim=1), None, weights="raw")
    assert (shown.int() - ends.int()).abs().max() <= 1


def test_classes_are_made_as_asked_each_from_the_same_latents(conditional):
    config = SamplingConfig(count=3, classes=("queen", "ace"), seed=4)
    samples = sample_classes(conditional, config, "cpu")
    assert list(samples) == ["queen", "ace"]
    for name, label in (("queen", 2), ("ace", 0)):
        expected = conditional.sample(3, seed=4, labels=torch.full((3,), label))
        assert torch.equal(samples[name], expected)
    everything = sample_classes(conditional, replace(config, classes=None), "cpu")
    assert list(everything) == ["ace", "king", "queen"]
    assert torch.equal(everything["queen"], samples["queen"])


def test_weights_and_truncation_reach_the_samples(conditional):
    config = SamplingConfig(count=3, classes=("king",), weights="raw", truncation=0.5)
    labels = torch.full((3,), 1)
    expected = conditional.sample(3, seed=0, labels=labels, weights="raw", truncation=0.5)
    assert torch.equal(sample_classes(conditional, config, "cpu")["king"], expected)
    assert not torch.equal(expected, conditional.sample(3, seed=0, labels=labels, weights="raw"))


def test_a_generator_without_classes_makes_images_of_none(generator):
    samples = sample_classes(generator, SamplingConfig(count=5, seed=2), "cpu")
    assert list(samples) == [None]
    assert torch.equal(samples[None], generator.sample(5, seed=2))


def test_classes_that_are_not_there_are_refused(conditional, generator):
    with pytest.raises(ConfigError, match="^sampling.classes has 'quen', which .* did you mean queen?"):
        sample_classes(conditional, SamplingConfig(classes=("ace", "quen")), "cpu")
    with pytest.raises(ConfigError, match="must be null: this generator knows no classes"):
        sample_classes(generator, SamplingConfig(classes=("a",)), "cpu")


@pytest.mark.parametrize("labels", [[0, 1], [0, 1, 3], [0, -1, 2]])
def test_labels_that_do_not_fit_are_refused(conditional, labels):
    with pytest.raises(ConfigError, match="^labels is"):
        conditional.sample(3, seed=0, labels=torch.tensor(labels))


@pytest.mark.parametrize(
    "change", [{"count": 0}, {"classes": ()}, {"seed": -1}, {"truncation": 0.0}, {"weights": "avg"}]
)
def test_sampling_that_cannot_work_is_refused(change):
    (name,) = change
    with pytest.raises(ConfigError, match=f"^{name} is"):
        SamplingConfig(**change)
