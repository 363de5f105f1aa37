from __future__ import annotations

import pytest
from kedro.io import DatasetError, Version

from gan_pipelines.datasets import JSONDataset, RunsDataset

ENTRIES = {
    "scores": {"type": "json.JSONDataset", "filepath": "reports/{variant}/scores.json"},
    "verdicts": {"type": "json.JSONDataset", "filepath": "reports/{variant}/verdicts.json"},
}


@pytest.fixture
def runs(tmp_path):
    """As runs of the project leave their entries: each saved by its own dataset."""
    left = [("a", "1", "scores"), ("b", "1", "scores"), ("a", "2", "scores"), ("a", "2", "verdicts")]
    for variant, version, entry in left:
        path = str(tmp_path / f"reports/{variant}/{entry}.json")
        JSONDataset(filepath=path, version=Version(None, version)).save([variant, version, entry])
    (tmp_path / "reports/table.json/1").mkdir(parents=True)  # not of a variant
    entries = {name: {**entry, "filepath": f"{tmp_path}/{entry['filepath']}"} for name, entry in ENTRIES.items()}
    return RunsDataset(entries=entries)


def test_runs_are_listed_by_variant_and_age_with_what_each_has_left(runs):
    found = runs.load()
    assert [(run.variant, run.version) for run in found] == [("a", "1"), ("a", "2"), ("b", "1")]
    assert ["verdicts" in run for run in found] == [False, True, False]
    assert [run.load("scores") for run in found] == [["a", "1", "scores"], ["a", "2", "scores"], ["b", "1", "scores"]]
    assert found[1].load("verdicts") == ["a", "2", "verdicts"]
    assert runs.exists()


def test_without_runs_there_are_none():
    dataset = RunsDataset(entries=ENTRIES)
    assert dataset.load() == []
    assert not dataset.exists()


def test_nothing_can_be_saved(runs):
    with pytest.raises(DatasetError, match="Runs are read only"):
        runs.save("anything")
