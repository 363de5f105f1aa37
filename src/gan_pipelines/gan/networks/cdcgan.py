"""Convolutional networks of a conditional GAN (Mirza & Osindero 2014), for square images, 16x16, 32x32 and so on.

A label becomes feature maps, which are concatenated to those of the latent and to the image.
"""

from __future__ import annotations

import math
from itertools import pairwise

import torch
from torch import Tensor, nn

from gan_pipelines.gan.config import NetworkConfig
from gan_pipelines.gan.networks.interface import ImageShape, Judgement
from gan_pipelines.gan.networks.layers import LEAKY_SLOPE, NORMS, count_halvings, initialize_normal

EMBEDDING_SIZE = 100
DROPOUT = 0.4


class LabelMap(nn.Sequential):
    """Maps labels (N,) to feature maps (N, C, H, W) by an embedding and a linear layer."""

    def __init__(self, num_classes: int, shape: ImageShape) -> None:
        super().__init__(
            nn.Embedding(num_classes, EMBEDDING_SIZE),
            nn.Linear(EMBEDDING_SIZE, math.prod(shape)),
            nn.Unflatten(1, shape),
        )


class CdcganGenerator(nn.Module):
    """Transposed 4x4 convolutions with stride 2, from 4x4 feature maps of latent and label up to the image.

    Raises:
        ConfigError: if the image size is not supported.
    """

    def __init__(self, config: NetworkConfig, image_shape: ImageShape, num_classes: int) -> None:
        super().__init__()
        doublings = count_halvings(image_shape, 16, config.family)
        widths = [config.width * 2**level for level in range(doublings - 1, 0, -1)]
        self.label_map = LabelMap(num_classes, ImageShape(1, 4, 4))
        self.latent_map = nn.Sequential(
            nn.Linear(config.latent_size, widths[0] * 16),
            nn.LeakyReLU(LEAKY_SLOPE, inplace=True),
            nn.Unflatten(1, (widths[0], 4, 4)),
        )
        layers: list[nn.Module] = []
        for wide, narrow in pairwise([widths[0] + 1, *widths]):
            layers += [
                nn.ConvTranspose2d(wide, narrow, 4, stride=2, padding=1, bias=False),
                nn.BatchNorm2d(narrow),
                nn.ReLU(inplace=True),
            ]
        layers += [nn.ConvTranspose2d(widths[-1], image_shape.channels, 4, stride=2, padding=1, bias=False), nn.Tanh()]
        self.layers = nn.Sequential(*layers)
        initialize_normal(self)

    def forward(self, latent: Tensor, labels: Tensor) -> Tensor:
        """Map latents (N, latent_size) and labels (N,) to images (N, C, H, W) in [-1, 1]."""
        return self.layers(torch.cat([self.latent_map(latent), self.label_map(labels)], dim=1))


class CdcganDiscriminator(nn.Module):
    """Three 4x4 convolutions with stride 2 on image and label map, then dropout and a linear layer.

    Raises:
        ConfigError: if the image size is not supported.
    """

    def __init__(self, config: NetworkConfig, image_shape: ImageShape, num_classes: int) -> None:
        super().__init__()
        width, norm = config.width, NORMS[config.discriminator_norm]
        positions = 4 ** (count_halvings(image_shape, 16, config.family) - 1)  # after three halvings
        self.label_map = LabelMap(num_classes, image_shape)
        self.layers = nn.Sequential(
            nn.Conv2d(2 * image_shape.channels, width, 4, stride=2, padding=1, bias=False),
            nn.LeakyReLU(LEAKY_SLOPE, inplace=True),
            nn.Conv2d(width, 2 * width, 4, stride=2, padding=1, bias=False),
            norm(2 * width),
            nn.LeakyReLU(LEAKY_SLOPE, inplace=True),
            nn.Conv2d(2 * width, 4 * width, 4, stride=2, padding=1, bias=False),
            norm(4 * width),
            nn.LeakyReLU(LEAKY_SLOPE, inplace=True),
            nn.Flatten(),
            nn.Dropout(DROPOUT),
            nn.Linear(4 * width * positions, 1),
        )
        initialize_normal(self)

    def forward(self, images: Tensor, labels: Tensor) -> Judgement:
        """Judge images (N, C, H, W) in [-1, 1] with labels (N,): logits (N,)."""
        return Judgement(self.layers(torch.cat([images, self.label_map(labels)], dim=1)).flatten())
