"""Every family against published or stated parameter counts, to the unit."""

from __future__ import annotations

import pytest
import torch

from gan_pipelines.core.config import ConfigError
from gan_pipelines.gan import ImageShape, NetworkConfig
from gan_pipelines.gan.networks import FAMILIES, build_discriminator, build_generator


def parameters(network):
    return sum(parameter.numel() for parameter in network.parameters())


def layer_parameters(network):
    """Parameters of each module that has some of its own, in order."""
    own = (sum(p.numel() for p in module.parameters(recurse=False)) for module in network.modules())
    return [count for count in own if count]


@pytest.mark.parametrize(
    ("family", "width", "shape", "classes", "generator", "discriminator"),
    [
        ("dcgan", 64, (3, 64, 64), 0, 3_576_704, 2_765_568),
        ("acgan", 64, (3, 64, 64), 10, 3_577_704, 2_765_568 + 10 * 512 * 16),
        ("cdcgan", 64, (3, 64, 64), 53, 7_666_180, 1_925_045),
        ("dcgan", 128, (3, 32, 32), 0, 3_448_576, 2_637_312),
        ("mlp", 64, (1, 28, 28), 0, 1_486_352, 533_505),
        ("dcgan_5x5", 64, (1, 28, 28), 0, 2_318_209, 213_249),
    ],
)
def test_parameter_counts_are_the_published_ones(family, width, shape, classes, generator, discriminator):
    config = NetworkConfig(family=family, width=width, discriminator_norm="none" if family == "mlp" else "batch")
    assert parameters(build_generator(config, ImageShape(*shape), classes)) == generator
    assert parameters(build_discriminator(config, ImageShape(*shape), classes)) == discriminator


@pytest.mark.parametrize(
    ("family", "shape", "classes", "generator", "discriminator"),
    [
        (
            "cdcgan", (3, 64, 64), 53,
            [5_300, 1_616, 827_392, 4_202_496, 1_024, 2_097_152, 512, 524_288, 256, 6_144],
            [5_300, 1_241_088, 6_144, 131_072, 256, 524_288, 512, 16_385],
        ),
        (
            "mlp", (1, 28, 28), 0,
            [100 * 256 + 256, 256 * 512 + 512, 512 * 1024 + 1024, 1024 * 784 + 784],
            [784 * 512 + 512, 512 * 256 + 256, 256 + 1],
        ),
        (
            "dcgan_5x5", (1, 28, 28), 0,
            [101 * 12_544, 2 * 12_544, 256 * 128 * 25 + 128, 256, 128 * 64 * 25 + 64, 128, 64 * 25 + 1],
            [64 * 25 + 64, 128, 64 * 128 * 25 + 128, 256, 6_272 + 1],
        ),
    ],
)  # fmt: skip
def test_layer_by_layer(family, shape, classes, generator, discriminator):
    config = NetworkConfig(family=family, discriminator_norm="none" if family == "mlp" else "batch")
    assert layer_parameters(build_generator(config, ImageShape(*shape), classes)) == generator
    assert layer_parameters(build_discriminator(config, ImageShape(*shape), classes)) == discriminator


@pytest.mark.parametrize(
    ("family", "shape"),
    [
        ("mlp", (3, 5, 7)),
        ("dcgan_5x5", (1, 12, 12)),
        ("cdcgan", (3, 16, 16)),
        ("acgan", (1, 8, 8)),
        *(
            (family, (channels, size, size))
            for family in ("resnet", "resnet_projection", "r3gan", "r3gan_projection")
            for channels, size in ((1, 16), (3, 32), (1, 64), (3, 128))
        ),
    ],
)
def test_shapes_and_range(family, shape):
    config = NetworkConfig(family=family, latent_size=5, width=4, discriminator_norm="none")
    labels = torch.tensor([0, 1, 2])
    images = build_generator(config, ImageShape(*shape), 3)(torch.randn(3, 5) * 100, labels)
    assert images.shape == (3, *shape)
    assert 0 < images.abs().max() <= 1
    assert build_discriminator(config, ImageShape(*shape), 3)(images, labels).logits.shape == (3,)


@pytest.mark.parametrize(
    ("family", "shape", "fitting"),
    [
        ("dcgan_5x5", (1, 30, 30), "a multiple of 4"),
        ("cdcgan", (1, 28, 28), "16x16"),
        ("resnet", (1, 8, 8), "16x16, 32x32, 64x64, ... for the resnet networks"),
        ("r3gan_projection", (3, 32, 64), "16x16, 32x32, 64x64, ... for the r3gan_projection networks"),
    ],
)
def test_images_that_do_not_fit_are_refused(family, shape, fitting):
    config = NetworkConfig(family=family, discriminator_norm="none")
    for build in (build_generator, build_discriminator):
        with pytest.raises(ConfigError, match=f"image_size is '{shape[1]}x{shape[2]}', but must be {fitting}"):
            build(config, ImageShape(*shape), 10)


@pytest.mark.parametrize("family", [name for name, family in FAMILIES.items() if family.conditional])
def test_conditional_networks_need_labels(family):
    for build in (build_generator, build_discriminator):
        with pytest.raises(
            ConfigError, match=f"number of classes is 0, but must be 2 or more for the {family} networks"
        ):
            build(NetworkConfig(family=family), ImageShape(1, 32, 32), 0)


@pytest.mark.parametrize("family", [name for name, family in FAMILIES.items() if family.conditional])
def test_the_label_changes_what_is_made(family):
    generator = build_generator(NetworkConfig(family=family, width=8), ImageShape(1, 32, 32), 3).eval()
    for module in generator.modules():
        if isinstance(module, torch.nn.Embedding):  # those of class-conditional batch norm begin alike
            torch.nn.init.normal_(module.weight)
    latents = torch.randn(1, 100).expand(3, -1)
    images = generator(latents, torch.tensor([0, 1, 1]))
    assert not torch.allclose(images[0], images[1], atol=1e-4)
    assert torch.allclose(images[1], images[2], atol=1e-6)


@pytest.mark.parametrize("family", ["cdcgan", "resnet_projection", "r3gan_projection"])
def test_the_label_changes_the_judgement(family):
    config = NetworkConfig(family=family, width=8, discriminator_norm="none")
    judge = build_discriminator(config, ImageShape(1, 32, 32), 3).eval()
    image = torch.randn(1, 1, 32, 32)
    assert judge(image, torch.tensor([0])).logits.item() != judge(image, torch.tensor([1])).logits.item()


@pytest.mark.parametrize(
    ("config", "sentence"),
    [
        (
            NetworkConfig(family="mlp", discriminator_norm="none", attention=True),
            "only dcgan and acgan networks have it",
        ),
        *(
            (NetworkConfig(family=family), f"discriminator_norm is 'batch', but must be none for the {family} networks")
            for family in ("mlp", "resnet", "r3gan")
        ),
    ],
)
def test_what_a_family_does_not_have_is_refused(config, sentence):
    with pytest.raises(ConfigError, match=sentence):
        build_discriminator(config, ImageShape(1, 32, 32), 0)


@pytest.mark.integration
@pytest.mark.parametrize("family", FAMILIES)
def test_no_python_of_a_network_depends_on_its_data(family):
    config, labels = NetworkConfig(family=family, latent_size=4, width=4, discriminator_norm="none"), torch.arange(2)
    for build, inputs in ((build_generator, torch.randn(2, 4)), (build_discriminator, torch.randn(2, 1, 16, 16))):
        network = build(config, ImageShape(1, 16, 16), 2).eval()
        captured = torch.export.export(network, (inputs, labels)).module()
        for ours, theirs in zip(network(inputs, labels), captured(inputs, labels), strict=True):
            assert ours is theirs is None or torch.equal(ours, theirs)


@pytest.mark.parametrize("family", FAMILIES)
def test_gradients_of_a_penalty_equal_finite_differences(family):
    config = NetworkConfig(family=family, width=2, discriminator_norm="none")
    judge = build_discriminator(config, ImageShape(1, 16, 16), 2).double().eval()
    weights = list(judge.parameters())
    for weight in weights:
        torch.nn.init.normal_(weight, std=0.3)  # the last layers of residual blocks may begin with zeros
    points = torch.randn(3, 1, 16, 16, dtype=torch.float64, requires_grad=True)

    def penalty():
        logits = judge(points, torch.tensor([0, 1, 1])).logits
        (gradients,) = torch.autograd.grad(logits.sum(), points, create_graph=True)
        return gradients.square().sum()

    found = torch.autograd.grad(penalty(), weights, allow_unused=True, materialize_grads=True)
    step = 1e-6
    for weight, gradient in zip(weights, found, strict=True):
        direction = torch.randn_like(weight)
        weight.data += step * direction
        above = penalty().item()
        weight.data -= 2 * step * direction
        slope = (above - penalty().item()) / (2 * step)
        weight.data += step * direction
        assert (gradient * direction).sum().item() == pytest.approx(slope, rel=1e-4, abs=1e-6)


@pytest.mark.parametrize("family", FAMILIES)
def test_in_bf16_and_in_channels_last_a_network_computes_the_same(family):
    config, labels = NetworkConfig(family=family, latent_size=4, width=8, discriminator_norm="none"), torch.arange(2)
    for build, inputs in ((build_generator, torch.randn(2, 4)), (build_discriminator, torch.randn(2, 1, 16, 16))):
        network = build(config, ImageShape(1, 16, 16), 2).eval()
        expected = network(inputs, labels)
        network = network.to(memory_format=torch.channels_last)
        assert torch.allclose(output(network(inputs, labels)), output(expected), atol=1e-5)
        with torch.autocast("cpu", torch.bfloat16):
            assert torch.allclose(output(network(inputs, labels)), output(expected), rtol=0.05, atol=0.05)


def output(found):
    """Images, or logits, as fp32."""
    return (found if isinstance(found, torch.Tensor) else found.logits).float()


@pytest.mark.parametrize("family", ["mlp", "dcgan_5x5"])
def test_weights_of_the_small_experiment_are_drawn_as_pytorch_does(family):
    generator = build_generator(NetworkConfig(family=family), ImageShape(1, 28, 28), 0)
    first = generator.layers[0].weight  # uniform within 1 / sqrt(100)
    assert first.abs().max().item() == pytest.approx(0.1, abs=1e-3)
    assert first.std().item() == pytest.approx(0.1 / 3**0.5, rel=0.01)


@pytest.mark.parametrize("network", [build_generator, build_discriminator])
def test_weights_of_cdcgan_are_normal_and_its_embeddings_are_not_small(network):
    label_map, *_ = network(NetworkConfig(family="cdcgan"), ImageShape(3, 64, 64), 53).children()
    assert label_map[0].weight.std().item() == pytest.approx(1, rel=0.05)
    assert label_map[1].weight.std().item() == pytest.approx(0.02, rel=0.05)
    assert label_map[1].bias.abs().max() == 0


def test_dropout_is_as_published():
    rates = {"cdcgan": 0.4, "dcgan_5x5": 0.3}
    for family, rate in rates.items():
        judge = build_discriminator(NetworkConfig(family=family), ImageShape(1, 32, 32), 2)
        assert [module.p for module in judge.modules() if isinstance(module, torch.nn.Dropout)] == [rate]
