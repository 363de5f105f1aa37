"""Steps recorded as CUDA graphs. Where there is no GPU, nothing here runs."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from functools import partial

import pytest
import torch

from gan_pipelines.core.recording import LAUNCHED_STEPS, RecordedStep
from gan_pipelines.gan import VARIANTS, DifferentiableTransformConfig, PenaltyConfig, TransformConfig
from gan_pipelines.gan.data import TrainingData
from gan_pipelines.gan.state import TrainingState
from gan_pipelines.gan.trainer import _train_epoch, choose_steps, launched_steps

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no CUDA")
STEPS = LAUNCHED_STEPS + 5
BATCH = torch.zeros(2, 1) if not torch.cuda.is_available() else torch.zeros(2, 1, device="cuda")


def descend(weight, optimizer, images):
    """A step with a loss whose gradient is 1."""
    optimizer.zero_grad()
    (weight.sum() + 0 * images.sum()).backward()
    optimizer.step()
    return {"weight": weight.detach().clone(), "noise": torch.randn((), device="cuda")}


@pytest.fixture
def weight():
    return torch.nn.Parameter(torch.zeros((), device="cuda"))


def record(compute, *optimizers):
    return RecordedStep(compute, optimizers, torch.cuda.Stream())


def test_a_recorded_step_follows_the_learning_rate(weight):
    optimizer = torch.optim.SGD([weight], lr=1.0)
    step = record(partial(descend, weight, optimizer), optimizer)
    for _ in range(STEPS):
        step(BATCH)
    assert weight.item() == -STEPS
    optimizer.param_groups[0]["lr"] = 0.5
    for _ in range(2):
        step(BATCH)
    assert weight.item() == -STEPS - 1


def test_random_numbers_are_those_of_a_step_that_is_launched(weight):
    optimizer = torch.optim.SGD([weight], lr=1.0)
    compute = partial(descend, weight, optimizer)
    drawn = []
    for step in (compute, record(compute, optimizer)):
        torch.cuda.manual_seed(0)
        drawn.append([step(BATCH)["noise"].item() for _ in range(STEPS)])
    assert drawn[0] == drawn[1]
    assert len(set(drawn[0])) == STEPS


def test_the_inputs_are_those_of_each_call():
    step = record(lambda images, nothing, labels: {"sum": images.sum() + labels.sum()})
    for number in range(STEPS):
        found = step(torch.full((3,), float(number), device="cuda"), None, torch.tensor([number], device="cuda"))
        assert found["sum"].item() == 4 * number


def test_a_step_that_waits_for_the_device_is_refused():
    """In a process of its own: PyTorch draws no random numbers on a device after such an error."""
    code = """
import torch
from gan_pipelines.core.recording import RecordedStep
step = RecordedStep(lambda images: {"sum": images.sum().item()}, [], torch.cuda.Stream())
for _ in range(11):
    step(torch.ones(1, device="cuda"))
"""
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert run.stderr.splitlines()[-1].startswith(
        "gan_pipelines.core.recording.StepUnrecordable: A training step cannot be recorded as a CUDA graph"
    )


LAZY = {
    "discriminator_steps": 1,
    "penalties": (PenaltyConfig(at="real", target_norm=0.0), PenaltyConfig(at="fake", target_norm=0.0, every_steps=2)),
    "differentiable_transforms": DifferentiableTransformConfig(
        kinds=("colour", "translation", "cutout"), probability=0.5, target_sign=0.0, ramp_images=1000
    ),
}
"""Settings with which steps of two kinds take turns, each often enough to be recorded, and read a changing tensor."""


@pytest.mark.parametrize(("variant", "changes"), [*((variant, {}) for variant in VARIANTS), ("wgan_gp", LAZY)])
def test_a_recorded_training_begins_as_one_that_is_launched(variant, changes):
    config = replace(VARIANTS[variant], **changes)
    config = replace(
        config,
        networks=replace(config.networks, width=8),
        discriminator_steps=min(config.discriminator_steps, 2),
        transforms=TransformConfig(horizontal_flip=True, rotation_degrees=10, crop_padding=2),
        batch_size=16,
        precision="fp32",
    )
    torch.manual_seed(0)
    images = torch.randint(0, 256, (16 * 48, 3, 32, 32), dtype=torch.uint8)
    labels = torch.arange(len(images)) % 2
    found = []
    for steps_of in (launched_steps, choose_steps):
        data = TrainingData.prepare(images, labels, ("a", "b"), torch.device("cuda"))
        state = TrainingState(config, data)
        with state.random.active():
            found.append(_train_epoch(state, data, lambda: None, steps_of(state)))
    for metrics in found:
        del metrics["images_per_second"]
    assert found[0] == pytest.approx(found[1], rel=0.02, abs=0.02)
