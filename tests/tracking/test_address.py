"""Where MLflow keeps runs."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from sqlalchemy import create_engine

from gan_pipelines.tracking.address import complete_settings, find_database, write_address


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


def test_a_stated_place_of_artifacts_stays():
    assert complete(artifact_location="s3://bucket")[1] == "s3://bucket"


def test_an_experiments_name_makes_no_path_out_of_the_folder():
    assert complete(name="/users/me/../cards")[1] == "file:///project/mlruns/artifacts/-users-me-..-cards"


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
