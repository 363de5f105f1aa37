from __future__ import annotations

import os
from dataclasses import replace

import pytest
from kedro.io import Version

from gan_pipelines.core.hashing import hash_arrays
from gan_pipelines.datasets import GeneratorDataset, RunsDataset
from gan_pipelines.gan import MilestoneStore, TrainedGenerator, train


@pytest.fixture(scope="module")
def generators(tiny_gan, tiny_images):
    """The generators of two epochs."""
    return [epoch.generator for epoch in train(tiny_gan, tiny_images, device="cpu")]


@pytest.fixture
def store(tmp_path):
    return MilestoneStore(tmp_path / "wgan_gp/generator.safetensors")


def hash_weights(generator):
    weights = generator.weights
    return hash_arrays(weights[kind][name].numpy() for kind in ("ema", "raw") for name in sorted(weights[kind]))


def test_a_milestone_is_a_version_that_is_loaded_if_it_is_named(store, generators):
    first, second = map(store.save, generators)
    training = generators[0].training["fingerprint"]
    assert [first, second] == [f"{training}-epoch-0001", f"{training}-epoch-0002"] == store.list_versions()
    loaded = GeneratorDataset(filepath=str(store.root), version=Version(first, None)).load()
    assert loaded.version == first
    assert loaded.training == generators[0].training | {"milestone": True}
    assert loaded.is_milestone
    assert not generators[0].is_milestone
    assert hash_weights(loaded) == hash_weights(generators[0]) != hash_weights(generators[1])
    plain = TrainedGenerator.load(store.path_of(second))
    assert hash_weights(plain) == hash_weights(generators[1])


def test_a_milestone_is_never_the_newest_version(store, generators):
    entry = GeneratorDataset(filepath=str(store.root), version=Version(None, "2026-01-02T03.04.05.678Z"))
    runs = {
        "generator": {"type": GeneratorDataset, "filepath": f"{store.root.parents[1]}/{{variant}}/{store.root.name}"}
    }
    store.save(generators[0])
    assert not GeneratorDataset(filepath=str(store.root), version=Version(None, None)).exists()
    assert RunsDataset(entries=runs).load() == []
    entry.save(generators[1])
    assert entry.list_versions(full_path=False) == ["2026-01-02T03.04.05.678Z"]
    assert GeneratorDataset(filepath=str(store.root), version=Version(None, None)).load().training["epoch"] == 2
    assert [run.version for run in RunsDataset(entries=runs).load()] == ["2026-01-02T03.04.05.678Z"]


def test_the_same_epoch_again_replaces_a_milestone(store, generators):
    version = store.save(replace(generators[0], weights=generators[1].weights))
    assert store.save(generators[0]) == version
    assert store.list_versions() == [version]
    assert hash_weights(TrainedGenerator.load(store.path_of(version))) == hash_weights(generators[0])


def test_milestones_are_listed_and_deleted_by_training(store, generators):
    other = replace(generators[0], training=generators[0].training | {"fingerprint": "other", "epoch": 30})
    versions = [*map(store.save, generators), store.save(other)]
    assert store.list_epochs(generators[0].training["fingerprint"]) == [1, 2]
    assert store.list_epochs("other") == [30]
    for seconds, version in zip((100, 200, 300), versions, strict=True):
        os.utime(store.path_of(version), (seconds, seconds))
    assert store.list_trainings() == {generators[0].training["fingerprint"]: 200, "other": 300}
    store.discard("other")
    assert store.list_versions() == versions[:2]
    assert store.list_epochs("other") == []


def test_where_there_is_none_nothing_is_listed(store):
    assert (store.list_versions(), store.list_epochs("a"), store.list_trainings()) == ([], [], {})
