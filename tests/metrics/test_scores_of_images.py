from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

from gan_pipelines.classifier.resnet import Prediction
from gan_pipelines.core.config import ConfigError
from gan_pipelines.core.hashing import hash_images
from gan_pipelines.core.stores import KeyedStore
from gan_pipelines.images import ImageSet
from gan_pipelines.images.duplicates import make_thumbnails
from gan_pipelines.metrics import FeatureExtractor, ScoringConfig, inception_score, open_reference, score_images

CONFIG = ScoringConfig(samples=200, is_splits=4, seed=3)


class Pixels(nn.Module):
    """The first pixels as features; logits of two classes by the first pixel."""

    def forward(self, images):
        features = images.float().flatten(1)[:, :8]
        return Prediction(features, (features[:, :1] - 100) / 20 * torch.tensor([-1, 1]))


def image_set(pixels, labels, classes=("low", "high")):
    """Images whose split is called train."""
    names, labels = tuple(map(str, range(len(pixels)))), np.asarray(labels)
    thumbnails = make_thumbnails(pixels)
    return ImageSet(pixels, hash_images(pixels), labels, classes, {"train": len(pixels)}, "bicubic", names, thumbnails)


def draw(count, seed, labels):
    """Noise, darker in the first class."""
    noise = np.random.default_rng(seed).integers(0, 60, (count, 1, 8, 8))
    return (noise + 150 * np.asarray(labels)[:, None, None, None]).astype(np.uint8)


@pytest.fixture
def score(tmp_path):
    labels = np.arange(400) % 2
    real, heldout = (image_set(draw(400, seed, labels), labels) for seed in (0, 1))

    def score(pictures, config=CONFIG, *, has_heldout=True, is_training_set=True):
        extractor = FeatureExtractor(Pixels(), {"name": "pixels", "weights_hash": "0"})
        reference = open_reference(
            KeyedStore(tmp_path), real, extractor, "cpu", heldout=[heldout] if has_heldout else []
        )
        return score_images(pictures, "turbo", extractor, reference, config, "cpu", is_training_set=is_training_set)

    score.real, score.heldout = real, heldout
    return score


def by_metric(scores):
    return {(each.metric, each.comparability.get("class")): each for each in scores}


def test_images_are_drawn_with_the_class_frequencies_of_the_reference(score, monkeypatch):
    labels = np.repeat([0, 1], [900, 150])
    pictures = image_set(draw(1050, 2, labels), labels)
    scored, forward = [], Pixels.forward
    monkeypatch.setattr(Pixels, "forward", lambda self, images: scored.append(images) or forward(self, images))
    scores = score(pictures, has_heldout=False)
    drawn = torch.cat(scored[1:])  # the first batch is the reference
    assert len(drawn) == scores[0].comparability["samples"] == 200
    assert int((drawn.flatten(1).float().mean(1) > 100).sum()) == 100
    assert not any("class frequencies" in note for note in scores[0].notes)
    monkeypatch.undo()
    again, other = score(pictures), score(pictures, replace(CONFIG, seed=4))
    assert again[0].value == scores[0].value != other[0].value


def test_of_a_class_that_is_too_rare_to_be_drawn_so_the_share_is_that_of_the_folder(score):
    labels = np.repeat([0, 1], [950, 50])
    values = by_metric(score(image_set(draw(1000, 2, labels), labels)))
    assert values["fid", None].comparability["samples"] == 200
    assert values["fid", None].value > 1000  # the reference has as many of both
    assert values["fid", None].notes[0] == (
        "Too few images of class high for the class frequencies of the reference: the images are drawn with their own."
    )


def test_fewer_images_than_asked_for_are_all_scored_and_a_note_says_so(score):
    labels = np.arange(150) % 2
    scores = score(image_set(draw(150, 2, labels), labels))
    assert scores[0].comparability["samples"] == 150
    assert scores[0].notes[0] == (
        "There are 150 images, fewer than scoring.samples, 200: scores of other numbers of images do not compare with "
        "these."
    )
    assert {name for metric, name in by_metric(scores) if metric == "class_kid"} == {"low", "high"}


def test_parts_of_a_folder_that_is_sorted_by_class_are_alike(score):
    labels = np.repeat([0, 1], 100)
    pixels = draw(200, 2, labels)
    scores = by_metric(score(image_set(pixels, labels)))
    logits = Pixels()(torch.from_numpy(pixels)).logits
    order = np.random.default_rng(0).permutation(200)
    mean, spread = inception_score(logits[order], 4)
    assert scores["is", None].value == pytest.approx(mean, rel=0.02)
    assert inception_score(logits, 4)[0] < 0.8 * mean
    assert scores["is", None].spread < 0.1 > spread
    assert scores["fid_infinity", None].value == pytest.approx(scores["fid", None].value, abs=100)


def test_training_images_again_are_flagged_as_copies_and_held_out_images_are_not(score):
    again = score(score.real, replace(CONFIG, samples=400))
    assert by_metric(again)["copies", None].value == 1
    assert all(any(flag.startswith("Samples repeat training images: 100.0%") for flag in each.flags) for each in again)
    heldout = by_metric(score(score.heldout, replace(CONFIG, samples=400)))
    assert heldout["copies", None].value == pytest.approx(0.01, abs=0.001)
    assert not heldout["fid", None].flags
    alone = by_metric(score(score.heldout, has_heldout=False))
    assert ("authenticity", None) in alone
    assert ("copies", None) not in alone
    assert any(note.startswith("Copies are left out") for note in alone["fid", None].notes)
    others = by_metric(score(score.real, is_training_set=False))
    assert ("authenticity", None) not in others
    assert not any("trained on" in note for note in others["fid", None].notes)


def test_images_without_labels_are_scored_as_a_whole(score):
    pictures = image_set(draw(300, 2, np.arange(300) % 2), np.zeros(300, int), ("all",))
    assert not any(name for _, name in by_metric(score(pictures)))


def test_a_score_says_what_made_the_images(score):
    labels = np.arange(300) % 2
    pictures = image_set(draw(300, 2, labels), labels)
    identity = score(pictures)[0].identity
    assert identity == {
        "generator": "elsewhere", "weights": "elsewhere", "name": "turbo", "recipe": pictures.content_hash,
        "trained_epochs": 0, "seed": 0, "sampling_seed": 3, "data_hash": score.real.content_hash, "device": "cpu",
    }  # fmt: skip


def test_images_of_another_size_are_refused(score):
    with pytest.raises(ConfigError, match="shape of the images is"):
        score(image_set(np.zeros((9, 1, 4, 4), np.uint8), np.zeros(9, int)))
