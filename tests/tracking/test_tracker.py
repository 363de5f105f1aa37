from __future__ import annotations

import json
import logging
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace

import mlflow
import numpy as np
import pytest
from mlflow.exceptions import MlflowException
from mlflow.protos.databricks_pb2 import BAD_REQUEST

from gan_pipelines.tracking import MlflowTracker, outbox


@pytest.fixture
def begin(tmp_path):
    """Start a run and a tracker for it; what is still open at the end is ended."""
    trackers = []

    def begin_run():
        run_id = mlflow.start_run().info.run_id
        trackers.append(MlflowTracker(tmp_path))
        trackers[-1].begin_run()
        return trackers[-1], run_id

    yield begin_run
    for tracker in trackers:
        tracker.end_run("FINISHED")


def history(epochs):
    return [{"epoch": n, "images_seen": 10 * n, "generator_loss": 1 / n} for n in range(1, epochs + 1)]


def steps(client, run_id, metric="train/generator_loss"):
    return [(point.step, point.value) for point in client.get_metric_history(run_id, metric)]


EXPECTED = [(n, 1 / n) for n in range(1, 501)]


def test_several_threads_send_each_call_once(tmp_path, monkeypatch):
    sent = []

    def send(call, _):
        time.sleep(0.001)
        sent.append(call.run_id)

    monkeypatch.setattr(outbox.Call, "send", send)
    box = outbox.Outbox(tmp_path)
    with ThreadPoolExecutor(8) as threads:
        list(threads.map(lambda number: box.add(outbox.Call(str(number), "log_batch", {})), range(64)))
    assert sorted(sent, key=int) == [str(number) for number in range(64)]


def test_without_a_run_nothing_is_logged(tmp_path):
    tracker = MlflowTracker(tmp_path / "mlruns")
    tracker.log_history(history(2))
    tracker.log_picture("samples", 1, np.zeros((4, 4, 3), np.uint8))
    tracker.log_metrics({"fid": 1.0})
    tracker.begin_training("abc", continues=True)
    tracker.end_run("FINISHED")
    assert not (tmp_path / "mlruns").exists()


def test_each_epoch_is_logged_once_and_all_at_once_after_an_interruption(local, begin):
    tracker, run_id = begin()
    for epochs in (400, 401, 500):
        tracker.log_history(history(epochs))
    tracker.end_run("FINISHED")
    assert steps(local, run_id) == EXPECTED
    assert local.get_run(run_id).info.status == "FINISHED"


@pytest.mark.usefixtures("local")
def test_the_first_picture_says_where_the_pictures_are(begin, caplog):
    tracker, _ = begin()
    with caplog.at_level("INFO", "gan_pipelines"):
        for epoch in (10, 20):
            tracker.log_picture("samples", epoch, np.zeros((4, 4, 3), np.uint8))
    (message,) = caplog.messages
    sentence, _, place = message.partition(": ")
    assert sentence == "Samples of epoch 10, and soon of later ones"
    assert len([*Path(place).glob("samples*.png")]) == 2


def children_of(client, run_id):
    experiment = client.get_run(run_id).info.experiment_id
    return client.search_runs([experiment], f"tags.`mlflow.parentRunId` = '{run_id}'")


def log_child(tracker, name):
    tracker.log_child("classifier", name, {"arm": name, "seed": 3}, history(2), {"test_accuracy": 0.75}, seconds=2.5)


def test_a_child_is_a_whole_run_below_its_parent(local, begin):
    tracker, run_id = begin()
    tracker.set_tags(variant="wgan_gp", catalog_version="2026")
    log_child(tracker, "real")
    log_child(tracker, "added")
    tracker.log_metrics({"difference": 0.1})
    tracker.end_run("FINISHED")
    children = {run.info.run_name: run for run in children_of(local, run_id)}
    assert set(children) == {"real", "added"}
    child = children["added"]
    assert child.info.status == "FINISHED"
    assert child.info.end_time - child.info.start_time == 2500
    assert child.data.params == {"arm": "added", "seed": "3"}
    tags = {name: child.data.tags[name] for name in ("kind", "variant", "catalog_version")}
    assert tags == {"kind": "classifier", "variant": "wgan_gp", "catalog_version": "2026"}
    assert child.data.metrics["test_accuracy"] == 0.75
    assert steps(local, child.info.run_id) == EXPECTED[:2]
    assert local.get_run(run_id).data.metrics == {"difference": 0.1}


def test_children_that_a_dead_server_misses_are_sent_once_when_it_is_back(running_server, served, begin, monkeypatch):
    monkeypatch.setattr(outbox, "RETRY_SECONDS", 0.0)
    tracker, run_id = begin()
    log_child(tracker, "real")
    running_server.kill()
    log_child(tracker, "added")
    running_server.start()
    tracker.end_run("FINISHED")
    assert sorted(run.info.run_name for run in children_of(served, run_id)) == ["added", "real"]


def test_a_child_that_an_outage_cuts_in_half_is_made_anew(local, begin, monkeypatch):
    monkeypatch.setattr(outbox, "RETRY_SECONDS", 0.0)
    tracker, run_id = begin()
    with monkeypatch.context() as outage:
        for method in ("set_terminated", "delete_run"):
            outage.setattr(mlflow.MlflowClient, method, _raise_outage)
        log_child(tracker, "real")
        assert len(children_of(local, run_id)) == 1
    tracker.end_run("FINISHED")
    (child,) = children_of(local, run_id)
    assert child.info.status == "FINISHED"
    assert child.data.metrics["test_accuracy"] == 0.75


def _raise_outage(*_, **__):
    raise mlflow.exceptions.MlflowException("down")


def test_a_child_that_cannot_be_written_whole_is_not_left_half(local, begin, caplog):
    tracker, run_id = begin()
    tracker.log_child("classifier", "real", {"arm?": "real"}, [], {}, seconds=1)  # no name that MLflow takes
    tracker.end_run("FINISHED")
    assert children_of(local, run_id) == []
    assert "MLflow refused something (log_child" in caplog.text


@pytest.mark.parametrize("status", ["FINISHED", "FAILED", "KILLED"])
def test_a_run_ends_as_it_is_told_and_only_once(local, begin, status):
    tracker, run_id = begin()
    tracker.end_run(status)
    tracker.end_run("FINISHED")
    assert mlflow.active_run() is None
    assert local.get_run(run_id).info.status == status


def test_a_run_that_fails_as_an_outage_begins_is_never_shown_as_finished(local, begin, monkeypatch):
    tracker, run_id = begin()
    monkeypatch.setattr(outbox.Call, "send", _raise_outage)
    tracker.end_run("FAILED")
    assert local.get_run(run_id).info.status == "FAILED"


def test_runs_of_the_same_training_are_linked(local, begin):
    def run(training, continues):
        tracker, run_id = begin()
        tracker.begin_training(training, continues)
        tracker.begin_training(training, not continues)
        tracker.end_run("FINISHED")
        return run_id

    first, other, second, fresh = run("abc", False), run("xyz", True), run("abc", True), run("abc", False)
    tags = {run_id: local.get_run(run_id).data.tags for run_id in (first, other, second, fresh)}
    assert tags[second]["continues_run"] == first
    assert tags[first]["continued_by_run"] == second
    for alone in (other, fresh):
        assert "continues_run" not in tags[alone]
        assert "continued_by_run" not in tags[alone]


def test_what_a_dead_server_misses_is_sent_when_it_is_back(running_server, served, begin, monkeypatch, caplog):
    monkeypatch.setattr(outbox, "RETRY_SECONDS", 0.0)
    tracker, run_id = begin()
    tracker.log_history(history(100))
    running_server.kill()
    tracker.log_history(history(300))
    tracker.log_picture("samples", 1, np.zeros((4, 4, 3), np.uint8))
    tracker.set_tags(colour="red")
    tracker.log_history(history(301))
    running_server.start()
    tracker.log_history(history(500))
    tracker.end_run("FINISHED")
    assert [record.message.startswith("MLflow does not answer") for record in caplog.records] == [True]
    assert steps(served, run_id) == EXPECTED
    assert served.get_run(run_id).data.tags["colour"] == "red"
    assert served.get_run(run_id).info.status == "FINISHED"


def test_what_a_dead_server_misses_till_the_end_is_kept_and_sent_by_the_next_run(
    running_server, served, begin, tmp_path, caplog
):
    caplog.set_level(logging.INFO)
    tracker, run_id = begin()
    tracker.log_history(history(100))
    running_server.kill()
    (tmp_path / "scores.json").write_text("{}")
    tracker.log_history(history(500))
    tracker.log_files(tmp_path / "scores.json", "scores")
    tracker.end_run("FINISHED")
    assert f"what it missed is kept in {tmp_path}/unsent" in caplog.text
    (kept,) = (tmp_path / "unsent").glob("*.json")
    assert len(json.loads(kept.read_text())["calls"]) == 3

    mlflow.set_tracking_uri(f"sqlite:///{tmp_path}/another.db")
    mlflow.set_experiment("elsewhere")
    tracker, _ = begin()
    tracker.end_run("FINISHED")
    assert kept.exists()  # it is for the other MLflow

    mlflow.set_tracking_uri(running_server.uri)
    running_server.start()
    mlflow.set_experiment("tests")
    begin()
    assert steps(served, run_id) == EXPECTED
    assert [file.path for file in served.list_artifacts(run_id, "scores")] == ["scores/scores.json"]
    assert served.get_run(run_id).info.status == "FINISHED"
    assert [path.name for path in (tmp_path / "unsent").iterdir()] == ["lock"]


def test_of_what_is_kept_only_what_was_not_sent_is_kept_again(tmp_path, monkeypatch, local):
    def fail(*_):
        raise ConnectionError

    def send(call, _):
        if call.run_id == "2":
            fail()
        sent.append(call.run_id)

    sent = []
    box = outbox.Outbox(tmp_path)
    monkeypatch.setattr(outbox.Call, "send", fail)
    monkeypatch.setattr(outbox, "is_outage", lambda _: True)
    for number in range(4):
        box.add(outbox.Call(str(number), "log_batch", {}))
    box.close()
    monkeypatch.setattr(outbox.Call, "send", send)
    box.send_kept()
    monkeypatch.setattr(outbox.Call, "send", lambda call, _: sent.append(call.run_id))
    box.send_kept()
    assert sent == ["0", "1", "2", "3"]
    assert not [*tmp_path.glob("*.json")]


def test_what_is_kept_has_no_password(tmp_path, monkeypatch):
    monkeypatch.setattr(outbox.Outbox, "flush", lambda _: False)
    monkeypatch.setattr(mlflow, "get_tracking_uri", lambda: "http://me:secret@tracking.org")
    box = outbox.Outbox(tmp_path)
    box.close()
    (kept,) = tmp_path.glob("*.json")
    assert json.loads(kept.read_text()) == {"address": "http://***@tracking.org", "calls": []}


def test_after_a_failure_nothing_is_tried_for_a_while(served, running_server, begin, monkeypatch):
    tracker, _ = begin()
    running_server.kill()
    tracker.log_history(history(1))
    monkeypatch.setattr(outbox.Call, "send", lambda *_: pytest.fail("tried again"))
    tracker.log_history(history(2))
    monkeypatch.undo()
    running_server.start()


def test_datasets_that_another_run_logs_for_the_first_time_at_the_same_moment_are_logged_again():
    logged = []

    def log_inputs(run_id, datasets):
        logged.append((run_id, len(datasets)))
        if len(logged) == 1:
            raise MlflowException("UNIQUE constraint failed: datasets.digest", BAD_REQUEST)

    dataset = {"split": "train", "name": "digits", "digest": "1", "source_type": "local", "source": "{}"}
    outbox.Call("run", "log_inputs", {"datasets": [dataset]}).send(SimpleNamespace(log_inputs=log_inputs))
    assert logged == [("run", 1), ("run", 1)]


def test_what_mlflow_refuses_does_not_hold_up_the_rest(local, begin, tmp_path, caplog):
    tracker, run_id = begin()
    tracker.log_params({"a": 1})
    tracker.log_params({"a": 2})
    tracker.log_files(tmp_path / "nowhere.json", "files")
    tracker.log_history(history(2))
    assert f"MLflow refused something (log_batch of run {run_id})" in caplog.text
    assert f"MLflow refused something (log_artifact of run {run_id})" in caplog.text
    assert local.get_run(run_id).data.params == {"a": "1"}
    assert len(steps(local, run_id)) == 2
    tracker.end_run("FINISHED")


def test_what_earlier_runs_have_left_broken_harms_no_run(local, begin, tmp_path, caplog):
    (tmp_path / "unsent").mkdir()
    (tmp_path / "unsent/.unfinished-1.json").write_text("{")
    tracker, run_id = begin()
    assert not caplog.text
    tracker.end_run("FINISHED")
    (tmp_path / "unsent/2.json").write_text("{")
    tracker, run_id = begin()
    assert "What earlier runs have left could not be dealt with" in caplog.text
    tracker.end_run("FINISHED")
    assert local.get_run(run_id).info.status == "FINISHED"


def test_a_run_that_a_caller_has_opened_is_the_callers_to_end(local, tmp_path):
    with mlflow.start_run() as run:
        tracker = MlflowTracker(tmp_path)
        tracker.begin_run(is_own=False)
        tracker.log_history(history(2))
        tracker.end_run("FINISHED")
        assert mlflow.active_run().info.run_id == run.info.run_id
    assert len(steps(local, run.info.run_id)) == 2


def test_an_exception_without_words_is_named(tmp_path, begin, local, monkeypatch, caplog):
    tracker, _ = begin()

    def fail(*_):
        raise TimeoutError

    monkeypatch.setattr(outbox.Call, "send", fail)
    tracker.log_history(history(1))
    monkeypatch.undo()
    assert "MLflow does not answer; what it misses is sent later (TimeoutError)" in caplog.text
