"""The training loop that serves every variant."""

from __future__ import annotations

import copy
import logging
import time
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from gan_pipelines.core.config import ConfigError, require
from gan_pipelines.core.devices import autocast, resolve_device
from gan_pipelines.core.runtime import DeviceName
from gan_pipelines.gan.checkpoint import Checkpoints, CheckpointStore
from gan_pipelines.gan.config import GanConfig
from gan_pipelines.gan.data import TrainingData
from gan_pipelines.gan.health import TrainingDiverged, diversity
from gan_pipelines.gan.monitor import Monitor
from gan_pipelines.gan.networks import FAMILIES
from gan_pipelines.gan.objectives import generator_loss
from gan_pipelines.gan.penalties import clip_weights
from gan_pipelines.gan.sampling import TrainedGenerator
from gan_pipelines.gan.state import EpochProgress, TrainingState
from gan_pipelines.gan.transforms import apply_transforms

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Epoch:
    """The state of a training after an epoch.

    Attributes:
        number: epochs done, from 1.
        images_seen: real images that the discriminator has seen since the start.
        metrics: means over the epoch of what `DiscriminatorLoss` and `generator_loss` report; ``images_per_second``;
            and ``sample_diversity``, the diversity of the samples relative to real images.
        samples: (64, C, H, W) uint8 on the CPU: the same latents in every epoch, by the averaged generator.
        generator: a copy that further training does not touch.
        discriminator: likewise, in training mode.
        history: number, images seen and metrics of every epoch so far, also of those before an interruption.
        best: the generator of the epoch in which the monitored metric was lowest; None without a monitor.
        sample_history: by its number the samples of the first epoch, of every ``samples_every``-th, and of the last;
            what was not kept before an interruption is not there.
    """

    number: int
    images_seen: int
    metrics: dict[str, float]
    samples: Tensor
    generator: TrainedGenerator
    discriminator: nn.Module
    history: Sequence[Mapping[str, float]]
    sample_history: Mapping[int, Tensor]
    best: TrainedGenerator | None


def train(  # noqa: PLR0913 (all but the images are keywords)
    config: GanConfig,
    images: NDArray[np.uint8] | Tensor,
    labels: NDArray[np.int64] | Tensor | None = None,
    *,
    class_names: Sequence[str] = (),
    data_hash: str | None = None,
    device: DeviceName = "auto",
    checkpoints: CheckpointStore | None = None,
    samples_every: int = 10,
    monitor: Monitor | None = None,
    on_step: Callable[[int], None] | None = None,
) -> Generator[Epoch]:
    """Train a GAN, epoch by epoch.

    With ``checkpoints``, a training that was cut short goes on where its newest state was kept, and ends, on the CPU,
    with the very weights that it would have ended with. One that is finished is not trained again.

    Args:
        config: the variant.
        images: (N, C, H, W) uint8; they are copied to the device as they are.
        labels: (N,) class indices, for conditional variants.
        class_names: of the labels.
        data_hash: hash of images, labels and class names if it is known, see `hash_dataset`.
        device: where to train.
        checkpoints: where to keep the state, now and then also within an epoch.
        samples_every: epochs between those whose samples go into `Epoch.sample_history`.
        monitor: what to measure now and then; it adds to the metrics and marks the best epoch.
        on_step: called with the number of real images seen since the start, once before the first step (0, or more if
            the training goes on) and after each step of the discriminator.

    Yields:
        one `Epoch` after each pass over the images; the last, incomplete batch of a pass is left out. Of a training
        that was finished before, its last epoch.

    Raises:
        ConfigError: if the configuration does not fit the images or this machine, or wants fewer epochs than done.
        TrainingLocked: if another process is at work on the same training.
        CheckpointUnusable: if there are checkpoints and none can be used.
        TrainingDiverged: if a loss is no longer a number or the generator makes a single image.
    """
    conditional = FAMILIES[config.networks.family].conditional
    require(labels is not None or not conditional, "labels", None, f"given for the {config.networks.family} networks")
    data = TrainingData.prepare(images, labels, class_names, resolve_device(device), data_hash)
    check_steps(config, len(data))
    require(samples_every >= 1, "samples_every", samples_every, "1 or more")
    state = TrainingState(config, data)
    with checkpoints.open(state.fingerprint) if checkpoints else nullcontext() as kept:
        if kept is not None:
            _resume(state, kept)
        if monitor is not None:
            state.forget_other_measurements(monitor)
        if state.epoch < config.epochs:
            how = "" if config.compilation == "none" else f", compiled ({config.compilation})"
            logger.info("Training on %s in %s%s", state.device.type, state.config.precision, how)
        if on_step is not None:
            on_step(state.images_seen)
        if state.epoch == config.epochs:
            if monitor is not None and state.best is None:
                state.measure(monitor)
            yield _report(state, state.sample_fixed())

        def after_step() -> None:
            if on_step is not None:
                on_step(state.images_seen)
            if kept is not None and kept.is_due and state.is_sound:
                _keep(state, kept)

        while state.epoch < config.epochs:
            with state.random.active():
                metrics = _train_epoch(state, data, after_step)
            samples = state.sample_fixed()
            metrics["sample_diversity"] = diversity(samples) / data.diversity
            _check_health(state, metrics, kept)
            state.finish_epoch(metrics, samples, samples_every)
            if monitor is not None and (state.epoch % monitor.every_epochs == 0 or state.epoch == config.epochs):
                state.measure(monitor)
            if kept is not None and state.epoch == config.epochs:
                _keep(state, kept)
            yield _report(state, samples)


def check_steps(config: GanConfig, num_images: int) -> None:
    """Raise a `ConfigError` if an epoch over so many images would not train both networks."""
    steps = num_images // config.batch_size
    require(steps >= 1, "batch_size", config.batch_size, f"at most the {num_images} images")
    require(
        config.discriminator_steps <= steps,
        "discriminator_steps",
        config.discriminator_steps,
        f"at most the {steps} batches of an epoch",
    )


def _resume(state: TrainingState, kept: Checkpoints) -> None:
    """Go back to the newest state that was kept, if any, and say so."""
    saved = kept.load_newest()
    if saved is None:
        return
    state.load_state_dict(saved)
    epochs = state.config.epochs
    if state.epoch > epochs or (state.epoch == epochs and state.current is not None):
        begun = state.epoch + (state.current is not None)
        raise ConfigError(
            f"epochs is {epochs}, but this training is in epoch {begun} already; ask for more, or for another seed, or "
            "delete its checkpoints and start over with runtime.fresh: true."
        )
    if state.epoch == epochs:
        logger.info(
            "This training is finished: nothing is trained again. More epochs continue it, runtime.fresh: true starts "
            "over."
        )
    else:
        logger.info(
            "Resuming after %s images: epoch %d of %d", f"{state.images_seen:,}", state.epoch + 1, state.config.epochs
        )


def _keep(state: TrainingState, kept: Checkpoints) -> None:
    try:
        kept.save(state.images_seen, state.state_dict())
    except OSError as error:
        logger.warning(
            "The state of the training could not be kept (%s); the one before it is, and the training goes on.", error
        )


def _check_health(state: TrainingState, metrics: Mapping[str, float], kept: Checkpoints | None) -> None:
    try:
        state.health.check(state.epoch + 1, metrics, state.networks)
    except TrainingDiverged as error:
        where = f" The last good state is kept in {kept.paths[-1]}." if kept is not None and kept.paths else ""
        raise TrainingDiverged(f"{error}.{where}") from error


def _report(state: TrainingState, samples: Tensor) -> Epoch:
    metrics = dict(state.history[-1])
    return Epoch(
        number=int(metrics.pop("epoch")),
        images_seen=int(metrics.pop("images_seen")),
        metrics=metrics,
        samples=samples,
        generator=state.snapshot(),
        discriminator=copy.deepcopy(state.discriminator),
        history=tuple(state.history),
        sample_history=dict(state.sample_history),
        best=state.best_snapshot(),
    )


def _train_epoch(state: TrainingState, data: TrainingData, after_step: Callable[[], None]) -> dict[str, float]:
    """One pass over the images, or what is left of it; the metrics stay on the device until it is over."""
    config = state.config
    state.update_learning_rates()
    if state.current is None:
        state.current = EpochProgress.begin(len(data), state.device)
    current = state.current
    started = time.perf_counter() - current.seconds
    for images, labels in data.batches(current.order, config.batch_size, done=current.steps):
        real = apply_transforms(images, config.transforms).contiguous(memory_format=torch.channels_last)
        state.steps += 1
        if config.compilation == "reduce-overhead":
            torch.compiler.cudagraph_mark_step_begin()  # only now may graphs overwrite what they gave before
        is_generators_turn = state.steps % config.discriminator_steps == 0
        # The same generated images serve both steps, as in DCGAN's own code: a forward pass less.
        with autocast(state.device, config.precision), torch.set_grad_enabled(is_generators_turn):
            fake = state.generator(state.draw_latents(config.batch_size), labels)
        current.add(_discriminator_step(state, real, fake.detach(), labels))
        current.steps += 1
        state.images_seen += config.batch_size
        if is_generators_turn:
            current.add(_generator_step(state, fake, labels))
            current.generator_steps += 1
        current.seconds = time.perf_counter() - started
        after_step()
    metrics = current.metrics(config.batch_size, started)
    state.current = None
    return metrics


def _discriminator_step(state: TrainingState, real: Tensor, fake: Tensor, labels: Tensor | None) -> dict[str, Tensor]:
    with autocast(state.device, state.config.precision):
        loss, metrics = state.discriminator_loss(real, fake, labels)
    state.discriminator_optimizer.zero_grad()
    loss.backward()
    state.discriminator_optimizer.step()
    if state.config.weight_clip is not None:
        clip_weights(state.discriminator, state.config.weight_clip)
    return metrics


def _generator_step(state: TrainingState, fake: Tensor, labels: Tensor | None) -> dict[str, Tensor]:
    # The discriminator's weights need no gradient here: freezing them saves their backward pass.
    state.discriminator.requires_grad_(False)
    with autocast(state.device, state.config.precision):
        loss, metrics = generator_loss(state.discriminator, state.discriminator_loss.objective, fake, labels)
    state.generator_optimizer.zero_grad()
    loss.backward()
    state.generator_optimizer.step()
    state.discriminator.requires_grad_(True)
    state.update_ema()
    return metrics
