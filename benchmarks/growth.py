"""Measure how time and memory grow with the images, their size, the batch, the width, and the samples of an FID.

    python benchmarks/growth.py OUT

One quantity grows at a time. The others are those of a DCGAN of width 64 on 2,000 colour images of 32x32, in batches of
64. Each row is measured in its own process: seconds until the first step, training images per second, and peak resident
memory that is not backed by files. For the samples of an FID, time and memory are those of the moments of 512 features.
OUT/growth.csv gets each row as soon as it is measured. Linux only.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

GROWING: dict[str, list[int]] = {
    "images": [1_000, 10_000, 100_000, 400_000],
    "size": [16, 32, 64, 128],
    "batch": [16, 64, 256],
    "width": [32, 64, 128, 256],
    "samples": [10_000, 50_000, 200_000, 1_000_000],
}
TYPICAL = {"images": 2_000, "size": 32, "batch": 64, "width": 64}
SECONDS = 8.0
"""Seconds of training after the first step."""
CHUNK = 1_000
"""Number of images or features that are made at a time."""


class MemoryMonitor(threading.Thread):
    """Records the peak of this process's memory that is not backed by files.

    Attributes:
        peak: in MiB.
    """

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self.peak = 0.0
        self.start()

    def run(self) -> None:
        """Measure every 5 ms."""
        while True:
            lines = Path("/proc/self/status").read_text().splitlines()
            (line,) = (line for line in lines if line.startswith("RssAnon"))
            self.peak = max(self.peak, int(line.split()[1]) / 1024)
            time.sleep(0.005)


def main() -> None:
    """Grow one quantity at a time, or measure one row and print it as JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path)
    parser.add_argument("--only", nargs=2, metavar=("QUANTITY", "VALUE"), help="measure one row in this process")
    options = parser.parse_args()
    if options.only:
        quantity, value = options.only
        print(json.dumps(measure(quantity, int(value))))
        return
    options.out.mkdir(parents=True, exist_ok=True)
    rows = []
    for quantity, values in GROWING.items():
        for value in values:
            command = [sys.executable, __file__, options.out, "--only", quantity, str(value)]
            found = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
            rows.append({"growing": quantity, "value": value, **found})
            print(rows[-1], flush=True)
            pd.DataFrame(rows).to_csv(options.out / "growth.csv", index=False)


def measure(quantity: str, value: int) -> dict[str, Any]:
    """Measure one row."""
    if quantity == "samples":
        return measure_moments(value)
    return measure_training(**{**TYPICAL, quantity: value})


def measure_training(images: int, size: int, batch: int, width: int) -> dict[str, Any]:
    """Train a DCGAN for `SECONDS` on random images in a memory-mapped file."""
    from gan_pipelines.gan import VARIANTS, train  # noqa: PLC0415 (PyTorch only in the processes that measure)

    variant = VARIANTS["dcgan"]
    config = replace(variant, networks=replace(variant.networks, width=width), batch_size=batch, epochs=10_000)
    with tempfile.TemporaryDirectory() as folder:
        shape = (images, 3, size, size)
        pixels = np.lib.format.open_memmap(f"{folder}/images.npy", mode="w+", dtype=np.uint8, shape=shape)
        draws = np.random.default_rng(0)
        for first in range(0, images, CHUNK):
            pixels[first : first + CHUNK] = draws.integers(0, 256, pixels[first : first + CHUNK].shape, np.uint8)
        memory, times = MemoryMonitor(), [time.perf_counter()]

        def on_step(seen: int) -> None:
            times.append(time.perf_counter())
            if times[-1] - times[1] > SECONDS and len(times) > 3:
                raise InterruptedError

        with contextlib.suppress(InterruptedError):
            for _ in train(config, pixels, device="cpu", on_step=on_step):
                pass
    steps = np.diff(times[2:])  # without the first step, which warms up
    return {
        "seconds_before": round(times[1] - times[0], 2),
        "images_per_second": round(batch / float(np.median(steps)), 1),
        "peak_mib": round(memory.peak),
    }


def measure_moments(samples: int) -> dict[str, Any]:
    """Compute the moments of random features."""
    import torch  # noqa: PLC0415

    from gan_pipelines.metrics import Moments  # noqa: PLC0415

    def features() -> Iterator[torch.Tensor]:
        for _ in range(0, samples, CHUNK):
            yield torch.randn(CHUNK, 512)

    memory, started = MemoryMonitor(), time.perf_counter()
    Moments.of_stream(features())
    return {"seconds_before": round(time.perf_counter() - started, 2), "peak_mib": round(memory.peak)}


if __name__ == "__main__":
    main()
