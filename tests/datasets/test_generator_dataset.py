from __future__ import annotations

import pytest
import torch
from kedro.io import DatasetError, Version

from gan_pipelines.datasets import GeneratorDataset
from gan_pipelines.gan import train


@pytest.fixture
def generator(tiny_gan, tiny_images):
    return next(train(tiny_gan, tiny_images, device="cpu")).generator


def test_round_trip_without_versions(generator, tmp_path):
    dataset = GeneratorDataset(filepath=str(tmp_path / "models" / "generator.safetensors"))
    assert not dataset.exists()
    dataset.save(generator)
    dataset.save(generator)
    assert dataset.exists()
    assert (tmp_path / "models/generator.safetensors").stat().st_mode & 0o777 == 0o644
    loaded = dataset.load()
    assert loaded.version is None
    assert torch.equal(loaded.sample(3, seed=0), generator.sample(3, seed=0))


def test_a_versioned_generator_knows_its_version(generator, tmp_path):
    path = str(tmp_path / "generator.safetensors")
    assert not GeneratorDataset(filepath=path, version=Version(None, None)).exists()
    for version in ("2026-01-01T00.00.00.000Z", "2026-01-02T00.00.00.000Z"):
        GeneratorDataset(filepath=path, version=Version(None, version)).save(generator)
    assert GeneratorDataset(filepath=path, version=Version(None, None)).load().version == "2026-01-02T00.00.00.000Z"
    assert GeneratorDataset(filepath=path, version=Version(None, None)).exists()
    pinned = GeneratorDataset(filepath=path, version=Version("2026-01-01T00.00.00.000Z", None))
    assert pinned.load().version == "2026-01-01T00.00.00.000Z"


def test_a_version_is_never_overwritten(generator, tmp_path):
    path, version = str(tmp_path / "generator.safetensors"), Version(None, "2026-01-01T00.00.00.000Z")
    GeneratorDataset(filepath=path, version=version).save(generator)
    with pytest.raises(DatasetError, match="must not exist if versioning is enabled"):
        GeneratorDataset(filepath=path, version=version).save(generator)


def test_a_missing_generator_is_a_dataset_error(tmp_path):
    with pytest.raises(DatasetError):
        GeneratorDataset(filepath=str(tmp_path / "generator.safetensors")).load()
    with pytest.raises(DatasetError, match="Did not find any versions"):
        GeneratorDataset(filepath=str(tmp_path / "generator.safetensors"), version=Version(None, None)).load()


def test_a_save_that_fails_leaves_nothing(tmp_path):
    dataset = GeneratorDataset(filepath=str(tmp_path / "generator.safetensors"))
    with pytest.raises(DatasetError):
        dataset.save("no generator")
    assert list(tmp_path.iterdir()) == []
