"""The runs that MLflow has of an experiment, and which of them are at work."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlparse
from urllib.request import url2pathname

import mlflow
from mlflow.entities import Run, ViewType

from gan_pipelines.tracking.liveness import RunningRuns
from gan_pipelines.tracking.tags import TRAINING


def list_runs(client: Any, experiment_id: str) -> list[Run]:
    """List all runs of an experiment, those that are marked as deleted included."""
    return list(_search(client, experiment_id))


def _search(client: Any, experiment_id: str) -> Iterator[Run]:
    token = None
    while True:
        page = client.search_runs([experiment_id], run_view_type=ViewType.ALL, page_token=token)
        yield from page
        if not (token := page.token):
            return


def is_deleted(run: Run) -> bool:
    """Whether a run is marked as deleted."""
    return bool(run.info.lifecycle_stage == "deleted")


def find_training(run: Run) -> str | None:
    """The fingerprint of a run's training, if it has one."""
    return run.data.tags.get(TRAINING) or run.data.params.get(TRAINING)


def find_artifacts(run: Run) -> Path | None:
    """The folder of a run's artifacts, or None if it is not on this machine."""
    address = urlparse(run.info.artifact_uri)
    return Path(url2pathname(address.path)) if address.scheme == "file" else None


def busy_since(client: Any, runs: Iterable[Run], folder: Path) -> float | None:
    """Since when a run has been at work.

    Args:
        client: of MLflow.
        runs: those of an experiment.
        folder: folder of the project for MLflow.

    Returns:
        the earliest start of a run that is at work, in seconds since the epoch; 0 if that is unknown; None if none is
        at work: on this machine, no process of a run is alive, and none of the runs is open elsewhere.
    """
    running = RunningRuns(folder / "running")
    killed = running.killed(client.tracking_uri)
    elsewhere = [
        run.info.start_time / 1000
        for run in runs
        if run.info.status == "RUNNING" and not is_deleted(run) and run.info.run_id not in killed
    ]
    here = [_find_start(client, run_id) for run_id in running.alive()]
    return min(here + elsewhere, default=None)


def _find_start(client: Any, run_id: str) -> float:
    try:
        return float(client.get_run(run_id).info.start_time / 1000)
    except mlflow.exceptions.MlflowException:  # a run of another server
        return 0.0
