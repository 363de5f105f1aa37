"""Names of devices, precisions and compilation modes, apart from PyTorch so that configurations load without it."""

from __future__ import annotations

from typing import Literal

DeviceName = Literal["auto", "cpu", "cuda", "mps"]
Precision = Literal["fp32", "bf16", "auto"]
Compilation = Literal["none", "default"]
"""Mode of torch.compile; ``none`` does not compile."""
