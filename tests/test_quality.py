"""The benchmark that trains variants for the same minutes."""

from __future__ import annotations

import subprocess
import sys
from types import SimpleNamespace

import pandas as pd
import pytest

import quality
from gan_pipelines.core.config import ConfigError
from gan_pipelines.gan import TrainingDiverged, train
from pictures import write_pictures

SMALL = "networks.width=4,networks.latent_size=4,batch_size=20"
ROW = f"dcgan:{SMALL}"


@pytest.fixture
def clock(monkeypatch):
    """Time in which an epoch takes a minute, a score an hour, and all else nothing; it counts the epochs."""
    clock = SimpleNamespace(seconds=0.0, epochs=0, fails_after=None)

    def train_slowly(*args, **options):
        for epoch in train(*args, **options):
            if clock.epochs == clock.fails_after:
                raise TrainingDiverged("it became nan")
            clock.epochs += 1
            clock.seconds += 60
            yield epoch

    monkeypatch.setattr(quality, "train", train_slowly)
    monkeypatch.setattr(quality, "time", SimpleNamespace(perf_counter=lambda: clock.seconds))
    return clock


@pytest.fixture
def measure(clock, tmp_path, striped_images):
    """Measures a row; returns the table."""

    def score(generator):
        clock.seconds += 3600
        return {"fid": 100.0 / generator.training["epoch"], "kid": 0.5}

    def measure(row=ROW, seed=0, minutes=(1, 2.5)):
        training = quality.read_row(row, seed, {})
        scorers = {name: SimpleNamespace(score=score) for name in ("imagenet", "classifier")}
        quality.measure(tmp_path, training, striped_images.select("train"), minutes, scorers)
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


def test_scores_follow_the_epochs_in_which_the_minutes_of_training_are_over(measure, clock, tmp_path):
    table = measure()
    assert table["extractor"].tolist() == ["imagenet", "classifier"] * 2
    assert table["wanted_minutes"].tolist() == [1, 1, 2.5, 2.5]
    assert table["minutes"].tolist() == [1, 1, 3, 3]  # the hours of scoring are left out
    assert table["epoch"].tolist() == [1, 1, 3, 3]
    assert table["images"].tolist() == [40, 40, 120, 120]
    assert table["fid"].tolist() == pytest.approx([100, 100, 100 / 3, 100 / 3])
    assert clock.epochs == 3
    assert (tmp_path / "scores.png").stat().st_size > 0
    assert [path.suffix for path in (tmp_path / "grids").iterdir()] == [".png"]


def test_of_minutes_that_are_over_in_one_epoch_the_last_are_scored(measure):
    assert measure(minutes=(0.1, 0.5, 1.5))["wanted_minutes"].tolist() == [0.5, 0.5, 1.5, 1.5]


def test_a_training_whose_schedule_ends_is_scored_at_its_end(measure, clock):
    table = measure(f"{ROW},epochs=2,schedule.kind=linear", minutes=(1, 50, 60))
    assert table["epoch"].tolist() == [1, 1, 2, 2]
    assert table["wanted_minutes"].tolist() == [1, 1, 60, 60]
    assert clock.epochs == 2


def test_what_is_finished_is_not_repeated_and_what_was_interrupted_begins_anew(measure, clock, tmp_path):
    whole = measure()
    measure(seed=1)
    written = pd.read_csv(tmp_path / "scores.csv")
    written.iloc[:-2].to_csv(tmp_path / "scores.csv", index=False)  # seed 1 was cut off after a minute
    clock.epochs = 0
    assert len(measure()) == 6
    assert clock.epochs == 0
    pd.testing.assert_frame_equal(measure(seed=1), written)
    assert clock.epochs == 3
    assert len(measure(minutes=(1, 4))[lambda table: table["seed"] == 0]) == len(whole)
    assert clock.epochs == 7


def test_a_row_with_other_settings_is_measured_again(measure, clock):
    measure(f"small={ROW}")
    table = measure(f"small={ROW},objective=hinge")
    assert table["settings"].unique().tolist() == [f"{ROW},objective=hinge"]
    assert clock.epochs == 6


def test_a_failure_is_a_row_and_not_repeated(measure, clock):
    clock.fails_after = 1
    for _ in range(2):
        table = measure()
        assert table["failure"].tolist()[-1] == "it became nan"
        assert table["fid"].isna().tolist() == [False, False, True]
        assert clock.epochs == 1


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
def test_the_command_trains_scores_and_writes(tmp_path):
    pytest.importorskip("timm")
    write_pictures(tmp_path / "data", count=22, size=32)
    command = [
        sys.executable, quality.__file__, tmp_path / "out", "--env=cifar10_32", f"--data={tmp_path / 'data'}",
        "--image-folder", "--rows", ROW, f"mean squares=lsgan:{SMALL}", "--minutes", "0.0001", "--seeds", "4",
        "--samples=24", "--extractors", "imagenet", "--images=20",
    ]  # fmt: skip
    refused = subprocess.run(command, check=False, capture_output=True, text=True, timeout=300)
    assert "--reference-split is 'train', but must be a split without training images, with --images." in refused.stderr
    command.append("--reference-split=test")
    subprocess.run(command, check=True, timeout=300)
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
        assert row["minutes"] > 0.0001
