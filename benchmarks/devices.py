"""The device that is measured."""

from __future__ import annotations

import torch


def describe_device() -> str:
    """Name of the GPU, or ``cpu``."""
    return torch.cuda.get_device_name() if torch.cuda.is_available() else "cpu"
