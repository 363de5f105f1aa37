"""Logs of a run in MLflow, while it is under way."""

from __future__ import annotations

import atexit
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any

import lazy_loader
import numpy as np
from numpy.typing import NDArray

from gan_pipelines.gan.config import GanConfig
from gan_pipelines.tracking.liveness import RunningRuns
from gan_pipelines.tracking.outbox import Call, Outbox
from gan_pipelines.typed_config import flatten

# MLflow takes two seconds to import, and listing the pipelines needs none of it: it is loaded on first use.
mlflow = lazy_loader.load("mlflow")

METRICS_PER_CALL = 1000
"""MLflow takes no more."""


class MlflowTracker:
    """Logs into the MLflow run that was active at `begin_run`; without one it logs nothing.

    A server that stops answering stops no training: what it misses is sent later, see `Outbox`.

    Args:
        folder: for what must survive this process: the names of runs under way, and what could not be sent.
    """

    def __init__(self, folder: Path) -> None:
        self.run_id: str | None = None
        self._outbox = Outbox(folder / "unsent")
        self._running = RunningRuns(folder / "running")
        self._logged_epochs = 0

    def begin_run(self) -> None:
        """Take the active run for one's own; first note the end of runs that were killed, and send what was kept."""
        self._outbox.send_kept()
        self._note_killed_runs()
        run = mlflow.active_run()
        if run is None:
            return
        self.run_id = str(run.info.run_id)
        self._logged_epochs = 0
        self._running.begin(self.run_id)
        if threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
        atexit.register(self.end_run, "KILLED")

    def end_run(self, status: str) -> None:
        """Note the end of the run: FINISHED, FAILED or KILLED. Only the first call counts."""
        if self.run_id is None:
            return
        atexit.unregister(self.end_run)
        run_id, self.run_id = self.run_id, None
        while mlflow.active_run() is not None:  # MLflow itself would end it FINISHED
            with suppress(Exception):
                mlflow.end_run(status)
        self._outbox.add(Call(run_id, "set_terminated", {"status": status, "end_time": _now()}))
        self._outbox.close()
        self._running.end(run_id)

    def begin_training(self, fingerprint: str, fresh: bool) -> None:
        """Tag the run with its training, and link it with the last run of the same training unless that is forgotten.

        Args:
            fingerprint: of the training.
            fresh: nothing of an earlier run is used.
        """
        earlier = None if fresh else self._last_run_of(fingerprint)
        self.set_tags(training=fingerprint, **({"continues_run": earlier} if earlier else {}))
        if earlier and self.run_id:
            self._add(earlier, tags={"continued_by_run": self.run_id})

    def log_history(self, history: Sequence[Mapping[str, float]]) -> None:
        """Log the epochs that this run has not logged yet.

        Args:
            history: of each epoch since the beginning of the training its number and its metrics.
        """
        if self.run_id is None:
            return
        now = _now()
        metrics = [
            (name, value, now, int(row["epoch"]))
            for row in history[self._logged_epochs :]
            for name, value in row.items()
            if name != "epoch"
        ]
        for start in range(0, len(metrics), METRICS_PER_CALL):
            self._outbox.add(Call(self.run_id, "log_batch", {"metrics": metrics[start : start + METRICS_PER_CALL]}))
        self._logged_epochs = len(history)
        self._running.touch(self.run_id)

    def log_picture(self, name: str, pixels: NDArray[np.uint8]) -> None:
        """Show a picture in MLflow at once; if it cannot be sent, the catalog's file follows at the end.

        Args:
            name: of the artifact, folder and suffix included.
            pixels: (height, width, 3) uint8.
        """
        if self.run_id is not None:
            self._outbox.send_or_drop(Call(self.run_id, "log_image", {"artifact_file": name}), pixels)

    def log_config(self, config: GanConfig) -> None:
        """Log the whole configuration of a variant, table row included, as flat parameters."""
        self.log_params(asdict(config))

    def log_params(self, params: Mapping[str, Any]) -> None:
        """Log parameters, flattened."""
        if self.run_id is not None:
            self._add(self.run_id, params={name: str(value) for name, value in flatten(params).items()})

    def log_scores(self, scores: Iterable[Mapping[str, Any]]) -> None:
        """Log each score as ``<metric>_<set of weights>``, and its flags as a tag."""
        if self.run_id is None:
            return
        values = [(f"{score['metric']}_{score['identity']['weights']}", score["value"], _now(), 0) for score in scores]
        self._outbox.add(Call(self.run_id, "log_batch", {"metrics": values}))
        if flags := sorted({flag for score in scores for flag in score["flags"]}):
            self.set_tags(flags=" ".join(flags))

    def log_files(self, path: Path, folder: str) -> None:
        """Log a file, or the files of a folder, as artifacts under ``folder``."""
        if self.run_id is not None:
            method, name = ("log_artifacts", "local_dir") if path.is_dir() else ("log_artifact", "local_path")
            self._outbox.add(Call(self.run_id, method, {name: str(path), "artifact_path": folder}))

    def log_commit(self, project_path: Path) -> None:
        """Tag the run with the git commit of the project, if it is a checkout, and whether it has been changed."""
        command = ["git", "-C", str(project_path), "describe", "--always", "--dirty", "--abbrev=40", "--exclude=*"]
        try:
            commit = subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
        except (OSError, subprocess.CalledProcessError):
            return
        is_dirty = str(commit.endswith("-dirty")).lower()
        self.set_tags(**{"mlflow.source.git.commit": commit.removesuffix("-dirty"), "git_dirty": is_dirty})

    def set_tags(self, **tags: str) -> None:
        """Tag the run."""
        if self.run_id is not None:
            self._add(self.run_id, tags=tags)

    def _add(self, run_id: str, **entries: Mapping[str, str]) -> None:
        self._outbox.add(Call(run_id, "log_batch", {kind: list(values.items()) for kind, values in entries.items()}))

    def _note_killed_runs(self) -> None:
        for run_id, last_seen in self._running.killed().items():
            try:
                is_open = mlflow.MlflowClient().get_run(run_id).info.status == "RUNNING"
            except mlflow.exceptions.MlflowException:  # of another server, or deleted
                is_open = False
            if is_open:
                end = {"status": "KILLED", "end_time": int(last_seen * 1000)}
                self._outbox.add(Call(run_id, "set_terminated", end))
            self._running.end(run_id)

    def _last_run_of(self, fingerprint: str) -> str | None:
        if self.run_id is None:
            return None
        client = mlflow.MlflowClient()
        try:
            experiment = client.get_run(self.run_id).info.experiment_id
            query = f"tags.training = '{fingerprint}'"
            runs = client.search_runs([experiment], query, max_results=1, order_by=["attributes.start_time DESC"])
        except mlflow.exceptions.MlflowException:
            return None
        return runs[0].info.run_id if runs else None


def _now() -> int:
    """Milliseconds since the epoch, as MLflow counts time."""
    return int(time.time() * 1000)
