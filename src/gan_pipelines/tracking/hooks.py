"""The owner of the MLflow run: kedro-mlflow opens it, this hook names, fills and ends it."""

from __future__ import annotations

import logging
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from dataclasses import asdict, is_dataclass
from pathlib import Path
from typing import Any

from kedro.framework.context import KedroContext
from kedro.framework.hooks import hook_impl
from kedro.io import DataCatalog
from kedro.pipeline import Pipeline

from gan_pipelines.core.errors import ProjectError, first_line
from gan_pipelines.tracking.entries import PARAMETERS, EntryLogging, find_saved_path, read_logging
from gan_pipelines.tracking.errors import TrackingUnavailable
from gan_pipelines.tracking.outages import comes_from_mlflow, tolerate_mlflow
from gan_pipelines.tracking.tracker import MlflowTracker

logger = logging.getLogger(__name__)

VARIANTS = f"{PARAMETERS}variants."


class TrackingHooks:
    """Names the MLflow run, logs parameters and saved entries, and ends it.

    Wrappers enclose kedro-mlflow's hooks: an MLflow that stops answering does not end a run that has begun.
    """

    @hook_impl(wrapper=True)
    def after_context_created(self, context: KedroContext) -> Generator[None]:
        """Check that MLflow answers. Raises `TrackingUnavailable` if it does not."""
        from mlflow import active_run  # noqa: PLC0415 (kedro-mlflow has loaded it)

        self.project_path = Path(context.project_path)
        self.is_own_run = active_run() is None  # a caller's run is not named or ended here
        with _require_mlflow():
            return (yield)

    @hook_impl
    def after_catalog_created(self, catalog: DataCatalog, save_version: str) -> None:
        """Keep the catalog, which hooks on datasets do not receive."""
        self.catalog = catalog
        self.save_version = save_version
        mlruns = self.project_path / "mlruns"
        self.tracker: MlflowTracker = catalog.load("tracker") if "tracker" in catalog else MlflowTracker(mlruns)

    @hook_impl(wrapper=True)
    def before_pipeline_run(
        self, run_params: dict[str, Any], pipeline: Pipeline, catalog: DataCatalog
    ) -> Generator[None]:
        """Check the metadata of entries, let the run be checked and opened, then name it and log its parameters.

        Raises:
            ConfigError: if the metadata of an entry is wrong.
            TrackingUnavailable: if MLflow does not answer.
        """
        self.logging = read_logging(catalog, pipeline.datasets())
        self.sentences: list[str] = []
        try:
            with _require_mlflow():
                result = yield
            self._begin(run_params["pipeline_names"] or [], pipeline, catalog)
            return result
        except BaseException:  # Kedro calls no other hook after this one
            self.tracker.begin_run(self.is_own_run)
            self.tracker.end_run("FAILED")
            raise

    def _begin(self, pipelines: list[str], pipeline: Pipeline, catalog: DataCatalog) -> None:
        self.tracker.begin_run(self.is_own_run)
        self.tracker.set_tags(catalog_version=self.save_version)
        self.tracker.name_run(_name_run(pipelines, pipeline, catalog))
        self.tracker.log_commit(self.project_path)
        for entry in sorted(pipeline.inputs()):
            if entry.startswith(PARAMETERS) and not entry.startswith(VARIANTS):  # these are logged when resolved
                self.tracker.log_params({entry.removeprefix(PARAMETERS): _to_plain(catalog.load(entry))})

    @hook_impl(wrapper=True)
    def before_node_run(self, inputs: dict[str, Any]) -> Generator[None]:
        """Hide typed parameters from kedro-mlflow, which would log each as one text; ignore an outage."""
        hidden = {name: inputs.pop(name) for name in list(inputs) if name.startswith(PARAMETERS)}
        try:
            with tolerate_mlflow():
                return (yield)
        finally:
            inputs.update(hidden)

    @hook_impl
    def after_dataset_saved(self, dataset_name: str, data: Any) -> None:
        """Log what the metadata of the entry says."""
        asked = self.logging.get(dataset_name, EntryLogging())
        if asked.params:
            self.tracker.log_params(asdict(data))
        if asked.tags is not None:
            self.tracker.set_tags(**{tag: data[key] for tag, key in asked.tags.items() if key in data})
            if missing := [tag for tag, key in asked.tags.items() if key not in data]:
                logger.warning("%s has no value for MLflow's tags %s", dataset_name, ", ".join(missing))
        if asked.findings:
            self.tracker.log_metrics(data.metrics)
            self.tracker.set_tags(**data.tags)
            self.sentences += data.sentences
        if asked.file and (path := find_saved_path(self.catalog, dataset_name, self.save_version)):
            self.tracker.log_files(path, dataset_name.rpartition(".")[2])

    @hook_impl(wrapper=True)
    def after_pipeline_run(self) -> Generator[None]:
        """Describe and end the run."""
        try:
            with tolerate_mlflow():
                yield
        except BaseException:
            self.tracker.end_run("FAILED")
            raise
        self._describe()
        self.tracker.end_run("FINISHED")

    @hook_impl(wrapper=True)
    def on_pipeline_error(self, error: Exception) -> Generator[None]:
        """Describe the run by what it has found and by the error, and end it as failed."""
        with tolerate_mlflow():
            yield
        self._describe(str(error) if isinstance(error, ProjectError) else first_line(error))
        self.tracker.end_run("FAILED")

    def _describe(self, *more: str) -> None:
        if sentences := [*self.sentences, *more]:
            self.tracker.describe_run("\n\n".join(sentences))


def _name_run(pipelines: list[str], pipeline: Pipeline, catalog: DataCatalog) -> str:
    """``train_cdcgan seed 0 digits``, or without a variant ``compare digits``."""
    entries = [entry for entry in pipeline.inputs() if entry.startswith(VARIANTS)]
    seeds = [f"seed {catalog.load(entry).seed}" for entry in entries]
    name = "+".join(pipelines) or "+".join(entry.removeprefix(VARIANTS) for entry in entries) or "__default__"
    return " ".join([name, *seeds, catalog.load("params:experiment")])


@contextmanager
def _require_mlflow() -> Iterator[None]:
    """Raise a `TrackingUnavailable` instead of an exception that comes from MLflow."""
    try:
        yield
    except Exception as error:
        if not comes_from_mlflow(error):
            raise
        raise TrackingUnavailable(
            f"MLflow does not answer ({first_line(error)}); start its server, or set another address in "
            "server.mlflow_tracking_uri of mlflow.yml in conf/local or, with --env, in its folder."
        ) from error


def _to_plain(value: Any) -> Any:
    """Configurations as mappings and tuples as lists, as in parameters.yml."""
    if is_dataclass(value) and not isinstance(value, type):
        value = asdict(value)
    if isinstance(value, dict):
        return {name: _to_plain(each) for name, each in value.items()}
    return list(value) if isinstance(value, tuple) else value
