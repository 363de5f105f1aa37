"""The convolutional networks of DCGAN (Radford et al. 2016), for square images of 4 * 2^n pixels."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from typing import TYPE_CHECKING, Final

from torch import Tensor, nn

from gan_pipelines.gan.config import NetworkConfig, NormName
from gan_pipelines.typed_config import require

if TYPE_CHECKING:
    from gan_pipelines.gan.networks import ImageShape

NORMS: Final[dict[NormName, Callable[[int], nn.Module]]] = {
    "batch": nn.BatchNorm2d,
    "instance": lambda channels: nn.InstanceNorm2d(channels, affine=True),
    "none": lambda channels: nn.Identity(),
}


class DcganGenerator(nn.Module):
    """Transposed 4x4 convolutions that double the image from 4x4 up, batch norm and ReLU between, tanh at the end."""

    def __init__(self, latent_size: int, width: int, image_size: int, channels: int) -> None:
        super().__init__()
        widths = layer_widths(width, image_size)[::-1]
        layers: list[nn.Module] = [
            nn.ConvTranspose2d(latent_size, widths[0], 4, stride=1, padding=0, bias=False),
            nn.BatchNorm2d(widths[0]),
            nn.ReLU(inplace=True),
        ]
        for wide, narrow in pairwise(widths):
            layers += [
                nn.ConvTranspose2d(wide, narrow, 4, stride=2, padding=1, bias=False),
                nn.BatchNorm2d(narrow),
                nn.ReLU(inplace=True),
            ]
        layers += [nn.ConvTranspose2d(widths[-1], channels, 4, stride=2, padding=1, bias=False), nn.Tanh()]
        self.layers = nn.Sequential(*layers)
        initialize_normal(self)

    @classmethod
    def build(cls, config: NetworkConfig, image_shape: ImageShape, num_classes: int) -> DcganGenerator:
        """Build from a configuration; the classes are not used. Raises `ConfigError` if the images do not fit."""
        return cls(config.latent_size, config.width, _image_size(image_shape), image_shape.channels)

    def forward(self, latent: Tensor, labels: Tensor | None = None) -> Tensor:
        """Map latents (N, latent_size) to images (N, C, H, W) in [-1, 1]."""
        return self.layers(latent[:, :, None, None])


class DcganDiscriminator(nn.Module):
    """4x4 convolutions that halve the image down to 4x4, leaky ReLU and a norm between, one logit at the end."""

    def __init__(self, width: int, image_size: int, channels: int, norm: NormName) -> None:
        super().__init__()
        widths = layer_widths(width, image_size)
        layers: list[nn.Module] = [
            nn.Conv2d(channels, widths[0], 4, stride=2, padding=1, bias=False),
            nn.LeakyReLU(0.2, inplace=True),
        ]
        for narrow, wide in pairwise(widths):
            layers += [
                nn.Conv2d(narrow, wide, 4, stride=2, padding=1, bias=False),
                NORMS[norm](wide),
                nn.LeakyReLU(0.2, inplace=True),
            ]
        layers.append(nn.Conv2d(widths[-1], 1, 4, stride=1, padding=0, bias=False))
        self.layers = nn.Sequential(*layers)
        initialize_normal(self)

    @classmethod
    def build(cls, config: NetworkConfig, image_shape: ImageShape, num_classes: int) -> DcganDiscriminator:
        """Build from a configuration; the classes are not used. Raises `ConfigError` if the images do not fit."""
        return cls(config.width, _image_size(image_shape), image_shape.channels, config.critic_norm)

    def forward(self, images: Tensor, labels: Tensor | None = None) -> Tensor:
        """Map images (N, C, H, W) in [-1, 1] to logits (N,)."""
        return self.layers(images).flatten()


def layer_widths(width: int, image_size: int) -> list[int]:
    """Channels of each layer from the image inwards: ``width`` at half the image's size, twice that at a quarter..."""
    halvings = (image_size // 4).bit_length() - 1
    return [width * 2**level for level in range(halvings)]


def initialize_normal(network: nn.Module) -> None:
    """Draw the weights as DCGAN does: convolutions N(0, 0.02), scales of norms N(1, 0.02), biases 0."""
    for module in network.modules():
        if isinstance(module, nn.Conv2d | nn.ConvTranspose2d):
            nn.init.normal_(module.weight, 0.0, 0.02)
        elif isinstance(module, nn.BatchNorm2d | nn.InstanceNorm2d):
            nn.init.normal_(module.weight, 1.0, 0.02)
            nn.init.zeros_(module.bias)


def _image_size(image_shape: ImageShape) -> int:
    height, width = image_shape.height, image_shape.width
    fits = height == width and height >= 8 and height % 4 == 0 and (height // 4).bit_count() == 1
    require(fits, "image size", f"{height}x{width}", "8x8, 16x16, 32x32, 64x64, ... for the dcgan networks")
    return height
