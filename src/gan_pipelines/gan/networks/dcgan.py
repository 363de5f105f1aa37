"""The convolutional networks of DCGAN (Radford et al. 2016), for square images, 8x8, 16x16, 32x32 and so on.

With classes they are those of ACGAN (Odena et al. 2017), with attention those of SAGAN (Zhang et al. 2019).
"""

from __future__ import annotations

from itertools import pairwise

from torch import Tensor, nn

from gan_pipelines.gan.config import NetworkConfig
from gan_pipelines.gan.networks.interface import ImageShape, Judgement
from gan_pipelines.gan.networks.layers import LEAKY_SLOPE, NORMS, SelfAttention, count_halvings, initialize_normal


class DcganGenerator(nn.Module):
    """Transposed 4x4 convolutions with stride 2, from 4x4 up to the image, with batch norm, ReLU and a final tanh.

    With classes, the latent is multiplied by an embedding of the label. With attention, self-attention follows each of
    the last two hidden layers.

    Raises:
        ConfigError: if the image size is not supported.
    """

    def __init__(self, config: NetworkConfig, image_shape: ImageShape, num_classes: int = 0) -> None:
        super().__init__()
        self.embedding = nn.Embedding(num_classes, config.latent_size) if num_classes else None
        widths = _layer_widths(config, image_shape)[::-1]
        layers: list[nn.Module] = [nn.ConvTranspose2d(config.latent_size, widths[0], 4, bias=False)]
        for width, narrower in pairwise([*widths, image_shape.channels]):
            layers += [nn.BatchNorm2d(width), nn.ReLU(inplace=True)]
            if config.attention and width in widths[-2:]:
                layers.append(SelfAttention(width))
            layers.append(nn.ConvTranspose2d(width, narrower, 4, stride=2, padding=1, bias=False))
        self.layers = nn.Sequential(*layers, nn.Tanh())
        initialize_normal(self)

    def forward(self, latent: Tensor, labels: Tensor | None = None) -> Tensor:
        """Map latents (N, latent_size), and with classes labels (N,), to images (N, C, H, W) in [-1, 1]."""
        if self.embedding is not None:
            latent = latent * self.embedding(labels)
        return self.layers(latent[:, :, None, None])


class DcganDiscriminator(nn.Module):
    """4x4 convolutions with stride 2 down to 4x4, with a norm and leaky ReLU; one logit.

    With classes, a second head returns class logits. With attention, self-attention follows each of the last two hidden
    layers.

    Raises:
        ConfigError: if the image size is not supported.
    """

    def __init__(self, config: NetworkConfig, image_shape: ImageShape, num_classes: int = 0) -> None:
        super().__init__()
        widths = _layer_widths(config, image_shape)
        layers: list[nn.Module] = []
        for before, width in pairwise([image_shape.channels, *widths]):
            layers.append(nn.Conv2d(before, width, 4, stride=2, padding=1, bias=False))
            if width != widths[0]:
                layers.append(NORMS[config.discriminator_norm](width))
            layers.append(nn.LeakyReLU(LEAKY_SLOPE, inplace=True))
            if config.attention and width in widths[-2:]:
                layers.append(SelfAttention(width))
        self.layers = nn.Sequential(*layers)
        self.head = nn.Conv2d(widths[-1], 1, 4, bias=False)
        self.class_head = nn.Conv2d(widths[-1], num_classes, 4, bias=False) if num_classes else None
        initialize_normal(self)

    def forward(self, images: Tensor, labels: Tensor | None = None) -> Judgement:
        """Judge images (N, C, H, W) in [-1, 1]: logits (N,) and, with classes, class logits (N, classes)."""
        features = self.layers(images)
        class_logits = None if self.class_head is None else self.class_head(features).flatten(1)
        return Judgement(self.head(features).flatten(), class_logits)


def _layer_widths(config: NetworkConfig, image_shape: ImageShape) -> list[int]:
    """Channels of each layer, from the image down to 4x4: ``width``, ``2 * width``, ``4 * width`` and so on."""
    return [config.width * 2**level for level in range(count_halvings(image_shape, 8, config.family))]
