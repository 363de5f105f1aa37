"""Settings of where independent work is done."""

from __future__ import annotations

from typing import Literal

from gan_pipelines.core.config import Count, NonNegative, Positive, config, require
from gan_pipelines.core.runtime import DeviceName

EngineName = Literal["process", "pool", "ray"]


@config
class ExecutionConfig:
    """Where work is done, which changes no result.

    Attributes:
        device: ``auto`` takes CUDA, then MPS, then the CPU.
        engine: what does independent tasks, such as the classifiers of an experiment, beside each other: ``process`` is
            this process alone, one task after another; ``pool`` has several on this machine; ``ray`` has those of a Ray
            cluster.
        workers: number of processes of the pool; null takes one for each core of the CPU, and one for a GPU.
        address: of the Ray cluster to join: ``auto`` finds the one that this machine belongs to, else that of its head,
            such as ``10.0.0.1:6379``; null starts Ray on this machine, for this run.
        cpus_per_task: cores of the cluster that Ray reserves for a task. A task computes with one thread.
        gpus_per_task: GPUs that Ray reserves for a task: the part of one, or a whole number; with 0, a task sees none.
    """

    device: DeviceName = "auto"
    engine: EngineName = "pool"
    workers: Count | None = None
    address: str | None = None
    cpus_per_task: Positive = 1.0
    gpus_per_task: NonNegative = 0.0

    def __post_init__(self) -> None:
        is_possible = self.gpus_per_task <= 1 or self.gpus_per_task.is_integer()
        require(is_possible, "gpus_per_task", self.gpus_per_task, "at most 1, or a whole number")
