"""Where MLflow keeps runs."""

from __future__ import annotations

import os
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from mlflow.tracking import MlflowClient
from sqlalchemy import create_engine

from command_line import PROJECT, copy_project, kedro
from gan_pipelines import settings
from gan_pipelines.core.config import ConfigError
from gan_pipelines.tracking.address import complete_settings, find_database, find_interface, write_address
from processes import ONE_THREAD


def complete(address=None, folder="/project/mlruns", name="digits", **options):
    settings = {"tracking": {"experiment": {"name": name, "create_experiment_kwargs": options}}}
    if address is not None:
        settings["server"] = {"mlflow_tracking_uri": address}
    completed = complete_settings(settings, Path(folder))
    location = completed["tracking"]["experiment"]["create_experiment_kwargs"].get("artifact_location")
    return completed["server"]["mlflow_tracking_uri"], location


@pytest.mark.parametrize(
    ("address", "completed", "location"),
    [
        (None, "sqlite:////project/mlruns/mlflow.db", "file:///project/mlruns/artifacts/digits"),
        ("sqlite:////tmp/all.db", "sqlite:////tmp/all.db", "file:///project/mlruns/artifacts/digits"),
        ("http://localhost:5000", "http://localhost:5000", None),
        ("file:///tmp/runs", "file:///tmp/runs", None),
        ("databricks", "databricks", None),
        ("sqlite:///:memory:", "sqlite:///:memory:", None),
    ],
)
def test_what_is_not_stated_is_filled_in(address, completed, location):
    assert complete(address) == (completed, location)


@pytest.mark.parametrize(
    ("settings", "interface"),
    [
        ({}, "http://127.0.0.1:5000"),
        ({"ui": {"port": "5001"}}, "http://127.0.0.1:5001"),
        ({"server": {"mlflow_tracking_uri": "https://me:secret@tracking.org/runs/"}}, "https://tracking.org/runs"),
    ],
)
def test_the_interface_is_that_of_the_server_or_one_of_this_machine(settings, interface):
    settings = {"tracking": {"experiment": {"name": "digits"}}, **settings}
    assert find_interface(complete_settings(settings, Path("/project/mlruns"))) == interface


def test_sections_of_mlflow_yml_may_be_empty():
    settings = {"server": None, "ui": None, "tracking": {"run": None, "experiment": {"name": "digits"}}}
    completed = complete_settings(settings, Path("/project/mlruns"))
    assert completed["server"] == {"mlflow_tracking_uri": "sqlite:////project/mlruns/mlflow.db"}
    assert completed["tracking"]["run"] == {"nested": False}
    assert find_interface(completed) == "http://127.0.0.1:5000"


@pytest.mark.parametrize("tracking", ["runs", {"experiment": "digits"}])
def test_a_text_in_place_of_a_section_of_mlflow_yml_is_named(tracking):
    with pytest.raises(ConfigError, match=r"^mlflow.yml has tracking.*: Input should be a valid dictionary"):
        complete_settings({"tracking": tracking}, Path("/project/mlruns"))


def test_a_stated_place_of_artifacts_stays():
    assert complete(artifact_location="s3://bucket")[1] == "s3://bucket"


def test_an_experiments_name_makes_no_path_out_of_the_folder():
    assert complete(name="/users/me/../cards")[1] == "file:///project/mlruns/artifacts/-users-me-..-cards"


def load(conf=PROJECT / "conf", **environment):
    """The address and the name of the experiment, as mlflow.yml gives them."""
    with pytest.MonkeyPatch.context() as patch:
        for name in ("MLFLOW_TRACKING_URI", "MLFLOW_EXPERIMENT_NAME"):
            patch.delenv(name, raising=False)
        for name, value in environment.items():
            patch.setenv(name, value)
        loaded = settings.CONFIG_LOADER_CLASS(str(conf), **settings.CONFIG_LOADER_ARGS)["mlflow"]
    return loaded["server"]["mlflow_tracking_uri"], loaded["tracking"]["experiment"]["name"]


def test_mlflows_environment_variables_are_honoured():
    assert load() == (None, "digits")
    assert load(MLFLOW_TRACKING_URI="http://here") == ("http://here", "digits")
    assert load(MLFLOW_EXPERIMENT_NAME="mine") == (None, "mine")


def test_an_address_in_mlflow_yml_comes_before_the_environment_variable(tmp_path):
    shutil.copytree(PROJECT / "conf/base", tmp_path / "base")
    (tmp_path / "local").mkdir()
    (tmp_path / "local/mlflow.yml").write_text("server: {mlflow_tracking_uri: 'http://there'}")
    assert load(tmp_path, MLFLOW_TRACKING_URI="http://here") == ("http://there", "digits")


@pytest.mark.integration
def test_a_run_and_the_user_interface_use_the_store_of_the_environment_variable(tmp_path, empty_database):
    project = copy_project(tmp_path / "project")
    shutil.copy2(empty_database, tmp_path / "all.db")
    (tmp_path / "mlflow").write_text('#!/bin/sh\necho "$@"')
    (tmp_path / "mlflow").chmod(0o755)
    address = f"sqlite:///{tmp_path}/all.db"
    names = {"MLFLOW_TRACKING_URI": address, "MLFLOW_EXPERIMENT_NAME": "mine"}
    environment = {**ONE_THREAD, **names, "PATH": f"{tmp_path}:{os.environ['PATH']}"}
    kedro(project, "run", "--pipelines=ingest", env=environment)
    client = MlflowClient(address)
    (run,) = client.search_runs([client.get_experiment_by_name("mine").experiment_id])
    assert run.info.status == "FINISHED"
    assert run.info.artifact_uri.startswith(f"file://{project}/mlruns/artifacts/mine/")
    assert not (project / "mlruns/mlflow.db").exists()
    assert f"--backend-store-uri {address} " in kedro(project, "mlflow", "ui", env=environment).stdout

    unknown = kedro(project, "run", "--pipelines=ingest", env={**environment, "MLFLOW_RUN_ID": "abc"}, code=1)
    assert f"Error: MLFLOW_RUN_ID is 'abc', but must be a run of the experiment mine in {address}" in unknown.stderr
    assert "Running node" not in unknown.stderr


NAMES = [
    "gan 1",
    "gan #1",
    "a%20b",
    "100%",
    "what?",
    "q?mode=ro",
    "crème ☕",
    "o'\"clock`s",
    "a;b&c=d",
    "[x]",
    "a:b@c",
    "a\nb",
]


@pytest.mark.parametrize("name", NAMES)
def test_the_address_of_a_database_leads_to_it_whatever_its_path(tmp_path, name):
    folder = tmp_path / name
    folder.mkdir()
    address = write_address(folder / "mlflow.db")
    with create_engine(address).begin() as connection:
        connection.exec_driver_sql("CREATE TABLE found (id)")
    with closing(sqlite3.connect(folder / "mlflow.db")) as connection:
        assert connection.execute("SELECT name FROM sqlite_master").fetchall() == [("found",)]
    assert find_database(address) == folder / "mlflow.db"
    assert [path.name for path in tmp_path.iterdir()] == [name]


def test_an_ordinary_address_is_as_it_always_was(tmp_path):
    assert write_address(tmp_path / "mlflow.db") == f"sqlite:///{tmp_path}/mlflow.db"
