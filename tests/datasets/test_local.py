"""All datasets of the project read and write on this machine, and say so."""

from __future__ import annotations

import pytest
from kedro.io import AbstractDataset, DataCatalog

from gan_pipelines import datasets
from gan_pipelines.project.hooks import explain
from gan_pipelines.tracking.entries import read_logging

DATASETS = [name for name in datasets.__all__ if name.endswith("Dataset")]
WITH_A_PATH = [name for name in DATASETS if name != "RunsDataset"]


def config_of(name, filepath):
    arguments = {"filepath": filepath}
    if name == "RunsDataset":
        arguments = {"entries": {"scores": {"type": "gan_pipelines.datasets.JSONDataset", **arguments}}}
    return {"type": f"gan_pipelines.datasets.{name}", **arguments}


@pytest.mark.parametrize("protocol", ["s3://", "file://", "memory://", "simplecache::s3://", "http://"])
@pytest.mark.parametrize("name", DATASETS)
def test_a_path_elsewhere_is_refused_before_a_run(tmp_path, monkeypatch, name, protocol):
    monkeypatch.chdir(tmp_path)
    address = f"{protocol}bucket/{{variant}}/scores"
    catalog = DataCatalog.from_config({"{variant}.entry": config_of(name, address)})
    with pytest.raises(Exception) as caught:
        read_logging(catalog, ["dcgan.entry"])
    setting, shown = "filepath", address.replace("{variant}", "dcgan")
    if name == "RunsDataset":
        setting = "entries.scores.filepath"
    assert explain(caught.value) == (
        f"{setting} is {shown!r}, but must be a path on this machine, without a protocol such as s3:// or file://."
    )
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("path", ["data/a:b/scores", "/data/x:/y/scores", "C:/scores", "s3/scores", "what #1?/é"])
@pytest.mark.parametrize("name", WITH_A_PATH)
def test_any_path_on_this_machine_is_taken(name, path):
    dataset = AbstractDataset.from_config("entry", config_of(name, path))
    assert str(dataset._filepath) == path
