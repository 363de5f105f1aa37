from __future__ import annotations

import numpy as np
import pytest
from sklearn.svm import SVC

from gan_pipelines.augmentation import (
    AugmentationConfig,
    draw_images,
    score_simple_classifiers,
    separate_images,
    simple_classifiers,
)
from gan_pipelines.core.hashing import hash_images
from gan_pipelines.images import ImageSet
from gan_pipelines.images.duplicates import make_thumbnails


@pytest.fixture
def splits():
    """Noisy images of three classes that overlap: 90 train, 60 test, 30 valid."""
    random = np.random.default_rng(0)
    labels = np.arange(180) % 3
    means = random.integers(90, 160, (3, 1, 8, 8))
    images = np.clip(means[labels] + random.normal(0, 70, (180, 1, 8, 8)), 0, 255).astype(np.uint8)
    sizes = {"train": 90, "test": 60, "valid": 30}
    names = tuple(map(str, range(180)))
    return separate_images(
        ImageSet(images, hash_images(images), labels, ("a", "b", "c"), sizes, "box", names, make_thumbnails(images))
    )


@pytest.fixture
def draws(splits):
    return draw_images(splits, AugmentationConfig(fractions=(0.5, 1.0), replicates=2))


def pixels(images):
    return images.images.reshape(len(images), -1) / 255


def test_accuracies_are_those_of_independent_computations(splits, draws):
    table = score_simple_classifiers(draws, splits.test)
    assert len(table) == 4 * 3
    draw = draws[1]
    rows = table[(table["fraction"] == 0.5) & (table["seed"] == 1)].set_index("classifier")
    assert {*rows["images"]} == {len(draw.images)}
    train, test = pixels(draw.images), pixels(splits.test)
    svm = SVC().fit(train, draw.images.labels)  # the library's own kernel
    assert rows.loc["SVM", "accuracy"] == pytest.approx(svm.score(test, splits.test.labels))
    distances = ((test[:, None] - train[None]) ** 2).sum(axis=2)
    nearest = draw.images.labels[distances.argmin(axis=1)]
    assert rows.loc["1-NN", "accuracy"] == pytest.approx((nearest == splits.test.labels).mean())
    assert 0.4 < rows["accuracy"].min() < rows["accuracy"].max() < 1


def test_of_many_images_a_part_of_each_class_is_taken(splits, draws, monkeypatch):
    monkeypatch.setattr(simple_classifiers, "MAX_IMAGES", 30)
    table = score_simple_classifiers(draws[2:], splits.test)
    assert {*table["images"]} == {30}
    assert np.bincount(simple_classifiers._limit(draws[2]).labels).tolist() == [10, 10, 10]
