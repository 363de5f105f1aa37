from __future__ import annotations

import pytest
import torch

from gan_pipelines.core.config import ConfigError
from gan_pipelines.gan import ImageShape, NetworkConfig
from gan_pipelines.gan.networks import build_discriminator, build_generator
from gan_pipelines.gan.networks.dcgan import DcganDiscriminator, DcganGenerator
from gan_pipelines.gan.networks.layers import SelfAttention


def critic(norm, width=4):
    return DcganDiscriminator(NetworkConfig(width=width, discriminator_norm=norm), ImageShape(1, 16, 16))


@pytest.mark.parametrize(("size", "channels", "norm"), [(8, 1, "none"), (16, 3, "instance"), (64, 3, "batch")])
def test_shapes_and_range(size, channels, norm):
    config, shape = NetworkConfig(latent_size=5, width=4, discriminator_norm=norm), ImageShape(channels, size, size)
    images = build_generator(config, shape, 0)(torch.randn(3, 5) * 100, None)
    assert images.shape == (3, channels, size, size)
    assert images.abs().max() <= 1
    judgement = build_discriminator(config, shape, 0)(images, None)
    assert judgement.logits.shape == (3,)
    assert judgement.class_logits is None


@pytest.mark.parametrize("shape", [(1, 28, 28), (1, 4, 4), (3, 32, 64), (3, 48, 48)])
def test_images_that_do_not_fit_are_refused(shape):
    with pytest.raises(ConfigError, match=f"image_size is '{shape[1]}x{shape[2]}', but must be 8x8"):
        build_generator(NetworkConfig(), ImageShape(*shape), 0)


def test_weights_are_drawn_as_published():
    generator = DcganGenerator(NetworkConfig(), ImageShape(3, 32, 32))
    convolution, norm = generator.layers[3].weight, generator.layers[1]
    assert convolution.std().item() == pytest.approx(0.02, rel=0.02)
    assert convolution.mean().item() == pytest.approx(0, abs=1e-3)
    assert norm.weight.mean().item() == pytest.approx(1, abs=0.01)
    assert norm.weight.std().item() == pytest.approx(0.02, rel=0.2)
    assert norm.bias.abs().max() == 0


def test_without_norm_and_with_layer_norm_an_image_is_judged_alone():
    images = torch.randn(4, 1, 16, 16)
    coupled = critic("batch")
    for alone in (critic("none"), critic("layer")):
        assert torch.allclose(alone(images).logits[:1], alone(images[:1]).logits, atol=1e-6)
    with torch.no_grad():
        assert not torch.allclose(coupled(images).logits[:1], coupled(images[:2]).logits[:1], atol=1e-6)


def test_layer_norm_is_over_all_channels_and_positions_of_an_image():
    _, norm = [layer for layer in critic("layer").layers if not isinstance(layer, torch.nn.LeakyReLU)][1:]
    maps = torch.randn(3, 8, 4, 4) * 3 + 2
    torch.nn.init.ones_(norm.weight)
    expected = (maps - maps.mean((1, 2, 3), keepdim=True)) / maps.std((1, 2, 3), correction=0, keepdim=True)
    assert torch.allclose(norm(maps), expected, atol=1e-4)


def test_the_scales_of_layer_norm_are_drawn_as_those_of_other_norms():
    discriminator = DcganDiscriminator(NetworkConfig(discriminator_norm="layer"), ImageShape(3, 64, 64))
    (*_, scales) = [layer.weight for layer in discriminator.layers if isinstance(layer, torch.nn.GroupNorm)]
    assert scales.mean().item() == pytest.approx(1, abs=0.01)
    assert scales.std().item() == pytest.approx(0.02, rel=0.2)


def test_negative_values_leak_a_fifth_as_published():
    layers = critic("none").layers
    slopes = [layer(torch.tensor([-1.0])).item() for layer in layers if isinstance(layer, torch.nn.LeakyReLU)]
    assert slopes == pytest.approx([-0.2, -0.2])


@pytest.mark.parametrize(
    ("size", "generator_places", "discriminator_places"),
    [(64, [(64, 16), (32, 32)], [(128, 8), (256, 4)]), (32, [(32, 8), (16, 16)], [(32, 8), (64, 4)])],
)
def test_attention_follows_the_last_two_hidden_layers_after_their_activation(
    size, generator_places, discriminator_places
):
    config, shape = NetworkConfig(width=size // 2, attention=True), ImageShape(3, size, size)
    for network, inputs, places, activation in (
        (build_generator(config, shape, 0), torch.randn(2, 100, 1, 1), generator_places, torch.nn.ReLU),
        (build_discriminator(config, shape, 0), torch.randn(2, *shape), discriminator_places, torch.nn.LeakyReLU),
    ):
        assert attention_places(network.layers, inputs, activation) == places


def attention_places(layers, x, activation):
    """Channels and height of each map that attention looks at; what comes before it must be the activation."""
    places = []
    for before, layer in zip([None, *layers], layers, strict=False):
        if isinstance(layer, SelfAttention):
            assert isinstance(before, activation)
            places.append(tuple(x.shape[1:3]))
        x = layer(x)
    return places


def test_with_classes_the_latent_is_multiplied_by_the_embedding_of_the_label():
    config, shape = NetworkConfig(family="acgan", latent_size=5, width=4), ImageShape(1, 16, 16)
    generator = build_generator(config, shape, 3).eval()
    latents, labels = torch.randn(4, 5), torch.tensor([0, 2, 1, 2])
    rows = generator.embedding.weight[labels]
    expected = generator.layers((latents * rows)[:, :, None, None])
    assert torch.equal(generator(latents, labels), expected)
    judgement = build_discriminator(config, shape, 3)(expected)
    assert judgement.class_logits.shape == (4, 3)
    assert judgement.logits.shape == (4,)
