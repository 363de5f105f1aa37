"""Where the project meets Kedro's life cycle: checks before a run, errors in a sentence, tracking, a last report."""

from __future__ import annotations

import errno
import os
import sys
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any

from kedro.framework.context import KedroContext
from kedro.framework.hooks import hook_impl
from kedro.io import AbstractVersionedDataset, DataCatalog
from kedro.pipeline import Pipeline

from gan_pipelines.core.config import ConfigError, suggest
from gan_pipelines.core.errors import ProjectError, first_line
from gan_pipelines.project.summary import describe_results, summarize_run
from gan_pipelines.tracking import MlflowTracker, TrackingUnavailable

REMEDIES = {
    errno.ENOSPC: "the disk is full; free some space",
    errno.EDQUOT: "your quota of the disk is used up; free some space",
    errno.EACCES: "it may not be read or written; change its permissions",
    errno.EPERM: "it may not be read or written; change its permissions",
    errno.EROFS: "the disk is read-only; choose another place",
}


NOT_TRACKED = ("generator", "best_generator", "samples", "synthetic_images")
"""Kinds of data that may be large; MLflow gets the version under which the catalog has them."""


class ErrorHooks:
    """On the command line, an error that a user can act on is one sentence; a traceback is for those who ask."""

    @hook_impl(wrapper=True, tryfirst=True)
    def after_context_created(self) -> Generator[None]:
        """See to it before anything else can fail."""
        install_excepthook()
        return (yield)


def install_excepthook() -> None:
    """Put a handler of uncaught errors before the one that prints tracebacks."""
    print_traceback = sys.excepthook

    def print_sentence(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
        sentence = explain(error)
        if sentence and not os.environ.get("GAN_PIPELINES_TRACEBACK"):
            print(f"Error: {sentence}\n(GAN_PIPELINES_TRACEBACK=1 shows where it was raised.)", file=sys.stderr)
        else:
            print_traceback(kind, error, trace)

    sys.excepthook = print_sentence


def explain(error: BaseException) -> str | None:
    """Say what a user can do about an error; None if that is not known."""
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
    """Check everything that can be checked before hours of training, and before MLflow opens a run."""

    @hook_impl(tryfirst=True)
    def after_context_created(self, context: KedroContext) -> None:
        """Raise a `ConfigError` if there is no such environment: Kedro would go on without its settings."""
        conf = Path(context.config_loader.conf_source)
        self.env = context.env
        known = sorted(path.name for path in conf.iterdir() if path.is_dir())
        if context.env is not None and context.env not in known:
            raise ConfigError(f"There is no environment {context.env!r} in {conf.name}; {suggest(context.env, known)}")

    @hook_impl(tryfirst=True)
    def before_pipeline_run(self, pipeline: Pipeline, catalog: DataCatalog) -> None:
        """Parse the parameters that the run uses and check the run; nodes receive typed parameters.

        Raises:
            ProjectError: if the run could not end well.
        """
        from gan_pipelines.project.parameters import PREFIX, parse_parameters  # noqa: PLC0415 (not for listing pipelines)
        from gan_pipelines.project.preflight import check_run  # noqa: PLC0415 (loads PyTorch)

        inputs = pipeline.inputs()
        parameters = parse_parameters(catalog.load("parameters"), inputs)
        check_run(pipeline, catalog, parameters, self.env)
        for name in inputs:
            if name.startswith(PREFIX):
                catalog[name].save(parameters.value(name))


class ReportHooks:
    """Link the MLflow run with the catalog's files, and tell at the end where to look.

    The wrappers stand around kedro-mlflow's own hooks: once a run has begun, an MLflow that no longer answers ends
    nothing.
    """

    @hook_impl(wrapper=True)
    def after_context_created(self, context: KedroContext) -> Generator[None]:
        """Remember where the project lies; see to it that MLflow answers."""
        from mlflow import active_run  # noqa: PLC0415 (kedro-mlflow has loaded it by now)

        self.project_path = Path(context.project_path)
        self.env = context.env
        self.is_own_run = active_run() is None  # else a caller has opened it, and will end it
        try:
            return (yield)
        except Exception as error:
            if _is_mlflows(error):
                raise TrackingUnavailable(
                    f"MLflow does not answer ({first_line(error)}); start its server, or set another address in "
                    "server.mlflow_tracking_uri of mlflow.yml in conf/local or, with --env, in its folder."
                ) from error
            raise

    @hook_impl
    def after_catalog_created(self, catalog: DataCatalog, save_version: str) -> None:
        """Remember the catalog, which is not given to the hooks of datasets."""
        self.catalog = catalog
        self.save_version = save_version
        self.experiment: str = catalog.load("params:experiment")
        mlruns = self.project_path / "mlruns"
        self.tracker: MlflowTracker = catalog.load("tracker") if "tracker" in catalog else MlflowTracker(mlruns)

    @hook_impl(trylast=True)
    def before_pipeline_run(self, run_params: dict[str, Any]) -> None:
        """Give the MLflow run a name, and tell it which version its files get and which code makes them."""
        self.pipelines = "+".join(run_params["pipeline_names"] or [])
        self.files: dict[str, Path] = {}
        self.scores: list[dict[str, Any]] = []
        self.verdicts: list[dict[str, Any]] = []
        self.tracker.begin_run(self.is_own_run)
        self.tracker.set_tags(catalog_version=self.save_version)
        self.tracker.name_run(f"{self.pipelines or '__default__'} {self.experiment}")
        self.tracker.log_commit(self.project_path)

    @hook_impl(wrapper=True)
    def before_node_run(self, inputs: dict[str, Any]) -> Generator[None]:
        """Log the parameters of the node later if MLflow does not answer.

        Those of a variant are kept from kedro-mlflow, since the whole configuration is logged anyway.
        """
        of_variants = {name: inputs.pop(name) for name in list(inputs) if name.startswith("params:variants.")}
        prefix = "params:"
        try:
            return (yield)
        except Exception as error:
            if not _is_mlflows(error):
                raise
            self.tracker.log_params({k.removeprefix(prefix): v for k, v in inputs.items() if k.startswith(prefix)})
        finally:
            inputs.update(of_variants)

    @hook_impl
    def after_dataset_saved(self, dataset_name: str, data: Any) -> None:
        """Send what was saved to MLflow: settings, scores, and all files but the networks."""
        kind = dataset_name.rpartition(".")[2]
        if kind == "config":
            self.tracker.log_config(data)
            variant = dataset_name.partition(".")[0]
            self.tracker.name_run(f"{self.pipelines or variant} seed {data.seed} {self.experiment}")
        elif kind == "manifest":
            self.tracker.set_tags(dataset_hash=data["content_hash"])
        elif kind == "scores":
            self.tracker.log_scores(data)
            self.scores = data
        elif kind == "arm_scores":
            accuracies = data.groupby(["arm", "fraction"])["accuracy"].mean().to_dict()
            self.tracker.log_metrics({f"accuracy_{arm}_{part:g}": value for (arm, part), value in accuracies.items()})
        elif kind == "comparisons":
            differences = zip(data["arm"], data["fraction"], data["difference"], strict=True)
            self.tracker.log_metrics({f"difference_{arm}_{part:g}": value for arm, part, value in differences})
        elif kind == "verdicts":
            self.tracker.set_tags(verdict=" ".join(verdict["sentence"] for verdict in data))
            self.verdicts = data
        path = self._saved_path(dataset_name)
        if path is not None:
            self.files[kind] = path.relative_to(self.project_path) if path.is_relative_to(self.project_path) else path
            if kind not in NOT_TRACKED:
                self.tracker.log_files(path, kind)

    @hook_impl(wrapper=True)
    def after_pipeline_run(self) -> Generator[None]:
        """Print what came out and where to look."""
        try:
            with _tolerating_mlflow():
                yield
        except BaseException:
            self.tracker.end_run("FAILED")
            raise
        if results := describe_results(self.scores, self.verdicts):
            self.tracker.describe_run("\n\n".join(results))
        self.tracker.end_run("FINISHED")
        print(summarize_run(self.files, self.scores, self.verdicts, self.env))

    @hook_impl(wrapper=True)
    def on_pipeline_error(self) -> Generator[None]:
        """Note the failure."""
        with _tolerating_mlflow():
            yield
        self.tracker.end_run("FAILED")

    def _saved_path(self, dataset_name: str) -> Path | None:
        """Where this run has put a versioned entry; None if the entry is not versioned."""
        dataset = self.catalog[dataset_name]
        if not isinstance(dataset, AbstractVersionedDataset) or dataset.resolve_save_version() is None:
            return None
        paths = map(Path, dataset.list_versions())
        return next((path for path in paths if path.parent.name == self.save_version), None)


@contextmanager
def _tolerating_mlflow() -> Iterator[None]:
    try:
        yield
    except Exception as error:
        if not _is_mlflows(error):
            raise


def _is_mlflows(error: Exception) -> bool:
    """Whether an exception comes from MLflow or from what it talks to its store with."""
    return type(error).__module__.split(".")[0] in ("mlflow", "requests", "sqlalchemy", "sqlite3")
