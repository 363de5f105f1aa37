from __future__ import annotations

import logging
from dataclasses import replace

import pytest
import torch
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.utils._python_dispatch import TorchDispatchMode

from gan_pipelines.gan import GanConfig
from gan_pipelines.gan import data as module
from gan_pipelines.gan.data import TrainingData

PLAIN = GanConfig(objective="hinge", batch_size=8)


@pytest.fixture
def prepare(tiny_images, monkeypatch):
    """Prepare 43 images of 64 bytes for the meta device, which stands in for one with so many bytes free."""

    def prepare(free):
        monkeypatch.setattr(module, "free_memory", lambda _: free)
        labels = torch.arange(43) % 3
        return TrainingData.prepare(tiny_images, labels, ("a", "b", "c"), torch.device("meta"))

    return prepare


def test_images_that_fit_lie_on_the_device(prepare):
    data = prepare(free=2 * 43 * 64)
    assert (data.images.device.type, data.labels.device.type) == ("meta", "meta")


def test_images_that_do_not_fit_go_over_batch_by_batch(prepare, tiny_images, caplog):
    caplog.set_level(logging.INFO, logger="gan_pipelines")
    data = prepare(free=2 * 43 * 64 - 1)
    assert "The images do not fit beside the networks on meta: they stay in host memory" in caplog.text
    assert data.images.device.type == "cpu"
    assert data.images.data_ptr() == tiny_images.ctypes.data  # no copy: it may be memory-mapped
    batches = list(data.batches(torch.arange(43), PLAIN))
    assert [images.shape for images, _ in batches] == [(8, 1, 8, 8)] * 5
    assert {part.device.type for batch in batches for part in batch} == {"meta"}


def test_images_on_cuda_stay_there(tiny_images):
    data = TrainingData.prepare(tiny_images, None, (), torch.device("cpu"))
    data.device = torch.device("cuda")  # as it is asked for; what lies there says cuda:0
    with FakeTensorMode(), Calls() as calls:
        data.images = torch.empty(43, 1, 8, 8, dtype=torch.uint8, device="cuda")
        images, _ = next(data.batches(torch.arange(43, device="cuda"), PLAIN))
    assert images.device == torch.device("cuda", 0)
    assert not [name for name in calls.names if "pin_memory" in name]


class Calls(TorchDispatchMode):
    """Names of what PyTorch is asked to do."""

    def __init__(self):
        super().__init__()
        self.names = []

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        self.names.append(function.name())
        return function(*args, **(kwargs or {}))


def test_what_goes_over_is_what_was_chosen(tiny_images):
    labels = torch.arange(43) % 3
    data = TrainingData.prepare(tiny_images, labels, ("a", "b", "c"), torch.device("cpu"))
    order = torch.randperm(43)
    images, chosen = next(data.batches(order, PLAIN, done=2))
    assert torch.equal(chosen, labels[order[16:24]])
    assert torch.equal(((images + 1) * 127.5).round().byte(), torch.from_numpy(tiny_images)[order[16:24]])


@pytest.mark.parametrize("changes", [{"drop_last": False}, {"repeat_batches": True}, {}])
def test_the_last_batch_may_be_incomplete_and_batches_may_be_repeated(tiny_images, changes):
    config = replace(PLAIN, discriminator_steps=2, **changes)
    labels = torch.arange(43)  # of which each tells its image
    data = TrainingData.prepare(tiny_images, labels, tuple(map(str, range(43))), torch.device("cpu"))
    order = torch.randperm(43)
    expected = [order[start : start + 8].tolist() for start in range(0, 40 if config.drop_last else 43, 8)]
    if config.repeat_batches:
        expected = [batch for batch in expected for _ in range(2)]
    for done in (0, 3):
        assert [chosen.tolist() for _, chosen in data.batches(order, config, done)] == expected[done:]
    assert config.steps_per_epoch(43) == len(expected)
    assert config.images_per_epoch(43) == sum(map(len, expected))
