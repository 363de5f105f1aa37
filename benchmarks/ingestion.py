"""Compare the preparation of an image folder with plain torchvision loops.

    python benchmarks/ingestion.py FOLDER [SIZE] [ROUNDS] [--rows FILE] [--title TITLE]

FOLDER contains <split>/<class>/*. `prepare_image_set` also hashes the images, searches for duplicates and writes to
disk. The torchvision contenders loop over `ImageFolder` with `Resize` and `CenterCrop` and fill arrays in memory.
Contenders alternate, each in its own process. Prints medians of seconds, images per second, and peak memory that is not
backed by files, over all processes of a contender. FILE, a CSV, gets them too, in the place of earlier ones with the
same TITLE. Linux only.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from datetime import date
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import pandas as pd

Job = Callable[[], int]
"""Prepares all images and returns their number. What is imported before is not part of the time."""


def load_ours(folder: Path, size: int) -> Job:
    """Prepare an ImageSet."""
    from gan_pipelines.core.stores import KeyedStore  # noqa: PLC0415 (a contender imports only what it needs)
    from gan_pipelines.images import DatasetConfig, prepare_image_set  # noqa: PLC0415

    def job() -> int:
        config = DatasetConfig(
            source="image_folder", path=str(folder), image_size=size, channels=3, resize_filter="bilinear"
        )
        with tempfile.TemporaryDirectory() as store:
            return len(prepare_image_set(KeyedStore(Path(store)), config))

    return job


def load_torchvision_uint8(folder: Path, size: int) -> Job:
    """Fill a uint8 array for each split, torchvision's variant with the least memory."""
    from torchvision.transforms import v2  # noqa: PLC0415

    return _loop(folder, size, v2.PILToTensor(), np.uint8)


def load_torchvision_float(folder: Path, size: int) -> Job:
    """Fill a float32 array for each split, with the usual ``ToTensor``."""
    from torchvision.transforms import ToTensor  # noqa: PLC0415

    return _loop(folder, size, ToTensor(), np.float32)


def _loop(folder: Path, size: int, to_tensor: Callable[..., Any], dtype: type[np.generic]) -> Job:
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


CONTENDERS: dict[str, Callable[[Path, int], Job]] = {
    "ours": load_ours,
    "torchvision_uint8": load_torchvision_uint8,
    "torchvision_float": load_torchvision_float,
}


def measure(name: str, folder: Path, size: int) -> tuple[float, int, float]:
    """Run a contender in its own process; return seconds without imports, number of images, and peak memory in MiB."""
    command = [sys.executable, __file__, str(folder), str(size), "--only", name]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    peak = 0.0
    while process.poll() is None:
        peak = max(peak, read_anonymous_memory(process.pid))
        time.sleep(0.02)
    assert process.stdout is not None
    seconds, images = process.stdout.read().split()
    return float(seconds), int(images), peak


def read_anonymous_memory(pid: int) -> float:
    """Read the memory in MiB of a process and its children that is not backed by files."""
    try:
        status = Path(f"/proc/{pid}/status").read_text()
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    except OSError:  # the process has ended
        return 0.0
    kibibytes = next((int(line.split()[1]) for line in status.splitlines() if line.startswith("RssAnon")), 0)
    return kibibytes / 1024 + sum(read_anonymous_memory(int(child)) for child in children)


def main() -> None:
    """Compare the contenders, or run one and print seconds and number of images."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("size", type=int, nargs="?", default=64)
    parser.add_argument("rounds", type=int, nargs="?", default=3)
    parser.add_argument("--rows", type=Path, help="CSV file for the medians")
    parser.add_argument("--title", help="name of the folder in the CSV file, if not its own")
    parser.add_argument("--only", choices=CONTENDERS, help="run one contender in this process")
    options = parser.parse_args()
    if not options.only:
        rows = compare(options.folder, options.size, options.rounds)
        if options.rows:
            write_rows(options.rows, options.title or options.folder.name, rows)
        return
    job = CONTENDERS[options.only](options.folder, options.size)
    started = time.perf_counter()
    images = job()
    print(time.perf_counter() - started, images)


def compare(folder: Path, size: int, rounds: int) -> pd.DataFrame:
    """Alternate the contenders, print a line for each, and return a row for each."""
    results: dict[str, list[tuple[float, int, float]]] = {name: [] for name in CONTENDERS}
    for _ in range(rounds):
        for name in CONTENDERS:
            results[name].append(measure(name, folder, size))
    speeds: dict[str, float] = {}
    rows = []
    for name, measured in results.items():
        seconds, images = median(row[0] for row in measured), measured[0][1]
        speeds[name] = images / seconds
        memory = median(row[2] for row in measured)
        ratio = speeds["ours"] / speeds[name]
        print(
            f"{name:<18} {images:,} images  {seconds:.1f} s  {speeds[name]:,.0f} img/s  {memory:,.0f} MiB  "
            f"ours is {ratio:.2f} times as fast (medians of {rounds})"
        )
        row = {"measured": date.today(), "images": images, "size": size, "rounds": rounds, "contender": name}
        row |= {"seconds": round(seconds, 1), "images_per_second": round(speeds[name]), "peak_mib": round(memory)}
        rows.append(row)
    return pd.DataFrame(rows)


def write_rows(path: Path, title: str, rows: pd.DataFrame) -> None:
    """Write the rows of a folder to a CSV file, in the place of its earlier ones."""
    rows.insert(0, "folder", title)
    if path.exists():
        before = pd.read_csv(path)
        rows = pd.concat([before[before["folder"] != title], rows])
    rows.to_csv(path, index=False)


if __name__ == "__main__":
    main()
