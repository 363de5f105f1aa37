"""All that changes while a GAN trains, so that it can be put aside and taken up again."""

from __future__ import annotations

import copy
import time
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field, replace
from itertools import chain
from typing import Any

import torch
from torch import Tensor, nn

from gan_pipelines.core.devices import RandomState, resolve_device, resolve_precision
from gan_pipelines.core.hashing import hash_values
from gan_pipelines.core.pixels import to_uint8
from gan_pipelines.core.runtime import DeviceName
from gan_pipelines.gan.config import GanConfig, OptimizerConfig, WeightSet
from gan_pipelines.gan.data import TrainingData
from gan_pipelines.gan.health import HealthCheck, are_finite
from gan_pipelines.gan.monitor import Monitor
from gan_pipelines.gan.networks import build_discriminator, build_generator, load_generator, plain_state
from gan_pipelines.gan.objectives import OBJECTIVES, DiscriminatorLoss
from gan_pipelines.gan.sampling import TrainedGenerator, classes_in_turn

ALGORITHM_VERSION = 2
"""Part of the identity of every training: raise it when the same settings begin to give other weights."""
GRAPHS_PER_FORWARD = 256
"""Of all trainings of a process together; beyond, PyTorch silently stops to compile, by default after eight."""
FIXED_SAMPLES = 64
"""Latents that are decoded at the end of each epoch, the same in all."""


@dataclass
class EpochProgress:
    """A pass over the images that has begun.

    Attributes:
        order: (number of images,) in which they are shown.
        sums: of each metric over the steps so far, on the training device.
        steps: of the discriminator.
        generator_steps: of the generator.
        seconds: spent so far.
    """

    order: Tensor
    sums: dict[str, Tensor] = field(default_factory=dict)
    steps: int = 0
    generator_steps: int = 0
    seconds: float = 0.0

    @classmethod
    def begin(cls, num_images: int, device: torch.device) -> EpochProgress:
        """Draw an order."""
        return cls(torch.randperm(num_images, device=device))

    def add(self, metrics: Mapping[str, Tensor]) -> None:
        """Add the metrics of a step."""
        for name, value in metrics.items():
            self.sums[name] = self.sums.get(name, 0) + value

    def metrics(self, batch_size: int, started: float) -> dict[str, float]:
        """Means over the steps, and the speed since a time by `time.perf_counter`."""
        values = torch.stack(list(self.sums.values())).tolist()  # waits for the device
        self.seconds = time.perf_counter() - started
        metrics = dict(zip(self.sums, values, strict=True))
        for name in metrics:
            metrics[name] /= self.generator_steps if name.startswith("generator_") else self.steps
        metrics["images_per_second"] = self.steps * batch_size / self.seconds
        return metrics


class TrainingState:
    """All that changes while a GAN trains.

    Attributes:
        epoch: whole passes over the images so far.
        current: the pass that has begun, if any.
        steps: of the discriminator since the start.
        images_seen: real images shown to the discriminator since the start.
        history: of each epoch its number, the images seen, and the metrics.
        sample_history: fixed samples (64, C, H, W) uint8 by the number of the epoch, of those that were to be kept.
        best: of the best epoch the value of the monitored metric, progress and weights; and the monitor's key and what
            it measures. Or None.
    """

    def __init__(self, config: GanConfig, data: TrainingData) -> None:
        self.device = data.device
        self.config = config = replace(config, precision=resolve_precision(config.precision, self.device))
        self.image_shape = data.image_shape
        self.class_names = data.class_names
        self.data_hash = data.hash
        self.fingerprint = _identify(config, data.hash)
        self.health = HealthCheck()
        self.epoch = 0
        self.current: EpochProgress | None = None
        self.steps = 0
        self.images_seen = 0
        self.history: list[dict[str, float]] = []
        self.sample_history: dict[int, Tensor] = {}
        self.best: dict[str, Any] | None = None
        self.random = RandomState(config.seed, self.device)
        with self.random.active():
            self._build_networks()
        self.generator_optimizer = _build_optimizer(self.generator, config.generator_optimizer)
        self.discriminator_optimizer = _build_optimizer(self.discriminator, config.discriminator_optimizer)

    def _build_networks(self) -> None:
        config = self.config
        sizes = (config.networks, self.image_shape, len(self.class_names))
        self.generator = build_generator(*sizes).to(memory_format=torch.channels_last).to(self.device)
        self.discriminator = build_discriminator(*sizes).to(memory_format=torch.channels_last).to(self.device)
        self.discriminator_loss = DiscriminatorLoss(self.discriminator, OBJECTIVES[config.objective], config.penalty)
        if config.compilation != "none":
            torch._dynamo.config.recompile_limit = GRAPHS_PER_FORWARD
            for network in self.networks:
                network.compile(mode=config.compilation)  # of this object's calls: copies of it are as before
        self.average = copy.deepcopy(self.generator).requires_grad_(False)
        self.fixed_latents = self.draw_latents(FIXED_SAMPLES)
        self.fixed_labels = classes_in_turn(FIXED_SAMPLES, len(self.class_names))

    @property
    def networks(self) -> tuple[nn.Module, nn.Module]:
        """Generator and discriminator."""
        return self.generator, self.discriminator

    @property
    def is_sound(self) -> bool:
        """Whether the state is worth keeping: all numbers are finite, and the generator makes different images."""
        tensors: list[Tensor] = [parameter for network in self.networks for parameter in network.parameters()]
        if self.current is not None:
            tensors += self.current.sums.values()
        return not self.health.is_collapsed and are_finite(tensors)

    @torch.no_grad()
    def update_ema(self) -> None:
        """Move the averaged generator towards the generator; after the first step of the generator, all the way.

        PyTorch's `AveragedModel` does the same, but waits for the device each time.
        """
        is_first = self.steps == self.config.discriminator_steps
        pairs = [
            (average, new)
            for average, new in zip(_tensors(self.average), _tensors(self.generator), strict=True)
            if new.is_floating_point()  # batch norm's count of batches has no use
        ]
        averages, new = map(list, zip(*pairs, strict=True))
        torch._foreach_lerp_(averages, new, 1.0 if is_first else 1 - self.config.ema_decay)

    def draw_latents(self, count: int) -> Tensor:
        """(count, latent_size) from N(0, 1)."""
        return torch.randn(count, self.config.networks.latent_size, device=self.device)

    def sample_fixed(self) -> Tensor:
        """Decode the fixed latents with the averaged generator: (64, C, H, W) uint8 on the CPU."""
        labels = None if self.fixed_labels is None else self.fixed_labels.to(self.device)
        state = plain_state(self.average)
        network = load_generator(self.config.networks, self.image_shape, len(self.class_names), state).to(self.device)
        with torch.inference_mode():
            return to_uint8(network(self.fixed_latents, labels)).cpu()

    def update_learning_rates(self) -> None:
        """Set the learning rates of the epoch that begins."""
        config = self.config
        factor = config.schedule.learning_rate_factor(self.epoch, config.epochs)
        for optimizer, settings in (
            (self.generator_optimizer, config.generator_optimizer),
            (self.discriminator_optimizer, config.discriminator_optimizer),
        ):
            for group in optimizer.param_groups:
                group["lr"] = settings.learning_rate * factor

    def finish_epoch(self, metrics: Mapping[str, float], samples: Tensor, samples_every: int) -> None:
        """Count a pass that is over, and remember its metrics and, if they are to be kept, its samples."""
        self.epoch += 1
        self.history.append({"epoch": self.epoch, "images_seen": self.images_seen, **metrics})
        if self.epoch in (1, self.config.epochs) or self.epoch % samples_every == 0:
            self.sample_history[self.epoch] = samples

    def measure(self, monitor: Monitor) -> None:
        """Add what a monitor measures to the metrics of the last epoch, and remember the epoch if it is the best."""
        now = self.snapshot()
        measured = monitor.measure(now)
        self.history[-1].update(measured)
        value = measured[monitor.metric]
        if self.best is None or value < self.best["value"]:
            progress = {name: now.training[name] for name in ("epoch", "images_seen")}
            self.best = {"value": value, "progress": progress, "weights": now.weights}
        self.best |= {"key": monitor.key, "measured": sorted(measured)}

    def forget_other_measurements(self, monitor: Monitor) -> None:
        """Drop what another monitor has measured before, and its best epoch: the numbers cannot be compared."""
        if self.best is None or self.best["key"] == monitor.key:
            return
        dropped = self.best["measured"]
        self.history = [{name: row[name] for name in row if name not in dropped} for row in self.history]
        self.best = None

    def snapshot(self) -> TrainedGenerator:
        """A copy of the generator as it is now."""
        weights: dict[WeightSet, Mapping[str, Tensor]] = {
            "ema": plain_state(self.average),
            "raw": plain_state(self.generator),
        }
        return self._describe({"epoch": self.epoch, "images_seen": self.images_seen}, weights)

    def best_snapshot(self) -> TrainedGenerator | None:
        """The generator of the best epoch; None if no monitor has looked at any."""
        return None if self.best is None else self._describe(self.best["progress"], self.best["weights"])

    def _describe(
        self, progress: Mapping[str, int], weights: Mapping[WeightSet, Mapping[str, Tensor]]
    ) -> TrainedGenerator:
        return TrainedGenerator(
            config=self.config,
            image_shape=self.image_shape,
            class_names=self.class_names,
            training={
                "fingerprint": self.fingerprint,
                "recipe": _identify(replace(self.config, seed=0), self.data_hash),
                "seed": self.config.seed,
                "data_hash": self.data_hash,
                "device": self.device.type,
                **progress,
            },
            weights=weights,
        )

    def state_dict(self) -> dict[str, Any]:
        """Everything that a training needs to go on as if it had never stopped, as plain values and tensors."""
        return {
            "plain": {name: getattr(self, name) for name in _PLAIN_STATE},
            "parts": {name: getattr(self, name).state_dict() for name in _STATEFUL_PARTS},
            "current": None if self.current is None else vars(self.current),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go back to a state that `state_dict` gave, on this device or another."""
        for name in _PLAIN_STATE:
            setattr(self, name, state["plain"][name])
        for name in _STATEFUL_PARTS:
            getattr(self, name).load_state_dict(state["parts"][name])
        self.fixed_latents = self.fixed_latents.to(self.device)
        self.current = None if state["current"] is None else EpochProgress(**_to_device(state["current"], self.device))


_PLAIN_STATE = ("epoch", "steps", "images_seen", "fixed_latents", "history", "sample_history", "best")
_STATEFUL_PARTS = (
    "generator", "discriminator", "average", "generator_optimizer", "discriminator_optimizer", "health", "random",
)  # fmt: skip


def fingerprint(config: GanConfig, data_hash: str, device: DeviceName = "auto") -> str:
    """Hash of everything that changes the result of a training, 16 hexadecimal digits.

    The device counts only for what ``precision: auto`` is on it. The number of epochs is left out unless the schedule
    depends on it: more epochs continue the same training.
    """
    return _identify(resolve_auto(config, device), data_hash)


def resolve_auto(config: GanConfig, device: DeviceName = "auto") -> GanConfig:
    """The same configuration, with what ``precision: auto`` is on a device.

    Raises:
        ConfigError: if this machine has no such device.
    """
    return replace(config, precision=resolve_precision(config.precision, resolve_device(device)))


def _identify(config: GanConfig, data_hash: str) -> str:
    settings = asdict(config)
    settings["algorithm"] = ALGORITHM_VERSION
    if config.schedule.kind != "linear":
        del settings["epochs"]
    return hash_values(settings, data_hash)


def _build_optimizer(network: nn.Module, config: OptimizerConfig) -> torch.optim.Optimizer:
    if config.algorithm == "rmsprop":
        return torch.optim.RMSprop(network.parameters(), lr=config.learning_rate)
    return torch.optim.Adam(network.parameters(), lr=config.learning_rate, betas=config.betas, fused=True)


def _tensors(network: nn.Module) -> Iterator[Tensor]:
    """Parameters and buffers."""
    return chain(network.parameters(), network.buffers())


def _to_device(value: Any, device: torch.device) -> Any:
    """Tensors, also those in a dict, on the device; all else as it is."""
    if isinstance(value, dict):
        return {name: _to_device(part, device) for name, part in value.items()}
    return value.to(device) if isinstance(value, Tensor) else value
