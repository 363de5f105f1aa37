"""The script that trains and scores the experiments without Kedro and MLflow."""

from __future__ import annotations

import json
import os
import sys
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import processes
import reports
from command_line import check
from gan_pipelines.core.stores import KeyedStore
from gan_pipelines.execution import ExecutionConfig, run_all
from gan_pipelines.images import prepare_image_set
from pictures import write_pictures
from processes import ONE_THREAD
from report_trainings import Training, draw, read_settings, train_and_score, train_until

pytestmark = pytest.mark.integration
WITHOUT = """
import logging
import runpy
import sys

left_out = {"kedro", "kedro_mlflow", "mlflow"}
loaded = [name for name in sys.modules if name.partition(".")[0] in left_out]
sys.modules.update(dict.fromkeys([*left_out, *loaded]))  # importing them raises
logging.basicConfig(level=logging.INFO, stream=sys.stdout)
sys.argv[:] = sys.argv[1:]
runpy.run_path(sys.argv[0], run_name="__main__")
"""


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    folder = tmp_path_factory.mktemp("data")
    write_pictures(folder / "cifar10", count=16, size=32)
    write_pictures(folder / "playing-cards", splits=("train", "valid", "test"), count=16)
    return folder


def run(data, out, *options):
    command = ["-c", WITHOUT, reports.__file__, out, f"--data={data}", "--trial", *options]
    return check(processes.run(*command, env=ONE_THREAD | {"PYTHONPATH": os.pathsep.join(sys.path)}), 0).stdout


def read_scores(out):
    scores = pd.read_csv(out / "scores/cifar10_32-wgan_gp-0.csv")
    return scores[scores["epoch"] == 2].set_index(["metric", "weights"])["value"]


def test_what_is_cut_off_goes_on_and_ends_as_if_it_were_not(data, tmp_path):
    whole, cut = tmp_path / "whole", tmp_path / "trial"
    training = reports.TRAININGS[0]
    settings = read_settings(training, data, is_trial=True)
    [*run_all([partial(train_and_score, whole, training, settings, float("inf"))], ExecutionConfig(workers=1))]

    assert "cifar10_32-wgan_gp-0: 1 of 2 epochs" in run(data, tmp_path, "--only=cifar10_32", "--minutes=0")
    printed = run(data, tmp_path, "--only=cifar10_32")
    assert "Resuming after 32 images" in printed
    assert "cifar10_32-wgan_gp-0: 2 of 2 epochs" in printed
    assert read_scores(cut).to_dict() == read_scores(whole).to_dict()
    assert {("fid", "raw"), ("fid", "ema"), ("precision", "raw"), ("fid_64", "raw"), ("fid_32", "raw")} <= {
        *read_scores(cut).index
    }
    assert len(pd.read_csv(cut / "history/cifar10_32-wgan_gp-0.csv")) == 2
    assert (cut / "grids/cifar10_32-wgan_gp-0-0002.png").exists()


def test_parts_of_epochs_have_grids_too(data, tmp_path):
    training = Training("cifar10_64_attention", "dcgan")
    settings = read_settings(training, data, is_trial=True)
    images = prepare_image_set(KeyedStore(tmp_path), settings.dataset)
    train_until(tmp_path, training.name, settings, images.select("train"), deadline=0)
    grids = sorted(path.name for path in tmp_path.glob("grids/*"))
    assert grids == [f"{training.name}-00.5.png", f"{training.name}-0001.png"]


def test_a_training_of_a_fraction_sees_that_share_of_each_class(data, tmp_path):
    training = Training("playing_cards", "cdcgan", fraction=0.5)
    settings = read_settings(training, data, is_trial=True)
    images = prepare_image_set(KeyedStore(tmp_path), settings.dataset).select("train")
    drawn = draw(images, training)
    assert training.name == "playing_cards-0.5-cdcgan-0"
    assert np.bincount(drawn.labels).tolist() == [count // 2 for count in np.bincount(images.labels)]
    assert {*drawn.names} < {*images.names}
    assert draw(images, training._replace(fraction=1)) is images


def test_the_augmentation_experiment_goes_on_to_its_verdict(data, tmp_path):
    only = "--only=playing_cards-augmentation-0.5"
    assert run(data, tmp_path, only, "--minutes=0").endswith("augmentation: 0 of 2 generators are trained\n")
    printed = run(data, tmp_path, only)
    assert printed.count("Resuming after") == 2
    assert "augmentation: 2 of 2 generators are trained" in printed
    results = tmp_path / "trial/augmentation-0.5"
    scores = pd.read_csv(results / "arm_scores.csv")
    assert f"augmentation: {len(scores)} of {len(scores)} classifiers are fitted" in printed
    assert set(scores["real_images"]) == {0, 16}
    (verdict,) = {each["fraction"] for each in json.loads((results / "verdicts.json").read_text())}
    assert verdict == 0.5
    assert {path.suffix for path in results.iterdir()} == {".csv", ".json", ".png"}


def test_every_training_of_the_reports_has_settings():
    settings = {each: read_settings(each, Path("data"), is_trial=False) for each in reports.TRAININGS}
    assert len({each.name for each in settings}) == len(settings) == 33
    assert settings[Training("fashion_mnist", "dcgan", "wasserstein", 2)].gan.penalties
    assert {each.gan.epochs for each in settings.values()} == {20, 25, 40, 45, 100, 300}
