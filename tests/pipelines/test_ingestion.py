from __future__ import annotations

import shutil

from gan_pipelines.core.stores import KeyedStore
from gan_pipelines.images import DatasetConfig
from gan_pipelines.pipelines.ingestion.nodes import prepare_images
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
    assert warning.startswith("1 images are in another class too, so one of their labels is wrong")
