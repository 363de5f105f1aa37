"""The state of a training: everything that changes while a GAN trains, and how it is saved and restored."""

from __future__ import annotations

import copy
import logging
import time
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field, fields, is_dataclass, replace
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
from gan_pipelines.gan.differentiable_transforms import TransformProbability
from gan_pipelines.gan.health import HealthCheck, are_finite
from gan_pipelines.gan.monitor import Monitor
from gan_pipelines.gan.networks import build_discriminator, build_generator, load_generator, plain_state
from gan_pipelines.gan.objectives import OBJECTIVES, DiscriminatorLoss
from gan_pipelines.gan.sampling import TrainedGenerator, classes_in_turn

logger = logging.getLogger(__name__)

ALGORITHM_VERSION = 3
"""Version of the training algorithm, part of every fingerprint.

Raise it when the same settings and seed begin to give other weights, and when a default in `gan.config` changes.
Settings at their default are not hashed: without a new version, the old and the new default share a fingerprint. The
tests `gan/test_golden.py` (weights) and `gan/test_fingerprint.py` (defaults) fail in these cases. With a raised
version, every training starts from the beginning.
"""
UNHASHED = ("on_collapse", "preview_weights")
"""Settings that change no weight, only what is shown or when a training ends. A training that is continued with another
value keeps the samples and the diversities of the epochs before."""
RECOMPILE_LIMIT = 256
"""Maximum number of compiled graphs per function in a process; PyTorch's default is 8. Beyond it, a function runs
uncompiled without a warning."""
FIXED_SAMPLES = 64
"""Number of fixed latents whose samples are shown after each epoch."""


@dataclass
class EpochProgress:
    """The epoch under way.

    Attributes:
        order: (number of images,) indices, the order in which the images are shown.
        sums: for each metric the sum over the steps so far, on the training device.
        steps: discriminator steps so far.
        generator_steps: generator steps so far.
        seconds: training time so far.
    """

    order: Tensor
    sums: dict[str, Tensor] = field(default_factory=dict)
    steps: int = 0
    generator_steps: int = 0
    seconds: float = 0.0

    @classmethod
    def begin(cls, num_images: int, device: torch.device) -> EpochProgress:
        """Start an epoch with a random order of the images."""
        return cls(torch.randperm(num_images, device=device))

    def add(self, metrics: Mapping[str, Tensor]) -> None:
        """Add the metrics of one step."""
        for name, value in metrics.items():
            self.sums[name] = self.sums.get(name, 0) + value

    def metrics(self, images: int, started: float) -> dict[str, float]:
        """Average the metrics over the steps, and add ``images_per_second``.

        Args:
            images: number of real images shown in the epoch.
            started: `time.perf_counter` at the start of the epoch.
        """
        values = torch.stack(list(self.sums.values())).tolist()  # waits for the device
        self.seconds = time.perf_counter() - started
        metrics = dict(zip(self.sums, values, strict=True))
        for name in metrics:
            metrics[name] /= self.generator_steps if name.startswith("generator_") else self.steps
        metrics["images_per_second"] = images / self.seconds
        return metrics


class TrainingState:
    """Networks, optimisers, random generators and results of one training.

    Attributes:
        fingerprint: identity of the training, see `fingerprint`.
        recipe: the same without the seed: trainings that differ only in their seed share it.
        epoch: finished epochs.
        epoch_progress: the epoch under way, or None between two epochs.
        steps: discriminator steps since the start.
        images_seen: real images shown to the discriminator since the start.
        generator: the generator that the optimiser updates.
        discriminator: the discriminator that the optimiser updates.
        ema_generator: the moving average (EMA) of the generator's weights.
        transform_probability: the probability of differentiable transforms.
        history: one row per finished epoch: its number, the images seen, and its metrics.
        sample_history: fixed samples (64, C, H, W) uint8 of some epochs, by the number of the epoch; 0.5 is half of the
            first one.
        best: the epoch with the lowest monitored metric: ``value``, ``progress`` (epoch, images seen) and ``weights``,
            with the monitor's ``key`` and the names of what it has ``measured``; None before the first measurement.
    """

    def __init__(self, config: GanConfig, data: TrainingData) -> None:
        self.device = data.device
        self.config = config = replace(config, precision=resolve_precision(config.precision, self.device))
        self.image_shape = data.image_shape
        self.class_names = data.class_names
        self.data_hash = data.hash
        self.fingerprint = _identify(config, data.hash)
        self.recipe = _identify(replace(config, seed=0), data.hash)
        self.health = HealthCheck()
        self.epoch = 0
        self.epoch_progress: EpochProgress | None = None
        self.steps = 0
        self.images_seen = 0
        self.history: list[dict[str, float]] = []
        self.sample_history: dict[float, Tensor] = {}
        self.best: dict[str, Any] | None = None
        self.random = RandomState(config.seed, self.device)
        with self.random.active():
            self._build_networks()
        self.generator_optimizer = _build_optimizer(self.generator, config.generator_optimizer, self.device)
        self.discriminator_optimizer = _build_optimizer(self.discriminator, config.discriminator_optimizer, self.device)
        self.transform_probability = TransformProbability(
            config.differentiable_transforms, config.batch_size, self.device
        )

    def _build_networks(self) -> None:
        config = self.config
        sizes = (config.networks, self.image_shape, len(self.class_names))
        self.generator = build_generator(*sizes).to(memory_format=torch.channels_last).to(self.device)
        self.discriminator = build_discriminator(*sizes).to(memory_format=torch.channels_last).to(self.device)
        objective = OBJECTIVES[config.objective]
        self.discriminator_loss = DiscriminatorLoss(self.discriminator, objective, config.penalties).to(self.device)
        if config.compilation != "none":
            torch._dynamo.config.recompile_limit = RECOMPILE_LIMIT
            for network in self.networks:
                # Only this object: deep copies stay uncompiled. An incomplete batch gets a graph of its own.
                network.compile(mode=config.compilation, dynamic=False)
        self.ema_generator = copy.deepcopy(self.generator).requires_grad_(False)
        self.fixed_latents = self.draw_latents(FIXED_SAMPLES)
        self.fixed_labels = classes_in_turn(FIXED_SAMPLES, len(self.class_names))

    @property
    def networks(self) -> tuple[nn.Module, nn.Module]:
        """Generator and discriminator."""
        return self.generator, self.discriminator

    @property
    def is_sound(self) -> bool:
        """Whether the state is worth a checkpoint: all numbers are finite."""
        tensors: list[Tensor] = [parameter for network in self.networks for parameter in network.parameters()]
        if self.epoch_progress is not None:
            tensors += self.epoch_progress.sums.values()
        return are_finite(tensors)

    @property
    def has_failed(self) -> bool:
        """Whether the generator has collapsed, and this ends the training."""
        return self.config.on_collapse == "stop" and self.health.has_collapsed

    @property
    def is_over(self) -> bool:
        """Whether no epoch is under way and none is left to train."""
        return self.epoch_progress is None and (self.epoch == self.config.epochs or self.has_failed)

    @torch.no_grad()
    def update_ema(self) -> None:
        """Update the EMA after a generator step: ``ema += (1 - decay) * (weights - ema)``.

        The decay is ``min(ema_decay, (1 + n) / (10 + n))`` after n earlier generator steps, as TensorFlow's
        `ExponentialMovingAverage` warms up: otherwise, with a decay of 0.999, the first generators would weigh most for
        a thousand steps. PyTorch's `AveragedModel` waits for the device.
        """
        earlier_steps = self.steps // self.config.discriminator_steps - 1
        decay = min(self.config.ema_decay, (1 + earlier_steps) / (10 + earlier_steps))
        pairs = [
            (ema, weights)
            for ema, weights in zip(_tensors(self.ema_generator), _tensors(self.generator), strict=True)
            if weights.is_floating_point()  # skips batch norm's counter of batches, which is not used
        ]
        emas, weights = map(list, zip(*pairs, strict=True))
        torch._foreach_lerp_(emas, weights, 1 - decay)

    def draw_latents(self, count: int) -> Tensor:
        """Draw latents (count, latent_size) from N(0, 1) on the training device."""
        return torch.randn(count, self.config.networks.latent_size, device=self.device)

    def sample_fixed(self) -> Tensor:
        """Generate the fixed samples with the weights for previews: (64, C, H, W) uint8 on the CPU."""
        labels = None if self.fixed_labels is None else self.fixed_labels.to(self.device)
        state = plain_state(self.generator if self.config.preview_weights == "raw" else self.ema_generator)
        network = load_generator(self.config.networks, self.image_shape, len(self.class_names), state).to(self.device)
        with torch.inference_mode():
            return to_uint8(network(self.fixed_latents, labels)).cpu()

    def follow_schedule(self) -> None:
        """Set the learning rates and the weights of the penalties of the epoch under way, or of the next one."""
        config = self.config
        self.discriminator_loss.penalty_factor.fill_(config.schedule.penalty_weight_factor(self.epoch, config.epochs))
        factor = config.schedule.learning_rate_factor(self.epoch, config.epochs)
        for optimizer, settings in (
            (self.generator_optimizer, config.generator_optimizer),
            (self.discriminator_optimizer, config.discriminator_optimizer),
        ):
            for group in optimizer.param_groups:
                group["lr"] = settings.learning_rate * factor

    def finish_epoch(
        self, metrics: Mapping[str, float], samples: Tensor, samples_every: int, samples_at: Collection[float]
    ) -> None:
        """Record a finished epoch.

        Args:
            metrics: its metrics, which become a row of the history.
            samples: (64, C, H, W) uint8, its fixed samples.
            samples_every: samples are kept of the first epoch, of every ``samples_every``-th, and of the last.
            samples_at: numbers of more epochs of which they are kept.
        """
        self.epoch += 1
        self.history.append({"epoch": self.epoch, "images_seen": self.images_seen, **metrics})
        if self.epoch == 1 or self.epoch % samples_every == 0 or self.epoch in samples_at or self.is_over:
            self.sample_history[self.epoch] = samples

    def newest_samples(self) -> Tensor:
        """The newest samples that were kept of finished epochs; there are some after the first epoch."""
        return self.sample_history[max(number for number in self.sample_history if number <= self.epoch)]

    def measure(self, monitor: Monitor) -> None:
        """Measure the generator, add the results to the history, and keep the generator if it is the best so far."""
        generator = self.snapshot()
        measured = monitor.measure(generator)
        self.history[-1].update(measured)
        value = measured[monitor.metric]
        if self.best is None or value < self.best["value"]:
            progress = {"epoch": self.epoch, "images_seen": self.images_seen}
            self.best = {"value": value, "progress": progress, "weights": generator.weights}
        self.best |= {"key": monitor.key, "measured": sorted(measured)}

    def forget_other_measurements(self, monitor: Monitor) -> None:
        """Drop the measurements and the best epoch of a monitor with another key: they are not comparable."""
        if self.best is None or self.best["key"] == monitor.key:
            return
        dropped = self.best["measured"]
        logger.warning(
            "Earlier epochs were measured differently: their %s and the best are dropped", ", ".join(dropped)
        )
        self.history = [{name: row[name] for name in row if name not in dropped} for row in self.history]
        self.best = None

    def snapshot(self) -> TrainedGenerator:
        """Copy the generator as it is now, to the CPU."""
        weights: dict[WeightSet, Mapping[str, Tensor]] = {
            "ema": plain_state(self.ema_generator),
            "raw": plain_state(self.generator),
        }
        return self._describe({"epoch": self.epoch, "images_seen": self.images_seen}, weights)

    def best_snapshot(self) -> TrainedGenerator | None:
        """Return the generator of the best epoch; None before the first measurement."""
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
                "recipe": self.recipe,
                "seed": self.config.seed,
                "data_hash": self.data_hash,
                "device": self.device.type,
                **progress,
            },
            weights=weights,
        )

    def state_dict(self) -> dict[str, Any]:
        """Return everything that resuming needs, as plain values and tensors."""
        return {
            "plain": {name: getattr(self, name) for name in _PLAIN_STATE},
            "parts": {name: getattr(self, name).state_dict() for name in _STATEFUL_PARTS},
            "epoch_progress": None if self.epoch_progress is None else vars(self.epoch_progress),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore what `state_dict` returned, on this device or another."""
        for name in _PLAIN_STATE:
            setattr(self, name, state["plain"][name])
        for name in _STATEFUL_PARTS:
            part, saved = getattr(self, name), state["parts"].get(name, {})  # older checkpoints lack probabilities
            part.load_state_dict(_fit_device(saved, part) if isinstance(part, torch.optim.Optimizer) else saved)
        self.fixed_latents = self.fixed_latents.to(self.device)
        progress = state["epoch_progress"]
        self.epoch_progress = None if progress is None else EpochProgress(**_to_device(progress, self.device))


_PLAIN_STATE = ("epoch", "steps", "images_seen", "fixed_latents", "history", "sample_history", "best")
_STATEFUL_PARTS = (
    "generator", "discriminator", "ema_generator", "generator_optimizer", "discriminator_optimizer",
    "transform_probability", "health", "random",
)  # fmt: skip


def fingerprint(config: GanConfig, data_hash: str, device: DeviceName = "auto") -> str:
    """Return the identity of a training: a hash of everything that changes its result, 16 hexadecimal digits.

    The hash covers `ALGORITHM_VERSION`, the hash of the data, the objective, and every setting that differs from its
    default. So after adding a setting whose default changes nothing, earlier trainings keep their identity.

    Precision ``auto`` is resolved first. ``epochs`` is left out unless the schedule depends on it, so that
    more epochs continue the same training. What `UNHASHED` names is left out as well.

    Args:
        config: the variant.
        data_hash: hash of images, labels and class names, see `core.hashing.hash_dataset`.
        device: where to train; it decides what ``precision: auto`` is.

    Raises:
        ConfigError: if this machine has no such device.
    """
    return _identify(resolve_auto(config, device), data_hash)


def resolve_auto(config: GanConfig, device: DeviceName = "auto") -> GanConfig:
    """Replace ``precision: auto`` by the precision that it stands for on a device.

    Raises:
        ConfigError: if this machine has no such device.
    """
    return replace(config, precision=resolve_precision(config.precision, resolve_device(device)))


def _identify(config: GanConfig, data_hash: str) -> str:
    """Hash a configuration whose precision is resolved; see `fingerprint`."""
    defaults = type(config)(objective="non_saturating")  # the only setting without a default: it is always hashed
    settings = _changed_settings(config, defaults) | {"objective": config.objective}
    if len(config.penalties) == 1:  # hashed as when there was at most one
        (settings["penalty"],) = settings.pop("penalties")
    for name in UNHASHED:
        settings.pop(name, None)
    if not config.schedule.depends_on_end:
        settings.pop("epochs", None)
    return hash_values(ALGORITHM_VERSION, data_hash, settings)


def _changed_settings(config: Any, defaults: Any) -> dict[str, Any]:
    """List the settings that differ from ``defaults``; nested configurations are compared with those of their class."""
    changed = {}
    for setting in fields(config):
        value: Any = getattr(config, setting.name)
        if value != getattr(defaults, setting.name):
            changed[setting.name] = _hashable(value)
    return changed


def _hashable(value: Any) -> Any:
    """A setting as JSON has it; of a nested configuration, what differs from the defaults of its class."""
    if is_dataclass(value) and not isinstance(value, type):
        return _changed_settings(value, type(value)())
    return [_hashable(item) for item in value] if isinstance(value, tuple) else value


def _build_optimizer(network: nn.Module, config: OptimizerConfig, device: torch.device) -> torch.optim.Optimizer:
    rate, is_recorded = config.learning_rate, device.type == "cuda"
    if config.algorithm == "rmsprop":
        return torch.optim.RMSprop(network.parameters(), lr=rate, capturable=is_recorded)
    return torch.optim.Adam(network.parameters(), lr=rate, betas=config.betas, fused=True, capturable=is_recorded)


def _fit_device(saved: dict[str, Any], optimizer: torch.optim.Optimizer) -> dict[str, Any]:
    """What was saved of an optimiser, for the device of this one: on CUDA its steps can be recorded."""
    groups = [
        group | {"capturable": own["capturable"]}
        for group, own in zip(saved["param_groups"], optimizer.param_groups, strict=True)
    ]
    return saved | {"param_groups": groups}


def _tensors(network: nn.Module) -> Iterator[Tensor]:
    """Iterate over parameters and buffers."""
    return chain(network.parameters(), network.buffers())


def _to_device(value: Any, device: torch.device) -> Any:
    """Move tensors to a device, also those in a dict; other values stay as they are."""
    if isinstance(value, dict):
        return {name: _to_device(part, device) for name, part in value.items()}
    return value.to(device) if isinstance(value, Tensor) else value
