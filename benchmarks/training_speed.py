"""Training images per second: the tutorial way, each remedy alone, a bare step, and this project.

Contenders share networks, losses and batch size, run in one process, and alternate round by round. The tutorial is what
one finds everywhere: image files, transforms image by image in worker processes, fp32, PyTorch's default layout and
optimisers, losses read back in every step; in steps of a critic, gradients run on into the generator, as in the scripts
that are read most, unless it is detached. The bare step does what the mathematics asks for and nothing else, in this
project's layout, with its optimisers: one fixed batch, no shuffling, no moving average, no metrics, no samples, no
health check, no checkpoint. A round of this project is an epoch with all of that, but for what comes once at the end of
an epoch, be it short as here or long: decoding 64 samples and comparing them.

    python benchmarks/training_speed.py OUT
    python benchmarks/training_speed.py OUT --workloads all --remedies --rounds 3

OUT/speed.jsonl gets a row as soon as it is measured; OUT/speed.csv the medians; OUT/speed.png a figure.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from itertools import cycle, islice
from pathlib import Path
from typing import NamedTuple

import pandas as pd
import torch
import torch.nn.functional as F
import yaml
from matplotlib.figure import Figure
from torch import Tensor, nn
from torch.utils.data import DataLoader
from torchvision import transforms
from torchvision.datasets import ImageFolder
from torchvision.io import write_png

from gan_pipelines.core.devices import autocast, resolve_device
from gan_pipelines.core.pixels import to_float
from gan_pipelines.gan import CheckpointStore, ImageShape, train
from gan_pipelines.gan.config import OptimizerConfig
from gan_pipelines.gan.networks import build_discriminator, build_generator
from gan_pipelines.gan.objectives import OBJECTIVES
from gan_pipelines.gan.penalties import clip_weights, gradient_penalty, penalty_points
from gan_pipelines.project.parameters import parse_variant

CONF = Path(__file__).parents[1] / "conf"
WORKERS = 2
FILES = 1024
"""Image files; they are read over and over, so that a disk's speed does not count."""
CHECKPOINT_SECONDS = 30  # as conf/base/catalog.yml has it


class Workload(NamedTuple):
    """A variant with the settings of an experiment, and the size of the images."""

    experiment: str
    variant: str
    size: int
    file_size: int
    channels: int = 3
    classes: int = 10

    @property
    def name(self) -> str:
        """As in ``dcgan 64``."""
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
    """What a loop in plain PyTorch can do to be fast; the tutorial does none of it.

    Attributes:
        data: image ``files``; images as uint8, all ``resident`` on the device; or one ``fixed`` batch, for no loop.
        bf16: forward passes in bf16.
        channels_last: memory format of weights and images.
        fused: optimisers in one kernel.
        detached: no gradients for the generator in a critic's step.
        frozen: no gradients for the discriminator's weights in the generator's step.
        deferred: losses stay on the device.
        compiled: forward passes through torch.compile; but for the penalty, which it cannot differentiate twice.
        graphs: with CUDA graphs.
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


TUTORIAL = Recipe()
BARE = Recipe(data="fixed", channels_last=True, fused=True, detached=True, frozen=True, deferred=True)
REMEDIES = {
    "resident data": Recipe(data="resident"),
    "bf16": Recipe(bf16=True),
    "channels last": Recipe(channels_last=True),
    "fused optimisers": Recipe(fused=True),
    "detached generator": Recipe(detached=True),
    "frozen discriminator": Recipe(frozen=True),
    "losses not read back": Recipe(deferred=True),
    "compiled": Recipe(compiled=True),
    "compiled, CUDA graphs": Recipe(compiled=True, graphs=True),
}

COMPILATIONS = {"cpu": ["default"], "mps": ["default"], "cuda": ["default", "reduce-overhead"]}


def main() -> None:
    """Measure every contender on every workload, and say how they compare."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path)
    parser.add_argument("--workloads", default="compared", help="compared, all, or names such as 'dcgan 64,mlp_gan 28'")
    parser.add_argument("--remedies", action="store_true", help="also each remedy alone, and this project compiled")
    parser.add_argument("--rounds", type=int, default=5, help="after one that warms up")
    parser.add_argument("--seconds", type=float, default=10.0, help="about what a round of a contender takes")
    options = parser.parse_args()

    options.out.mkdir(parents=True, exist_ok=True)
    device = resolve_device("auto")
    for workload in choose_workloads(options.workloads):
        with tempfile.TemporaryDirectory() as folder:
            bench = Bench(workload, device, Path(folder), options.seconds)
            contenders = {
                "tutorial": lambda bench=bench: bench.plain(TUTORIAL),
                "bare fp32": lambda bench=bench: bench.plain(BARE),
                "bare bf16": lambda bench=bench: bench.plain(replace(BARE, bf16=True)),
                "ours fp32": lambda bench=bench: bench.ours("fp32"),
                "ours bf16": lambda bench=bench: bench.ours("bf16"),
            }
            if bench.config.discriminator_steps > 1:
                contenders["tutorial, detached"] = lambda bench=bench: bench.plain(replace(TUTORIAL, detached=True))
            if options.remedies:
                for mode in COMPILATIONS[device.type]:
                    contenders[f"ours bf16, {mode}"] = lambda bench=bench, mode=mode: bench.ours("bf16", mode)
                for name, recipe in REMEDIES.items():
                    if device.type == "cuda" or not recipe.graphs:
                        contenders[name] = lambda bench=bench, recipe=recipe: bench.plain(recipe)
            measure(contenders, bench, options.rounds, options.out / "speed.jsonl")
    rows = pd.read_json(options.out / "speed.jsonl", lines=True)
    medians = rows.groupby(["workload", "contender"], sort=False)["images_per_second"].median().unstack()
    medians.round(1).to_csv(options.out / "speed.csv")
    plot(medians).savefig(options.out / "speed.png")
    print(medians.round(1).to_string())
    print(headline(rows))


def choose_workloads(wanted: str) -> list[Workload]:
    """The workloads that an option names."""
    if wanted == "compared":
        return [*COMPARED]
    everything = [*COMPARED, *OTHERS]
    return everything if wanted == "all" else [each for each in everything if each.name in wanted.split(",")]


class Bench:
    """Contenders on one workload; each yields images per second, round after round."""

    def __init__(self, workload: Workload, device: torch.device, folder: Path, seconds: float) -> None:
        self.workload = workload
        self.device = device
        self.folder = folder
        parameters = yaml.safe_load((CONF / workload.experiment / "parameters.yml").read_text())
        self.config = parse_variant(workload.variant, parameters["variants"][workload.variant])
        self.shape = ImageShape(workload.channels, workload.size, workload.size)
        write_pictures(folder / "pictures", workload)
        self.steps = self.config.discriminator_steps
        rate = next(self.plain(BARE))  # a first guess, which sizes the rounds
        wanted = seconds * rate / self.config.batch_size / self.config.discriminator_steps
        self.steps *= max(1, round(wanted))

    def plain(self, recipe: Recipe) -> Iterator[float]:
        """Rounds of a plain loop."""
        steps = self._plain_steps(recipe)
        while True:
            started = time.perf_counter()
            for _ in islice(steps, self.steps):
                pass
            self._wait()
            yield self.steps * self.config.batch_size / (time.perf_counter() - started)

    def ours(self, precision: str, compilation: str = "none") -> Iterator[float]:
        """Rounds of this project: epochs, without what comes at their end."""
        now = 0.0

        def on_step(seen: int) -> None:
            nonlocal now
            if seen % (self.steps * self.config.batch_size) == 0:
                self._wait()
                now = time.perf_counter()

        epochs = train(
            replace(self.config, precision=precision, compilation=compilation, epochs=10_000),
            *random_pictures(self.steps * self.config.batch_size, self.workload.size, self.workload),
            class_names=tuple(map(str, range(self.workload.classes))),
            device=self.device.type,
            checkpoints=CheckpointStore(self.folder / precision / compilation, interval_seconds=CHECKPOINT_SECONDS),
            on_step=on_step,
        )
        while True:
            started = time.perf_counter()
            next(epochs)
            yield self.steps * self.config.batch_size / (now - started)

    def _wait(self) -> None:
        if self.device.type == "cuda":
            torch.cuda.synchronize()

    def _plain_steps(self, recipe: Recipe) -> Iterator[None]:
        config, device = self.config, self.device
        layout = torch.channels_last if recipe.channels_last else torch.contiguous_format
        precision = "bf16" if recipe.bf16 else "fp32"
        sizes = (config.networks, self.shape, self.workload.classes)
        generator = build_generator(*sizes).to(memory_format=layout).to(device)
        discriminator = build_discriminator(*sizes).to(memory_format=layout).to(device)
        optimizers = [
            build_optimizer(network, settings, recipe.fused)
            for network, settings in (
                (generator, config.generator_optimizer),
                (discriminator, config.discriminator_optimizer),
            )
        ]
        objective = OBJECTIVES[config.objective]
        make, judge = generator, discriminator
        if recipe.compiled:
            mode = "reduce-overhead" if recipe.graphs else "default"
            make, judge = (torch.compile(network, mode=mode) for network in (generator, discriminator))

        def latents() -> Tensor:
            return torch.randn(config.batch_size, config.networks.latent_size, device=device)

        for step, (pictures, labels) in enumerate(self._batches(recipe.data), start=1):
            real = pictures.contiguous(memory_format=layout)
            is_generators_turn = step % config.discriminator_steps == 0
            # The same generated images serve both steps, as in PyTorch's own tutorial of DCGAN.
            is_shared = recipe.detached or config.discriminator_steps == 1
            with autocast(device, precision):
                with torch.set_grad_enabled(is_generators_turn or not recipe.detached):
                    fake = make(latents(), labels)
                shown = fake.detach() if is_shared else fake
                real_logits, real_classes = judge(real, labels)
                fake_logits, fake_classes = judge(shown, labels)
                loss = objective.discriminator_loss(real_logits.float(), fake_logits.float())
                if real_classes is not None:
                    loss = loss + F.cross_entropy(real_classes, labels) + F.cross_entropy(fake_classes, labels)
                if config.penalty is not None:
                    points = penalty_points(config.penalty.at, real, fake)
                    penalty = gradient_penalty(discriminator, points, labels, config.penalty.target_norm)
                    loss = loss + config.penalty.weight * penalty
            apply(loss, optimizers[1])
            if config.weight_clip is not None:
                clip_weights(discriminator, config.weight_clip)
            losses = [loss]
            if is_generators_turn:
                discriminator.requires_grad_(not recipe.frozen)
                with autocast(device, precision):
                    if not is_shared:
                        fake = make(latents(), labels)
                    logits, classes = judge(fake, labels)
                    loss = objective.generator_loss(logits.float())
                    if classes is not None:
                        loss = loss + F.cross_entropy(classes, labels)
                apply(loss, optimizers[0])
                discriminator.requires_grad_(True)
                losses.append(loss)
            if not recipe.deferred:
                _ = [each.item() for each in losses]
            yield

    def _batches(self, kind: str) -> Iterator[tuple[Tensor, Tensor]]:
        """Pictures (N, C, H, W) in [-1, 1] and labels (N,) on the device, for ever."""
        size, device = self.config.batch_size, self.device
        if kind == "files":
            grey = [transforms.Grayscale()] if self.workload.channels == 1 else []
            normalize = transforms.Normalize([0.5] * self.workload.channels, [0.5] * self.workload.channels)
            steps = [*grey, transforms.Resize(self.workload.size), transforms.ToTensor(), normalize]
            dataset = ImageFolder(self.folder / "pictures", transforms.Compose(steps))
            loader = DataLoader(
                dataset, size, shuffle=True, num_workers=WORKERS, drop_last=True, persistent_workers=True
            )
            while True:
                for pictures, labels in loader:
                    yield pictures.to(device), labels.to(device)
        images, labels = (part.to(device) for part in random_pictures(FILES, self.workload.size, self.workload))
        if kind == "fixed":
            yield from cycle([(to_float(images[:size]), labels[:size])])
        while True:
            for chosen in torch.randperm(FILES, device=device).split(size)[: FILES // size]:
                yield to_float(images[chosen]), labels[chosen]


def build_optimizer(network: nn.Module, settings: OptimizerConfig, fused: bool) -> torch.optim.Optimizer:
    """The optimiser that the settings name."""
    if settings.algorithm == "rmsprop":
        return torch.optim.RMSprop(network.parameters(), lr=settings.learning_rate)
    return torch.optim.Adam(network.parameters(), lr=settings.learning_rate, betas=settings.betas, fused=fused or None)


def apply(loss: Tensor, optimizer: torch.optim.Optimizer) -> None:
    """Take a step."""
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()


def random_pictures(count: int, size: int, workload: Workload) -> tuple[Tensor, Tensor]:
    """Smooth pictures (count, C, size, size) uint8, which pack as photographs do, and labels (count,)."""
    coarse = torch.rand(count, workload.channels, 8, 8)
    pictures = F.interpolate(coarse, size=size, mode="bilinear").mul(255).byte()
    return pictures, torch.arange(count) % workload.classes


def write_pictures(folder: Path, workload: Workload) -> None:
    """PNG files in a folder for each class."""
    pictures, labels = random_pictures(FILES, workload.file_size, workload)
    for label in range(workload.classes):
        (folder / str(label)).mkdir(parents=True)
    for number, (picture, label) in enumerate(zip(pictures, labels.tolist(), strict=True)):
        write_png(picture, str(folder / str(label) / f"{number}.png"))


def measure(contenders: dict[str, Callable[[], Iterator[float]]], bench: Bench, rounds: int, path: Path) -> None:
    """Let the contenders alternate, and write a row for each round of each."""
    running = {name: begin() for name, begin in contenders.items()}
    for number in range(rounds + 1):
        for name, contender in running.items():
            rate = next(contender)
            if number == 0:
                continue
            row = {
                "workload": bench.workload.name,
                "contender": name,
                "round": number,
                "images_per_second": round(rate, 1),
                "batch_size": bench.config.batch_size,
                "steps": bench.steps,
                "device": torch.cuda.get_device_name() if bench.device.type == "cuda" else "cpu",
                "threads": torch.get_num_threads(),
                "torch": torch.__version__,
            }
            with path.open("a") as file:
                file.write(json.dumps(row) + "\n")
            print(row, flush=True)


def plot(medians: pd.DataFrame) -> Figure:
    """A group of bars for each workload, the tutorial at 1."""
    figure = Figure(figsize=(11, 4), layout="constrained", dpi=120)
    axes = figure.subplots()
    relative = medians.div(medians["tutorial"], axis=0)
    relative.plot.bar(ax=axes, rot=0, width=0.8)
    axes.axhline(1, color="black", linewidth=0.8)
    axes.set(xlabel="", ylabel="training images per second, tutorial = 1")
    axes.legend(frameon=False, ncols=3)
    return figure


def headline(rows: pd.DataFrame) -> str:
    """Medians of the ratios within rounds: the best of ours to the tutorial, ours to bare in either precision."""
    parts = []
    for workload, group in rows.groupby("workload", sort=False):
        rates = group.pivot_table(index=["steps", "round"], columns="contender", values="images_per_second")
        to_tutorial = {name: (rates[name] / rates["tutorial"]).median() for name in ("ours fp32", "ours bf16")}
        best = max(to_tutorial, key=lambda name: to_tutorial[name])
        to_bare = [(rates[f"ours {kind}"] / rates[f"bare {kind}"]).median() for kind in ("fp32", "bf16")]
        parts.append(
            f"{workload}: {to_tutorial[best]:.2f} x the tutorial ({best}), "
            f"{to_bare[0]:.3f} of a bare step in fp32, {to_bare[1]:.3f} in bf16"
        )
    return "; ".join(parts)


if __name__ == "__main__":
    main()
