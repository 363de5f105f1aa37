"""The table of variants: one row each, with the settings of the paper that it follows.

A project's parameters start from a row and state only what differs from it.
"""

from __future__ import annotations

from typing import Final

from gan_pipelines.gan.config import GanConfig, NetworkConfig, OptimizerConfig, PenaltyConfig

VARIANTS: Final[dict[str, GanConfig]] = {
    # Radford et al. 2016, "Unsupervised Representation Learning with Deep Convolutional GANs".
    "dcgan": GanConfig(
        objective="non_saturating",
        generator_optimizer=OptimizerConfig(learning_rate=2e-4, betas=(0.5, 0.999)),
        discriminator_optimizer=OptimizerConfig(learning_rate=2e-4, betas=(0.5, 0.999)),
        batch_size=128,
    ),
    # Gulrajani et al. 2017, "Improved Training of Wasserstein GANs", algorithm 1.
    "wgan_gp": GanConfig(
        networks=NetworkConfig(critic_norm="none"),
        objective="wasserstein",
        penalty=PenaltyConfig(at="line", target_norm=1.0, weight=10.0),
        critic_steps=5,
        generator_optimizer=OptimizerConfig(learning_rate=1e-4, betas=(0.0, 0.9)),
        discriminator_optimizer=OptimizerConfig(learning_rate=1e-4, betas=(0.0, 0.9)),
        batch_size=64,
    ),
}
