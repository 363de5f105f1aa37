"""A real MLflow server that can be killed and started again."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request

import mlflow
import pytest


class Server:
    """`mlflow server` over a database that outlives it."""

    def __init__(self, folder):
        self.folder = folder
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self.uri = f"http://127.0.0.1:{self.port}"

    def start(self):
        options = {
            "--backend-store-uri": f"sqlite:///{self.folder}/mlflow.db",
            "--artifacts-destination": str(self.folder / "artifacts"),
            "--host": "127.0.0.1",
            "--port": str(self.port),
            "--workers": "1",
        }
        command = [sys.executable, "-m", "mlflow", "server", *(word for option in options.items() for word in option)]
        self.process = subprocess.Popen(
            command,
            env={**os.environ, "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"},  # eight processes less
            start_new_session=True,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            try:
                urllib.request.urlopen(f"{self.uri}/health", timeout=1).close()
                return
            except OSError:
                time.sleep(0.2)
        raise TimeoutError("The MLflow server did not start.")

    def kill(self):
        os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()


@pytest.fixture(scope="session")
def empty_database(tmp_path_factory):
    """A database with MLflow's tables, which take seconds to create."""
    path = tmp_path_factory.mktemp("empty") / "mlflow.db"
    mlflow.MlflowClient(f"sqlite:///{path}").search_experiments()
    return path


@pytest.fixture
def local(tmp_path, tracking_uri, empty_database):
    """A client of a database in a file, with an experiment."""
    shutil.copy2(empty_database, tmp_path / "mlflow.db")
    tracking_uri(f"sqlite:///{tmp_path}/mlflow.db")
    mlflow.set_experiment("tests")
    return mlflow.MlflowClient()


@pytest.fixture(scope="session")
def server(tmp_path_factory):
    server = Server(tmp_path_factory.mktemp("server"))
    server.start()
    yield server
    server.kill()


@pytest.fixture
def running_server(server):
    if server.process.poll() is not None:
        server.start()
    return server


@pytest.fixture
def tracking_uri(monkeypatch):
    """Set MLflow's address for a test; requests to a server that is down fail at once."""
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_TIMEOUT", "10")
    before = mlflow.get_tracking_uri()
    yield mlflow.set_tracking_uri
    while mlflow.active_run():
        try:
            mlflow.end_run()
        except mlflow.exceptions.MlflowException:
            continue
    mlflow.set_tracking_uri(before)
