"""Residual networks against the tables of Miyato et al. 2018, and against their equations written out."""

from __future__ import annotations

import math
from itertools import pairwise

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from gan_pipelines.gan import ImageShape, NetworkConfig
from gan_pipelines.gan.networks import build_discriminator, build_generator
from gan_pipelines.gan.networks.resnet import ClassBatchNorm, DiscriminatorBlock, GeneratorBlock

CIFAR10 = {"width": 128, "image": ImageShape(3, 32, 32)}  # table 4
IMAGENET = {"width": 64, "image": ImageShape(3, 128, 128)}  # table 6


def build(width, image, num_classes=0, **settings):
    family = "resnet_projection" if num_classes else "resnet"
    config = NetworkConfig(family=family, latent_size=128, width=width, discriminator_norm="none", **settings)
    return build_generator(config, image, num_classes), build_discriminator(config, image, num_classes)


def output_shapes(network, blocks, *inputs):
    """Channels and height after each block."""
    shapes = []
    for block in blocks:
        block.register_forward_hook(lambda module, _, output: shapes.append(tuple(output.shape[1:3])))
    network(*inputs)
    return shapes


@pytest.mark.parametrize(
    ("table", "generator_shapes", "discriminator_shapes"),
    [
        (
            CIFAR10,
            [(256, 4), (256, 8), (256, 16), (256, 32)],
            [(128, 16), (128, 8), (128, 8), (128, 8)],
        ),
        (
            IMAGENET,
            [(1024, 4), (1024, 8), (512, 16), (256, 32), (128, 64), (64, 128)],
            [(64, 64), (128, 32), (256, 16), (512, 8), (1024, 4), (1024, 4)],
        ),
        (
            {"width": 8, "image": ImageShape(1, 16, 16)},
            [(16, 4), (16, 8), (16, 16)],
            [(8, 8), (8, 4), (8, 4), (8, 4)],
        ),
        (
            {"width": 8, "image": ImageShape(1, 64, 64)},
            [(64, 4), (64, 8), (32, 16), (16, 32), (8, 64)],
            [(8, 32), (16, 16), (32, 8), (64, 4), (64, 4)],
        ),
    ],
)
def test_the_shapes_are_those_of_the_tables(table, generator_shapes, discriminator_shapes):
    with torch.device("meta"):
        generator, discriminator = build(**table)
        latents, images = torch.zeros(2, 128), torch.zeros(2, *table["image"])
        assert output_shapes(generator, [generator.latent_map, *generator.blocks], latents) == generator_shapes
        assert output_shapes(discriminator, discriminator.blocks, images) == discriminator_shapes


def count(network):
    return sum(parameter.numel() for parameter in network.parameters())


def conv(before, after, size):
    return before * after * size**2 + after


@pytest.mark.parametrize(
    ("table", "num_classes", "generator_widths", "discriminator_widths", "halvings"),
    [
        (CIFAR10, 0, [256, 256, 256, 256], [128, 128, 128, 128], 2),
        (CIFAR10, 10, [256, 256, 256, 256], [128, 128, 128, 128], 2),
        (IMAGENET, 1000, [1024, 1024, 512, 256, 128, 64], [64, 128, 256, 512, 1024, 1024], 5),
    ],
)
def test_parameters_are_those_of_the_layers_of_the_tables(
    table, num_classes, generator_widths, discriminator_widths, halvings
):
    with torch.device("meta"):
        generator, discriminator = build(**table, num_classes=num_classes)
    first, last = generator_widths[0], generator_widths[-1]
    expected = 128 * first * 16 + first * 16 + 2 * last + conv(last, 3, 3)
    for i, o in pairwise(generator_widths):
        expected += conv(i, o, 3) + conv(o, o, 3) + conv(i, o, 1) + max(1, num_classes) * 2 * (i + o)
    assert count(generator) == expected
    first, last = discriminator_widths[0], discriminator_widths[-1]
    expected = conv(3, first, 3) + conv(first, first, 3) + conv(3, first, 1) + last + 1 + num_classes * last
    for block, (i, o) in enumerate(pairwise(discriminator_widths), 1):
        expected += conv(i, i, 3) + conv(i, o, 3) + (conv(i, o, 1) if block < halvings else 0)
    assert count(discriminator) == expected


def convolve(layer, x):
    return F.conv2d(x, layer.weight, layer.bias, padding=layer.weight.shape[-1] // 2)


@pytest.mark.parametrize(("halves", "takes_image"), [(True, True), (True, False), (False, False)])
def test_a_block_of_the_discriminator_equals_its_definition(halves, takes_image):
    block = DiscriminatorBlock(4, 6 if halves else 4, halves=halves, takes_image=takes_image).double()
    x = torch.randn(3, 4, 8, 8, dtype=torch.float64)
    residual = convolve(block.first, x if takes_image else x.clamp(min=0))
    residual = convolve(block.second, residual.clamp(min=0))
    if halves:  # the mean of each 2x2 pixels comes last, in both branches
        expected = (residual + convolve(block.shortcut, x)).unflatten(3, (4, 2)).unflatten(2, (4, 2)).mean(dim=(3, 5))
    else:
        expected = residual + x
    assert torch.allclose(block(x), expected, atol=1e-12)


def test_a_block_of_the_generator_equals_its_definition():
    block = GeneratorBlock(4, 6, 0).double().eval()
    for norm in (block.first_norm.norm, block.second_norm.norm):
        for tensor in (norm.weight, norm.bias, norm.running_mean, norm.running_var):
            tensor.data.uniform_(0.5, 2)
    x = torch.randn(3, 4, 8, 8, dtype=torch.float64)

    def normalize(module, x):
        norm = module.norm
        mean, variance, weight, bias = (
            tensor[:, None, None] for tensor in (norm.running_mean, norm.running_var, norm.weight, norm.bias)
        )
        return (x - mean) / (variance + norm.eps).sqrt() * weight + bias

    def double(x):
        return x.repeat_interleave(2, dim=2).repeat_interleave(2, dim=3)

    residual = convolve(block.first, double(normalize(block.first_norm, x).clamp(min=0)))
    residual = convolve(block.second, normalize(block.second_norm, residual).clamp(min=0))
    assert torch.allclose(block(x, None), residual + convolve(block.shortcut, double(x)), atol=1e-12)


def test_class_conditional_batch_norm_has_the_scale_and_shift_of_each_class():
    norm = ClassBatchNorm(4, 3)
    nn.init.normal_(norm.affine.weight)
    labels = torch.tensor([0, 2, 1, 2, 0])
    plain = [nn.BatchNorm2d(4) for _ in range(3)]
    for label, one in enumerate(plain):
        one.weight.data, one.bias.data = norm.affine.weight.data[label].split(4)
    for mode in (True, True, False):  # twice in training mode, so that the running statistics matter in the third
        x = torch.randn(5, 4, 3, 3) * 2 + 1
        expected = [one.train(mode)(x) for one in plain]
        found = norm.train(mode)(x, labels)
        assert all(torch.allclose(found[i], expected[label][i], atol=1e-5) for i, label in enumerate(labels.tolist()))


def test_before_training_all_classes_have_the_batch_norm_of_none():
    x, labels = torch.randn(4, 6, 3, 3), torch.tensor([0, 1, 2, 1])
    assert torch.equal(ClassBatchNorm(6, 3)(x, labels), ClassBatchNorm(6, 0)(x, None))


def test_class_conditional_batch_norm_stays_in_bf16():
    norm = ClassBatchNorm(6, 3)
    with torch.autocast("cpu", torch.bfloat16):
        assert norm(torch.randn(4, 6, 3, 3, dtype=torch.bfloat16), torch.tensor([0, 1, 2, 1])).dtype == torch.bfloat16


def test_the_projection_equals_its_formula():
    _, judge = build(4, ImageShape(1, 16, 16), num_classes=3)
    images, labels = torch.randn(5, 1, 16, 16), torch.tensor([0, 2, 1, 2, 0])
    maps = judge.blocks(images)
    embeddings, weights, bias = judge.projection.embedding.weight, judge.head.weight[0], judge.head.bias[0]
    for image, label in enumerate(labels.tolist()):
        expected = bias.item()
        for channel in range(4):
            feature = sum(max(value, 0) for value in maps[image, channel].flatten().tolist())
            expected += (embeddings[label, channel] + weights[channel]).item() * feature
        assert judge(images, labels).logits[image].item() == pytest.approx(expected, rel=1e-4, abs=1e-5)


def test_spectral_norm_includes_the_embeddings_of_the_projection():
    generator, judge = build(4, ImageShape(1, 16, 16), num_classes=3, spectral_norm="discriminator")
    images, labels = torch.randn(3, 1, 16, 16), torch.tensor([0, 1, 2])
    with torch.no_grad():
        for _ in range(200):
            judge(images, labels)
    layers = [module for module in judge.eval().modules() if isinstance(module, nn.Conv2d | nn.Linear)]
    assert len(layers) == 3 + 3 + 2 + 2 + 2
    for layer in layers:
        assert torch.linalg.matrix_norm(layer.weight.flatten(1), 2).item() == pytest.approx(1, rel=0.02)
    assert not any(hasattr(module, "parametrizations") for module in generator.modules())


def test_weights_are_drawn_as_by_the_authors():
    generator, judge = build(64, ImageShape(3, 32, 32), num_classes=10)
    block = generator.blocks[0]
    gains = {
        (generator.latent_map[0], generator.to_image[2], block.shortcut, judge.head, judge.projection.embedding): 1,
        (judge.blocks[1].shortcut,): 1,
        (block.first, block.second, judge.blocks[0].first, judge.blocks[2].second): math.sqrt(2),
    }
    for layers, gain in gains.items():
        for layer in layers:
            outputs, inputs, *size = layer.weight.shape
            bound = gain * math.sqrt(6 / ((inputs + outputs) * math.prod(size)))
            assert layer.weight.abs().max().item() == pytest.approx(bound, rel=0.05)
            assert layer.bias is None or layer.bias.abs().max() == 0
