"""The owner of the MLflow run: kedro-mlflow opens it, this hook names, fills and ends it."""

from __future__ import annotations

import logging
import os
from collections.abc import Generator, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, fields, is_dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kedro.framework.context import KedroContext
from kedro.framework.hooks import hook_impl
from kedro.io import DataCatalog
from kedro.pipeline import Pipeline

from gan_pipelines.core.config import require
from gan_pipelines.core.errors import ProjectError, first_line, hide_passwords
from gan_pipelines.tracking.address import complete_settings, find_interface
from gan_pipelines.tracking.database import await_database, set_up_alone
from gan_pipelines.tracking.entries import PARAMETERS, RUNTIME, EntryLogging, find_saved_path, read_logging
from gan_pipelines.tracking.outages import is_outage, tolerate_mlflow
from gan_pipelines.tracking.provenance import VERSIONS_TAG, list_versions
from gan_pipelines.tracking.remedies import require_mlflow
from gan_pipelines.tracking.tags import VERSION, list_subjects
from gan_pipelines.tracking.views import AUGMENTATION, SCORES, VIEWS, View, comparable_scores

if TYPE_CHECKING:
    from gan_pipelines.serving import ExportedGenerator
    from gan_pipelines.tracking.tracker import MlflowTracker

logger = logging.getLogger(__name__)

MLRUNS = "mlruns"
"""Folder of the project for MLflow."""
ADDRESS_VARIABLE = "MLFLOW_TRACKING_URI"
RUN_VARIABLE = "MLFLOW_RUN_ID"
VARIANTS = f"{PARAMETERS}variants."
FOLDER = f"{PARAMETERS}folder"
EXPORT = f"{PARAMETERS}export"


class TrackingHooks:
    """Names the MLflow run, logs parameters and saved entries, and ends it.

    Wrappers enclose kedro-mlflow's hooks: an MLflow that stops answering does not end a run that has begun.
    """

    @hook_impl(wrapper=True)
    def after_context_created(self, context: KedroContext) -> Generator[None]:
        """Fill in MLflow's settings, and let its store be set up. Raises `TrackingUnavailable` if that fails."""
        from mlflow import active_run, get_tracking_uri  # noqa: PLC0415 (kedro-mlflow has loaded it)

        self.project_path = Path(context.project_path)
        if hasattr(self, "tracker"):  # for a run that a notebook has interrupted, Kedro has called no hook
            self.tracker.end_run("KILLED")
        self.is_own_run = active_run() is None
        folder = self.project_path / MLRUNS
        self.settings = complete_settings(context.config_loader["mlflow"], folder)
        context.config_loader["mlflow"] = self.settings
        if not self.is_own_run:  # a caller's run is not named or ended here, and kedro-mlflow takes its address
            self.settings["server"]["mlflow_tracking_uri"] = self.address = get_tracking_uri()
            self.settings["tracking"]["run"]["nested"] = True  # it may be nested in another run of the caller
            return (yield)
        self.address = self.settings["server"]["mlflow_tracking_uri"]
        with require_mlflow(self.address), set_up_alone(self.address, folder), _keep_environment(ADDRESS_VARIABLE):
            return (yield)

    @hook_impl
    def after_catalog_created(self, catalog: DataCatalog, save_version: str) -> None:
        """Keep the catalog, which hooks on datasets do not receive."""
        from gan_pipelines.tracking.tracker import MlflowTracker  # noqa: PLC0415 (MLflow: not for other commands)

        self.catalog = catalog
        self.save_version = save_version
        own = MlflowTracker(self.project_path / MLRUNS)
        self.tracker: MlflowTracker = catalog.load("tracker") if "tracker" in catalog else own

    @hook_impl(wrapper=True)
    def before_pipeline_run(
        self, run_params: dict[str, Any], pipeline: Pipeline, catalog: DataCatalog
    ) -> Generator[None]:
        """Check the metadata of entries, let the run be checked and opened, then name it and log its parameters.

        Raises:
            ConfigError: if the metadata of an entry is wrong, or the run that was asked for does not exist.
            TrackingUnavailable: if MLflow does not answer.
        """
        self.logging = read_logging(catalog, pipeline.datasets())
        self.sentences: list[str] = []
        self.views: list[View] = []
        try:
            with require_mlflow(self.address):
                await_database(self.address)
                if self.is_own_run:
                    check_asked_run(self.settings, self.tracker.list_runs_at_work())
                result = yield
            self._begin(run_params["pipeline_names"] or [], pipeline, catalog)
            return result
        except BaseException:  # Kedro calls no other hook after this one
            self.tracker.begin_run(self.is_own_run)
            self.tracker.end_run("FAILED")
            raise

    def _begin(self, pipelines: list[str], pipeline: Pipeline, catalog: DataCatalog) -> None:
        self.tracker.begin_run(self.is_own_run)
        self.tracker.set_tags(**{VERSION: self.save_version}, **_tag_variants(pipeline, catalog))
        self.tracker.name_run(_name_run(pipelines, pipeline, catalog))
        for view in VIEWS:
            self.tracker.share_view(view)
        if catalog.load(RUNTIME).system_metrics:
            self.tracker.sample_system()
        self.tracker.log_commit(self.project_path)
        self.tracker.set_tags(**{VERSIONS_TAG: list_versions()})
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
            self._add_views(data.tags)
        is_path_needed = asked.file or asked.dataset or asked.model
        path = find_saved_path(self.catalog, dataset_name, self.save_version) if is_path_needed else None
        if path and asked.file:
            self.tracker.log_files(path, dataset_name.rpartition(".")[2])
        if path and asked.dataset:
            name = self.catalog.load("params:experiment")
            self.tracker.log_dataset(name, path, data["split_sizes"], data["split_hashes"])
        if path and asked.model:
            self._log_model(dataset_name.partition(".")[0], path, data)

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

    def _log_model(self, name: str, path: Path, exported: ExportedGenerator) -> None:
        """Log the model that a run has saved, and what it was scored with."""
        export = self.catalog.load(EXPORT)
        dataset = None
        if exported.scores:
            dataset = self.catalog.load("params:experiment"), exported.scores[0]["comparability"]["reference_hash"]
        params = asdict(exported.config) | {"epoch": exported.training["epoch"]}
        may_win = export.champion and "failure" not in exported.training
        self.tracker.log_model(name, path, params, exported.findings, dataset, export.registered_model_name, may_win)

    def list_addresses(self) -> dict[str, str]:
        """List the addresses of the views in MLflow that show what this run has found, by their names."""
        if (experiment_id := self.tracker.experiment_id) is None:
            return {}
        interface = find_interface(self.settings)
        return {view.name: view.address(interface, experiment_id) for view in self.views or [SCORES]}

    def _add_views(self, tags: Mapping[str, str]) -> None:
        """Note the views that show such findings."""
        if "score_key" in tags:
            self.views.append(comparable_scores(tags["score_key"]))
            self.tracker.share_view(self.views[-1])
        if "verdict" in tags:
            self.views.append(AUGMENTATION)

    def _describe(self, *more: str) -> None:
        if sentences := [*self.sentences, *more]:
            self.tracker.describe_run("\n\n".join(sentences))


def _name_run(pipelines: list[str], pipeline: Pipeline, catalog: DataCatalog) -> str:
    """``train_cdcgan seed 0 digits``, ``evaluate_folder sd_turbo digits``, or ``compare digits``."""
    entries = [entry for entry in pipeline.inputs() if entry.startswith(VARIANTS)]
    details = [f"seed {seed}" for seed in _find_seeds(pipeline, catalog).values()]
    if FOLDER in pipeline.inputs():
        details.append(catalog.load(FOLDER).label)
    name = "+".join(pipelines) or "+".join(entry.removeprefix(VARIANTS) for entry in entries) or "__default__"
    return " ".join([name, *details, catalog.load("params:experiment")])


def _tag_variants(pipeline: Pipeline, catalog: DataCatalog) -> dict[str, str]:
    """The variants of a run, and their seeds where they are trained."""
    tags = {
        "variant": "+".join(list_subjects(pipeline)),
        "seed": "+".join(map(str, _find_seeds(pipeline, catalog).values())),
    }
    return {name: value for name, value in tags.items() if value}


def _find_seeds(pipeline: Pipeline, catalog: DataCatalog) -> dict[str, int]:
    """The seeds of the variants that are trained; the generators of an experiment have seeds of their own."""
    trained = sorted(str(node.namespace) for node in pipeline.nodes if node.short_name == "train_gan")
    stated = {variant: f"{VARIANTS}{variant}" for variant in trained}  # a slice may load a configuration instead
    return {variant: catalog.load(entry).seed for variant, entry in stated.items() if entry in pipeline.inputs()}


def check_asked_run(settings: Mapping[str, Any], at_work: Sequence[str]) -> None:
    """Raise a `ConfigError` if the run to go on with, of MLFLOW_RUN_ID or mlflow.yml, is not there or is at work."""
    from mlflow import MlflowClient  # noqa: PLC0415
    from mlflow.exceptions import MlflowException  # noqa: PLC0415

    stated = (settings["tracking"].get("run") or {}).get("id")
    name, run_id = ("tracking.run.id", stated) if stated else (RUN_VARIABLE, os.environ.get(RUN_VARIABLE))
    if not run_id:
        return
    client, experiment = MlflowClient(), settings["tracking"]["experiment"]["name"]
    try:
        run = client.get_run(run_id).info
        is_there = run.lifecycle_stage == "active" and client.get_experiment(run.experiment_id).name == experiment
    except MlflowException as error:
        if is_outage(error):
            raise
        is_there = False
    address = hide_passwords(settings["server"]["mlflow_tracking_uri"])
    require(is_there, name, run_id, f"a run of the experiment {experiment} in {address}: unset it to begin a new run")
    require(run_id not in at_work, name, run_id, "a run that is not at work: wait for its end, or unset it")


@contextmanager
def _keep_environment(variable: str) -> Iterator[None]:
    """Undo changes of an environment variable: MLflow sets its address, which the next Kedro session would obey."""
    before = os.environ.get(variable)
    try:
        yield
    finally:
        if before is None:
            os.environ.pop(variable, None)
        else:
            os.environ[variable] = before


def _to_plain(value: Any) -> Any:
    """Configurations as mappings and tuples as lists, as in parameters.yml; a mapping from classes as one text.

    MLflow does not allow every name of a class in the name of a parameter.
    """
    if is_dataclass(value) and not isinstance(value, type):
        return {field.name: _to_plain(getattr(value, field.name)) for field in fields(value)}
    if isinstance(value, Mapping):
        return str(value)
    return [_to_plain(item) for item in value] if isinstance(value, tuple) else value
