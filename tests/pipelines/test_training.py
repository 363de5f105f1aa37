"""Trainings that fail: what they have measured is saved first."""

from __future__ import annotations

from dataclasses import replace

import pytest
from kedro.io import DataCatalog, MemoryDataset
from kedro.runner import SequentialRunner

from gan_pipelines.core.stores import KeyedStore
from gan_pipelines.gan import CheckpointStore, MilestoneStore, Monitor, TrainingDiverged
from gan_pipelines.metrics import FeatureExtractor, ScoringConfig, make_monitor, open_reference
from gan_pipelines.metrics.config import MonitorConfig
from gan_pipelines.pipeline_registry import register_pipelines
from gan_pipelines.project.parameters import ReportingConfig, RuntimeConfig
from gan_pipelines.project.training import train_generator
from gan_pipelines.serving import ExportConfig
from projection import Projection


def measure_with(values):
    """A monitor of given values by epoch."""
    return Monitor(lambda generator: {"fid_1k": values[generator.training["epoch"]], "is_1k": 1.0}, "fid_1k", "k", 1)


@pytest.fixture
def train_until(tiny_gan, striped_images, tmp_path):
    """Train up to six epochs; make the training fail after the second one."""

    def run(fail, monitor, **changes):
        def on_epoch(epoch):
            if epoch.number == 2:
                fail()

        config = replace(tiny_gan, epochs=6, **changes)
        store, images = CheckpointStore(tmp_path), striped_images.select("train")
        return train_generator(config, images, store, monitor, device="cpu", fresh=False, on_epoch=on_epoch)

    return run


def test_infinite_values_leave_the_history_and_the_best_generator(train_until, poison):
    training = train_until(lambda: setattr(poison, "poisoned", True), measure_with({1: 5.0, 2: 7.0}))
    assert training.failure.startswith("discriminator_loss became nan in epoch 3; lower the learning rates")
    assert [(row["epoch"], row["fid_1k"]) for row in training.epoch.history] == [(1, 5.0), (2, 7.0)]
    assert training.generator is training.epoch.best
    assert training.generator.training["epoch"] == 1


def test_infinite_values_before_the_first_measurement_leave_the_generator_of_the_epoch_before(train_until, poison):
    monitor = replace(measure_with({}), every_epochs=10)
    training = train_until(lambda: setattr(poison, "poisoned", True), monitor)
    assert training.failure.startswith("discriminator_loss became nan in epoch 3")
    assert [row["epoch"] for row in training.epoch.history] == [1, 2]
    assert training.generator.training["epoch"] == 2
    assert all(weights.isfinite().all() for weights in training.generator.weights["raw"].values())


def test_infinite_values_in_the_first_epoch_are_raised(train_until, poison):
    poison.poisoned = True
    with pytest.raises(TrainingDiverged, match="became nan in epoch 1"):
        train_until(lambda: None, measure_with({}))


@pytest.mark.parametrize("on_collapse", ["warn", "stop"])
def test_a_collapse_leaves_the_last_generator(train_until, collapsing, on_collapse):
    monitor = measure_with(dict.fromkeys(range(1, 7), 1.0))
    training = train_until(lambda: setattr(collapsing, "collapsed", True), monitor, on_collapse=on_collapse)
    last = 5 if on_collapse == "stop" else 6
    assert len(training.epoch.history) == training.generator.training["epoch"] == last
    assert (training.failure is not None) == (on_collapse == "stop")


class FailingTracker:
    """Logs nothing, and makes the training fail once it has done two epochs."""

    run_id = "r"

    def __init__(self, fail):
        self.fail = fail

    def log_history(self, history):
        if len(history) == 2:
            self.fail()

    def begin_training(self, *_):
        pass

    def log_picture(self, *_):
        pass


class KeptDataset(MemoryDataset):
    """Keeps its data after the last node that reads it."""

    def _release(self):
        pass


@pytest.fixture
def run_training(tiny_gan, striped_images, tmp_path):
    """Run the nodes of ``train_wgan_gp`` that follow the images; return the catalog and the sentence that ended it."""

    def run(fail, measure_every, **changes):
        monitor = MonitorConfig(samples=30, every_epochs=measure_every)
        scoring = ScoringConfig(samples=40, is_splits=2, during_training=monitor)
        extractor = FeatureExtractor(Projection(), {"name": "projection", "weights_hash": "0"})
        images = striped_images.select("train")
        reference = open_reference(KeyedStore(tmp_path / "references"), images, extractor, "cpu")
        pipeline = register_pipelines()["train_wgan_gp"].filter(node_namespaces=["wgan_gp"])
        given = {
            "params:variants.wgan_gp": replace(tiny_gan, epochs=6, **changes),
            "params:scoring": scoring,
            "params:runtime.device": "cpu",
            "params:runtime": RuntimeConfig(device="cpu"),
            "params:reporting": ReportingConfig(grid_every_epochs=5, milestone_every_epochs=2),
            "params:export": ExportConfig(),
            "params:experiment": "stripes",
            "train_images": images,
            "extractor": extractor,
            "reference": reference,
            "monitor": make_monitor(extractor, reference, scoring, "cpu"),
            "tracker": FailingTracker(fail),
            "wgan_gp.checkpoints": CheckpointStore(tmp_path / "checkpoints"),
            "wgan_gp.milestones": MilestoneStore(tmp_path / "generator.safetensors"),
        }
        catalog = DataCatalog({name: KeptDataset(given.get(name), copy_mode="assign") for name in pipeline.datasets()})
        assert pipeline.inputs() == given.keys()
        try:
            SequentialRunner().run(pipeline, catalog)
        except TrainingDiverged as error:
            return catalog, str(error)
        return catalog, None

    return run


@pytest.mark.parametrize(
    ("ending", "measure_every", "sentence", "epochs"),
    [
        ("nan", 1, "discriminator_loss became nan in epoch 3", 2),
        ("nan", 10, "discriminator_loss became nan in epoch 3", 2),
        ("stop", 1, "the generator collapsed: for 3 epochs up to epoch 5", 5),
        ("warn", 1, None, 6),
    ],
)
def test_all_that_a_failed_training_has_measured_is_saved_before_its_run_ends(
    run_training, poison, collapsing, ending, measure_every, sentence, epochs
):
    def fail():
        if ending == "nan":
            poison.poisoned = True
        else:
            collapsing.collapsed = True

    catalog, raised = run_training(fail, measure_every, on_collapse="warn" if ending == "nan" else ending)
    assert raised is None if sentence is None else raised.startswith(sentence)
    entries = ("history", "generator", "best_generator", "sample_grids", "loss_curves", "scores", "neighbours", "model")
    history, last, best, grids, _, scores, _, model = (catalog.load(f"wgan_gp.{entry}") for entry in entries)
    assert history["epoch"].tolist() == list(range(1, epochs + 1))
    if measure_every == 1:
        assert history["fid_30"].notna().all()
        assert best.training["epoch"] == history["fid_30"].argmin() + 1
    else:
        assert best.training["epoch"] == epochs
    assert last.training["epoch"] == (best.training["epoch"] if ending == "nan" else epochs)
    assert ("epoch-0005" in grids) == (ending != "nan")
    assert catalog.load("wgan_gp.score_findings").metrics["fid"] > 0
    assert ("The training has failed" in model.card) == (ending != "warn")
    of_last = [score for score in scores if score["identity"]["generator"] == "last"]
    assert all(any("(collapse)" in flag for flag in score["flags"]) == (ending != "nan") for score in of_last)
    for score in scores:
        failed = (
            f"The training has failed, and these are the scores of its epoch {score['identity']['epoch']}: {sentence}"
        )
        assert any(flag.startswith(failed) for flag in score["flags"]) == (ending != "warn")
