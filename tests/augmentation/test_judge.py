"""The distance to the nearest real image, and labels of candidates."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits

from gan_pipelines.augmentation import AugmentationConfig, draw_images, separate_images
from gan_pipelines.augmentation.config import ArmClassifierConfig, SyntheticConfig
from gan_pipelines.augmentation.judge import DistanceRange, fit_judge
from gan_pipelines.augmentation.sources import Candidates
from gan_pipelines.core.hashing import hash_images
from gan_pipelines.images import ImageSet
from gan_pipelines.images.duplicates import make_thumbnails

CONFIG = AugmentationConfig(
    fractions=(1.0,),
    replicates=2,
    max_valid_share=1.0,
    synthetic=SyntheticConfig(distance_quantiles=(0.1, 0.9)),
    classifier=ArmClassifierConfig(epochs=2, batch_size=32, learning_rates=(0.03,)),
)


@pytest.fixture(scope="module")
def splits():
    """Handwritten digits at 8x8: 300 train, 1,200 test, 200 valid."""
    bunch = load_digits()
    images = (bunch.images[:1700] * 15.9).astype(np.uint8)[:, None]
    names = tuple(map(str, range(len(images))))
    digits = ImageSet(
        images=images,
        image_hashes=hash_images(images),
        labels=bunch.target[: len(images)].astype(np.int64),
        class_names=tuple("0123456789"),
        split_sizes={"train": 300, "test": 1200, "valid": 200},
        resize_filter="box",
        names=names,
        thumbnails=make_thumbnails(images),
    )
    return separate_images(digits)


def test_the_range_is_that_of_held_out_images():
    """In one dimension, where distances can be read off."""
    real = torch.tensor([[0.0], [100.0]])
    heldout = torch.tensor([[1.0], [-2.0], [103.0], [96.0], [5.0]])  # 1, 2, 3, 4 and 5 away
    distances = DistanceRange.between((0.25, 0.75), real, heldout)
    assert (distances.low, distances.high) == (2.0, 4.0)
    candidates = torch.tensor([[0.0], [98.5], [2.0], [-3.0], [104.0], [105.0], [50.0]])
    assert distances.contains(candidates).tolist() == [False, False, True, True, True, False, False]


def test_copies_and_outliers_are_rejected_and_held_out_images_at_the_rate_of_the_quantiles(splits):
    (draw, _) = draw_images(splits, CONFIG)
    judge = fit_judge(draw, CONFIG, "cpu")

    def kept(images):
        return judge.judge(Candidates(torch.from_numpy(images), None)).is_near.float().mean().item()

    noise = np.random.default_rng(0).integers(0, 256, (200, 1, 8, 8)).astype(np.uint8)
    assert kept(draw.images.images) == 0
    assert kept(noise) < 0.05
    assert kept(draw.valid.images) == pytest.approx(0.8, abs=0.02)
    assert kept(splits.test.images) == pytest.approx(0.8, abs=0.08)


def test_a_judge_labels_what_has_no_label_and_is_sure_of_labels_by_their_probability(splits):
    (draw, _) = draw_images(splits, CONFIG)
    config = replace(CONFIG, synthetic=SyntheticConfig(min_confidence=0.7))
    judge = fit_judge(draw, config, "cpu")
    images = torch.from_numpy(splits.test.images)
    probabilities = judge.classifier.predict(images).softmax(1)
    unlabelled = judge.judge(Candidates(images, None))
    assert torch.equal(unlabelled.labels, probabilities.argmax(1))
    labels = torch.from_numpy(splits.test.labels)
    labelled = judge.judge(Candidates(images, labels))
    assert torch.equal(labelled.labels, labels)
    assert torch.equal(labelled.is_confident, probabilities[torch.arange(len(labels)), labels] >= 0.7)
    assert 0 < labelled.is_confident.sum() < unlabelled.is_confident.sum() < len(images)
    assert labelled.is_near.all()
