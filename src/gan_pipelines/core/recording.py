"""Training steps recorded as CUDA graphs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor

from gan_pipelines.core.errors import ProjectError, first_line

Step = Callable[..., dict[str, Tensor]]
"""Trains on a batch: takes tensors, or None for what there is not, and returns named tensors."""
Shapes = tuple[torch.Size | None, ...]
"""Shapes of a step's inputs."""
LAUNCHED_STEPS = 10
"""Steps that are launched kernel by kernel before one is recorded.

The first ones choose kernels and make the optimisers' states, which a recording must find. To record takes longer than
to launch a few, so it would not pay where learning rates change after so few steps.
"""


class StepUnrecordable(ProjectError):
    """A training step that cannot be recorded as a CUDA graph."""


class _Recording(NamedTuple):
    """A graph, the tensors that it reads, and those that it writes."""

    graph: torch.cuda.CUDAGraph
    inputs: tuple[Tensor | None, ...]
    outputs: dict[str, Tensor]


class RecordedStep:
    """A training step that is recorded once and then launched as a whole.

    A step is hundreds of small kernels: to launch each takes the host longer than to compute it takes the GPU. The
    host's numbers in a recording do not change; learning rates are such numbers, so with others the step is launched
    again for a while and recorded anew. Random numbers are drawn anew each time, and are those of launched steps.

    Args:
        compute: the step. Of the host's numbers, only learning rates may change.
        optimizers: what it updates weights with; ``capturable`` must be set where they have it.
        stream: of all recorded steps of the same weights, since gradients remember the stream of their first use.
    """

    def __init__(self, compute: Step, optimizers: Sequence[torch.optim.Optimizer], stream: torch.cuda.Stream) -> None:
        self._compute = compute
        self._optimizers = optimizers
        self._stream = stream
        self._learning_rates: list[float] = []
        self._launches: Counter[Shapes] = Counter()
        self._recordings: dict[Shapes, _Recording] = {}

    def __call__(self, *inputs: Tensor | None) -> dict[str, Tensor]:
        """Train on a batch. Batches of each shape have a recording of their own.

        Returns:
            what the step returns, in tensors that its next call may overwrite.

        Raises:
            StepUnrecordable: if the step waits for the device.
        """
        learning_rates = [group["lr"] for optimizer in self._optimizers for group in optimizer.param_groups]
        if learning_rates != self._learning_rates:
            self._learning_rates = learning_rates
            self._launches.clear()
            self._recordings.clear()
        shapes = tuple(None if each is None else each.shape for each in inputs)
        if self._launches[shapes] < LAUNCHED_STEPS:
            self._launches[shapes] += 1
            return self._launch(inputs)
        if shapes not in self._recordings:
            self._recordings[shapes] = self._record(inputs)
        return _replay(self._recordings[shapes], inputs)

    def _launch(self, inputs: tuple[Tensor | None, ...]) -> dict[str, Tensor]:
        self._stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(self._stream):
            outputs = self._compute(*inputs)
        torch.cuda.current_stream().wait_stream(self._stream)
        return outputs

    def _record(self, inputs: tuple[Tensor | None, ...]) -> _Recording:
        """Record the step, which computes nothing yet."""
        own = tuple(None if each is None else each.clone() for each in inputs)
        graph = torch.cuda.CUDAGraph()
        try:
            with torch.cuda.graph(graph, stream=self._stream):
                outputs = self._compute(*own)
        except torch.OutOfMemoryError:
            raise
        except RuntimeError as error:
            raise StepUnrecordable(
                f"A training step cannot be recorded as a CUDA graph ({first_line(error)}): it must neither wait for "
                "the device, as item() and cpu() do, nor make tensors whose shapes depend on values."
            ) from error
        return _Recording(graph, own, outputs)


def record_on_cuda(
    steps: Sequence[Step], optimizers: Sequence[torch.optim.Optimizer], device: torch.device
) -> Sequence[Step]:
    """Record steps that train the same weights, if the device is a CUDA one; see `RecordedStep`."""
    if device.type != "cuda":
        return steps
    stream = torch.cuda.Stream()
    return [RecordedStep(step, optimizers, stream) for step in steps]


def _replay(recording: _Recording, inputs: tuple[Any, ...]) -> dict[str, Tensor]:
    for own, given in zip(recording.inputs, inputs, strict=True):
        if own is not None:
            own.copy_(given)
    recording.graph.replay()
    return recording.outputs
