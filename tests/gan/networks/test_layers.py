from __future__ import annotations

import copy
import math

import pytest
import torch
from torch import nn
from torch.nn.utils import parametrize
from torch.nn.utils.parametrizations import spectral_norm

from gan_pipelines.gan import ImageShape, NetworkConfig
from gan_pipelines.gan.networks import build_discriminator, build_generator, load_generator, plain_state
from gan_pipelines.gan.networks.layers import SelfAttention, apply_spectral_norm
from gan_pipelines.gan.penalties import gradient_penalty


def test_attention_equals_its_equations_written_out():
    attention = SelfAttention(16).double()
    attention.gamma.data.fill_(0.7)
    x = torch.randn(2, 16, 3, 4, dtype=torch.float64)
    f, g, h, v = (getattr(attention, name).weight.detach()[:, :, 0, 0] for name in "fghv")
    expected = x.clone()
    for image, out in zip(x, expected, strict=True):
        places = [image[:, row, column] for row in range(3) for column in range(4)]
        for j, x_j in enumerate(places):
            scores = [math.exp((f @ x_i) @ (g @ x_j)) for x_i in places]
            mixed = sum(score / sum(scores) * (h @ x_i) for score, x_i in zip(scores, places, strict=True))
            out[:, j // 4, j % 4] += 0.7 * (v @ mixed)
    assert torch.allclose(attention(x), expected, atol=1e-10)


def test_attention_begins_as_the_identity_and_can_learn():
    attention, x = SelfAttention(8), torch.randn(2, 8, 4, 4)
    assert torch.equal(attention(x), x)
    (attention(x) ** 2).sum().backward()
    assert attention.gamma.grad.abs() > 0


def test_a_penalty_reaches_through_attention():
    config = NetworkConfig(width=8, discriminator_norm="none", attention=True)
    critic = build_discriminator(config, ImageShape(1, 16, 16), 0)
    for module in critic.modules():
        if isinstance(module, SelfAttention):
            module.gamma.data.fill_(0.5)
    gradient_penalty(critic, torch.randn(2, 1, 16, 16), None, 1.0).backward()
    assert all(torch.isfinite(p.grad).all() and p.grad.abs().max() > 0 for p in critic.parameters())


def spectral_norms(network):
    """By SVD, of the matrix whose rows are the outputs."""
    norms = []
    for module in network.modules():
        if isinstance(module, nn.Conv2d | nn.ConvTranspose2d | nn.Linear):
            weight = module.weight.detach()
            rows = weight.transpose(0, 1) if isinstance(module, nn.ConvTranspose2d) else weight
            norms.append(torch.linalg.svdvals(rows.flatten(1))[0].item())
    return norms


@pytest.mark.integration
@pytest.mark.parametrize("family", ["dcgan", "mlp"])
def test_after_a_hundred_iterations_all_spectral_norms_are_one(family):
    config = NetworkConfig(
        family=family, width=16, discriminator_norm="none", spectral_norm="both", attention=family == "dcgan"
    )
    shape = ImageShape(3, 32, 32)
    layers = {"dcgan": [12, 12], "mlp": [4, 3]}[family]
    for network, inputs in (
        (build_generator(config, shape, 0), torch.randn(2, 100)),
        (build_discriminator(config, shape, 0), torch.randn(2, *shape)),
    ):
        with torch.no_grad():
            for _ in range(100):
                network(inputs)
        network.eval()
        norms = spectral_norms(network)
        assert len(norms) == layers.pop(0)
        assert norms == pytest.approx([1.0] * len(norms), rel=0.01)


def with_both_norms(*layers):
    """Layers with spectral norm as networks have it, and as PyTorch does it."""
    ours = nn.Sequential(*layers)
    theirs = copy.deepcopy(ours)
    torch.manual_seed(1)
    apply_spectral_norm(ours)
    torch.manual_seed(1)
    for layer in theirs:
        if hasattr(layer, "weight"):
            spectral_norm(layer)
    return ours, theirs


def test_spectral_norm_is_that_of_pytorch():
    ours, theirs = with_both_norms(nn.ConvTranspose2d(3, 2, 2), nn.LeakyReLU(), nn.Conv2d(2, 1, 2))
    x = torch.randn(4, 3, 3, 3)
    assert torch.equal(ours(x), theirs(x))
    assert list(ours.state_dict()) == list(theirs.state_dict())
    assert all(map(torch.equal, ours.state_dict().values(), theirs.state_dict().values()))


@pytest.mark.integration
def test_compiled_and_eager_networks_with_spectral_norm_have_the_same_gradients():
    compiled, eager = with_both_norms(nn.Linear(4, 4), nn.LeakyReLU(), nn.Linear(4, 1))
    compiled.compile()
    real, fake = torch.randn(2, 8, 4).unbind()
    for network in (compiled, eager):  # several forward passes before the backward pass
        (network(real).mean() - network(fake).mean() + network(fake).square().mean()).backward()
    for parameter, expected in zip(compiled.parameters(), eager.parameters(), strict=True):
        torch.testing.assert_close(parameter.grad, expected.grad)


@pytest.mark.parametrize(("choice", "normed"), [("none", (0, 0)), ("discriminator", (0, 4)), ("both", (4, 4))])
def test_spectral_norm_is_where_it_is_asked_for_and_on_drawn_weights(choice, normed):
    config, shape = NetworkConfig(width=8, spectral_norm=choice), ImageShape(1, 32, 32)
    networks = build_generator(config, shape, 0), build_discriminator(config, shape, 0)
    for network, count in zip(networks, normed, strict=True):
        lists = [m for m in network.modules() if isinstance(m, parametrize.ParametrizationList)]
        assert len(lists) == count
        for weights in lists:
            if weights.original.numel() > 1000:
                assert weights.original.std().item() == pytest.approx(0.02, rel=0.1)


@pytest.mark.integration
@pytest.mark.parametrize("settings", [{"family": "dcgan", "attention": True}, {"family": "resnet_projection"}])
def test_a_plain_state_makes_the_same_images_without_spectral_norm(settings):
    config, shape = NetworkConfig(width=4, spectral_norm="both", **settings), ImageShape(1, 16, 16)
    generator = build_generator(config, shape, 3)
    latents, labels = torch.randn(4, 100), torch.tensor([0, 1, 2, 1])
    with torch.no_grad():
        for _ in range(300):
            generator(latents, labels)
    before = copy.deepcopy(generator.state_dict())
    plain = load_generator(config, shape, 3, plain_state(generator))
    assert not any(parametrize.is_parametrized(module) for module in plain.modules())
    with torch.no_grad():
        assert torch.allclose(plain(latents, labels), generator.eval()(latents, labels), atol=1e-3)
    assert all(torch.equal(before[name], tensor) for name, tensor in generator.state_dict().items())
    generator.train()(latents, labels)  # the network is whole


def test_of_averaged_weights_the_norm_is_estimated_anew():
    # Two generators whose largest directions differ: the mean of the estimates fits neither, nor the mean weights.
    config, shape = NetworkConfig(width=8, spectral_norm="both"), ImageShape(1, 16, 16)
    first, second = build_generator(config, shape, 0), build_generator(config, shape, 0)
    mean = copy.deepcopy(first)
    for target, *sources in zip(*(n.state_dict().values() for n in (mean, first, second)), strict=True):
        target.copy_(sum(sources) / 2 if target.is_floating_point() else sources[0])
    norms = spectral_norms(load_generator(config, shape, 0, plain_state(mean)))
    assert norms == pytest.approx([1.0] * len(norms), rel=0.03)
