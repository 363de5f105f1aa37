"""Run independent tasks, with one thread each."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

import joblib
import torch

from gan_pipelines.core.devices import resolve_device
from gan_pipelines.core.runtime import DeviceName

Result = TypeVar("Result")


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
    yield from run(joblib.delayed(_run_with_one_thread)(task) for task in tasks)


def _run_with_one_thread(task: Callable[[], Result]) -> Result:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        return task()
    finally:
        torch.set_num_threads(threads)
