"""Convolutional networks with 5x5 kernels around a linear layer, for square images whose size 4 divides, say 28."""

from __future__ import annotations

from torch import Tensor, nn

from gan_pipelines.core.config import require
from gan_pipelines.gan.config import NetworkConfig
from gan_pipelines.gan.networks.interface import ImageShape, Judgement
from gan_pipelines.gan.networks.layers import LEAKY_SLOPE, NORMS

DROPOUT = 0.3


class Dcgan5x5Generator(nn.Module):
    """A linear layer onto a quarter of the size, 5x5 convolutions that double it twice, batch norm and ReLU, tanh.

    Raises:
        ConfigError: if the images do not fit.
    """

    def __init__(self, config: NetworkConfig, image_shape: ImageShape) -> None:
        super().__init__()
        size, width = _quarter(image_shape), config.width
        features = 4 * width * size**2
        self.layers = nn.Sequential(
            nn.Linear(config.latent_size, features),
            nn.BatchNorm1d(features),
            nn.ReLU(inplace=True),
            nn.Unflatten(1, (4 * width, size, size)),
            nn.ConvTranspose2d(4 * width, 2 * width, 5, stride=2, padding=2, output_padding=1),
            nn.BatchNorm2d(2 * width),
            nn.ReLU(inplace=True),
            nn.ConvTranspose2d(2 * width, width, 5, stride=2, padding=2, output_padding=1),
            nn.BatchNorm2d(width),
            nn.ReLU(inplace=True),
            nn.Conv2d(width, image_shape.channels, 5, padding=2),
            nn.Tanh(),
        )

    def forward(self, latent: Tensor, labels: Tensor | None = None) -> Tensor:
        """Map latents (N, latent_size) to images (N, C, H, W) in [-1, 1]."""
        return self.layers(latent)


class Dcgan5x5Discriminator(nn.Module):
    """5x5 convolutions that halve the image twice, a norm and leaky ReLU, dropout, a linear layer onto one logit.

    Raises:
        ConfigError: if the images do not fit.
    """

    def __init__(self, config: NetworkConfig, image_shape: ImageShape) -> None:
        super().__init__()
        size, width, norm = _quarter(image_shape), config.width, NORMS[config.discriminator_norm]
        self.layers = nn.Sequential(
            nn.Conv2d(image_shape.channels, width, 5, stride=2, padding=2),
            norm(width),
            nn.LeakyReLU(LEAKY_SLOPE, inplace=True),
            nn.Conv2d(width, 2 * width, 5, stride=2, padding=2),
            norm(2 * width),
            nn.LeakyReLU(LEAKY_SLOPE, inplace=True),
            nn.Flatten(),
            nn.Dropout(DROPOUT),
            nn.Linear(2 * width * size**2, 1),
        )

    def forward(self, images: Tensor, labels: Tensor | None = None) -> Judgement:
        """Judge images (N, C, H, W) in [-1, 1]."""
        return Judgement(self.layers(images).flatten())


def _quarter(image_shape: ImageShape) -> int:
    height, width = image_shape.height, image_shape.width
    fits = height == width and height % 4 == 0
    require(fits, "image_size", f"{height}x{width}", "a multiple of 4, as 28x28, for the dcgan_5x5 networks")
    return height // 4
