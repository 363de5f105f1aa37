"""Measure how fast trainings are beside each other on one device.

    python benchmarks/trainings_at_once.py OUT.jsonl --counts 1 2 4 8

Each training is a process of its own, of `wgan_gp` as conf/cifar10_32 has it, on images made up. All are counted in the
same seconds, after a time for their start. A row gives the images per second of each and of all together.
"""

from __future__ import annotations

import argparse
import json
import time
from dataclasses import replace
from functools import partial
from pathlib import Path

import torch

from devices import describe_device
from gan_pipelines.execution import ExecutionConfig, run_all
from gan_pipelines.gan import train
from training_speed import COMPARED, Workload, make_images, read_config

WORKLOAD = next(each for each in COMPARED if each.experiment == "cifar10_32")
IMAGES = 50_000


def main() -> None:
    """Write a row for each number of trainings."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path)
    parser.add_argument("--counts", type=int, nargs="+", default=[1, 2, 4, 8])
    parser.add_argument("--start-seconds", type=float, default=15.0, help="time for all to start and warm up")
    parser.add_argument("--seconds", type=float, default=8.0, help="time in which images are counted")
    options = parser.parse_args()

    for count in options.counts:
        begin = time.time() + options.start_seconds
        measure = partial(count_images, WORKLOAD, begin, begin + options.seconds)
        seen = list(run_all([measure] * count, ExecutionConfig(workers=count)))
        rates = [round(each / options.seconds, 1) for each in seen]
        row = {"workload": WORKLOAD.name, "count": count, "images_per_second": round(sum(rates), 1), "each": rates}
        row |= {"device": describe_device(), "torch": torch.__version__}
        with options.out.open("a") as file:
            file.write(json.dumps(row) + "\n")
        print(row, flush=True)


def count_images(workload: Workload, begin: float, end: float) -> int:
    """Train until the end; return the number of images seen since the beginning, both times of the clock in seconds."""
    seen_before, seen_last = 0, 0

    def on_step(seen: int) -> None:
        nonlocal seen_before, seen_last
        if seen == 0 and time.time() > begin:
            raise TimeoutError("a training was not ready in time; give more --start-seconds")
        if time.time() > end:
            raise InterruptedError
        seen_before, seen_last = (seen, seen) if time.time() < begin else (seen_before, seen)

    config = replace(read_config(workload), epochs=10_000)
    images, labels = make_images(IMAGES, workload.size, workload)
    try:
        for _ in train(config, images, labels, class_names=tuple(map(str, range(workload.classes))), on_step=on_step):
            pass
    except InterruptedError:
        return seen_last - seen_before
    raise AssertionError("the training has ended first")


if __name__ == "__main__":
    main()
