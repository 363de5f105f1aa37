"""Names of devices and precisions, apart from PyTorch so that configurations can use them without loading it."""

from typing import Literal

DeviceName = Literal["auto", "cpu", "cuda", "mps"]
Precision = Literal["fp32", "bf16", "auto"]
