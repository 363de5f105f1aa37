from __future__ import annotations

from dataclasses import replace
from unittest.mock import Mock

import numpy as np
import pytest
import torch
from kedro.io import DataCatalog
from kedro.runner import SequentialRunner

from gan_pipelines.augmentation import (
    AugmentationConfig,
    Draw,
    ImageSplits,
    Replicate,
    SyntheticImages,
    draw_images,
    separate_images,
)
from gan_pipelines.core.hashing import hash_images
from gan_pipelines.core.stores import KeyedStore
from gan_pipelines.gan import CheckpointStore, Monitor, NetworkConfig, TrainingDiverged, train
from gan_pipelines.images import DatasetConfig, FolderConfig, prepare_image_set
from gan_pipelines.images.duplicates import make_thumbnails
from gan_pipelines.pipelines.augmentation import create_pipeline, nodes
from gan_pipelines.project.parameters import RuntimeConfig

SETTINGS = AugmentationConfig(fractions=(0.5, 1.0), replicates=2, generator_epochs=2)


class RecordingTracker:
    """Keeps what would be logged."""

    def __init__(self):
        self.children = []

    def log_child(self, kind, name, params, history, scores, seconds):
        assert kind == "generator"
        self.children.append((name, params, history, scores, seconds))


@pytest.fixture
def config(tiny_gan):
    return replace(tiny_gan, networks=NetworkConfig(latent_size=4, width=4, discriminator_norm="none"))


@pytest.fixture
def splits(striped_images):
    return separate_images(striped_images)


@pytest.fixture
def measured():
    return []


@pytest.fixture
def monitor(measured):
    def measure(generator):
        measured.append((generator.config.seed, generator.training["epoch"]))
        generator.sample(3, seed=0)
        return {"fid_1k": float(len(measured)), "is_1k": 2.0}

    return Monitor(measure, metric="fid_1k", key="k", every_epochs=1)


@pytest.fixture
def tracker():
    return RecordingTracker()


@pytest.fixture
def train_all(config, splits, monitor, tracker, tmp_path):
    def run(fresh=False):
        store = CheckpointStore(tmp_path / "checkpoints")
        return nodes.train_generators(
            config, splits, store, monitor, tracker, SETTINGS, RuntimeConfig(device="cpu", workers=1, fresh=fresh)
        )

    return run


def test_each_generator_is_a_nested_run_and_measured_once(train_all, tracker, measured):
    replicates = train_all()
    assert [(replicate.draw.fraction, replicate.draw.seed) for replicate in replicates] == [
        (0.5, 0), (0.5, 1), (1.0, 0), (1.0, 1),
    ]  # fmt: skip
    assert measured == [(0, 2), (1, 2), (0, 2), (1, 2)]
    names, params, histories, scores, seconds = zip(*tracker.children, strict=True)
    assert names[:2] == ("generator 0.5 seed 0", "generator 0.5 seed 1")
    assert scores[2] == {"fid_1k": 3.0, "is_1k": 2.0}
    training = replicates[2].source.generator.training
    assert params[2] == {
        "fraction": 1.0, "seed": 0, "real_images": len(replicates[2].draw.images), "epochs": 2,
        "training": training["fingerprint"],
    }  # fmt: skip
    assert [row["epoch"] for row in histories[2]] == [1, 2]
    assert "generator_loss" in histories[2][0]
    assert not any("fid_1k" in row for row in histories[2])
    assert all(value > 0 for value in seconds)


def test_a_finished_generator_is_neither_trained_nor_measured_again(train_all, tracker, measured):
    first = train_all()
    again = train_all()
    assert len(measured) == len(first)
    assert tracker.children[4:] == tracker.children[:4]
    for one, other in zip(first, again, strict=True):
        assert one.source.generator.weights.keys() == other.source.generator.weights.keys() == {"ema"}
        assert all(
            torch.equal(other.source.generator.weights["ema"][name], w)
            for name, w in one.source.generator.weights["ema"].items()
        )
    train_all(fresh=True)
    assert len(measured) == 2 * len(first)


def test_mlflow_has_curves_on_the_test_split_beside_the_scores_of_the_best_epoch():
    scores = Mock(accuracy=0.8, loss=0.5, macro_f1=0.7, calibration_error=0.1)
    fit = Mock(scores=scores, history=[{"epoch": 1, "valid_loss": 0.4, "test_loss": 0.6}], fraction=1, learning_rate=1)
    tracker = Mock()
    nodes._track_fit(tracker, fit)
    *_, history, logged, _ = tracker.log_child.call_args.args
    assert history == [{"epoch": 1, "valid_loss": 0.4, "by_epoch/test_loss": 0.6}]
    assert (logged["test_loss"], logged["test_accuracy"]) == (0.5, 0.8)


def test_an_experiment_ends_with_a_training_that_has_failed(train_all, tracker, monkeypatch):
    train_one = nodes.train_generator
    monkeypatch.setattr(nodes, "train_generator", lambda *args, **kw: train_one(*args, **kw)._replace(failure="Gone."))
    with pytest.raises(TrainingDiverged, match="^Gone.$"):
        train_all()
    assert [name for name, *_ in tracker.children] == ["generator 0.5 seed 0"]


def test_measuring_changes_no_weights(config, train_all):
    (draw, source), *_ = train_all()
    measured = source.generator
    plain = replace(config, epochs=2, seed=draw.seed)
    *_, last = train(plain, draw.images.images, draw.images.labels, class_names=draw.images.class_names, device="cpu")
    assert measured.training["fingerprint"] == last.generator.training["fingerprint"]
    for name, weights in last.generator.weights["ema"].items():
        assert torch.equal(measured.weights["ema"][name], weights)


def test_the_exported_images_are_those_of_the_first_replicate_with_the_most_real_images(splits):
    fractions = (0.5, 1.0, 1.0, 0.1)
    replicates = [
        Replicate(Draw(fraction, seed, splits.train, splits.valid), None) for seed, fraction in enumerate(fractions)
    ]
    empty = torch.zeros(0)
    sets = [SyntheticImages(empty, empty, empty, (), {"seed": seed}) for seed in range(4)]
    assert nodes.choose_synthetic_images(replicates, sets) is sets[1]


def test_leaks_are_listed_and_left_out(striped_images, caplog):
    images = striped_images.images.copy()
    rows = np.array([1, 3])
    images[rows] = images[[41, 43]]
    hashes, thumbnails = striped_images.image_hashes.copy(), striped_images.thumbnails.copy()
    hashes[rows], thumbnails[rows] = hashes[[41, 43]], thumbnails[[41, 43]]
    leaky = replace(striped_images, images=images, image_hashes=hashes, thumbnails=thumbnails)
    caplog.set_level("INFO")
    splits, leaks = nodes.separate_images(leaky)
    assert [(leak["image"], leak["twin"], leak["correlation"]) for leak in leaks] == [
        ("1", "41", 1.0),
        ("3", "43", 1.0),
    ]
    assert len(splits.train) == 38
    assert "Left out as duplicates or near-duplicates of held-out images: 1 = 41 (1), 3 = 43 (1)" in caplog.text


def test_the_pool_of_a_folder_is_reported_and_near_copies_are_shown_beside_what_they_resemble(splits, caplog):
    caplog.set_level("INFO")
    made = replace(splits.train, images=splits.train.images.copy(), names=tuple(f"{n}.png" for n in range(40)))
    made.images[2] = splits.test.images[6]
    made = replace(made, image_hashes=hash_images(made.images), thumbnails=make_thumbnails(made.images))
    folder = FolderConfig(path="pictures", name="sd_turbo")
    pool, report, shown = nodes.open_pool(made, splits, folder)
    assert report == {"name": "sd_turbo", **pool.report()}
    assert (report["pictures"], report["left_out"], report["train_share"]) == (40, 1, 1)
    assert (
        "Of 40 pictures, 1 are near-copies of test or validation images and left out; of the others, 100% are"
        in caplog.text
    )
    assert {*shown} == {"test", "train"}
    picture, twin = shown["test"][2:18, 2:18, 0], shown["test"][2:18, 20:36, 0]
    assert np.array_equal(picture, splits.test.images[6, 0])
    assert np.array_equal(picture, twin)
    assert shown["train"].shape[0] == nodes.NEAR_COPIES_SHOWN * 18 + 2

    replicates = nodes.draw_replicates(splits, pool, SETTINGS)
    assert [(draw.fraction, draw.seed) for draw, _ in replicates] == [(0.5, 0), (0.5, 1), (1.0, 0), (1.0, 1)]
    assert all(source is pool for _, source in replicates)


@pytest.mark.parametrize(("probe", "simple"), [(None, 3), ("imagenet", 4)])
def test_the_pipeline_scores_simple_classifiers_of_digits(probe, simple, tmp_path):
    pytest.importorskip("timm")
    digits = separate_images(
        prepare_image_set(
            KeyedStore(tmp_path / "image_sets"), DatasetConfig(source="digits", image_size=16, channels=1)
        )
    )
    train, test = (part.take(np.arange(0, len(part), 8), "part") for part in (digits.train, digits.test))
    splits = ImageSplits(train, digits.valid, test, (), 0.0)
    settings = replace(SETTINGS, fractions=(1.0,), probe=probe)
    name = "cdcgan.score_simple_classifiers"
    catalog = DataCatalog.from_config(
        {
            "cdcgan.replicates": {"type": "MemoryDataset", "copy_mode": "assign"},
            "image_splits": {"type": "MemoryDataset", "copy_mode": "assign"},
        }
    )
    catalog["cdcgan.replicates"] = [Replicate(draw, None) for draw in draw_images(splits, settings)]
    catalog["image_splits"] = splits
    catalog["references"] = KeyedStore(tmp_path / "references")
    catalog["params:augmentation"], catalog["params:runtime.device"] = settings, "cpu"
    (table,) = SequentialRunner().run(create_pipeline("cdcgan").only_nodes(name), catalog).values()
    means = table.load().groupby("classifier", sort=False)["accuracy"].mean()
    assert len(means) == simple
    assert means.iloc[-1] > 0.6  # of ten classes
