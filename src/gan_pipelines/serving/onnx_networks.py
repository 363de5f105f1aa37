"""Generators as ONNX networks."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Final

import torch
from torch import Tensor, nn

from gan_pipelines.core.errors import ProjectError
from gan_pipelines.core.pixels import to_uint8
from gan_pipelines.gan import WEIGHT_SETS, TrainedGenerator, WeightSet

if TYPE_CHECKING:
    from onnx import ModelProto

OPSET: Final = 20
"""Version of ONNX's operators."""
PROVIDERS: Final = ("CPUExecutionProvider",)
"""What onnxruntime computes with."""


class ExportFailed(ProjectError):
    """Networks that PyTorch's exporter cannot convert."""


class ImageNetwork(nn.Module):
    """A generator's network whose images are uint8: rounding to grey levels is part of the file."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, latents: Tensor, labels: Tensor | None = None) -> Tensor:
        """Map latents (N, latent_size), and labels (N,) or None, to images (N, C, H, W) uint8."""
        return to_uint8(self.network(latents, labels))


def to_onnx(generator: TrainedGenerator) -> dict[WeightSet, bytes]:
    """Convert a generator to one ONNX network for each set of weights, of which one for all sets is traced.

    The inputs are ``latents`` (N, latent_size) float32 and, of a conditional generator, ``labels`` (N,) int64; the
    output is ``images`` (N, C, H, W) uint8. N is free.

    Raises:
        ExportFailed: if the networks have something that ONNX lacks.
    """
    traced = _trace(generator)
    return {weights: _with_weights(traced, generator.weights[weights]) for weights in WEIGHT_SETS}


def _trace(generator: TrainedGenerator) -> ModelProto:
    """Trace the network, whose constants stay apart: optimised, they would be mixed with this set of weights."""
    network = ImageNetwork(generator.network()).eval()
    latents, labels = torch.zeros(2, generator.config.networks.latent_size), torch.zeros(2, dtype=torch.int64)
    inputs = {"latents": latents} | ({"labels": labels} if generator.is_conditional else {})
    try:
        program = torch.onnx.export(
            network,
            tuple(inputs.values()),
            input_names=list(inputs),
            output_names=["images"],
            dynamic_shapes=tuple({0: torch.export.Dim.DYNAMIC} for _ in inputs),
            opset_version=OPSET,
            optimize=False,  # onnxruntime does so when it loads a file
            verbose=False,
        )
    except torch.onnx.errors.OnnxExporterError as error:
        family, cause = generator.config.networks.family, type(error.__cause__ or error).__name__
        raise ExportFailed(
            f"The {family} networks cannot be exported to ONNX ({cause}): make them such that torch.export can trace "
            "them. All else of the training is saved."
        ) from error
    assert program is not None
    traced = program.model_proto
    for node in traced.graph.node:
        del node.metadata_props[:]  # where the code is on this machine
    return traced


def _with_weights(traced: ModelProto, weights: Mapping[str, Tensor]) -> bytes:
    """The file of a traced network with other weights."""
    from onnx import ModelProto, numpy_helper  # noqa: PLC0415 (not for scoring what is exported)

    model = ModelProto()
    model.CopyFrom(traced)
    for constant in model.graph.initializer:
        section, _, name = constant.name.partition(".")
        if section == "network":
            constant.CopyFrom(numpy_helper.from_array(weights[name].numpy(), constant.name))
    return model.SerializeToString()
