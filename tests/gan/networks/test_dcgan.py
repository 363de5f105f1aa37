from __future__ import annotations

import pytest
import torch

from gan_pipelines.gan import ImageShape, NetworkConfig
from gan_pipelines.gan.networks import FAMILIES
from gan_pipelines.gan.networks.dcgan import DcganDiscriminator, DcganGenerator
from gan_pipelines.typed_config import ConfigError


def parameters(network):
    return sum(parameter.numel() for parameter in network.parameters())


@pytest.mark.parametrize(
    ("image_size", "width", "generator_parameters", "discriminator_parameters"),
    [
        (64, 64, 3_576_704, 2_765_568),  # as PyTorch's DCGAN tutorial has them
        (32, 128, 3_448_576, 2_637_312),
    ],
)
def test_parameter_counts_are_the_known_ones(image_size, width, generator_parameters, discriminator_parameters):
    assert parameters(DcganGenerator(100, width, image_size, 3)) == generator_parameters
    assert parameters(DcganDiscriminator(width, image_size, 3, "batch")) == discriminator_parameters


@pytest.mark.parametrize(("size", "channels", "norm"), [(8, 1, "none"), (16, 3, "instance"), (64, 3, "batch")])
def test_shapes_and_range(size, channels, norm):
    config, shape = NetworkConfig(latent_size=5, width=4, critic_norm=norm), ImageShape(channels, size, size)
    generator = FAMILIES["dcgan"].generator(config, shape, 0)
    images = generator(torch.randn(3, 5) * 100, None)
    assert images.shape == (3, channels, size, size)
    assert images.abs().max() <= 1
    assert FAMILIES["dcgan"].discriminator(config, shape, 0)(images, None).shape == (3,)


@pytest.mark.parametrize("shape", [(1, 28, 28), (1, 4, 4), (3, 32, 64), (3, 48, 48)])
def test_images_that_do_not_fit_are_refused(shape):
    with pytest.raises(ConfigError, match=f"image size is '{shape[1]}x{shape[2]}', but must be 8x8"):
        FAMILIES["dcgan"].generator(NetworkConfig(), ImageShape(*shape), 0)


def test_weights_are_drawn_as_published():
    generator = DcganGenerator(100, 64, 32, 3)
    convolution, norm = generator.layers[3].weight, generator.layers[1]
    assert convolution.std().item() == pytest.approx(0.02, rel=0.02)
    assert convolution.mean().item() == pytest.approx(0, abs=1e-3)
    assert norm.weight.mean().item() == pytest.approx(1, abs=0.01)
    assert norm.weight.std().item() == pytest.approx(0.02, rel=0.2)
    assert norm.bias.abs().max() == 0


def test_without_norm_an_image_is_judged_alone():
    critic = DcganDiscriminator(4, 16, 1, "none")
    images = torch.randn(4, 1, 16, 16)
    assert torch.allclose(critic(images)[:1], critic(images[:1]), atol=1e-6)
    coupled = DcganDiscriminator(4, 16, 1, "batch")
    with torch.no_grad():
        assert not torch.allclose(coupled(images)[:1], coupled(images[:2])[:1], atol=1e-6)


def test_negative_values_leak_a_fifth_as_published():
    critic = DcganDiscriminator(4, 16, 1, "none")
    slopes = [layer(torch.tensor([-1.0])).item() for layer in critic.layers if isinstance(layer, torch.nn.LeakyReLU)]
    assert slopes == pytest.approx([-0.2, -0.2])
