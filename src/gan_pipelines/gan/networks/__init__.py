"""Pairs of generator and discriminator, by name."""

from __future__ import annotations

from typing import Final, NamedTuple, Protocol

from torch import nn

from gan_pipelines.gan.config import NetworkConfig, NetworkFamilyName
from gan_pipelines.gan.networks.dcgan import DcganDiscriminator, DcganGenerator


class ImageShape(NamedTuple):
    """Channels, height and width of an image."""

    channels: int
    height: int
    width: int


class NetworkBuilder(Protocol):
    """Builds one network for images of a shape and a number of classes (0: no labels)."""

    def __call__(self, config: NetworkConfig, image_shape: ImageShape, num_classes: int) -> nn.Module:
        """Build the network, with its weights drawn from PyTorch's random state."""


class NetworkFamily(NamedTuple):
    """A generator and the discriminator that it plays against.

    The generator maps latents (N, latent_size) and labels (N,) or None to images (N, C, H, W) in [-1, 1]; the
    discriminator maps such images and labels to logits (N,). A network without conditioning ignores the labels.
    """

    generator: NetworkBuilder
    discriminator: NetworkBuilder


FAMILIES: Final[dict[NetworkFamilyName, NetworkFamily]] = {
    "dcgan": NetworkFamily(DcganGenerator.build, DcganDiscriminator.build),
}
