"""Run independent tasks, with one thread each, on the engine that the settings name."""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from pathlib import Path
from typing import TypeVar

import joblib

from gan_pipelines.core.devices import resolve_device
from gan_pipelines.execution.config import ExecutionConfig
from gan_pipelines.execution.pool import run_in_pool

Result = TypeVar("Result")


def run_all(tasks: Sequence[Callable[[], Result]], config: ExecutionConfig) -> Generator[Result]:
    """Run tasks; yield their results in order, each as soon as it and those before it are done.

    Sums of floats depend on the number of threads. Every task has one, so results depend neither on the engine nor on
    the number of processes; and small networks gain little from more.

    Args:
        tasks: functions without arguments, which are pickled for other processes.
        config: the engine.

    Raises:
        Exception: what a task raises; those that have not started are not run.
        EngineUnavailable: if Ray is not installed, cannot be reached, or has lost a task too often.
    """
    if config.engine == "ray":
        from gan_pipelines.execution.cluster import run_on_ray  # noqa: PLC0415 (an optional package)

        return run_on_ray(tasks, config)
    return run_in_pool(tasks, _count_workers(config))


def runs_here(config: ExecutionConfig) -> bool:
    """Whether tasks are run by this process, one after another."""
    return config.engine != "ray" and _count_workers(config) == 1


def check_engine(config: ExecutionConfig, folder: Path) -> None:
    """Check before a run that the engine can be used, and that all its machines share a folder.

    Raises:
        EngineUnavailable: if Ray is not installed or cannot be reached, or a machine does not see the folder.
        ConfigError: if no machine of the cluster has what a task reserves.
    """
    if config.engine == "ray":
        from gan_pipelines.execution.cluster import check_cluster  # noqa: PLC0415 (an optional package)

        check_cluster(config, folder)


def _count_workers(config: ExecutionConfig) -> int:
    if config.engine == "process":
        return 1
    if config.workers is not None:
        return config.workers
    return int(joblib.cpu_count()) if resolve_device(config.device).type == "cpu" else 1
