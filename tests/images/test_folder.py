from __future__ import annotations

import numpy as np
import pytest

from gan_pipelines.core.config import ConfigError
from gan_pipelines.core.stores import KeyedStore
from gan_pipelines.images import UNLABELLED, DatasetConfig, FolderConfig, read_folder
from pictures import write_pictures

DATASET = DatasetConfig(source="digits", image_size=8, channels=1, on_bad_image="skip")
CLASSES = ("queen", "king", "ace")  # not in alphabetical order


@pytest.fixture
def read(tmp_path):
    return lambda folder, classes=CLASSES: read_folder(
        KeyedStore(tmp_path / "store"), FolderConfig(path=str(tmp_path / folder)), DATASET, classes
    )


def test_labels_are_those_of_the_dataset_which_may_have_more_classes(tmp_path, read):
    write_pictures(tmp_path, ["made"], ["ace", "queen"], count=2)
    pictures = read("made")
    assert pictures.class_names == CLASSES
    assert dict(zip(pictures.names, pictures.labels, strict=True)) == {
        "ace/0.png": 2, "ace/1.png": 2, "queen/0.png": 0, "queen/1.png": 0,
    }  # fmt: skip


def test_pictures_are_prepared_as_those_of_the_dataset(tmp_path, read):
    write_pictures(tmp_path, ["made"], ["ace"], size=32)
    (tmp_path / "made/ace/torn.png").write_bytes(b"torn")
    pictures = read("made")
    assert pictures.images.shape == (3, 1, 8, 8)
    assert len(pictures.skipped) == 1


def test_pictures_in_no_folder_of_a_class_have_no_labels(tmp_path, read):
    write_pictures(tmp_path, ["."], ["made"])
    assert read("made").class_names == UNLABELLED
    only_class = read("made", ("king",))
    assert only_class.class_names == ("king",)
    np.testing.assert_array_equal(only_class.labels, 0)


def test_labels_of_the_dataset_that_are_in_a_file_are_not_those_of_the_folder(tmp_path):
    write_pictures(tmp_path, ["made"], ["ace"])
    dataset = DatasetConfig(
        source="image_folder", path="cards", labels="a.csv", label_column="kind", image_size=8, channels=3
    )
    pictures = read_folder(KeyedStore(tmp_path / "store"), FolderConfig(path=str(tmp_path / "made")), dataset, CLASSES)
    assert pictures.labels.tolist() == [2, 2, 2]


def test_a_class_with_a_slash_is_in_the_folder_that_samples_of_it_are_in(tmp_path, read):
    write_pictures(tmp_path, ["made"], ["T-shirt-top", "ace"], count=1)
    assert read("made", ("ace", "T-shirt/top")).labels.tolist() == [1, 0]


def test_a_folder_of_no_class_beside_others_is_not_one_without_labels(tmp_path, read):
    write_pictures(tmp_path, ["made"], ["ace", "all"])
    with pytest.raises(ConfigError, match=r"^folder.path has a folder all, which is no class"):
        read("made")


def test_a_folder_of_another_class_is_refused(tmp_path, read):
    write_pictures(tmp_path, ["made"], ["ace", "quen"])
    with pytest.raises(ConfigError, match=r"^folder.path has a folder quen, .* did you mean queen\?$"):
        read("made")


def test_pictures_of_8_bits_stand_beside_a_dataset_of_more(tmp_path):
    write_pictures(tmp_path, ["made"], CLASSES)
    dataset = DatasetConfig(source="image_folder", path="any", image_size=8, channels=3, value_range=(0, 4095))
    folder = FolderConfig(path=str(tmp_path / "made"))
    pictures = read_folder(KeyedStore(tmp_path / "store"), folder, dataset, CLASSES)
    assert pictures.value_range is None
    assert pictures.levels[1] > 100


def test_a_folder_is_called_by_its_name_unless_another_is_stated(tmp_path, monkeypatch):
    (tmp_path / "turbo").mkdir()
    monkeypatch.chdir(tmp_path / "turbo")
    assert FolderConfig(path=".").label == "turbo"
    assert FolderConfig(path=".", name="sd").label == "sd"
