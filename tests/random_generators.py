"""Generators with random weights, whose images have contrast: as after a training, but made at once."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import nn

from gan_pipelines.gan import VARIANTS, GanConfig, ImageShape, NetworkConfig, TrainedGenerator
from gan_pipelines.gan.networks import build_generator, plain_state

CLASSES = ("ace", "king", "queen")


def make_generator(config: GanConfig | str, size: int = 16, channels: int = 3) -> TrainedGenerator:
    """A generator of a variant or a configuration, with narrow networks."""
    config = VARIANTS[config] if isinstance(config, str) else config
    config = replace(config, networks=replace(config.networks, width=4, latent_size=8))
    shape = ImageShape(channels, size, size)
    return TrainedGenerator(
        config=config,
        image_shape=shape,
        class_names=CLASSES,
        training={
            "fingerprint": "0123456789abcdef",
            "recipe": "fedcba9876543210",
            "seed": 7,
            "data_hash": "ab" * 32,
            "device": "cpu",
            "epoch": 3,
            "images_seen": 48,
        },
        weights={weights: _random_state(config.networks, shape, seed) for seed, weights in enumerate(("ema", "raw"))},
    )


def _random_state(networks: NetworkConfig, shape: ImageShape, seed: int) -> dict[str, torch.Tensor]:
    torch.manual_seed(seed)
    network = build_generator(networks, shape, len(CLASSES))
    for module in network.modules():
        if isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d):
            module.running_mean.normal_(std=0.1)
            module.running_var.uniform_(0.1, 0.4)
    for parameter in network.parameters():  # some begin with zeros, and others too small for any contrast
        if parameter.dim() > 1 or not parameter.any():
            nn.init.normal_(parameter, std=0.2)
    return plain_state(network)
