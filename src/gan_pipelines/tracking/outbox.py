"""Queue of calls to MLflow, which keeps those that an outage stops."""

from __future__ import annotations

import json
import logging
import threading
import time
import uuid
from collections import deque
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import mlflow
from filelock import FileLock

from gan_pipelines.core.errors import first_line, hide_passwords
from gan_pipelines.core.files import atomic_write
from gan_pipelines.tracking.models import log_model
from gan_pipelines.tracking.outages import is_outage
from gan_pipelines.tracking.tags import PARENT, VERSION

logger = logging.getLogger(__name__)

RETRY_SECONDS = 30.0
"""Pause after a failed call, doubled after each further failure: a call to a dead server takes seconds."""
MAX_PAUSE_SECONDS = 600.0

LOG_CHILD = "log_child"
"""Name of a call that is not a method of `MlflowClient`: a finished nested run, see `_log_child`."""
LOG_MODEL = "log_model"
"""Another one: a saved model, see `models.log_model`."""
INHERITED = ("variant", VERSION)
"""Tags that a nested run has from its parent, so that nested runs can be filtered and grouped by them."""
METRICS_PER_CALL = 1000
"""Maximum number of metrics that MLflow accepts in one call."""


@dataclass(frozen=True)
class Call:
    """A call of a method of `MlflowClient` on a run or, for ``set_experiment_tag``, an experiment.

    `LOG_CHILD` and `LOG_MODEL` are functions in place of such methods.

    Its arguments are JSON.
    """

    run_id: str
    method: str
    arguments: dict[str, Any]

    def send(self, client: Any) -> None:
        """Make the call. Raises what MLflow raises."""
        arguments = dict(self.arguments)
        if self.method == LOG_CHILD:
            _log_child(client, self.run_id, **arguments)
        elif self.method == LOG_MODEL:
            log_model(client, self.run_id, **arguments)
        elif self.method == "log_inputs":
            _log_inputs(client, self.run_id, **arguments)
        elif self.method == "log_batch":
            client.log_batch(self.run_id, **_to_entities(arguments))
        else:
            getattr(client, self.method)(self.run_id, **arguments)


class Outbox:
    """Sends calls in order. Calls that an outage stops wait, and are written to disk at the end of the run.

    Args:
        folder: folder for unsent calls; it appears when it is needed.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._waiting: deque[Call] = deque()
        self._sending = threading.Lock()  # with --async, Kedro saves entries in several threads
        self._failures = 0
        self._next_try = 0.0

    def add(self, call: Call) -> None:
        """Send a call, now or later."""
        self._waiting.append(call)
        if time.monotonic() >= self._next_try:
            self.flush()

    def send_or_drop(self, call: Call, *arguments: Any) -> bool:
        """Send a call now or never: drop it in an outage. Its positional arguments need not be JSON.

        Returns:
            whether it was sent.
        """
        if self._waiting or time.monotonic() < self._next_try:
            return False
        try:
            getattr(mlflow.MlflowClient(), call.method)(call.run_id, *arguments, **call.arguments)
        except Exception as error:
            self._note(error, call)
            return False
        return True

    def flush(self) -> bool:
        """Send waiting calls; return whether none is left."""
        client = mlflow.MlflowClient()
        with self._sending:
            while self._waiting:
                try:
                    self._waiting[0].send(client)
                    self._failures = 0
                except Exception as error:  # tracking must not end a training
                    if self._note(error, self._waiting[0]):
                        return False
                self._waiting.popleft()
        return True

    def close(self) -> None:
        """Send waiting calls once more, and write the rest to disk."""
        if self.flush():
            return
        self._keep(self._folder / f"{uuid.uuid4().hex}.json")
        logger.warning(
            "MLflow still does not answer; what it missed is kept in %s, and the next run sends it.", self._folder
        )
        self._waiting.clear()

    def send_kept(self) -> None:
        """Send the calls that earlier runs have written to disk for this tracking server."""
        if not self._folder.exists():
            return
        with FileLock(self._folder / "lock"):  # so that two runs that start together do not send them twice
            for path in sorted(self._folder.glob("[!.]*.json")):
                content = json.loads(path.read_text())
                if hide_passwords(content["address"]) != hide_passwords(mlflow.get_tracking_uri()):
                    continue
                self._waiting += [Call(**call) for call in content["calls"]]
                if not self.flush():
                    self._keep(path)  # without those that were sent
                    self._waiting.clear()
                    return
                path.unlink()
                logger.info("Sent to MLflow what an earlier run had kept for it")

    def _keep(self, path: Path) -> None:
        """Write the waiting calls to disk."""
        address = hide_passwords(mlflow.get_tracking_uri())
        with atomic_write(path) as unfinished:
            unfinished.write_text(json.dumps({"address": address, "calls": [asdict(call) for call in self._waiting]}))

    def _note(self, error: Exception, call: Call) -> bool:
        """Log a failed call; return whether it is to be tried again."""
        if not is_outage(error):
            logger.warning("MLflow refused something (%s of run %s): %s", call.method, call.run_id, first_line(error))
            return False
        if not self._failures:
            logger.warning("MLflow does not answer; what it misses is sent later (%s)", first_line(error))
        self._next_try = time.monotonic() + min(RETRY_SECONDS * 2**self._failures, MAX_PAUSE_SECONDS)
        self._failures += 1
        return True


def _log_child(  # noqa: PLR0913 (most are keywords)
    client: Any,
    parent_id: str,
    name: str,
    child_id: str,
    params: list[tuple[str, str]],
    metrics: list[tuple[str, float, int, int]],
    start_time: int,
    end_time: int,
    *,
    kind: str = "",  # calls that an earlier version has kept have none
) -> None:
    """Create a finished nested run; remove an incomplete one of an earlier try first."""
    parent = client.get_run(parent_id)
    experiment = parent.info.experiment_id
    for half_made in client.search_runs([experiment], f"tags.child_id = '{child_id}'"):
        client.delete_run(half_made.info.run_id)
    inherited = {name: value for name, value in parent.data.tags.items() if name in INHERITED}
    tags = {**inherited, PARENT: parent_id, "child_id": child_id, "kind": kind}
    child = client.create_run(experiment, start_time=start_time, tags=tags, run_name=name).info.run_id
    try:
        client.log_batch(child, **_to_entities({"params": params}))
        for first in range(0, len(metrics), METRICS_PER_CALL):
            client.log_batch(child, **_to_entities({"metrics": metrics[first : first + METRICS_PER_CALL]}))
        client.set_terminated(child, status="FINISHED", end_time=end_time)
    except Exception:
        with suppress(Exception):  # in an outage the next try removes it
            client.delete_run(child)
        raise


def _log_inputs(client: Any, run_id: str, datasets: list[dict[str, str]]) -> None:
    """Log inputs, again if MLflow refuses: another run may be logging the same dataset, for the first time."""
    inputs = [_to_input(**dataset) for dataset in datasets]
    try:
        client.log_inputs(run_id, inputs)
    except Exception as error:
        if is_outage(error):
            raise
        client.log_inputs(run_id, inputs)


def _to_input(split: str, **dataset: str) -> Any:
    context = mlflow.entities.InputTag("mlflow.data.context", split)
    return mlflow.entities.DatasetInput(mlflow.entities.Dataset(**dataset), [context])


def _to_entities(arguments: dict[str, Any]) -> dict[str, Any]:
    kinds = {"metrics": mlflow.entities.Metric, "params": mlflow.entities.Param, "tags": mlflow.entities.RunTag}
    return {name: [kinds[name](*entry) for entry in entries] for name, entries in arguments.items()}
