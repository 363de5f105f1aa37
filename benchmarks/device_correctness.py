"""Is what a device computes right? Losses beside the CPU's, each mode beside eager fp32, exact resume, no waits.

    python benchmarks/device_correctness.py OUT
    python benchmarks/device_correctness.py OUT --size 16 --width 8 --images 256 --steps 40   # a dry run

OUT/correctness.jsonl gets a row as soon as it is measured; the last line says what failed.
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
from itertools import islice
from pathlib import Path
from typing import Any

os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # before CUDA starts: for deterministic algorithms

import torch
import torch.nn.functional as F
from torch import Tensor

from gan_pipelines.core.devices import resolve_device
from gan_pipelines.gan import VARIANTS, CheckpointStore, GanConfig, train
from gan_pipelines.gan.data import TrainingData
from gan_pipelines.gan.state import TrainingState
from gan_pipelines.gan.trainer import _train_epoch

CLASSES = ("a", "b", "c")
LOSS_TOLERANCE = 0.01
"""Of a first step's loss in fp32 between two devices, relative: TF32 and other orders of summation allowed for."""
MODES: dict[str, dict[str, str]] = {
    "bf16": {"precision": "bf16"},
    "compiled": {"compilation": "default"},
    "CUDA graphs": {"compilation": "reduce-overhead"},
}
MODE_TOLERANCE = 0.15
"""Of mean losses of many steps between a mode and eager fp32, in units of the larger standard deviation plus size."""


def main() -> None:
    """Check every variant."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path)
    parser.add_argument("--size", type=int, default=64)
    parser.add_argument("--width", type=int, default=64)
    parser.add_argument("--images", type=int, default=2048)
    parser.add_argument("--steps", type=int, default=200, help="of each mode beside eager fp32")
    options = parser.parse_args()

    options.out.mkdir(parents=True, exist_ok=True)
    device = resolve_device("auto")
    torch.use_deterministic_algorithms(mode=True, warn_only=True)
    failed = []
    for name, row in VARIANTS.items():
        config = replace(
            row, networks=replace(row.networks, width=options.width), batch_size=32, precision="fp32", epochs=2
        )
        images = pictures(options.images, options.size)
        for check, measure in CHECKS.items():
            is_right, found = measure(config, images, device, options.steps)
            written = {"check": check, "variant": name, "is_right": is_right, **found, "device": str(device)}
            with (options.out / "correctness.jsonl").open("a") as file:
                file.write(json.dumps(written) + "\n")
            print(written, flush=True)
            failed += [] if is_right else [f"{check} of {name}"]
    print(f"failed: {', '.join(failed)}" if failed else "all is right")


def pictures(count: int, size: int) -> tuple[Tensor, Tensor]:
    """Smooth pictures of one channel whose brightness is their class, and labels."""
    labels = torch.arange(count) % len(CLASSES)
    coarse = torch.rand(count, 1, 4, 4) / 2 + labels[:, None, None, None] / 4
    return F.interpolate(coarse, size=size, mode="bilinear").clamp(0, 1).mul(255).byte(), labels


Result = tuple[bool, dict[str, Any]]
Pictures = tuple[Tensor, Tensor]


def compare_first_step(config: GanConfig, images: Pictures, device: torch.device, steps: int) -> Result:
    """The discriminator's first loss on the device and on the CPU, from the same weights and images."""
    losses = []
    for target in (torch.device("cpu"), device):
        state, data = begin(config, images, target)
        reference, _ = begin(config, images, torch.device("cpu"))
        for own, other in ((state.generator, reference.generator), (state.discriminator, reference.discriminator)):
            own.load_state_dict(other.state_dict())
        real, labels = next(data.batches(torch.arange(len(data)), config.batch_size))
        latents = torch.randn(
            config.batch_size, config.networks.latent_size, generator=torch.Generator().manual_seed(0)
        )
        with torch.no_grad():
            fake = state.generator(latents.to(target), labels)
        loss = replace_penalty(state)(real, fake, labels)[0]
        losses.append(loss.item())
    apart = abs(losses[0] - losses[1]) / max(abs(losses[0]), 0.1)
    return apart < LOSS_TOLERANCE, {"cpu": losses[0], "device_loss": losses[1], "apart": apart}


def replace_penalty(state: TrainingState) -> torch.nn.Module:
    """The discriminator's loss, its penalty at real images: points on lines are drawn, on each device differently."""
    loss = state.discriminator_loss
    loss.penalty = None if loss.penalty is None else replace(loss.penalty, at="real")
    return loss.eval()


def compare_to_plain(change: str, config: GanConfig, images: Pictures, device: torch.device, steps: int) -> Result:
    """Mean losses over the steps with and without a change; they part step by step, but not by much on the whole."""
    means, spreads = [], []
    for changes in ({}, MODES[change]):
        state, data = begin(replace(config, **changes), images, device)
        epochs = max(3, steps * config.batch_size // len(data))
        losses = torch.tensor(list(islice(losses_by_epoch(state, data), epochs)))
        means.append(losses.mean(dim=0))
        spreads.append(losses.std(dim=0))
    scale = torch.stack(spreads).amax(0) + torch.stack(means).abs().amax(0)
    apart = ((means[0] - means[1]).abs() / scale).max().item()
    return apart < MODE_TOLERANCE, {"plain": means[0].tolist(), change: means[1].tolist(), "apart": apart}


def losses_by_epoch(state: TrainingState, data: TrainingData) -> Iterator[list[float]]:
    """Losses of discriminator and generator, epoch after epoch."""
    while True:
        with state.random.active():
            metrics = _train_epoch(state, data, lambda: None)
        state.epoch += 1
        yield [metrics["discriminator_loss"], metrics["generator_loss"]]


def resume(config: GanConfig, images: Pictures, device: torch.device, steps: int) -> Result:
    """Weights of two epochs at once, and of two that were cut within the second."""
    whole = [*train(config, *images, class_names=CLASSES, device=device.type)][-1].generator
    cut = 3 * config.batch_size + len(images[0]) // config.batch_size * config.batch_size

    def stop(seen: int) -> None:
        if seen >= cut:
            raise InterruptedError

    with tempfile.TemporaryDirectory() as folder:
        store = CheckpointStore(Path(folder), interval_seconds=0)
        with contextlib.suppress(InterruptedError):
            [*train(config, *images, class_names=CLASSES, device=device.type, checkpoints=store, on_step=stop)]
        resumed = [*train(config, *images, class_names=CLASSES, device=device.type, checkpoints=store)][-1].generator
    same = all(torch.equal(whole.weights["raw"][name], resumed.weights["raw"][name]) for name in whole.weights["raw"])
    return same, {}


def never_wait(config: GanConfig, images: Pictures, device: torch.device, steps: int) -> Result:
    """An epoch in which CUDA raises where the host would wait; of other devices nothing is known."""
    if device.type != "cuda":
        return True, {"skipped": "not CUDA"}
    state, data = begin(config, images, device)
    steps_done = 0

    def watch() -> None:
        nonlocal steps_done
        steps_done += 1
        torch.cuda.set_sync_debug_mode("error")  # from the second step on, when all kernels are loaded

    try:
        with state.random.active(), contextlib.suppress(RuntimeError):  # the metrics are read when the steps are over
            _train_epoch(state, data, watch)
    finally:
        torch.cuda.set_sync_debug_mode("default")
    return steps_done == len(data) // config.batch_size, {"steps": steps_done}


def begin(config: GanConfig, images: Pictures, device: torch.device) -> tuple[TrainingState, TrainingData]:
    """A training that is about to start."""
    data = TrainingData.prepare(*images, CLASSES, device)
    return TrainingState(config, data), data


CHECKS: dict[str, Callable[[GanConfig, Pictures, torch.device, int], Result]] = {
    "first step": compare_first_step,
    **{mode: partial(compare_to_plain, mode) for mode in MODES},
    "resume": resume,
    "resume, compiled": lambda config, *rest: resume(replace(config, compilation="default"), *rest),
    "no waiting": never_wait,
}


if __name__ == "__main__":
    main()
