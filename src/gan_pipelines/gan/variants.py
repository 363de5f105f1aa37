"""The table of variants, each with the settings of its paper.

The parameters of an experiment change single settings of a variant.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any, Final

from gan_pipelines.core.config import merge, parse, require
from gan_pipelines.gan.config import (
    GanConfig,
    NetworkConfig,
    NetworkFamilyName,
    OptimizerConfig,
    PenaltyConfig,
    ScheduleConfig,
)


def _adam(learning_rate: float, *betas: float) -> OptimizerConfig:
    return OptimizerConfig(learning_rate=learning_rate, betas=(betas[0], betas[1]))


def _sngan(family: NetworkFamilyName) -> GanConfig:
    return GanConfig(
        networks=NetworkConfig(
            family=family, latent_size=128, width=128, discriminator_norm="none", spectral_norm="discriminator"
        ),
        objective="hinge",
        discriminator_steps=5,
        generator_optimizer=_adam(2e-4, 0.0, 0.9),
        discriminator_optimizer=_adam(2e-4, 0.0, 0.9),
        schedule=ScheduleConfig(kind="linear"),
        batch_size=64,
    )


def _r3gan(family: NetworkFamilyName) -> GanConfig:
    gamma = 0.05
    return GanConfig(
        networks=NetworkConfig(family=family, latent_size=64, width=768, discriminator_norm="none"),
        objective="relativistic",
        penalties=(
            PenaltyConfig(at="real", target_norm=0.0, weight=gamma / 2),
            PenaltyConfig(at="fake", target_norm=0.0, weight=gamma / 2),
        ),
        generator_optimizer=_adam(2e-4, 0.0, 0.99),
        discriminator_optimizer=_adam(2e-4, 0.0, 0.99),
        schedule=ScheduleConfig(kind="cosine", factor=0.25, penalty_factor=0.1),
        ema_decay=0.9999,
        batch_size=512,
    )


VARIANTS: Final[dict[str, GanConfig]] = {
    # Goodfellow et al. 2014, "Generative Adversarial Nets", with Adam in place of SGD with momentum.
    "mlp_gan": GanConfig(
        networks=NetworkConfig(family="mlp", discriminator_norm="none"),
        objective="non_saturating",
        batch_size=128,
    ),
    # Radford et al. 2016, "Unsupervised Representation Learning with Deep Convolutional GANs".
    "dcgan": GanConfig(objective="non_saturating", batch_size=128),
    # Mirza & Osindero 2014, "Conditional Generative Adversarial Nets", with convolutions.
    "cdcgan": GanConfig(networks=NetworkConfig(family="cdcgan"), objective="non_saturating", batch_size=64),
    # Mao et al. 2017, "Least Squares Generative Adversarial Networks", equation 9, on DCGAN's networks.
    "lsgan": GanConfig(objective="least_squares", batch_size=64),
    # Arjovsky et al. 2017, "Wasserstein GAN", algorithm 1.
    "wgan": GanConfig(
        objective="wasserstein",
        weight_clip=0.01,
        discriminator_steps=5,
        generator_optimizer=OptimizerConfig(algorithm="rmsprop", learning_rate=5e-5),
        discriminator_optimizer=OptimizerConfig(algorithm="rmsprop", learning_rate=5e-5),
        batch_size=64,
    ),
    # Gulrajani et al. 2017, "Improved Training of Wasserstein GANs", algorithm 1.
    "wgan_gp": GanConfig(
        networks=NetworkConfig(discriminator_norm="none"),
        objective="wasserstein",
        penalties=(PenaltyConfig(at="line", target_norm=1.0, weight=10.0),),
        discriminator_steps=5,
        generator_optimizer=_adam(1e-4, 0.0, 0.9),
        discriminator_optimizer=_adam(1e-4, 0.0, 0.9),
        batch_size=64,
    ),
    # Kodali et al. 2017, "On Convergence and Stability of GANs", algorithm 1, on DCGAN's networks. No batch norm in the
    # discriminator, since the penalty is on the gradient at single images.
    "dragan": GanConfig(
        networks=NetworkConfig(discriminator_norm="none"),
        objective="non_saturating",
        penalties=(PenaltyConfig(at="dragan", target_norm=1.0, weight=10.0),),
        batch_size=64,
    ),
    # Odena et al. 2017, "Conditional Image Synthesis with Auxiliary Classifier GANs".
    "acgan": GanConfig(networks=NetworkConfig(family="acgan"), objective="non_saturating", batch_size=100),
    # Zhang et al. 2019, "Self-Attention Generative Adversarial Networks", on DCGAN's networks.
    "sagan": GanConfig(
        networks=NetworkConfig(discriminator_norm="none", spectral_norm="both", attention=True),
        objective="hinge",
        generator_optimizer=_adam(1e-4, 0.0, 0.9),
        discriminator_optimizer=_adam(4e-4, 0.0, 0.9),
        batch_size=128,
    ),
    # Miyato et al. 2018, "Spectral Normalization for Generative Adversarial Networks", residual networks for CIFAR-10.
    "sngan": _sngan("resnet"),
    # Miyato & Koyama 2018, "cGANs with Projection Discriminator", with the settings of SNGAN for CIFAR-10.
    "sngan_projection": _sngan("resnet_projection"),
    # Huang et al. 2024, "The GAN is dead; long live the GAN! A Modern GAN Baseline", the settings for CIFAR-10. The
    # authors' code lets beta2 rise from 0.9 to 0.99, and the half-life of the EMA to 5 million images, a decay of
    # 0.9999; here both have the last values, and the EMA its own warm-up. The authors' schedules end after 20 million
    # images, and here with the training. There are no transforms here.
    "r3gan": _r3gan("r3gan"),
    # The same for labelled images.
    "r3gan_conditional": _r3gan("r3gan_projection"),
}
DEFAULT_VARIANT: Final = "cdcgan"
"""Variant of the default pipeline."""


def parse_variant(variant: str, overrides: Mapping[str, Any] | None) -> GanConfig:
    """Apply the settings of a variant, or None, to its row in `VARIANTS`.

    A schedule of another kind takes nothing from that of the row, whose settings are not those of this kind.

    Raises:
        ConfigError: if a setting is unknown, has the wrong type, or is not allowed.
    """
    path, overrides = f"variants.{variant}", overrides or {}
    require(isinstance(overrides, Mapping), path, overrides, "a mapping of settings")
    row, schedule = asdict(VARIANTS[variant]), overrides.get("schedule")
    if isinstance(schedule, Mapping) and schedule.get("kind", row["schedule"]["kind"]) != row["schedule"]["kind"]:
        row.pop("schedule")
    config = parse(GanConfig, merge(row, overrides), path)
    transforms = config.differentiable_transforms
    require(  # not of generators that were trained before
        transforms.target_sign is None or transforms.probability < 1,
        f"{path}.differentiable_transforms.probability",
        transforms.probability,
        "stated, and below 1, since target_sign is set; ADA begins with 0",
    )
    return config
