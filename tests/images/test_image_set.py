from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from gan_pipelines.core.config import ConfigError
from gan_pipelines.core.hashing import hash_images
from gan_pipelines.images import ImageSet
from gan_pipelines.images.duplicates import make_thumbnails


@pytest.fixture
def image_set():
    """Image k is of shade k and of class k % 3; train 0-5, test 6-8, valid 9."""
    images = np.arange(10, dtype=np.uint8)[:, None, None, None] * np.ones((1, 3, 2, 2), np.uint8)
    split_sizes = {"train": 6, "test": 3, "valid": 1}
    labels, names = np.arange(10) % 3, tuple("0123456789")
    return ImageSet(
        images, hash_images(images), labels, ("a", "b", "c"), split_sizes, "bicubic", names, make_thumbnails(images)
    )


@pytest.mark.parametrize(
    ("splits", "shades"),
    [
        (("train",), [0, 1, 2, 3, 4, 5]),
        (("test",), [6, 7, 8]),
        (("valid", "train"), [0, 1, 2, 3, 4, 5, 9]),
        (("train", "test", "valid"), list(range(10))),
    ],
)
def test_splits_are_told_apart(image_set, splits, shades):
    chosen = image_set.select(*splits)
    assert chosen.images[:, 0, 0, 0].tolist() == shades
    assert chosen.labels.tolist() == [shade % 3 for shade in shades]
    assert list(chosen.split_sizes) == [split for split in image_set.split_sizes if split in splits]
    assert len(chosen) == len(shades)
    assert np.array_equal(chosen.thumbnails, make_thumbnails(chosen.images))


def test_splits_side_by_side_are_a_view(image_set):
    assert np.shares_memory(image_set.select("test").images, image_set.images)
    assert np.shares_memory(image_set.select("train", "test").images, image_set.images)
    assert not np.shares_memory(image_set.select("train", "valid").images, image_set.images)


def test_classes_take_turns_and_a_class_without_more_images_starts_over(image_set):
    one_c = replace(image_set.take(np.array([0, 1, 2, 3]), "train"), class_names=("a", "b", "c", "absent"))
    assert one_c.rows_by_class_in_turn(7).tolist() == [0, 1, 2, 3, 1, 2, 0]


def test_an_unknown_split_is_named(image_set):
    with pytest.raises(ConfigError, match="no split 'dev'; this dataset has train, test, valid"):
        image_set.select("dev")


def test_the_manifest_counts_what_is_there(image_set):
    manifest = json.loads(json.dumps(image_set.manifest()))
    assert manifest["images"] == 10
    assert (manifest["channels"], manifest["height"], manifest["width"]) == (3, 2, 2)
    assert manifest["class_counts"] == {
        "train": {"a": 2, "b": 2, "c": 2},
        "test": {"a": 1, "b": 1, "c": 1},
        "valid": {"a": 1, "b": 0, "c": 0},
    }
    assert manifest["content_hash"] == image_set.content_hash
    assert manifest["split_hashes"]["test"] == image_set.select("test").content_hash
    assert len(set(manifest["split_hashes"].values())) == 3


def test_the_manifest_lists_images_in_two_classes(image_set):
    copied = image_set.images.copy()
    copied[[3, 7, 8]] = copied[[0, 0, 1]]  # 3 is of the class of 0, 7 and 8 are of others than 0 and 1
    twice = replace(image_set, images=copied, image_hashes=hash_images(copied))
    assert [(each["image"], each["twin"]) for each in twice.manifest()["conflicts"]] == [("7", "0"), ("8", "1")]
    assert image_set.manifest()["conflicts"] == []


def test_an_image_set_is_hashed_once(image_set, monkeypatch):
    hashed = []
    monkeypatch.setattr(
        "gan_pipelines.images.image_set.hash_dataset", lambda *parts: hashed.append(len(parts[0])) or str(parts[1])
    )
    image_set.manifest()
    image_set.manifest()
    assert image_set.content_hash == image_set.content_hash
    assert sorted(hashed) == [1, 3, 6, 10]
    hashed.clear()
    test = image_set.select("test")
    assert test.manifest()["split_hashes"] == {"test": test.content_hash}
    assert hashed == [3]


def test_the_hash_sees_every_pixel_label_and_name(image_set):
    pixel = image_set.images.copy()
    pixel[4, 1, 0, 1] += 1
    labels = image_set.labels.copy()
    labels[4] = 0
    changed = [
        replace(image_set, images=pixel, image_hashes=hash_images(pixel)),
        replace(image_set, labels=labels),
        replace(image_set, class_names=("a", "b", "d")),
    ]
    hashes = {each.content_hash for each in [image_set, replace(image_set), *changed]}
    assert len(hashes) == 4
