"""What a GAN is made of and how it is trained, as typed values that check themselves."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

from gan_pipelines.core.config import require, require_choice
from gan_pipelines.core.runtime import Compilation, Precision

NetworkFamilyName = Literal["mlp", "dcgan", "dcgan_5x5", "cdcgan", "acgan"]
NormName = Literal["batch", "instance", "none"]
SpectralNorm = Literal["none", "discriminator", "both"]
ObjectiveName = Literal["minimax", "non_saturating", "least_squares", "wasserstein", "hinge"]
PenaltyPoint = Literal["line", "real", "fake"]
OptimizerName = Literal["adam", "rmsprop"]
ScheduleName = Literal["constant", "step", "linear"]
WeightSet = Literal["ema", "raw"]
"""The moving average of the generator's weights, or the weights that the optimiser has."""


@dataclass(frozen=True, kw_only=True)
class NetworkConfig:
    """Sizes of generator and discriminator; image size, channels and classes come from the data.

    Attributes:
        family: which pair of networks, a key of `networks.FAMILIES`.
        latent_size: length of the latent vector, drawn from N(0, 1).
        width: channels of the discriminator's layer next to the image; each halving of the image doubles them. The mlp
            networks have 4, 8 and 16 times as many units in their layers.
        discriminator_norm: normalisation between the discriminator's layers. The gradient penalty's theory
            (Gulrajani et al. 2017, section 4) wants none that couples the images of a batch.
        spectral_norm: whose weights are divided by their spectral norm (Miyato et al. 2018).
        attention: self-attention after the last two hidden layers of both networks (Zhang et al. 2019).
    """

    family: NetworkFamilyName = "dcgan"
    latent_size: int = 100
    width: int = 64
    discriminator_norm: NormName = "batch"
    spectral_norm: SpectralNorm = "none"
    attention: bool = False

    def __post_init__(self) -> None:
        require_choice("family", self.family, NetworkFamilyName)
        require_choice("discriminator_norm", self.discriminator_norm, NormName)
        require_choice("spectral_norm", self.spectral_norm, SpectralNorm)
        require(self.latent_size >= 1, "latent_size", self.latent_size, "1 or more")
        require(self.width >= 1, "width", self.width, "1 or more")


@dataclass(frozen=True, kw_only=True)
class PenaltyConfig:
    """A gradient penalty: ``weight * mean((|grad D(x)| - target_norm)^2)`` over points x.

    WGAN-GP is ``at="line", target_norm=1``; R1 and R2 are ``at="real"`` and ``at="fake"`` with ``target_norm=0``.
    """

    at: PenaltyPoint = "line"
    target_norm: float = 1.0
    weight: float = 10.0

    def __post_init__(self) -> None:
        require_choice("at", self.at, PenaltyPoint)
        require(0 <= self.target_norm < math.inf, "target_norm", self.target_norm, "0 or more")
        require(0 < self.weight < math.inf, "weight", self.weight, "greater than 0 (for no penalty, set penalty: null)")


@dataclass(frozen=True, kw_only=True)
class OptimizerConfig:
    """How a network learns.

    Attributes:
        algorithm: ``adam`` (Kingma & Ba 2015), or ``rmsprop`` without momentum, with PyTorch's smoothing of 0.99.
        learning_rate: before any schedule.
        betas: Adam's.
    """

    algorithm: OptimizerName = "adam"
    learning_rate: float = 2e-4
    betas: tuple[float, float] = (0.5, 0.999)

    def __post_init__(self) -> None:
        require_choice("algorithm", self.algorithm, OptimizerName)
        object.__setattr__(self, "betas", tuple(map(float, self.betas)))  # Adam refuses a mix of int and float
        require(0 < self.learning_rate < math.inf, "learning_rate", self.learning_rate, "greater than 0")
        require(
            len(self.betas) == 2 and all(0 <= beta < 1 for beta in self.betas),
            "betas",
            self.betas,
            "two numbers, each at least 0 and below 1",
        )


@dataclass(frozen=True, kw_only=True)
class ScheduleConfig:
    """How both learning rates change by epoch.

    ``constant``; ``step``: times ``factor`` every ``every_epochs``; ``linear``: down to 0 after the last epoch.
    """

    kind: ScheduleName = "constant"
    every_epochs: int = 30
    factor: float = 0.1

    def __post_init__(self) -> None:
        require_choice("kind", self.kind, ScheduleName)
        require(self.every_epochs >= 1, "every_epochs", self.every_epochs, "1 or more")
        require(0 < self.factor <= 1, "factor", self.factor, "greater than 0 and at most 1")
        steps = (self.every_epochs, self.factor) != (30, 0.1)
        require(self.kind == "step" or not steps, "kind", self.kind, "step, since every_epochs or factor is set")

    def learning_rate_factor(self, epoch: int, epochs: int) -> float:
        """The factor on the learning rates in the 0-based ``epoch`` of ``epochs``."""
        if self.kind == "step":
            return self.factor ** (epoch // self.every_epochs)
        if self.kind == "linear":
            return max(0.0, 1 - epoch / epochs)
        return 1.0


@dataclass(frozen=True, kw_only=True)
class TransformConfig:
    """Random changes to images, each with its own draw.

    Attributes:
        horizontal_flip: mirror half of the images.
        rotation_degrees: rotate by up to this angle either way.
        crop_padding: shift by up to this many pixels either way, as a crop after padding does.
    """

    horizontal_flip: bool = False
    rotation_degrees: float = 0.0
    crop_padding: int = 0

    def __post_init__(self) -> None:
        require(0 <= self.rotation_degrees <= 180, "rotation_degrees", self.rotation_degrees, "from 0 to 180")
        require(self.crop_padding >= 0, "crop_padding", self.crop_padding, "0 or more")


@dataclass(frozen=True, kw_only=True)
class GanConfig:
    """One variant, whole: networks x objective x penalty or constraint x optimisers x schedule, and its budget.

    Attributes:
        objective: the pair of losses, a key of `objectives.OBJECTIVES`.
        penalty: gradient penalty added to the discriminator's loss, or None.
        weight_clip: bound on the absolute value of each of the discriminator's parameters after each of its steps
            (Arjovsky et al. 2017, algorithm 1), or None.
        discriminator_steps: discriminator steps, each on a new batch, per generator step.
        ema_decay: decay per generator step of the average over the generator's weights; 0 follows them exactly.
        epochs: passes of the discriminator over the real images.
        seed: of the weights, the order of the images, and every latent.
        precision: ``auto`` is bf16 where the device computes in it natively and fp32 elsewhere.
        compilation: of the forward passes, by torch.compile; a penalty's own pass stays as it is.
    """

    networks: NetworkConfig = NetworkConfig()
    objective: ObjectiveName
    penalty: PenaltyConfig | None = None
    weight_clip: float | None = None
    discriminator_steps: int = 1
    generator_optimizer: OptimizerConfig = OptimizerConfig()
    discriminator_optimizer: OptimizerConfig = OptimizerConfig()
    schedule: ScheduleConfig = ScheduleConfig()
    transforms: TransformConfig = TransformConfig()
    ema_decay: float = 0.999
    batch_size: int = 64
    epochs: int = 25
    seed: int = 0
    precision: Precision = "auto"
    compilation: Compilation = "none"

    def __post_init__(self) -> None:
        require_choice("objective", self.objective, ObjectiveName)
        require_choice("precision", self.precision, Precision)
        require_choice("compilation", self.compilation, Compilation)
        require(self.discriminator_steps >= 1, "discriminator_steps", self.discriminator_steps, "1 or more")
        require(0 <= self.ema_decay < 1, "ema_decay", self.ema_decay, "at least 0 and below 1")
        require(self.batch_size >= 2, "batch_size", self.batch_size, "2 or more (batch norm needs two images)")
        require(self.epochs >= 1, "epochs", self.epochs, "1 or more")
        require(0 <= self.seed < 2**63, "seed", self.seed, "at least 0 and below 2**63")
        self._check_constraints()

    def _check_constraints(self) -> None:
        """Raise a `ConfigError` if what bounds the discriminator's slope does not go together."""
        clip, penalty, spectral = self.weight_clip, self.penalty, self.networks.spectral_norm
        if clip is not None:
            require(0 < clip < math.inf, "weight_clip", clip, "greater than 0 (for no clipping, null)")
            require(penalty is None, "weight_clip", clip, "null beside a penalty: each bounds the slope in its own way")
            require(
                spectral == "none",
                "weight_clip",
                clip,
                "null beside spectral_norm, which divides the size of the weights out",
            )
        require(
            self.objective != "wasserstein" or bool(clip or penalty or spectral != "none"),
            "objective",
            self.objective,
            "bounded by a penalty, weight_clip or networks.spectral_norm: without, a critic's loss falls for ever",
        )


@dataclass(frozen=True, kw_only=True)
class SamplingConfig:
    """Which images to make.

    Attributes:
        count: number of images of each class; in all, if the generator knows no classes.
        classes: names of the classes, or None for all.
        seed: of the latents.
        truncation: bound on the latents, or None; see `TrainedGenerator.sample_batches`.
        weights: which set of weights.
    """

    count: int = 16
    classes: tuple[str, ...] | None = None
    seed: int = 0
    truncation: float | None = None
    weights: WeightSet = "ema"

    def __post_init__(self) -> None:
        require_choice("weights", self.weights, WeightSet)
        require(self.count >= 1, "count", self.count, "1 or more")
        require(self.classes is None or len(self.classes) > 0, "classes", self.classes, "null, or names of classes")
        require(0 <= self.seed < 2**63, "seed", self.seed, "at least 0 and below 2**63")
        bound = self.truncation
        require(bound is None or 0 < bound < math.inf, "truncation", bound, "greater than 0, or null for none")
