"""The same run again: with the settings that MLflow has of a run, and what differs in the end."""

from __future__ import annotations

import math
import os
import shutil
from ast import literal_eval
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kedro.config import AbstractConfigLoader
from kedro.framework.project import pipelines
from kedro.io import DataCatalog
from kedro.pipeline import Pipeline

from gan_pipelines.core.config import ConfigError, parse
from gan_pipelines.core.errors import first_line
from gan_pipelines.gan.config import rename_settings
from gan_pipelines.images import DatasetConfig, prepare_image_set
from gan_pipelines.project.parameters import SECTIONS, Parameters
from gan_pipelines.project.session import ProjectSession
from gan_pipelines.tracking.entries import PARAMETERS
from gan_pipelines.tracking.hooks import VARIANTS
from gan_pipelines.tracking.outages import is_outage
from gan_pipelines.tracking.provenance import COMMIT_TAG, DIRTY_TAG, VERSIONS_TAG, find_commit, list_versions
from gan_pipelines.tracking.remedies import require_mlflow
from gan_pipelines.tracking.tags import PARENT, VERSION, is_part
from gan_pipelines.tracking.tracker import MAX_PARAM_LENGTH

if TYPE_CHECKING:
    from mlflow.entities import Run

REPRODUCED = "reproduced"
"""Folder beside the checkpoints, for those of trainings that are done again; it has a folder for each MLflow run."""
REPRODUCES_TAG = "reproduces_run"
COMMIT_DIGITS = 8
DATASET_TAG = "dataset_hash"
LATER_SECTIONS = ("export",)
"""Sections that runs of earlier versions do not have; they change no metric, and those of the environment serve."""


@dataclass(frozen=True)
class Request:
    """What a run was asked to do.

    Attributes:
        env: Kedro's environment, or None.
        arguments: those of `ProjectSession.run`.
        parameters: its settings, by section.
    """

    env: str | None
    arguments: dict[str, Any]
    parameters: dict[str, Any]


class ReproducingSession(ProjectSession):
    """A session that trains from the beginning, or goes on with an interrupted reproduction of the same MLflow run.

    Its runtime parameters are the settings that MLflow has of that run.

    Attributes:
        reproduced: id of that run, to be set after the session is created.
    """

    reproduced: str

    def _get_config_loader(self) -> AbstractConfigLoader:
        """The loader of a catalog whose checkpoints are in folders of this reproduction: those of trainings stay."""
        loader = super()._get_config_loader()
        catalog = loader["catalog"]
        for entry in catalog.values():
            if isinstance(entry, dict) and entry.get("type", "").endswith("CheckpointStoreDataset"):
                entry["filepath"] += f".{REPRODUCED}/{self.reproduced}"
        loader["catalog"] = catalog
        # In place of those of the environment, which may state some that the run did not have.
        recorded = dict(loader.runtime_params)
        loader.runtime_params = {"runtime": recorded.pop("runtime", {})}
        stated = loader["parameters"]
        variants = (stated.get("variants") or {}) | recorded.get("variants", {})
        parameters = stated | recorded | {"variants": variants}
        # A registry, and who is champion in it, stay as they are.
        unregistered = {"registered_model_name": None, "champion": False}
        parameters["export"] = (parameters.get("export") or {}) | unregistered
        loader["parameters"] = parameters
        return loader


def find_reproductions(root: Path) -> list[Path]:
    """Find the folders of interrupted reproductions for a folder of checkpoints."""
    return sorted(root.with_name(f"{root.name}.{REPRODUCED}").glob("*"))


def reproduce(project_path: Path, run_id: str, env: str | None = None) -> None:
    """Check what a run was made of, do it again from the beginning, and print what differs.

    Args:
        project_path: folder of the project.
        run_id: id of the run in MLflow.
        env: environment whose MLflow has the run; it is done again in its own.

    Raises:
        ConfigError: if there is no such run, it lacks settings, or the dataset differs.
    """
    import mlflow  # noqa: PLC0415 (takes seconds to load)

    catalog: Any = ProjectSession.create(project_path, env=env).load_context().catalog
    client = mlflow.MlflowClient()
    with require_mlflow(client.tracking_uri):
        run = find_run(client, run_id)
    request = read_request(run)
    for warning in compare_origins(run, project_path):
        print(f"Careful: {warning}")
    check_dataset(run, request, catalog, project_path)
    with without_environment():
        own_catalog: Any = ProjectSession.create(project_path, env=request.env).load_context().catalog
        session = ReproducingSession.create(project_path, env=request.env, runtime_params=request.parameters)
        assert isinstance(session, ReproducingSession)
        session.reproduced = run_id
        session.run(**request.arguments)
    with require_mlflow(mlflow.get_tracking_uri()):  # the run's environment may have another address
        again: Any = mlflow.last_active_run()
        print("\n".join(compare_metrics(run_id, run.data.metrics, again.data.metrics)))
        mlflow.MlflowClient().set_tag(again.info.run_id, REPRODUCES_TAG, run_id)
    for folder in list_checkpoint_folders(request, own_catalog):
        for reproduced in find_reproductions(folder):
            if reproduced.name == run_id:
                shutil.rmtree(reproduced)


@contextmanager
def without_environment() -> Iterator[None]:
    """Take KEDRO_ENV away, in which Kedro would do a run that had no environment."""
    stated = os.environ.pop("KEDRO_ENV", None)
    try:
        yield
    finally:
        if stated is not None:
            os.environ["KEDRO_ENV"] = stated


def list_checkpoint_folders(request: Request, catalog: DataCatalog) -> Iterator[Path]:
    """List the folders of checkpoints of a run's pipelines."""
    for name in sorted(_add_up(request.arguments["pipeline_names"]).inputs()):
        if name.endswith("checkpoints"):
            yield catalog.load(name).root


def find_run(client: Any, run_id: str) -> Run:
    """Find a run of this project that can be done again. Raises a `ConfigError` if there is none."""
    from mlflow.exceptions import MlflowException  # noqa: PLC0415

    try:
        run = client.get_run(run_id)
    except MlflowException as error:
        if is_outage(error):
            raise
        raise ConfigError(
            f"MLflow has no run {run_id} ({first_line(error)}); make ui shows the ids of runs."
        ) from error
    if is_part(run.data.tags):
        raise ConfigError(f"Run {run_id} is a part of run {run.data.tags[PARENT]}; reproduce that one.")
    if VERSION not in run.data.tags:
        raise ConfigError(f"Run {run_id} is none of kedro run in this project; choose one with the tag {VERSION}.")
    return run


def read_request(run: Run) -> Request:
    """Read what a run was asked to do from its tags and parameters. Raises a `ConfigError` if some are missing."""
    tags = run.data.tags
    names = literal_eval(tags.get("pipeline_names", "['__default__']"))
    slices: dict[str, Any] = {
        name: literal_eval(tags[name]) for name in ("node_names", "load_versions") if name in tags
    }
    nodes = [node for node in _add_up(names).nodes if node.name in slices.get("node_names", [node.name])]
    parameters = read_parameters(run.info.run_id, run.data.params, Pipeline(nodes))
    return Request(tags.get("env"), {"pipeline_names": names, **slices}, parameters)


def _add_up(names: Iterable[str]) -> Pipeline:
    return sum((pipelines[name] for name in names), Pipeline([]))


def read_parameters(run_id: str, logged: Mapping[str, str], pipeline: Pipeline) -> dict[str, Any]:
    """Read the parameters of a pipeline as MLflow has them: flat, as texts, those of the variant without a section.

    Args:
        run_id: id of the run, for sentences.
        logged: names and values.
        pipeline: what was run.

    Returns:
        a mapping of settings by section, as in parameters.yml.

    Raises:
        ConfigError: if those of a section are missing or cut off.
    """
    parameters: dict[str, Any] = {}
    for entry in sorted(name.removeprefix(PARAMETERS) for name in pipeline.inputs() if name.startswith(PARAMETERS)):
        section, _, variant = entry.partition(".")
        is_variant = entry.startswith(VARIANTS.removeprefix(PARAMETERS))
        prefix = "" if is_variant else f"{section}."
        known = {name: value for name, value in logged.items() if name.startswith(prefix)}
        if is_variant:
            known = {
                name: value for name, value in known.items() if name.split(".")[0] not in {*SECTIONS, "experiment"}
            }
        if section in LATER_SECTIONS and not known:
            continue
        if section in SECTIONS or is_variant:
            _require_complete(run_id, entry if is_variant else section, known)
            settings = _unflatten({name.removeprefix(prefix): _read(value) for name, value in known.items()})
            parameters[section] = {variant: rename_settings(settings)} if is_variant else settings
    if "runtime" in parameters:
        # All else in it is of this machine.
        parameters["runtime"] = {"device": parameters["runtime"]["device"], "fresh": False, "restart_epoch": None}
    if "reporting" in parameters:  # milestones of the training stay as they are
        parameters["reporting"] |= {"milestone_every_epochs": None, "restartable_milestones": False}
    return parameters


def _require_complete(run_id: str, section: str, settings: Mapping[str, str]) -> None:
    if not settings:
        raise ConfigError(f"MLflow has no settings of {section} of run {run_id}, which ended too early; run another.")
    if cut := next((name for name, value in settings.items() if len(value) >= MAX_PARAM_LENGTH), None):
        raise ConfigError(f"MLflow has only the beginning of {cut} of run {run_id}; run another.")


def _read(text: str) -> Any:
    """A value as YAML would give it."""
    try:
        value = literal_eval(text)
    except (ValueError, SyntaxError):
        return text
    return list(value) if isinstance(value, tuple) else value


def _unflatten(flat: Mapping[str, Any]) -> dict[str, Any]:
    """``{"a.b": 1, "penalties.0.at": 2}`` becomes ``{"a": {"b": 1}, "penalties": [{"at": 2}]}``."""
    nested: dict[str, Any] = {}
    for name, value in flat.items():
        *sections, setting = name.split(".")
        place = nested
        for section in sections:
            place = place.setdefault(section, {})
        place[setting] = value
    if isinstance(penalties := nested.get("penalties"), dict):
        nested["penalties"] = [penalties[place] for place in sorted(penalties, key=int)]
    return nested


def check_dataset(run: Run, request: Request, catalog: DataCatalog, project_path: Path) -> None:
    """Prepare the images, unless they are there. Raises a `ConfigError` if they are others than those of the run."""
    expected = run.data.tags.get(DATASET_TAG)
    if "dataset" not in request.parameters or expected is None:
        return
    config = parse(DatasetConfig, request.parameters["dataset"], "dataset")
    anchored = Parameters(experiment="", dataset=config).anchored(project_path).dataset
    assert anchored is not None
    found = prepare_image_set(catalog.load("image_sets"), anchored).content_hash
    if found != expected:
        raise ConfigError(
            f"The dataset is not that of run {run.info.run_id}: its hash is {found[:12]}, and was {expected[:12]}; put "
            "back the images that it had."
        )


def compare_origins(run: Run, project_path: Path) -> Iterator[str]:
    """In what the code and the packages differ from those of a run, a sentence for each."""
    tags, commit = run.data.tags, find_commit(project_path)
    before = tags.get(COMMIT_TAG)
    if commit is None or before is None:
        yield "The git commit of the run, or of the project, is not known."
    elif commit.hash != before:
        yield f"The run was of commit {before[:COMMIT_DIGITS]}, and this is {commit.hash[:COMMIT_DIGITS]}."
    if tags.get(DIRTY_TAG) == "true" or (commit is not None and commit.is_dirty):
        yield "Files of the project have changed since the commit, before the run or now."
    if VERSIONS_TAG not in tags:
        yield "The versions of the run's packages are not known."
        return
    now = set(list_versions().split(", "))
    if differing := [version for version in tags[VERSIONS_TAG].split(", ") if version not in now]:
        yield f"Versions differ: the run had {', '.join(differing)}."


def compare_metrics(run_id: str, before: Mapping[str, float], after: Mapping[str, float]) -> list[str]:
    """Say which metrics differ and by how much; times and the load of the machine are left out."""
    names = [name for name in sorted({*before, *after}) if not _is_of_machine(name)]
    common = [name for name in names if name in before and name in after]
    differing = [name for name in common if before[name] != after[name] and not _are_nan(before[name], after[name])]
    lines = [f"Of {len(common)} metrics, {len(common) - len(differing)} are the same as in run {run_id}."]
    for name in differing:
        lines.append(f"  {name}: {before[name]:.6g}, now {after[name]:.6g} ({after[name] - before[name]:+.3g})")
    if alone := [name for name in names if name not in common]:
        lines.append(f"Only one of the two runs has {', '.join(alone)}.")
    return lines


def _is_of_machine(name: str) -> bool:
    return name.startswith("system/") or name.rpartition("/")[2] == "images_per_second"


def _are_nan(*values: float) -> bool:
    return all(map(math.isnan, values))
