"""Where the project meets Kedro's life cycle: checks before a run, errors in a sentence, a report at its end."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from types import TracebackType
from typing import Any

from kedro.framework.context import KedroContext
from kedro.framework.hooks import hook_impl
from kedro.io import AbstractVersionedDataset, DataCatalog
from kedro.pipeline import Pipeline

from gan_pipelines.errors import ProjectError
from gan_pipelines.report import summarize_run
from gan_pipelines.tracking import MlflowTracker


class ErrorHooks:
    """On the command line, an error that a user can act on is one sentence; a traceback is for those who ask."""

    @hook_impl
    def after_context_created(self) -> None:
        """Put a handler before the one that prints tracebacks."""
        print_traceback = sys.excepthook

        def print_sentence(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
            if isinstance(error, ProjectError) and not os.environ.get("GAN_PIPELINES_TRACEBACK"):
                print(f"Error: {error}\n(GAN_PIPELINES_TRACEBACK=1 shows where it was raised.)", file=sys.stderr)
            else:
                print_traceback(kind, error, trace)

        sys.excepthook = print_sentence


class PreflightHooks:
    """Check everything that can be checked before hours of training, and before MLflow opens a run."""

    @hook_impl(tryfirst=True)
    def before_pipeline_run(self, pipeline: Pipeline, catalog: DataCatalog) -> None:
        """Raise a `ProjectError` if the run could not end well."""
        from gan_pipelines.preflight import check_run  # noqa: PLC0415 (PyTorch: not for listing the pipelines)

        check_run(pipeline, catalog)


class ReportHooks:
    """Link the MLflow run with the catalog's files, and tell at the end where to look."""

    def __init__(self) -> None:
        self.tracker = MlflowTracker()

    @hook_impl
    def after_context_created(self, context: KedroContext) -> None:
        """Remember where the project lies."""
        self.project_path = Path(context.project_path)

    @hook_impl
    def after_catalog_created(self, catalog: DataCatalog, save_version: str) -> None:
        """Remember the catalog, which is not given to the hooks of datasets."""
        self.catalog = catalog
        self.save_version = save_version

    @hook_impl(trylast=True)
    def before_pipeline_run(self) -> None:
        """Tell the MLflow run which version its files get and which code makes them."""
        self.files: dict[str, Path] = {}
        self.scores: list[dict[str, Any]] = []
        self.tracker.set_tag("catalog_version", self.save_version)
        self.tracker.log_commit(self.project_path)
        self.tracker.expect_end()

    @hook_impl
    def after_dataset_saved(self, dataset_name: str, data: Any) -> None:
        """Send what was saved to MLflow: settings, scores, and all files but the networks."""
        kind = dataset_name.rpartition(".")[2]
        if kind == "config":
            self.tracker.log_config(data)
        elif kind == "manifest":
            self.tracker.set_tag("dataset_hash", data["content_hash"])
        elif kind == "scores":
            self.tracker.log_scores(data)
            self.scores = data
        path = self._saved_path(dataset_name)
        if path is not None:
            self.files[kind] = path.relative_to(self.project_path) if path.is_relative_to(self.project_path) else path
            if kind != "generator":
                self.tracker.log_files(path, kind)

    @hook_impl
    def after_pipeline_run(self) -> None:
        """Print what came out and where to look."""
        self.tracker.note_end()
        print(summarize_run(self.files, self.scores))

    @hook_impl
    def on_pipeline_error(self) -> None:
        """Leave the status to kedro-mlflow."""
        self.tracker.note_end()

    def _saved_path(self, dataset_name: str) -> Path | None:
        """Where this run has put a versioned entry; None if the entry is not versioned."""
        dataset = self.catalog[dataset_name]
        if not isinstance(dataset, AbstractVersionedDataset) or dataset.resolve_save_version() is None:
            return None
        paths = map(Path, dataset.list_versions())
        return next((path for path in paths if path.parent.name == self.save_version), None)
