"""The training loop that serves every variant."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from gan_pipelines.devices import RandomState, autocast, resolve_device, resolve_precision
from gan_pipelines.gan.augmentation import augment
from gan_pipelines.gan.checkpoint import CheckpointStore
from gan_pipelines.gan.config import GanConfig, OptimizerConfig
from gan_pipelines.gan.health import HealthCheck, TrainingDiverged, diversity
from gan_pipelines.gan.networks import FAMILIES, ImageShape
from gan_pipelines.gan.objectives import DISCRIMINATOR_METRICS, OBJECTIVES, DiscriminatorLoss
from gan_pipelines.gan.sampling import TrainedGenerator, classes_in_turn
from gan_pipelines.hashing import hash_arrays, hash_values
from gan_pipelines.pixels import to_float, to_uint8
from gan_pipelines.runtime import DeviceName
from gan_pipelines.typed_config import require

FIXED_SAMPLES = 64
"""Latents that are decoded at the end of each epoch, the same in all."""


@dataclass(frozen=True)
class Epoch:
    """The state of a training after an epoch.

    Attributes:
        number: epochs done, from 1.
        images_seen: real images that the discriminator has seen since the start.
        metrics: means over the epoch: ``discriminator_loss`` (without the penalty), ``generator_loss``,
            ``real_accuracy`` and ``fake_accuracy`` (share of images that the discriminator tells right), ``penalty``
            (weighted), ``images_per_second``; and ``sample_diversity``, the diversity of the samples relative to real
            images.
        samples: (64, C, H, W) uint8 on the CPU: the same latents in every epoch, by the averaged generator.
        generator: a copy that further training does not touch.
    """

    number: int
    images_seen: int
    metrics: dict[str, float]
    samples: Tensor
    generator: TrainedGenerator


def train(
    config: GanConfig,
    images: NDArray[np.uint8] | Tensor,
    labels: NDArray[np.int64] | Tensor | None = None,
    *,
    class_names: Sequence[str] = (),
    device: DeviceName = "auto",
    checkpoints: CheckpointStore | None = None,
    on_step: Callable[[int], None] | None = None,
) -> Iterator[Epoch]:
    """Train a GAN, epoch by epoch.

    Args:
        config: the variant.
        images: (N, C, H, W) uint8; they are copied to the device as they are.
        labels: (N,) class indices, for conditional variants.
        class_names: of the labels.
        device: where to train.
        checkpoints: where to keep the state of the last good epoch, if anywhere.
        on_step: called after each discriminator step with the number of real images seen since the start.

    Yields:
        one `Epoch` after each pass over the images; the last, incomplete batch of a pass is left out.

    Raises:
        ConfigError: if the configuration does not fit the images or this machine.
        TrainingDiverged: if a loss is no longer a number or the generator makes a single image.
    """
    data = TrainingData.prepare(images, labels, class_names, resolve_device(device))
    check_steps(config, len(data))
    state = TrainingState(config, data)
    kept_epoch = 0
    while state.epoch < config.epochs:
        with state.random.active():
            metrics = _train_epoch(state, data, on_step)
        samples = state.sample_fixed()
        metrics["sample_diversity"] = diversity(samples) / data.diversity
        try:
            is_good = state.health.check(state.epoch + 1, metrics, (state.generator, state.discriminator))
        except TrainingDiverged as error:
            kept = ""
            if checkpoints is not None and kept_epoch:
                kept = f" The state after epoch {kept_epoch} is kept in {checkpoints.path(state.fingerprint)}."
            raise TrainingDiverged(f"{error}.{kept}") from error
        state.epoch += 1
        is_last = state.epoch == config.epochs
        if checkpoints is not None and is_good and (checkpoints.is_due or is_last):
            checkpoints.save(state.fingerprint, state.state_dict())
            kept_epoch = state.epoch
        yield Epoch(state.epoch, state.images_seen, metrics, samples, state.snapshot())


def check_steps(config: GanConfig, num_images: int) -> None:
    """Raise a `ConfigError` if an epoch over so many images would not train both networks."""
    steps = num_images // config.batch_size
    require(steps >= 1, "batch_size", config.batch_size, f"at most the {num_images} images")
    require(
        config.critic_steps <= steps, "critic_steps", config.critic_steps, f"at most the {steps} batches of an epoch"
    )


class TrainingData:
    """Real images on the training device, as uint8, with their labels."""

    def __init__(self, images: Tensor, labels: Tensor | None, class_names: tuple[str, ...], data_hash: str) -> None:
        self.images = images
        self.labels = labels
        self.class_names = class_names
        self.hash = data_hash
        self.image_shape = ImageShape(*images.shape[1:])
        self.diversity = diversity(images[torch.linspace(0, len(images) - 1, FIXED_SAMPLES).long()])
        require(self.diversity > 0, "images", "all the same", "different from each other")

    @classmethod
    def prepare(
        cls,
        images: NDArray[np.uint8] | Tensor,
        labels: NDArray[np.int64] | Tensor | None,
        class_names: Sequence[str],
        device: torch.device,
    ) -> TrainingData:
        """Check images and labels, fingerprint them, and put them on the device."""
        images = torch.as_tensor(images)
        labels = None if labels is None else torch.as_tensor(labels).long()
        fits = images.dtype == torch.uint8 and images.ndim == 4
        require(fits, "images", f"{tuple(images.shape)} {images.dtype}", "(N, C, H, W) of uint8")
        if labels is not None:
            require(labels.shape == (len(images),), "labels", tuple(labels.shape), f"of shape ({len(images)},)")
            highest = int(labels.max())
            require(
                highest < len(class_names), "the highest label", highest, f"below the {len(class_names)} class names"
            )
        arrays = [part.cpu().numpy() for part in (images, labels) if part is not None]
        data_hash = hash_arrays([*arrays, np.array(class_names)])
        return cls(images.to(device), None if labels is None else labels.to(device), tuple(class_names), data_hash)

    def __len__(self) -> int:
        return len(self.images)

    def batches(self, batch_size: int) -> Iterator[tuple[Tensor, Tensor | None]]:
        """Every image once, in random order: (N, C, H, W) in [-1, 1] and labels (N,)."""
        order = torch.randperm(len(self), device=self.images.device)
        for start in range(0, len(self) - batch_size + 1, batch_size):
            chosen = order[start : start + batch_size]
            yield to_float(self.images[chosen]), None if self.labels is None else self.labels[chosen]


class TrainingState:
    """All that changes while a GAN trains."""

    def __init__(self, config: GanConfig, data: TrainingData) -> None:
        self.device = data.images.device
        self.config = config = replace(config, precision=resolve_precision(config.precision, self.device))
        self.image_shape = data.image_shape
        self.class_names = data.class_names
        self.data_hash = data.hash
        self.fingerprint = fingerprint(config, data.hash)
        self.health = HealthCheck()
        self.epoch = 0
        self.steps = 0
        self.images_seen = 0
        self.random = RandomState(config.seed, self.device)
        with self.random.active():
            self._build_networks()
        self.generator_optimizer = _adam(self.generator, config.generator_optimizer)
        self.discriminator_optimizer = _adam(self.discriminator, config.discriminator_optimizer)

    def _build_networks(self) -> None:
        config = self.config
        family = FAMILIES[config.networks.family]
        arguments = (config.networks, self.image_shape, len(self.class_names))
        self.generator = family.generator(*arguments).to(memory_format=torch.channels_last).to(self.device)
        self.discriminator = family.discriminator(*arguments).to(memory_format=torch.channels_last).to(self.device)
        self.discriminator_loss = DiscriminatorLoss(self.discriminator, OBJECTIVES[config.objective], config.penalty)
        self.average = AveragedModel(
            self.generator, multi_avg_fn=get_ema_multi_avg_fn(config.ema_decay), use_buffers=True
        )
        self.fixed_latents = self.draw_latents(FIXED_SAMPLES)
        self.fixed_labels = classes_in_turn(FIXED_SAMPLES, len(self.class_names))

    def draw_latents(self, count: int) -> Tensor:
        """(count, latent_size) from N(0, 1)."""
        return torch.randn(count, self.config.networks.latent_size, device=self.device)

    def sample_fixed(self) -> Tensor:
        """Decode the fixed latents with the averaged generator: (64, C, H, W) uint8 on the CPU."""
        labels = None if self.fixed_labels is None else self.fixed_labels.to(self.device)
        self.average.eval()
        with torch.inference_mode():
            return to_uint8(self.average(self.fixed_latents, labels)).cpu()

    def follow_schedule(self) -> None:
        """Set the learning rates of the epoch that begins."""
        config = self.config
        factor = config.schedule.learning_rate_factor(self.epoch, config.epochs)
        for optimizer, settings in (
            (self.generator_optimizer, config.generator_optimizer),
            (self.discriminator_optimizer, config.discriminator_optimizer),
        ):
            for group in optimizer.param_groups:
                group["lr"] = settings.learning_rate * factor

    def snapshot(self) -> TrainedGenerator:
        """A copy of the generator as it is now."""
        return TrainedGenerator(
            config=self.config,
            image_shape=self.image_shape,
            class_names=self.class_names,
            training={
                "fingerprint": self.fingerprint,
                "data_hash": self.data_hash,
                "device": self.device.type,
                "epoch": self.epoch,
                "images_seen": self.images_seen,
            },
            weights={"ema": _copy_weights(self.average.module), "raw": _copy_weights(self.generator)},
        )

    def state_dict(self) -> dict[str, Any]:
        """Everything that a training needs to go on as if it had never stopped, as plain values and tensors."""
        state = {name: getattr(self, name) for name in _PLAIN_STATE}
        return state | {
            "random": self.random.states,
            "parts": {name: getattr(self, name).state_dict() for name in _STATEFUL_PARTS},
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go back to a state that `state_dict` gave."""
        for name in _PLAIN_STATE:
            setattr(self, name, state[name])
        self.random.states = state["random"]
        for name in _STATEFUL_PARTS:
            getattr(self, name).load_state_dict(state["parts"][name])


_PLAIN_STATE = ("epoch", "steps", "images_seen", "fixed_latents")
_STATEFUL_PARTS = ("generator", "discriminator", "average", "generator_optimizer", "discriminator_optimizer", "health")


def _train_epoch(state: TrainingState, data: TrainingData, on_step: Callable[[int], None] | None) -> dict[str, float]:
    """One pass over the images; the metrics stay on the device until it is over."""
    config = state.config
    started = time.perf_counter()
    state.follow_schedule()
    discriminator_metrics = torch.zeros(len(DISCRIMINATOR_METRICS), device=state.device)
    generator_loss = torch.zeros((), device=state.device)
    steps = generator_steps = 0
    for images, labels in data.batches(config.batch_size):
        real = augment(images, config.augmentation).contiguous(memory_format=torch.channels_last)
        discriminator_metrics += _discriminator_step(state, real, labels)
        steps += 1
        if (state.steps + steps) % config.critic_steps == 0:
            generator_loss += _generator_step(state, labels)
            generator_steps += 1
        if on_step is not None:
            on_step(state.images_seen + steps * config.batch_size)
    means = (discriminator_metrics / steps).tolist()
    metrics = dict(zip(DISCRIMINATOR_METRICS, means, strict=True))
    metrics["generator_loss"] = generator_loss.item() / generator_steps
    metrics["images_per_second"] = steps * config.batch_size / (time.perf_counter() - started)
    state.steps += steps
    state.images_seen += steps * config.batch_size
    return metrics


def _discriminator_step(state: TrainingState, real: Tensor, labels: Tensor | None) -> Tensor:
    with autocast(state.device, state.config.precision):
        with torch.no_grad():
            fake = state.generator(state.draw_latents(len(real)), labels)
        loss, metrics = state.discriminator_loss(real, fake, labels)
    state.discriminator_optimizer.zero_grad()
    loss.backward()
    state.discriminator_optimizer.step()
    return metrics


def _generator_step(state: TrainingState, labels: Tensor | None) -> Tensor:
    # The discriminator's weights need no gradient here: freezing them saves their backward pass.
    state.discriminator.requires_grad_(False)
    with autocast(state.device, state.config.precision):
        fake = state.generator(state.draw_latents(state.config.batch_size), labels)
        loss = state.discriminator_loss.objective.generator_loss(state.discriminator(fake, labels).float())
    state.generator_optimizer.zero_grad()
    loss.backward()
    state.generator_optimizer.step()
    state.discriminator.requires_grad_(True)
    state.average.update_parameters(state.generator)
    return loss.detach()


def fingerprint(config: GanConfig, data_hash: str) -> str:
    """Hash of everything that changes the result of a training, 16 hexadecimal digits.

    The number of epochs is left out unless the schedule depends on it: more epochs continue the same training.
    """
    settings = asdict(config)
    if config.schedule.kind != "linear":
        del settings["epochs"]
    return hash_values(settings, data_hash)


def _adam(network: nn.Module, config: OptimizerConfig) -> torch.optim.Adam:
    return torch.optim.Adam(network.parameters(), lr=config.learning_rate, betas=config.betas, fused=True)


def _copy_weights(network: nn.Module) -> dict[str, Tensor]:
    return {name: tensor.detach().cpu().clone() for name, tensor in network.state_dict().items()}
