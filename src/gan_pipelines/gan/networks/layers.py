"""Layers, checks, initialisation and spectral norm, shared by the networks."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Final

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch._compile import _disable_dynamo  # unlike torch.compiler.disable, it costs no second at import
from torch.nn.utils import parametrize
from torch.nn.utils.parametrizations import _SpectralNorm

from gan_pipelines.core.config import require
from gan_pipelines.gan.config import NetworkConfig, NetworkFamilyName, NormName
from gan_pipelines.gan.networks.interface import ImageShape

LEAKY_SLOPE: Final = 0.2
INITIAL_STD: Final = 0.02
HALVINGS_OF_32: Final = 3
"""Halvings of a 32x32 image on the way to 4x4; above it, the widths of residual networks follow another rule."""
POWER_ITERATIONS: Final = 20
"""Number of power iterations that estimate the spectral norm of averaged weights from a nearby start."""

NORMS: Final[dict[NormName, Callable[[int], nn.Module]]] = {
    "batch": nn.BatchNorm2d,
    "instance": lambda channels: nn.InstanceNorm2d(channels, affine=True),
    "layer": lambda channels: nn.GroupNorm(1, channels),
    "none": lambda channels: nn.Identity(),
}


class SelfAttention(nn.Module):
    """Self-attention over the positions of a feature map (Zhang et al. 2019, equations 1 to 3).

    s_ij = f(x_i) . g(x_j); beta_ji = softmax of s_ij over i; o_j = v(sum_i beta_ji h(x_i)); y = gamma o + x. The
    learned scale gamma starts at 0. f, g and h are 1x1 convolutions to an eighth of the channels, v is one back to all;
    none has a bias.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        inner = max(1, channels // 8)
        self.f = nn.Conv2d(channels, inner, 1, bias=False)
        self.g = nn.Conv2d(channels, inner, 1, bias=False)
        self.h = nn.Conv2d(channels, inner, 1, bias=False)
        self.v = nn.Conv2d(inner, channels, 1, bias=False)
        self.gamma = nn.Parameter(torch.zeros(()))

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, C, H, W) to the same shape."""
        # (N, 1, positions, channels / 8): PyTorch's memory-efficient kernels, which never store the matrix of all pairs
        # of positions, need a dimension of heads and contiguous tensors.
        keys, queries, values = (layer(x).flatten(2).mT.unsqueeze(1).contiguous() for layer in (self.f, self.g, self.h))
        mixed = F.scaled_dot_product_attention(queries, keys, values, scale=1.0)
        return x + self.gamma * self.v(mixed.squeeze(1).mT.unflatten(2, x.shape[2:]))


class ClassProjection(nn.Module):
    """Inner products of features with the embeddings of their labels (Miyato & Koyama 2018, section 3).

    The embeddings are the rows of a linear layer, so that spectral norm applies to them.
    """

    def __init__(self, channels: int, num_classes: int) -> None:
        super().__init__()
        self.embedding = nn.Linear(channels, num_classes, bias=False)

    def forward(self, features: Tensor, labels: Tensor) -> Tensor:
        """Map features (N, channels) and labels (N,) to inner products (N,)."""
        return self.embedding(features).gather(1, labels[:, None]).squeeze(1)


def count_halvings(image_shape: ImageShape, smallest: int, family: NetworkFamilyName) -> int:
    """Count how often square images are halved on the way to 4x4.

    Args:
        image_shape: channels, height and width.
        smallest: the smallest size that the networks support, in pixels.
        family: the networks.

    Raises:
        ConfigError: if the images are not square, or their size is below ``smallest`` or not a power of two.
    """
    height, width = image_shape.height, image_shape.width
    fits = height == width and height >= smallest and height.bit_count() == 1
    sizes = ", ".join(f"{size}x{size}" for size in (smallest, 2 * smallest, 4 * smallest))
    require(fits, "image_size", f"{height}x{width}", f"{sizes}, ... for the {family} networks")
    return (height // 4).bit_length() - 1


def require_no_norm(config: NetworkConfig) -> None:
    """Check that no normalisation is asked for in a discriminator that has no place for it.

    Raises:
        ConfigError: if ``discriminator_norm`` is not ``none``.
    """
    norm = config.discriminator_norm
    require(norm == "none", "discriminator_norm", norm, f"none for the {config.family} networks")


def initialize_normal(network: nn.Module) -> None:
    """Initialise weights in place as DCGAN does (Radford et al. 2016, section 4).

    Convolutions and linear layers get N(0, s), scales of norms N(1, s), biases 0, with the standard deviation s =
    `INITIAL_STD`.
    Embeddings keep PyTorch's N(0, 1), because they serve as inputs.
    """
    for module in network.modules():
        if isinstance(module, nn.Conv2d | nn.ConvTranspose2d | nn.Linear):
            nn.init.normal_(module.weight, 0.0, INITIAL_STD)
        elif isinstance(module, nn.BatchNorm2d | nn.InstanceNorm2d | nn.GroupNorm):
            nn.init.normal_(module.weight, 1.0, INITIAL_STD)
        else:
            continue
        if module.bias is not None:
            nn.init.zeros_(module.bias)


class SpectralNorm(_SpectralNorm):
    """PyTorch's, outside of compiled graphs.

    These would keep its estimate for the backward pass, while the next forward pass changes the estimate in place.
    """

    @_disable_dynamo
    def forward(self, weight: Tensor) -> Tensor:
        """Divide a weight by its spectral norm."""
        return super().forward(weight)


def apply_spectral_norm(network: nn.Module) -> None:
    """Divide the weights of convolutions and linear layers by their spectral norm, in place (Miyato et al. 2018).

    Initialise the weights before: afterwards, initialising has no effect.
    """
    for module in list(network.modules()):
        if isinstance(module, nn.Conv2d | nn.ConvTranspose2d | nn.Linear):
            dim = int(isinstance(module, nn.ConvTranspose2d))  # of the output channels
            parametrize.register_parametrization(module, "weight", SpectralNorm(module.weight, dim=dim))


def plain_state(network: nn.Module) -> dict[str, Tensor]:
    """Return the state dict of an equivalent network without spectral norm: copies on the CPU.

    PyTorch's `remove_parametrizations` does not serve: on a deep copy, it breaks the original network.
    """
    copied = copy.deepcopy(network)
    state = copied.state_dict()
    for name, module in copied.named_modules():
        if parametrize.is_parametrized(module):
            state = {key: tensor for key, tensor in state.items() if not key.startswith(f"{name}.parametrizations.")}
            state[f"{name}.weight"] = _normalized_weight(module)
    return {name: tensor.detach().cpu().clone() for name, tensor in state.items()}


@torch.no_grad()
def _normalized_weight(module: nn.Module) -> Tensor:
    """Divide the weight by its spectral norm. It is estimated anew, since the EMA also averages the estimates."""
    module.train()
    for _ in range(POWER_ITERATIONS):
        weight = module.weight  # in training mode, each access is one power iteration
    return weight  # type: ignore[return-value]
