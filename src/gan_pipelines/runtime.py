"""Names of devices and precisions, apart from PyTorch so that configurations can use them without loading it."""

from typing import Literal

DeviceName = Literal["auto", "cpu", "cuda", "mps"]
Precision = Literal["fp32", "bf16", "auto"]
Compilation = Literal["none", "default", "reduce-overhead"]
"""Whether networks go through torch.compile, and in which of its modes; the last has CUDA graphs."""
