"""Generators that a training keeps on the way: nothing else changes, none is missing, and each can be scored."""

from __future__ import annotations

import logging
from dataclasses import replace
from unittest.mock import Mock

import pytest
from kedro.io import DataCatalog, MemoryDataset, Version
from kedro.runner import SequentialRunner

from gan_pipelines.core.config import ConfigError
from gan_pipelines.core.hashing import hash_arrays
from gan_pipelines.core.stores import KeyedStore
from gan_pipelines.datasets import GeneratorDataset
from gan_pipelines.gan import CheckpointStore, MilestoneStore, Monitor, TrainedGenerator, TrainingDiverged, train
from gan_pipelines.metrics import FeatureExtractor, ScoringConfig, open_reference, score_generator
from gan_pipelines.pipeline_registry import register_pipelines
from gan_pipelines.pipelines.training import nodes
from gan_pipelines.project.parameters import ReportingConfig, RuntimeConfig
from projection import Projection


class Tracker:
    """Logs nothing, and calls a function with the number of each epoch before it is kept."""

    run_id = "r"

    def __init__(self, on_epoch=lambda number: None):
        self.on_epoch = on_epoch

    def log_history(self, history):
        self.on_epoch(len(history))

    def begin_training(self, *_):
        pass

    def log_picture(self, *_):
        pass


class Stop(Exception):
    pass


MONITOR = Monitor(lambda generator: {"fid": 1.0}, "fid", "k", 10)


@pytest.fixture(scope="module")
def images(striped_images):
    return striped_images.select("train")


@pytest.fixture(scope="module")
def train_into(tiny_gan, images):
    """Train as the node does, in a folder; return the last and the best generator."""

    def run(
        folder, epochs=5, every=2, *,
        on_epoch=lambda number: None, monitor=MONITOR, fresh=False, restartable=False, restart_epoch=None,
    ):  # fmt: skip
        last, best, *_ = nodes.train_gan(
            replace(tiny_gan, epochs=epochs),
            images,
            CheckpointStore(folder / "checkpoints", interval_seconds=0),
            MilestoneStore(folder / "generator.safetensors"),
            monitor,
            Tracker(on_epoch),
            ReportingConfig(grid_every_epochs=10, milestone_every_epochs=every, restartable_milestones=restartable),
            RuntimeConfig(device="cpu", fresh=fresh, restart_epoch=restart_epoch),
        )
        return last, best

    return run


@pytest.fixture(scope="module")
def whole(train_into, tmp_path_factory):
    """The folder of an uninterrupted training with milestones."""
    folder = tmp_path_factory.mktemp("whole")
    train_into(folder)
    return folder


def read_milestones(folder):
    """Origin and bytes of the milestones of a run, by version.

    The header is left out: safetensors writes its parts in any order.
    """
    store = MilestoneStore(folder / "generator.safetensors")
    return {version: read_file(store.path_of(version)) for version in store.list_versions()}


def stop_in(epoch):
    """Make an `on_epoch` that raises before the milestone of an epoch is kept."""

    def on_epoch(number):
        if number == epoch:
            raise Stop

    return on_epoch


def weights_hash(generator):
    weights = generator.weights
    return hash_arrays(weights[kind][name].numpy() for kind in ("ema", "raw") for name in sorted(weights[kind]))


def read_file(path):
    content = path.read_bytes()
    header = 8 + int.from_bytes(content[:8], "little")
    return TrainedGenerator.load(path).training, content[header:]


def load(folder, version):
    return GeneratorDataset(filepath=str(folder / "generator.safetensors"), version=Version(version, None)).load()


def test_milestones_change_nothing_and_are_what_a_shorter_training_ends_with(train_into, whole, tmp_path):
    without, _ = train_into(tmp_path / "without", every=None)
    last, _ = train_into(whole)  # it is over: nothing is trained
    assert weights_hash(last) == weights_hash(without)
    assert last.training == without.training
    assert read_milestones(tmp_path / "without") == {}
    training = last.training["fingerprint"]
    assert [*read_milestones(whole)] == [f"{training}-epoch-0002", f"{training}-epoch-0004"]
    shorter, _ = train_into(tmp_path / "shorter", epochs=4, every=None)
    milestone = load(whole, f"{training}-epoch-0004")
    assert weights_hash(milestone) == weights_hash(shorter)
    assert milestone.training == shorter.training | {"milestone": True}
    assert (milestone.training["epoch"], milestone.training["images_seen"]) == (4, 160)


@pytest.mark.parametrize("stopped", [2, 3, 5])
def test_after_an_interruption_no_milestone_is_missing_or_there_twice(train_into, whole, tmp_path, stopped):
    with pytest.raises(Stop):
        train_into(tmp_path, on_epoch=stop_in(stopped))
    assert len(read_milestones(tmp_path)) == (stopped - 1) // 2
    train_into(tmp_path)
    assert read_milestones(tmp_path) == read_milestones(whole)
    train_into(tmp_path)  # it is over
    assert read_milestones(tmp_path) == read_milestones(whole)


def test_more_epochs_add_milestones(train_into, whole, tmp_path):
    train_into(tmp_path, epochs=3)
    assert len(read_milestones(tmp_path)) == 1
    train_into(tmp_path)
    first, second = read_milestones(tmp_path).items()
    assert [first[1], second[1]] == [*read_milestones(whole).values()]


def test_epochs_that_were_over_before_milestones_were_asked_for_are_named(train_into, whole, tmp_path, caplog):
    train_into(tmp_path, every=None)
    caplog.clear()
    train_into(tmp_path)
    assert read_milestones(tmp_path) == {}
    assert (
        "There is no milestone of epoch 2, 4, and it cannot be made any more; runtime.fresh: true trains "
        "again from the beginning."
    ) in caplog.text
    caplog.clear()
    train_into(tmp_path, fresh=True)
    assert read_milestones(tmp_path) == read_milestones(whole)
    assert not [record for record in caplog.records if record.levelno >= logging.WARNING]


def test_an_epoch_that_is_reported_again_when_the_next_one_fails_is_no_milestone(
    train_into, tiny_gan, images, tmp_path, poison, caplog
):
    """The weights are those of the epoch that has failed."""

    def stop(images_seen):
        if images_seen == 104:  # of 40 in an epoch
            raise Stop

    monitor = Monitor(lambda generator: {"fid": float(generator.training["epoch"])}, "fid", "k", 1)
    store = CheckpointStore(tmp_path / "checkpoints", interval_seconds=0)
    labelled = {"labels": images.labels, "class_names": images.class_names, "data_hash": images.content_hash}
    with pytest.raises(Stop):
        config = replace(tiny_gan, epochs=5)
        list(train(config, images.images, **labelled, checkpoints=store, monitor=monitor, on_step=stop, device="cpu"))
    poison.poisoned = True
    last, _ = train_into(tmp_path, every=1, monitor=monitor)
    assert last.training["failure"].startswith("discriminator_loss became nan in epoch 3")
    assert read_milestones(tmp_path) == {}
    assert "There is no milestone of epoch 1, 2" in caplog.text


def test_a_training_that_fails_in_its_first_epoch_leaves_none(train_into, tmp_path, poison):
    poison.poisoned = True
    with pytest.raises(TrainingDiverged):
        train_into(tmp_path, every=1)
    assert read_milestones(tmp_path) == {}


def list_states(folder, generator):
    return CheckpointStore(folder / "checkpoints").list_epochs(generator.training["fingerprint"])


def test_a_training_starts_again_from_the_state_of_a_milestone(train_into, whole, tmp_path):
    whole_last, _ = train_into(whole)
    last, _ = train_into(tmp_path, restartable=True)
    assert weights_hash(last) == weights_hash(whole_last)
    assert list_states(whole, last) == []
    assert list_states(tmp_path, last) == [2, 4]
    epochs = []
    shorter, _ = train_into(tmp_path, epochs=3, restart_epoch=2, on_epoch=epochs.append)
    assert epochs == [3]
    assert list_states(tmp_path, last) == [2]
    assert shorter.training["epoch"] == 3
    again, _ = train_into(tmp_path, restartable=True, on_epoch=epochs.append)
    assert epochs == [3, 4, 5]
    assert weights_hash(again) == weights_hash(whole_last)
    assert list_states(tmp_path, last) == [2, 4]


def test_a_restart_after_which_nothing_would_be_trained_deletes_nothing(train_into, tmp_path):
    last, _ = train_into(tmp_path, restartable=True)
    with pytest.raises(ConfigError, match="restart_epoch is 2, but must be below epochs, 2"):
        train_into(tmp_path, epochs=2, restart_epoch=2)
    assert list_states(tmp_path, last) == [2, 4]


def test_a_milestone_that_cannot_be_written_does_not_end_the_training(train_into, tmp_path, monkeypatch, caplog):
    monkeypatch.setattr(MilestoneStore, "save", Mock(side_effect=OSError(28, "No space left on device")))
    last, _ = train_into(tmp_path)
    assert last.training["epoch"] == 5
    assert (
        "The milestone of epoch 2 could not be kept ([Errno 28] No space left on device); the training" in caplog.text
    )


def test_states_that_can_no_longer_be_kept_are_named(train_into, tmp_path, caplog):
    last, _ = train_into(tmp_path, epochs=4)
    caplog.clear()
    train_into(tmp_path, epochs=4, restartable=True)
    assert "There is no restartable milestone of epoch 2, and it cannot be made any more" in caplog.text
    assert list_states(tmp_path, last) == [4]  # nothing has changed since


def test_grids_of_parts_of_epochs_are_named_in_their_order_and_mlflow_has_those_of_whole_epochs(
    tiny_gan, images, tmp_path
):
    tracker, logged = Tracker(), []
    tracker.log_picture = lambda name, epoch, grid: logged.append(epoch)
    _, _, _, grids = nodes.train_gan(
        tiny_gan, images, CheckpointStore(tmp_path / "checkpoints"), MilestoneStore(tmp_path / "generator"),
        MONITOR, tracker,
        ReportingConfig(grid_every_epochs=2, grid_at_epochs=[0.5, 1.75]), RuntimeConfig(device="cpu"),
    )  # fmt: skip
    assert [*grids] == sorted(grids) == ["epoch-0000.5", "epoch-0001", "epoch-0001.75", "epoch-0002"]
    assert logged == [1, 2]


def test_an_evaluation_pointed_at_a_milestone_gives_the_scores_of_that_generator(train_into, whole, images, tmp_path):
    last, best = train_into(whole)
    version = f"{last.training['fingerprint']}-epoch-0002"
    extractor = FeatureExtractor(Projection(), {"name": "projection", "weights_hash": "0"})
    reference = open_reference(KeyedStore(tmp_path / "references"), images, extractor, "cpu")
    scoring = ScoringConfig(samples=40, is_splits=2)
    path = str(whole / "generator.safetensors")
    GeneratorDataset(filepath=path, version=Version(None, "2026-01-02T03.04.05.678Z")).save(last)

    def evaluate(load_version):
        given = {
            "wgan_gp.best_generator": best, "extractor": extractor, "reference": reference,
            "params:scoring": scoring, "params:runtime.device": "cpu",
        }  # fmt: skip
        catalog = DataCatalog({name: MemoryDataset(data, copy_mode="assign") for name, data in given.items()})
        catalog["wgan_gp.generator"] = GeneratorDataset(filepath=path, version=Version(load_version, None))
        pipeline = register_pipelines()["evaluate_wgan_gp"].filter(node_namespaces=["wgan_gp"])
        return SequentialRunner().run(pipeline, catalog)["wgan_gp.score_findings"].load()

    findings = evaluate(version)
    milestone = load(whole, version)
    prefixes = {"ema": "milestone/", "raw": "milestone/raw/"}
    expected = {
        prefixes[score.identity["weights"]] + score.metric: score.value
        for score in score_generator(milestone, extractor, reference, scoring, "cpu")
        if "class" not in score.comparability
    }
    assert findings.metrics == expected
    assert findings.tags["epochs"] == "2"
    assert findings.sentences[0].startswith("milestone of epoch 2 (80 images), ema weights: FID ")
    assert f"; epoch 2 of {version})" in findings.sentences[0]
    of_last = evaluate(None)
    assert of_last.sentences[0].startswith("last epoch, ema weights: FID ")
    assert of_last.tags["epochs"] == "5"
