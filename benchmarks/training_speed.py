"""Compare the training speed of this project with a tutorial's loop and with a bare training step.

    python benchmarks/training_speed.py OUT.jsonl
    python benchmarks/training_speed.py OUT.jsonl --workloads all --remedies --rounds 3

The contenders have the same networks, losses and batch size. They run in one process and alternate round by round.

- The tutorial is the usual loop: image files, transforms of single images in worker processes, fp32, PyTorch's default
  memory format and optimisers, losses read back in every step. With several discriminator steps per generator step,
  gradients also flow into the generator in each of them, as in widely used scripts; "tutorial, detached" avoids that.
- The bare step does only what the algorithm needs, with this project's memory format and optimisers: one fixed batch,
  no shuffling, no EMA, no metrics, no samples, no health check, no checkpoints.
- This project trains whole epochs with all of these. The time after the last step of an epoch is left out, since it
  does not depend on the length of the epoch, and the epochs here are short.

OUT.jsonl is written anew and gets each row as soon as it is measured. Medians and ratios are printed.
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from itertools import cycle, islice
from pathlib import Path
from typing import NamedTuple

import pandas as pd
import torch
import torch.nn.functional as F
import yaml
from torch import Tensor, nn
from torch.utils.data import DataLoader
from torchvision import transforms
from torchvision.datasets import ImageFolder
from torchvision.io import write_png

from devices import describe_device
from gan_pipelines.core.devices import autocast, resolve_device
from gan_pipelines.core.pixels import to_float
from gan_pipelines.gan import CheckpointStore, GanConfig, ImageShape, train
from gan_pipelines.gan.config import OptimizerConfig
from gan_pipelines.gan.networks import build_discriminator, build_generator
from gan_pipelines.gan.objectives import OBJECTIVES
from gan_pipelines.gan.penalties import clip_weights, gradient_penalty, penalty_points
from gan_pipelines.gan.variants import parse_variant
from plot_speed import tabulate_speeds

CONF = Path(__file__).parents[1] / "conf"
WORKERS = min(8, os.cpu_count() or 1)
"""Processes that read the tutorial's images."""
FILES = 1024
"""Number of image files; few, so that they are read from the disk cache."""
CHECKPOINT_SECONDS = 30  # as conf/base/catalog.yml has it


class Workload(NamedTuple):
    """A variant with the settings of an experiment, and its images; sizes in pixels."""

    experiment: str
    variant: str
    size: int
    file_size: int
    channels: int = 3
    classes: int = 10

    @property
    def name(self) -> str:
        """Variant and size: ``dcgan 64``."""
        return f"{self.variant} {self.size}"


COMPARED = (
    Workload("cifar10_64", "dcgan", 64, 32),
    Workload("cifar10_64", "wgan_gp", 64, 32),
    Workload("cifar10_64", "dcgan", 32, 32),
    Workload("cifar10_32", "wgan_gp", 32, 32),
    Workload("fashion_mnist", "mlp_gan", 28, 28, channels=1),
)
OTHERS = (
    Workload("cifar10_64", "wgan", 64, 32),
    Workload("cifar10_64", "acgan", 64, 32),
    Workload("cifar10_64_attention", "sagan", 64, 32),
    Workload("playing_cards", "cdcgan", 64, 224, classes=53),
    Workload("fashion_mnist", "dcgan", 28, 28, channels=1),
)


@dataclass(frozen=True)
class Recipe:
    """Optimisations of a plain PyTorch loop; the tutorial has none of them.

    Attributes:
        data: source of the images: ``files``; ``resident``, uint8 images on the device; or ``fixed``, a single batch.
        bf16: compute forward passes in bf16.
        channels_last: use the channels-last memory format for weights and images.
        fused: use fused optimisers.
        detached: compute no gradients of the generator in discriminator steps.
        frozen: compute no gradients of the discriminator's weights in generator steps.
        deferred: leave the losses on the device.
        compiled: compile forward passes, except that of the penalty, which torch.compile cannot differentiate twice.
        graphs: compile with CUDA graphs.
        autotuned: let cuDNN try its algorithms and take the fastest.
    """

    data: str = "files"
    bf16: bool = False
    channels_last: bool = False
    fused: bool = False
    detached: bool = False
    frozen: bool = False
    deferred: bool = False
    compiled: bool = False
    graphs: bool = False
    autotuned: bool = False


TUTORIAL = Recipe()
BARE = Recipe(data="fixed", channels_last=True, fused=True, detached=True, frozen=True, deferred=True)
REMEDIES = {  # the tutorial with a single optimisation
    "resident data": Recipe(data="resident"),
    "bf16": Recipe(bf16=True),
    "channels last": Recipe(channels_last=True),
    "fused optimisers": Recipe(fused=True),
    "detached generator": Recipe(detached=True),
    "frozen discriminator": Recipe(frozen=True),
    "losses not read back": Recipe(deferred=True),
    "compiled": Recipe(compiled=True),
    "compiled, CUDA graphs": Recipe(compiled=True, graphs=True),
    "autotuned": Recipe(autotuned=True),
}
ONLY_CUDA = ("compiled, CUDA graphs", "autotuned")

Contender = Callable[[], Iterator[float]]
"""Starts a contender, which yields training images per second, round after round."""


def main() -> None:
    """Measure every contender on every workload; write the rows and print the medians."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path)
    parser.add_argument("--workloads", default="compared", help="compared, all, or names such as 'dcgan 64,mlp_gan 28'")
    parser.add_argument(
        "--remedies", nargs="*", help="also single optimisations, and this project compiled: all, or those named"
    )
    parser.add_argument(
        "--contenders", nargs="+", help="only those named, such as 'ours fp32'; remedies need --remedies"
    )
    parser.add_argument("--rounds", type=int, default=5, help="number of rounds after a warm-up round")
    parser.add_argument("--seconds", type=float, default=10.0, help="approximate length of a round of one contender")
    options = parser.parse_args()

    options.out.parent.mkdir(parents=True, exist_ok=True)
    options.out.write_text("")
    device = resolve_device("auto")
    for workload in choose_workloads(options.workloads):
        with tempfile.TemporaryDirectory() as folder:
            bench = Bench(workload, device, Path(folder), options.seconds)
            contenders = choose_contenders(bench, options.remedies, options.contenders)
            measure(contenders, bench, options.rounds, options.out)
    rows = pd.read_json(options.out, lines=True)
    medians = rows.pivot_table("images_per_second", "workload", "contender", "median", sort=False)
    print((medians if options.contenders else tabulate_speeds(rows)).T.round(3).to_string())


def choose_workloads(wanted: str) -> list[Workload]:
    """Return the workloads that the option ``--workloads`` names."""
    if wanted == "compared":
        return [*COMPARED]
    everything = [*COMPARED, *OTHERS]
    return everything if wanted == "all" else [each for each in everything if each.name in wanted.split(",")]


def choose_contenders(bench: Bench, remedies: list[str] | None, named: list[str] | None) -> dict[str, Contender]:
    """Return the contenders by name: those that are always compared and the remedies, or those of them that are named.

    An empty list of remedies is all of them.
    """
    contenders = list_contenders(bench, remedies)
    if unknown := {*(named or ())} - {*contenders}:
        raise SystemExit(f"--contenders has {', '.join(sorted(unknown))}; there are {', '.join(contenders)}.")
    return {name: contenders[name] for name in named or contenders}


def list_contenders(bench: Bench, remedies: list[str] | None) -> dict[str, Contender]:
    """Return those that are always compared, and the remedies named."""
    compared: dict[str, Contender] = {
        "tutorial": partial(bench.run_plain, TUTORIAL),
        "bare fp32": partial(bench.run_plain, BARE),
        "bare bf16": partial(bench.run_plain, replace(BARE, bf16=True)),
        "ours fp32": partial(bench.run_ours, "fp32"),
        "ours bf16": partial(bench.run_ours, "bf16"),
    }
    if bench.config.discriminator_steps > 1:
        compared["tutorial, detached"] = partial(bench.run_plain, replace(TUTORIAL, detached=True))
    if remedies is None:
        return compared
    chosen = {name: each for name, each in list_remedies(bench).items() if not remedies or name in remedies}
    return compared | chosen


def list_remedies(bench: Bench) -> dict[str, Contender]:
    """Return this project compiled or autotuned, and the tutorial with single optimisations, as the device allows."""
    is_cuda = bench.device.type == "cuda"
    found: dict[str, Contender] = {"ours bf16, compiled": partial(bench.run_ours, "bf16", "default")}
    if is_cuda:
        found |= {f"ours {each}, autotuned": partial(bench.run_ours, each, autotuned=True) for each in ("fp32", "bf16")}
    plain = {name: recipe for name, recipe in REMEDIES.items() if is_cuda or name not in ONLY_CUDA}
    return found | {name: partial(bench.run_plain, recipe) for name, recipe in plain.items()}


class Bench:
    """Runs contenders on one workload.

    Attributes:
        steps: number of discriminator steps in a round.
    """

    def __init__(self, workload: Workload, device: torch.device, folder: Path, seconds: float) -> None:
        self.workload = workload
        self.device = device
        self.folder = folder
        self.config = read_config(workload)
        self.shape = ImageShape(workload.channels, workload.size, workload.size)
        write_images(folder / "images", workload)
        self.steps = self.config.discriminator_steps
        rounds = self.run_plain(BARE)
        next(rounds)  # the first steps load CUDA's kernels
        rate = next(rounds)  # an estimate, for the length of the rounds
        generator_steps = seconds * rate / self.config.batch_size / self.config.discriminator_steps
        self.steps *= max(1, round(generator_steps))

    def run_plain(self, recipe: Recipe) -> Iterator[float]:
        """Run rounds of a plain loop without end; yield training images per second."""
        steps = self._run_plain_steps(recipe)
        while True:
            torch.backends.cudnn.benchmark = recipe.autotuned
            started = time.perf_counter()
            for _ in islice(steps, self.steps):
                pass
            self._wait()
            yield self.steps * self.config.batch_size / (time.perf_counter() - started)

    def run_ours(self, precision: str, compilation: str = "none", autotuned: bool = False) -> Iterator[float]:
        """Run epochs of this project without end; yield training images per second up to the last step of each."""
        last_step = 0.0

        def on_step(seen: int) -> None:
            nonlocal last_step
            if seen % (self.steps * self.config.batch_size) == 0:
                self._wait()
                last_step = time.perf_counter()

        epochs = train(
            replace(self.config, precision=precision, compilation=compilation, epochs=10_000),
            *make_images(self.steps * self.config.batch_size, self.workload.size, self.workload),
            class_names=tuple(map(str, range(self.workload.classes))),
            device=self.device.type,
            checkpoints=CheckpointStore(
                self.folder / precision / compilation / str(autotuned), interval_seconds=CHECKPOINT_SECONDS
            ),
            on_step=on_step,
        )
        while True:
            torch.backends.cudnn.benchmark = autotuned
            started = time.perf_counter()
            next(epochs)
            yield self.steps * self.config.batch_size / (last_step - started)

    def _wait(self) -> None:
        """Wait until the device has finished."""
        if self.device.type == "cuda":
            torch.cuda.synchronize()

    def _run_plain_steps(self, recipe: Recipe) -> Iterator[None]:
        """Take discriminator steps without end, each with a generator step if it is due."""
        config, device = self.config, self.device
        layout = torch.channels_last if recipe.channels_last else torch.contiguous_format
        precision = "bf16" if recipe.bf16 else "fp32"
        sizes = (config.networks, self.shape, self.workload.classes)
        generator = build_generator(*sizes).to(memory_format=layout).to(device)
        discriminator = build_discriminator(*sizes).to(memory_format=layout).to(device)
        generator_optimizer = build_optimizer(generator, config.generator_optimizer, recipe.fused)
        discriminator_optimizer = build_optimizer(discriminator, config.discriminator_optimizer, recipe.fused)
        objective = OBJECTIVES[config.objective]
        generate, discriminate = generator, discriminator
        if recipe.compiled:
            mode = "reduce-overhead" if recipe.graphs else "default"
            generate, discriminate = (torch.compile(network, mode=mode) for network in (generator, discriminator))

        def draw_latents() -> Tensor:
            return torch.randn(config.batch_size, config.networks.latent_size, device=device)

        for step, (images, labels) in enumerate(self._load_batches(recipe.data), start=1):
            real = images.contiguous(memory_format=layout)
            is_generator_step = step % config.discriminator_steps == 0
            # As in PyTorch's DCGAN tutorial, both steps use the same generated images.
            is_shared = recipe.detached or config.discriminator_steps == 1
            with autocast(device, precision):
                with torch.set_grad_enabled(is_generator_step or not recipe.detached):
                    fake = generate(draw_latents(), labels)
                real_logits, real_classes = discriminate(real, labels)
                fake_logits, fake_classes = discriminate(fake.detach() if is_shared else fake, labels)
                loss = objective.discriminator_loss(real_logits.float(), fake_logits.float())
                if real_classes is not None:
                    loss = loss + F.cross_entropy(real_classes, labels) + F.cross_entropy(fake_classes, labels)
                for penalty in config.penalties:
                    points = penalty_points(penalty.at, real, fake)
                    value = gradient_penalty(discriminator, points, labels, penalty.target_norm)
                    loss = loss + penalty.weight * value
            take_step(loss, discriminator_optimizer)
            if config.weight_clip is not None:
                clip_weights(discriminator, config.weight_clip)
            losses = [loss]
            if is_generator_step:
                discriminator.requires_grad_(not recipe.frozen)
                with autocast(device, precision):
                    if not is_shared:
                        fake = generate(draw_latents(), labels)
                    logits, classes = discriminate(fake, labels)
                    assert objective.generator_loss is not None
                    loss = objective.generator_loss(logits.float())
                    if classes is not None:
                        loss = loss + F.cross_entropy(classes, labels)
                take_step(loss, generator_optimizer)
                discriminator.requires_grad_(True)
                losses.append(loss)
            if not recipe.deferred:
                _ = [each.item() for each in losses]  # waits for the device
            yield

    def _load_batches(self, source: str) -> Iterator[tuple[Tensor, Tensor]]:
        """Yield images (N, C, H, W) in [-1, 1] and labels (N,) on the device, without end."""
        size, device = self.config.batch_size, self.device
        if source == "files":
            loader = self._open_files()
            while True:
                for images, labels in loader:
                    yield images.to(device), labels.to(device)
        images, labels = (part.to(device) for part in make_images(FILES, self.workload.size, self.workload))
        if source == "fixed":
            yield from cycle([(to_float(images[:size]), labels[:size])])
        while True:
            for batch in torch.randperm(FILES, device=device).split(size)[: FILES // size]:
                yield to_float(images[batch]), labels[batch]

    def _open_files(self) -> DataLoader[tuple[Tensor, Tensor]]:
        """Open the image files as tutorials do."""
        channels = self.workload.channels
        steps = [
            *([transforms.Grayscale()] if channels == 1 else []),
            transforms.Resize(self.workload.size),
            transforms.ToTensor(),
            transforms.Normalize([0.5] * channels, [0.5] * channels),
        ]
        dataset = ImageFolder(self.folder / "images", transforms.Compose(steps))
        return DataLoader(
            dataset,
            self.config.batch_size,
            shuffle=True,
            num_workers=WORKERS,
            drop_last=True,
            persistent_workers=True,
        )


def read_config(workload: Workload) -> GanConfig:
    """Read what the experiment says of the variant."""
    parameters = yaml.safe_load((CONF / workload.experiment / "parameters.yml").read_text())
    return parse_variant(workload.variant, parameters["variants"][workload.variant])


def build_optimizer(network: nn.Module, settings: OptimizerConfig, fused: bool) -> torch.optim.Optimizer:
    """Build the optimiser of a network."""
    if settings.algorithm == "rmsprop":
        return torch.optim.RMSprop(network.parameters(), lr=settings.learning_rate)
    return torch.optim.Adam(network.parameters(), lr=settings.learning_rate, betas=settings.betas, fused=fused or None)


def take_step(loss: Tensor, optimizer: torch.optim.Optimizer) -> None:
    """Compute gradients and take an optimiser step."""
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()


def make_images(count: int, size: int, workload: Workload) -> tuple[Tensor, Tensor]:
    """Make smooth images (count, C, size, size) uint8, which compress like photographs, and labels (count,)."""
    coarse = torch.rand(count, workload.channels, 8, 8)
    images = F.interpolate(coarse, size=size, mode="bilinear").mul(255).byte()
    return images, torch.arange(count) % workload.classes


def write_images(folder: Path, workload: Workload) -> None:
    """Write PNG files, in a folder for each class."""
    images, labels = make_images(FILES, workload.file_size, workload)
    for label in range(workload.classes):
        (folder / str(label)).mkdir(parents=True)
    for number, (image, label) in enumerate(zip(images, labels.tolist(), strict=True)):
        write_png(image, str(folder / str(label) / f"{number}.png"))


def measure(contenders: dict[str, Contender], bench: Bench, rounds: int, path: Path) -> None:
    """Alternate the contenders and write a row for each round of each."""
    running = {name: start() for name, start in contenders.items()}
    for number in range(rounds + 1):
        for name, rates in running.items():
            rate = next(rates)
            if number == 0:  # the warm-up round
                continue
            row = {
                "workload": bench.workload.name,
                "contender": name,
                "round": number,
                "images_per_second": round(rate, 1),
                "batch_size": bench.config.batch_size,
                "steps": bench.steps,
                "device": describe_device(),
                "threads": torch.get_num_threads(),
                "torch": torch.__version__,
            }
            with path.open("a") as file:
                file.write(json.dumps(row) + "\n")
            print(row, flush=True)


if __name__ == "__main__":
    main()
