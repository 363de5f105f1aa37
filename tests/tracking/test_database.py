"""The set-up of MLflow's database: by one run at a time, in a database that may be locked."""

from __future__ import annotations

import shutil
import sqlite3
import threading
from contextlib import closing
from types import SimpleNamespace

import mlflow
import pytest
from mlflow.store.tracking import sqlalchemy_store
from mlflow.utils.file_utils import local_file_uri_to_path

from command_line import KEDRO, copy_project
from gan_pipelines.tracking import database
from gan_pipelines.tracking.address import find_database, write_address
from gan_pipelines.tracking.database import await_database, set_up_alone
from processes import Process


@pytest.fixture
def lock(tmp_path, empty_database):
    """A database of MLflow and a connection that locks it."""
    shutil.copy2(empty_database, tmp_path / "mlflow.db")
    with closing(sqlite3.connect(tmp_path / "mlflow.db", isolation_level=None, check_same_thread=False)) as other:
        other.execute("BEGIN EXCLUSIVE")
        yield tmp_path / "mlflow.db", other


def test_a_locked_database_is_waited_for(lock, caplog, monkeypatch):
    path, other = lock
    caplog.set_level("INFO")
    monkeypatch.setattr(database, "BRIEF_SECONDS", 0.05)
    threading.Timer(0.3, lambda: other.execute("ROLLBACK")).start()
    await_database(f"sqlite:///{path}")
    assert f"Waiting for another program that has locked {path}" in caplog.text


def test_a_database_that_stays_locked_is_not_waited_for_without_end(lock, monkeypatch):
    monkeypatch.setattr(database, "BRIEF_SECONDS", 0.05)
    monkeypatch.setattr(database, "PATIENCE_SECONDS", 0.1)
    with pytest.raises(sqlite3.OperationalError, match="database is locked"):
        await_database(f"sqlite:///{lock[0]}")


def test_a_minute_is_not_too_long():
    assert database.PATIENCE_SECONDS > 60


@pytest.mark.parametrize("address", ["sqlite:///{}/mlflow.db", "http://127.0.0.1:9"])
def test_one_run_at_a_time_sets_up_the_store(tmp_path, monkeypatch, address):
    address = address.format(tmp_path)
    monkeypatch.setattr(database, "_create", lambda path: path.touch())
    order = []

    def set_up_second():
        with set_up_alone(address, tmp_path):
            order.append("second")

    with set_up_alone(address, tmp_path):
        second = threading.Thread(target=set_up_second)
        second.start()
        second.join(0.2)
        order.append("first")
    second.join()
    assert order == ["first", "second"]


def test_a_set_up_that_is_cut_short_leaves_no_database(tmp_path, monkeypatch):
    def make_half(address, root):
        with closing(sqlite3.connect(address.removeprefix("sqlite:///"))) as half_made:
            half_made.execute("CREATE TABLE experiments (name)")
        raise KeyboardInterrupt

    monkeypatch.setattr(sqlalchemy_store, "SqlAlchemyStore", make_half)
    with pytest.raises(KeyboardInterrupt), set_up_alone(f"sqlite:///{tmp_path}/mlflow.db", tmp_path):
        pass
    assert [path.name for path in tmp_path.iterdir()] == [".mlflow.db.lock"]


@pytest.mark.parametrize("name", ["o'clock", "100%20", "gan #1"])
def test_a_database_is_made_whatever_its_path(tmp_path, monkeypatch, name):
    folder = tmp_path / name / "mlruns"

    def note(address, root):
        assert find_database(address) == folder / ".unfinished-mlflow.db"
        assert local_file_uri_to_path(root) == str(folder / "artifacts")
        assert "'" not in root  # MLflow writes it into a statement as it is
        return SimpleNamespace(engine=SimpleNamespace(dispose=lambda: None))

    monkeypatch.setattr(sqlalchemy_store, "SqlAlchemyStore", note)
    with set_up_alone(write_address(folder / "mlflow.db"), folder):
        assert (folder / "mlflow.db").exists()
    assert [path.name for path in tmp_path.iterdir()] == [name]


@pytest.mark.integration
def test_runs_that_make_the_database_and_the_experiment_at_once_all_finish(tmp_path):
    project = copy_project(tmp_path / "project")
    runs = [Process(KEDRO, "run", "--pipelines=ingest", folder=project) for _ in range(3)]
    for run in runs:
        with run:
            assert run.wait() == 0, run.stderr
    client = mlflow.MlflowClient(f"sqlite:///{project}/mlruns/mlflow.db")
    experiment = client.get_experiment_by_name("digits")
    assert [run.info.status for run in client.search_runs([experiment.experiment_id])] == ["FINISHED"] * 3
