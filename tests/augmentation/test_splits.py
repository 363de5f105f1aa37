from __future__ import annotations

import io
from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from gan_pipelines.augmentation import AugmentationConfig, check_splits, draw_images, separate_images
from gan_pipelines.augmentation.splits import HeldOutImagesInTraining, training_sizes
from gan_pipelines.core.config import ConfigError
from gan_pipelines.core.hashing import hash_images
from gan_pipelines.images import ImageSet
from gan_pipelines.images.duplicates import make_thumbnails


def picture(seed):
    """(3, 64, 64) uint8: smooth colours, unlike those of any other seed."""
    coarse = np.random.default_rng(seed).integers(0, 256, (5, 5, 3), dtype=np.uint8)
    return np.asarray(Image.fromarray(coarse).resize((64, 64), Image.Resampling.BICUBIC)).transpose(2, 0, 1)


def reencode(pixels, size):
    """The picture after a change of size there and back, and a JPEG."""
    canvas = Image.fromarray(pixels.transpose(1, 2, 0)).resize((size, size))
    buffer = io.BytesIO()
    canvas.save(buffer, "JPEG", quality=60)
    return np.asarray(Image.open(buffer).resize((64, 64))).transpose(2, 0, 1)


def image_set(images, split_sizes, labels=None):
    images = np.stack(images)
    names = tuple(f"{split}/{n}.jpg" for split, size in split_sizes.items() for n in range(size))
    labels = np.arange(len(images)) % 2 if labels is None else labels
    return ImageSet(
        images, hash_images(images), labels, ("a", "b"), split_sizes, "bicubic", names, make_thumbnails(images)
    )


@pytest.fixture
def pictures():
    return [picture(seed) for seed in range(60)]


SIZES = {"train": 40, "test": 12, "valid": 8}


def test_without_leaks_every_image_keeps_its_split(pictures):
    images = image_set(pictures, SIZES)
    separated = separate_images(images)
    assert separated.leaks == ()
    for split, size in SIZES.items():
        part = getattr(separated, split)
        assert part.split_sizes == {split: size}
        assert part.content_hash == images.select(split).content_hash
        assert part.names == images.select(split).names


def test_a_reencoded_resized_copy_of_a_test_image_is_named_and_left_out(pictures):
    pictures[7] = reencode(pictures[45], size=60)  # test/5 in train
    pictures[8] = pictures[54]  # valid/2 in train, as it is
    pictures[52] = reencode(pictures[41], size=70)  # test/1 in valid
    separated = separate_images(image_set(pictures, SIZES))
    assert [(leak.image, leak.twin) for leak in separated.leaks] == [
        ("train/7.jpg", "test/5.jpg"), ("train/8.jpg", "valid/2.jpg"), ("valid/0.jpg", "test/1.jpg"),
    ]  # fmt: skip
    assert {leak.correlation == 1.0 for leak in separated.leaks[::2]} == {False}
    assert separated.leaks[1].correlation == 1.0
    assert not {"train/7.jpg", "train/8.jpg"} & {*separated.train.names}
    assert (len(separated.train), len(separated.valid), len(separated.test)) == (38, 7, 12)
    assert "valid/0.jpg" not in separated.valid.names


def test_a_class_whose_images_all_leak_is_refused(pictures):
    labels = np.arange(60) % 2
    labels[:39], labels[39] = 0, 1
    pictures[39] = pictures[41]
    with pytest.raises(HeldOutImagesInTraining, match="class b"):
        separate_images(image_set(pictures, SIZES, labels))


def test_a_validation_split_that_is_the_test_split_is_refused(pictures):
    pictures[52:60] = pictures[40:48]
    with pytest.raises(HeldOutImagesInTraining, match="No validation image of class a is left"):
        separate_images(image_set(pictures, SIZES))


def test_without_a_validation_split_a_tenth_of_each_class_becomes_one(pictures):
    separated = separate_images(image_set(pictures, {"train": 40, "test": 20}))
    assert (len(separated.train), len(separated.valid), len(separated.test)) == (36, 4, 20)
    assert np.bincount(separated.valid.labels).tolist() == [2, 2]
    assert not {*separated.train.names} & {*separated.valid.names}
    again = separate_images(image_set(pictures, {"train": 40, "test": 20}))
    assert again.valid.names == separated.valid.names


def test_the_gan_may_not_see_what_is_measured_on():
    check_splits(("train",), ["train", "test"])
    with pytest.raises(HeldOutImagesInTraining, match="train_splits has test"):
        check_splits(("train", "test"), ["train", "test"])
    with pytest.raises(HeldOutImagesInTraining, match="train_splits has valid"):
        check_splits(("valid", "train"), ["train", "test", "valid"])
    with pytest.raises(ConfigError, match="needs a test split"):
        check_splits(("train",), ["train", "valid"])


def test_draws_keep_the_classes_proportions_and_are_each_replicates_own(pictures):
    labels = np.array([0] * 30 + [1] * 10 + [0] * 19 + [1])
    splits = separate_images(image_set(pictures, SIZES, labels))
    train = splits.train
    config = AugmentationConfig(fractions=(0.05, 0.5, 1.0), replicates=2, seed=3)
    draws = draw_images(splits, config)
    assert [(draw.fraction, draw.seed) for draw in draws] == [
        (0.05, 3), (0.05, 4), (0.5, 3), (0.5, 4), (1.0, 3), (1.0, 4),
    ]  # fmt: skip
    counts = [Counter(draw.images.labels.tolist()) for draw in draws]
    assert counts == [{0: 2, 1: 1}] * 2 + [{0: 15, 1: 5}] * 2 + [{0: 30, 1: 10}] * 2
    names = [{*draw.images.names} for draw in draws]
    assert names[2] != names[3]
    assert names[0] < names[2] < names[4]
    assert names[4] == names[5] == {*train.names}
    for draw in draws:
        rows = [train.names.index(name) for name in draw.images.names]
        assert np.array_equal(draw.images.images, train.images[rows])


def test_fractions_that_draw_the_same_images_are_refused(pictures):
    splits = separate_images(image_set(pictures, SIZES, np.array([0] * 30 + [1] * 10 + [0] * 19 + [1])))
    message = "augmentation.fractions has 0.05 and 0.06, which draw the same 3 images, at least one of each class"
    with pytest.raises(ConfigError, match=message):
        draw_images(splits, AugmentationConfig(fractions=(0.05, 0.06, 1.0), replicates=2))


def test_without_a_validation_split_a_tenth_of_each_class_is_not_trained_on(pictures):
    assert training_sizes([30, 10, 4], has_valid=False) == [27, 9, 3]
    assert training_sizes([30, 10, 4], has_valid=True) == [30, 10, 4]
    labels = np.array([0] * 30 + [1] * 10)
    splits = separate_images(image_set(pictures[:60], {"train": 40, "test": 20}, np.concatenate([labels, labels[20:]])))
    assert np.bincount(splits.train.labels).tolist() == training_sizes([30, 10], has_valid=False)


def test_a_replicate_has_no_more_validation_images_than_a_share_of_its_training_images(pictures):
    labels = np.array([0] * 5 + [1] * 3 + [0] * 8 + [1] * 4 + [0] * 30 + [1] * 10)
    splits = separate_images(image_set(pictures, {"train": 8, "test": 12, "valid": 40}, labels))

    def valid_of(share):
        config = AugmentationConfig(fractions=(1.0,), replicates=2, max_valid_share=share)
        return [draw.valid for draw in draw_images(splits, config)]

    one, other = valid_of(0.5)
    assert Counter(one.labels.tolist()) == {0: 3, 1: 1}  # three quarters are of class 0
    assert [Counter(valid.labels.tolist()) for valid in valid_of(0.9)] == [{0: 5, 1: 2}] * 2  # all 7, not 5 and 1
    assert {*one.names} < {*splits.valid.names}
    assert one.names != other.names
    assert valid_of(0.5)[0].names == one.names
    assert Counter(valid_of(0.01)[0].labels.tolist()) == {0: 1, 1: 1}


def test_a_small_validation_split_is_taken_whole(pictures):
    splits = separate_images(image_set(pictures, SIZES))
    (draw, _) = draw_images(splits, AugmentationConfig(fractions=(1.0,), replicates=2, max_valid_share=1.0))
    assert draw.valid.names == splits.valid.names


@pytest.mark.parametrize(
    ("settings", "name"),
    [
        ({"fractions": (0.0,)}, "fractions"),
        ({"fractions": (1.5,)}, "fractions"),
        ({"fractions": ()}, "fractions"),
        ({"ratios": (1.0, 1.0)}, "ratios"),
        ({"ratios": (-1.0,)}, "ratios"),
        ({"replicates": 1}, "replicates"),
        ({"max_valid_share": 0.0}, "max_valid_share"),
        ({"max_valid_share": 1.5}, "max_valid_share"),
        ({"generator_epochs": 0}, "generator_epochs"),
        ({"seed": -1}, "seed"),
    ],
)
def test_settings_that_cannot_work_are_refused(settings, name):
    with pytest.raises(ConfigError, match=name):
        replace(AugmentationConfig(), **settings)
