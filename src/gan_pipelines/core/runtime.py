"""Devices, precisions, and what a run reports, apart from PyTorch so that configurations can use them without it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from gan_pipelines.core.config import require, require_choice

DeviceName = Literal["auto", "cpu", "cuda", "mps"]
Precision = Literal["fp32", "bf16", "auto"]
Compilation = Literal["none", "default", "reduce-overhead"]
"""Whether networks go through torch.compile, and in which of its modes; the last has CUDA graphs."""


@dataclass(frozen=True, kw_only=True)
class RuntimeConfig:
    """What a run is asked for on a machine.

    Attributes:
        device: ``auto`` takes CUDA, then MPS, then the CPU.
        fresh: whether a training begins again although there is a checkpoint.
    """

    device: DeviceName = "auto"
    fresh: bool = False

    def __post_init__(self) -> None:
        require_choice("device", self.device, DeviceName)


@dataclass(frozen=True, kw_only=True)
class ReportingConfig:
    """What a training shows of itself: a sample grid every so many epochs."""

    grid_every_epochs: int

    def __post_init__(self) -> None:
        require(self.grid_every_epochs >= 1, "grid_every_epochs", self.grid_every_epochs, "1 or more")
