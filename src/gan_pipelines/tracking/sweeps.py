"""The MLflow run of a sweep, which is the parent of its runs."""

from __future__ import annotations

import json
import os
import signal
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import mlflow

from gan_pipelines.core.config import ConfigError
from gan_pipelines.tracking.liveness import RunningRuns
from gan_pipelines.tracking.outages import tolerate_mlflow
from gan_pipelines.tracking.remedies import require_mlflow
from gan_pipelines.tracking.tags import PARENT, REQUEST, SWEEP

CONTEXT_VARIABLE = "MLFLOW_RUN_CONTEXT"
"""Variable of the environment from which MLflow reads tags of a new run, as JSON."""


@dataclass(frozen=True)
class SweepRun:
    """The MLflow run of a sweep.

    Attributes:
        client: of MLflow.
        experiment_id: the experiment of the runs.
        run_id: id of the run.
        running: the open runs on this machine. This one stays among them until its end is recorded: if MLflow does not
            answer then, a later run records it.
    """

    client: Any
    experiment_id: str
    run_id: str
    running: RunningRuns

    @classmethod
    @contextmanager
    def open(cls, experiment: str, sweep: str, folder: Path) -> Iterator[SweepRun]:
        """Begin the run of a sweep, or go on with it. An exception, SIGTERM included, ends it and its runs as KILLED.

        Args:
            experiment: name of MLflow's experiment, which is there.
            sweep: hash of the runs of the sweep.
            folder: folder of the project for MLflow.

        Raises:
            ConfigError: if the same sweep is at work on this machine.
            TrackingUnavailable: if MLflow does not answer.
        """
        client = mlflow.MlflowClient()
        running = RunningRuns(folder / "running")
        with require_mlflow(client.tracking_uri):
            parent = cls._find(client, experiment, sweep, running)
            if parent.run_id in running.alive():
                raise ConfigError("This sweep is at work already; wait for it, or end it.")
            client.update_run(parent.run_id, status="RUNNING")
        running.begin(parent.run_id, client.tracking_uri)
        before = signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
        try:
            yield parent
        except BaseException:
            with suppress(Exception):
                parent._end_as_killed()
            raise
        finally:
            signal.signal(signal.SIGTERM, before)

    @classmethod
    def _find(cls, client: Any, experiment: str, sweep: str, running: RunningRuns) -> SweepRun:
        experiment_id = client.get_experiment_by_name(experiment).experiment_id
        runs = client.search_runs([experiment_id], f"tags.{SWEEP} = '{sweep}'", max_results=1)
        tags = {SWEEP: sweep, "mlflow.runName": f"sweep {sweep[:8]}"}
        run = runs[0] if runs else client.create_run(experiment_id, tags=tags)
        return cls(client, experiment_id, run.info.run_id, running)

    def find_finished(self) -> set[str]:
        """The hashes of settings of all runs, of this sweep or another, that are finished."""
        found: set[str] = set()
        token = None
        while True:
            page = self.client.search_runs([self.experiment_id], "attributes.status = 'FINISHED'", page_token=token)
            found |= {run.data.tags[REQUEST] for run in page if REQUEST in run.data.tags}
            if not (token := page.token):
                return found

    def tags(self, request: str) -> dict[str, str]:
        """Tags of one of its runs."""
        return {PARENT: self.run_id, REQUEST: request}

    def end(self, is_finished: bool, description: str) -> None:
        """End the run, with a description of what happened; without an MLflow that answers, it stays open."""
        with tolerate_mlflow():
            self.client.set_tag(self.run_id, "mlflow.note.content", description)
            self._record_end("FINISHED" if is_finished else "FAILED")

    def _end_as_killed(self) -> None:
        """End the run, and those of its runs that are open: their processes are gone, or about to go."""
        filters = f"tags.`{PARENT}` = '{self.run_id}' and attributes.status = 'RUNNING'"
        for run in self.client.search_runs([self.experiment_id], filters):
            self.client.set_terminated(run.info.run_id, "KILLED")
        self._record_end("KILLED")

    def _record_end(self, status: str) -> None:
        self.client.set_terminated(self.run_id, status)
        self.running.end(self.run_id)


@contextmanager
def tagging(tags: Mapping[str, str]) -> Iterator[None]:
    """Give tags to the MLflow runs that begin in this block, and end those that an exception leaves open."""
    before = os.environ.get(CONTEXT_VARIABLE)
    os.environ[CONTEXT_VARIABLE] = json.dumps(tags)
    try:
        yield
    finally:
        with tolerate_mlflow():
            while mlflow.active_run() is not None:
                mlflow.end_run("KILLED")
        if before is None:
            del os.environ[CONTEXT_VARIABLE]
        else:
            os.environ[CONTEXT_VARIABLE] = before
