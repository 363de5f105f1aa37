"""Devices, precision, and random states that do not touch the process's own."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager

import torch

from gan_pipelines.core.config import ConfigError, require_choice
from gan_pipelines.core.runtime import DeviceName, Precision


def resolve_device(name: DeviceName) -> torch.device:
    """Return the named device; ``auto`` takes CUDA, then MPS, then the CPU.

    Raises:
        ConfigError: if the name is unknown, or this machine has no such device.
    """
    require_choice("device", name, DeviceName)
    available = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available(), "cpu": True}
    present = [device for device, found in available.items() if found]
    if name == "auto":
        return torch.device(present[0])
    if name not in present:
        found = f"is {name!r}, but PyTorch finds only {', '.join(present)} here; use auto or cpu."
        raise ConfigError(found, "device")
    return torch.device(name)


def resolve_precision(precision: Precision, device: torch.device) -> Precision:
    """Return the precision; ``auto`` is bf16 where the device computes in it natively, and else fp32."""
    if precision != "auto":
        return precision
    is_native = {
        "cuda": lambda: torch.cuda.is_bf16_supported(including_emulation=False),
        "cpu": lambda: torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported(),
        "mps": lambda: False,
    }
    return "bf16" if is_native[device.type]() else "fp32"


def free_memory(device: torch.device) -> float:
    """Free bytes of a device; infinite for the CPU, whose images are memory-mapped."""
    if device.type == "cuda":
        return torch.cuda.mem_get_info(device)[0]
    if device.type == "mps":
        return torch.mps.recommended_max_memory() - torch.mps.driver_allocated_memory()
    return math.inf


def autocast(device: torch.device, precision: Precision) -> torch.autocast:
    """Context for forward passes in a resolved precision; weights stay fp32."""
    return torch.autocast(device.type, dtype=torch.bfloat16, enabled=precision == "bf16")


class RandomState:
    """Random generators of the CPU and of one device, separate from the process's own.

    Random numbers that the caller draws between two epochs do not change the training, and the state can be saved.
    """

    def __init__(self, seed: int, device: torch.device) -> None:
        self.device = device
        self._is_active = False
        self._states = {
            kind: torch.Generator(kind).manual_seed(seed).get_state() for kind in dict.fromkeys(("cpu", device.type))
        }

    @contextmanager
    def active(self) -> Iterator[None]:
        """Make PyTorch draw from these generators within the block."""
        outer = self._read()
        try:
            self._write(self._states)
            self._is_active = True
            yield
            self._states = self._read()
        finally:
            self._is_active = False
            self._write(outer)

    def state_dict(self) -> dict[str, torch.Tensor]:
        """Current state of each generator, inside and outside of the block."""
        return self._read() if self._is_active else self._states

    def load_state_dict(self, states: dict[str, torch.Tensor]) -> None:
        """Restore states from `state_dict`; a generator of a device that they lack stays as it is."""
        self._states = self._states | states

    def _read(self) -> dict[str, torch.Tensor]:
        states = {"cpu": torch.get_rng_state()}
        if self.device.type != "cpu":
            states[self.device.type] = torch.get_device_module(self.device).get_rng_state()
        return states

    def _write(self, states: dict[str, torch.Tensor]) -> None:
        torch.set_rng_state(states["cpu"])
        if self.device.type != "cpu":
            torch.get_device_module(self.device).set_rng_state(states[self.device.type])
