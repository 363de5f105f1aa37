"""How time and memory grow with the number of images, their size, the batch, the width, and the samples of an FID.

    python benchmarks/growth.py OUT

Each row is measured in a process of its own: seconds until the first step, training images per second (DCGAN, 32x32 in
colour, width 64, batch 64 unless it is what grows), and the peak of resident memory that no file backs. Of FID, seconds
and peak for the moments of 512 features. OUT/growth.csv gets a row as soon as it is measured. Linux only.
"""

from __future__ import annotations

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
CHUNK = 1_000


class Memory(threading.Thread):
    """Follows the memory of this process that is backed by no file."""

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self.peak = 0.0
        self.start()

    def run(self) -> None:
        """Look every few milliseconds."""
        while True:
            lines = Path("/proc/self/status").read_text().splitlines()
            (line,) = (line for line in lines if line.startswith("RssAnon"))
            self.peak = max(self.peak, int(line.split()[1]) / 1024)
            time.sleep(0.005)


def main() -> None:
    """Grow one thing at a time."""
    out = Path(sys.argv[1])
    out.mkdir(parents=True, exist_ok=True)
    rows = []
    for growing, values in GROWING.items():
        for value in values:
            command = [sys.executable, __file__, "one", growing, str(value)]
            found = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
            rows.append({"growing": growing, "value": value, **found})
            print(rows[-1], flush=True)
            pd.DataFrame(rows).to_csv(out / "growth.csv", index=False)


def measure(growing: str, value: int) -> dict[str, Any]:
    """One row."""
    if growing == "samples":
        return measure_moments(value)
    return measure_training(**{**TYPICAL, growing: value})


def measure_training(images: int, size: int, batch: int, width: int) -> dict[str, Any]:
    """Train a DCGAN for some seconds on images in a memory-mapped file."""
    from gan_pipelines.gan import VARIANTS, train  # noqa: PLC0415 (so that the parent stays small)

    row = VARIANTS["dcgan"]
    config = replace(row, networks=replace(row.networks, width=width), batch_size=batch, epochs=10_000)
    with tempfile.TemporaryDirectory() as folder:
        shape = (images, 3, size, size)
        pixels = np.lib.format.open_memmap(f"{folder}/images.npy", mode="w+", dtype=np.uint8, shape=shape)
        draws = np.random.default_rng(0)
        for first in range(0, images, CHUNK):
            pixels[first : first + CHUNK] = draws.integers(0, 256, pixels[first : first + CHUNK].shape, np.uint8)
        memory, times = Memory(), [time.perf_counter()]

        def on_step(seen: int) -> None:
            times.append(time.perf_counter())
            if times[-1] - times[1] > SECONDS and len(times) > 3:
                raise InterruptedError

        with contextlib.suppress(InterruptedError):
            for _ in train(config, pixels, device="cpu", on_step=on_step):
                pass
    steps = np.diff(times[2:])  # the first step warms up
    return {
        "seconds_before": round(times[1] - times[0], 2),
        "images_per_second": round(batch / float(np.median(steps)), 1),
        "peak_mib": round(memory.peak),
    }


def measure_moments(samples: int) -> dict[str, Any]:
    """Accumulate the moments of random features."""
    import torch  # noqa: PLC0415

    from gan_pipelines.metrics import Moments  # noqa: PLC0415

    def features() -> Iterator[torch.Tensor]:
        for _ in range(0, samples, CHUNK):
            yield torch.randn(CHUNK, 512)

    memory, started = Memory(), time.perf_counter()
    Moments.of_stream(features())
    return {"seconds_before": round(time.perf_counter() - started, 2), "peak_mib": round(memory.peak)}


if __name__ == "__main__":
    if sys.argv[1] == "one":
        print(json.dumps(measure(sys.argv[2], int(sys.argv[3]))))
    else:
        main()
