"""What a GAN is made of and how it is trained, as typed settings that check themselves."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, Strict

from gan_pipelines.core.config import (
    Count,
    Degrees,
    NonNegative,
    Positive,
    Seed,
    Share,
    Switch,
    config,
    parse,
    require,
    split_numbers,
    split_texts,
)
from gan_pipelines.core.runtime import Compilation, Precision

NetworkFamilyName = Literal[
    "mlp", "dcgan", "dcgan_5x5", "cdcgan", "acgan", "resnet", "resnet_projection", "r3gan", "r3gan_projection"
]
NormName = Literal["batch", "instance", "layer", "none"]
SpectralNorm = Literal["none", "discriminator", "both"]
ObjectiveName = Literal[
    "minimax",
    "non_saturating",
    "least_squares",
    "wasserstein",
    "hinge",
    "relativistic",
    "relativistic_average",
]
PenaltyPoint = Literal["line", "real", "fake", "dragan"]
DifferentiableTransformName = Literal["colour", "translation", "cutout"]
OptimizerName = Literal["adam", "rmsprop"]
OnCollapse = Literal["warn", "stop"]
ScheduleName = Literal["constant", "step", "linear", "cosine"]
WeightSet = Literal["ema", "raw"]
"""The generator's exponential moving average, or the weights that the optimiser updates."""


def _to_names(value: object) -> object:
    """Class names as texts: YAML reads 3 and 7 as numbers."""
    return list(map(str, value)) if isinstance(value, list | tuple) else split_texts(str(value))


BatchSize = Annotated[int, Strict(), Field(ge=2)]
"""Two images or more: batch norm needs them."""
Betas = Annotated[tuple[Share, Share], BeforeValidator(split_numbers)]
ClassNames = Annotated[
    tuple[str, ...],
    BeforeValidator(_to_names, json_schema_input_type=list[str | int]),
    Field(min_length=1),
]
DifferentiableTransforms = Annotated[tuple[DifferentiableTransformName, ...], BeforeValidator(split_texts)]


@config
class NetworkConfig:
    """Sizes of generator and discriminator; image size, channels and classes come from the data.

    Attributes:
        family: pair of networks, a key of `networks.FAMILIES`.
        latent_size: length of the latent vector, drawn from N(0, 1).
        width: channels of the discriminator's first layer; each halving of the image doubles them, in resnet networks
            only of images above 32x32, in r3gan networks only down to 32x32. The layers of the mlp networks have 4, 8
            and 16 times as many units.
        discriminator_norm: normalisation between the discriminator's layers; none in the mlp, resnet and r3gan
            networks; ``layer`` is over all channels and positions of an image (Ba et al. 2016). A gradient penalty
            wants one that does not couple the images of a batch, or none (Gulrajani et al. 2017, section 4).
        spectral_norm: networks whose weights are divided by their spectral norm (Miyato et al. 2018).
        attention: self-attention after the last two hidden layers of both networks (Zhang et al. 2019).
    """

    family: NetworkFamilyName = "dcgan"
    latent_size: Count = 100
    width: Count = 64
    discriminator_norm: NormName = "batch"
    spectral_norm: SpectralNorm = "none"
    attention: Switch = False

    def __post_init__(self) -> None:
        has_zeros = self.family in ("r3gan", "r3gan_projection")
        allowed = f"none for the {self.family} networks: weights of 0, with which their blocks begin, have no norm"
        require(not has_zeros or self.spectral_norm == "none", "spectral_norm", self.spectral_norm, allowed)


@config
class PenaltyConfig:
    """A gradient penalty: ``weight * mean((|grad D(x)| - target_norm)^2)`` over points x.

    WGAN-GP is ``at: line, target_norm: 1``, and WGAN-LP the same with ``one_sided: true``; R1 and R2 are ``at: real``
    and ``at: fake`` with ``target_norm: 0``; DRAGAN's is ``at: dragan, target_norm: 1``.

    Attributes:
        at: points at which the gradient is taken: on lines between real and generated images, at either of them, or
            near real images (``dragan``).
        target_norm: norm of the gradient that is not penalised.
        one_sided: penalise only norms above ``target_norm`` (Petzka et al. 2018).
        weight: factor on the penalty.
        every_steps: number of discriminator steps from one with the penalty to the next; its weight there is multiplied
            by this number (lazy regularisation: Karras et al. 2020, "Analyzing and Improving the Image Quality of
            StyleGAN", appendix B).
    """

    at: PenaltyPoint = "line"
    target_norm: NonNegative = 1.0
    one_sided: Switch = False
    weight: Positive = 10.0
    every_steps: Count = 1

    def __post_init__(self) -> None:
        may_be = not self.one_sided or self.target_norm > 0
        require(may_be, "one_sided", self.one_sided, "false with target_norm 0: no norm is smaller")


@config
class OptimizerConfig:
    """Optimiser of one network.

    Attributes:
        algorithm: ``adam`` (Kingma & Ba 2015), or ``rmsprop`` without momentum, with PyTorch's smoothing of 0.99.
        learning_rate: before any schedule.
        betas: Adam's.
    """

    algorithm: OptimizerName = "adam"
    learning_rate: Positive = 2e-4
    betas: Betas = (0.5, 0.999)


@config
class ScheduleConfig:
    """Learning rates of both networks, and weights of the penalties, by epoch.

    The average of the generator's weights has no schedule beyond its warm-up, see ``ema_decay``. With another ``kind``
    than that of the variant's schedule, the other settings begin from their defaults.

    Attributes:
        kind: of the learning rates. ``constant``; ``step``: times ``factor`` every ``every_epochs``; ``linear``: to 0
            after the last epoch; ``cosine``: along half a cosine to ``factor`` times the first value after the last
            epoch (Loshchilov & Hutter 2017, equation 5, without restarts).
        every_epochs: of ``step``.
        factor: of ``step`` and ``cosine``.
        penalty_factor: of ``cosine``: the same of the weights of the penalties, as R3GAN has them (Huang et al. 2024).
    """

    kind: ScheduleName = "constant"
    every_epochs: Count = 30
    factor: Annotated[float, Strict(), Field(gt=0, le=1)] = 0.1
    penalty_factor: Positive = 1.0

    def __post_init__(self) -> None:
        kind = self.kind
        require(kind == "step" or self.every_epochs == 30, "kind", kind, "step, since every_epochs is set")
        has_factor = kind in ("step", "cosine")
        require(has_factor or self.factor == 0.1, "kind", kind, "step or cosine, since factor is set")
        require(kind == "cosine" or self.penalty_factor == 1, "kind", kind, "cosine, since penalty_factor is set")

    @property
    def depends_on_end(self) -> bool:
        """Whether an epoch depends on how many there will be."""
        return self.kind in ("linear", "cosine")

    def learning_rate_factor(self, epoch: int, epochs: int) -> float:
        """The factor on the learning rates in the 0-based ``epoch`` of ``epochs``."""
        if self.kind == "step":
            return self.factor ** (epoch // self.every_epochs)
        if self.kind == "linear":
            return max(0.0, 1 - epoch / epochs)
        return _follow_cosine(self.factor, epoch / epochs) if self.kind == "cosine" else 1.0

    def penalty_weight_factor(self, epoch: int, epochs: int) -> float:
        """The factor on the weights of the penalties in the 0-based ``epoch`` of ``epochs``."""
        return _follow_cosine(self.penalty_factor, epoch / epochs)


def _follow_cosine(last: float, progress: float) -> float:
    """From 1 at the ``progress`` 0 to ``last`` at 1."""
    return last + (1 - last) * (1 + math.cos(math.pi * progress)) / 2


@config
class TransformConfig:
    """Random transforms of images, drawn for each image.

    Attributes:
        horizontal_flip: flip half of the images.
        rotation_degrees: maximum angle of rotation, either way.
        crop_padding: maximum shift in pixels, either way, as a random crop after padding gives.
    """

    horizontal_flip: Switch = False
    rotation_degrees: Degrees = 0.0
    crop_padding: Annotated[int, Strict(), Field(ge=0)] = 0


@config
class DifferentiableTransformConfig:
    """Random transforms of real and generated images in every step of both networks (DiffAugment, Zhao et al. 2020).

    The gradient of the generator's loss flows through them, and samples do not show them.

    Attributes:
        kinds: any of ``colour`` (brightness, saturation and contrast), ``translation`` by up to an eighth of the size,
            and ``cutout`` of a square of half the size. An empty list makes none.
        probability: of each kind for an image; if it is adapted, that of the first step.
        target_sign: mean sign of the logits of real images to which the probability is adapted, -1 to 1; null keeps the
            probability. The sign is relative to the objective's threshold. ADA takes 0.6 and begins with probability 0
            (Karras et al. 2020, "Training Generative Adversarial Networks with Limited Data").
        ramp_images: real images in which the adapted probability can rise from 0 to 1.
    """

    kinds: DifferentiableTransforms = ()
    probability: Annotated[float, Strict(), Field(ge=0, le=1)] = 1.0
    target_sign: Annotated[float, Strict(), Field(gt=-1, lt=1)] | None = None
    ramp_images: Count = 500_000

    def __post_init__(self) -> None:
        kinds, probability, target, ramp = self.kinds, self.probability, self.target_sign, self.ramp_images
        require(len(set(kinds)) == len(kinds), "kinds", kinds, "different from each other")
        require(probability == 1 or bool(kinds), "probability", probability, "left out unless kinds names a transform")
        require(target is None or bool(kinds), "target_sign", target, "null unless kinds names a transform")
        require(target is not None or ramp == 500_000, "ramp_images", ramp, "left out unless target_sign is set")


@config
class GanConfig:
    """One variant: networks x objective x penalties or constraint x optimisers x schedule, and its budget.

    Attributes:
        networks: sizes of generator and discriminator.
        objective: pair of losses, a key of `objectives.OBJECTIVES`.
        penalties: gradient penalties added to the discriminator's loss.
        weight_clip: bound on the absolute value of the discriminator's parameters, applied after each of its steps
            (Arjovsky et al. 2017, algorithm 1), or null.
        discriminator_steps: discriminator steps, each on a new batch, per generator step. If there are several, the
            generator's step draws new latents; if there is one, both steps share the generated images.
        generator_optimizer: optimiser of the generator.
        discriminator_optimizer: optimiser of the discriminator.
        schedule: learning rates and weights of the penalties by epoch.
        transforms: random transforms of the real images.
        differentiable_transforms: random transforms of what the discriminator sees, real and generated images.
        ema_decay: decay per generator step of the average of the generator's weights (EMA); 0 copies them. After n
            generator steps it is at most (1 + n) / (10 + n).
        preview_weights: set of weights of the generator for sample grids, nearest neighbours, interpolations, and the
            diversity that the training is watched by.
        on_collapse: what to do once the generator has made a single image for three epochs, and diverse ones before:
            ``warn`` goes on, ``stop`` ends the training as failed after that epoch.
        batch_size: real images of a step; 2 or more, since batch norm needs two.
        drop_last: leave out the last batch of an epoch if it is incomplete. Otherwise it counts in the metrics of the
            epoch as much as the others; a last batch of a single image is left out in any case.
        repeat_batches: all ``discriminator_steps`` before a generator step take the same batch, so that an epoch has as
            many generator steps as batches. Otherwise each takes the next batch.
        epochs: passes of the discriminator over the real images.
        seed: of the weights, the order of the images, and every latent.
        precision: ``auto`` is bf16 where the device computes in it natively, and fp32 elsewhere.
        compilation: mode of torch.compile for the forward passes; a penalty is never compiled.
    """

    networks: NetworkConfig = NetworkConfig()
    objective: ObjectiveName
    penalties: tuple[PenaltyConfig, ...] = ()
    weight_clip: Positive | None = None
    discriminator_steps: Count = 1
    generator_optimizer: OptimizerConfig = OptimizerConfig()
    discriminator_optimizer: OptimizerConfig = OptimizerConfig()
    schedule: ScheduleConfig = ScheduleConfig()
    transforms: TransformConfig = TransformConfig()
    differentiable_transforms: DifferentiableTransformConfig = DifferentiableTransformConfig()
    ema_decay: Share = 0.999
    preview_weights: WeightSet = "ema"
    on_collapse: OnCollapse = "warn"
    batch_size: BatchSize = 64
    drop_last: Switch = True
    repeat_batches: Switch = False
    epochs: Count = 25
    seed: Seed = 0
    precision: Precision = "auto"
    compilation: Compilation = "none"

    def __post_init__(self) -> None:
        clip, penalties, spectral = self.weight_clip, self.penalties, self.networks.spectral_norm
        if clip is not None:
            require(not penalties, "weight_clip", clip, "null beside a penalty: each bounds the slope in its own way")
            allowed = "null beside spectral_norm, which divides the size of the weights out"
            require(spectral == "none", "weight_clip", clip, allowed)
        is_used = bool(penalties) or self.schedule.penalty_factor == 1
        require(is_used, "schedule.penalty_factor", self.schedule.penalty_factor, "set to 1 where penalties is []")
        require(
            self.objective != "wasserstein" or bool(clip or penalties or spectral != "none"),
            "objective",
            self.objective,
            "bounded by a penalty, weight_clip or networks.spectral_norm: without, a critic's loss falls for ever",
        )

    @property
    def steps_per_batch(self) -> int:
        """Discriminator steps in a row that take the same batch."""
        return self.discriminator_steps if self.repeat_batches else 1

    def steps_per_epoch(self, num_images: int) -> int:
        """Number of discriminator steps in an epoch of so many images."""
        return math.ceil((num_images - self._left_out(num_images)) / self.batch_size) * self.steps_per_batch

    def images_per_epoch(self, num_images: int) -> int:
        """Number of real images shown in an epoch of so many images; a batch that is repeated counts each time."""
        return (num_images - self._left_out(num_images)) * self.steps_per_batch

    def _left_out(self, num_images: int) -> int:
        """Number of images in an incomplete last batch that is left out."""
        rest = num_images % self.batch_size
        return rest if self.drop_last or rest == 1 else 0


@config
class SamplingConfig:
    """Images to generate.

    Attributes:
        count: number of images of each class; in all, if the generator is unconditional.
        classes: names of the classes, or null for all.
        seed: of the latents.
        truncation: bound on the latents, or null; see `TrainedGenerator.sample_batches`.
        weights: set of weights of the generator.
    """

    count: Count = 16
    classes: ClassNames | None = None
    seed: Seed = 0
    truncation: Positive | None = None
    weights: WeightSet = "ema"


def parse_saved(settings: Mapping[str, Any], path: str) -> GanConfig:
    """Build the configuration in a file of this version or of an earlier one, whose settings had other names.

    Args:
        settings: as JSON gives them.
        path: the file, for messages.

    Raises:
        ConfigError: if this version lacks a setting, or does not allow its value.
    """
    return parse(GanConfig, rename_settings(settings), path)


def rename_settings(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Give the settings of an earlier version their present names."""
    renamed = {_NEW_NAMES.get(name, name): value for name, value in settings.items()}
    if "networks" in renamed:
        renamed["networks"] = {_NEW_NAMES.get(name, name): value for name, value in renamed["networks"].items()}
    if "penalty" in renamed:
        penalty = renamed.pop("penalty")
        renamed["penalties"] = [] if penalty is None else [penalty]
    return renamed


_NEW_NAMES = {
    "critic_norm": "discriminator_norm",
    "critic_steps": "discriminator_steps",
    "augmentation": "transforms",
}
