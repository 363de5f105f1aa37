"""Run tasks in processes of this machine."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Generator, Iterable
from functools import cache
from typing import TypeVar

import joblib
import torch
from joblib.externals.loky.process_executor import TerminatedWorkerError

from gan_pipelines.execution.errors import EngineUnavailable

Result = TypeVar("Result")

POLL_SECONDS = 1.0
"""How often a worker looks whether the process that has started it is there."""


def run_in_pool(tasks: Iterable[Callable[[], Result]], workers: int) -> Generator[Result]:
    """Run tasks in other processes of this machine, where large arrays are memory-mapped; with one worker, in this one.

    See `run_all`.
    """
    run = joblib.Parallel(n_jobs=workers, return_as="generator", batch_size=1, mmap_mode="c")
    try:
        yield from run(joblib.delayed(_run_beside)(task, os.getpid()) for task in tasks)
    except TerminatedWorkerError as error:
        raise EngineUnavailable(
            "A process of the pool was killed, perhaps for want of memory (runtime.workers: fewer take less). What is "
            "finished is kept: the same command goes on."
        ) from error


def run_with_one_thread(task: Callable[[], Result]) -> Result:
    """Run a task in this process; PyTorch has one thread meanwhile."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        return task()
    finally:
        torch.set_num_threads(threads)


def _run_beside(task: Callable[[], Result], starter: int) -> Result:
    if os.getpid() != starter:
        _end_with(starter)
    return run_with_one_thread(task)


@cache
def _end_with(starter: int) -> None:
    """End this process soon after the one that has started it, which may be killed: nobody would wait for its work."""

    def watch() -> None:
        while os.getppid() == starter:
            time.sleep(POLL_SECONDS)
        os._exit(1)

    threading.Thread(target=watch, name="watch-starter", daemon=True).start()
