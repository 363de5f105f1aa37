"""Each problem of MLflow's store has a sentence with its remedy."""

from __future__ import annotations

import os
import shutil
import socket
import sqlite3
import sys
import tempfile
import threading
import time
from contextlib import closing, contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import mlflow
import pytest
from mlflow.exceptions import MlflowException

from gan_pipelines.core.errors import ProjectError
from gan_pipelines.project.hooks import explain
from gan_pipelines.tracking import database
from gan_pipelines.tracking.address import write_address
from gan_pipelines.tracking.database import set_up_alone
from gan_pipelines.tracking.errors import ELSEWHERE
from gan_pipelines.tracking.remedies import MAX_PATH_BYTES, require_mlflow
from gan_pipelines.tracking.remedies import explain as explain_mlflow

NOBODY = 65534


@pytest.fixture
def folder(empty_database):
    """A folder with a database, which is open to a user without rights."""
    with tempfile.TemporaryDirectory() as place:  # pytest's own folders are closed to others
        Path(place).chmod(0o755)
        folder = Path(place, "mlruns")
        folder.mkdir()
        folder.chmod(0o777)
        shutil.copy2(empty_database, folder / "mlflow.db")
        (folder / "mlflow.db").chmod(0o666)
        yield folder


def set_up(folder, address=None):
    """The sentence for a set-up that fails."""
    address = address or write_address(folder / "mlflow.db")
    with pytest.raises(Exception) as caught, require_mlflow(address), set_up_alone(address, folder):
        mlflow.MlflowClient(address).get_experiment_by_name("digits")
    sentence = explain(caught.value)
    assert sentence is not None, caught.value
    return sentence.replace(f"{folder}/", "").replace(str(folder), ".")


def change(folder, *statements):
    with closing(sqlite3.connect(folder / "mlflow.db")) as connection, connection:
        for statement in statements:
            connection.execute(statement)


def test_a_database_as_it_should_be_has_none(folder):
    address = write_address(folder / "mlflow.db")
    with require_mlflow(address), set_up_alone(address, folder):
        assert mlflow.MlflowClient(address).get_experiment_by_name("Default").name == "Default"


def test_an_older_schema(folder):
    change(folder, "UPDATE alembic_version SET version_num = '451aebb31d03'", "DROP TABLE runs")
    command = f"mlflow db upgrade sqlite:///{folder}/mlflow.db".replace(f"{folder}/", "")
    assert set_up(folder) == f"MLflow's database mlflow.db was made by an older MLflow; copy it, then run: {command}"
    assert (
        not sqlite3.connect(folder / "mlflow.db").execute("SELECT 1 FROM sqlite_master WHERE name = 'runs'").fetchall()
    )


def test_a_newer_schema(folder):
    change(folder, "UPDATE alembic_version SET version_num = 'ffffffffffff'")
    assert set_up(folder) == (
        "MLflow's database mlflow.db was made by a newer MLflow; install that one (pip install --upgrade mlflow), or "
        f"{ELSEWHERE}."
    )


def test_a_database_of_another_program(folder):
    (folder / "mlflow.db").unlink()
    change(folder, "CREATE TABLE songs (title)")
    assert set_up(folder) == f"mlflow.db holds no runs of MLflow, but tables of another program; {ELSEWHERE}."


def test_no_database(folder):
    (folder / "mlflow.db").write_text("Dear diary, " * 100)
    assert set_up(folder) == (
        "MLflow's database mlflow.db is no SQLite database; move it away, and the next run makes a new one."
    )


def test_a_damaged_database(folder):
    whole = bytearray((folder / "mlflow.db").read_bytes())
    whole[100:4096] = os.urandom(3996)
    (folder / "mlflow.db").write_bytes(whole)
    assert set_up(folder) == (
        "MLflow's database mlflow.db is damaged; put back a copy, or move it away, and the next run makes a new one."
    )


def test_a_folder_in_its_place(folder):
    (folder / "mlflow.db").unlink()
    (folder / "mlflow.db").mkdir()
    assert set_up(folder) == f"MLflow's database mlflow.db is a folder; {ELSEWHERE}."


def test_a_locked_database(folder, monkeypatch):
    monkeypatch.setattr(database, "BRIEF_SECONDS", 0.01)
    monkeypatch.setattr(database, "PATIENCE_SECONDS", 0.01)
    with closing(sqlite3.connect(folder / "mlflow.db", isolation_level=None)) as other:
        other.execute("BEGIN EXCLUSIVE")
        assert set_up(folder) == "MLflow's database mlflow.db stays locked by another program; end that one."


@contextmanager
def without_rights():
    """Be a user who may only do what is open to all: root may do everything."""
    if os.geteuid():
        yield
        return
    os.seteuid(NOBODY)
    try:
        yield
    finally:
        os.seteuid(0)


@pytest.mark.parametrize(("mode", "done"), [(0o000, "opened"), (0o444, "written")])
def test_a_database_without_permissions(folder, mode, done):
    (folder / "mlflow.db").chmod(mode)
    with without_rights():
        assert set_up(folder) == (
            f"MLflow's database mlflow.db may not be {done}; change its permissions, and those of its folder."
        )


def test_a_folder_without_permissions(folder):
    folder.chmod(0o555)
    with without_rights():
        assert set_up(folder) == (
            "MLflow's database mlflow.db may not be written; change its permissions, and those of its folder."
        )
        address = "http://127.0.0.1:9"
        assert set_up(folder, address).startswith(".store.lock: it may not be read or written; change its permissions")


def test_a_path_that_is_too_long(tmp_path):
    folder = tmp_path / "/".join(["long" * 40] * 4)
    length = len(bytes(folder / "mlflow.db"))
    assert length > MAX_PATH_BYTES
    started = time.monotonic()
    assert set_up(folder) == (
        f"MLflow's database mlflow.db has a path of {length} bytes, and SQLite allows {MAX_PATH_BYTES}; move the "
        f"project, or {ELSEWHERE}."
    )
    assert time.monotonic() - started < 5


@pytest.mark.parametrize(
    "address", ["localhost:5000", "htp://localhost", "nonsense://x", "sqlite://mlflow.db", "sqlite:/x.db"]
)
def test_an_address_that_mlflow_does_not_know(folder, address):
    sentence = set_up(folder, address)
    assert sentence.startswith(f"{address} cannot be used as MLflow's address (")
    assert sentence.endswith(f"; {ELSEWHERE}.")


def test_a_database_server_without_its_driver(folder, monkeypatch):
    monkeypatch.setitem(sys.modules, "psycopg", None)
    sentence = set_up(folder, "postgresql+psycopg://me:secret@localhost/runs")
    assert sentence == f"MLflow's address needs the Python package psycopg; install it, or {ELSEWHERE}."


@contextmanager
def answering(status):
    """The address of a server that gives one status, whatever it is asked."""

    class Answer(BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(status)
            self.end_headers()
            self.wfile.write(b"<html>")

        def log_message(self, *_):
            pass

    with HTTPServer(("127.0.0.1", 0), Answer) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def test_a_server_that_is_no_server_of_mlflow(folder, tracking_uri):
    with answering(404) as address:
        assert set_up(folder, address).startswith(f"{address} cannot be used as MLflow's address (")


@pytest.mark.parametrize("status", [401, 403])
def test_a_server_that_refuses_the_user(folder, tracking_uri, status):
    with answering(status) as address:
        sentence = set_up(folder, address.replace("://", "://me:secret@"))
    assert sentence.startswith(f"MLflow at {address.replace('://', '://***@')} refuses this user (")
    assert sentence.endswith("; set MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD, or MLFLOW_TRACKING_TOKEN.")
    assert "secret" not in sentence


def test_no_sentence_has_the_password_of_an_address():
    error = MlflowException("API request to http://me:secret@tracking.org/api/2.0 failed with exception x")
    for status in ("TEMPORARILY_UNAVAILABLE", "INVALID_STATE", "UNAUTHENTICATED"):
        error.error_code = status
        sentence = explain_mlflow(error, "http://me:secret@tracking.org")
        assert "http://***@tracking.org" in sentence
        assert "secret" not in sentence


def test_a_server_that_is_down(folder, tracking_uri):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"http://127.0.0.1:{free.getsockname()[1]}"
        sentence = set_up(folder, address)
    assert sentence.startswith(f"MLflow at {address} does not answer (")
    assert sentence.endswith(f"; start its server, or {ELSEWHERE}.")


def test_a_server_that_accepts_and_says_nothing(folder, tracking_uri, monkeypatch):
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_TIMEOUT", "1")
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        address = f"http://127.0.0.1:{silent.getsockname()[1]}"
        assert set_up(folder, address).startswith(f"MLflow at {address} does not answer (")


def test_errors_of_others_pass(folder):
    with pytest.raises(ProjectError, match="own"), require_mlflow("http://x"):
        raise ProjectError("own")
