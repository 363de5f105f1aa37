"""The residual networks of SNGAN (Miyato et al. 2018), for square images, 16x16, 32x32 and so on.

With classes they are those of the projection discriminator (Miyato & Koyama 2018).

All channels follow from ``width``, those of the discriminator's first block:

- Up to 32x32 as in table 4 of Miyato et al., where ``width`` is 128: the four blocks of the discriminator have
  ``width`` channels, those of the generator ``2 * width``. In Gulrajani et al. 2017 both have 128.
- Above as in table 6, for 128x128, where ``width`` is 64: the channels double with each halving of the image down to
  4x4, and a last block keeps them. The generator has the same channels in reverse order. The papers print no networks
  for 64x64.

Weights are drawn as in the authors' code: uniformly as by Glorot & Bengio 2010, in the 3x3 convolutions of blocks times
sqrt(2).
"""

from __future__ import annotations

import math
from itertools import pairwise

import torch.nn.functional as F
from torch import Tensor, nn

from gan_pipelines.gan.config import NetworkConfig
from gan_pipelines.gan.networks.interface import ImageShape, Judgement
from gan_pipelines.gan.networks.layers import HALVINGS_OF_32, ClassProjection, count_halvings, require_no_norm


class ResnetGenerator(nn.Module):
    """A linear layer to 4x4, a residual block for each doubling, then batch norm, ReLU, a 3x3 convolution and a tanh.

    With classes, the batch norm of each block is class-conditional.

    Raises:
        ConfigError: if the image size is not supported.
    """

    def __init__(self, config: NetworkConfig, image_shape: ImageShape, num_classes: int = 0) -> None:
        super().__init__()
        widths = _generator_widths(config, image_shape)
        latent_map = nn.Linear(config.latent_size, widths[0] * 16)
        to_image = nn.Conv2d(widths[-1], image_shape.channels, 3, padding=1)
        self.latent_map = nn.Sequential(latent_map, nn.Unflatten(1, (widths[0], 4, 4)))
        self.blocks = nn.ModuleList(GeneratorBlock(*pair, num_classes) for pair in pairwise(widths))
        self.to_image = nn.Sequential(nn.BatchNorm2d(widths[-1]), nn.ReLU(inplace=True), to_image, nn.Tanh())
        _initialize(latent_map, to_image)

    def forward(self, latent: Tensor, labels: Tensor | None = None) -> Tensor:
        """Map latents (N, latent_size), and with classes labels (N,), to images (N, C, H, W) in [-1, 1]."""
        features = self.latent_map(latent)
        for block in self.blocks:
            features = block(features, labels)
        return self.to_image(features)


class ResnetDiscriminator(nn.Module):
    """Residual blocks, ReLU, the sum over all positions, and a linear layer; one logit.

    With classes, the inner product of the summed features with the embedding of the label is added to the logit.

    Raises:
        ConfigError: if the image size is not supported, or ``discriminator_norm`` is not ``none``.
    """

    def __init__(self, config: NetworkConfig, image_shape: ImageShape, num_classes: int = 0) -> None:
        super().__init__()
        require_no_norm(config)
        blocks: list[nn.Module] = []
        width_before = image_shape.channels
        for width, halves in _discriminator_blocks(config, image_shape):
            blocks.append(DiscriminatorBlock(width_before, width, halves=halves, takes_image=not blocks))
            width_before = width
        self.blocks = nn.Sequential(*blocks)
        self.head = nn.Linear(width_before, 1)
        self.projection = ClassProjection(width_before, num_classes) if num_classes else None
        _initialize(self.head)
        if self.projection is not None:
            _initialize(self.projection.embedding)

    def forward(self, images: Tensor, labels: Tensor | None = None) -> Judgement:
        """Judge images (N, C, H, W) in [-1, 1], and with classes their labels (N,): logits (N,)."""
        features = F.relu(self.blocks(images)).sum(dim=(2, 3))
        logits = self.head(features).flatten()
        if self.projection is not None:
            logits = logits + self.projection(features, labels)
        return Judgement(logits)


class GeneratorBlock(nn.Module):
    """A residual block that doubles the image: two times batch norm, ReLU and a 3x3 convolution, beside a 1x1 one."""

    def __init__(self, width_before: int, width: int, num_classes: int) -> None:
        super().__init__()
        self.first_norm = ClassBatchNorm(width_before, num_classes)
        self.first = nn.Conv2d(width_before, width, 3, padding=1)
        self.second_norm = ClassBatchNorm(width, num_classes)
        self.second = nn.Conv2d(width, width, 3, padding=1)
        self.shortcut = nn.Conv2d(width_before, width, 1)
        _initialize(self.first, self.second, gain=math.sqrt(2))
        _initialize(self.shortcut)

    def forward(self, x: Tensor, labels: Tensor | None) -> Tensor:
        """Map (N, width_before, H, W), and with classes labels (N,), to (N, width, 2 H, 2 W)."""
        residual = self.first(_double(F.relu(self.first_norm(x, labels))))
        residual = self.second(F.relu(self.second_norm(residual, labels)))
        return residual + _double(self.shortcut(x))  # a 1x1 convolution of fewer pixels, with the same result


class DiscriminatorBlock(nn.Module):
    """A residual block: two times ReLU and a 3x3 convolution, beside a 1x1 one, then the mean of each 2x2 pixels.

    A block that takes the image has no ReLU in front. One that keeps the size has neither the mean nor the 1x1
    convolution.
    """

    def __init__(self, width_before: int, width: int, *, halves: bool, takes_image: bool) -> None:
        super().__init__()
        width_between = width if takes_image else width_before
        self.halves = halves
        self.takes_image = takes_image
        self.first = nn.Conv2d(width_before, width_between, 3, padding=1)
        self.second = nn.Conv2d(width_between, width, 3, padding=1)
        self.shortcut = nn.Conv2d(width_before, width, 1) if halves else None
        _initialize(self.first, self.second, gain=math.sqrt(2))
        if self.shortcut is not None:
            _initialize(self.shortcut)

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, width_before, H, W) to (N, width, H, W), or to (N, width, H / 2, W / 2)."""
        residual = self.second(F.relu(self.first(x if self.takes_image else F.relu(x))))
        if self.shortcut is None:
            return x + residual
        return F.avg_pool2d(residual, 2) + self.shortcut(F.avg_pool2d(x, 2))


class ClassBatchNorm(nn.Module):
    """Batch norm with a scale and a shift for each class (Dumoulin et al. 2017); without classes, with one of each."""

    def __init__(self, width: int, num_classes: int) -> None:
        super().__init__()
        self.norm = nn.BatchNorm2d(width, affine=num_classes == 0)
        self.affine = nn.Embedding(num_classes, 2 * width) if num_classes else None
        if self.affine is not None:
            nn.init.ones_(self.affine.weight[:, :width])
            nn.init.zeros_(self.affine.weight[:, width:])

    def forward(self, x: Tensor, labels: Tensor | None) -> Tensor:
        """Map (N, width, H, W), and with classes labels (N,), to the same shape."""
        normalized: Tensor = self.norm(x)
        if self.affine is None:
            return normalized
        scale, shift = self.affine(labels).to(normalized.dtype)[:, :, None, None].chunk(2, dim=1)
        return scale * normalized + shift


def _generator_widths(config: NetworkConfig, image_shape: ImageShape) -> list[int]:
    """Channels at 4x4 and after each block."""
    halvings = count_halvings(image_shape, 16, config.family)
    if halvings <= HALVINGS_OF_32:
        return [2 * config.width] * (halvings + 1)
    return [width for width, _ in reversed(_discriminator_blocks(config, image_shape))]


def _discriminator_blocks(config: NetworkConfig, image_shape: ImageShape) -> list[tuple[int, bool]]:
    """Channels of each block, and whether it halves the image."""
    halvings = count_halvings(image_shape, 16, config.family)
    if halvings <= HALVINGS_OF_32:
        return [(config.width, halves) for halves in (True, True, False, False)]
    widths = [config.width * 2**level for level in range(halvings)]
    return [*((width, True) for width in widths), (widths[-1], False)]


def _double(x: Tensor) -> Tensor:
    return F.interpolate(x, scale_factor=2.0)  # by default the nearest pixel, whose gradient is deterministic on CUDA


def _initialize(*layers: nn.Conv2d | nn.Linear, gain: float = 1.0) -> None:
    for layer in layers:
        nn.init.xavier_uniform_(layer.weight, gain)
        if layer.bias is not None:
            nn.init.zeros_(layer.bias)
