"""Exported networks against PyTorch, for the networks of all variants."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import replace

import numpy as np
import onnx
import onnxruntime
import pytest
import torch

from gan_pipelines.gan import VARIANTS, NetworkConfig
from gan_pipelines.gan.networks import FAMILIES
from gan_pipelines.serving.onnx_networks import OPSET, PROVIDERS, to_onnx
from random_generators import make_generator

QUICK = ("sagan", "sngan_projection")
"""Spectral norm and attention; class-conditional batch norm and embeddings."""


def generator_of(config):
    """What of the networks decides the generator."""
    networks = config.networks
    return networks.family, networks.attention, networks.spectral_norm == "both"


WITHOUT_VARIANT = {"dcgan_5x5": replace(VARIANTS["dcgan"], networks=NetworkConfig(family="dcgan_5x5"))}
NAMES = defaultdict(list)
for name, config in (VARIANTS | WITHOUT_VARIANT).items():
    NAMES[generator_of(config)].append(name)
CASES = [
    pytest.param(
        (VARIANTS | WITHOUT_VARIANT)[names[0]],
        id="+".join(names),
        marks=[] if names[0] in QUICK else pytest.mark.integration,
    )
    for names in NAMES.values()
]


def check_file(network):
    """A file says its opset, and nothing of this machine."""
    model = onnx.load_from_string(network)
    onnx.checker.check_model(model)
    assert [(each.domain, each.version) for each in model.opset_import if each.domain == ""] == [("", OPSET)]
    assert b"site-packages" not in network
    assert b"/src/" not in network


@pytest.mark.parametrize("config", CASES)
def test_exported_images_are_those_of_pytorch_for_any_number(config):
    generator = make_generator(config)
    networks = to_onnx(generator)
    for weights, network in networks.items():
        check_file(network)
        session = onnxruntime.InferenceSession(network, providers=list(PROVIDERS))
        for count in (1, 5):
            latents, labels = torch.randn(count, 8), torch.arange(count) % 3
            inputs = {"latents": latents.numpy()} | ({"labels": labels.numpy()} if generator.is_conditional else {})
            (images,) = session.run(["images"], inputs)
            (expected,) = generator.decode(latents, labels, weights=weights)
            assert (images.shape, images.dtype) == ((count, 3, 16, 16), np.uint8)
            assert np.abs(images.astype(int) - expected.numpy()).max() <= 1
        assert images.std() > 5
    assert networks["ema"] != networks["raw"]


def test_the_networks_of_all_families_are_covered():
    assert {family for family, _, _ in NAMES} == FAMILIES.keys()
