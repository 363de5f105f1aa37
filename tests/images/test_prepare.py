from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from PIL import Image
from sklearn.datasets import load_digits

from gan_pipelines.core.config import ConfigError
from gan_pipelines.core.hashing import hash_images
from gan_pipelines.core.stores import KeyedStore
from gan_pipelines.images import DatasetConfig, ImageSet, prepare, prepare_image_set
from gan_pipelines.images.duplicates import make_thumbnails
from gan_pipelines.images.sources import open_digits

CONFIG = DatasetConfig(source="digits", image_size=32, channels=1)


@pytest.fixture(scope="module")
def digits(tmp_path_factory) -> ImageSet:
    return prepare_image_set(KeyedStore(tmp_path_factory.mktemp("sets")), CONFIG)


def test_all_digits_are_there_once_in_stratified_splits(digits):
    assert digits.images.shape == (1797, 1, 32, 32)
    assert digits.images.dtype == np.uint8
    assert digits.split_sizes == {"train": 1257, "test": 360, "valid": 180}
    assert digits.class_names == tuple("0123456789")
    assert np.bincount(digits.labels).tolist() == np.bincount(load_digits().target).tolist()
    counts = digits.manifest()["class_counts"]
    assert min(counts["test"].values()) >= 34
    assert min(counts["valid"].values()) >= 17


def test_images_are_the_digits_resized(digits):
    source = load_digits()
    expected = []
    for picture in source.images:
        small = Image.fromarray((picture * 255 / 16).round().astype(np.uint8))
        expected.append(np.asarray(small.resize((32, 32), Image.Resampling.BICUBIC)).tobytes())
    ours = [image.tobytes() for image in digits.images]
    assert sorted(ours) == sorted(expected)
    labels = dict(zip(expected, source.target, strict=True))
    assert [labels[image] for image in ours] == digits.labels.tolist()


def test_images_are_memory_mapped(digits):
    assert isinstance(digits.images, np.memmap)


def test_thumbnails_are_computed_once_and_kept(tmp_path, monkeypatch):
    config = replace(CONFIG, image_size=8)
    first = prepare_image_set(KeyedStore(tmp_path), config)
    monkeypatch.setattr(prepare, "make_thumbnails", lambda *_: pytest.fail("computed again"))
    again = prepare_image_set(KeyedStore(tmp_path), config)
    assert np.array_equal(again.thumbnails, make_thumbnails(np.asarray(first.images)))


def test_a_second_call_prepares_nothing(tmp_path, monkeypatch):
    store = KeyedStore(tmp_path)
    first = prepare_image_set(store, replace(CONFIG, image_size=8))
    monkeypatch.setattr(prepare, "to_pixels", lambda *_: pytest.fail("resized again"))
    second = prepare_image_set(store, replace(CONFIG, image_size=8))
    assert second.content_hash == first.content_hash
    assert np.array_equal(second.images, first.images)


@pytest.mark.parametrize("change", [{"image_size": 16}, {"channels": 3}, {"resize_filter": "box"}])
def test_other_settings_give_another_set(tmp_path, change):
    store = KeyedStore(tmp_path)
    prepare_image_set(store, replace(CONFIG, image_size=8))
    prepare_image_set(store, replace(CONFIG, **({"image_size": 8} | change)))
    assert len(list(tmp_path.glob("[!.]*"))) == 2


def test_reading_an_image_does_not_change_the_file(tmp_path):
    config = replace(CONFIG, image_size=8)
    image_set = prepare_image_set(KeyedStore(tmp_path), config)
    image_set.images[0] = 7
    again = prepare_image_set(KeyedStore(tmp_path), config)
    assert np.array_equal(hash_images(again.images), again.image_hashes)


def test_the_source_is_the_same_each_time():
    assert open_digits(CONFIG).stamp == open_digits(CONFIG).stamp
    assert open_digits(CONFIG).items == open_digits(CONFIG).items


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"image_size": 0}, "image_size is 0, but must be 1 or more"),
        ({"channels": 2}, "channels is 2, but must be 1 or 3"),
        ({"resize_filter": "nearest"}, "resize_filter is 'nearest'"),
        ({"source": "imagenet"}, "source is 'imagenet'"),
        ({"train_splits": ()}, "train_splits is"),
    ],
)
def test_settings_that_cannot_work_are_refused(change, message):
    with pytest.raises(ConfigError, match=message):
        replace(CONFIG, **change)
