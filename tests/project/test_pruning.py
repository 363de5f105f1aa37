"""What of an experiment can be deleted, and what never is."""

from __future__ import annotations

import json
import os
import shutil
import signal
import time
from types import SimpleNamespace

import pytest
from mlflow.tracking import MlflowClient

from command_line import KEDRO, kedro, latest, small
from gan_pipelines.core.files import count_bytes, delete
from gan_pipelines.core.stores import KeyedStore
from gan_pipelines.gan import MilestoneStore
from gan_pipelines.gan.checkpoint import CheckpointStore
from gan_pipelines.project import pruning
from gan_pipelines.project.pruning import Item, Scored, describe, find_kept, format_bytes, read_scores
from processes import Process


def scored(recipe, fid, training="t", generator="", key="k"):
    return [Scored(("wgan", recipe), training, generator, key, fid)]


def test_the_newest_and_the_best_run_of_each_recipe_stay_with_the_generators_that_they_scored():
    scores = {
        "1": scored("a", 3.0, generator="0"),
        "2": scored("a", 5.0) + scored("a", None, key="of another metric"),
        "3": scored("a", 4.0),
        "4": scored("b", 9.0),
        "5": scored("a", 1.0, key="of fewer samples"),
    }
    versions = {version: ["wgan.scores"] for version in scores} | {"0": ["wgan.generator"], "6": ["wgan.generator"]}
    assert find_kept(versions, scores) - {""} == {"0", "1", "4", "5", "6"}


def test_scores_of_milestones_do_not_count_as_those_of_a_run():
    scores = {
        "1": scored("a", 3.0, generator="1"),
        "2": [scored("a", 1.0, generator="t-epoch-0010")[0]._replace(is_milestone=True)],
        "3": [scored("a", 4.0, generator="t-epoch-0020")[0]._replace(is_milestone=True)],
    }
    assert find_kept({version: ["wgan.scores"] for version in scores}, scores) == {"1", "3", "t-epoch-0020"}


def test_milestones_go_with_the_runs_of_their_training(tmp_path):
    store = MilestoneStore(tmp_path / "generator.safetensors")
    for training in ("kept", "old"):
        path = store.path_of(f"{training}-epoch-0010")
        path.parent.mkdir(parents=True)
        path.write_text("weights")
    items = [*pruning._find_trainings("milestones", {"wgan.milestones": store}, [], {"kept"}, time.time() + 1)]
    assert [(item.kind, item.name, item.size) for item in items] == [("milestones", "wgan.milestones", 7)]
    assert items[0].discard()
    assert store.list_versions() == ["kept-epoch-0010"]
    assert not [*pruning._find_trainings("milestones", {"wgan.milestones": store}, [], set(), 0.0)]


def test_the_newest_version_of_each_entry_stays_scored_or_not():
    versions = {"1": ["manifest", "wgan.samples"], "2": ["manifest"], "3": ["manifest"]}
    assert find_kept(versions, {}) == {"1", "3"}


def test_versions_whose_scores_are_torn_or_of_another_form_stay(tmp_path):
    texts = {"torn": '[{"metric": "f', "strange": '{"a": 1}', "older": '[{"metric": "fid", "value": 1}]'}
    for name, text in texts.items():
        (tmp_path / name).write_text(text)
    versions = {name: {"wgan.scores": tmp_path / name} for name in texts}
    assert read_scores(versions) == {name: [] for name in texts}
    newer = {"z": ["wgan.scores"]}
    assert find_kept(versions | newer, read_scores(versions) | {"z": scored("a", 1.0)}) - {""} == {*texts, "z"}


def test_pictures_made_elsewhere_are_told_apart_by_their_pixels(tmp_path):
    versions = {}
    for version, recipe, fid in (("1", "a", 1.0), ("2", "a", 3.0), ("3", "b", 9.0), ("4", "a", 2.0)):
        identity = {"generator": "folder", "recipe": recipe}
        record = {"metric": "fid", "value": fid, "identity": identity, "comparability": {}}
        (tmp_path / version).write_text(json.dumps([record]))
        versions[version] = {"folder.scores": tmp_path / version}
    assert find_kept(versions, read_scores(versions)) == {"1", "3", "4"}


def run_of(version, stage="active", run_id="a", parent=None, ended=0):
    tags = {"catalog_version": version} | ({} if parent is None else {"mlflow.parentRunId": parent})
    info = {"run_id": run_id, "run_name": run_id, "lifecycle_stage": stage, "status": "FINISHED"}
    info |= {"start_time": ended, "end_time": ended, "artifact_uri": "s3://elsewhere"}
    return SimpleNamespace(info=SimpleNamespace(**info), data=SimpleNamespace(tags=tags))


def test_a_nested_run_that_was_deleted_does_not_take_the_files_of_the_whole_one(tmp_path):
    runs = [run_of("v"), run_of("v", "deleted", "b", parent="a")]
    assert not [*pruning._find_versions({"v": {"history": tmp_path}}, runs, set(), 0.0)]
    assert [*pruning._find_versions({"v": {"history": tmp_path}}, [run_of("v", "deleted")], set(), 0.0)]


def test_old_runs_of_versions_that_this_project_does_not_have_stay():
    here, elsewhere = "2026-01-01T00.00.00.000Z", "2026-01-01T00.00.00.001Z"
    items = pruning._find_runs(None, [run_of(here), run_of(elsewhere, run_id="b")], {here}, time.time())
    assert [item.name for item in items] == ["a"]


def test_links_are_removed_and_what_they_lead_to_stays(tmp_path):
    (tmp_path / "archive").mkdir()
    (tmp_path / "archive/kept").write_text("kept")
    (tmp_path / "entry").symlink_to("archive")
    assert count_bytes(tmp_path / "entry") == len("archive")
    delete(tmp_path / "entry")
    assert [path.name for path in tmp_path.iterdir()] == ["archive"]
    assert (tmp_path / "archive/kept").exists()


def test_a_training_that_was_continued_or_is_open_keeps_its_checkpoints(tmp_path):
    store = CheckpointStore(tmp_path)
    with store.open("run") as checkpoints:
        checkpoints.save(1, {})
    (item,) = pruning._find_trainings("checkpoints", {"checkpoints": store}, [], set(), time.time() + 1)
    with store.open("run"):
        assert not item.discard()
    os.utime(checkpoints.paths[0], (0, 0))
    assert not item.discard()
    (item,) = pruning._find_trainings("checkpoints", {"checkpoints": store}, [], set(), 1.0)
    assert item.discard()
    assert store.list_trainings() == {}
    assert not list(pruning._find_trainings("checkpoints", {"checkpoints": store}, [], {"run"}, time.time() + 1))


def tracked(stage, **tags):
    return SimpleNamespace(info=SimpleNamespace(lifecycle_stage=stage), data=SimpleNamespace(tags=tags, params={}))


@pytest.mark.parametrize(
    ("stages", "goes"), [(["deleted"], True), (["deleted", "active"], False), (["active"], False), ([], False)]
)
def test_checkpoints_go_when_all_runs_of_their_training_were_deleted(tmp_path, stages, goes):
    with CheckpointStore(tmp_path).open("run") as checkpoints:
        checkpoints.save(1, {})
    runs = [tracked(stage, training="run") for stage in stages]
    found = list(pruning._find_trainings("checkpoints", {"checkpoints": CheckpointStore(tmp_path)}, runs, set(), 0.0))
    assert bool(found) == goes


@pytest.mark.parametrize(("status", "goes"), [("FINISHED", True), ("RUNNING", False)])
def test_a_run_goes_with_its_version_though_it_ended_later(tmp_path, status, goes):
    version = "2026-01-01T00.00.00.000Z"
    began, ended = pruning._start_of(version), pruning._start_of(version) + 3600
    run = tracked("active", catalog_version=version)
    run.info.__dict__.update(run_id="a", run_name="train", status=status, start_time=began * 1e3, end_time=ended * 1e3)
    run.info.artifact_uri = (tmp_path / "artifacts").as_uri()
    between = began + 60
    (found,) = pruning._find_versions({version: {"entry": tmp_path}}, [run], set(), between)
    assert found.name.startswith(version)
    assert len([*pruning._find_runs(None, [run], {version}, between)]) == goes
    assert not [*pruning._find_runs(None, [run], {version}, began - 60)]


def test_an_entry_that_is_used_in_the_meantime_stays(tmp_path):
    store = KeyedStore(tmp_path)
    entry = store.get_or_build("key", lambda folder: (folder / "file").write_text("content"))
    os.utime(entry, (1, 1))
    (item,) = pruning._find_entries({"store": store}, 100.0)
    assert item.size == len("content")
    store.get_or_build("key", lambda _: pytest.fail("it is there"))
    assert not item.discard()
    os.utime(entry, (1, 1))
    assert item.discard()
    assert "key" not in store


def test_leftovers_of_an_interrupted_deletion_go_and_those_of_a_writer_after_a_day(tmp_path):
    for name in (".deleted-a", ".unfinished-b", ".unfinished-c", "d"):
        (tmp_path / name).write_text("half")
    os.utime(tmp_path / ".unfinished-b", (1, 1))
    for item in pruning._find_leftovers({tmp_path: "entry"}):
        assert item.discard()
    assert sorted(path.name for path in tmp_path.iterdir()) == [".unfinished-c", "d"]


def test_after_an_interruption_it_says_what_was_freed(capsys):
    def interrupt():
        raise KeyboardInterrupt

    items = [Item("versions", "a", 2048, lambda: True), Item("versions", "b", 1, interrupt)]
    with pytest.raises(KeyboardInterrupt):
        pruning._delete(items, "sqlite:///mlflow.db")
    assert capsys.readouterr().out == "Freed 2.0 KiB.\n"


def test_the_table_sums_up_by_kind_and_name():
    items = [
        Item("stores", "fits", 1024**2, bool),
        Item("stores", "fits", 1024**2, bool),
        Item("versions", "v", 5, bool),
    ]
    assert [line.split() for line in describe(items).splitlines()] == [
        ["kind", "of", "number", "size"],
        ["stores", "fits", "2", "2.0", "MiB"],
        ["versions", "v", "1", "5", "bytes"],
    ]
    assert format_bytes(1024**5) == "1024.0 TiB"


@pytest.fixture(scope="module")
def project(small_project, tmp_path_factory):
    """A copy of a project after one run, whose MLflow database goes on in place of the copied one."""
    return shutil.copytree(small_project, tmp_path_factory.mktemp("pruned") / "project")


@pytest.fixture(scope="module")
def client(project):
    return MlflowClient(f"sqlite:///{project}/mlruns/mlflow.db")


def files(project):
    return {path for path in (project / "data").rglob("*") if path.is_file() and not path.name.endswith("lock")}


def runs_of(client):
    return client.search_runs([client.get_experiment_by_name("digits").experiment_id])


@pytest.mark.integration
def test_a_dry_run_deletes_nothing_and_the_best_and_newest_are_never_deleted(project, client):
    before = files(project)
    printed = kedro(project, "prune", "--older-than=0").stdout
    assert "dry run" in printed
    assert "image_sets" in printed
    assert "versions" not in printed
    assert "checkpoints" not in printed
    assert "MLflow" not in printed
    assert files(project) == before
    assert kedro(project, "prune").stdout == "Nothing can be deleted.\n"


@pytest.mark.integration
def test_what_a_run_at_work_uses_stays_and_the_older_run_goes_after_it(project, client):
    first = latest(project, "08_reporting/digits/cdcgan/scores.json")
    run = next(run for run in runs_of(client) if run.data.tags["catalog_version"] == first.parent.name)
    scores = json.loads(first.read_text())
    first.write_text(json.dumps([{**each, "value": each["value"] + 1000} for each in scores]))
    kedro(project, "run", "--pipelines=train_cdcgan", f"--params={small('cdcgan', epochs=2)}")
    endless = f"{small('cdcgan', epochs=100000)},variants.cdcgan.seed=7"
    with Process(KEDRO, "run", "--pipelines=train_cdcgan", f"--params={endless}", folder=project) as process:
        process.await_text("epoch 1/")
        in_use = [path for path in files(project) if {"image_sets", "08_reporting"} & {*path.parts}]
        kedro(project, "prune", "--older-than=0", "--delete")
        assert in_use
        assert all(path.exists() for path in in_use)
        process.send_signal(signal.SIGTERM)
        process.wait()
    (checkpoints,) = (project / "data/06_models/digits/cdcgan").glob("checkpoints")
    assert list(checkpoints.glob("*/*.pt"))
    assert client.get_run(run.info.run_id).info.lifecycle_stage == "active"
    printed = kedro(project, "prune", "--older-than=0", "--delete").stdout
    assert "Freed " in printed
    assert "mlflow gc --backend-store-uri sqlite:" in printed
    assert not first.exists()
    assert client.get_run(run.info.run_id).info.lifecycle_stage == "deleted"
    assert latest(project, "08_reporting/digits/cdcgan/scores.json").exists()
    assert kedro(project, "prune", "--older-than=0").stdout == "Nothing can be deleted.\n"
