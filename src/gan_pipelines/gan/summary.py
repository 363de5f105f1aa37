"""Layers and parameter counts of the networks."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import NamedTuple

import torch
from torch import Tensor, nn

from gan_pipelines.gan.config import GanConfig
from gan_pipelines.gan.networks import ImageShape, build_discriminator, build_generator
from gan_pipelines.gan.sampling import classes_in_turn


class LayerSummary(NamedTuple):
    """One layer of a network. The layer ``total`` has the number of parameters of the whole network."""

    network: str
    layer: str
    type: str
    output_shape: str
    parameters: int


def summarize_networks(config: GanConfig, image_shape: ImageShape, num_classes: int) -> list[LayerSummary]:
    """List the layers of generator and discriminator in the order of the forward pass.

    Args:
        config: the variant.
        image_shape: channels, height and width.
        num_classes: number of classes; 0 without labels.

    Raises:
        ConfigError: if the networks do not support the image shape or the number of classes.
    """
    networks = replace(config.networks, spectral_norm="none")  # it has no parameters and wraps the layers
    with torch.device("meta"):  # shapes only: no weights are drawn and nothing is computed
        generator = build_generator(networks, image_shape, num_classes)
        discriminator = build_discriminator(networks, image_shape, num_classes)
        labels = classes_in_turn(2, num_classes)
        return [
            *_summarize("generator", generator, torch.zeros(2, config.networks.latent_size), labels),
            *_summarize("discriminator", discriminator, torch.zeros(2, *image_shape), labels),
        ]


def checkpoint_bytes(layers: Iterable[LayerSummary]) -> int:
    """Estimate the size of a checkpoint in bytes.

    A checkpoint has three fp32 copies of the discriminator (weights and Adam's two moments) and six of the generator
    (the same, its EMA, and weights and EMA of the best epoch).

    Args:
        layers: as `summarize_networks` returns them.
    """
    copies = {"generator": 6, "discriminator": 3}
    return sum(4 * copies[row.network] * row.parameters for row in layers if row.layer == "total")


def generator_bytes(layers: Iterable[LayerSummary]) -> int:
    """Estimate the size of a generator's file in bytes: its weights and their EMA in fp32.

    Args:
        layers: as `summarize_networks` returns them.
    """
    return sum(2 * 4 * row.parameters for row in layers if (row.network, row.layer) == ("generator", "total"))


def _summarize(name: str, network: nn.Module, inputs: Tensor, labels: Tensor | None) -> list[LayerSummary]:
    rows: list[LayerSummary] = []

    def record(layer: str, module: nn.Module, output: Tensor) -> None:
        shape = " x ".join(map(str, output.shape[1:])) or "1"
        rows.append(LayerSummary(name, layer, type(module).__name__, shape, _count(module.parameters(recurse=False))))

    for layer, module in network.named_modules():
        if not list(module.children()) or list(module.parameters(recurse=False)):
            module.register_forward_hook(lambda module, _, output, layer=layer: record(layer, module, output))
    with torch.no_grad():
        network(inputs, labels)
    return [*rows, LayerSummary(name, "total", "", "", _count(network.parameters()))]


def _count(parameters: Iterable[nn.Parameter]) -> int:
    return sum(parameter.numel() for parameter in parameters)
