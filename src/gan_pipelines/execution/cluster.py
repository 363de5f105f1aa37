"""Run tasks on Ray: on this machine, or on a cluster. Nothing else imports Ray."""

from __future__ import annotations

import os
import socket
import uuid
from collections import deque
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, TypeVar

from gan_pipelines.core.config import ConfigError, require
from gan_pipelines.core.errors import first_line
from gan_pipelines.execution.config import ExecutionConfig
from gan_pipelines.execution.errors import EngineUnavailable
from gan_pipelines.execution.pool import run_with_one_thread

os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")

try:
    import ray
    from ray import cloudpickle
    from ray.exceptions import GetTimeoutError, RayError, RayTaskError
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy
except ImportError as error:
    raise EngineUnavailable(
        "runtime.engine is ray, and Ray is not installed: make ray installs it, or pip install 'gan_pipelines[ray]'."
    ) from error

Result = TypeVar("Result")

RESERVED = {"cpus_per_task": "CPU", "gpus_per_task": "GPU"}
"""Ray's resources by the settings that reserve them for a task."""
RETRIES = 20
"""How often a task is tried again whose process or machine is lost."""
AHEAD = 4
"""Tasks that are sent for each slot of the cluster: waiting ones keep slots busy, and more of them only fill memory."""
PASSED_ON = ("GAN_PIPELINES_", "KEDRO_", "MLFLOW_")
"""Beginnings of the names of environment variables that other machines are given."""
KEPT_BACK = ("MLFLOW_RUN_ID", "MLFLOW_RUN_CONTEXT")
"""Those of them that are about the run of this process."""
KNOCK_SECONDS = 5
"""How long the head of a cluster may take to accept a connection."""
CHECK_SECONDS = 60
"""How long a machine may take to answer before a run."""


def run_on_ray(tasks: Sequence[Callable[[], Result]], config: ExecutionConfig) -> Generator[Result]:
    """Run tasks on the machines of a cluster. A task whose process or machine is lost is tried again. See `run_all`."""
    _connect(config)
    run = ray.remote(
        num_cpus=config.cpus_per_task, num_gpus=config.gpus_per_task, max_retries=RETRIES, retry_exceptions=False
    )(_run_pickled)
    slots = count_slots(config, ray.cluster_resources())
    sent: deque[Any] = deque()
    try:
        for task in tasks:
            sent.append(run.remote(cloudpickle.dumps(task)))
            if len(sent) >= AHEAD * slots:
                yield _receive(sent.popleft())
        while sent:
            yield _receive(sent.popleft())
    finally:
        with suppress(RayError):
            for task in sent:
                ray.cancel(task, force=True)


def count_slots(config: ExecutionConfig, resources: Mapping[str, float]) -> int:
    """How many tasks a cluster with these resources runs beside each other, at least one."""
    reserved = {resource: getattr(config, name) for name, resource in RESERVED.items()}
    slots = [resources.get(resource, 0.0) // number for resource, number in reserved.items() if number]
    return max(1, int(min(slots)))


def check_cluster(config: ExecutionConfig, folder: Path) -> None:
    """Check that the cluster can run a task, and that every machine sees what this one writes. See `check_engine`."""
    _connect(config)
    nodes = [node for node in ray.nodes() if node["Alive"]]
    for name, resource in RESERVED.items():
        most = max(node["Resources"].get(resource, 0.0) for node in nodes)
        wanted = getattr(config, name)
        require(
            wanted <= most, f"runtime.{name}", wanted, f"at most {most:g}, as the largest machine of the cluster has"
        )
    if not any(_fits(config, node["Resources"]) for node in nodes):
        raise ConfigError(
            "No machine of the Ray cluster has what runtime.cpus_per_task and gpus_per_task reserve at once; lower one."
        )
    folder.mkdir(parents=True, exist_ok=True)
    seen = folder / f".seen-{uuid.uuid4().hex}"
    seen.touch()
    try:
        looks = [(node["NodeManagerAddress"], _look(node["NodeID"], seen)) for node in nodes]
        for address, look in looks:
            if not _receive(look, CHECK_SECONDS):
                raise EngineUnavailable(
                    f"{address} of the Ray cluster does not see {folder}: all its machines need the project's folder "
                    "at the same path, on a shared file system."
                )
    finally:
        seen.unlink()


def _exists(path: str) -> bool:
    return Path(path).exists()


def _fits(config: ExecutionConfig, resources: Mapping[str, float]) -> bool:
    return all(getattr(config, name) <= resources.get(resource, 0.0) for name, resource in RESERVED.items())


def _look(node: str, path: Path) -> Any:
    """Let a machine look for a file."""
    there: Any = NodeAffinitySchedulingStrategy(node_id=node, soft=False)
    return ray.remote(num_cpus=0, scheduling_strategy=there)(_exists).remote(str(path))


def _connect(config: ExecutionConfig) -> None:
    """Start Ray on this machine, or join a cluster, unless this process has done so; Ray ends with the process."""
    name = config.address or "local"
    if ray.is_initialized():
        if ray.get_runtime_context().namespace != name:
            raise EngineUnavailable(
                f"This process has joined another Ray cluster than runtime.address {config.address or 'null'}: name "
                "that one, or leave it with ray.shutdown()."
            )
        return
    variables = {
        name: value for name, value in os.environ.items() if name.startswith(PASSED_ON) and name not in KEPT_BACK
    }
    if config.gpus_per_task == 0:
        variables["CUDA_VISIBLE_DEVICES"] = ""
    try:
        _knock(config.address)
        ray.init(
            address=name,
            namespace=name,  # tells later calls which cluster this is
            num_cpus=None if config.address else config.workers,
            include_dashboard=None if config.address else False,
            log_to_driver=False,
            runtime_env={"env_vars": variables},
        )
    except (OSError, ValueError, RuntimeError) as error:
        if config.address is None:
            raise EngineUnavailable(f"Ray cannot start on this machine ({first_line(error)}).") from error
        raise EngineUnavailable(
            f"There is no Ray cluster at runtime.address {config.address} ({first_line(error)}): start it with ray "
            "start --head, or leave the address null to start Ray on this machine."
        ) from error


def _knock(address: str | None) -> None:
    """Raise an `OSError` if nothing listens at a ``host:port``: Ray would try for minutes."""
    host, found, port = (address or "").rpartition(":")
    if found and port.isdigit():
        socket.create_connection((host, int(port)), KNOCK_SECONDS).close()


def _receive(task: Any, seconds: float | None = None) -> Any:
    try:
        return ray.get(task, timeout=seconds)
    except GetTimeoutError as error:
        raise EngineUnavailable(f"A machine of the Ray cluster does not answer within {seconds:g} s.") from error
    except RayTaskError as error:
        raise error.cause from None
    except RayError as error:
        raise EngineUnavailable(
            f"Ray has lost a task ({first_line(error)}). What is finished is kept: the same command goes on."
        ) from error


def _run_pickled(task: bytes) -> Any:
    """Run a task, whose arrays are then its own: Ray's would be read-only."""
    return run_with_one_thread(cloudpickle.loads(task))
