"""Families of networks: pairs of generator and discriminator, by name."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Final, NamedTuple

import torch
from torch import Tensor, nn

from gan_pipelines.core.config import require
from gan_pipelines.gan.config import NetworkConfig, NetworkFamilyName
from gan_pipelines.gan.networks.cdcgan import CdcganDiscriminator, CdcganGenerator
from gan_pipelines.gan.networks.dcgan import DcganDiscriminator, DcganGenerator
from gan_pipelines.gan.networks.dcgan_5x5 import Dcgan5x5Discriminator, Dcgan5x5Generator
from gan_pipelines.gan.networks.interface import ImageShape as ImageShape
from gan_pipelines.gan.networks.interface import Judgement as Judgement
from gan_pipelines.gan.networks.layers import apply_spectral_norm
from gan_pipelines.gan.networks.layers import plain_state as plain_state
from gan_pipelines.gan.networks.mlp import MlpDiscriminator, MlpGenerator
from gan_pipelines.gan.networks.r3gan import R3ganDiscriminator, R3ganGenerator
from gan_pipelines.gan.networks.resnet import ResnetDiscriminator, ResnetGenerator


class NetworkFamily(NamedTuple):
    """A generator and its discriminator.

    The generator maps latents (N, latent_size) and labels (N,) or None to images (N, C, H, W) in [-1, 1]. The
    discriminator maps such images and labels to a `Judgement`. Unconditional networks ignore the labels. Both are built
    from a `NetworkConfig`, an `ImageShape` and, if conditional, the number of classes.
    """

    generator: Callable[..., nn.Module]
    discriminator: Callable[..., nn.Module]
    conditional: bool = False
    has_attention: bool = False


FAMILIES: Final[dict[NetworkFamilyName, NetworkFamily]] = {
    "mlp": NetworkFamily(MlpGenerator, MlpDiscriminator),
    "dcgan": NetworkFamily(DcganGenerator, DcganDiscriminator, has_attention=True),
    "dcgan_5x5": NetworkFamily(Dcgan5x5Generator, Dcgan5x5Discriminator),
    "cdcgan": NetworkFamily(CdcganGenerator, CdcganDiscriminator, conditional=True),
    "acgan": NetworkFamily(DcganGenerator, DcganDiscriminator, conditional=True, has_attention=True),
    "resnet": NetworkFamily(ResnetGenerator, ResnetDiscriminator),
    "resnet_projection": NetworkFamily(ResnetGenerator, ResnetDiscriminator, conditional=True),
    "r3gan": NetworkFamily(R3ganGenerator, R3ganDiscriminator),
    "r3gan_projection": NetworkFamily(R3ganGenerator, R3ganDiscriminator, conditional=True),
}


def build_generator(config: NetworkConfig, image_shape: ImageShape, num_classes: int) -> nn.Module:
    """Build a generator. Its weights are drawn from PyTorch's global random generator.

    Args:
        config: the networks.
        image_shape: channels, height and width.
        num_classes: number of classes; 0 without labels.

    Raises:
        ConfigError: if the networks do not support the image shape, or need two classes or more and there are fewer.
    """
    generator = _build(FAMILIES[config.family].generator, config, image_shape, num_classes)
    if config.spectral_norm == "both":
        apply_spectral_norm(generator)
    return generator


def build_discriminator(config: NetworkConfig, image_shape: ImageShape, num_classes: int) -> nn.Module:
    """Build a discriminator; arguments and errors are those of `build_generator`."""
    discriminator = _build(FAMILIES[config.family].discriminator, config, image_shape, num_classes)
    if config.spectral_norm != "none":
        apply_spectral_norm(discriminator)
    return discriminator


def load_generator(
    config: NetworkConfig, image_shape: ImageShape, num_classes: int, state: Mapping[str, Tensor]
) -> nn.Module:
    """Build a generator with given weights, in evaluation mode. No random numbers are drawn.

    Args:
        config: the networks.
        image_shape: channels, height and width.
        num_classes: number of classes; 0 without labels.
        state: weights as `plain_state` returns them.

    Raises:
        ConfigError: as `build_generator` does.
    """
    with torch.device("meta"):
        network = build_generator(replace(config, spectral_norm="none"), image_shape, num_classes)
    network.load_state_dict({name: tensor.clone() for name, tensor in state.items()}, assign=True)
    return network.eval()


def _build(
    network: Callable[..., nn.Module], config: NetworkConfig, image_shape: ImageShape, num_classes: int
) -> nn.Module:
    family = FAMILIES[config.family]
    having = [name for name, other in FAMILIES.items() if other.has_attention]
    may = family.has_attention or not config.attention
    require(may, "attention", config.attention, f"false: only {' and '.join(having)} networks have it")
    if not family.conditional:
        return network(config, image_shape)
    require(num_classes >= 2, "number of classes", num_classes, f"2 or more for the {config.family} networks")
    return network(config, image_shape, num_classes)
