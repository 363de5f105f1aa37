"""What `kedro ui` prints and starts, for a real store."""

from __future__ import annotations

import os
import sys
import webbrowser

import mlflow
import pytest

from gan_pipelines.tracking.errors import TrackingUnavailable
from gan_pipelines.tracking.interface import show_interface
from gan_pipelines.tracking.views import VIEWS

START_PAGE = "/#/experiments/1/runs?workflowType=machine_learning&viewStateShareKey=scores"


@pytest.fixture
def started(monkeypatch):
    """Commands and addresses that would be opened."""
    started = []
    monkeypatch.setattr(os, "execv", lambda _, command: started.append(command))
    monkeypatch.setattr(webbrowser, "open", started.append)
    return started


def settings_of(address):
    return {"server": {"mlflow_tracking_uri": address}, "ui": {"host": "localhost", "port": 5001}}


def test_the_start_page_of_each_experiment_of_the_project_is_printed_first(local, started, capsys):
    other = mlflow.MlflowClient().create_experiment("of another project")
    mlflow.MlflowClient().create_run(other)
    with mlflow.start_run(tags={"catalog_version": "v"}):
        pass
    address = mlflow.get_tracking_uri()
    show_interface(settings_of(address))
    assert capsys.readouterr().out == f"Runs of tests: http://localhost:5001{START_PAGE}\n"
    command = [sys.executable, "-m", "mlflow", "ui", "--backend-store-uri", address]
    assert started == [[*command, "--host", "localhost", "--port", "5001"]]
    assert {view.tag for view in VIEWS} <= local.get_experiment_by_name("tests").tags.keys()


@pytest.mark.integration
def test_the_page_of_a_server_is_opened(served, started, running_server):
    with mlflow.start_run(tags={"catalog_version": "v"}):
        pass
    show_interface(settings_of(running_server.uri))
    (page,) = started
    assert page.startswith(f"{running_server.uri}/#/experiments/")


def test_a_server_that_does_not_answer_is_a_sentence(tracking_uri, started):
    with pytest.raises(TrackingUnavailable, match="^MLflow at http://127.0.0.1:9 does not answer"):
        show_interface(settings_of("http://127.0.0.1:9"))
    assert started == []
