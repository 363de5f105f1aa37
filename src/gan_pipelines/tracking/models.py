"""Models in MLflow: logged with the run that made them, registered, and the best one marked."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from mlflow.entities import LoggedModel, LoggedModelOutput, LoggedModelStatus, Metric, Run
from mlflow.exceptions import MlflowException
from mlflow.models import Model

logger = logging.getLogger(__name__)

MODEL_TYPE = "generator"
CHAMPION = "champion"
"""Alias of the registered version with the lowest comparable FID."""
KEY, FID = "score_key", "fid"
"""Tags of a registered version: only versions with the same key have FIDs that may be compared."""


def log_model(  # noqa: PLR0913 (most are keywords)
    client: Any,
    run_id: str,
    *,
    name: str,
    path: str,
    params: list[tuple[str, str]],
    metrics: list[tuple[str, float, int, int]],
    tags: Mapping[str, str],
    dataset: tuple[str, str] | None,
    registered_name: str | None,
    champion: bool,
) -> None:
    """Log a saved model as an output of a run; remove an incomplete one of an earlier try first.

    Args:
        client: of MLflow.
        run_id: id of the run.
        name: name of the model.
        path: folder of the model.
        params: what it was made with.
        metrics: its scores: name, value, time and step.
        tags: of the model and, if it is registered, of its version.
        dataset: name and digest of what it was scored with, or None.
        registered_name: name under which it becomes a version in the registry, or None.
        champion: whether the best of the versions gets the alias `CHAMPION`.
    """
    experiment = client.get_run(run_id).info.experiment_id
    for model in client.search_logged_models([experiment], f"source_run_id = '{run_id}'"):
        if model.name == name and model.status != LoggedModelStatus.READY:
            client.delete_logged_model(model.model_id)
    model = client.create_logged_model(experiment, name, run_id, dict(tags), dict(params), MODEL_TYPE)
    client.log_model_artifacts(model.model_id, path)
    _log_origin(client, Path(path), model)
    client.log_outputs(run_id, [LoggedModelOutput(model.model_id, step=0)])
    dataset_name, digest = dataset or (None, None)
    scores = [Metric(*metric, model.model_id, dataset_name, digest, run_id) for metric in metrics]
    client.log_batch(run_id, metrics=scores)
    client.finalize_logged_model(model.model_id, LoggedModelStatus.READY)
    if registered_name is not None:
        _register(client, registered_name, model, run_id, tags, champion)


def delete_models(client: Any, run: Run) -> None:
    """Mark the models of a run as deleted, unless they are in the registry: a service may use them."""
    run_id = run.info.run_id
    if client.search_model_versions(f"run_id = '{run_id}'"):
        return
    for model in client.search_logged_models([run.info.experiment_id], f"source_run_id = '{run_id}'"):
        client.delete_logged_model(model.model_id)


def _log_origin(client: Any, path: Path, model: LoggedModel) -> None:
    """Write into the model's description which logged model it is, so that MLflow knows it wherever it is loaded."""
    description = Model.load(path)
    description.model_id = description.model_uuid = model.model_id
    description.run_id, description.artifact_path = model.source_run_id, model.artifact_location
    with TemporaryDirectory() as folder:
        description.save(Path(folder, "MLmodel"))
        client.log_model_artifacts(model.model_id, folder)


def _register(client: Any, name: str, model: LoggedModel, run_id: str, tags: Mapping[str, str], champion: bool) -> None:
    try:
        client.create_registered_model(name)
    except MlflowException as error:
        if error.error_code != "RESOURCE_ALREADY_EXISTS":
            raise
    version = client.create_model_version(
        name, f"models:/{model.model_id}", run_id, tags=dict(tags), model_id=model.model_id
    )
    if champion and FID in tags:
        mark_champion(client, name, version.version, tags)


def mark_champion(client: Any, name: str, version: str, tags: Mapping[str, str]) -> None:
    """Give the alias `CHAMPION` to a version if its FID is lower than that of the version that has it.

    A version whose FID may not be compared with that of the new one keeps the alias.
    """
    holder = _find_champion(client, name)
    if holder is not None and holder.tags.get(KEY) != tags[KEY]:
        logger.warning(
            "Version %s of %s stays its %s: the FID of version %s does not compare with it. To change that, give the "
            "alias to another version in MLflow.",
            holder.version, name, CHAMPION, version,
        )  # fmt: skip
    elif holder is None or float(tags[FID]) < float(holder.tags[FID]):
        client.set_registered_model_alias(name, CHAMPION, version)


def _find_champion(client: Any, name: str) -> Any:
    if CHAMPION not in client.get_registered_model(name).aliases:
        return None
    return client.get_model_version_by_alias(name, CHAMPION)
