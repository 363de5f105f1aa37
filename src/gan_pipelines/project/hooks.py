"""Hooks of the project: errors as sentences, checks before a run, a summary after it."""

from __future__ import annotations

import errno
import json
import logging
import os
import sys
from collections.abc import Generator
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any

from kedro.framework.context import KedroContext
from kedro.framework.hooks import hook_impl
from kedro.framework.project import pipelines
from kedro.io import DataCatalog, Version
from kedro.pipeline import Pipeline

from gan_pipelines.core.errors import ProjectError
from gan_pipelines.core.findings import Findings
from gan_pipelines.project.session import check_paths
from gan_pipelines.project.summary import summarize_run
from gan_pipelines.tracking.entries import PARAMETERS, RUNTIME, find_saved_path, is_versioned
from gan_pipelines.tracking.hooks import TrackingHooks

logger = logging.getLogger(__name__)

REMEDIES = {
    errno.ENOSPC: "the disk is full; free some space",
    errno.EDQUOT: "your quota of the disk is used up; free some space",
    errno.EACCES: "it may not be read or written; change its permissions",
    errno.EPERM: "it may not be read or written; change its permissions",
    errno.EROFS: "the disk is read-only; choose another place",
}


def install_excepthook() -> None:
    """Print uncaught errors as sentences where possible; set GAN_PIPELINES_TRACEBACK=1 for tracebacks."""
    print_traceback = sys.excepthook

    def print_sentence(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
        sentence = explain(error)
        if sentence and not os.environ.get("GAN_PIPELINES_TRACEBACK"):
            print(f"Error: {sentence}\n(GAN_PIPELINES_TRACEBACK=1 shows where it was raised.)", file=sys.stderr)
        else:
            print_traceback(kind, error, trace)

    sys.excepthook = print_sentence


def explain(error: BaseException) -> str | None:
    """The sentence for an error that a user can act on, or None for any other error."""
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, ProjectError):
            return str(cause)
        if isinstance(cause, OSError) and cause.errno in REMEDIES:
            place = cause.filename or "A file could not be written"
            return f"{place}: {REMEDIES[cause.errno]}, and start the run again: a training goes on where it was."
        cause = cause.__cause__
    return None


class PreflightHooks:
    """Parse parameters and check a run before it starts and before MLflow opens it."""

    @hook_impl(wrapper=True)
    def after_context_created(self, context: KedroContext) -> Generator[None]:
        """Raise a `ConfigError` if MLflow or Kedro would read another path than that of the project."""
        check_paths(Path(context.project_path), context.config_loader.conf_source)
        self.env = context.env
        self.project_path = Path(context.project_path)
        return (yield)

    @hook_impl(tryfirst=True)
    def before_pipeline_run(self, pipeline: Pipeline, catalog: DataCatalog) -> None:
        """Parse the parameters that the run uses and check the run; nodes receive typed parameters.

        Raises:
            ProjectError: if the run could not end well.
        """
        from gan_pipelines.project.parameters import parse_parameters  # noqa: PLC0415 (not for listing pipelines)
        from gan_pipelines.project.preflight import check_run  # noqa: PLC0415 (loads PyTorch)

        inputs = pipeline.inputs() | {RUNTIME}
        parameters = parse_parameters(catalog.load("parameters"), inputs).anchored(self.project_path)
        check_run(pipeline, catalog, parameters, pipelines, self.env)
        for name in inputs:
            if name.startswith(PARAMETERS):
                catalog[name].save(parameters.value(name))
        self.catalog = catalog

    @hook_impl
    def before_dataset_saved(self, dataset_name: str, data: Any) -> None:
        """Settle which version is loaded later; warn if the images are not those of the experiment's last run."""
        _load_what_is_saved(self.catalog.get(dataset_name))
        if dataset_name == "manifest" and (before := _load_newest(self.catalog["manifest"])):
            version, manifest = before
            if manifest.get("content_hash") != data["content_hash"]:
                logger.warning(
                    "The images are not those of this experiment's manifest %s: scores are compared only where the "
                    "images are the same. Another dataset wants an experiment of its own, in globals.yml.",
                    version,
                )


def _load_what_is_saved(dataset: object) -> None:
    """Let the later nodes of a run load what it saves: Kedro takes the newest version, even of a run beside it."""
    if is_versioned(dataset):
        version = dataset.resolve_save_version()
        dataset._version = Version(version, version)


def _load_newest(dataset: Any) -> tuple[str, dict[str, Any]] | None:
    """The newest version of a versioned JSON file and its content; None if there is none that can be read."""
    with suppress(IndexError, OSError, ValueError):
        path = Path(dataset.list_versions()[0])
        return path.parent.name, json.loads(path.read_text())
    return None


class SummaryHooks:
    """Print the results of a run, and where its files and its view in MLflow are.

    Args:
        tracking: the owner of the MLflow run.
    """

    def __init__(self, tracking: TrackingHooks) -> None:
        self.tracking = tracking

    @hook_impl
    def after_context_created(self, context: KedroContext) -> None:
        """Keep the path and the environment of the project."""
        self.project_path = Path(context.project_path)
        self.env = context.env

    @hook_impl
    def after_catalog_created(self, catalog: DataCatalog, save_version: str) -> None:
        """Keep the catalog, which hooks on datasets do not receive."""
        self.catalog = catalog
        self.save_version = save_version

    @hook_impl
    def before_pipeline_run(self) -> None:
        """Begin a new summary."""
        self.files: dict[str, Path] = {}
        self.sentences: list[str] = []

    @hook_impl
    def after_dataset_saved(self, dataset_name: str, data: Any) -> None:
        """Note findings and files; name pictures at once, since a run can go on for long."""
        if isinstance(data, Findings):
            self.sentences += data.sentences
        path = find_saved_path(self.catalog, dataset_name, self.save_version)
        if path is not None:
            kind = dataset_name.rpartition(".")[2]
            shown = max(path.glob("*.png"), default=path)  # of the pictures in a folder, the last
            shown = shown.relative_to(self.project_path) if shown.is_relative_to(self.project_path) else shown
            self.files[kind] = shown
            if shown.suffix == ".png":
                logger.info("%s: %s", kind.replace("_", " "), shown)

    @hook_impl(wrapper=True, tryfirst=True)
    def after_pipeline_run(self) -> Generator[None]:
        """Print the summary after all other hooks, so that it cannot fail a run that has ended well."""
        result = yield
        print(summarize_run(self.files, self.sentences, self.tracking.list_addresses(), self.env))
        return result
