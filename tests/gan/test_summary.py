from __future__ import annotations

from dataclasses import replace

import pytest

from gan_pipelines.gan import VARIANTS, ImageShape, NetworkConfig, summarize_networks
from gan_pipelines.gan.networks import FAMILIES


def test_layers_in_order_with_shapes_and_counts():
    config = replace(VARIANTS["dcgan"], networks=NetworkConfig(latent_size=100, width=64))
    rows = summarize_networks(config, ImageShape(3, 64, 64), num_classes=10)
    generator = [row for row in rows if row.network == "generator"]
    discriminator = [row for row in rows if row.network == "discriminator"]
    assert generator[0][1:] == ("layers.0", "ConvTranspose2d", "512 x 4 x 4", 100 * 512 * 16)
    assert generator[-2].type == "Tanh"
    assert generator[-2].output_shape == "3 x 64 x 64"
    assert generator[-1][1:] == ("total", "", "", 3_576_704)
    assert discriminator[-1].parameters == 2_765_568
    assert sum(row.parameters for row in discriminator[:-1]) == 2_765_568


@pytest.mark.parametrize("family", FAMILIES)
def test_the_layers_of_any_network_have_all_of_its_parameters(family):
    networks = NetworkConfig(family=family, width=4, discriminator_norm="none")
    rows = summarize_networks(replace(VARIANTS["dcgan"], networks=networks), ImageShape(1, 16, 16), num_classes=3)
    for network in ("generator", "discriminator"):
        *layers, total = (row.parameters for row in rows if row.network == network)
        assert sum(layers) == total
