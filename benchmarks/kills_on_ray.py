"""Kill parts of a Ray cluster at random moments, and compare the numbers in the end with those of the pool engine.

    python benchmarks/kills_on_ray.py [TRIALS] --rows FILE

Each trial gives a `kedro` command in a new copy of the project, on a new cluster of three nodes on this machine, and
kills by SIGKILL the process of a task, a node, the command with all its processes, or the process of Ray's head (GCS).
If the command does not go on, it is given again, on a new cluster if that one has lost its head. Adds a row to FILE, a
CSV, after each trial, and goes on after those that it has.
"""

from __future__ import annotations

import argparse
import os
import random
import shutil
import signal
import subprocess
import time
from collections import Counter
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import pandas as pd
import psutil
from mlflow.tracking import MlflowClient
from ray.cluster_utils import Cluster

from kill_and_resume import copy_project
from on_ray import WORKLOADS, Workload, log_of, read_numbers, start, three_nodes

LATEST = 0.7
"""Latest moment to kill, as a part of the time that a run on the pool takes from its first task to its end."""
PATIENCE_SECONDS = 600
"""How long a command may take to end."""

Kill = Callable[[Cluster, "subprocess.Popen[str]", random.Random], bool]
"""Kills something, given the cluster, the command and a source of random numbers; False if there is nothing to kill."""


def kill_task(cluster: Cluster, command: subprocess.Popen[str], draws: random.Random) -> bool:
    """Kill the process of a task."""
    processes = [child for child in psutil.Process().children(recursive=True) if _reads(child, "ray::_run_pickled")]
    if processes:
        draws.choice(processes).kill()
    return bool(processes)


def kill_node(cluster: Cluster, command: subprocess.Popen[str], draws: random.Random) -> bool:
    """Kill all processes of a node other than the head."""
    cluster.remove_node(draws.choice([*cluster.worker_nodes]), allow_graceful=False)
    return True


def kill_command(cluster: Cluster, command: subprocess.Popen[str], draws: random.Random) -> bool:
    """Kill the command's process, and those of its group."""
    os.killpg(command.pid, signal.SIGKILL)
    return True


def kill_head(cluster: Cluster, command: subprocess.Popen[str], draws: random.Random) -> bool:
    """Kill the process that knows of the cluster's nodes and tasks."""
    for child in psutil.Process().children(recursive=True):
        if _reads(child, "gcs_server"):
            child.kill()
    return True


KILLS: dict[str, Kill] = {"task": kill_task, "node": kill_node, "command": kill_command, "head": kill_head}


def _reads(process: psutil.Process, text: str) -> bool:
    """Whether a process is called so."""
    try:
        return text in process.cmdline()[0]
    except (IndexError, psutil.NoSuchProcess, psutil.ZombieProcess):
        return False


@dataclass(frozen=True)
class Reference:
    """An undisturbed run on the pool engine.

    Attributes:
        numbers: that it has left.
        seconds: that its tasks took, and what came after them.
    """

    numbers: pd.DataFrame
    seconds: float


def try_once(trial: int, reference: Reference, draws: random.Random) -> dict[str, Any] | None:
    """Run a workload, kill something, and run it until it is done.

    Returns:
        a row, or None if there was nothing to kill at the moment that was drawn.
    """
    what, name = plan(trial)
    project = copy_project()
    with ExitStack() as clusters:
        cluster = clusters.enter_context(three_nodes())
        command = start(WORKLOADS[name], project, on(cluster))
        started = time.monotonic()
        _await_tasks(WORKLOADS[name], project, command)
        time.sleep(draws.uniform(0, LATEST * reference.seconds))
        if command.poll() is not None or not KILLS[what](cluster, command, draws):
            _end(command)
            shutil.rmtree(project)
            return None
        killed_at = time.monotonic()
        codes, sentence = [_end(command)], ""
        took = time.monotonic() - killed_at
        if codes[0] != 0:
            if what != "command":
                sentence = log_of(project).read_text().splitlines()[-1]
            if what == "head":
                clusters.close()
                cluster = clusters.enter_context(three_nodes())
            codes.append(_end(start(WORKLOADS[name], project, on(cluster))))
    row = {
        "measured": date.today(),
        "trial": trial,
        "killed": what,
        "workload": name,
        "seconds": round(killed_at - started, 1),
        "exit_codes": " ".join(map(str, codes)),
        "ended_after": round(took, 1),
        "last_line": sentence,
        "mlflow": _count_statuses(project),
        "same": codes[-1] == 0 and read_numbers(name, project).equals(reference.numbers),
    }
    shutil.rmtree(project)
    return row


def plan(trial: int) -> tuple[str, str]:
    """What is killed in a trial, and the workload: all kinds in turn, each on both workloads in turn."""
    kinds, names = [*KILLS], [*WORKLOADS]
    return kinds[trial % len(kinds)], names[(trial // len(kinds) + trial) % len(names)]


def on(cluster: Cluster) -> dict[str, Any]:
    """Settings of ``runtime`` that run tasks on a cluster."""
    return {"engine": "ray", "address": cluster.address}


def measure_reference(name: str) -> Reference:
    """Run a workload on the pool engine."""
    project = copy_project()
    command = start(WORKLOADS[name], project, {"engine": "pool", "workers": 2})
    _await_tasks(WORKLOADS[name], project, command)
    begun = time.monotonic()
    if _end(command):
        raise SystemExit(log_of(project).read_text())
    reference = Reference(read_numbers(name, project), time.monotonic() - begun)
    shutil.rmtree(project)
    return reference


def _await_tasks(workload: Workload, project: Path, command: subprocess.Popen[str]) -> None:
    while workload.begins not in log_of(project).read_text() and command.poll() is None:
        time.sleep(0.2)


def _end(command: subprocess.Popen[str]) -> int:
    """Wait for the end of a command, and return its exit code."""
    try:
        return command.wait(PATIENCE_SECONDS)
    except subprocess.TimeoutExpired:
        os.killpg(command.pid, signal.SIGKILL)
        return command.wait()


def _count_statuses(project: Path) -> str:
    """How many MLflow runs of a project have which status."""
    client = MlflowClient(f"sqlite:///{project}/mlruns/mlflow.db")
    runs = client.search_runs([client.get_experiment_by_name("digits").experiment_id])
    counts = Counter(run.info.status for run in runs)
    return ", ".join(f"{count} {status}" for status, count in sorted(counts.items()))


def main() -> None:
    """Add a row for each trial that FILE does not have."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("trials", type=int, nargs="?", default=20)
    parser.add_argument("--rows", type=Path, required=True, help="CSV file to which rows are added")
    options = parser.parse_args()
    done = len(pd.read_csv(options.rows)) if options.rows.exists() else 0
    references = {name: measure_reference(name) for name in WORKLOADS}
    for trial in range(done, options.trials):
        draws = random.Random(trial)
        row = None
        while row is None:
            row = try_once(trial, references[plan(trial)[1]], draws)
        pd.DataFrame([row]).to_csv(options.rows, mode="a", index=False, header=not options.rows.exists())
        print("  ".join(map(str, row.values())), flush=True)


if __name__ == "__main__":
    main()
