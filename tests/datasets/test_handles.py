from __future__ import annotations

import pytest
from kedro.io import DatasetError

from gan_pipelines.core.stores import KeyedStore
from gan_pipelines.datasets import CheckpointStoreDataset, KeyedStoreDataset, MilestoneStoreDataset, TrackerDataset
from gan_pipelines.gan import CheckpointStore, MilestoneStore
from gan_pipelines.tracking import MlflowTracker


def test_handles_open_their_folder_and_write_nothing_by_themselves(tmp_path):
    folder = tmp_path / "store"
    store = KeyedStoreDataset(filepath=str(folder)).load()
    checkpoints = CheckpointStoreDataset(filepath=str(folder), keep=3, interval_seconds=10).load()
    milestones = MilestoneStoreDataset(filepath=str(folder)).load()
    tracker = TrackerDataset(filepath=str(folder))
    assert isinstance(milestones, MilestoneStore)
    assert isinstance(store, KeyedStore)
    assert isinstance(checkpoints, CheckpointStore)
    assert store.root == checkpoints.root == milestones.root == folder
    assert isinstance(tracker.load(), MlflowTracker)
    assert tracker.load() is tracker.load()
    assert (checkpoints.keep, checkpoints.interval_seconds) == (3, 10)
    assert not folder.exists()


def test_handles_are_inputs_only(tmp_path):
    for dataset in (KeyedStoreDataset(filepath=str(tmp_path)), TrackerDataset(filepath=str(tmp_path))):
        with pytest.raises(DatasetError, match="is an input only"):
            dataset.save("anything")
