"""The MLflow run of a sweep."""

from __future__ import annotations

import pytest
from mlflow import MlflowClient
from mlflow.exceptions import MlflowException

from gan_pipelines.tracking.liveness import RunningRuns
from gan_pipelines.tracking.sweeps import SweepRun


def test_the_open_runs_of_a_sweep_that_is_stopped_end_as_killed(local, tmp_path):
    experiment = local.get_experiment_by_name("tests").experiment_id
    other = local.create_run(experiment)
    children = []
    with pytest.raises(KeyboardInterrupt), SweepRun.open("tests", "hash", tmp_path) as sweep:
        for _ in range(2):
            children.append(local.create_run(experiment, tags=sweep.tags("request")).info.run_id)
        local.set_terminated(children[0], "FINISHED")
        raise KeyboardInterrupt
    assert [local.get_run(run_id).info.status for run_id in (sweep.run_id, *children)] == [
        "KILLED", "FINISHED", "KILLED",
    ]  # fmt: skip
    assert local.get_run(other.info.run_id).info.status == "RUNNING"


def test_a_sweep_whose_end_mlflow_misses_is_found_by_a_later_run(local, tmp_path, monkeypatch):
    def fail(*_):
        raise MlflowException("no answer")

    with SweepRun.open("tests", "hash", tmp_path) as sweep:
        monkeypatch.setattr(MlflowClient, "set_terminated", fail)
        sweep.end(True, "all finished")
    monkeypatch.undo()
    assert (tmp_path / "running" / sweep.run_id).exists()
    RunningRuns._locks.pop(tmp_path / "running" / sweep.run_id).release()  # as the end of the process does
    assert [*RunningRuns(tmp_path / "running").killed(sweep.client.tracking_uri)] == [sweep.run_id]


def test_a_sweep_that_is_stopped_goes_on_in_the_same_run(local, tmp_path):
    with pytest.raises(KeyboardInterrupt), SweepRun.open("tests", "hash", tmp_path) as first:
        raise KeyboardInterrupt
    with SweepRun.open("tests", "hash", tmp_path) as second:
        assert local.get_run(second.run_id).info.status == "RUNNING"
        second.end(True, "all finished")
    assert second.run_id == first.run_id
    assert local.get_run(second.run_id).info.status == "FINISHED"
