"""Models in a real store: logged with their run, registered, and the best one marked."""

from __future__ import annotations

from pathlib import Path

import mlflow
import pytest
from mlflow.entities import LoggedModelStatus

from gan_pipelines.core.findings import Findings
from gan_pipelines.tracking import MlflowTracker, outbox
from gan_pipelines.tracking.models import delete_models

CODE = """
import mlflow

class Echo(mlflow.pyfunc.PythonModel):
    def predict(self, model_input: list[str]):
        return model_input

mlflow.models.set_model(Echo())
"""


@pytest.fixture
def model(tmp_path):
    """The folder of a saved model."""
    code = tmp_path / "echo.py"
    code.write_text(CODE)
    mlflow.pyfunc.save_model(tmp_path / "model", python_model=str(code), pip_requirements=["numpy"])
    return tmp_path / "model"


def findings(fid, key="abc"):
    return Findings({"fid": fid, "raw/fid": 2 * fid}, {"score_key": key, "flags": "odd"}, ())


@pytest.fixture
def log(local, model, tmp_path):
    """Log the model in a run of its own; return the ids of run and model."""

    def log_model(found, **options):
        run_id = mlflow.start_run().info.run_id
        tracker = MlflowTracker(tmp_path / "mlruns")
        tracker.begin_run()
        if found is not None:
            tracker.log_metrics(found.metrics)
        dataset = None if found is None else ("digits", "0123456789abcdef")
        tracker.log_model("cdcgan", model, {"networks": {"width": 4}}, found, dataset, **options)
        tracker.end_run("FINISHED")
        (output,) = local.get_run(run_id).outputs.model_outputs
        return run_id, output.model_id

    return log_model


def test_a_model_is_an_output_of_its_run_with_scores_dataset_and_settings(local, log):
    run_id, model_id = log(findings(3.5))
    logged = local.get_logged_model(model_id)
    assert (logged.name, logged.source_run_id, logged.status) == ("cdcgan", run_id, LoggedModelStatus.READY)
    assert logged.params["networks.width"] == "4"
    assert (logged.tags["score_key"], logged.tags["fid"], logged.tags["flags"]) == ("abc", "3.5", "odd")
    assert {metric.key: metric.value for metric in logged.metrics} == {"fid": 3.5, "raw/fid": 7.0}
    assert {(metric.dataset_name, metric.dataset_digest) for metric in logged.metrics} == {("digits", "0123456789ab")}
    assert len(local.get_metric_history(run_id, "fid")) == 1  # though run and model have it
    loaded = mlflow.pyfunc.load_model(f"models:/{model_id}")
    assert (loaded.model_id, loaded.metadata.run_id) == (model_id, run_id)
    assert loaded.predict(["a"]) == ["a"]
    assert local.search_registered_models() == []


def test_a_model_without_scores_is_logged_and_registered_as_well(local, log):
    _, model_id = log(None, registered_name="digits", champion=True)
    assert local.get_logged_model(model_id).metrics in (None, [])
    assert local.get_registered_model("digits").aliases == {}


def test_the_lowest_fid_is_the_champion(local, log):
    champions = []
    for fid in (4.0, 5.0, 3.0, 3.5):
        log(findings(fid), registered_name="digits", champion=True)
        champions.append(local.get_model_version_by_alias("digits", "champion"))
    assert [int(each.version) for each in champions] == [1, 1, 3, 3]
    assert champions[-1].tags["fid"] == "3"


def test_a_fid_that_does_not_compare_leaves_the_champion(local, log, caplog):
    log(findings(4.0), registered_name="digits", champion=True)
    log(findings(1.0, key="xyz"), registered_name="digits", champion=True)
    assert local.get_model_version_by_alias("digits", "champion").version in (1, "1")
    assert "Version 1 of digits stays its champion: the FID of version 2 does not compare with it." in caplog.text


def test_no_champion_is_marked_unasked(local, log):
    log(findings(4.0), registered_name="digits")
    assert local.get_registered_model("digits").aliases == {}
    assert [int(version.version) for version in local.search_model_versions("name='digits'")] == [1]


@pytest.mark.parametrize("name", [None, "digits"])
def test_the_models_of_a_run_are_deleted_unless_they_are_registered(local, log, name):
    run_id, model_id = log(findings(4.0), registered_name=name)
    run = local.get_run(run_id)
    delete_models(local, run)
    left = [model.model_id for model in local.search_logged_models([run.info.experiment_id])]
    assert left == ([] if name is None else [model_id])


def test_a_model_that_an_outage_has_left_incomplete_is_replaced(local, log, model, monkeypatch):
    monkeypatch.setattr(outbox, "RETRY_SECONDS", 0.0)
    finalize, calls = mlflow.MlflowClient.finalize_logged_model, []

    def fail_once(self, *arguments):
        calls.append(arguments)
        if len(calls) == 1:
            raise ConnectionError("down")
        return finalize(self, *arguments)

    monkeypatch.setattr(mlflow.MlflowClient, "finalize_logged_model", fail_once)
    run_id = mlflow.start_run().info.run_id
    tracker = MlflowTracker(Path(model).parent / "mlruns")
    tracker.begin_run()
    tracker.log_model("cdcgan", model, {}, None, None)
    tracker.end_run("FINISHED")
    assert len(calls) == 2
    experiment = local.get_run(run_id).info.experiment_id
    (left,) = local.search_logged_models([experiment])
    assert left.status == LoggedModelStatus.READY


def test_a_server_gets_the_model_and_its_files(served, model, tmp_path):
    run_id = mlflow.start_run().info.run_id
    tracker = MlflowTracker(tmp_path / "mlruns")
    tracker.begin_run()
    tracker.log_model("cdcgan", model, {}, findings(2.0), ("digits", "0" * 64), "digits", champion=True)
    tracker.end_run("FINISHED")
    (output,) = served.get_run(run_id).outputs.model_outputs
    assert mlflow.pyfunc.load_model(f"models:/{output.model_id}").predict(["a"]) == ["a"]
    assert mlflow.pyfunc.load_model("models:/digits@champion").predict(["b"]) == ["b"]
