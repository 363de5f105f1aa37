"""Calls to MLflow that survive a server which does not answer."""

from __future__ import annotations

import json
import logging
import time
from collections import deque
from dataclasses import asdict, dataclass
from itertools import groupby
from pathlib import Path
from typing import Any

import lazy_loader

from gan_pipelines.files import replacing

mlflow = lazy_loader.load("mlflow")
logger = logging.getLogger(__name__)

RETRY_SECONDS = 30.0
"""After a failure nothing is sent for so long: each try costs a training seconds."""
REFUSED = ("INVALID_PARAMETER_VALUE", "RESOURCE_DOES_NOT_EXIST")
"""Error codes of calls that would fail again."""


@dataclass(frozen=True)
class Call:
    """A call of a method of `MlflowClient` on a run, with arguments that JSON can hold."""

    run_id: str
    method: str
    arguments: dict[str, Any]

    def send(self, client: Any) -> None:
        """Make the call. Raises whatever MLflow raises."""
        arguments = dict(self.arguments)
        if self.method == "log_batch":
            kinds = {"metrics": mlflow.entities.Metric, "params": mlflow.entities.Param, "tags": mlflow.entities.RunTag}
            arguments = {name: [kinds[name](*entry) for entry in entries] for name, entries in arguments.items()}
        getattr(client, self.method)(self.run_id, **arguments)


class Outbox:
    """Sends calls in their order; those that cannot be sent wait, and at the end of a run they are kept on disk.

    Args:
        folder: where they are kept, one file for each run; it appears when it is needed.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._waiting: deque[Call] = deque()
        self._next_try = 0.0

    def add(self, call: Call) -> None:
        """Send a call, now or later."""
        self._waiting.append(call)
        if time.monotonic() >= self._next_try:
            self.flush()

    def send_or_drop(self, call: Call, *arguments: Any) -> None:
        """Send a call that is not worth waiting for, unless others wait; its first arguments need not fit JSON."""
        if self._waiting:
            return
        try:
            getattr(mlflow.MlflowClient(), call.method)(call.run_id, *arguments, **call.arguments)
        except Exception as error:
            self._postpone(error)

    def flush(self) -> bool:
        """Send what waits, and tell whether nothing waits any more."""
        client = mlflow.MlflowClient()
        while self._waiting:
            try:
                self._waiting[0].send(client)
            except Exception as error:  # a training must not end because of its tracking
                if getattr(error, "error_code", None) not in REFUSED:
                    self._postpone(error)
                    return False
                logger.warning("MLflow refused something of run %s: %s", self._waiting[0].run_id, error)
            self._waiting.popleft()
        self._next_try = 0.0
        return True

    def close(self) -> None:
        """Try once more to send what waits, and keep the rest on disk."""
        if self.flush():
            return
        for run_id, calls in groupby(sorted(self._waiting, key=lambda call: call.run_id), lambda call: call.run_id):
            with replacing(self._folder / f"{run_id}.json") as unfinished:
                unfinished.write_text(json.dumps([asdict(call) for call in calls]))
        logger.warning(
            "MLflow still does not answer; what it missed is kept in %s, and the next run sends it.", self._folder
        )
        self._waiting.clear()

    def send_kept(self) -> None:
        """Send what earlier runs have kept on disk."""
        for path in sorted(self._folder.glob("*.json")):
            self._waiting += [Call(**call) for call in json.loads(path.read_text())]
            if not self.flush():
                self._waiting.clear()
                return
            path.unlink()
            logger.info("Sent to MLflow what run %s had kept for it", path.stem)

    def _postpone(self, error: Exception) -> None:
        if not self._next_try:
            logger.warning(
                "MLflow does not answer; what it misses is sent later (%s)", str(error).splitlines()[0][:200]
            )
        self._next_try = time.monotonic() + RETRY_SECONDS
