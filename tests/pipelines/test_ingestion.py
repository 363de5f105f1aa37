from __future__ import annotations

import shutil

import numpy as np
from PIL import Image

from gan_pipelines.core.stores import KeyedStore
from gan_pipelines.images import DatasetConfig, FolderConfig
from gan_pipelines.pipelines.ingestion.nodes import prepare_folder, prepare_images
from pictures import write_pictures


def test_a_picture_in_two_classes_is_warned_of_and_listed(tmp_path, caplog):
    folder = write_pictures(tmp_path / "cards")
    dataset = DatasetConfig(source="image_folder", path=str(folder), image_size=8, channels=3)
    prepare_images(KeyedStore(tmp_path / "sets"), dataset)
    assert not caplog.messages
    shutil.copy(folder / "train/ace/1.png", folder / "test/king/again.png")
    *_, manifest = prepare_images(KeyedStore(tmp_path / "sets"), dataset)
    assert manifest["conflicts"] == [{"image": "test/king/again.png", "twin": "train/ace/1.png", "correlation": 1.0}]
    (warning,) = (record.message for record in caplog.records if record.levelname == "WARNING")
    assert warning == (
        "Images that are in another class too, so one of their labels is wrong: 1. The manifest lists them."
    )


def test_pictures_made_elsewhere_have_the_range_of_the_dataset(tmp_path):
    """A dataset of 12 bits, and darker pictures, whose own range would be of 10 bits."""
    write_pictures(tmp_path / "cards")
    for folder, brightest in (("cards/train/ace", 4000), ("made/ace", 1000)):
        (tmp_path / folder).mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.full((16, 16), brightest, np.uint16)).save(tmp_path / folder / "deep.png")
    dataset = DatasetConfig(source="image_folder", path=str(tmp_path / "cards"), image_size=8, channels=1)
    store = KeyedStore(tmp_path / "sets")
    image_set, *_ = prepare_images(store, dataset)
    pictures, _ = prepare_folder(store, image_set, dataset, FolderConfig(path=str(tmp_path / "made")))
    assert image_set.value_range == pictures.value_range == (0, 4095)
    assert pictures.images.max() == round(1000 / 4095 * 255)
