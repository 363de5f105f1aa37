"""A real MLflow server that can be killed and started again."""

from __future__ import annotations

import shutil
import socket
import time
import urllib.request

import mlflow
import pytest
from mlflow.server import constants

from processes import ONE_THREAD, Process

SERVER = """
import sys
import uvicorn

uvicorn.run("mlflow.server.fastapi_app:app", port=int(sys.argv[1]), log_level="error")
"""


class Server:
    """What `mlflow server` starts, over a database that outlives it."""

    def __init__(self, folder):
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self._port = free.getsockname()[1]
        self.uri = f"http://127.0.0.1:{self._port}"
        self._env = {
            **ONE_THREAD,
            constants.BACKEND_STORE_URI_ENV_VAR: f"sqlite:///{folder}/mlflow.db",
            constants.ARTIFACT_ROOT_ENV_VAR: "mlflow-artifacts:/",
            constants.ARTIFACTS_DESTINATION_ENV_VAR: str(folder / "artifacts"),
            constants.SERVE_ARTIFACTS_ENV_VAR: "true",
        }
        self._process = None

    def start(self):
        """Start it, if it is not running, and wait until it answers."""
        if self._process:
            return
        self._process = Process("-c", SERVER, self._port, env=self._env)
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            try:
                urllib.request.urlopen(f"{self.uri}/health", timeout=1).close()
                return
            except OSError:
                time.sleep(0.05)
        raise TimeoutError(f"The MLflow server did not start: {self._process.stderr}")

    def kill(self):
        if self._process:
            self._process.kill()
            self._process = None


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
def server(tmp_path_factory, empty_database):
    folder = tmp_path_factory.mktemp("server")
    shutil.copy2(empty_database, folder)
    server = Server(folder)
    yield server
    server.kill()


@pytest.fixture
def running_server(server):
    server.start()
    return server


@pytest.fixture
def served(running_server, tracking_uri):
    """A server, and the client of a caller who can wait."""
    tracking_uri(running_server.uri)
    mlflow.set_experiment("tests")
    return mlflow.MlflowClient()


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
