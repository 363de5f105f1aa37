"""Measure the preparation of a folder of pictures beside torchvision's plain loops.

    python benchmarks/ingestion.py FOLDER [SIZE] [ROUNDS]

FOLDER holds <split>/<class>/*. Contenders alternate, each in a process of its own: `prepare_image_set`, which also
hashes, searches for duplicates and writes to disk, and loops over `ImageFolder` with `Resize` and `CenterCrop` into
arrays in memory. Prints medians: seconds, images per second, and the peak of
the memory that is not backed by files, over all processes of a contender.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np


def ours(folder: Path, size: int) -> Callable[[], int]:
    """Prepare an ImageSet; the job returns the number of its images."""
    from gan_pipelines.core.stores import KeyedStore  # noqa: PLC0415
    from gan_pipelines.images import DatasetConfig, prepare_image_set  # noqa: PLC0415 (neither pays for the other)

    def job() -> int:
        config = DatasetConfig(
            source="image_folder", path=str(folder), image_size=size, channels=3, resize_filter="bilinear"
        )
        with tempfile.TemporaryDirectory() as store:
            return len(prepare_image_set(KeyedStore(Path(store)), config))

    return job


def torchvision_uint8(folder: Path, size: int) -> Callable[[], int]:
    """Fill one uint8 array for each split in a loop: the leanest that torchvision has."""
    from torchvision.transforms import v2  # noqa: PLC0415

    return _loop(folder, size, v2.PILToTensor(), np.uint8)


def torchvision_float(folder: Path, size: int) -> Callable[[], int]:
    """Fill one float32 array for each split in a loop, with the usual ``ToTensor``."""
    from torchvision.transforms import ToTensor  # noqa: PLC0415

    return _loop(folder, size, ToTensor(), np.float32)


def _loop(folder: Path, size: int, to_tensor: Callable[..., Any], dtype: type[np.generic]) -> Callable[[], int]:
    from torchvision.datasets import ImageFolder  # noqa: PLC0415
    from torchvision.transforms import v2  # noqa: PLC0415

    def job() -> int:
        steps = v2.Compose([v2.Resize(size), v2.CenterCrop(size), to_tensor])
        parts = []
        for split in sorted(folder.iterdir()):
            dataset = ImageFolder(split, transform=steps)
            parts.append(np.empty((len(dataset), 3, size, size), dtype))
            for index, (picture, _) in enumerate(dataset):
                parts[-1][index] = picture.numpy()
        return sum(map(len, parts))

    return job


CONTENDERS: dict[str, Callable[[Path, int], Callable[[], int]]] = {
    "ours": ours,
    "torchvision_uint8": torchvision_uint8,
    "torchvision_float": torchvision_float,
}


def measure(name: str, folder: Path, size: int) -> tuple[float, int, float]:
    """Run a contender in its own process: seconds without its imports, images, and peak memory in MiB."""
    command = [sys.executable, __file__, "--alone", name, str(folder), str(size)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    peak = 0.0
    while process.poll() is None:
        peak = max(peak, anonymous_memory(process.pid))
        time.sleep(0.02)
    assert process.stdout is not None
    seconds, images = process.stdout.read().split()
    return float(seconds), int(images), peak


def anonymous_memory(pid: int) -> float:
    """MiB that a process and its children hold beside pages of files."""
    try:
        status = Path(f"/proc/{pid}/status").read_text()
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    except OSError:  # it has just ended
        return 0.0
    kibibytes = next((int(line.split()[1]) for line in status.splitlines() if line.startswith("RssAnon")), 0)
    return kibibytes / 1024 + sum(anonymous_memory(int(child)) for child in children)


def main(folder: Path, size: int, rounds: int) -> None:
    """Alternate the contenders and print a line for each."""
    results: dict[str, list[tuple[float, int, float]]] = {name: [] for name in CONTENDERS}
    for _ in range(rounds):
        for name in CONTENDERS:
            results[name].append(measure(name, folder, size))
    speeds: dict[str, float] = {}
    for name, measured in results.items():
        seconds, images = median(row[0] for row in measured), measured[0][1]
        speeds[name] = images / seconds
        memory = median(row[2] for row in measured)
        ratio = speeds["ours"] / speeds[name]
        print(
            f"{name:<18} {images:,} images  {seconds:.1f} s  {speeds[name]:,.0f} img/s  {memory:,.0f} MiB  "
            f"ours is {ratio:.2f} times as fast (medians of {rounds})"
        )


if __name__ == "__main__":
    if sys.argv[1] == "--alone":
        job = CONTENDERS[sys.argv[2]](Path(sys.argv[3]), int(sys.argv[4]))
        started = time.perf_counter()
        images = job()
        print(time.perf_counter() - started, images)
    else:
        size, rounds = [int(word) for word in sys.argv[2:]] + [64, 3][len(sys.argv) - 2 :]
        main(Path(sys.argv[1]), size, rounds)
