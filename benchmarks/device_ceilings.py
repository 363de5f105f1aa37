"""Measure what a device can do at most: matrix products and copies of memory.

    python benchmarks/device_ceilings.py OUT.json

Products are of 8192x8192 random matrices, copies of 2 GiB, bytes read and written; medians of 10.
"""

from __future__ import annotations

import json
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

SIZE = 8192
REPEATS = 10


def main() -> None:
    """Measure on CUDA, and write the figures."""
    torch.backends.cuda.matmul.allow_tf32 = False
    figures: dict[str, Any] = {"device": torch.cuda.get_device_name(), "torch": torch.__version__}
    for name, dtype, tf32 in [
        ("fp32", torch.float32, False),
        ("tf32", torch.float32, True),
        ("bf16", torch.bfloat16, False),
    ]:
        torch.backends.cuda.matmul.allow_tf32 = tf32
        first, second = (torch.randn(SIZE, SIZE, device="cuda", dtype=dtype) for _ in range(2))
        seconds = measure(lambda a=first, b=second: a @ b)
        figures[f"{name}_tflops"] = round(2 * SIZE**3 / seconds / 1e12, 1)
    source = torch.randn(2**29, device="cuda")
    target = torch.empty_like(source)
    figures["copy_gb_per_second"] = round(2 * source.nbytes / measure(lambda: target.copy_(source)) / 1e9)
    Path(sys.argv[1]).write_text(json.dumps(figures))
    print(figures)


def measure(work: Callable[[], Any]) -> float:
    """Median seconds of the work, after three warm-ups."""
    times = []
    for _ in range(REPEATS + 3):
        torch.cuda.synchronize()
        started = time.perf_counter()
        work()
        torch.cuda.synchronize()
        times.append(time.perf_counter() - started)
    return statistics.median(times[3:])


if __name__ == "__main__":
    main()
