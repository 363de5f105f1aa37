"""Parameters of a run, from the plain values of YAML to typed settings."""

from __future__ import annotations

import pytest

from gan_pipelines.core.config import ConfigError, parse
from gan_pipelines.gan import VARIANTS, OptimizerConfig, SamplingConfig
from gan_pipelines.gan.variants import parse_variant
from gan_pipelines.images import DatasetConfig
from gan_pipelines.metrics import ScoringConfig
from gan_pipelines.project.parameters import Parameters, parse_parameters

RAW = {
    "experiment": "digits",
    "dataset": {"source": "digits", "image_size": 32, "channels": 1},
    "variants": {"dcgan": None, "wgan_gp": {"epochs": 3, "generator_optimizer": {"learning_rate": 1e-3}}},
    "runtime": {"device": "cpu", "fresh": True},
    "sampling": {"count": 0},
}


def test_only_the_sections_that_a_run_uses_are_parsed():
    parameters = parse_parameters(RAW, ["images", "params:dataset", "params:runtime.fresh", "params:variants.wgan_gp"])
    assert parameters.dataset.image_size == 32
    assert parameters.sampling is None
    assert list(parameters.variants) == ["wgan_gp"]
    with pytest.raises(ConfigError, match="^sampling.count is 0, but must be 1 or more"):
        parse_parameters(RAW, ["params:sampling"])


def test_entries_of_the_catalog_get_typed_values():
    names = ["params:dataset", "params:runtime.device", "params:runtime.fresh", "params:variants.dcgan"]
    parameters = parse_parameters(RAW, [*names, "params:experiment"])
    values = [parameters.value(name) for name in [*names, "params:experiment"]]
    assert values == [parameters.dataset, "cpu", True, VARIANTS["dcgan"], "digits"]


def test_the_settings_of_a_variant_are_laid_over_its_row():
    config = parse_variant("wgan_gp", RAW["variants"]["wgan_gp"])
    assert config.epochs == 3
    assert config.penalties == VARIANTS["wgan_gp"].penalties
    assert config.generator_optimizer == OptimizerConfig(learning_rate=1e-3, betas=(0.0, 0.9))
    assert parse_variant("wgan_gp", {"penalties": [], "weight_clip": 0.01}).penalties == ()
    assert parse_variant("dcgan", None) == VARIANTS["dcgan"]


@pytest.mark.parametrize(
    ("changes", "entry", "sentence"),
    [
        ({"datasets": {}}, "params:dataset", "datasets is not a section of the parameters; did you mean dataset?"),
        ({"variants": {"cdgan": {}}}, "params:dataset", "variants.cdgan is not a variant; did you mean cdcgan?"),
        ({"variants": 3}, "params:dataset", "variants is 3, but must be a mapping of variants."),
        ({}, "params:variants.sagan", "This environment says nothing of sagan; variants.sagan: {}"),
        ({}, "params:scoring", "The parameters of this environment lack scoring; "),
        ({"variants": None}, "params:variants.sagan", "This environment says nothing of sagan; variants.sagan: {}"),
        ({"sampling": 3}, "params:sampling", "sampling is 3, but must be a mapping of settings."),
        ({"dataset": {3: 4}}, "params:dataset", "a name in dataset is 3, but must be a text."),
        ({"sampling": {"classes": []}}, "params:sampling", "sampling.classes is [], but must be a list of 1 or more."),
        ({"sampling": {"seed": 2**63}}, "params:sampling", f"sampling.seed is {2**63}, but must be below {2**63}."),
        ({"dataset": None}, "params:dataset", "dataset is None, but must be a mapping of settings."),
        ({"runtime": {"fresh": "yes"}}, "params:runtime.fresh", "runtime.fresh is 'yes', but must be true or false."),
    ],
)
def test_mistakes_are_one_sentence(changes, entry, sentence):
    with pytest.raises(ConfigError) as caught:
        parse_parameters(RAW | changes, [entry])
    assert str(caught.value).startswith(sentence)


@pytest.mark.parametrize("classes", [[3, "7"], "3;7", "3; 7"])
def test_classes_are_a_list_or_a_text_as_the_command_line_gives_it(classes):
    assert parse(SamplingConfig, {"classes": classes}, "sampling").classes == ("3", "7")
    assert parse(SamplingConfig, {"classes": 3}, "sampling").classes == ("3",)
    assert parse(SamplingConfig, {"classes": None}, "sampling").classes is None


def test_a_path_leads_to_the_same_place_wherever_the_run_was_started_and_is_logged(monkeypatch, tmp_path):
    dataset = DatasetConfig(source="image_folder", path="data/cards", image_size=8, channels=1)
    (tmp_path / "notebooks").mkdir()
    for folder, read in [(".", "data/cards"), ("notebooks", f"{tmp_path}/data/cards")]:
        monkeypatch.chdir(tmp_path / folder)
        assert Parameters("digits", dataset=dataset).anchored(tmp_path).dataset.path == read


@pytest.mark.parametrize(("stated", "read"), [("/disk/cards", "/disk/cards"), ("~/cards", "/home/me/cards")])
def test_absolute_paths_and_the_home_folder_are_not_those_of_the_project(monkeypatch, tmp_path, stated, read):
    monkeypatch.setenv("HOME", "/home/me")
    dataset = DatasetConfig(source="image_folder", path=stated, image_size=8, channels=1)
    scoring = ScoringConfig(extractor="inception", extractor_weights=stated)
    anchored = Parameters("digits", dataset=dataset, scoring=scoring).anchored(tmp_path)
    assert (anchored.dataset.path, anchored.scoring.extractor_weights) == (read, read)
