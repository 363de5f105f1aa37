"""Where MLflow keeps runs: kedro-mlflow's settings, filled in with the project's own database."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from gan_pipelines.core.config import ConfigError, merge, require

UI = {"host": "127.0.0.1", "port": "5000"}
"""Where kedro-mlflow starts MLflow's interface."""


def complete_settings(settings: Mapping[str, Any], folder: Path) -> dict[str, Any]:
    """Fill in what mlflow.yml leaves open: address of the store, place of artifacts, host and port of the interface.

    Without an address, runs go to the database ``mlflow.db`` in ``folder``. With a database in a file, artifacts of a
    new experiment go to ``folder`` too; otherwise MLflow or its server chooses their place.

    Args:
        settings: kedro-mlflow's settings, with the name of the experiment.
        folder: folder of the project for MLflow.

    Raises:
        ConfigError: if kedro-mlflow would refuse a setting, or the name of the experiment is no text.
    """
    # Nodes run in the thread that has opened the run: kedro-mlflow need not open it again for each of them.
    empty = {
        "server": {},
        "tracking": {"experiment": {"create_experiment_kwargs": {}}, "run": {"nested": False}},
        "ui": UI,
    }
    stated = merge(empty, _leave_out_empty(settings))
    _check(stated)
    server, experiment = stated["server"], stated["tracking"]["experiment"]
    server["mlflow_tracking_uri"] = server.get("mlflow_tracking_uri") or write_address(folder / "mlflow.db")
    if find_database(server["mlflow_tracking_uri"]):
        artifacts = folder / "artifacts" / experiment["name"].replace("/", "-")
        options = experiment["create_experiment_kwargs"]
        options["artifact_location"] = options.get("artifact_location") or artifacts.as_uri()
    return stated


def _leave_out_empty(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Leave out what is open: a section of which all lines are comments is None."""
    return {
        name: _leave_out_empty(value) if isinstance(value, Mapping) else value
        for name, value in settings.items()
        if value is not None
    }


def _check(settings: Mapping[str, Any]) -> None:
    from kedro_mlflow.config.kedro_mlflow_config import KedroMlflowConfig  # noqa: PLC0415 (it loads MLflow)

    try:
        KedroMlflowConfig.model_validate(dict(settings))
    except ValidationError as error:
        problem = error.errors(include_url=False)[0]
        place = ".".join(map(str, problem["loc"]))
        raise ConfigError(f"mlflow.yml has {place}: {problem['msg']}; correct it, or leave it out.") from error
    name = settings["tracking"]["experiment"].get("name")
    allowed = "a text: set it there, in MLFLOW_EXPERIMENT_NAME, or as experiment in globals.yml"
    require(bool(name and name.strip()), "tracking.experiment.name of mlflow.yml", name, allowed)


def is_server(address: str) -> bool:
    """Whether a tracking server is at an address; it shows its runs in a browser."""
    return address.startswith(("http://", "https://"))


def find_interface(settings: Mapping[str, Any]) -> str:
    """The address at which a browser shows the runs: that of the server, or where ``kedro ui`` starts one.

    Args:
        settings: the result of `complete_settings`.
    """
    address, ui = str(settings["server"]["mlflow_tracking_uri"]), settings["ui"]
    if not is_server(address):
        return f"http://{ui['host']}:{ui['port']}"
    protocol, _, place = address.partition("://")
    return f"{protocol}://{place.rpartition('@')[2].rstrip('/')}"  # without a password


def write_address(database: Path) -> str:
    """The address of an SQLite database for MLflow, for a path with any characters."""
    from sqlalchemy.engine import URL, make_url  # noqa: PLC0415 (MLflow loads it when it opens a store)

    plain = f"sqlite:///{database}"
    if make_url(plain).database == str(database):
        return plain
    # Without the name of the driver, MLflow would take the quoted path for that of a folder, and make it.
    return URL.create("sqlite+pysqlite", database=str(database)).render_as_string()


def find_database(address: str) -> Path | None:
    """The file of an SQLite database, or None if the address is another one."""
    from sqlalchemy.engine import make_url  # noqa: PLC0415

    if not re.match(r"sqlite(\+\w+)?://", address):
        return None
    url = make_url(address)
    is_file = url.database and url.database != ":memory:" and "uri" not in url.query
    return Path(str(url.database)) if is_file else None
