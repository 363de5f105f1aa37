"""Train on all cores, alone and beside a process that keeps a core busy, with several ways to wait for a core.

    python benchmarks/waiting_threads.py OUT.csv [--rounds 3] [--spins default 3000]

Threads of OpenMP (libgomp) that wait for the others of a step turn in a loop for a while, GOMP_SPINCOUNT times, before
they sleep. While a thread turns, the one that it waits for may have no core. Each round trains in turn with each count
of turns, alone and beside the busy process; OUT.csv gets each speed, in images per second, as soon as it is measured.
Let nothing else run.
"""

from __future__ import annotations

import argparse
import csv
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from itertools import product
from pathlib import Path

from devices import describe_device

TRAINING = """
import numpy as np
from gan_pipelines.gan import train
from gan_pipelines.gan.variants import parse_variant
images = np.random.default_rng(0).integers(0, 256, (1280, 3, 32, 32), dtype=np.uint8)
config = parse_variant("dcgan", {"networks": {"width": 32}, "batch_size": 64, "epochs": 3, "precision": "fp32"})
labels = np.zeros(len(images), dtype=np.int64)
*_, last = train(config, images, labels, class_names=("images",), device="cpu")
print(last.metrics["images_per_second"])
"""
BESIDE = ("nothing", "a busy process")


def main() -> None:
    """Measure in turn; append each speed to the file."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--spins", nargs="+", default=["default", "3000"], help="default is libgomp's own number")
    options = parser.parse_args()
    device = describe_device()
    with options.out.open("w", newline="") as file:
        table = csv.writer(file)
        table.writerow(["round", "beside", "spins", "images_per_second", "device"])
        for number, beside, spins in product(range(options.rounds), BESIDE, options.spins):
            with keep_busy() if beside == BESIDE[1] else nullcontext():
                table.writerow([number, beside, spins, f"{measure(spins):.1f}", device])
            file.flush()


def measure(spins: str) -> float:
    """Train in a new process; return the images per second of the last epoch."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("OMP_", "GOMP_"))}
    environment |= {} if spins == "default" else {"GOMP_SPINCOUNT": spins}
    done = subprocess.run([sys.executable, "-c", TRAINING], env=environment, stdout=subprocess.PIPE, check=True)
    return float(done.stdout)


@contextmanager
def keep_busy() -> Iterator[None]:
    """Keep a core busy meanwhile."""
    process = subprocess.Popen([sys.executable, "-c", "while True: pass"])
    try:
        yield
    finally:
        process.kill()
        process.wait()


if __name__ == "__main__":
    main()
