"""Training images per second of `gan_pipelines.gan` beside a bare PyTorch step of the same networks.

The bare step does what the mathematics asks for and nothing else: one fixed batch, no shuffling, no moving average, no
metrics, no samples, no health check, no checkpoint; with the same layout, optimiser, precision and frozen
discriminator. Both run in one process and alternate; the last line gives the medians, and the median of the ratios of
neighbours.

    python benchmarks/loop_overhead.py --variant dcgan --image-size 64 --width 64 --batch-size 64
"""

from __future__ import annotations

import argparse
import json
import shutil
import statistics
import tempfile
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import torch
from torch import Tensor

from gan_pipelines.devices import autocast, resolve_device
from gan_pipelines.gan import VARIANTS, CheckpointStore, GanConfig, ImageShape, train
from gan_pipelines.gan.networks import build_discriminator, build_generator
from gan_pipelines.gan.objectives import OBJECTIVES
from gan_pipelines.gan.penalties import gradient_penalty, penalty_points
from gan_pipelines.pixels import to_float

CHECKPOINT_SECONDS = 30  # as conf/base/catalog.yml has it


def bare_rates(config: GanConfig, images: Tensor, device: torch.device) -> Iterator[float]:
    """Yield images per second of one bare pass after another, each with as many steps as an epoch has."""
    shape = ImageShape(*images.shape[1:])
    generator = build_generator(config.networks, shape, 0).to(memory_format=torch.channels_last).to(device)
    discriminator = build_discriminator(config.networks, shape, 0).to(memory_format=torch.channels_last).to(device)
    objective = OBJECTIVES[config.objective]
    generator_adam, discriminator_adam = (
        torch.optim.Adam(network.parameters(), lr=settings.learning_rate, betas=settings.betas, fused=True)
        for network, settings in (
            (generator, config.generator_optimizer),
            (discriminator, config.discriminator_optimizer),
        )
    )
    size, steps = config.batch_size, len(images) // config.batch_size
    real = to_float(images[:size]).contiguous(memory_format=torch.channels_last).to(device)

    def latents() -> Tensor:
        return torch.randn(size, config.networks.latent_size, device=device)

    while True:
        started = time.perf_counter()
        for step in range(1, steps + 1):
            with autocast(device, config.precision):
                with torch.no_grad():
                    fake = generator(latents(), None)
                logits = [discriminator(images, None).logits.float() for images in (real, fake)]
                loss = objective.discriminator_loss(*logits)
                if config.penalty is not None:
                    points = penalty_points(config.penalty.at, real, fake)
                    penalty = gradient_penalty(discriminator, points, None, config.penalty.target_norm)
                    loss = loss + config.penalty.weight * penalty
            discriminator_adam.zero_grad()
            loss.backward()
            discriminator_adam.step()
            if step % config.critic_steps == 0:
                discriminator.requires_grad_(False)
                with autocast(device, config.precision):
                    loss = objective.generator_loss(discriminator(generator(latents(), None), None).logits.float())
                generator_adam.zero_grad()
                loss.backward()
                generator_adam.step()
                discriminator.requires_grad_(True)
        if device.type == "cuda":
            torch.cuda.synchronize()
        yield steps * size / (time.perf_counter() - started)


def loop_rates(config: GanConfig, images: Tensor, device: torch.device, folder: Path) -> Iterator[float]:
    """Yield images per second of one whole epoch after another: training, samples, health check, checkpoint."""
    checkpoints = CheckpointStore(folder, interval_seconds=CHECKPOINT_SECONDS)
    epochs = train(config, images, device=device.type, checkpoints=checkpoints)
    seen = 0
    while True:
        started = time.perf_counter()
        epoch = next(epochs)
        yield (epoch.images_seen - seen) / (time.perf_counter() - started)
        seen = epoch.images_seen


def main() -> None:
    """Measure, print one row per round, and the ratio."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--variant", choices=["mlp_gan", "dcgan", "wgan_gp", "sagan"], default="wgan_gp")
    parser.add_argument("--image-size", type=int, default=32)
    parser.add_argument("--channels", type=int, default=1)
    parser.add_argument("--width", type=int, default=32)
    parser.add_argument("--batch-size", type=int, default=32)
    parser.add_argument("--critic-steps", type=int, default=1)
    parser.add_argument("--images", type=int, default=1257, help="images of an epoch; random pixels")
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--precision", choices=["fp32", "bf16"], default="fp32")
    options = parser.parse_args()

    device = resolve_device("auto")
    row = VARIANTS[options.variant]
    config = replace(
        row,
        networks=replace(row.networks, width=options.width),
        batch_size=options.batch_size,
        critic_steps=options.critic_steps,
        epochs=options.rounds + 1,
        precision=options.precision,
    )
    shape = (options.images, options.channels, options.image_size, options.image_size)
    images = torch.randint(0, 256, shape, dtype=torch.uint8)
    folder = Path(tempfile.mkdtemp(prefix="loop_overhead-"))
    contenders = {"bare": bare_rates(config, images, device), "loop": loop_rates(config, images, device, folder)}
    rates: dict[str, list[float]] = {name: [] for name in contenders}
    for round_number in range(options.rounds + 1):
        for name, measure in contenders.items():
            rate = next(measure)
            if round_number > 0:  # the first warms up
                rates[name].append(rate)
                print(json.dumps({"contender": name, "round": round_number, "images_per_second": round(rate, 1)}))
    shutil.rmtree(folder)
    medians = {name: statistics.median(values) for name, values in rates.items()}
    ratio = statistics.median(loop / bare for loop, bare in zip(rates["loop"], rates["bare"], strict=True))
    print(f"bare {medians['bare']:.1f} img/s, loop {medians['loop']:.1f} img/s, ratio {ratio:.3f} ({vars(options)})")


if __name__ == "__main__":
    main()
