"""The networks of R3GAN against the sizes of the paper, and against their equations written out."""

from __future__ import annotations

import math
from itertools import pairwise

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from gan_pipelines.gan import ImageShape, NetworkConfig
from gan_pipelines.gan.networks import build_discriminator, build_generator
from gan_pipelines.gan.networks.r3gan import Double, Halve, LatentBasis, ResidualBlock


def build(width, size, num_classes=0, channels=3, latent_size=64):
    family = "r3gan_projection" if num_classes else "r3gan"
    config = NetworkConfig(family=family, latent_size=latent_size, width=width, discriminator_norm="none")
    shape = ImageShape(channels, size, size)
    return build_generator(config, shape, num_classes), build_discriminator(config, shape, num_classes)


def count(network):
    return sum(parameter.numel() for parameter in network.parameters())


def test_parameters_are_the_published_ones():
    with torch.device("meta"):
        networks = build(width=96, size=256)  # for FFHQ
    assert [round(count(network) / 1e6, 3) for network in networks] == [23.058, 23.010]


def block_parameters(width):
    inner = 2 * width
    return width * inner + inner + inner * 16 * 9 + inner + inner * width


@pytest.mark.parametrize(
    ("width", "size", "num_classes", "widths"),
    [
        (384, 64, 0, [384, 768, 768, 768, 768]),  # for FFHQ
        (768, 32, 10, [768, 768, 768, 768]),  # for CIFAR-10
        (32, 16, 2, [32, 32, 32]),
    ],
)
def test_parameters_are_those_of_the_layers(width, size, num_classes, widths):
    with torch.device("meta"):
        generator, discriminator = build(width, size, num_classes)
    first, last = widths[0], widths[-1]
    shared = sum(2 * block_parameters(width) for width in widths) + 3 * first + 16 * last
    shared += sum(a * b for a, b in pairwise(widths) if a != b)
    label = num_classes > 0
    assert count(generator) == shared + 64 * (1 + label) * last + 64 * num_classes
    assert count(discriminator) == shared + last * (last if label else 1) + last * num_classes


def block_shapes(network, inputs):
    """Channels and height after each residual block."""
    shapes = []
    for module in network.modules():
        if isinstance(module, ResidualBlock):
            module.register_forward_hook(lambda module, _, output: shapes.append(tuple(output.shape[1:3])))
    network(inputs)
    return shapes


def test_the_stages_are_those_of_the_paper():
    with torch.device("meta"):
        generator, discriminator = build(width=96, size=256)
        stages = [(768, 4), (768, 8), (768, 16), (768, 32), (384, 64), (192, 128), (96, 256)]
        assert block_shapes(generator, torch.zeros(1, 64)) == [stage for stage in stages for _ in range(2)]
        assert block_shapes(discriminator, torch.zeros(1, 3, 256, 256)) == [
            stage for stage in stages[::-1] for _ in range(2)
        ]
    groups = {m.in_channels: m.groups for m in generator.modules() if isinstance(m, nn.Conv2d) and m.groups > 1}
    assert groups == {1536: 96, 768: 48, 384: 24, 192: 12}


def test_a_residual_block_equals_its_definition():
    block = ResidualBlock(24, num_blocks=6).double()
    expand, _, mix, _, project = block.layers
    for tensor in (expand.bias, mix.bias, project.weight):
        nn.init.normal_(tensor)
    x = torch.randn(2, 24, 5, 5, dtype=torch.float64)
    inner = torch.einsum("oi,nihw->nohw", expand.weight[:, :, 0, 0], x) + expand.bias[:, None, None]
    inner = torch.where(inner > 0, inner, 0.2 * inner)
    groups = [  # 48 channels are three groups of 16
        F.conv2d(inner[:, start : start + 16], mix.weight[start : start + 16], padding=1) for start in (0, 16, 32)
    ]
    inner = torch.cat(groups, dim=1) + mix.bias[:, None, None]
    inner = torch.where(inner > 0, inner, 0.2 * inner)
    expected = x + torch.einsum("oi,nihw->nohw", project.weight[:, :, 0, 0], inner)
    assert torch.allclose(block(x), expected, atol=1e-12)


@pytest.mark.parametrize(("width", "groups"), [(4, 1), (5, 5), (8, 1), (12, 3), (16, 2)])
def test_any_width_can_be_grouped(width, groups):
    block = ResidualBlock(width, num_blocks=1)
    assert block.layers[2].groups == groups
    assert block(torch.randn(1, width, 2, 2)).shape == (1, width, 2, 2)


def test_each_block_begins_as_the_identity_and_can_learn():
    for network in build(8, 16, num_classes=2):
        blocks = [module for module in network.modules() if isinstance(module, ResidualBlock)]
        assert len(blocks) == 6
        for block in blocks:
            x = torch.randn(2, 8, 4, 4)
            assert torch.equal(block(x), x)
            (block(x) ** 2).sum().backward()
            assert block.layers[4].weight.grad.abs().max() > 0


def test_weights_are_drawn_as_published():
    generator, discriminator = build(width=64, size=32, num_classes=10)
    gain = math.sqrt(2 / (1 + 0.2**2)) * 8 ** (-1 / 4)  # eight blocks
    for network in (generator, discriminator):
        for block in (module for module in network.modules() if isinstance(module, ResidualBlock)):
            expand, _, mix, _, _ = block.layers
            assert expand.weight.std().item() == pytest.approx(gain / math.sqrt(64), rel=0.05)
            assert mix.weight.std().item() == pytest.approx(gain / math.sqrt(16 * 9), rel=0.05)
            assert expand.bias.abs().max() == mix.bias.abs().max() == 0
    basis, depthwise = generator.layers[0], discriminator.layers[-2]
    scales = {
        basis.basis: 1,
        basis.scales.weight: 1 / math.sqrt(2 * 64),
        generator.embedding.weight: 1 / math.sqrt(10),
        discriminator.layers[0].weight: 1 / math.sqrt(3),
        depthwise.weight: 1 / math.sqrt(16),
        discriminator.head.weight: 1 / math.sqrt(64),
        discriminator.projection.embedding.weight: 1 / math.sqrt(64 * 10),
    }
    for weight, scale in scales.items():
        assert weight.std().item() == pytest.approx(scale, rel=0.15)


def test_images_are_doubled_and_halved_by_bilinear_interpolation():
    x = torch.randn(2, 3, 8, 8, dtype=torch.float64)
    doubled, halved = Double().double()(x), Halve().double()(x)
    assert torch.allclose(inner(doubled), inner(F.interpolate(x, scale_factor=2, mode="bilinear")), atol=1e-12)
    expected = F.interpolate(x, scale_factor=0.5, mode="bilinear", antialias=True)
    assert torch.allclose(inner(halved), inner(expected), atol=1e-12)
    ones = torch.ones(1, 1, 4, 4)
    assert Double()(ones)[0, 0, 0].tolist() == [9 / 16, *[3 / 4] * 6, 9 / 16]  # zeros around the edges
    assert Halve()(ones)[0, 0].tolist() == [[49 / 64, 49 / 64], [49 / 64, 49 / 64]]


def inner(images):
    return images[:, :, 1:-1, 1:-1]


def test_the_latent_scales_the_channels_of_a_learned_map():
    basis, latents = LatentBasis(5, 3), torch.randn(2, 5)
    for image in range(2):
        for channel in range(3):
            scale = sum(basis.scales.weight[channel, i].item() * latents[image, i].item() for i in range(5))
            assert torch.allclose(basis(latents)[image, channel], scale * basis.basis[0, channel], atol=1e-6)


def test_with_classes_the_embedding_of_the_label_is_appended_to_the_latent():
    generator, _ = build(8, 16, num_classes=3, latent_size=5)
    latents, labels = torch.randn(4, 5), torch.tensor([0, 2, 1, 2])
    rows = torch.stack([generator.embedding.weight[label] for label in labels])
    assert torch.equal(generator(latents, labels), generator.layers(torch.cat([latents, rows], dim=1)))


def test_the_projection_equals_its_formula():
    _, judge = build(4, 16, num_classes=3, channels=1)
    images, labels = torch.randn(5, 1, 16, 16), torch.tensor([0, 2, 1, 2, 0])
    features, head, embeddings = judge.layers(images), judge.head.weight, judge.projection.embedding.weight
    for image, label in enumerate(labels.tolist()):
        expected = sum(
            embeddings[label, i].item() * head[i, j].item() * features[image, j].item()
            for i in range(4)
            for j in range(4)
        )
        assert judge(images, labels).logits[image].item() == pytest.approx(expected, rel=1e-4, abs=1e-6)
