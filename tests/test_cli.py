"""The project as its users run it: the real command line, in a copy of the project."""

from __future__ import annotations

import json
import os
import re
import signal
from ast import literal_eval

import numpy as np
import pandas as pd
import pytest
import torch
from mlflow.tracking import MlflowClient
from PIL import Image
from safetensors.torch import save_file
from sklearn.datasets import load_digits
from torchvision.datasets import ImageFolder

import processes
from command_line import KEDRO, cold_kedro, copy_project, git, kedro, latest, small
from fidelity_inputs import Clip
from gan_pipelines.core.stores import KeyedStore
from gan_pipelines.gan import MilestoneStore, TrainedGenerator
from gan_pipelines.images import DatasetConfig, prepare_image_set
from pictures import write_pictures
from processes import ONE_THREAD, Process

SMALL = small("wgan_gp", epochs=3) + ",reporting.milestone_every_epochs=2,reporting.grid_at_epochs=0.5;2.5"
TRAIN = ["run", "--pipelines=train_wgan_gp", "--to-nodes=wgan_gp.train_gan"]  # and neither score nor export


def start_training(project, parameters):
    return Process(KEDRO, *TRAIN, f"--params={parameters}", folder=project)


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    return copy_project(tmp_path_factory.mktemp("clone") / "project")


@pytest.fixture(scope="module")
def first_run(project):
    return kedro(project, "run", "--pipelines=train_wgan_gp", f"--params={SMALL}").stdout


@pytest.fixture(scope="module")
def client(project, first_run):
    return MlflowClient(f"sqlite:///{project}/mlruns/mlflow.db")


def mlflow_runs(client):
    """Runs of the command line, without those below them."""
    experiment = client.get_experiment_by_name("digits")
    runs = client.search_runs([experiment.experiment_id], order_by=["attributes.start_time ASC"])
    return [run for run in runs if "mlflow.parentRunId" not in run.data.tags]


def test_a_run_leaves_all_its_files(project, first_run):
    reports = "08_reporting/digits/wgan_gp"
    history = pd.read_csv(latest(project, f"{reports}/history.csv"))
    assert history["epoch"].tolist() == [1, 2, 3]
    assert history["images_seen"].tolist() == [1248, 2496, 3744]
    assert history["fid_30"].notna().tolist() == [False, True, True]
    best = TrainedGenerator.load(latest(project, "06_models/digits/wgan_gp/best_generator.safetensors"))
    assert best.training["epoch"] == history.loc[history["fid_30"].idxmin(), "epoch"]
    neighbours = latest(project, "07_model_output/digits/wgan_gp/neighbours") / "neighbours.png"
    assert Image.open(neighbours).size == (8 * 18 + 2, 8 * 18 + 2)
    summary = pd.read_csv(latest(project, f"{reports}/model_summary.csv"))
    assert set(summary["network"]) == {"generator", "discriminator"}
    assert Image.open(latest(project, f"{reports}/loss_curves.png")).size[0] > 500
    grids = latest(project, "07_model_output/digits/wgan_gp/sample_grids")
    names = sorted(path.stem for path in grids.iterdir())
    assert names == ["epoch-0000.5", "epoch-0001", "epoch-0002", "epoch-0002.5", "epoch-0003"]
    manifest = json.loads(latest(project, "08_reporting/digits/manifest.json").read_text())
    assert manifest["split_sizes"] == {"train": 1257, "test": 360, "valid": 180}


def test_the_end_says_where_to_look(project, first_run):
    grid = next(line for line in first_run.splitlines() if line.startswith("sample grids")).split()[-1]
    assert (project / grid).name == "epoch-0003.png"
    assert (project / grid).is_file()
    assert "last epoch, ema weights: FID" in first_run
    assert "best epoch, ema weights: FID" in first_run
    assert "make ui" in first_run


def test_the_generator_can_be_used_without_the_project(project, first_run):
    generator = TrainedGenerator.load(latest(project, "06_models/digits/wgan_gp/generator.safetensors"))
    assert generator.sample(5, seed=0).shape == (5, 1, 16, 16)
    assert generator.class_names == tuple("0123456789")
    assert generator.training["epoch"] == 3


def test_mlflow_and_files_lead_to_each_other(project, client):
    run = mlflow_runs(client)[0]
    assert run.info.status == "FINISHED"
    generator_file = latest(project, "06_models/digits/wgan_gp/generator.safetensors")
    assert run.data.tags["catalog_version"] == generator_file.parent.name
    assert TrainedGenerator.load(generator_file).training["mlflow_run_id"] == run.info.run_id
    scores = json.loads(latest(project, "08_reporting/digits/wgan_gp/scores.json").read_text())
    assert {score["identity"]["mlflow_run_id"] for score in scores} == {run.info.run_id}
    assert {score["identity"]["generator_version"] for score in scores} == {generator_file.parent.name}
    expected = {("last", "ema"): "fid", ("last", "raw"): "raw/fid", ("best", "ema"): "best/fid"}
    for score in scores:
        name = expected.get((score["identity"]["generator"], score["identity"]["weights"]))
        if score["metric"] == "fid" and name:
            assert run.data.metrics[name] == pytest.approx(score["value"])
    tags = {name: run.data.tags[name] for name in ("variant", "seed", "epochs", "weights")}
    assert tags == {"variant": "wgan_gp", "seed": "0", "epochs": "3", "weights": "ema"}
    manifest = json.loads(latest(project, "08_reporting/digits/manifest.json").read_text())
    assert run.data.tags["dataset_hash"] == manifest["content_hash"]
    inputs = {each.tags[0].value: each.dataset for each in run.inputs.dataset_inputs}
    assert inputs.keys() == manifest["split_sizes"].keys()
    assert (inputs["train"].name, inputs["train"].digest) == ("digits", manifest["split_hashes"]["train"][:12])
    assert {score["identity"]["data_hash"] for score in scores} == {manifest["split_hashes"]["train"]}
    assert run.data.tags["mlflow.source.git.commit"] == git(project, "rev-parse", "HEAD")
    assert run.data.tags["git_dirty"] == "false"


def test_a_run_is_named_and_described_by_what_came_out(project, client):
    run = next(run for run in mlflow_runs(client) if "training" in run.data.tags)
    assert run.info.run_name == "train_wgan_gp seed 0 digits"
    description = run.data.tags["mlflow.note.content"]
    assert description.startswith(f"last epoch, ema weights: FID {run.data.metrics['fid']:.2f}, IS ")


def test_mlflow_has_every_epoch_the_settings_and_the_pictures(client):
    run = mlflow_runs(client)[0]
    for metric in ("discriminator_loss", "generator_loss", "real_accuracy", "penalty", "images_per_second"):
        assert [point.step for point in client.get_metric_history(run.info.run_id, f"train/{metric}")] == [1, 2, 3]
    assert run.data.params["epochs"] == "3"
    assert run.data.params["penalties.0.weight"] == "10.0"  # from the table of variants
    assert run.data.params["scoring.samples"] == "40"
    assert not [name for name in run.data.params if name.startswith("variants.")]  # they are there without a prefix
    artifacts = {
        file.path
        for folder in client.list_artifacts(run.info.run_id)
        for file in client.list_artifacts(run.info.run_id, folder.path)
    }
    steps = {re.search(r"\+step\+(\d+)\+", path)[1] for path in artifacts if path.startswith("images/samples+")}
    assert steps == {"1", "2", "3"}  # of the samples, which MLflow steps through
    assert {"sample_grids/epoch-0003.png", "loss_curves/loss_curves.png", "scores/scores.json"} < artifacts


def test_a_second_run_prepares_and_fits_nothing_again_and_a_subfolder_is_as_good(project, client):
    stores = [
        project / "data" / store
        for store in ("02_intermediate/image_sets", "06_models/extractors", "04_feature/references")
    ]
    before = {path: path.stat().st_mtime_ns for store in stores for path in store.rglob("*.*")}
    runs = len(mlflow_runs(client))
    kedro(project / "notebooks", "run", "--pipelines=evaluate_wgan_gp", f"--params={SMALL}")
    assert {path: path.stat().st_mtime_ns for store in stores for path in store.rglob("*.*")} == before
    assert len(mlflow_runs(client)) == runs + 1
    assert literal_eval(mlflow_runs(client)[-1].data.tags["load_versions"]).keys() == {
        "wgan_gp.generator", "wgan_gp.best_generator",
    }  # fmt: skip
    assert not (project / "notebooks/mlruns").exists()


def test_a_milestone_is_scored_by_its_version_and_stays_apart_from_the_last_generator(project, client):
    folder = project / "data/06_models/digits/wgan_gp"
    (milestone,) = MilestoneStore(folder / "generator.safetensors").list_versions()
    assert milestone.endswith("-epoch-0002")
    newest = latest(project, "06_models/digits/wgan_gp/generator.safetensors")
    asked = f"--load-versions=wgan_gp.generator:{milestone}"
    run = kedro(project, "run", "--pipelines=evaluate_wgan_gp", f"--params={SMALL}", asked)
    assert "milestone of epoch 2 (2,496 images), ema weights: FID " in run.stdout
    scores = json.loads(latest(project, "08_reporting/digits/wgan_gp/scores.json").read_text())
    identities = [score["identity"] for score in scores]
    assert {identity["generator"] for identity in identities} == {"milestone"}
    assert {identity["generator_version"] for identity in identities} == {milestone}
    assert {(identity["epoch"], identity["images_seen"]) for identity in identities} == {(2, 2496)}
    logged = mlflow_runs(client)[-1].data
    assert "fid" not in logged.metrics
    assert logged.metrics["milestone/fid"] > 0
    assert logged.tags["epochs"] == "2"
    best = latest(project, "06_models/digits/wgan_gp/best_generator.safetensors").parent.name
    loaded = {"wgan_gp.generator": milestone, "wgan_gp.best_generator": best}
    assert literal_eval(logged.tags["load_versions"]) == loaded  # which kedro reproduce loads again
    kedro(project, "run", "--pipelines=sample_wgan_gp", "--params=sampling.count=2", asked)
    assert latest(project, "06_models/digits/wgan_gp/generator.safetensors") == newest


@pytest.mark.parametrize(
    ("parameters", "sentence"),
    [
        (
            "variants.wgan_gp.discriminator_step=3",
            "variants.wgan_gp.discriminator_step is not a setting; did you mean discriminator_steps?",
        ),
        (
            "scoring.extractor=inception,scoring.extractor_weights=no.pth",
            "The weights of inception could not be read from no.pth",
        ),
    ],
)
def test_a_mistake_is_one_sentence_before_anything_starts(project, client, parameters, sentence):
    runs = len(mlflow_runs(client))
    result = kedro(project, "run", "--pipelines=train_wgan_gp", f"--params={parameters}", code=1)
    assert f"Error: {sentence}" in result.stderr
    assert "Traceback" not in result.stderr
    assert len(mlflow_runs(client)) == runs


def test_a_slice_makes_again_what_is_not_saved(project, client):
    runs = len(mlflow_runs(client))
    arguments = ["run", "--pipelines=train_wgan_gp", "--nodes=wgan_gp.score_generators", f"--params={SMALL}"]
    before = latest(project, "08_reporting/digits/wgan_gp/scores.json")
    printed = kedro(project, *arguments).stderr
    assert "for what this slice needs: prepare_images, open_extractor, open_reference\n" in printed
    assert "train_gan" not in printed
    assert latest(project, "08_reporting/digits/wgan_gp/scores.json") > before
    assert len(mlflow_runs(client)) == runs + 1


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (
            ["--from-nodes=wgan_gp.train"],
            "There is no node 'wgan_gp.train' in train_wgan_gp; did you mean",
        ),
        (["--runner=SequentalRunner"], "There is no runner 'SequentalRunner'; did you mean SequentialRunner?"),
        (["--runner=ParallelRunner"], "ParallelRunner cannot run these pipelines"),
        (["--only-missing-outputs"], "--only-missing-outputs would mix entries of an earlier run"),
        (
            ["--load-versions=nothing:2026"],
            "--load-versions has nothing, which is no versioned entry",
        ),
        (
            ["--nodes=wgan_gp.plot_losses", "--load-versions=wgan_gp.history:2025-01-01T00.00.00.000Z"],
            "There is no version 2025-01-01T00.00.00.000Z of wgan_gp.history; there are 20",
        ),
    ],
)
def test_a_slice_that_cannot_run_is_one_sentence_before_anything_starts(project, client, arguments, sentence):
    runs = len(mlflow_runs(client))
    result = kedro(project, "run", "--pipelines=train_wgan_gp", f"--params={SMALL}", *arguments, code=1)
    assert f"Error: {sentence}" in result.stderr
    assert "Traceback" not in result.stderr
    assert len(mlflow_runs(client)) == runs


def test_a_training_that_fails_ends_failed_with_one_sentence(project, client):
    ruinous = "variants.wgan_gp.generator_optimizer.learning_rate=1e30"
    result = kedro(project, "run", "--pipelines=train_wgan_gp", f"--params={SMALL},{ruinous}", code=1)
    assert "Error: " in result.stderr
    assert "in epoch 1; lower the learning rates" in result.stderr
    assert "Traceback" not in result.stderr
    assert mlflow_runs(client)[-1].info.status == "FAILED"


@pytest.mark.parametrize("sent", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_run_ends_killed(project, client, sent):
    runs = len(mlflow_runs(client))
    long = SMALL.replace("wgan_gp.epochs=3", f"wgan_gp.epochs=100000,variants.wgan_gp.seed={sent}")
    with start_training(project, long) as process:
        process.await_text("epoch 1/")
        process.send_signal(sent)
        assert process.wait() > 0
    assert len(mlflow_runs(client)) == runs + 1
    assert mlflow_runs(client)[-1].info.status == "KILLED"


NOTEBOOK = """
from pathlib import Path
from kedro.framework.project import settings
from kedro.framework.startup import bootstrap_project
from kedro.runner import SequentialRunner

class Interrupted(SequentialRunner):
    def _run(self, *_, **__):
        raise KeyboardInterrupt

bootstrap_project(Path.cwd())
for runner in (Interrupted(), SequentialRunner()):
    try:
        settings.SESSION_CLASS.create(Path.cwd()).run(pipeline_names=["ingest"], runner=runner)
    except KeyboardInterrupt:
        print("interrupted")
"""


def test_a_run_that_a_notebook_interrupts_is_over_before_the_next_one(project, client, tmp_path):
    (tmp_path / "notebook.py").write_text(NOTEBOOK)
    runs = len(mlflow_runs(client))
    printed = processes.run(tmp_path / "notebook.py", folder=project, env=ONE_THREAD)
    assert printed.stdout.startswith("interrupted\n"), printed.stderr
    assert [run.info.status for run in mlflow_runs(client)[runs:]] == ["KILLED", "FINISHED"]


OFTEN = """
"{variant}.checkpoints":
  type: gan_pipelines.datasets.CheckpointStoreDataset
  filepath: data/06_models/${globals:experiment}/{variant}/checkpoints
  interval_seconds: 0.3
"""


def test_a_killed_run_is_continued_noted_and_linked(project, client):
    (project / "conf/local/catalog.yml").write_text(OFTEN)
    long = SMALL.replace("wgan_gp.epochs=3", "wgan_gp.epochs=6,variants.wgan_gp.seed=5")
    with start_training(project, long) as process:
        process.await_text("epoch 3/6")
        process.kill()
    killed = mlflow_runs(client)[-1]
    assert killed.info.status == "RUNNING"
    printed = kedro(project, *TRAIN, f"--params={long}").stderr
    assert "Resuming after" in printed
    assert "epoch 1/6" not in printed
    killed, run = mlflow_runs(client)[-2:]
    assert (killed.info.status, run.info.status) == ("KILLED", "FINISHED")
    assert run.data.tags["continues_run"] == killed.info.run_id
    assert killed.data.tags["continued_by_run"] == run.info.run_id
    assert [point.step for point in client.get_metric_history(run.info.run_id, "train/penalty")] == list(range(1, 7))
    assert len(pd.read_csv(latest(project, "08_reporting/digits/wgan_gp/history.csv"))) == 6

    resumed = TrainedGenerator.load(latest(project, "06_models/digits/wgan_gp/generator.safetensors"))
    kedro(project, *TRAIN, f"--params={long},runtime.fresh=true")
    fresh = TrainedGenerator.load(latest(project, "06_models/digits/wgan_gp/generator.safetensors"))
    assert all(torch.equal(fresh.weights["raw"][name], tensor) for name, tensor in resumed.weights["raw"].items())
    assert "continues_run" not in mlflow_runs(client)[-1].data.tags
    (project / "conf/local/catalog.yml").unlink()


def test_two_runs_of_the_same_training_get_in_nobodys_way(project, client):
    long = SMALL.replace("wgan_gp.epochs=3", "wgan_gp.epochs=100000,variants.wgan_gp.seed=6")
    with start_training(project, long) as first:
        first.await_text("epoch 1/")
        refused = kedro(project, *TRAIN, f"--params={long}", code=1)
        kedro(project, *TRAIN, f"--params={SMALL},variants.wgan_gp.seed=7")
        assert first.kill() == -signal.SIGKILL  # it was still at work
    assert "Error: Another process is at work on this very training" in refused.stderr
    assert [run.info.status for run in mlflow_runs(client)[-3:]] == ["RUNNING", "FAILED", "FINISHED"]


def test_a_server_that_is_down_is_seen_before_the_start(project, first_run):
    (project / "conf/local/mlflow.yml").write_text("server: {mlflow_tracking_uri: 'http://127.0.0.1:9'}")
    result = kedro(project, "run", "--pipelines=train_wgan_gp", f"--params={SMALL}", code=1)
    without_mlflow = kedro(project, "serve", "sagan", code=1)
    (project / "conf/local/mlflow.yml").unlink()
    assert "Error: There is no sagan.model in the catalog yet" in without_mlflow.stderr
    assert "Error: MLflow at http://127.0.0.1:9 does not answer (" in result.stderr
    assert "start its server, or set another address in MLFLOW_TRACKING_URI, or in server.mlflow_" in result.stderr
    assert "Traceback" not in result.stderr
    assert "Running node" not in result.stderr


def test_local_settings_change_what_they_name_and_nothing_else(project, client):
    local = project / "conf/local/parameters.yml"
    local.write_text("variants: {wgan_gp: {epochs: 1, networks: {latent_size: 7}}}")
    without_epochs = SMALL.replace("variants.wgan_gp.epochs=3,", "")
    kedro(project, *TRAIN, f"--params={without_epochs}")
    local.unlink()
    first, last = mlflow_runs(client)[0].data.params, mlflow_runs(client)[-1].data.params
    changed = {name for name in last if first[name] != last[name]}
    assert {name for name in changed if "variants" not in name} == {"epochs", "networks.latent_size"}


def children_of(client, run):
    experiment = client.get_experiment_by_name("digits")
    return client.search_runs([experiment.experiment_id], f"tags.`mlflow.parentRunId` = '{run.info.run_id}'")


SMALL_EXPERIMENT = small("cdcgan", epochs=1)


def test_a_killed_experiment_goes_on_and_the_default_is_the_whole_chain(project, client, tmp_path):
    arguments = [KEDRO, "run", "--pipelines=augment_cdcgan", f"--params={SMALL_EXPERIMENT}"]
    fits = project / "data/06_models/digits/cdcgan/fits"
    with Process(*arguments, folder=project) as process:
        process.await_text("12 of 24 classifiers fitted")
        process.kill()
    finished = {path: path.stat().st_mtime_ns for path in fits.rglob("record.json")}
    assert 12 <= len(finished) < 24

    (tmp_path / "ray.py").write_text("raise AssertionError('Ray is loaded without need')")
    environment = {**ONE_THREAD, "PYTHONPATH": os.pathsep.join([str(tmp_path), os.environ.get("PYTHONPATH", "")])}
    printed = kedro(project, "run", f"--params={SMALL_EXPERIMENT},runtime.workers=1", env=environment)
    assert "This training is finished" in printed.stderr
    assert "last epoch, ema weights: FID" in printed.stdout
    assert "Augmentation with 10% of the real images (116): " in printed.stdout
    assert all(path.stat().st_mtime_ns == written for path, written in finished.items())
    assert len([*fits.rglob("record.json")]) == 24

    parent = next(run for run in mlflow_runs(client)[::-1] if "verdict" in run.data.tags)
    children = children_of(client, parent)
    generators = [child for child in children if child.data.tags["kind"] == "generator"]
    assert sorted(child.info.run_name for child in generators) == ["generator 0.1 seed 0", "generator 0.1 seed 1"]
    assert all({"fid_30", "is_30", "train/generator_loss"} <= child.data.metrics.keys() for child in generators)
    fitted = [child for child in children if child.data.tags["kind"] == "classifier"]
    assert len(fitted) == 24
    assert {child.data.tags["variant"] for child in children} == {"cdcgan"}
    scores = pd.read_csv(latest(project, "08_reporting/digits/cdcgan/arm_scores.csv"))
    for child in fitted:
        params = child.data.params
        is_same = (scores["arm"] == params["arm"]) & (scores["seed"] == int(params["seed"]))
        (row,) = scores[is_same & (scores["learning_rate"] == float(params["learning_rate"]))].itertuples()
        assert child.data.metrics["test_accuracy"] == pytest.approx(row.accuracy)
    means = scores[scores["is_main"]].groupby("arm")["accuracy"].mean()
    assert parent.data.metrics["augmentation/accuracy_added_1x_0.1"] == pytest.approx(means["added_1x"])
    assert parent.data.metrics["accuracy_real"] == pytest.approx(means["real_longer"])
    comparisons = pd.read_csv(latest(project, "08_reporting/digits/cdcgan/comparisons.csv"))
    comparisons = comparisons[comparisons["is_main"]].set_index("arm")
    expected = means["added_1x"] - means["real_longer"]
    assert comparisons.loc["added_1x", "difference"] == pytest.approx(expected)
    assert parent.data.metrics["augmentation/difference_added_1x_0.1"] == pytest.approx(expected)
    page = parent.info.experiment_id + "/runs?workflowType=machine_learning&viewStateShareKey="
    assert printed.stdout.splitlines()[-1].endswith(f"http://127.0.0.1:5000/#/experiments/{page}augmentation")
    assert f"{page}scores-{parent.data.tags['score_key']}\n" in printed.stdout
    verdicts = json.loads(latest(project, "08_reporting/digits/cdcgan/verdicts.json").read_text())
    assert [verdict["baseline"] for verdict in verdicts] == ["real_longer", "transformed"]
    assert all(verdict["sentence"] in printed.stdout for verdict in verdicts)
    simple = pd.read_csv(latest(project, "08_reporting/digits/cdcgan/simple_scores.csv"))
    assert simple["accuracy"].min() > 0.8  # on 116 digits
    recalls = pd.read_csv(latest(project, "08_reporting/digits/cdcgan/class_comparisons.csv"))
    assert len(recalls) == 5 * 10
    for figure in ("arms_figure", "arm_curves"):
        assert Image.open(latest(project, f"08_reporting/digits/cdcgan/{figure}.png")).size[0] > 500


def test_the_experiments_images_are_a_dataset_that_leaks_nothing(project, client):
    made = latest(project, "05_model_input/digits/cdcgan/synthetic_images")
    folder = ImageFolder(made)
    assert folder.classes == list("0123456789")
    assert len(folder) == 116
    provenance = json.loads((made / "dataset.json").read_text())["provenance"]
    assert (provenance["fraction"], provenance["real_images"]) == (0.1, 116)
    assert provenance["training"]["epoch"] == 1
    leaks = json.loads(latest(project, "08_reporting/digits/leaks.json").read_text())
    assert len(leaks) > 50  # small digits look alike
    assert {leak["image"].split("/")[0] for leak in leaks} == {"train", "valid"}


def test_sampling_gives_a_folder_per_class(project, client):
    runs = len(mlflow_runs(client))
    asked = "sampling.count=5,sampling.classes=3;7,sampling.seed=2,sampling.truncation=1.5"
    printed = kedro(project, "run", "--pipelines=sample_cdcgan", f"--params={asked}").stdout
    samples = latest(project, "07_model_output/digits/cdcgan/samples")
    files = sorted(path.relative_to(samples).as_posix() for path in samples.rglob("*.png"))
    assert files == [f"{name}/{number:05d}.png" for name in "37" for number in range(5)]
    assert samples.relative_to(project).as_posix() in printed
    generator = TrainedGenerator.load(latest(project, "06_models/digits/cdcgan/generator.safetensors"))
    expected = generator.sample(5, seed=2, labels=torch.full((5,), 7), truncation=1.5)
    assert np.array_equal(np.asarray(Image.open(samples / "7/00004.png")), expected[4, 0].numpy())
    grid = latest(project, "07_model_output/digits/cdcgan/samples_grid") / "grid.png"
    assert Image.open(grid).size == (5 * 18 + 2, 2 * 18 + 2)
    assert len(mlflow_runs(client)) == runs + 1

    refused = kedro(project, "run", "--pipelines=sample_cdcgan", "--params=sampling.classes=three", code=1)
    assert "Error: sampling.classes has 'three', which the generator does not know; known are 0, 1, 2" in refused.stderr


def test_an_experiment_keeps_to_itself(project, client, tmp_path):
    write_pictures(tmp_path / "playing-cards", ("train", "valid", "test"), ("ace", "king", "queen"), 8, size=70)
    runs = len(mlflow_runs(client))
    small = SMALL.replace("wgan_gp", "cdcgan") + ",variants.cdcgan.batch_size=8"
    environment = {**ONE_THREAD, "GAN_PIPELINES_DATA": str(tmp_path)}
    arguments = ["run", "--env=playing_cards", "--pipelines=train_cdcgan", "--to-nodes=cdcgan.train_gan"]
    kedro(project, *arguments, f"--params={small}", env=environment)
    generator = TrainedGenerator.load(latest(project, "06_models/playing_cards/cdcgan/generator.safetensors"))
    assert generator.class_names == ("ace", "king", "queen")
    assert generator.config.generator_optimizer.learning_rate == 1e-4
    assert generator.image_shape == (3, 16, 16)
    assert client.get_experiment_by_name("playing_cards") is not None
    assert len(mlflow_runs(client)) == runs
    other = kedro(project, "run", "--env=playing_cards", "--pipelines=train_dcgan", env=environment, code=1)
    assert "Error: This environment says nothing of dcgan; variants.dcgan: {} in its parameters" in other.stderr


def test_an_environment_that_is_not_there_is_named(project, client):
    runs = len(mlflow_runs(client))
    result = kedro(project, "run", "--env=fashion", "--pipelines=train_dcgan", code=1)
    assert "Error: There is no environment 'fashion' in conf; did you mean fashion_mnist?" in result.stderr
    assert "Traceback" not in result.stderr
    assert len(mlflow_runs(client)) == runs


@pytest.mark.parametrize(
    ("pipeline", "parameters", "sentence"),
    [
        ("train_wgan_pg", "runtime.fresh=false", "There is no pipeline 'train_wgan_pg'; did you mean train_wgan_gp?"),
        (
            "train_cdcgan",
            "variant.cdcgan.epochs=3",
            "variant is not a section of the parameters; did you mean variants?",
        ),
        ("train_cdcgan", "variants.cdgan.epochs=3", "variants.cdgan is not a variant; did you mean cdcgan?"),
        ("train_cdcgan", "runtime.devise=cpu", "runtime.devise is not a setting; did you mean device?"),
        (
            "augment_cdcgan",
            "augmentation.fractions=0.1;2",
            "augmentation.fractions is [0.1, 2.0], but must be a list of",
        ),
    ],
)
def test_what_is_misspelt_on_the_command_line_is_one_sentence(project, pipeline, parameters, sentence):
    result = kedro(project, "run", f"--pipelines={pipeline}", f"--params={parameters}", code=1)
    assert f"Error: {sentence}" in result.stderr
    assert "Traceback" not in result.stderr
    assert "Running node" not in result.stderr


def test_a_traceback_is_for_those_who_ask(project):
    ask = {**ONE_THREAD, "GAN_PIPELINES_TRACEBACK": "1"}
    assert "Traceback" in kedro(project, "run", "--pipelines=train_wgan_pg", code=1, env=ask).stderr


def test_an_experiment_for_a_folder_of_pictures(project):
    pictures = project / "data/01_raw/coins"
    noise = np.random.default_rng(0)
    for name in ("penny", "dime"):
        (pictures / name).mkdir(parents=True)
        for number in range(80):
            Image.fromarray(noise.integers(0, 256, (20, 24), np.uint8)).save(pictures / name / f"{number}.png")

    printed = kedro(project, "experiment", "coins", "data/01_raw/coins").stdout
    assert "train      128 pictures, 64 to 64 a class\ntest        32 pictures, 16 to 16 a class\n" in printed
    assert "pixels: 24x20 to 24x20, median 24x20, grey" in printed
    assert "Careful: 128 training pictures are few" in printed
    assert "Wrote data/08_reporting/coins/dataset.html: the dataset with its pictures; open it in a browser." in printed
    assert "images of penny" in (project / "data/08_reporting/coins/dataset.html").read_text()
    command = "kedro run --env=coins --pipelines=train_acgan"
    assert command in printed
    assert 'path: "data/01_raw/coins"' in (project / "conf/coins/parameters.yml").read_text()
    kedro(project, "run", "--env=coins", "--pipelines=ingest")
    manifest = json.loads(latest(project, "08_reporting/coins/manifest.json").read_text())
    assert manifest["split_sizes"] == {"train": 128, "test": 32}

    again = kedro(project, "experiment", "coins", "data/01_raw/coins", code=1)
    assert "Error: There is an experiment coins already; choose another name, or remove conf/coins." in again.stderr
    elsewhere = kedro(project, "experiment", "other", "nowhere", code=1)
    assert "Error: There is no folder nowhere; name the one that holds the pictures." in elsewhere.stderr
    assert "Traceback" not in again.stderr + elsewhere.stderr
    assert not (project / "conf/other").exists()


def test_a_folder_is_scored_against_another(project, tmp_path):
    noise = np.random.default_rng(0)
    for folder in ("made", "real"):
        (tmp_path / folder).mkdir()
        for number in range(12):
            Image.fromarray(noise.integers(0, 256, (16, 16, 3), np.uint8)).save(tmp_path / folder / f"{number}.png")
    save_file(Clip("clip-vit-b-32").state_dict(), tmp_path / "clip.safetensors")
    folders = [str(tmp_path / "made"), str(tmp_path / "real")]
    weights = ["--extractor=clip-vit-b-32", f"--weights={tmp_path / 'clip.safetensors'}"]
    lines = kedro(project, "score", *folders, *weights).stdout.splitlines()
    scores = {line.split()[0]: float(line.split()[1]) for line in lines if line.startswith(("fid", "kid", "recall"))}
    assert scores.keys() == {"fid", "kid", "recall"}
    assert scores["fid"] > 0
    refused = kedro(project, "score", *folders, "--extractor=classifier", code=1).stderr
    assert "Error: --extractor is 'classifier', but must be one of imagenet, inception, " in refused
    packaged = kedro(project, "score", *folders, "--extractor=imagenet", "--weights=any", code=1).stderr
    assert "Error: --weights is 'any', but must be left out for imagenet" in packaged
    unreadable = kedro(project, "score", *folders, "--extractor=vgg16", "--weights=any", code=1).stderr
    assert "; name a local copy in --weights, or change --extractor." in " ".join(unreadable.split())
    absent = "mps" if torch.cuda.is_available() else "cuda"
    nowhere = kedro(project, "score", *folders, env=ONE_THREAD | {"GAN_PIPELINES_DEVICE": absent}, code=1).stderr
    assert f"Error: runtime.device is '{absent}', but PyTorch finds only " in nowhere


def test_pictures_made_elsewhere_take_the_place_of_generated_ones(project, client, tmp_path):
    digits = prepare_image_set(KeyedStore(tmp_path), DatasetConfig(source="digits", image_size=16, channels=1))
    train, test = digits.select("train"), digits.select("test")
    for number in range(250):  # mirrored digits, and two of the test split
        images = test if number < 2 else train
        path = project / "data/foreign" / images.class_names[images.labels[number]] / f"{number}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        pixels = images.images[number, 0]
        Image.fromarray(pixels if number < 2 else pixels[:, ::-1]).save(path)
    settings = [
        "folder.path=data/foreign",
        "folder.name=turbo",
        "runtime.workers=1",
        "augmentation.replicates=2",
        "augmentation.ratios=0.1",
        "augmentation.synthetic.balance.3=2",
        "augmentation.synthetic.balance.7=1",
        "augmentation.classifier.epochs=1",
        "augmentation.classifier.batch_size=128",
        "augmentation.classifier.learning_rates=0.05",
    ]
    printed = kedro(project, "run", "--pipelines=augment_folder", f"--params={','.join(settings)}").stdout
    near = json.loads(latest(project, "08_reporting/digits/folder/near_copies.json").read_text())
    same = [(copy["picture"], copy["twin"]) for copy in near["near_copies"] if copy["correlation"] == 1]
    assert same == [(f"{test.class_names[test.labels[n]]}/{n}.png", test.names[n]) for n in range(2)]
    assert near["left_out"] >= 2
    pairs = Image.open(latest(project, "07_model_output/digits/folder/near_copies_shown") / "test.png")
    assert pairs.size[0] == 2 * 18 + 2
    made = json.loads((latest(project, "05_model_input/digits/folder/synthetic_images") / "dataset.json").read_text())
    assert {each["name"]: each["images"] for each in made["classes"] if each["images"]} == {"3": 8, "7": 4}
    assert made["provenance"]["pictures"] == 250 - near["left_out"]
    verdicts = json.loads(latest(project, "08_reporting/digits/folder/verdicts.json").read_text())
    assert [(each["name"], each["baseline"]) for each in verdicts] == [
        ("turbo", "real_longer"),
        ("turbo", "transformed"),
    ]
    assert all(each["sentence"] in printed for each in verdicts)
    left_out = f"{near['left_out']} ({near['left_out_share']:.1%})"
    assert f"Of the 250 pictures of turbo, {left_out} are duplicates or near-duplicates of test or" in printed
    run = mlflow_runs(client)[-1]
    assert run.info.run_name == "augment_folder turbo digits"
    assert run.data.params["augmentation.synthetic.balance"] == "{'3': 2, '7': 1}"
    children = children_of(client, run)
    assert len(children) == 12
    assert {(child.data.tags["kind"], child.data.tags["variant"]) for child in children} == {("classifier", "folder")}


def test_a_comparison_lays_out_all_runs(project, client):
    kedro(project, "run", "--pipelines=compare")
    table = pd.read_csv(latest(project, "08_reporting/digits/score_table.csv"))
    assert set(table["variant"]) >= {"wgan_gp", "cdcgan"}
    averages = pd.read_csv(latest(project, "08_reporting/digits/average_scores.csv"))
    assert set(averages["metric"]) >= {"fid", "is", "kid", "precision", "recall", "density", "coverage"}
    assert Image.open(latest(project, "08_reporting/digits/scores_by_epoch.png")).size[0] > 500
    runs = pd.read_csv(latest(project, "08_reporting/digits/runs.csv"))
    assert set(runs["variant"]) == set(table["variant"])
    assert runs["mlflow_run"].notna().all()
    page = latest(project, "08_reporting/digits/comparison.html").read_text()
    assert all(version in page for version in runs["run"])
    assert "Do images of folder (turbo) help?" in page


def test_comparing_before_training_says_what_to_run_first(project):
    result = kedro(project, "run", "--env=cifar10_32", "--pipelines=compare", code=1)
    assert (
        "Error: There is nothing to compare yet: kedro run --env=cifar10_32 --pipelines=train_<variant>"
        in result.stderr
    )
    assert "Traceback" not in result.stderr


def test_scoring_before_training_says_what_to_run_first(project):
    result = kedro(project, "run", "--pipelines=evaluate_dcgan", code=1)
    assert "Error: There is no dcgan.generator in the catalog yet: kedro run --pipelines=train_dcgan" in result.stderr


def test_the_command_line_lists_the_pipelines(project):
    listed = cold_kedro(project, "registry", "list")
    for name in ("ingest", "train_dcgan", "evaluate_wgan_gp", "sample_acgan", "augment_acgan", "__default__"):
        assert f"- {name}\n" in listed.stdout
    assert listed.stderr == ""  # no warning of another package


def test_pictures_made_elsewhere_are_scored_tracked_and_compared(project, first_run, client):
    for row, label in enumerate(load_digits().target[:60]):
        folder = project / f"data/made/{label}"
        folder.mkdir(parents=True, exist_ok=True)
        Image.fromarray((load_digits().images[row] * 15).astype(np.uint8)).save(folder / f"{row}.png")
    printed = kedro(
        project, "run", "--pipelines=evaluate_folder", f"--params={SMALL},folder.path=data/made,folder.name=turbo"
    ).stdout
    assert "turbo, made elsewhere: FID" in printed
    run = mlflow_runs(client)[-1]
    assert run.info.run_name == "evaluate_folder turbo digits"
    assert run.data.params["folder.path"] == "data/made"
    scores = json.loads(latest(project, "08_reporting/digits/folder/scores.json").read_text())
    fid = next(each["value"] for each in scores if each["metric"] == "fid")
    assert run.data.metrics["fid"] == pytest.approx(fid)
    assert json.loads(latest(project, "08_reporting/digits/folder/pictures_manifest.json").read_text())["images"] == 60
    kedro(project, "run", "--pipelines=compare")
    page = latest(project, "08_reporting/digits/comparison.html").read_text()
    measured = pd.read_csv(latest(project, "08_reporting/digits/average_scores.csv"))
    keys = measured[measured["metric"] == "fid"].groupby("variant")["key"].unique()
    assert "folder (turbo)" in page
    assert [*keys["folder"]] == [*keys["wgan_gp"]]
