from __future__ import annotations

import base64
import io

import numpy as np
import pytest
from kedro.io import DatasetError, Version
from PIL import Image

from gan_pipelines.datasets import PicturesDataset

GRIDS = {
    name: np.random.default_rng(seed).integers(0, 256, (6, 9, 3), dtype=np.uint8)
    for seed, name in enumerate(["epoch-0001", "epoch-0010", "epoch-0002", "epoch-0002.5"])
}


@pytest.mark.parametrize("version", [None, Version(None, "2026-01-01T00.00.00.000Z")])
def test_round_trip(tmp_path, version):
    path = str(tmp_path / "grids")
    PicturesDataset(filepath=path, version=version).save(GRIDS)
    loaded = PicturesDataset(filepath=path, version=version and Version(None, None)).load()
    assert list(loaded) == ["epoch-0001", "epoch-0002", "epoch-0002.5", "epoch-0010"]
    assert all(np.array_equal(loaded[name], GRIDS[name]) for name in GRIDS)


def test_an_unversioned_entry_is_replaced_as_a_whole(tmp_path):
    dataset = PicturesDataset(filepath=str(tmp_path / "grids"))
    dataset.save(GRIDS)
    dataset.save({"only": GRIDS["epoch-0001"]})
    assert list(dataset.load()) == ["only"]


def test_the_preview_is_the_last_picture(tmp_path):
    dataset = PicturesDataset(filepath=str(tmp_path / "grids"))
    dataset.save(GRIDS)
    shown = Image.open(io.BytesIO(base64.b64decode(dataset.preview())))
    assert np.array_equal(np.asarray(shown), GRIDS["epoch-0010"])


def test_missing_pictures_are_a_dataset_error(tmp_path):
    with pytest.raises(DatasetError, match="There is no folder"):
        PicturesDataset(filepath=str(tmp_path / "grids")).load()


def test_a_run_without_pictures_saves_and_loads_none(tmp_path):
    dataset = PicturesDataset(filepath=str(tmp_path / "grids"))
    dataset.save({})
    assert dataset.load() == {}


def test_slashes_in_names_are_folders_and_grey_stays_grey(tmp_path):
    dataset = PicturesDataset(filepath=str(tmp_path / "samples"))
    grey = np.arange(12, dtype=np.uint8).reshape(3, 4, 1)
    dataset.save({"two/00000": grey, "one/00000": grey * 2})
    assert Image.open(tmp_path / "samples/two/00000.png").mode == "L"
    loaded = dataset.load()
    assert list(loaded) == ["one/00000", "two/00000"]
    assert np.array_equal(loaded["two/00000"], grey.repeat(3, axis=2))
