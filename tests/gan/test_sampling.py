from __future__ import annotations

import json
import struct

import pytest
import torch
from safetensors.torch import save_file

from gan_pipelines.gan import GeneratorUnusable, TrainedGenerator, train
from gan_pipelines.gan.sampling import classes_in_turn
from gan_pipelines.pixels import to_float, to_uint8


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


def test_another_file_is_refused(tmp_path):
    path = tmp_path / "other.safetensors"
    save_file({"x": torch.zeros(1)}, path)
    with pytest.raises(GeneratorUnusable, match="holds no generator, but gan_pipelines.generator/1 was expected"):
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
