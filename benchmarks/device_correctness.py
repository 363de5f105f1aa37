"""Check that a device computes correctly.

    python benchmarks/device_correctness.py OUT
    python benchmarks/device_correctness.py OUT --variants dcgan wgan_gp --checks "first step" resume
    python benchmarks/device_correctness.py OUT --variants dcgan --changes "objective: relativistic"
    python benchmarks/device_correctness.py OUT --size 16 --width 8 --images 256 --steps 40   # a quick trial

For each variant, the first loss is compared with the CPU's, and bf16 and compiled training with eager fp32. An
interrupted training must resume exactly, and training steps must not wait for CUDA. Each result is appended to
OUT/correctness.jsonl at once; the last line printed lists what failed.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from itertools import islice, product
from pathlib import Path
from typing import Any

os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # deterministic algorithms need it before CUDA starts

import torch
import torch.nn.functional as F
import yaml
from torch import Tensor

from gan_pipelines.core.devices import resolve_device
from gan_pipelines.gan import VARIANTS, CheckpointStore, GanConfig, train
from gan_pipelines.gan.data import TrainingData
from gan_pipelines.gan.state import TrainingState
from gan_pipelines.gan.trainer import _train_epoch, choose_steps, launched_steps
from gan_pipelines.gan.variants import parse_variant

CLASSES = ("a", "b", "c")
LOSS_TOLERANCE = 0.01
"""Maximum relative difference of the first fp32 loss between two devices; allows for TF32 and the order of sums."""
MODES: dict[str, dict[str, Any]] = {
    "bf16": {"precision": "bf16"},
    "compiled": {"compilation": "default"},
}
RECORDED_STEPS = 100
"""Steps to compare recorded ones with launched ones: ten are launched of each kind before one is recorded.

Enough for generator steps after five discriminator steps each, and for a penalty in every fourth step."""
RECORDED_TOLERANCE = 1e-6
MODE_TOLERANCE = 0.15
"""Maximum difference of mean losses between a mode and eager fp32.

The unit is the larger standard deviation plus the larger absolute mean."""


def main() -> None:
    """Run the checks on the variants."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path)
    parser.add_argument("--size", type=int, default=64)
    parser.add_argument("--width", type=int, default=64)
    parser.add_argument("--images", type=int, default=2048)
    parser.add_argument("--steps", type=int, default=200, help="steps to compare each mode with eager fp32")
    parser.add_argument("--variants", nargs="+", default=[*VARIANTS])
    parser.add_argument("--checks", nargs="+", default=[*CHECKS])
    parser.add_argument(
        "--changes",
        type=yaml.safe_load,
        default={},
        help="settings of all variants in YAML, but width, batch and epochs",
    )
    options = parser.parse_args()

    options.out.mkdir(parents=True, exist_ok=True)
    device = resolve_device("auto")
    torch.use_deterministic_algorithms(mode=True, warn_only=True)
    failed = []
    for name, check in product(options.variants, options.checks):
        config = parse_variant(name, options.changes)
        networks = replace(config.networks, width=options.width)
        config = replace(config, networks=networks, batch_size=32, precision="fp32", epochs=2)
        is_right, found = CHECKS[check](config, make_images(options.images, options.size), device, options.steps)
        row = {"check": check, "variant": name, "changes": options.changes, "device": str(device)}
        row |= {"size": options.size, "width": options.width, "images": options.images, "steps": options.steps}
        row |= {"is_right": is_right, **found}
        with (options.out / "correctness.jsonl").open("a") as file:
            file.write(json.dumps(row) + "\n")
        print(row, flush=True)
        failed += [] if is_right else [f"{check} of {name}"]
    print(f"failed: {', '.join(failed)}" if failed else "All checks passed.")


def make_images(count: int, size: int) -> tuple[Tensor, Tensor]:
    """Make smooth grey images (count, 1, size, size) uint8 whose brightness depends on their labels (count,)."""
    labels = torch.arange(count) % len(CLASSES)
    coarse = torch.rand(count, 1, 4, 4) / 2 + labels[:, None, None, None] / 4
    return F.interpolate(coarse, size=size, mode="bilinear").clamp(0, 1).mul(255).byte(), labels


Result = tuple[bool, dict[str, Any]]
"""Whether a check passed, and what it measured."""
Images = tuple[Tensor, Tensor]
"""Images and labels."""


def compare_first_step(config: GanConfig, images: Images, device: torch.device, steps: int) -> Result:
    """Compare the first discriminator loss on the device with the CPU's, from the same weights and images."""
    losses = []
    for target in (torch.device("cpu"), device):
        state, data = start_training(config, images, target)
        reference, _ = start_training(config, images, torch.device("cpu"))
        state.generator.load_state_dict(reference.generator.state_dict())
        state.discriminator.load_state_dict(reference.discriminator.state_dict())
        real, labels = next(data.batches(torch.arange(len(data)), config))
        latents = torch.randn(
            config.batch_size, config.networks.latent_size, generator=torch.Generator().manual_seed(0)
        )
        with torch.no_grad():
            fake = state.generator(latents.to(target), labels)
        loss = move_penalties(state)(real, fake, labels)[0]
        losses.append(loss.item())
    difference = abs(losses[0] - losses[1]) / max(abs(losses[0]), 0.1)
    return difference < LOSS_TOLERANCE, {"cpu": losses[0], "device_loss": losses[1], "difference": difference}


def move_penalties(state: TrainingState) -> torch.nn.Module:
    """Take penalties at real images: each device draws other random points on the lines."""
    loss = state.discriminator_loss
    loss.penalties = [replace(penalty, at="real") for penalty in loss.penalties]
    return loss.eval()


def compare_mode(mode: str, config: GanConfig, images: Images, device: torch.device, steps: int) -> Result:
    """Compare mean losses in a mode with those in eager fp32; single steps may differ more than the means."""
    means, deviations = [], []
    for changes in ({}, MODES[mode]):
        state, data = start_training(replace(config, **changes), images, device)
        epochs = max(3, steps * config.batch_size // len(data))
        losses = torch.tensor(list(islice(train_epochs(state, data), epochs)))
        means.append(losses.mean(dim=0))
        deviations.append(losses.std(dim=0))
    scale = torch.stack(deviations).amax(0) + torch.stack(means).abs().amax(0)
    difference = ((means[0] - means[1]).abs() / scale).max().item()
    found = {"eager fp32": means[0].tolist(), mode: means[1].tolist(), "difference": difference}
    return difference < MODE_TOLERANCE, found


def train_epochs(state: TrainingState, data: TrainingData) -> Iterator[list[float]]:
    """Train without end; yield the losses of discriminator and generator after each epoch."""
    while True:
        with state.random.active():
            metrics = _train_epoch(state, data, lambda: None)
        state.epoch += 1
        yield [metrics["discriminator_loss"], metrics["generator_loss"]]


def compare_recorded(config: GanConfig, images: Images, device: torch.device, _: int) -> Result:
    """Compare weights and losses after recorded steps with those after as many that are launched, twice.

    Where two launched trainings differ, as some kernels add in no fixed order, recorded ones may differ as much.
    """
    if device.type != "cuda":
        return True, {"skipped": "not CUDA"}
    rows = torch.arange(RECORDED_STEPS * config.batch_size) % len(images[0])
    repeated = (images[0][rows], images[1][rows])
    found = []
    for steps_of in (launched_steps, launched_steps, choose_steps):
        state, data = start_training(config, repeated, device)
        with state.random.active():
            metrics = _train_epoch(state, data, lambda: None, steps_of(state))
        losses = torch.tensor([metrics["discriminator_loss"], metrics["generator_loss"]])
        found.append(torch.cat([losses, *(each.detach().flatten().cpu() for each in state.generator.parameters())]))
    control, difference = ((found[0] - other).abs().max().item() for other in found[1:])
    is_right = difference <= max(2 * control, RECORDED_TOLERANCE)
    return is_right, {"difference": difference, "launched twice": control, "steps": RECORDED_STEPS}


def compare_resumed(config: GanConfig, images: Images, device: torch.device, steps: int) -> Result:
    """Compare the weights after two epochs with those of a training interrupted in the second epoch and resumed."""
    whole = [*train(config, *images, class_names=CLASSES, device=device.type)][-1].generator
    last_seen = 3 * config.batch_size + len(images[0]) // config.batch_size * config.batch_size

    def stop(seen: int) -> None:
        if seen >= last_seen:
            raise InterruptedError

    with tempfile.TemporaryDirectory() as folder:
        store = CheckpointStore(Path(folder), interval_seconds=0)
        with contextlib.suppress(InterruptedError):
            [*train(config, *images, class_names=CLASSES, device=device.type, checkpoints=store, on_step=stop)]
        resumed = [*train(config, *images, class_names=CLASSES, device=device.type, checkpoints=store)][-1].generator
    same = all(torch.equal(whole.weights["raw"][name], resumed.weights["raw"][name]) for name in whole.weights["raw"])
    return same, {}


def check_synchronization(config: GanConfig, images: Images, device: torch.device, steps: int) -> Result:
    """Check that no step of an epoch waits for CUDA; PyTorch raises an error if one does. Other devices are skipped."""
    if device.type != "cuda":
        return True, {"skipped": "not CUDA"}
    state, data = start_training(config, images, device)
    steps_done = 0

    def watch() -> None:
        nonlocal steps_done
        steps_done += 1
        torch.cuda.set_sync_debug_mode("error")  # only after the first step, which loads the kernels

    try:
        with state.random.active(), contextlib.suppress(RuntimeError):  # reading the metrics after the steps may wait
            _train_epoch(state, data, watch)
    finally:
        torch.cuda.set_sync_debug_mode("default")
    return steps_done == len(data) // config.batch_size, {"steps": steps_done}


def start_training(config: GanConfig, images: Images, device: torch.device) -> tuple[TrainingState, TrainingData]:
    """Prepare data and initial state of a training."""
    data = TrainingData.prepare(*images, CLASSES, device)
    return TrainingState(config, data), data


CHECKS: dict[str, Callable[[GanConfig, Images, torch.device, int], Result]] = {
    "first step": compare_first_step,
    "recorded": compare_recorded,
    "recorded, bf16": lambda config, *rest: compare_recorded(replace(config, precision="bf16"), *rest),
    **{mode: partial(compare_mode, mode) for mode in MODES},
    "resume": compare_resumed,
    "resume, compiled": lambda config, *rest: compare_resumed(replace(config, compilation="default"), *rest),
    "no waiting": check_synchronization,
}
"""Checks by name; each takes the configuration, images and labels, the device, and the number of steps of a mode."""


if __name__ == "__main__":
    main()
