"""The MLflow run of a sweep, which is the parent of its runs."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from gan_pipelines.tracking.tags import PARENT

CONTEXT_VARIABLE = "MLFLOW_RUN_CONTEXT"
"""Variable of the environment from which MLflow reads tags of a new run, as JSON."""
SWEEP_TAG = "sweep"
"""Tag of the run of a sweep: the hash of its runs."""
REQUEST_TAG = "request"
"""Tag of a run of a sweep: the hash of its settings."""


@dataclass(frozen=True)
class SweepRun:
    """The MLflow run of a sweep.

    Attributes:
        client: of MLflow.
        experiment_id: the experiment of the runs.
        run_id: id of the run.
    """

    client: Any
    experiment_id: str
    run_id: str

    @classmethod
    @contextmanager
    def open(cls, experiment: str, sweep: str) -> Iterator[SweepRun]:
        """Begin the run of a sweep, or go on with it. An exception ends it as KILLED.

        Args:
            experiment: name of MLflow's experiment, which is there.
            sweep: hash of the runs of the sweep.
        """
        import mlflow  # noqa: PLC0415 (takes seconds to load)

        client = mlflow.MlflowClient()
        experiment_id = client.get_experiment_by_name(experiment).experiment_id
        before = client.search_runs([experiment_id], f"tags.{SWEEP_TAG} = '{sweep}'", max_results=1)
        run = (
            before[0]
            if before
            else client.create_run(experiment_id, tags={SWEEP_TAG: sweep, "mlflow.runName": f"sweep {sweep[:8]}"})
        )
        client.update_run(run.info.run_id, status="RUNNING")
        parent = cls(client, experiment_id, run.info.run_id)
        try:
            yield parent
        except BaseException:
            client.set_terminated(parent.run_id, "KILLED")
            raise

    def find_finished(self) -> set[str]:
        """The hashes of settings of all runs, of this sweep or another, that are finished."""
        found: set[str] = set()
        token = None
        while True:
            page = self.client.search_runs([self.experiment_id], "attributes.status = 'FINISHED'", page_token=token)
            found |= {run.data.tags[REQUEST_TAG] for run in page if REQUEST_TAG in run.data.tags}
            if not (token := page.token):
                return found

    def tags(self, request: str) -> dict[str, str]:
        """Tags of one of its runs."""
        return {PARENT: self.run_id, REQUEST_TAG: request}

    def end(self, is_finished: bool, description: str) -> None:
        """End the run, with a description of what happened."""
        self.client.set_tag(self.run_id, "mlflow.note.content", description)
        self.client.set_terminated(self.run_id, "FINISHED" if is_finished else "FAILED")


@contextmanager
def tagging(tags: Mapping[str, str]) -> Iterator[None]:
    """Give tags to the MLflow runs that begin in this block, and end those that a signal leaves open."""
    before = os.environ.get(CONTEXT_VARIABLE)
    os.environ[CONTEXT_VARIABLE] = json.dumps(tags)
    try:
        yield
    except BaseException:
        import mlflow  # noqa: PLC0415

        while mlflow.active_run() is not None:
            mlflow.end_run("KILLED")
        raise
    finally:
        if before is None:
            del os.environ[CONTEXT_VARIABLE]
        else:
            os.environ[CONTEXT_VARIABLE] = before
