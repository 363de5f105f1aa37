"""What MLflow gets to see of a run, beside what kedro-mlflow logs by itself.

MLflow takes two seconds to import, and listing the pipelines needs none of it: it is loaded on first use.
"""

from __future__ import annotations

import atexit
import signal
import subprocess
import sys
import threading
from collections.abc import Iterable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import lazy_loader

from gan_pipelines.gan.config import GanConfig
from gan_pipelines.typed_config import flatten

mlflow = lazy_loader.load("mlflow")


class MlflowTracker:
    """Logs into the MLflow run that is active in this thread; without one it logs nothing."""

    @property
    def run_id(self) -> str | None:
        """Of the active run."""
        run = mlflow.active_run()
        return None if run is None else str(run.info.run_id)

    def log_metrics(self, metrics: Mapping[str, float], step: int) -> None:
        """Log the metrics of a step in one call."""
        if self.run_id is not None:
            mlflow.log_metrics(dict(metrics), step=step)

    def log_config(self, config: GanConfig) -> None:
        """Log the whole configuration of a variant, table row included, as flat parameters."""
        if self.run_id is not None:
            mlflow.log_params(flatten(asdict(config)))

    def log_scores(self, scores: Iterable[Mapping[str, Any]]) -> None:
        """Log each score as ``<metric>_<set of weights>``, and its flags as a tag."""
        if self.run_id is not None:
            mlflow.log_metrics(
                {f"{score['metric']}_{score['identity']['weights']}": score["value"] for score in scores}
            )
            if flags := sorted({flag for score in scores for flag in score["flags"]}):
                mlflow.set_tag("flags", " ".join(flags))

    def log_files(self, path: Path, folder: str) -> None:
        """Log a file, or the files of a folder, as artifacts under ``folder``."""
        if self.run_id is not None:
            log = mlflow.log_artifacts if path.is_dir() else mlflow.log_artifact
            log(str(path), folder)

    def log_commit(self, project_path: Path) -> None:
        """Tag the run with the git commit of the project, if it is a checkout, and whether it has been changed."""
        command = ["git", "-C", str(project_path), "describe", "--always", "--dirty", "--abbrev=40", "--exclude=*"]
        try:
            commit = subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
        except (OSError, subprocess.CalledProcessError):
            return
        self.set_tag("mlflow.source.git.commit", commit.removesuffix("-dirty"))
        self.set_tag("git_dirty", str(commit.endswith("-dirty")).lower())

    def expect_end(self) -> None:
        """From now on an end of the process, by Ctrl-C or SIGTERM, leaves the run KILLED."""
        if threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
        atexit.register(_end_killed)

    def note_end(self) -> None:
        """The run has ended by itself, FINISHED or FAILED: kedro-mlflow writes that down."""
        atexit.unregister(_end_killed)

    def set_tag(self, name: str, value: str) -> None:
        """Tag the run."""
        if self.run_id is not None:
            mlflow.set_tag(name, value)


def _end_killed() -> None:
    while mlflow.active_run() is not None:  # kedro-mlflow opens the run once more for each node
        mlflow.end_run("KILLED")
