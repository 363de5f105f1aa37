from __future__ import annotations

import json

import numpy as np
import pytest
import torch
from kedro.io import DatasetError, Version
from torchvision.datasets import ImageFolder

from gan_pipelines.augmentation import SyntheticImages
from gan_pipelines.datasets import LabelledFolderDataset
from gan_pipelines.images import DatasetConfig, open_source


def synthetic(channels, names=("cat", "dog/wolf", "eel")):
    images = torch.randint(0, 256, (7, channels, 6, 6), dtype=torch.uint8)
    places = torch.tensor([0, 1, 2, 3, 5, 6, 9])
    return SyntheticImages(images.numpy(), torch.tensor([1, 0, 2, 1, 1, 0, 2]), places, names, {"seed": 3})


@pytest.mark.parametrize("channels", [1, 3])
def test_what_is_saved_is_loaded(tmp_path, channels):
    made = synthetic(channels)
    dataset = LabelledFolderDataset(filepath=str(tmp_path / "made"))
    dataset.save(made)
    loaded = dataset.load()
    assert np.array_equal(loaded.images, made.images)
    assert torch.equal(loaded.labels, made.labels)
    assert torch.equal(loaded.places, made.places)
    assert (loaded.class_names, loaded.provenance) == (made.class_names, {"seed": 3})


def test_names_of_classes_do_not_lead_out_of_the_folder(tmp_path):
    made = synthetic(3, names=("..", "", "../../eel"))
    dataset = LabelledFolderDataset(filepath=str(tmp_path / "place/made"))
    dataset.save(made)
    assert {path.relative_to(tmp_path).parts[0] for path in tmp_path.rglob("*")} == {"place"}
    assert {path.parent.name for path in tmp_path.rglob("*.png")} == {"_..", "_", "..-..-eel"}
    assert dataset.load().class_names == made.class_names


def test_torchvision_and_the_projects_own_source_read_the_folder(tmp_path):
    made = synthetic(3)
    LabelledFolderDataset(filepath=str(tmp_path / "made")).save(made)
    folder = ImageFolder(tmp_path / "made")
    assert folder.classes == ["cat", "dog-wolf", "eel"]
    assert [label for _, label in folder] == sorted(made.labels.tolist())
    assert np.array_equal(np.asarray(folder[0][0]), made.images[1].transpose(1, 2, 0))
    source = open_source(
        DatasetConfig(
            source="image_folder", path=str(tmp_path / "made"), folder_split="train", image_size=6, channels=3
        )
    )
    assert len(source.items) == 7
    description = json.loads((tmp_path / "made" / "dataset.json").read_text())
    assert description["images"] == 7
    assert description["classes"][1] == {"name": "dog/wolf", "folder": "dog-wolf", "images": 3}


def test_a_class_without_images_and_names_out_of_order_are_read_as_well(tmp_path):
    made = synthetic(3, names=("wolf", "cat", "ant", "none"))
    dataset = LabelledFolderDataset(filepath=str(tmp_path / "made"))
    dataset.save(made)
    folder = ImageFolder(tmp_path / "made")
    assert folder.classes == ["ant", "cat", "wolf"]
    assert [label for _, label in folder] == [0, 0, 1, 1, 1, 2, 2]
    assert torch.equal(dataset.load().labels, made.labels)
    assert dataset.load().class_names == made.class_names


def test_versions(tmp_path):
    dataset = LabelledFolderDataset(filepath=str(tmp_path / "made"), version=Version(None, "2026-01-01T00.00.00.000Z"))
    dataset.save(synthetic(1))
    assert len(LabelledFolderDataset(filepath=str(tmp_path / "made"), version=Version(None, None)).load().images) == 7
    with pytest.raises(DatasetError):
        LabelledFolderDataset(filepath=str(tmp_path / "none")).load()
