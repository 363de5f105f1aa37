from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from gan_pipelines.gan import CheckpointStore, Monitor, train


def monitor_of(values, every_epochs=2, key="k"):
    """Measures given values, by epoch, and counts the looks."""
    looks = []

    def measure(generator):
        looks.append(generator)
        torch.rand(1)  # drawing is allowed: a training has random numbers of its own
        return {"fid_1k": values[generator.training["epoch"]], "is_1k": 1.0}

    return Monitor(measure, "fid_1k", key, every_epochs), looks


@pytest.fixture
def long_gan(tiny_gan):
    return replace(tiny_gan, epochs=5)


def run(config, images, monitor=None, **options):
    return list(train(config, images, device="cpu", monitor=monitor, **options))


def test_every_kth_epoch_and_the_last_are_measured_and_nothing_else_changes(long_gan, tiny_images):
    monitor, looks = monitor_of({2: 9.0, 4: 3.0, 5: 6.0})
    epochs = run(long_gan, tiny_images, monitor)
    assert [look.training["epoch"] for look in looks] == [2, 4, 5]
    assert [row.get("fid_1k") for row in epochs[-1].history] == [None, 9.0, None, 3.0, 6.0]
    plain = run(long_gan, tiny_images)[-1].generator
    for weights in ("ema", "raw"):
        for name, tensor in plain.weights[weights].items():
            assert torch.equal(epochs[-1].generator.weights[weights][name], tensor)


def test_the_best_generator_is_that_of_the_lowest_value(long_gan, tiny_images):
    monitor, looks = monitor_of({2: 9.0, 4: 3.0, 5: 6.0})
    epochs, generators = [], []
    for epoch in train(long_gan, tiny_images, device="cpu", monitor=monitor):
        epochs.append(epoch)
        generators.append(epoch.generator)
    assert [epoch.best and epoch.best.training["epoch"] for epoch in epochs] == [None, 2, 2, 4, 4]
    best = epochs[-1].best
    assert best.training["images_seen"] == looks[1].training["images_seen"]
    for weights in ("ema", "raw"):
        for name, tensor in generators[3].weights[weights].items():
            assert torch.equal(best.weights[weights][name], tensor)
            assert torch.equal(looks[1].weights[weights][name], tensor)
    assert run(long_gan, tiny_images)[-1].best is None


def test_the_best_so_far_outlives_an_interruption(long_gan, tiny_images, tmp_path):
    values = {2: 1.0, 3: 5.0, 4: 8.0, 5: 7.0}
    uninterrupted = run(long_gan, tiny_images, monitor_of(values)[0])[-1]
    first = run(replace(long_gan, epochs=3), tiny_images, monitor_of(values)[0], checkpoints=CheckpointStore(tmp_path))
    assert first[-1].best.training["epoch"] == 2
    last = run(long_gan, tiny_images, monitor_of(values)[0], checkpoints=CheckpointStore(tmp_path))[-1]
    assert last.best.training == uninterrupted.best.training
    for name, tensor in uninterrupted.best.weights["ema"].items():
        assert torch.equal(last.best.weights["ema"][name], tensor)


def test_a_best_that_was_measured_otherwise_is_forgotten(long_gan, tiny_images, tmp_path, caplog):
    first = replace(long_gan, epochs=2)
    run(first, tiny_images, monitor_of({2: 1.0})[0], checkpoints=CheckpointStore(tmp_path))
    other = monitor_of({4: 100.0, 5: 200.0}, key="other")[0]
    last = run(long_gan, tiny_images, other, checkpoints=CheckpointStore(tmp_path))[-1]
    assert last.best.training["epoch"] == 4
    assert [row.get("fid_1k") for row in last.history] == [None, None, None, 100.0, 200.0]
    assert "Earlier epochs were measured differently: their fid_1k, is_1k and the best are dropped" in caplog.text


def test_a_finished_training_that_is_now_measured_otherwise_is_measured_anew(long_gan, tiny_images, tmp_path, caplog):
    first = replace(long_gan, epochs=2)
    (*_, before) = run(first, tiny_images, monitor_of({2: 1.0})[0], checkpoints=CheckpointStore(tmp_path))
    (again,) = run(first, tiny_images, monitor_of({2: 7.0})[0], checkpoints=CheckpointStore(tmp_path))
    assert "only its last epoch" not in caplog.text
    (other,) = run(first, tiny_images, monitor_of({2: 7.0}, key="other")[0], checkpoints=CheckpointStore(tmp_path))
    assert [epoch.history[-1]["fid_1k"] for epoch in (before, again, other)] == [1.0, 1.0, 7.0]
    assert other.best.training["epoch"] == 2
    assert "only its last epoch is measured, and stands for the best." in caplog.text


def test_trainings_that_differ_in_the_seed_alone_share_a_recipe(tiny_gan, tiny_images):
    first = run(tiny_gan, tiny_images)[-1].generator.training
    seed = run(replace(tiny_gan, seed=1), tiny_images)[-1].generator.training
    batch = run(replace(tiny_gan, batch_size=4), tiny_images)[-1].generator.training
    assert (first["seed"], seed["seed"]) == (0, 1)
    assert first["recipe"] == seed["recipe"] != batch["recipe"]
    assert len({first["fingerprint"], seed["fingerprint"], batch["fingerprint"]}) == 3
