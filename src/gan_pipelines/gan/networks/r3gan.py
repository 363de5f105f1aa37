"""The networks of R3GAN (Huang et al. 2024), for square images, 16x16, 32x32 and so on.

Stages of two residual blocks without normalisation, one stage for each size from 4x4 to the image. ``width`` is the
number of channels at the size of the image; each halving doubles them down to 32x32, and smaller stages keep them. With
``width`` 768 at 32x32, 384 at 64x64 and 96 at 256x256, these are the widths of the paper's networks for CIFAR-10 and
FFHQ.
"""

from __future__ import annotations

import math
from itertools import pairwise
from typing import Final

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from gan_pipelines.gan.config import NetworkConfig
from gan_pipelines.gan.networks.interface import ImageShape, Judgement
from gan_pipelines.gan.networks.layers import (
    HALVINGS_OF_32,
    LEAKY_SLOPE,
    ClassProjection,
    count_halvings,
    require_no_norm,
)

BLOCKS_PER_STAGE: Final = 2
EXPANSION: Final = 2
"""Channels of the grouped convolution of a block, in units of the block's."""
GROUP_SIZE: Final = 16
"""Channels of each group."""


class R3ganGenerator(nn.Module):
    """A learned 4x4 map scaled by the latent, stages with bilinear doubling between them, and a 1x1 convolution.

    With classes, an embedding of the label is appended to the latent. Unlike in the paper, the output is a tanh,
    since images lie in [-1, 1].

    Raises:
        ConfigError: if the image size is not supported.
    """

    def __init__(self, config: NetworkConfig, image_shape: ImageShape, num_classes: int = 0) -> None:
        super().__init__()
        widths = _stage_widths(config, image_shape)[::-1]
        num_blocks = BLOCKS_PER_STAGE * len(widths)
        self.embedding = nn.Embedding(num_classes, config.latent_size) if num_classes else None
        inputs = config.latent_size * (1 if self.embedding is None else 2)
        layers = [LatentBasis(inputs, widths[0]), *_stage(widths[0], num_blocks)]
        for width_before, width in pairwise(widths):
            layers += [_change_width(width_before, width), Double(), *_stage(width, num_blocks)]
        self.layers = nn.Sequential(*layers, _convolution(widths[-1], image_shape.channels), nn.Tanh())
        if self.embedding is not None:
            nn.init.normal_(self.embedding.weight, std=1 / math.sqrt(num_classes))

    def forward(self, latent: Tensor, labels: Tensor | None = None) -> Tensor:
        """Map latents (N, latent_size), and with classes labels (N,), to images (N, C, H, W) in [-1, 1]."""
        if self.embedding is not None:
            latent = torch.cat([latent, self.embedding(labels)], dim=1)
        return self.layers(latent)


class R3ganDiscriminator(nn.Module):
    """A 1x1 convolution, stages with bilinear halving between them, a 4x4 depthwise convolution and a linear layer.

    With classes, the logit is the inner product of the outputs, as many as channels, with the embedding of the label.

    Raises:
        ConfigError: if the image size is not supported, or ``discriminator_norm`` is not ``none``.
    """

    def __init__(self, config: NetworkConfig, image_shape: ImageShape, num_classes: int = 0) -> None:
        super().__init__()
        require_no_norm(config)
        widths = _stage_widths(config, image_shape)
        last = widths[-1]
        num_blocks = BLOCKS_PER_STAGE * len(widths)
        layers = [_convolution(image_shape.channels, widths[0]), *_stage(widths[0], num_blocks)]
        for width_before, width in pairwise(widths):
            layers += [Halve(), _change_width(width_before, width), *_stage(width, num_blocks)]
        self.layers = nn.Sequential(*layers, _convolution(last, last, 4, groups=last), nn.Flatten())
        self.head = nn.Linear(last, last if num_classes else 1, bias=False)
        self.projection = ClassProjection(last, num_classes) if num_classes else None
        _initialize(self.head)
        if self.projection is not None:
            nn.init.normal_(self.projection.embedding.weight, std=1 / math.sqrt(last * num_classes))

    def forward(self, images: Tensor, labels: Tensor | None = None) -> Judgement:
        """Judge images (N, C, H, W) in [-1, 1], and with classes their labels (N,): logits (N,)."""
        outputs = self.head(self.layers(images))
        return Judgement(outputs.flatten() if self.projection is None else self.projection(outputs, labels))


class LatentBasis(nn.Module):
    """A learned 4x4 map, each channel of which is multiplied by a linear function of the latent."""

    def __init__(self, latent_size: int, width: int) -> None:
        super().__init__()
        self.basis = nn.Parameter(torch.randn(1, width, 4, 4))
        self.scales = nn.Linear(latent_size, width, bias=False)
        _initialize(self.scales)

    def forward(self, latent: Tensor) -> Tensor:
        """Map latents (N, latent_size) to (N, width, 4, 4)."""
        return self.basis * self.scales(latent)[:, :, None, None]


class ResidualBlock(nn.Module):
    """Adds a 1x1 convolution to twice the channels, a 3x3 one in groups, and a 1x1 one back; leaky ReLU between them.

    As by Zhang et al. 2019 ("Fixup Initialization", section 3), the last convolution begins with zeros, and the weights
    of the other two are scaled by ``num_blocks^(-1/4)``, where ``num_blocks`` counts those of the network.
    """

    def __init__(self, width: int, num_blocks: int) -> None:
        super().__init__()
        inner = EXPANSION * width
        expand = nn.Conv2d(width, inner, 1)
        mix = nn.Conv2d(inner, inner, 3, padding=1, groups=inner // math.gcd(inner, GROUP_SIZE))
        project = nn.Conv2d(inner, width, 1, bias=False)
        self.layers = nn.Sequential(
            expand, nn.LeakyReLU(LEAKY_SLOPE, inplace=True), mix, nn.LeakyReLU(LEAKY_SLOPE, inplace=True), project
        )
        gain = nn.init.calculate_gain("leaky_relu", LEAKY_SLOPE)
        for layer in (expand, mix):
            _initialize(layer, gain * num_blocks**-0.25)
        nn.init.zeros_(project.weight)

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, width, H, W) to the same shape."""
        return x + self.layers(x)


class Double(nn.Module):
    """Doubles height and width by bilinear interpolation, with zeros around the edges.

    It is a fixed convolution, because the gradient of `torch.nn.functional.interpolate` is not deterministic on CUDA.
    """

    kernel: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("kernel", 4 * _bilinear_kernel())

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, width, H, W) to (N, width, 2 H, 2 W)."""
        width = x.shape[1]
        return F.conv_transpose2d(x, self.kernel.expand(width, 1, 4, 4), stride=2, padding=1, groups=width)


class Halve(nn.Module):
    """Halves height and width by bilinear interpolation with antialiasing, as `Double` doubles them."""

    kernel: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("kernel", _bilinear_kernel())

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, width, H, W) to (N, width, H / 2, W / 2)."""
        width = x.shape[1]
        return F.conv2d(x, self.kernel.expand(width, 1, 4, 4), stride=2, padding=1, groups=width)


def _stage_widths(config: NetworkConfig, image_shape: ImageShape) -> list[int]:
    """Channels of each stage, from the image down to 4x4."""
    halvings = count_halvings(image_shape, 16, config.family)
    doublings = max(0, halvings - HALVINGS_OF_32)
    return [config.width * 2 ** min(level, doublings) for level in range(halvings + 1)]


def _stage(width: int, num_blocks: int) -> list[nn.Module]:
    return [ResidualBlock(width, num_blocks) for _ in range(BLOCKS_PER_STAGE)]


def _change_width(width_before: int, width: int) -> nn.Module:
    return nn.Identity() if width_before == width else _convolution(width_before, width)


def _convolution(width_before: int, width: int, size: int = 1, groups: int = 1) -> nn.Conv2d:
    """A convolution without a bias that keeps the variance."""
    layer = nn.Conv2d(width_before, width, size, groups=groups, bias=False)
    _initialize(layer)
    return layer


def _initialize(layer: nn.Conv2d | nn.Linear, gain: float = 1.0) -> None:
    """Draw weights from a normal distribution with variance ``gain^2 / inputs``; biases are 0 (He et al. 2015)."""
    nn.init.normal_(layer.weight, std=gain / math.sqrt(layer.weight[0].numel()))
    if layer.bias is not None:
        nn.init.zeros_(layer.bias)


def _bilinear_kernel() -> Tensor:
    """(1, 1, 4, 4) with the sum 1: the weights of bilinear interpolation by a factor of 2."""
    weights = torch.tensor([1.0, 3.0, 3.0, 1.0]) / 8
    return torch.outer(weights, weights)[None, None]
