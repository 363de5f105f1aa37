"""The hooks that own the MLflow run, around a pipeline of one node and a real store."""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
import time
from contextlib import nullcontext
from pathlib import Path
from types import SimpleNamespace

import mlflow
import pytest
import requests
from kedro.io import DataCatalog, MemoryDataset, Version
from kedro.pipeline import Pipeline, node

from gan_pipelines.core.config import ConfigError
from gan_pipelines.core.findings import Findings
from gan_pipelines.datasets import ExportedGeneratorDataset, JSONDataset, TrackerDataset
from gan_pipelines.gan import VARIANTS, TrainingDiverged
from gan_pipelines.metrics import ScoringConfig
from gan_pipelines.project.parameters import RuntimeConfig
from gan_pipelines.serving import ExportConfig
from gan_pipelines.tracking import MlflowTracker
from gan_pipelines.tracking.entries import read_logging
from gan_pipelines.tracking.errors import TrackingUnavailable
from gan_pipelines.tracking.hooks import TrackingHooks
from gan_pipelines.tracking.outages import is_outage
from gan_pipelines.tracking.views import VIEWS, comparable_scores

VERSION = "2026-01-01T00.00.00.000Z"


def make_pipeline(name="train_gan", config="params:variants.wgan_gp"):
    return Pipeline([node(lambda *_: {}, [config, "params:scoring"], "report", name=name, namespace="wgan_gp")])


def make_catalog(folder, system_metrics=False, **metadata):
    report = JSONDataset(filepath=f"{folder}/report.json", version=None, metadata={"mlflow": metadata})
    return DataCatalog(
        {
            "tracker": TrackerDataset(filepath=f"{folder}/mlruns"),
            "report": report,
            "params:experiment": MemoryDataset("digits"),
            "params:variants.wgan_gp": MemoryDataset(VARIANTS["wgan_gp"]),
            "params:scoring": MemoryDataset(ScoringConfig(samples=20)),
            "params:runtime": MemoryDataset(RuntimeConfig(system_metrics=system_metrics)),
        }
    )


def begin(folder, catalog, pipelines=("train_wgan_gp",), **pipeline):
    """Hooks with a run that has begun, as kedro-mlflow would have opened it."""
    hooks = TrackingHooks()
    with_context(hooks, folder)
    mlflow.start_run()
    hooks.after_catalog_created(catalog, VERSION)
    run_wrapper(hooks.before_pipeline_run({"pipeline_names": list(pipelines)}, make_pipeline(**pipeline), catalog))
    return hooks, hooks.tracker.run_id


def with_context(hooks, folder, error=None, address=None):
    """Let the hooks fill in the settings, as if kedro-mlflow set up the store with them."""
    context = SimpleNamespace(project_path=folder, config_loader={"mlflow": settings_of(address)})
    run_wrapper(hooks.after_context_created(context), error)


def settings_of(address=None):
    address = address or mlflow.get_tracking_uri()
    return {"server": {"mlflow_tracking_uri": address}, "tracking": {"experiment": {"name": "tests"}}}


def run_wrapper(wrapper, error=None):
    """Drive a hook wrapper as pluggy does: the hooks that it encloses return or raise."""
    next(wrapper)
    try:
        wrapper.send(None) if error is None else wrapper.throw(error)
    except StopIteration:
        return


def test_a_run_is_named_tagged_and_gets_the_typed_parameters_once(local, tmp_path):
    hooks, run_id = begin(tmp_path, make_catalog(tmp_path))
    run_wrapper(hooks.after_pipeline_run())
    run = local.get_run(run_id)
    assert run.info.run_name == "train_wgan_gp seed 0 digits"
    assert run.info.status == "FINISHED"
    tags = {name: run.data.tags[name] for name in ("catalog_version", "variant", "seed")}
    assert tags == {"catalog_version": VERSION, "variant": "wgan_gp", "seed": "0"}
    assert run.data.params["scoring.samples"] == "20"
    assert run.data.params["scoring.during_training.weights"] == "ema"
    assert not [name for name in run.data.params if "variants" in name]


@pytest.mark.parametrize(("pipelines", "name"), [([], "wgan_gp seed 0 digits"), (["a", "b"], "a+b seed 0 digits")])
def test_a_run_without_a_pipeline_name_is_named_by_its_variant(local, tmp_path, pipelines, name):
    hooks, run_id = begin(tmp_path, make_catalog(tmp_path), pipelines)
    assert local.get_run(run_id).info.run_name == name
    hooks.tracker.end_run("FINISHED")


@pytest.mark.parametrize("pipeline", [{"name": "resolve_config"}, {"config": "a.loaded.config"}])
def test_a_run_that_reads_no_seed_of_a_training_has_none(local, tmp_path, pipeline):
    hooks, run_id = begin(tmp_path, make_catalog(tmp_path), ["augment_wgan_gp"], **pipeline)
    run = local.get_run(run_id)
    assert run.info.run_name == "augment_wgan_gp digits"
    assert run.data.tags["variant"] == "wgan_gp"
    assert "seed" not in run.data.tags
    hooks.tracker.end_run("FINISHED")


def test_kedro_mlflow_sees_no_parameters_of_nodes(tmp_path, local):
    inputs = {"params:scoring": 1, "images": 2, "params:runtime.device": 3}
    wrapper = TrackingHooks().before_node_run(inputs)
    next(wrapper)
    assert inputs == {"images": 2}
    with pytest.raises(StopIteration):
        wrapper.send(None)
    assert inputs == {"images": 2, "params:scoring": 1, "params:runtime.device": 3}


def test_an_outage_before_a_node_ends_nothing_and_an_error_of_its_own_does():
    inputs = {"params:scoring": 1}
    run_wrapper(TrackingHooks().before_node_run(inputs), mlflow.exceptions.MlflowException("down"))
    assert inputs == {"params:scoring": 1}
    with pytest.raises(ValueError, match="own"):
        run_wrapper(TrackingHooks().before_node_run(inputs), ValueError("own"))


@pytest.mark.parametrize(
    ("error", "raised"),
    [(ConfigError("wrong"), ConfigError), (mlflow.exceptions.MlflowException("down"), TrackingUnavailable)],
)
def test_a_run_that_fails_before_its_first_node_has_failed(local, tmp_path, error, raised):
    hooks = TrackingHooks()
    with_context(hooks, tmp_path)
    run_id = mlflow.start_run().info.run_id
    catalog = make_catalog(tmp_path)
    hooks.after_catalog_created(catalog, VERSION)
    with pytest.raises(raised):
        run_wrapper(hooks.before_pipeline_run({"pipeline_names": []}, make_pipeline(), catalog), error)
    assert local.get_run(run_id).info.status == "FAILED"
    assert mlflow.active_run() is None


def test_metadata_says_what_of_an_entry_is_logged(local, tmp_path):
    config = VARIANTS["wgan_gp"]
    for metadata, data in (
        ({"params": True}, config),
        ({"tags": {"dataset_hash": "content_hash"}}, {"content_hash": "abc"}),
        ({"findings": True}, Findings({"fid": 2.5}, {"flags": "odd"}, ("FID 2.5", "Careful: odd"))),
    ):
        hooks, run_id = begin(tmp_path, make_catalog(tmp_path, **metadata))
        hooks.after_dataset_saved("report", data)
        hooks.after_dataset_saved("of no metadata", {"content_hash": "xyz"})
        run_wrapper(hooks.after_pipeline_run())
        run = local.get_run(run_id).data
        assert run.params.get("penalties.0.weight") == ("10.0" if "params" in metadata else None)
        assert run.tags.get("dataset_hash") == ("abc" if "tags" in metadata else None)
        assert run.metrics == ({"fid": 2.5} if "findings" in metadata else {})
        assert run.tags.get("flags") == ("odd" if "findings" in metadata else None)
        described = "FID 2.5\n\nCareful: odd" if "findings" in metadata else None
        assert run.tags.get("mlflow.note.content") == described


@pytest.mark.parametrize("is_logged", [True, False])
def test_the_file_of_this_run_is_logged_if_the_metadata_says_so(local, tmp_path, is_logged):
    catalog = make_catalog(tmp_path)
    for version in ("2025-01-01T00.00.00.000Z", VERSION):
        JSONDataset(filepath=f"{tmp_path}/report.json", version=Version(None, version)).save({"of": version})
    metadata = {"mlflow": {"file": is_logged}}
    report = JSONDataset(filepath=f"{tmp_path}/report.json", version=Version(None, VERSION), metadata=metadata)
    catalog["wgan_gp.report"] = report
    hooks, run_id = begin(tmp_path, catalog)
    hooks.logging |= read_logging(catalog, ["wgan_gp.report"])
    hooks.after_dataset_saved("wgan_gp.report", {"of": VERSION})
    run_wrapper(hooks.after_pipeline_run())
    logged = [file.path for file in local.list_artifacts(run_id, "report")]
    assert logged == (["report/report.json"] if is_logged else [])
    if is_logged:
        assert VERSION in Path(local.download_artifacts(run_id, "report/report.json")).read_text()


@pytest.mark.parametrize("failure", [{}, {"failure": "a loss became nan."}])
def test_a_model_is_logged_and_registered_as_the_parameters_say(local, tmp_path, failure):
    folder = tmp_path / "model" / VERSION / "model"
    folder.parent.mkdir(parents=True)
    mlflow.pyfunc.save_model(folder, loader_module="json", pip_requirements=["numpy"])
    found = Findings({"fid": 2.5}, {"score_key": "abc"}, ())
    exported = SimpleNamespace(
        config=VARIANTS["wgan_gp"],
        training={"epoch": 3, **failure},
        findings=found,
        scores=[{"comparability": {"reference_hash": "ab" * 32}}],
    )
    catalog = make_catalog(tmp_path)
    catalog["params:export"] = MemoryDataset(ExportConfig(registered_model_name="digits", champion=True))
    metadata = {"mlflow": {"model": True}}
    catalog["wgan_gp.model"] = ExportedGeneratorDataset(
        filepath=str(tmp_path / "model"), version=Version(None, VERSION), metadata=metadata
    )
    hooks, run_id = begin(tmp_path, catalog)
    hooks.logging |= read_logging(catalog, ["wgan_gp.model"])
    hooks.after_dataset_saved("wgan_gp.model", exported)
    run_wrapper(hooks.after_pipeline_run())
    (output,) = local.get_run(run_id).outputs.model_outputs
    logged = local.get_logged_model(output.model_id)
    assert (logged.name, logged.params["epoch"], logged.params["penalties.0.weight"]) == ("wgan_gp", "3", "10.0")
    (metric,) = logged.metrics
    assert (metric.key, metric.value, metric.dataset_name, metric.dataset_digest) == ("fid", 2.5, "digits", "ab" * 6)
    assert local.get_model_version("digits", "1").tags["fid"] == "2.5"
    assert set(local.get_registered_model("digits").aliases) == (set() if failure else {"champion"})


def test_the_splits_of_a_dataset_are_inputs_of_the_run(local, tmp_path):
    manifest = JSONDataset(
        filepath=f"{tmp_path}/manifest.json", version=Version(None, VERSION), metadata={"mlflow": {"dataset": True}}
    )
    content = {"split_sizes": {"train": 40, "test": 20}, "split_hashes": {"train": "ab" * 32, "test": "cd" * 32}}
    manifest.save(content)
    catalog = make_catalog(tmp_path)
    catalog["manifest"] = manifest
    hooks, run_id = begin(tmp_path, catalog)
    hooks.logging |= read_logging(catalog, ["manifest"])
    hooks.after_dataset_saved("manifest", content)
    run_wrapper(hooks.after_pipeline_run())
    inputs = local.get_run(run_id).inputs.dataset_inputs
    found = {each.tags[0].value: (each.dataset.name, each.dataset.digest, each.dataset.profile) for each in inputs}
    assert found == {
        "train": ("digits", "ab" * 6, '{"num_rows": 40}'),
        "test": ("digits", "cd" * 6, '{"num_rows": 20}'),
    }
    assert Path(json.loads(inputs[0].dataset.source)["uri"]).is_file()


def test_an_experiment_has_the_views_from_the_start_of_a_run(local, tmp_path):
    hooks, _ = begin(tmp_path, make_catalog(tmp_path))
    tags = local.get_experiment_by_name("tests").tags
    assert {view.tag for view in VIEWS} <= tags.keys()
    assert hooks.list_addresses() == {
        "Scores": "http://127.0.0.1:5000/#/experiments/1/runs?workflowType=machine_learning&viewStateShareKey=scores"
    }
    run_wrapper(hooks.after_pipeline_run())


def test_the_addresses_are_those_of_the_views_that_show_what_a_run_has_found(local, tmp_path):
    hooks, _ = begin(tmp_path, make_catalog(tmp_path, findings=True))
    hooks.after_dataset_saved("report", Findings({}, {"score_key": "abc"}, ()))
    hooks.after_dataset_saved("report", Findings({}, {"verdict": "helps"}, ()))
    run_wrapper(hooks.after_pipeline_run())
    addresses = hooks.list_addresses()
    assert [address.rpartition("=")[2] for address in addresses.values()] == ["scores-abc", "augmentation"]
    assert "tags.score_key = 'abc'" in local.get_experiment_by_name("tests").tags[comparable_scores("abc").tag]


@pytest.mark.parametrize("is_asked", [True, False])
def test_system_metrics_are_sampled_while_a_run_that_asks_for_them_lasts(local, tmp_path, monkeypatch, is_asked):
    monkeypatch.setenv("MLFLOW_SYSTEM_METRICS_SAMPLING_INTERVAL", "0.05")
    hooks, run_id = begin(tmp_path, make_catalog(tmp_path, system_metrics=is_asked))
    deadline = time.monotonic() + 20 * is_asked
    while not local.get_run(run_id).data.metrics and time.monotonic() < deadline:
        time.sleep(0.05)
    run_wrapper(hooks.after_pipeline_run())
    assert ("system/cpu_utilization_percentage" in local.get_run(run_id).data.metrics) == is_asked
    assert not [thread for thread in threading.enumerate() if thread.name == "SystemMetricsMonitor"]


def test_a_sampler_that_does_not_start_is_a_warning(local, tmp_path, monkeypatch, caplog):
    monkeypatch.setitem(sys.modules, "mlflow.system_metrics.system_metrics_monitor", None)
    hooks, _ = begin(tmp_path, make_catalog(tmp_path, system_metrics=True))
    run_wrapper(hooks.after_pipeline_run())
    assert "System metrics are not sampled: " in caplog.text


def test_a_wrong_metadata_is_named_with_its_entry(tmp_path):
    with pytest.raises(ConfigError, match=r"^report.metadata.mlflow.files is not a setting; did you mean file\?$"):
        read_logging(make_catalog(tmp_path, files=True), ["report"])


def test_only_the_file_of_a_versioned_entry_can_be_logged(tmp_path):
    sentence = r"^report.metadata.mlflow.file is True, but must be false: the entry is not versioned\.$"
    with pytest.raises(ConfigError, match=sentence):
        read_logging(make_catalog(tmp_path, file=True), ["report"])


def test_a_tag_without_a_value_is_a_warning(local, tmp_path, caplog):
    tags = {"dataset_hash": "content_hash", "dataset": "name"}
    hooks, run_id = begin(tmp_path, make_catalog(tmp_path, tags=tags))
    hooks.after_dataset_saved("report", {"name": "cards"})
    run_wrapper(hooks.after_pipeline_run())
    assert local.get_run(run_id).data.tags["dataset"] == "cards"
    assert "report has no value for MLflow's tags dataset_hash" in caplog.messages


def test_a_run_that_fails_while_it_is_described_has_failed_and_leaves_the_signals_alone(local, tmp_path, monkeypatch):
    before = signal.getsignal(signal.SIGTERM)
    monkeypatch.setattr(MlflowTracker, "log_commit", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        begin(tmp_path, make_catalog(tmp_path))
    assert signal.getsignal(signal.SIGTERM) is before
    (run,) = local.search_runs(["1"])
    assert run.info.status == "FAILED"


def test_parameters_that_mlflow_would_refuse_are_cut_off(local, tmp_path):
    hooks, run_id = begin(tmp_path, make_catalog(tmp_path))
    hooks.tracker.log_params({"sampling": {"classes": ["x" * 7000], "count": 3}})
    hooks.tracker.end_run("FINISHED")
    params = local.get_run(run_id).data.params
    assert (len(params["sampling.classes"]), params["sampling.count"]) == (6000, "3")


@pytest.mark.parametrize("error", [ValueError("own"), KeyboardInterrupt()])
def test_a_run_whose_end_raises_has_failed(local, tmp_path, error):
    hooks, run_id = begin(tmp_path, make_catalog(tmp_path))
    with pytest.raises(type(error)):
        run_wrapper(hooks.after_pipeline_run(), error)
    assert local.get_run(run_id).info.status == "FAILED"


def test_an_mlflow_that_fails_at_the_end_ends_nothing(local, tmp_path):
    hooks, run_id = begin(tmp_path, make_catalog(tmp_path))
    run_wrapper(hooks.after_pipeline_run(), mlflow.exceptions.MlflowException("down"))
    assert local.get_run(run_id).info.status == "FINISHED"


@pytest.mark.parametrize(
    ("error", "sentence"), [(TrainingDiverged("It\nfailed."), "It\nfailed."), (ValueError("own\nnoise"), "own")]
)
def test_a_pipeline_that_fails_is_a_failed_run_with_its_findings_and_its_sentence(local, tmp_path, error, sentence):
    hooks, run_id = begin(tmp_path, make_catalog(tmp_path, findings=True))
    hooks.after_dataset_saved("report", Findings({}, {}, ("FID 2.5",)))
    run_wrapper(hooks.on_pipeline_error(error))
    run = local.get_run(run_id)
    assert run.info.status == "FAILED"
    assert run.data.tags["mlflow.note.content"] == f"FID 2.5\n\n{sentence}"


def test_an_mlflow_that_does_not_answer_at_the_start_is_a_sentence(tmp_path):
    address = "http://127.0.0.1:9"
    with pytest.raises(TrackingUnavailable, match=rf"^MLflow at {address} does not answer \(down\); start its server"):
        with_context(TrackingHooks(), tmp_path, requests.ConnectionError("down"), address)
    with pytest.raises(ValueError, match="own"):
        with_context(TrackingHooks(), tmp_path, ValueError("own"), address)


@pytest.mark.parametrize("has_caller", [False, True])
def test_nodes_open_no_run_again_but_one_that_a_caller_may_have_nested(tmp_path, local, has_caller):
    context = SimpleNamespace(project_path=tmp_path, config_loader={"mlflow": settings_of()})
    with mlflow.start_run() if has_caller else nullcontext():
        next(TrackingHooks().after_context_created(context))
    assert context.config_loader["mlflow"]["tracking"]["run"]["nested"] == has_caller


def test_the_next_session_does_not_take_an_address_that_mlflow_has_set_for_the_users(tmp_path, local, monkeypatch):
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    context = SimpleNamespace(project_path=tmp_path, config_loader={"mlflow": settings_of()})
    wrapper = TrackingHooks().after_context_created(context)
    next(wrapper)
    mlflow.set_tracking_uri(f"sqlite:///{tmp_path}/other.db")
    assert "MLFLOW_TRACKING_URI" in os.environ
    with pytest.raises(StopIteration):
        wrapper.send(None)
    assert "MLFLOW_TRACKING_URI" not in os.environ


@pytest.mark.parametrize("kind", ["unknown", "not an id/", "deleted", "of another experiment"])
def test_a_run_to_go_on_with_that_is_not_there_is_a_sentence(local, tmp_path, monkeypatch, kind):
    elsewhere = local.create_experiment("elsewhere")
    experiment = elsewhere if kind == "of another experiment" else local.get_experiment_by_name("tests").experiment_id
    run_id = local.create_run(experiment).info.run_id if kind in ("deleted", "of another experiment") else kind
    if kind == "deleted":
        local.delete_run(run_id)
    hooks = TrackingHooks()
    with_context(hooks, tmp_path)
    hooks.after_catalog_created(make_catalog(tmp_path), VERSION)
    monkeypatch.setenv("MLFLOW_RUN_ID", run_id)
    with pytest.raises(ConfigError) as caught:
        run_wrapper(hooks.before_pipeline_run({"pipeline_names": []}, make_pipeline(), make_catalog(tmp_path)))
    assert str(caught.value) == (
        f"MLFLOW_RUN_ID is {run_id!r}, but must be a run of the experiment tests in {mlflow.get_tracking_uri()}: unset "
        "it to begin a new run."
    )


def test_a_run_of_the_experiment_can_be_gone_on_with(local, tmp_path, monkeypatch):
    run_id = local.create_run(local.get_experiment_by_name("tests").experiment_id).info.run_id
    monkeypatch.setenv("MLFLOW_RUN_ID", run_id)
    hooks, begun_id = begin(tmp_path, make_catalog(tmp_path))
    hooks.tracker.end_run("FINISHED")
    assert begun_id == run_id
    assert local.get_run(run_id).info.status == "FINISHED"


def test_a_callers_run_is_neither_named_nor_ended(local, tmp_path):
    with mlflow.start_run(run_name="mine") as run:
        hooks = TrackingHooks()
        with_context(hooks, tmp_path)
        catalog = make_catalog(tmp_path)
        hooks.after_catalog_created(catalog, VERSION)
        run_wrapper(hooks.before_pipeline_run({"pipeline_names": ["train_wgan_gp"]}, make_pipeline(), catalog))
        run_wrapper(hooks.after_pipeline_run())
        assert local.get_run(run.info.run_id).info.status == "RUNNING"
    assert local.get_run(run.info.run_id).info.run_name == "mine"


def test_without_a_tracker_in_the_catalog_one_is_made(tmp_path):
    hooks = TrackingHooks()
    hooks.project_path = tmp_path
    hooks.after_catalog_created(DataCatalog({}), VERSION)
    assert isinstance(hooks.tracker, MlflowTracker)


@pytest.mark.parametrize(
    ("error", "passes"),
    [
        (mlflow.exceptions.MlflowException("down"), True),
        (
            mlflow.exceptions.MlflowException("no", error_code=mlflow.protos.databricks_pb2.INVALID_PARAMETER_VALUE),
            False,
        ),
        (requests.ConnectionError(), True),
        (TimeoutError(), True),
        (ValueError(), False),
    ],
)
def test_an_outage_is_told_from_a_refusal(error, passes):
    assert is_outage(error) is passes
