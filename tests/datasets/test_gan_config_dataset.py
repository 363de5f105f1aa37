from __future__ import annotations

import json

import pytest
from kedro.io import DatasetError, Version

from gan_pipelines.datasets import GanConfigDataset
from gan_pipelines.gan import VARIANTS


@pytest.mark.parametrize("variant", VARIANTS)
def test_every_variant_survives_a_round_trip(tmp_path, variant):
    dataset = GanConfigDataset(filepath=str(tmp_path / "config.json"))
    assert not dataset.exists()
    dataset.save(VARIANTS[variant])
    assert dataset.load() == VARIANTS[variant]
    assert dataset.exists()


def test_the_newest_version_is_loaded(tmp_path):
    path = str(tmp_path / "config.json")
    for version, variant in (("1", "dcgan"), ("2", "wgan")):
        GanConfigDataset(filepath=path, version=Version(None, version)).save(VARIANTS[variant])
    assert GanConfigDataset(filepath=path, version=Version(None, None)).load() == VARIANTS["wgan"]
    assert GanConfigDataset(filepath=path, version=Version("1", None)).load() == VARIANTS["dcgan"]
    assert (tmp_path / "config.json/2/config.json").is_file()


def test_the_preview_is_the_file(tmp_path):
    dataset = GanConfigDataset(filepath=str(tmp_path / "config.json"))
    dataset.save(VARIANTS["wgan_gp"])
    assert json.loads(dataset.preview())["penalties"][0]["weight"] == 10


def test_a_setting_of_another_version_of_the_project_is_a_dataset_error(tmp_path):
    dataset = GanConfigDataset(filepath=str(tmp_path / "config.json"))
    dataset.save(VARIANTS["wgan_gp"])
    file = tmp_path / "config.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | {"instance_noise": 5}))
    with pytest.raises(DatasetError, match="instance_noise is not a setting"):
        dataset.load()


def test_the_settings_of_earlier_versions_have_their_present_names(tmp_path):
    file = tmp_path / "config.json"
    dataset = GanConfigDataset(filepath=str(file))
    dataset.save(VARIANTS["wgan_gp"])
    earlier = json.loads(file.read_text())
    (earlier["penalty"],) = earlier.pop("penalties")
    earlier["critic_steps"] = earlier.pop("discriminator_steps")
    earlier["augmentation"] = earlier.pop("transforms")
    earlier["networks"]["critic_norm"] = earlier["networks"].pop("discriminator_norm")
    file.write_text(json.dumps(earlier))
    assert dataset.load() == VARIANTS["wgan_gp"]


def test_a_missing_configuration_is_a_dataset_error(tmp_path):
    with pytest.raises(DatasetError):
        GanConfigDataset(filepath=str(tmp_path / "config.json")).load()
