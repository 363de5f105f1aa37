"""Convolutional networks with 5x5 kernels, for square images whose size is a multiple of 4, such as 28x28."""

from __future__ import annotations

from torch import Tensor, nn

from gan_pipelines.core.config import require
from gan_pipelines.gan.config import NetworkConfig
from gan_pipelines.gan.networks.interface import ImageShape, Judgement
from gan_pipelines.gan.networks.layers import LEAKY_SLOPE, NORMS

DROPOUT = 0.3


class Dcgan5x5Generator(nn.Module):
    """A linear layer, two transposed 5x5 convolutions with stride 2, and a 5x5 convolution.

    The feature maps start at a quarter of the image size. Batch norm and ReLU follow each hidden layer; the output is a
    tanh.

    Raises:
        ConfigError: if the image size is not supported.
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
    """Two 5x5 convolutions with stride 2, each with a norm and leaky ReLU, then dropout and a linear layer.

    Raises:
        ConfigError: if the image size is not supported.
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
        """Judge images (N, C, H, W) in [-1, 1]: logits (N,)."""
        return Judgement(self.layers(images).flatten())


def _quarter(image_shape: ImageShape) -> int:
    height, width = image_shape.height, image_shape.width
    fits = height == width and height % 4 == 0
    require(fits, "image_size", f"{height}x{width}", "a multiple of 4, as 28x28, for the dcgan_5x5 networks")
    return height // 4
