"""The training loop of every variant."""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Callable, Collection, Generator, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field
from functools import cached_property, partial
from itertools import product

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from gan_pipelines.core.config import ConfigError, require
from gan_pipelines.core.devices import autocast, resolve_device
from gan_pipelines.core.recording import Step, record_on_cuda
from gan_pipelines.core.runtime import DeviceName
from gan_pipelines.gan.checkpoint import Checkpoints, CheckpointStore
from gan_pipelines.gan.config import GanConfig
from gan_pipelines.gan.data import TrainingData
from gan_pipelines.gan.differentiable_transforms import transform_differentiably
from gan_pipelines.gan.health import PATIENCE_EPOCHS, TrainingDiverged, diversity
from gan_pipelines.gan.monitor import Monitor
from gan_pipelines.gan.networks import FAMILIES
from gan_pipelines.gan.objectives import generator_loss
from gan_pipelines.gan.penalties import clip_weights
from gan_pipelines.gan.sampling import TrainedGenerator
from gan_pipelines.gan.state import EpochProgress, TrainingState
from gan_pipelines.gan.transforms import apply_transforms

logger = logging.getLogger(__name__)

Steps = Mapping[tuple[bool, ...], Step]
"""Steps by what they have: a generator step, and each of the penalties."""


@dataclass(frozen=True, eq=False)
class Epoch:
    """The results of an epoch. Copies are made on first access.

    Attributes:
        number: number of the epoch, from 1.
        images_seen: real images shown to the discriminator since the start.
        metrics: means over the epoch of what `DiscriminatorLoss` and `generator_loss` report, and of an adaptive
            ``transform_probability``; ``images_per_second``; and ``sample_diversity``, the diversity of the samples
            relative to real images.
        samples: (64, C, H, W) uint8 on the CPU, from ``preview_weights``; the same latents in every epoch. If the
            training fails before another epoch is over, those of the last epoch of which they were kept.
        best: the generator of the epoch with the lowest monitored metric so far; None before the first
            measurement.
        state: networks and optimisers, to look at only. They are not copied, and change as the training goes on.
    """

    number: int
    images_seen: int
    metrics: dict[str, float]
    samples: Tensor
    best: TrainedGenerator | None
    state: TrainingState = field(repr=False)

    @property
    def is_newest(self) -> bool:
        """Whether the next epoch has not begun, so that the networks are still those of this epoch."""
        return self.state.images_seen == self.images_seen

    @cached_property
    def generator(self) -> TrainedGenerator:
        """A copy of the generator after this epoch, which further training does not change.

        Raises:
            RuntimeError: if it is first read after the next epoch has begun.
        """
        if not self.is_newest:
            raise RuntimeError(
                f"The training has gone on since epoch {self.number}, and the generator of that epoch was not copied; "
                "read epoch.generator before the next epoch begins."
            )
        return self.state.snapshot()

    @cached_property
    def history(self) -> Sequence[Mapping[str, float]]:
        """Number, images seen and metrics of every epoch up to this one, also of those before an interruption."""
        return tuple(dict(row) for row in self.state.history[: self.number])

    @cached_property
    def sample_history(self) -> Mapping[float, Tensor]:
        """Samples of the first epoch, of every ``samples_every``-th, of ``samples_at``, and of the last, by epoch.

        Samples that an interrupted run did not keep are missing.
        """
        return {number: samples for number, samples in self.state.sample_history.items() if number <= self.number}


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
    samples_at: Collection[float] = (),
    monitor: Monitor | None = None,
    on_step: Callable[[int], None] | None = None,
) -> Generator[Epoch]:
    """Train a GAN, epoch by epoch.

    With ``checkpoints``, an interrupted training resumes from its newest checkpoint. On the CPU, with the same number
    of threads, it ends with the same weights as an uninterrupted one. A training that is finished, or has ended with a
    collapse, is not repeated.

    Args:
        config: the variant.
        images: (N, C, H, W) uint8. They are copied to the device as they are, or stay on the host if they do not fit.
        labels: (N,) class indices. Conditional variants need them.
        class_names: names of the classes, in the order of the indices.
        data_hash: hash of images, labels and class names, as `core.hashing.hash_dataset` returns it
            (`ImageSet.content_hash`); None computes it.
        device: where to train.
        checkpoints: where to save the state, also within an epoch.
        samples_every: number of epochs between two entries of `Epoch.sample_history`.
        samples_at: more epochs of which it has samples. A fraction is that of the steps of an epoch: 4.5 is half of the
            fifth one.
        monitor: what to measure every few epochs. The results become metrics, and decide which epoch is the best.
        on_step: called with the number of real images seen since the start: before the first step (0, or more if the
            training resumes), and after each discriminator step.

    Yields:
        an `Epoch` after each pass over the images; ``drop_last`` says what becomes of an incomplete last batch. A
        training that is not repeated yields its last epoch only; so does one that fails in the first epoch after an
        interruption, if it has a best one.

    Raises:
        ConfigError: if the configuration does not fit the images or this machine, or asks for fewer epochs than are
            done.
        TrainingLocked: if another process runs the same training.
        CheckpointUnusable: if there are checkpoints and none can be used.
        TrainingDiverged: if a loss or a weight becomes infinite or NaN, before the epoch is yielded; if the generator
            has collapsed and ``on_collapse`` is ``stop``, after the epoch is yielded.
    """
    conditional = FAMILIES[config.networks.family].conditional
    require(labels is not None or not conditional, "labels", None, f"given for the {config.networks.family} networks")
    data = TrainingData.prepare(images, labels, class_names, resolve_device(device), data_hash)
    check_steps(config, len(data))
    require(samples_every >= 1, "samples_every", samples_every, "1 or more")
    require(all(number > 0 for number in samples_at), "samples_at", samples_at, "numbers above 0")
    state = TrainingState(config, data)
    with checkpoints.open(state.fingerprint) if checkpoints else nullcontext() as own_checkpoints:
        yield from _Training(state, data, own_checkpoints, monitor, samples_every, samples_at, on_step).run()


def check_steps(config: GanConfig, num_images: int) -> None:
    """Check that an epoch trains both networks.

    Args:
        config: the variant.
        num_images: number of training images.

    Raises:
        ConfigError: if there are fewer images than a batch has, or fewer batches than ``discriminator_steps``.
    """
    require(config.batch_size <= num_images, "batch_size", config.batch_size, f"at most the {num_images} images")
    steps = config.steps_per_epoch(num_images)
    require(
        config.discriminator_steps <= steps,
        "discriminator_steps",
        config.discriminator_steps,
        f"at most the {steps} batches of an epoch",
    )


@dataclass(frozen=True)
class _Training:
    """One run of `train`: checkpoints, measurements and reports around the epochs."""

    state: TrainingState
    data: TrainingData
    checkpoints: Checkpoints | None
    monitor: Monitor | None
    samples_every: int
    samples_at: Collection[float]
    on_step: Callable[[int], None] | None

    @cached_property
    def _steps(self) -> Steps:
        return choose_steps(self.state)

    @cached_property
    def _sampling_steps(self) -> dict[int, list[float]]:
        """By number of discriminator steps since the start, the parts of epochs after which samples are kept."""
        steps = self.state.config.steps_per_epoch(len(self.data))
        numbers: dict[int, list[float]] = {}
        for number in self.samples_at:
            if not float(number).is_integer():
                numbers.setdefault(math.ceil(round(number * steps, 6)), []).append(number)
        return numbers

    def run(self) -> Generator[Epoch]:
        """Resume if there is a checkpoint, then train the epochs that are missing."""
        if self.checkpoints is not None:
            _resume(self.state, self.checkpoints)
        if self.monitor is not None:
            self.state.forget_other_measurements(self.monitor)
        if self.state.is_over:
            yield self._repeat_last_epoch()
        else:
            yield from self._run_epochs()
        if self.state.has_failed:
            sentence = self.state.health.describe_collapse(self.state.epoch)
            raise TrainingDiverged(f"{sentence}, or go on with on_collapse: warn.")

    def _run_epochs(self) -> Generator[Epoch]:
        mode = "" if self.state.config.compilation == "none" else f", compiled ({self.state.config.compilation})"
        logger.info("Training on %s in %s%s", self.state.device.type, self.state.config.precision, mode)
        self._report_step()
        resumed_after = self.state.epoch
        while not self.state.is_over:
            try:
                epoch = self._run_epoch()
            except TrainingDiverged:
                if self.state.epoch == resumed_after and self.state.best is not None:
                    yield _make_epoch(self.state, self.state.newest_samples())  # or its measurements would be lost
                raise
            yield epoch

    def _repeat_last_epoch(self) -> Epoch:
        """Report the last epoch of a training that is over; measure it if this monitor has not done so yet."""
        self._report_step()
        if self.monitor is not None and self.state.best is None:
            logger.warning(
                "This training was over before it was measured in this way: only its last epoch is measured, and "
                "stands for the best."
            )
            self.state.measure(self.monitor)
        return _make_epoch(self.state, self.state.sample_fixed())

    def _run_epoch(self) -> Epoch:
        with self.state.random.active():
            metrics = _train_epoch(self.state, self.data, self._after_step, self._steps)
        samples = self.state.sample_fixed()
        metrics["sample_diversity"] = diversity(samples[: self.data.compared]) / self.data.diversity
        _check_health(self.state, metrics, self.checkpoints)
        self.state.finish_epoch(metrics, samples, self.samples_every, self.samples_at)
        _warn_of_collapse(self.state)
        if self.monitor is not None and (self.state.epoch % self.monitor.every_epochs == 0 or self.state.is_over):
            self.state.measure(self.monitor)
        if self.checkpoints is not None and self.state.is_over:
            _save(self.state, self.checkpoints)
        return _make_epoch(self.state, samples)

    def _after_step(self) -> None:
        self._report_step()
        for number in self._sampling_steps.get(self.state.steps, ()):
            self.state.sample_history[number] = self.state.sample_fixed()
        if self.checkpoints is not None and self.checkpoints.is_due and self.state.is_sound:
            _save(self.state, self.checkpoints)

    def _report_step(self) -> None:
        if self.on_step is not None:
            self.on_step(self.state.images_seen)


def _resume(state: TrainingState, checkpoints: Checkpoints) -> None:
    """Restore the newest checkpoint, if there is one, and log where the training starts."""
    saved = checkpoints.load_newest()
    if saved is None:
        store = checkpoints.folder.parent
        if any(folder != checkpoints.folder for folder in store.iterdir()):
            logger.info("Starting from the beginning: the checkpoints in %s are of other trainings", store)
        return
    state.load_state_dict(saved)
    epoch, epochs = state.epoch + (state.epoch_progress is not None), state.config.epochs
    if epoch > epochs:
        raise ConfigError(
            f"epochs is {epochs}, but this training is in epoch {epoch} already; ask for more, or for another seed, or "
            "delete its checkpoints and start over with runtime.fresh: true."
        )
    if state.epoch == epochs:
        logger.info(
            "This training is finished: nothing is trained again. More epochs continue it, runtime.fresh: true starts "
            "over."
        )
    elif not state.is_over:
        logger.info("Resuming after %s images: epoch %d of %d", f"{state.images_seen:,}", state.epoch + 1, epochs)


def _save(state: TrainingState, checkpoints: Checkpoints) -> None:
    """Save a checkpoint; if the disk does not allow it, say so and go on."""
    try:
        checkpoints.save(state.images_seen, state.state_dict())
    except OSError as error:
        logger.warning(
            "The checkpoint could not be saved (%s); the one before it stays, and the training goes on.", error
        )


def _check_health(state: TrainingState, metrics: Mapping[str, float], checkpoints: Checkpoints | None) -> None:
    try:
        state.health.check(state.epoch + 1, metrics, state.networks)
    except TrainingDiverged as error:
        paths = [] if checkpoints is None else checkpoints.paths
        where = f" The last good state is kept in {paths[-1]}." if paths else ""
        raise TrainingDiverged(f"{error}.{where}") from error


def _warn_of_collapse(state: TrainingState) -> None:
    """Log a collapse that does not end the training, once."""
    health = state.health
    if health.has_collapsed and health.collapsed_epochs == PATIENCE_EPOCHS and not state.has_failed:
        logger.warning("Epoch %d: %s. The training goes on.", state.epoch, health.describe_collapse(state.epoch))


def _make_epoch(state: TrainingState, samples: Tensor) -> Epoch:
    metrics = dict(state.history[-1])
    return Epoch(
        number=int(metrics.pop("epoch")),
        images_seen=int(metrics.pop("images_seen")),
        metrics=metrics,
        samples=samples,
        best=state.best_snapshot(),
        state=state,
    )


def _train_epoch(
    state: TrainingState,
    data: TrainingData,
    after_step: Callable[[], None],
    steps: Steps | None = None,
) -> dict[str, float]:
    """Train one epoch, or the rest of it. Metrics stay on the device until the end, so that the host does not wait."""
    config = state.config
    state.follow_schedule()
    if state.epoch_progress is None:
        state.epoch_progress = EpochProgress.begin(len(data), state.device)
    progress = state.epoch_progress
    steps = steps or choose_steps(state)
    started = time.perf_counter() - progress.seconds
    for images, labels in data.batches(progress.order, config, done=progress.steps):
        _train_step(state, progress, steps, images, labels)
        progress.seconds = time.perf_counter() - started
        after_step()
    metrics = progress.metrics(config.images_per_epoch(len(data)), started)
    state.epoch_progress = None
    return metrics


def _train_step(
    state: TrainingState,
    progress: EpochProgress,
    steps: Steps,
    images: Tensor,
    labels: Tensor | None,
) -> None:
    """Make a discriminator step and, every ``discriminator_steps``-th time, a generator step."""
    state.steps += 1
    has_generator_step = state.steps % state.config.discriminator_steps == 0
    due = [state.steps % penalty.every_steps == 0 for penalty in state.config.penalties]
    metrics = steps[has_generator_step, *due](images, labels)
    progress.add(metrics | state.transform_probability.adapt(metrics["real_accuracy"], state.steps))
    progress.steps += 1
    state.images_seen += len(images)
    if has_generator_step:
        state.update_ema()
        progress.generator_steps += 1


def launched_steps(state: TrainingState) -> Steps:
    """All steps that there can be, on any device."""
    kinds = product((False, True), repeat=1 + len(state.config.penalties))
    return {
        (has_generator_step, *due): partial(_compute_step, state, has_generator_step, due)
        for has_generator_step, *due in kinds
    }


def choose_steps(state: TrainingState) -> Steps:
    """The same steps, on CUDA each recorded by itself, once it has been launched a few times."""
    steps = launched_steps(state)
    optimizers = (state.generator_optimizer, state.discriminator_optimizer)
    return dict(zip(steps, record_on_cuda([*steps.values()], optimizers, state.device), strict=True))


def _compute_step(
    state: TrainingState, has_generator_step: bool, due: Sequence[bool], images: Tensor, labels: Tensor | None
) -> dict[str, Tensor]:
    """Compute a step on the device. It neither waits for the device nor takes changing numbers of the host."""
    config = state.config
    real = apply_transforms(images, config.transforms).contiguous(memory_format=torch.channels_last)
    # After several discriminator steps, the generator's step takes new latents, as in algorithm 1 of Arjovsky et al.
    # 2017 and of Gulrajani et al. 2017. After a single one, both steps share the generated images, as in DCGAN's own
    # code: this saves a forward pass.
    shares_batch = config.discriminator_steps == 1
    fake = _generate(state, len(real), labels, with_gradient=shares_batch)
    metrics = _discriminator_step(state, real, fake.detach(), labels, due)
    if has_generator_step:
        if not shares_batch:
            fake = _generate(state, len(real), labels, with_gradient=True)
        metrics |= _generator_step(state, real, fake, labels)
    return metrics


def _generate(state: TrainingState, count: int, labels: Tensor | None, with_gradient: bool) -> Tensor:
    """Generate a batch from new latents; without a gradient where only the discriminator is trained with it."""
    with autocast(state.device, state.config.precision), torch.set_grad_enabled(with_gradient):
        fake: Tensor = state.generator(state.draw_latents(count), labels)
    return fake


def _discriminator_step(
    state: TrainingState, real: Tensor, fake: Tensor, labels: Tensor | None, due: Sequence[bool]
) -> dict[str, Tensor]:
    real, fake = (_transform(state, images) for images in (real, fake))
    with autocast(state.device, state.config.precision):
        loss, metrics = state.discriminator_loss(real, fake, labels, due)
    state.discriminator_optimizer.zero_grad()
    loss.backward()
    state.discriminator_optimizer.step()
    if state.config.weight_clip is not None:
        clip_weights(state.discriminator, state.config.weight_clip)
    return metrics


def _generator_step(state: TrainingState, real: Tensor, fake: Tensor, labels: Tensor | None) -> dict[str, Tensor]:
    objective, fake = state.discriminator_loss.objective, _transform(state, fake)
    if objective.generator_loss is None:
        real = _transform(state, real)
    # Gradients of the discriminator's weights are not needed here: freezing the weights saves computing them.
    state.discriminator.requires_grad_(False)
    try:
        with autocast(state.device, state.config.precision):
            loss, metrics = generator_loss(state.discriminator, objective, real, fake, labels)
        state.generator_optimizer.zero_grad()
        loss.backward()
        state.generator_optimizer.step()
    finally:
        state.discriminator.requires_grad_(True)
    return metrics


def _transform(state: TrainingState, images: Tensor) -> Tensor:
    """Transform images for the discriminator, each time anew."""
    config = state.config.differentiable_transforms
    return transform_differentiably(images, config.kinds, state.transform_probability.value)
