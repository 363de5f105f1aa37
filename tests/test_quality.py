"""The benchmark that trains variants for the same minutes."""

from __future__ import annotations

import re
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from types import SimpleNamespace

import pandas as pd
import pytest

import quality
from gan_pipelines.core.config import ConfigError
from gan_pipelines.gan import VARIANTS, CheckpointStore, TrainingDiverged, train
from pictures import write_pictures

SMALL = "networks.width=4,networks.latent_size=4,batch_size=20"
ROW = f"dcgan:{SMALL}"


@pytest.fixture
def epochs(monkeypatch):
    """Lists the epochs that are trained; ``fail_after`` so many of a training it fails."""
    epochs = SimpleNamespace(numbers=[], fail_after=None)

    def train_and_list(*args, **options):
        for number, epoch in enumerate(train(*args, **options)):
            if number == epochs.fail_after:
                raise TrainingDiverged("it became nan")
            epochs.numbers.append(epoch.number)
            yield epoch

    monkeypatch.setattr(quality, "train", train_and_list)
    return epochs


@pytest.fixture
def measure(epochs, tmp_path, striped_images):
    """Measures a row that trains an epoch a minute; returns the table."""
    images = striped_images.select("train")

    def score(generator):
        return {"fid": 100.0 / generator.training["epoch"], "kid": 0.5}

    def measure(row=ROW, seed=0, minutes=(1, 2.9), score=score):
        training = quality.read_row(row, seed, {})
        scorers = {name: SimpleNamespace(score=score) for name in ("imagenet", "classifier")}
        schedule = quality.Schedule.nearest(minutes, len(images), len(images))
        quality.measure(tmp_path, training, images, schedule, scorers)
        return pd.read_csv(tmp_path / "scores.csv")

    return measure


def test_a_row_has_the_settings_of_the_environment_and_its_own():
    environment = {"dcgan": {"networks": {"width": 8}, "objective": "hinge"}}
    row = "dcgan:networks.latent_size=5,generator_optimizer.betas=[0, 0.9],penalties=[{at: real, target_norm: 0}]"
    config = quality.configure(row, 7, environment)
    assert (config.networks.width, config.networks.latent_size, config.objective, config.seed) == (8, 5, "hinge", 7)
    assert config.generator_optimizer.betas == (0.0, 0.9)
    assert [(penalty.at, penalty.target_norm) for penalty in config.penalties] == [("real", 0.0)]
    assert quality.configure("lsgan", 0, environment).objective == "least_squares"
    with pytest.raises(ConfigError, match=r"variants\.dcgan\.epoch is not a setting; did you mean epochs"):
        quality.configure("dcgan:epoch=3", 0, environment)


def test_a_row_may_have_a_name_of_its_own():
    for row, name, settings in [
        ("dcgan", "dcgan", "dcgan"),
        ("dcgan:epochs=3", "dcgan:epochs=3", "dcgan:epochs=3"),
        ("wide=dcgan", "wide", "dcgan"),
        ("two words=dcgan:epochs=3,seed=1", "two words", "dcgan:epochs=3,seed=1"),
    ]:
        assert quality.read_row(row, 0, {})[:2] == (name, settings)


def test_a_variant_that_there_is_not_is_named():
    with pytest.raises(ConfigError, match=r"--rows has dcgam, which is not a variant; did you mean dcgan\?"):
        quality.configure("dcgam:epochs=3", 0, {})


def test_speeds_are_medians_of_rounds_in_turn_without_the_first(monkeypatch, tmp_path, striped_images):
    order = []
    speeds = {"dcgan": [99, 1, 4, 2], "lsgan": [99, 7, 5, 6], "wgan": [99, 8, 8, 8]}

    def run_epochs(config, images):
        name = next(name for name, variant in VARIANTS.items() if variant.objective == config.objective)
        assert len(images) == quality.STEPS * config.batch_size
        for speed in speeds[name][: config.epochs]:
            order.append(name)
            yield SimpleNamespace(metrics={"images_per_second": speed})

    def measure(*rows):
        trainings = [quality.read_row(row, 0, {}) for row in rows]
        return quality.measure_speeds(tmp_path, trainings, striped_images.select("train"))

    monkeypatch.setattr(quality, "run_epochs", run_epochs)
    monkeypatch.delitem(VARIANTS, "mlp_gan")  # with the objective of dcgan
    assert measure("dcgan", "named=lsgan", "dcgan") == {"dcgan": 120, "lsgan": 360}
    assert order == ["dcgan", "lsgan"] * 4
    assert measure("dcgan", "wgan") == {"dcgan": 120, "lsgan": 360, "wgan": 480}
    assert order[8:] == ["wgan"] * 4


def test_the_nearest_epochs_are_scored_and_the_last_of_equals_counts():
    schedule = quality.Schedule.nearest([2.6, 0.1, 0.6, 9], images_per_minute=100, images_per_epoch=200)
    assert schedule == ({1: 2.6, 4: 9}, 2.0)


def test_a_speed_is_measured_without_learning():
    config = quality.configure("r3gan:networks.width=32", 0, {})
    slow = quality.slow_down(config)
    assert slow.schedule.kind == "constant"
    assert slow.generator_optimizer == replace(config.generator_optimizer, learning_rate=1e-12)
    assert slow.penalties == config.penalties


def test_two_processes_may_add_scores(tmp_path):
    def add(row):
        for epoch in range(20):
            quality.add_scores(tmp_path, [{"row": row, "settings": row, "seed": 0, "epoch": epoch}])

    with ThreadPoolExecutor(2) as pool:
        [*pool.map(add, "ab")]
    assert quality.read_scores(tmp_path).groupby("row")["epoch"].apply(list).tolist() == [[*range(20)]] * 2


def test_scores_are_rows_with_the_minutes_of_their_epochs(measure, epochs, tmp_path):
    table = measure()
    assert table["extractor"].tolist() == ["imagenet", "classifier"] * 2
    assert table["wanted_minutes"].tolist() == [1, 1, 2.9, 2.9]
    assert table["minutes"].tolist() == [1, 1, 3, 3]
    assert table["epoch"].tolist() == [1, 1, 3, 3]
    assert table["images"].tolist() == [40, 40, 120, 120]
    assert table["fid"].tolist() == pytest.approx([100, 100, 100 / 3, 100 / 3])
    assert epochs.numbers == [1, 2, 3]
    assert (tmp_path / "scores.png").stat().st_size > 0
    assert [path.suffix for path in (tmp_path / "grids").iterdir()] == [".png"]


def test_a_schedule_ends_with_the_minutes(measure, monkeypatch):
    configs = []
    monkeypatch.setattr(quality, "train", lambda config, *_, **options: configs.append(config) or iter([]))
    with pytest.raises(FileNotFoundError):
        measure(f"{ROW},epochs=50,schedule.kind=linear")
    assert [config.epochs for config in configs] == [3]


def test_what_is_finished_is_not_repeated(measure, epochs):
    measure()
    assert len(measure()) == 4
    assert epochs.numbers == [1, 2, 3]
    assert measure(seed=1)["seed"].tolist() == [0] * 4 + [1] * 4
    assert len(measure(minutes=(1, 5))) == 10
    assert epochs.numbers == [1, 2, 3, 1, 2, 3, 4, 5]


def test_an_interrupted_training_has_each_score_once(measure, epochs, monkeypatch):
    def interrupt(generator):
        if generator.training["epoch"] == 3:
            raise KeyboardInterrupt
        return {"fid": 100.0 / generator.training["epoch"], "kid": 0.5}

    monkeypatch.setattr(quality, "CheckpointStore", partial(CheckpointStore, interval_seconds=0))
    with pytest.raises(KeyboardInterrupt):
        measure(score=interrupt)
    assert measure()["epoch"].tolist() == [1, 1, 3, 3]
    assert epochs.numbers == [1, 2, 3, 3]


def test_minutes_that_a_training_has_passed_are_refused(measure):
    measure(minutes=(3,))
    with pytest.raises(ConfigError, match=r"--minutes is \[2\], but must be more: .* was trained for longer"):
        measure(minutes=(2, 5))


def test_rows_with_the_same_settings_are_trained_each(measure, epochs):
    measure(f"one={ROW}")
    assert measure(f"other={ROW}")["row"].tolist() == ["one"] * 4 + ["other"] * 4
    assert epochs.numbers == [1, 2, 3] * 2


def test_a_row_with_other_settings_is_measured_again(measure, epochs):
    measure(f"small={ROW}")
    table = measure(f"small={ROW},objective=hinge")
    assert table["settings"].unique().tolist() == [f"{ROW},objective=hinge"]
    assert epochs.numbers == [1, 2, 3] * 2


def test_a_failure_is_a_row_and_not_repeated(measure, epochs):
    epochs.fail_after = 1
    for _ in range(2):
        table = measure()
        assert table["failure"].tolist()[-1] == "it became nan"
        assert table["fid"].isna().tolist() == [False, False, True]
        assert epochs.numbers == [1]


def test_a_line_of_the_figure_goes_through_the_means_of_the_seeds():
    rows = [
        {
            "row": row,
            "seed": seed,
            "wanted_minutes": wanted,
            "minutes": wanted,
            "extractor": extractor,
            "fid": fid + seed,
            "kid": fid - seed,
        }
        for extractor in ("imagenet", "classifier")
        for row in ("dcgan", "sngan")
        for seed in (0, 2)
        for wanted, fid in ((1, 9.0), (2, 5.0))
    ]
    rows += [
        {"row": "real images", "extractor": extractor, "fid": 1.0, "kid": 0.0}
        for extractor in ("imagenet", "classifier")
    ]
    figure = quality.plot_scores(pd.DataFrame([*rows, {"row": "dcgan", "seed": 3, "failure": "it became nan"}]))
    assert [axes.get_title() for axes in figure.axes] == ["features: imagenet", "features: classifier"] * 2
    assert [axes.get_ylabel().split(",")[0] for axes in figure.axes] == ["FID", "FID", "KID", "KID"]
    for axes in figure.axes:
        assert [text.get_text() for text in axes.get_legend().get_texts()] == ["dcgan", "sngan", "real images"]
    assert [axes.lines[0].get_xydata().tolist() for axes in figure.axes[1:3]] == [[[1, 10], [2, 6]], [[1, 8], [2, 4]]]


@pytest.mark.integration
def test_the_command_trains_scores_and_writes(tmp_path, monkeypatch):
    pytest.importorskip("timm")
    write_pictures(tmp_path / "data", count=22, size=32)
    command = [
        quality.__file__, str(tmp_path / "out"), "--env=cifar10_32", f"--data={tmp_path / 'data'}",
        "--image-folder", "--rows", ROW, f"mean squares=lsgan:{SMALL}", "--minutes", "0.0001", "--seeds", "4",
        "--samples=24", "--extractors", "imagenet", "--images=20",
    ]  # fmt: skip
    monkeypatch.setattr(sys, "argv", command)
    expected = "--reference-split is 'train', but must be a split without training images, with --images."
    with pytest.raises(ConfigError, match=re.escape(expected)):
        quality.main()
    command.append("--reference-split=test")
    quality.main()
    real, *trained = pd.read_csv(tmp_path / "out/scores.csv").to_dict("records")
    # 44 images of which 20 are trained with; none of the others is a copy.
    assert (real["row"], real["scored_images"], real["extractor"]) == ("real images", 24, "imagenet")
    assert real["fid"] > 0
    assert real["copies"] < 0.5
    assert [(row["row"], row["settings"], row["seed"], row["epoch"], row["images"]) for row in trained] == [
        (ROW, ROW, 4, 1, 20),
        ("mean squares", f"lsgan:{SMALL}", 4, 1, 20),
    ]
    for row in trained:
        assert row["fid"] > 0
        assert 0 <= row["copies"] <= 1
        assert row["minutes"] > 0
    assert pd.read_csv(tmp_path / "out/speeds.csv")["round"].tolist() == [1, 1, 2, 2, 3, 3]
