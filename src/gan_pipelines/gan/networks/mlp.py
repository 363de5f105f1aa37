"""Fully connected networks (Goodfellow et al. 2014), for images of any shape."""

from __future__ import annotations

import math
from itertools import pairwise

from torch import Tensor, nn

from gan_pipelines.gan.config import NetworkConfig
from gan_pipelines.gan.networks.interface import ImageShape, Judgement
from gan_pipelines.gan.networks.layers import LEAKY_SLOPE, require_no_norm


class MlpGenerator(nn.Module):
    """Three hidden layers with 4, 8 and 16 times ``width`` units and leaky ReLU; the output is a tanh."""

    def __init__(self, config: NetworkConfig, image_shape: ImageShape) -> None:
        super().__init__()
        sizes = [config.latent_size, *(config.width * factor for factor in (4, 8, 16))]
        self.layers = nn.Sequential(
            *_hidden_layers(sizes),
            nn.Linear(sizes[-1], math.prod(image_shape)),
            nn.Tanh(),
            nn.Unflatten(1, image_shape),
        )

    def forward(self, latent: Tensor, labels: Tensor | None = None) -> Tensor:
        """Map latents (N, latent_size) to images (N, C, H, W) in [-1, 1]."""
        return self.layers(latent)


class MlpDiscriminator(nn.Module):
    """Two hidden layers with 8 and 4 times ``width`` units and leaky ReLU; one logit.

    Raises:
        ConfigError: if ``discriminator_norm`` is not ``none``.
    """

    def __init__(self, config: NetworkConfig, image_shape: ImageShape) -> None:
        super().__init__()
        require_no_norm(config)
        sizes = [math.prod(image_shape), *(config.width * factor for factor in (8, 4))]
        self.layers = nn.Sequential(nn.Flatten(), *_hidden_layers(sizes), nn.Linear(sizes[-1], 1))

    def forward(self, images: Tensor, labels: Tensor | None = None) -> Judgement:
        """Judge images (N, C, H, W) in [-1, 1]: logits (N,)."""
        return Judgement(self.layers(images).flatten())


def _hidden_layers(sizes: list[int]) -> list[nn.Module]:
    return [layer for pair in pairwise(sizes) for layer in (nn.Linear(*pair), nn.LeakyReLU(LEAKY_SLOPE, inplace=True))]
