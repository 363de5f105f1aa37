"""Live logging of a run to MLflow."""

from __future__ import annotations

import atexit
import json
import logging
import signal
import sys
import threading
import time
import uuid
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import mlflow
import numpy as np
from numpy.typing import NDArray

from gan_pipelines.core.config import flatten
from gan_pipelines.core.errors import first_line
from gan_pipelines.core.findings import Findings
from gan_pipelines.tracking.liveness import RunningRuns
from gan_pipelines.tracking.models import FID
from gan_pipelines.tracking.outages import is_outage
from gan_pipelines.tracking.outbox import LOG_CHILD, LOG_MODEL, METRICS_PER_CALL, Call, Outbox
from gan_pipelines.tracking.provenance import COMMIT_TAG, DIRTY_TAG, find_commit
from gan_pipelines.tracking.views import View

logger = logging.getLogger(__name__)

TRAINING = "train/"
"""Prefix of metrics by epoch, which MLflow shows as a section."""
MAX_PARAM_LENGTH = 6000
"""Maximum length of a parameter in MLflow, which refuses longer ones."""
DIGEST_LENGTH = 12
"""Number of digits of a dataset's hash that MLflow shows; it refuses more than 36."""


class MlflowTracker:
    """Logs to the MLflow run that is active at `begin_run`; without an active run it logs nothing.

    An outage of the server does not stop a training: the missed calls are sent later, see `Outbox`.

    Args:
        folder: folder for what must outlive this process: names of open runs, and unsent calls.
    """

    def __init__(self, folder: Path) -> None:
        self.run_id: str | None = None
        self.experiment_id: str | None = None
        self._pictures: str | None = None
        self._outbox = Outbox(folder / "unsent")
        self._running = RunningRuns(folder / "running")
        self._ends_run = True
        self._logged_epochs = 0
        self._training: str | None = None
        self._times: dict[tuple[str, float], int] = {}
        self._sigterm: Any = None
        self._sampler: Any = None

    def begin_run(self, is_own: bool = True) -> None:
        """Attach to the active run. Send unsent calls of earlier runs, and end runs whose process was killed.

        Of several calls only the first has an effect.

        Args:
            is_own: whether to end the run, also if this process is interrupted; otherwise its caller ends it.
        """
        run = mlflow.active_run()
        if run is None or self.run_id is not None:
            return
        self.run_id, self.experiment_id = str(run.info.run_id), str(run.info.experiment_id)
        self._pictures = mlflow.utils.file_utils.local_file_uri_to_path(f"{run.info.artifact_uri}/images")
        self._ends_run = is_own
        self._logged_epochs, self._training, self._times = 0, None, {}
        atexit.register(self.end_run, "KILLED")
        if threading.current_thread() is threading.main_thread():
            self._sigterm = signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
        try:
            if is_own:
                self._running.begin(self.run_id, mlflow.get_tracking_uri())
            self._outbox.send_kept()
            self._note_killed_runs()
        except Exception as error:  # earlier runs must not fail this one
            logger.warning("What earlier runs have left could not be dealt with: %s", first_line(error))

    def list_runs_at_work(self) -> list[str]:
        """The runs on this machine that are open, of any process."""
        return self._running.alive()

    def end_run(self, status: str) -> None:
        """End the run as FINISHED, FAILED or KILLED. Only the first call has an effect."""
        if self.run_id is None:
            return
        run_id, self.run_id = self.run_id, None
        atexit.unregister(self.end_run)
        if self._sigterm is not None:
            signal.signal(signal.SIGTERM, self._sigterm)
        if self._sampler is not None:
            self._sampler.finish()
            self._sampler = None
        if self._ends_run:
            while mlflow.active_run() is not None:  # at its exit MLflow would set FINISHED
                with suppress(Exception):
                    mlflow.end_run(status)
            self._outbox.add(Call(run_id, "set_terminated", {"status": status, "end_time": _now()}))
        try:
            self._outbox.close()
        except OSError as error:
            logger.warning("What MLflow missed could not be kept: %s", error)
        self._running.end(run_id)

    def sample_system(self) -> None:
        """Sample the load of the machine until the run ends, with MLflow's own sampler."""
        if self.run_id is None:
            return
        try:
            from mlflow.system_metrics.system_metrics_monitor import SystemMetricsMonitor  # noqa: PLC0415 (loads psutil)

            self._sampler = SystemMetricsMonitor(self.run_id, resume_logging=True)
            self._sampler.start()
        except Exception as error:  # it must not end a training
            logger.warning("System metrics are not sampled: %s", first_line(error))

    def begin_training(self, fingerprint: str, continues: bool) -> None:
        """Tag the run with its training and link it to the run that it continues. Only the first call has an effect.

        Args:
            fingerprint: fingerprint of the training.
            continues: whether the training was begun by an earlier run.
        """
        if self.run_id is None or self._training == fingerprint:
            return
        self._training = fingerprint
        earlier = self._last_run_of(fingerprint) if continues else None
        if earlier == self.run_id:  # by MLFLOW_RUN_ID it goes on itself
            return
        self.set_tags(training=fingerprint, **({"continues_run": earlier} if earlier else {}))
        if earlier:
            self._add(earlier, tags={"continued_by_run": self.run_id})

    def log_history(self, history: Sequence[Mapping[str, float]]) -> None:
        """Log the epochs that this run has not logged yet.

        Args:
            history: number and metrics of each epoch since the start of the training.
        """
        if self.run_id is None:
            return
        values = _by_epoch(history[self._logged_epochs :])
        for start in range(0, len(values), METRICS_PER_CALL):
            self._outbox.add(Call(self.run_id, "log_batch", {"metrics": values[start : start + METRICS_PER_CALL]}))
        self._logged_epochs = len(history)
        self._running.touch(self.run_id)

    def log_child(
        self,
        kind: str,
        name: str,
        params: Mapping[str, Any],
        history: Sequence[Mapping[str, float]],
        scores: Mapping[str, float],
        seconds: float,
    ) -> None:
        """Log a finished nested run.

        Args:
            kind: what it is, a tag to filter by.
            name: name of the nested run.
            params: its parameters, flat.
            history: number and metrics of each epoch.
            scores: metrics of the whole run.
            seconds: its duration.
        """
        if self.run_id is None:
            return
        now = _now()
        arguments = {
            "kind": kind,
            "name": name,
            "child_id": uuid.uuid4().hex,
            "params": [(param, str(value)) for param, value in params.items()],
            "metrics": _by_epoch(history) + [(metric, value, now, 0) for metric, value in scores.items()],
            "start_time": now - round(seconds * 1000),
            "end_time": now,
        }
        self._outbox.add(Call(self.run_id, LOG_CHILD, arguments))
        self._running.touch(self.run_id)

    def log_metrics(self, values: Mapping[str, float]) -> None:
        """Log metrics of the whole run."""
        if self.run_id is not None:
            self._outbox.add(Call(self.run_id, "log_batch", {"metrics": self._stamp(values)}))

    def log_picture(self, name: str, epoch: int, pixels: NDArray[np.uint8]) -> None:
        """Log a picture of an epoch at once; MLflow shows a slider over epochs. The first one says where they are.

        In an outage it is dropped, since the file of the catalog is logged at the end.

        Args:
            name: name of the picture, the same in all epochs.
            epoch: step of the picture.
            pixels: (height, width, 3) uint8.
        """
        if self.run_id is not None:
            call = Call(self.run_id, "log_image", {"key": name, "step": epoch})
            if self._outbox.send_or_drop(call, pixels) and self._pictures is not None:
                logger.info("%s of epoch %d, and soon of later ones: %s", name.capitalize(), epoch, self._pictures)
                self._pictures = None

    def log_params(self, params: Mapping[str, Any]) -> None:
        """Log parameters; nested ones get names such as ``networks.width``."""
        if self.run_id is not None:
            self._add(
                self.run_id, params={name: str(value)[:MAX_PARAM_LENGTH] for name, value in flatten(params).items()}
            )

    def log_files(self, path: Path, folder: str) -> None:
        """Log a file, or the files of a folder, as artifacts under ``folder``."""
        if self.run_id is not None:
            method, name = ("log_artifacts", "local_dir") if path.is_dir() else ("log_artifact", "local_path")
            self._outbox.add(Call(self.run_id, method, {name: str(path), "artifact_path": folder}))

    def log_dataset(self, name: str, source: Path, sizes: Mapping[str, int], hashes: Mapping[str, str]) -> None:
        """Log the splits of a dataset as inputs of the run.

        Args:
            name: name of the dataset.
            source: file that describes it.
            sizes: number of images of each split.
            hashes: hash of each split; MLflow gets the first `DIGEST_LENGTH` digits.
        """
        if self.run_id is None:
            return
        datasets = [
            {
                "split": split,
                "name": name,
                "digest": hashes[split][:DIGEST_LENGTH],
                "source_type": "local",
                "source": json.dumps({"uri": str(source)}),
                "profile": json.dumps({"num_rows": count}),
            }
            for split, count in sizes.items()
        ]
        self._outbox.add(Call(self.run_id, "log_inputs", {"datasets": datasets}))

    def log_model(
        self,
        name: str,
        path: Path,
        params: Mapping[str, Any],
        findings: Findings | None,
        dataset: tuple[str, str] | None,
        registered_name: str | None = None,
        champion: bool = False,
    ) -> None:
        """Log a saved model as an output of the run, with its scores.

        Args:
            name: name of the model.
            path: folder of the model, which stays.
            params: what it was made with.
            findings: its scores in brief, or None.
            dataset: name and hash of the images that it was scored with, or None.
            registered_name: name in MLflow's model registry, or None.
            champion: whether the registered version with the lowest comparable FID gets the alias ``champion``.
        """
        if self.run_id is None:
            return
        scores = {} if findings is None else findings.metrics
        fid = {FID: f"{scores[FID]:.6g}"} if FID in scores else {}
        arguments = {
            "name": name,
            "path": str(path.absolute()),
            "params": [(param, str(value)) for param, value in flatten(params).items()],
            "metrics": self._stamp(scores),
            "tags": fid | ({} if findings is None else dict(findings.tags)),
            "dataset": None if dataset is None else (dataset[0], dataset[1][:DIGEST_LENGTH]),
            "registered_name": registered_name,
            "champion": champion,
        }
        self._outbox.add(Call(self.run_id, LOG_MODEL, arguments))

    def share_view(self, view: View) -> None:
        """Write a view of the list of runs, which the whole experiment shares."""
        if self.experiment_id is not None:
            arguments = {"key": view.tag, "value": view.encode()}
            self._outbox.add(Call(self.experiment_id, "set_experiment_tag", arguments))

    def log_commit(self, project_path: Path) -> None:
        """Tag the run with the git commit of the project, if it has one, and whether files have changed since."""
        if (commit := find_commit(project_path)) is not None:
            self.set_tags(**{COMMIT_TAG: commit.hash, DIRTY_TAG: str(commit.is_dirty).lower()})

    def name_run(self, name: str) -> None:
        """Name the run, unless its caller owns it."""
        if self.run_id is not None and self._ends_run:
            self._outbox.add(Call(self.run_id, "update_run", {"name": name}))

    def describe_run(self, text: str) -> None:
        """Set the description of the run, in Markdown."""
        self.set_tags(**{"mlflow.note.content": text})

    def set_tags(self, **tags: str) -> None:
        """Tag the run."""
        if self.run_id is not None:
            self._add(self.run_id, tags=tags)

    def _stamp(self, values: Mapping[str, float]) -> list[tuple[str, float, int, int]]:
        """Name, value, time and step of metrics of the whole run.

        A value has the time at which it was first logged: MLflow then has it once, though run and model both have it.
        """
        now = _now()
        return [(*metric, self._times.setdefault(metric, now), 0) for metric in values.items()]

    def _add(self, run_id: str, **entries: Mapping[str, str]) -> None:
        self._outbox.add(Call(run_id, "log_batch", {kind: list(values.items()) for kind, values in entries.items()}))

    def _note_killed_runs(self) -> None:
        for run_id, last_seen in self._running.killed(mlflow.get_tracking_uri()).items():
            try:
                is_open = mlflow.MlflowClient().get_run(run_id).info.status == "RUNNING"
            except mlflow.exceptions.MlflowException as error:
                if is_outage(error):
                    return
                is_open = False  # it was deleted
            if is_open:
                end = {"status": "KILLED", "end_time": int(last_seen * 1000)}
                self._outbox.add(Call(run_id, "set_terminated", end))
            self._running.end(run_id)

    def _last_run_of(self, fingerprint: str) -> str | None:
        client = mlflow.MlflowClient()
        try:
            experiment = client.get_run(str(self.run_id)).info.experiment_id
            query = f"tags.training = '{fingerprint}'"
            runs = client.search_runs([experiment], query, max_results=1, order_by=["attributes.start_time DESC"])
        except mlflow.exceptions.MlflowException:
            return None
        return runs[0].info.run_id if runs else None


def _by_epoch(history: Sequence[Mapping[str, float]]) -> list[tuple[str, float, int, int]]:
    """Name, value, time and epoch of each metric of a history."""
    now = _now()
    return [
        (TRAINING + name, value, now, int(row["epoch"]))
        for row in history
        for name, value in row.items()
        if name != "epoch"
    ]


def _now() -> int:
    """Milliseconds since the epoch, as MLflow counts time."""
    return int(time.time() * 1000)
