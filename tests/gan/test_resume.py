"""Trainings that are cut short, and go on."""

from __future__ import annotations

import logging
from dataclasses import replace

import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits

from gan_pipelines.core.config import ConfigError
from gan_pipelines.core.hashing import hash_arrays, hash_dataset, hash_images
from gan_pipelines.gan import (
    WEIGHT_SETS,
    CheckpointStore,
    CheckpointUnusable,
    DifferentiableTransformConfig,
    Monitor,
    OptimizerConfig,
    PenaltyConfig,
    ScheduleConfig,
    TrainedGenerator,
    TrainingDiverged,
    TrainingLocked,
    TransformConfig,
    fingerprint,
    train,
)
from gan_pipelines.gan.checkpoint import Checkpoints
from gan_pipelines.gan.networks import FAMILIES
from processes import Process

pytestmark = pytest.mark.integration


@pytest.fixture(scope="module")
def config(tiny_gan):
    """All that draws random numbers or changes with time is on."""
    return replace(
        tiny_gan,
        epochs=4,
        penalties=(PenaltyConfig(), PenaltyConfig(at="dragan", every_steps=3)),
        schedule=ScheduleConfig(kind="cosine", penalty_factor=0.1),
        transforms=TransformConfig(horizontal_flip=True, rotation_degrees=10, crop_padding=1),
        differentiable_transforms=DifferentiableTransformConfig(
            kinds=("colour", "translation", "cutout"), probability=0.5, target_sign=0.0, ramp_images=160
        ),
    )


@pytest.fixture
def store(tmp_path):
    return CheckpointStore(tmp_path / "checkpoints", interval_seconds=0)


def run(config, images, store=None, **options):
    return list(train(config, images, device="cpu", checkpoints=store, **options))


def weights_hash(generator):
    weights = generator.weights
    return hash_arrays(weights[kind][name].numpy() for kind in ("ema", "raw") for name in sorted(weights[kind]))


def without_speed(history):
    return [{name: value for name, value in row.items() if name != "images_per_second"} for row in history]


class Stop(Exception):
    pass


def stop_after(images):
    """Make an `on_step` that raises when so many images have been seen."""

    def on_step(images_seen):
        if images_seen == images:
            raise Stop

    return on_step


@pytest.fixture(scope="module")
def uninterrupted(config, tiny_images):
    return run(config, tiny_images)[-1]


@pytest.mark.parametrize("images", [8, 24, 40, 48, 88, 160])
def test_a_training_goes_on_bit_for_bit_from_any_step(config, tiny_images, store, uninterrupted, images):
    with pytest.raises(Stop):
        run(config, tiny_images, store, on_step=stop_after(images))
    seen = []
    resumed = run(config, tiny_images, store, on_step=seen.append)[-1]
    assert seen[0] == images - 8  # the state before the stop was the newest
    assert weights_hash(resumed.generator) == weights_hash(uninterrupted.generator)
    assert torch.equal(resumed.samples, uninterrupted.samples)
    assert without_speed(resumed.history) == without_speed(uninterrupted.history)
    assert [row["epoch"] for row in resumed.history] == [1, 2, 3, 4]
    assert len({row["transform_probability"] for row in resumed.history}) > 1


@pytest.mark.parametrize(
    ("changes", "stopped", "saved"), [({"drop_last": False}, 51, 43), ({"repeat_batches": True}, 32, 24)]
)
def test_it_goes_on_among_incomplete_and_repeated_batches(config, tiny_images, store, changes, stopped, saved):
    config = replace(config, discriminator_steps=2, **changes)
    uninterrupted = run(config, tiny_images)[-1]
    with pytest.raises(Stop):
        run(config, tiny_images, store, on_step=stop_after(stopped))
    seen = []
    resumed = run(config, tiny_images, store, on_step=seen.append)[-1]
    assert seen[0] == saved
    assert weights_hash(resumed.generator) == weights_hash(uninterrupted.generator)


@pytest.mark.parametrize("family", FAMILIES)
def test_any_networks_go_on_bit_for_bit_and_are_read_as_they_were_written(config, store, tmp_path, family):
    digits = load_digits()
    images = np.kron(digits.images[:24, None], np.ones((2, 2))).astype(np.uint8) * 15
    networks = replace(config.networks, family=family)
    config = replace(config, networks=networks, epochs=2, transforms=TransformConfig())
    labels = {"labels": digits.target[:24].astype(np.int64), "class_names": list("0123456789")}
    whole = run(config, images, **labels)[-1].generator
    with pytest.raises(Stop):
        run(config, images, store, on_step=stop_after(40), **labels)  # within the second of two epochs
    resumed = run(config, images, store, **labels)[-1].generator
    assert weights_hash(resumed) == weights_hash(whole)
    resumed.save(tmp_path / "generator.safetensors")
    loaded = TrainedGenerator.load(tmp_path / "generator.safetensors")
    for weights in WEIGHT_SETS:
        assert torch.equal(loaded.sample(6, seed=1, weights=weights), whole.sample(6, seed=1, weights=weights))


@pytest.mark.parametrize("stopped", [24, 32, 120])  # before samples, after them, and in a later epoch
def test_the_samples_of_the_epochs_before_are_still_there(config, tiny_images, store, uninterrupted, stopped):
    asked = {"samples_every": 2, "samples_at": (0.5, 2.5)}
    whole = run(config, tiny_images, **asked)[-1].sample_history
    with pytest.raises(Stop):
        run(config, tiny_images, store, **asked, on_step=stop_after(stopped))
    last = run(config, tiny_images, store, **asked)[-1]
    assert weights_hash(last.generator) == weights_hash(uninterrupted.generator)
    resumed = last.sample_history
    assert list(resumed) == list(whole) == [0.5, 1, 2, 2.5, 4]
    assert all(torch.equal(resumed[epoch], whole[epoch]) for epoch in whole)


@pytest.mark.parametrize(("every_epochs", "kept"), [(1, [(1, 5.0), (2, 7.0)]), (10, None)])
def test_infinite_values_right_after_an_interruption_leave_what_was_measured(
    config, tiny_images, store, poison, every_epochs, kept
):
    monitor = Monitor(
        lambda generator: {"fid": {1: 5.0, 2: 7.0}[generator.training["epoch"]]}, "fid", "k", every_epochs
    )
    with pytest.raises(Stop):
        run(config, tiny_images, store, monitor=monitor, on_step=stop_after(104))  # of 40 in an epoch
    poison.poisoned = True
    epochs = []
    with pytest.raises(TrainingDiverged, match="became nan in epoch 3"):
        epochs += train(config, tiny_images, device="cpu", checkpoints=store, monitor=monitor)
    assert len(epochs) == (kept is not None)
    for epoch in epochs:
        assert [(row["epoch"], row["fid"]) for row in epoch.history] == kept
        assert (epoch.number, epoch.best.training["epoch"], epoch.is_newest) == (2, 1, False)


def test_a_finished_training_is_not_trained_again_and_says_so(config, tiny_images, store, caplog):
    first = run(config, tiny_images, store)[-1]
    seen = []
    with caplog.at_level(logging.INFO):
        (again,) = run(config, tiny_images, store, on_step=seen.append)
    assert seen == [160]
    assert "This training is finished: nothing is trained again." in caplog.text
    assert weights_hash(again.generator) == weights_hash(first.generator)
    assert torch.equal(again.samples, first.samples)
    assert (again.number, again.images_seen, again.metrics) == (4, 160, first.metrics)
    assert again.history == first.history


def test_more_epochs_continue_it(config, tiny_images, store):
    config = replace(config, schedule=ScheduleConfig())
    whole = run(replace(config, epochs=5), tiny_images)[-1]
    run(replace(config, epochs=2), tiny_images, store)
    seen = []
    continued = run(replace(config, epochs=5), tiny_images, store, on_step=seen.append)
    assert [epoch.number for epoch in continued] == [3, 4, 5]
    assert seen[0] == 80
    assert weights_hash(continued[-1].generator) == weights_hash(whole.generator)


def test_fewer_epochs_than_done_are_refused(config, tiny_images, store):
    config = replace(config, schedule=ScheduleConfig())
    run(config, tiny_images, store)
    with pytest.raises(ConfigError, match="epochs is 3, but this training is in epoch 4 already; ask for more, or for"):
        run(replace(config, epochs=3), tiny_images, store)


@pytest.mark.parametrize(
    "change",
    [
        {"seed": 1},
        {"batch_size": 4},
        {"precision": "bf16"},
        {"ema_decay": 0.4},
        {"discriminator_steps": 1},
        {"epochs": 5},
    ],
)
def test_another_identity_starts_from_the_beginning_and_touches_nothing(config, tiny_images, store, change):
    with pytest.raises(Stop):
        run(config, tiny_images, store, on_step=stop_after(24))
    before = {path: path.read_bytes() for path in store.root.rglob("*.pt")}
    seen = []
    next(train(replace(config, **change), tiny_images, device="cpu", checkpoints=store, on_step=seen.append))
    assert before
    assert seen[0] == 0
    assert all(path.read_bytes() == content for path, content in before.items())


def test_a_training_without_a_checkpoint_says_that_it_starts_from_the_beginning(config, tiny_images, store, caplog):
    run(replace(config, seed=1), tiny_images, store)
    with caplog.at_level(logging.INFO):
        run(config, tiny_images, store)
    assert f"Starting from the beginning: the checkpoints in {store.root} are of other trainings" in caplog.text


def test_a_second_process_is_refused_while_the_first_is_at_work(config, tiny_images, store):
    first = train(config, tiny_images, device="cpu", checkpoints=store)
    next(first)
    with pytest.raises(TrainingLocked, match="Another process is at work on this very training"):
        run(config, tiny_images, store)
    run(replace(config, seed=1), tiny_images, store)
    first.close()
    assert run(config, tiny_images, store)[-1].number == 4


def test_a_torn_state_is_named_and_the_one_before_it_is_used(config, tiny_images, store, uninterrupted, caplog):
    with pytest.raises(Stop):
        run(config, tiny_images, store, on_step=stop_after(64))
    newest = max(store.root.rglob("*.pt"))
    newest.write_bytes(newest.read_bytes()[:5000])
    seen = []
    resumed = run(config, tiny_images, store, on_step=seen.append)[-1]
    assert f"{newest} is torn, or no checkpoint. The one before it is tried." in caplog.text
    assert seen[0] == 48
    assert weights_hash(resumed.generator) == weights_hash(uninterrupted.generator)


def test_where_no_state_can_be_used_nothing_is_started_in_silence(config, tiny_images, store):
    with pytest.raises(Stop):
        run(config, tiny_images, store, on_step=stop_after(64))
    for path in store.root.rglob("*.pt"):
        path.write_bytes(b"")
    with pytest.raises(CheckpointUnusable, match="None of the checkpoints in .* can be used"):
        run(config, tiny_images, store)


def test_a_disk_that_is_full_for_a_while_stops_nothing(config, tiny_images, store, uninterrupted, monkeypatch, caplog):

    def refuse(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Checkpoints, "save", refuse)
    assert weights_hash(run(config, tiny_images, store)[-1].generator) == weights_hash(uninterrupted.generator)
    assert "could not be saved ([Errno 28] No space left on device); the one before it stays" in caplog.text


@pytest.mark.parametrize("algorithm", ["adam", "rmsprop"])
def test_a_state_of_another_device_goes_on(config, tiny_images, store, algorithm):
    """A state with a GPU's random generator and optimisers: `capturable`, which optimisers on the CPU refuse."""
    config = replace(config, discriminator_optimizer=OptimizerConfig(algorithm=algorithm))
    with pytest.raises(Stop):
        run(config, tiny_images, store, on_step=stop_after(64))
    with store.open(fingerprint_of(config, tiny_images)) as checkpoints:
        state = checkpoints.load_newest()
        state["parts"]["random"]["elsewhere"] = torch.zeros(16, dtype=torch.uint8)
        for name in ("generator_optimizer", "discriminator_optimizer"):
            state["parts"][name]["param_groups"][0]["capturable"] = True
        checkpoints.save(64, state)
    assert run(config, tiny_images, store)[-1].number == 4


def test_a_checkpoint_from_before_differentiable_transforms_goes_on(config, tiny_images, store):
    with pytest.raises(Stop):
        run(config, tiny_images, store, on_step=stop_after(16))  # nothing has been adapted yet
    with store.open(fingerprint_of(config, tiny_images)) as checkpoints:
        state = checkpoints.load_newest()
        del state["parts"]["transform_probability"]
        checkpoints.save(16, state)
    assert run(config, tiny_images, store)[-1].number == 4


def fingerprint_of(config, images):
    return fingerprint(config, hash_dataset(hash_images(images), None, ()), "cpu")


TRAINING = """
import sys
from dataclasses import replace
from pathlib import Path
import numpy as np
from gan_pipelines.gan import (
    VARIANTS, CheckpointStore, DifferentiableTransformConfig, NetworkConfig, PenaltyConfig, train
)

config = replace(
    VARIANTS["wgan_gp"], networks=NetworkConfig(latent_size=4, width=8, discriminator_norm="none"),
    penalties=(PenaltyConfig(), PenaltyConfig(at="real", target_norm=0.0, every_steps=4)),
    differentiable_transforms=DifferentiableTransformConfig(
        kinds=("colour", "translation", "cutout"), probability=0.5, target_sign=0.0, ramp_images=500
    ),
    discriminator_steps=2, batch_size=8, epochs=16, ema_decay=0.5, precision="fp32",
)
images = np.random.default_rng(0).integers(0, 256, (43, 1, 8, 8), dtype=np.uint8)
checkpoints = CheckpointStore(Path(sys.argv[1]), interval_seconds=0)
on_step = lambda images_seen: print(images_seen, flush=True)
for epoch in train(config, images, device="cpu", checkpoints=checkpoints, on_step=on_step):
    pass
epoch.generator.save(Path(sys.argv[1]) / "generator.safetensors")
"""


def test_a_process_killed_again_and_again_ends_with_the_same_weights(tmp_path):
    def train_into(name):
        (tmp_path / name).mkdir(exist_ok=True)
        return Process("-c", TRAINING, tmp_path / name)

    with train_into("whole") as whole:
        assert whole.wait() == 0
    first_steps = []
    for steps in (20, 35):
        with train_into("killed") as process:
            process.await_text("\n", times=steps)
            process.kill()
            first_steps.append(int(process.stdout.split()[0]))
    with train_into("killed") as process:
        assert process.wait() == 0
        first_steps.append(int(process.stdout.split()[0]))
    assert first_steps[0] == 0
    assert first_steps[1] >= 18 * 8
    assert first_steps[2] >= first_steps[1] + 33 * 8
    generators = [TrainedGenerator.load(tmp_path / name / "generator.safetensors") for name in ("whole", "killed")]
    assert weights_hash(generators[0]) == weights_hash(generators[1])
