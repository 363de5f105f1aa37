"""Run independent tasks, with one thread each."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from functools import cache
from typing import TypeVar

import joblib
import torch

from gan_pipelines.core.devices import resolve_device
from gan_pipelines.core.runtime import DeviceName

Result = TypeVar("Result")

POLL_SECONDS = 1.0
"""How often a worker looks whether the process that has started it is there."""


def count_workers(workers: int | None, device: DeviceName) -> int:
    """Return the number of processes; None is one for each core of the CPU, and a single one for a GPU."""
    if workers is not None:
        return workers
    return int(joblib.cpu_count()) if resolve_device(device).type == "cpu" else 1


def run_all(tasks: Iterable[Callable[[], Result]], workers: int) -> Iterator[Result]:
    """Run tasks; yield their results in order, each as soon as it and those before it are done.

    Sums of floats depend on the number of threads. Every task has one, so results do not depend on the number of
    workers; and small networks gain little from more.

    Args:
        tasks: functions without arguments. They are pickled for other processes; large arrays are memory-mapped there.
        workers: number of processes; with one, tasks run in this process.

    Raises:
        Exception: what a task raises; those that have not started are not run.
    """
    run = joblib.Parallel(n_jobs=workers, return_as="generator", mmap_mode="c")
    yield from run(joblib.delayed(_run_with_one_thread)(task, os.getpid()) for task in tasks)


def _run_with_one_thread(task: Callable[[], Result], starter: int) -> Result:
    if os.getpid() != starter:
        _end_with(starter)
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        return task()
    finally:
        torch.set_num_threads(threads)


@cache
def _end_with(starter: int) -> None:
    """End this process soon after the one that has started it, which may be killed: nobody would wait for its work."""

    def watch() -> None:
        while os.getppid() == starter:
            time.sleep(POLL_SECONDS)
        os._exit(1)

    threading.Thread(target=watch, name="watch-starter", daemon=True).start()
