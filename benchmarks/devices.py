"""The device that is measured."""

from __future__ import annotations

import torch


def describe_device() -> str:
    """Name of the GPU, or the instruction set and the number of threads of the CPU: speeds of others do not compare."""
    if torch.cuda.is_available():
        return torch.cuda.get_device_name()
    threads = torch.get_num_threads()
    return f"CPU, {torch.backends.cpu.get_cpu_capability()}, {threads} thread{'s' * (threads > 1)}"
