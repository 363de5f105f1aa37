"""Two workloads, a Ray cluster of three nodes on this machine, and the numbers that a command has left."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from catalog import KEDRO, find_newest

os.environ |= {"RAY_USAGE_STATS_ENABLED": "0", "OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""}

from ray.cluster_utils import Cluster

NODES = 3
"""Nodes of the cluster, of one core each; the first is its head."""


@dataclass(frozen=True)
class Workload:
    """A command that runs tasks.

    Attributes:
        arguments: of ``kedro``.
        settings: those that make it short, as in parameters.yml.
        begins: what it prints when its tasks begin.
    """

    arguments: tuple[str, ...]
    settings: Mapping[str, Any]
    begins: str


SMALL = {
    "dataset.image_size": 16,
    "scoring.samples": 500,
    "scoring.classifier.epochs": 1,
    "scoring.during_training.samples": 100,
}
WORKLOADS = {
    "augment_cdcgan": Workload(
        ("run", "--pipelines=augment_cdcgan"),
        SMALL
        | {
            "variants.cdcgan.networks.width": 8,
            "augmentation.replicates": 2,
            "augmentation.fractions": "[0.3]",
            "augmentation.generator_epochs": 4,
            "augmentation.classifier.epochs": 2,
            "augmentation.classifier.learning_rates": "[0.05]",
        },
        "Running node: train_generators",
    ),
    "sweep": Workload(
        ("sweep", "--pipelines=train_dcgan,train_wgan", "--seeds=0-1"),
        SMALL
        | {
            f"variants.{variant}.{name}": value
            for variant in ("dcgan", "wgan")
            for name, value in (("networks.width", 8), ("epochs", 6))
        },
        " of them finished before",
    ),
}
"""Workloads on the digits, by their names in the rows: an augmentation experiment, and two variants with two seeds."""


@contextmanager
def three_nodes() -> Iterator[Cluster]:
    """Ray's own test cluster, with a process for each node's store, scheduler and tasks."""
    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 1, "include_dashboard": False})
    try:
        for _ in range(NODES - 1):
            cluster.add_node(num_cpus=1)
        cluster.wait_for_nodes()
        yield cluster
    finally:
        cluster.shutdown()


def start(workload: Workload, project: Path, runtime: Mapping[str, Any]) -> subprocess.Popen[str]:
    """Give a command in a process group of its own; what it prints is appended to `log_of`.

    Args:
        workload: the command.
        project: a copy of the project.
        runtime: settings of the section ``runtime``.
    """
    settings = dict(workload.settings) | {f"runtime.{name}": value for name, value in runtime.items()}
    parameters = ",".join(f"{name}={value}" for name, value in settings.items())
    with log_of(project).open("a") as log:
        return subprocess.Popen(
            [KEDRO, *workload.arguments, f"--params={parameters}"],
            cwd=project, stdout=log, stderr=subprocess.STDOUT, text=True, start_new_session=True,
        )  # fmt: skip


def log_of(project: Path) -> Path:
    """The file of what all commands in a copy of the project have printed."""
    return project / "printed.log"


def read_numbers(name: str, project: Path) -> pd.DataFrame:
    """All numbers that a workload has left, without times, in a fixed order."""
    if name == "augment_cdcgan":
        return pd.read_csv(find_newest(project, "08_reporting/digits/cdcgan/arm_scores.csv")).drop(columns="seconds")
    paths = (project / "data/08_reporting/digits").glob("*/scores.json/*/scores.json")
    scores = [score for path in paths for score in json.loads(path.read_text())]
    rows = [
        {name: score["identity"][name] for name in ("fingerprint", "seed", "generator", "weights")}
        | {"class": score["comparability"].get("class"), "metric": score["metric"], "value": score["value"]}
        for score in scores
    ]
    return pd.DataFrame(rows).drop_duplicates().sort_values([*rows[0]], ignore_index=True)
