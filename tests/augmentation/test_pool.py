"""Pictures that were made elsewhere, in the place of generated images."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
import torch

from gan_pipelines.augmentation import (
    AugmentationConfig,
    Replicate,
    draw_images,
    make_synthetic_set,
    open_pool,
    pair_near_copies,
    pool,
    separate_images,
)
from gan_pipelines.augmentation.config import ArmClassifierConfig, SyntheticConfig
from gan_pipelines.augmentation.splits import HeldOutImagesInTraining
from gan_pipelines.augmentation.synthetic_sets import hash_synthetic_set
from gan_pipelines.core.hashing import hash_images
from gan_pipelines.core.stores import KeyedStore
from gan_pipelines.images import UNLABELLED, ImageSet
from gan_pipelines.images.duplicates import make_thumbnails

NAMES = ("dark", "bright")
CONFIG = AugmentationConfig(
    fractions=(0.5,),
    replicates=2,
    ratios=(1.0,),
    classifier=ArmClassifierConfig(epochs=4, batch_size=8, learning_rates=(0.02,)),
)


def shades(labels, seed):
    """Dark images of class 0 and bright ones of class 1, with noise."""
    noise = np.random.default_rng(seed).integers(0, 60, (len(labels), 1, 16, 16))
    return (np.asarray(labels)[:, None, None, None] * 190 + noise).astype(np.uint8)


def folder(images, labels, class_names=NAMES):
    names = tuple(f"{number}.png" for number in range(len(images)))
    return ImageSet(
        images=images,
        image_hashes=hash_images(images),
        labels=np.asarray(labels, dtype=np.int64),
        class_names=class_names,
        split_sizes={"train": len(images)},
        resize_filter="bicubic",
        names=names,
        thumbnails=make_thumbnails(images),
    )


@pytest.fixture
def splits(striped_images):
    return separate_images(striped_images)


@pytest.fixture
def draws(splits):
    return draw_images(splits, CONFIG)


@pytest.fixture
def pictures():
    """60 dark and 40 bright ones."""
    labels = [0] * 60 + [1] * 40
    return folder(shades(labels, seed=1), labels)


def make(draw, source, tmp_path, **settings):
    config = replace(CONFIG, synthetic=SyntheticConfig(**settings))
    return make_synthetic_set(KeyedStore(tmp_path / "sets"), Replicate(draw, source), config, "cpu")


def rows_of(images, pictures):
    """Row of each image among the pictures."""
    rows = {digest.tobytes(): row for row, digest in enumerate(pictures.image_hashes)}
    return [rows[digest.tobytes()] for digest in hash_images(images)]


def test_each_picture_is_taken_at_most_once_with_its_label_and_every_replicate_draws_its_own(
    draws, splits, pictures, tmp_path
):
    source = open_pool(pictures, splits)
    drawn = []
    for draw in draws:
        made = make(draw, source, tmp_path)
        rows = rows_of(made.images, pictures)
        assert len({*rows}) == len(rows) == len(draw.images) == 20
        assert np.array_equal(pictures.labels[rows], made.labels)
        assert Counter(made.labels.tolist()) == Counter(draw.images.labels.tolist())
        assert {"labels_from": "folder", "pictures": 100, "missing": {}}.items() <= made.provenance.items()
        drawn.append(rows)
    assert {*drawn[0]} != {*drawn[1]}
    assert rows_of(make(draws[0], source, tmp_path / "again").images, pictures) == drawn[0]


def test_a_pool_offers_all_pictures_in_rounds(splits, pictures, monkeypatch):
    monkeypatch.setattr(pool, "OFFERED", 30)
    source = open_pool(pictures, splits)
    assert source.rounds == 4

    def offer(seed):
        rounds = [
            source.offer(attempt, torch.zeros(1), 1, seed=seed, config=SyntheticConfig(), device="cpu")
            for attempt in range(4)
        ]
        assert [len(each.labels) for each in rounds] == [30, 30, 30, 10]
        rows = rows_of(torch.cat([each.images for each in rounds]).numpy(), pictures)
        assert np.array_equal(torch.cat([each.labels for each in rounds]), pictures.labels[rows])
        return rows

    assert sorted(offer(0)) == sorted(offer(1)) == [*range(100)]
    assert offer(0) == offer(0) != offer(1)


def test_classes_of_which_a_pool_has_too_few_are_counted(draws, splits, pictures, tmp_path, caplog):
    few = pictures.take(np.arange(63), "train")  # three bright ones
    made = make(draws[0], open_pool(few, splits), tmp_path)
    assert Counter(made.labels.tolist()) == {0: 10, 1: 3}
    assert made.provenance["missing"] == {"bright": 7}
    assert "7 of 20 synthetic images are missing" in caplog.text


@pytest.mark.parametrize(("balance", "counts"), [("uniform", {0: 10, 1: 10}), ({"bright": 3, "dark": 1}, {0: 5, 1: 15}),
                                                 ({"bright": 1}, {1: 20})])  # fmt: skip
def test_the_balance_is_as_configured(draws, splits, pictures, tmp_path, balance, counts):
    made = make(draws[0], open_pool(pictures, splits), tmp_path, balance=balance)
    assert Counter(made.labels.tolist()) == counts


def test_pictures_without_labels_get_those_of_the_classifier(draws, splits, pictures, tmp_path):
    unlabelled = replace(pictures, labels=np.zeros(100, dtype=np.int64), class_names=UNLABELLED)
    source = open_pool(unlabelled, splits)
    assert not source.has_labels
    made = make(draws[0], source, tmp_path)
    assert made.provenance["labels_from"] == "classifier"
    assert Counter(made.labels.tolist()) == {0: 10, 1: 10}
    assert np.array_equal(pictures.labels[rows_of(made.images, pictures)], made.labels)


def test_copies_of_held_out_images_are_named_and_left_out_and_those_of_training_images_kept(splits, pictures, tmp_path):
    images = pictures.images.copy()
    images[3], images[70], images[5] = splits.test.images[4], splits.test.images[7], splits.valid.images[2]
    images[8] = splits.train.images[0]
    images[9] = splits.train.images[2] + (np.arange(256).reshape(16, 16) % 2).astype(np.uint8)
    source = open_pool(folder(images, pictures.labels), splits)
    assert [copy[:3] for copy in source.near_copies] == [
        ("3.png", splits.test.names[4], "test"),
        ("70.png", splits.test.names[7], "test"),
        ("5.png", splits.valid.names[2], "valid"),
        ("8.png", splits.train.names[0], "train"),
        ("9.png", splits.train.names[2], "train"),
    ]
    *exact, near = (copy.correlation for copy in source.near_copies)
    assert {*exact} == {1.0} != {near}
    assert [*source.rows] == [row for row in range(100) if row not in (3, 5, 70)]
    assert source.report() == {
        "pictures": 100,
        "left_out": 3,
        "left_out_share": pytest.approx(0.03),
        "real_left_out_share": 0,
        "train_share": pytest.approx(2 / 97),
        "train_copies": 1,
        "near_copies": [copy._asdict() for copy in source.near_copies],
    }
    every = replace(CONFIG, fractions=(1.0,), ratios=(10.0,))
    replicate = Replicate(draw_images(splits, every)[0], source)
    made = make_synthetic_set(KeyedStore(tmp_path), replicate, every, "cpu")
    assert sorted(rows_of(made.images, folder(images, pictures.labels))) == [*source.rows]

    shown = pair_near_copies(source, splits, 1)
    assert {split: len(pairs) for split, pairs in shown.items()} == {"test": 1, "valid": 1, "train": 1}
    ((picture, twin),) = shown["test"]
    assert torch.equal(picture, twin[0])
    assert np.array_equal(picture, splits.test.images[4])


def test_a_folder_of_the_training_images_is_one_of_copies(splits):
    source = open_pool(splits.train, splits)
    assert (source.report()["train_share"], source.report()["train_copies"]) == (1, len(splits.train))
    assert len(source.rows) == len(splits.train)


def test_the_report_says_what_share_of_real_images_was_left_out(striped_images, pictures):
    images, hashes, thumbnails = (
        part.copy() for part in (striped_images.images, striped_images.image_hashes, striped_images.thumbnails)
    )
    for part in (images, hashes, thumbnails):
        part[[1, 3]] = part[[41, 63]]  # a test image and one for validation among the 40 training images
    leaky = separate_images(replace(striped_images, images=images, image_hashes=hashes, thumbnails=thumbnails))
    assert open_pool(pictures, leaky).report()["real_left_out_share"] == pytest.approx(2 / 40)


def test_a_folder_of_the_test_images_is_refused(splits):
    with pytest.raises(HeldOutImagesInTraining, match=r"^All 20 pictures are duplicates or near-duplicates of test or"):
        open_pool(splits.test, splits)


def test_the_key_covers_the_pictures_and_their_labels(draws, splits, pictures):
    def key(changed, **settings):
        source = open_pool(changed, splits)
        return hash_synthetic_set(
            Replicate(draws[0], source), replace(CONFIG, synthetic=SyntheticConfig(**settings)), "cpu"
        )

    plain = key(pictures)
    assert key(replace(pictures, names=tuple(map(str, range(100))))) == plain
    others = [
        key(pictures.take(np.arange(90), "train")),
        key(replace(pictures, labels=1 - pictures.labels)),
        key(replace(pictures, labels=pictures.labels * 0, class_names=UNLABELLED)),
        key(pictures, balance={"dark": 2, "bright": 1}),
        key(pictures, balance={"dark": 1, "bright": 2}),
        key(pictures, distance_quantiles=(0.0, 0.9)),
        key(pictures, distance_quantiles=(0.1, 0.9)),
    ]
    assert len({plain, *others}) == 1 + len(others)
