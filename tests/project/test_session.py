"""Slices of pipelines, on the catalog of the project."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import pytest
from kedro.io import DataCatalog

from gan_pipelines import settings
from gan_pipelines.core.config import ConfigError
from gan_pipelines.pipeline_registry import register_pipelines
from gan_pipelines.project.session import ProjectSession, complete_slice, join, select_nodes, settle_versions

CONF = Path(__file__).parents[2] / "conf"
PIPELINES = register_pipelines()
VERSION = "2026-01-01T00.00.00.000Z"


@pytest.fixture(scope="module")
def catalog():
    loader = settings.CONFIG_LOADER_CLASS(str(CONF), env="base", **settings.CONFIG_LOADER_ARGS)
    return DataCatalog.from_config(loader["catalog"])


def sliced(catalog, pipeline, versions=(), **filters):
    """Names of the nodes of a slice, those that are added after a bar."""
    part = select_nodes(PIPELINES[pipeline], filters, pipeline)
    complete = complete_slice(part, PIPELINES[pipeline], catalog, versions)
    return {node.name for node in part.nodes}, {node.name for node in (complete - part).nodes}


@pytest.mark.parametrize(
    ("pipeline", "filters", "added"),
    [
        (
            "train_dcgan",
            {"node_names": ["dcgan.score_generators"]},
            {"prepare_images", "open_extractor", "open_reference"},
        ),
        (
            "train_dcgan",
            {"from_inputs": ["dcgan.generator"]},
            {"prepare_images", "open_extractor", "open_reference"},
        ),
        ("train_dcgan", {"from_nodes": ["dcgan.export_generator"]}, {"dcgan.summarize_scores"}),
        ("train_dcgan", {"node_names": ["show_images"]}, {"prepare_images"}),
        ("train_dcgan", {"node_names": ["dcgan.plot_losses"]}, set()),
        ("train_dcgan", {"to_nodes": ["open_extractor"]}, set()),
        ("augment_dcgan", {"from_nodes": ["dcgan.plot_arms"]}, set()),
        (
            "augment_dcgan",
            {"node_names": ["dcgan.choose_synthetic_images"]},
            {
                "prepare_images", "separate_images", "open_extractor", "open_reference", "make_monitor",
                "dcgan.resolve_config", "dcgan.train_generators", "dcgan.make_synthetic_images",
            },
        ),
    ],
)  # fmt: skip
def test_a_slice_is_completed_by_the_nodes_whose_entries_are_not_saved(catalog, pipeline, filters, added):
    assert sliced(catalog, pipeline, **filters)[1] == added


@pytest.mark.parametrize("name", [name for name in PIPELINES if name != "__default__"])
def test_every_slice_from_or_of_one_node_has_all_its_entries_in_memory(catalog, name):
    whole = PIPELINES[name]
    for node in whole.nodes:
        for argument in ("node_names", "from_nodes"):
            part = select_nodes(whole, {argument: [node.name]}, name)
            complete = complete_slice(part, whole, catalog)
            loaded = [
                each for each in complete.inputs() - whole.inputs() if not hasattr(catalog[each], "list_versions")
            ]
            assert not loaded
            assert not complete.inputs() & {f"{variant}.config" for variant in ("dcgan", "cdcgan", "wgan_gp")}


def test_the_settings_are_those_of_this_run_unless_a_version_is_asked_for(catalog):
    asked = {"node_names": ["dcgan.summarize_model"]}
    assert sliced(catalog, "train_dcgan", **asked)[1] == {"prepare_images", "dcgan.resolve_config"}
    assert sliced(catalog, "train_dcgan", ["dcgan.config"], **asked)[1] == {"prepare_images"}


def test_the_line_says_which_nodes_run_as_well(catalog, caplog):
    caplog.set_level("INFO")
    sliced(catalog, "train_dcgan", node_names=["dcgan.plot_losses"])
    assert not caplog.messages
    sliced(catalog, "train_dcgan", node_names=["show_images"])
    assert caplog.messages == ["Nodes that run as well, for what this slice needs: prepare_images"]


@pytest.mark.parametrize(
    ("filters", "sentence"),
    [
        ({"from_nodes": ["train_gan"]}, "There is no node 'train_gan' in train_dcgan; did you mean dcgan.train_gan?"),
        ({"to_nodes": ["dcgan.train"]}, "There is no node 'dcgan.train' in train_dcgan; did you mean dcgan.train_gan?"),
        ({"namespaces": ["dcgn"]}, "There is no namespace 'dcgn' in train_dcgan; did you mean dcgan?"),
        ({"from_inputs": ["image_st"]}, "There is no entry 'image_st' in train_dcgan; did you mean image_set?"),
        ({"to_outputs": ["histry"]}, "There is no entry 'histry' in train_dcgan; did you mean dcgan.history?"),
    ],
)
def test_what_a_slice_names_wrongly_is_named(filters, sentence):
    with pytest.raises(ConfigError) as caught:
        select_nodes(PIPELINES["train_dcgan"], filters, "train_dcgan")
    assert str(caught.value) == sentence


@pytest.mark.parametrize(
    ("pipeline", "name", "rest"),
    [
        ("evaluate_dcgan", "dcgan.generators", "did you mean dcgan.generator?"),
        ("evaluate_dcgan", "image_sets", "known are dcgan.best_generator, dcgan.generator"),
        ("train_dcgan", "dcgan.generator", "it loads none."),
    ],
)
def test_a_version_is_asked_only_of_what_a_run_loads(catalog, pipeline, name, rest):
    with pytest.raises(ConfigError) as caught:
        settle_versions({name: VERSION}, PIPELINES[pipeline], catalog)
    assert str(caught.value) == f"--load-versions has {name}, which is no versioned entry that this run loads; {rest}"


@pytest.mark.parametrize(
    ("stated", "loaded"),
    [
        ({}, {"dcgan.generator": "3", "dcgan.best_generator": "2"}),
        ({"dcgan.generator": "1"}, {"dcgan.generator": "1", "dcgan.best_generator": "1"}),
        ({"dcgan.generator": "3"}, {"dcgan.generator": "3", "dcgan.best_generator": "2"}),
        ({"dcgan.generator": "a-epoch-0001"}, {"dcgan.generator": "a-epoch-0001", "dcgan.best_generator": "2"}),
        ({"dcgan.best_generator": "1"}, {"dcgan.generator": "3", "dcgan.best_generator": "1"}),
        ({"dcgan.generator": "1", "dcgan.best_generator": "2"}, {"dcgan.generator": "1", "dcgan.best_generator": "2"}),
    ],
)
def test_entries_are_loaded_in_the_version_of_the_run_that_is_stated_or_in_the_newest(tmp_path, stated, loaded):
    """The run of version 3 was killed before it had saved its best generator."""
    entries = {}
    for name, versions in {"generator": ("1", "2", "3"), "best_generator": ("1", "2")}.items():
        path = tmp_path / f"{name}.safetensors"
        kind = {"type": "gan_pipelines.datasets.GeneratorDataset", "filepath": str(path), "versioned": True}
        entries[f"dcgan.{name}"] = kind
        for version in versions:
            file = path / version / path.name
            file.parent.mkdir(parents=True)
            file.touch()
    catalog = DataCatalog.from_config(entries)
    assert settle_versions(stated, PIPELINES["evaluate_dcgan"].only_nodes("dcgan.score_generators"), catalog) == loaded


def test_what_reads_all_runs_is_run_alone():
    parts = {name: PIPELINES[name] for name in ("compare", "ingest")}
    assert len(join({"compare": parts["compare"]}).nodes) == len(parts["compare"].nodes)
    with pytest.raises(
        ConfigError, match="^compare reads what earlier runs have saved; run it alone, after the others.$"
    ):
        join(parts)


def test_a_project_whose_path_kedro_takes_for_a_pattern_is_refused_before_its_settings_are_read(tmp_path):
    project = tmp_path / "cards[1]"
    loader = SimpleNamespace(conf_source=str(project / "conf"))
    session = SimpleNamespace(_project_path=project, _get_config_loader=lambda: loader)
    with pytest.raises(ConfigError, match=r"cards\[1\] has \[ in its path, which Kedro takes for a pattern"):
        ProjectSession.open_catalog(session)


def test_what_has_no_version_yet_is_left_to_the_checks_before_the_run(tmp_path):
    kind = {"type": "gan_pipelines.datasets.GeneratorDataset", "filepath": str(tmp_path / "none"), "versioned": True}
    catalog = DataCatalog.from_config({"dcgan.generator": kind})
    assert settle_versions({}, PIPELINES["sample_dcgan"], catalog) == {}
