"""The hooks that prepare a run and that summarize it."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from kedro.io import DataCatalog, MemoryDataset, Version

from gan_pipelines.core.config import ConfigError
from gan_pipelines.core.findings import Findings
from gan_pipelines.datasets import JSONDataset, KeyedStoreDataset, PicturesDataset
from gan_pipelines.images import DatasetConfig
from gan_pipelines.pipeline_registry import register_pipelines
from gan_pipelines.project.hooks import PreflightHooks, SummaryHooks
from gan_pipelines.project.parameters import RuntimeConfig
from pictures import write_pictures

VERSION = "2026-01-01T00.00.00.000Z"


def prepare(folder, **dataset):
    """Let the hook prepare `ingest`; return the catalog."""
    dataset = {"source": "digits", "image_size": 8, "channels": 1} | dataset
    parameters = {"experiment": "digits", "dataset": dataset, "runtime": {"system_metrics": False}}
    catalog = DataCatalog(
        {
            "image_sets": KeyedStoreDataset(filepath=str(folder)),
            "parameters": MemoryDataset(parameters),
            "params:dataset": MemoryDataset(parameters["dataset"]),
            "params:runtime": MemoryDataset(parameters["runtime"]),
        }
    )
    hooks = PreflightHooks()
    context = SimpleNamespace(
        env=None, project_path=folder, config_loader=SimpleNamespace(conf_source=str(folder / "conf"))
    )
    next(hooks.after_context_created(context))
    hooks.before_pipeline_run(register_pipelines()["ingest"], catalog)
    return catalog


def test_nodes_receive_typed_parameters(tmp_path):
    catalog = prepare(tmp_path)
    assert catalog.load("params:dataset") == DatasetConfig(source="digits", image_size=8, channels=1)
    assert catalog.load("params:runtime") == RuntimeConfig(system_metrics=False)


@pytest.mark.parametrize("place", [".", "conf", "conf/base"])
def test_a_relative_path_of_pictures_is_that_of_the_project_wherever_the_run_is_started(tmp_path, monkeypatch, place):
    write_pictures(tmp_path / "data/cards")
    (tmp_path / "conf/base").mkdir(parents=True)
    monkeypatch.chdir(tmp_path / place)
    path = prepare(tmp_path, source="image_folder", path="data/cards", channels=3).load("params:dataset").path
    assert Path(path).resolve() == tmp_path / "data/cards"
    assert path == "data/cards" or place != "."


def test_a_run_loads_what_it_has_saved_even_if_a_run_beside_it_has_a_newer_version(tmp_path):
    def open_config(version):
        return JSONDataset(filepath=str(tmp_path / "config.json"), version=Version(None, version))

    hooks, older, newer = PreflightHooks(), open_config(VERSION), open_config("2026-01-02T00.00.00.000Z")
    hooks.catalog = DataCatalog({"config": older})
    newer.save({"seed": 1})
    hooks.before_dataset_saved("config", {"seed": 0})
    older.save({"seed": 0})
    older.release()
    assert older.load() == {"seed": 0}
    assert newer.load() == {"seed": 1}


def test_a_run_with_a_mistake_is_refused(tmp_path):
    with pytest.raises(ConfigError, match=r"^dataset.channels is 2, but must be 1 or 3\.$"):
        prepare(tmp_path, channels=2)


@pytest.mark.parametrize("name", ["a[b", "a*", "what?", "{variant}"])
def test_a_project_whose_path_kedro_would_take_for_a_pattern_is_refused(tmp_path, name):
    with pytest.raises(ConfigError) as caught:
        prepare(tmp_path / name)
    found = next(character for character in name if character in "[*?{")
    assert str(caught.value).startswith(f"{tmp_path / name} has {found} in its path, which Kedro takes for a pattern")


def test_a_summary_has_findings_then_files_and_comes_after_all_other_hooks(tmp_path, capsys):
    report = JSONDataset(filepath=f"{tmp_path}/data/report.json", version=Version(None, VERSION))
    report.save({"fid": 2.5})
    hooks = SummaryHooks(SimpleNamespace(list_addresses=lambda: {"Scores": "http://localhost"}))
    hooks.after_context_created(SimpleNamespace(project_path=tmp_path, env="cards"))
    hooks.after_catalog_created(DataCatalog({"wgan_gp.report": report, "findings": MemoryDataset()}), VERSION)
    hooks.before_pipeline_run()
    hooks.after_dataset_saved("wgan_gp.report", {"fid": 2.5})
    hooks.after_dataset_saved("findings", Findings({}, {}, ("FID 2.5",)))
    wrapper = hooks.after_pipeline_run()
    next(wrapper)
    assert capsys.readouterr().out == ""
    with pytest.raises(StopIteration):
        wrapper.send(None)
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "FID 2.5"
    assert lines[1].split() == ["report", str(Path("data/report.json") / VERSION / "report.json")]
    assert "--env=cards" in lines[2]
    assert lines[3] == "Scores in MLflow, after make ui: http://localhost"


def test_the_last_picture_of_a_folder_is_named_as_soon_as_it_is_saved(tmp_path, caplog):
    grids = PicturesDataset(filepath=f"{tmp_path}/data/grids", version=Version(None, VERSION))
    hooks = SummaryHooks(SimpleNamespace(list_addresses=dict))
    hooks.after_context_created(SimpleNamespace(project_path=tmp_path, env=None))
    hooks.after_catalog_created(DataCatalog({"cdcgan.sample_grids": grids}), VERSION)
    hooks.before_pipeline_run()
    pictures = {f"epoch-{epoch:04d}": np.zeros((4, 4, 3), np.uint8) for epoch in (2, 10)}
    grids.save(pictures)
    with caplog.at_level("INFO", "gan_pipelines"):
        hooks.after_dataset_saved("cdcgan.sample_grids", pictures)
    assert caplog.messages == [f"sample grids: data/grids/{VERSION}/grids/epoch-0010.png"]


def test_images_that_are_not_those_of_the_last_run_are_noticed(tmp_path, caplog):
    manifest = JSONDataset(filepath=f"{tmp_path}/manifest.json", version=Version(None, VERSION))
    hooks = PreflightHooks()
    hooks.catalog = DataCatalog({"manifest": manifest})
    hooks.before_dataset_saved("manifest", {"content_hash": "cats"})  # the first run
    manifest.save({"content_hash": "cats"})
    hooks.before_dataset_saved("manifest", {"content_hash": "cats"})
    hooks.before_dataset_saved("leaks", [])
    assert not caplog.messages
    hooks.before_dataset_saved("manifest", {"content_hash": "dogs"})
    assert [message.partition(": ")[0] for message in caplog.messages] == [
        f"The images are not those of this experiment's manifest {VERSION}"
    ]
