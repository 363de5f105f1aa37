from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from gan_pipelines.core.stores import KeyedStore
from gan_pipelines.metrics import ScoringConfig, kernel, score_generator
from planted import PerfectGenerator, draw_image_set, make_reference

CONFIG = ScoringConfig(samples=2000)
HELDOUT = [1000, 1000, 1000, 1000]


@pytest.fixture(autouse=True)
def _few_subsets(monkeypatch):
    monkeypatch.setattr(kernel, "SUBSETS", 1)


@pytest.fixture
def score(tmp_path):
    """Score a generator that copies a share of its samples from the training images."""

    def score(copied_share=0.0, *, heldout=True, config=CONFIG, **training):
        others = draw_image_set(HELDOUT, seed=6) if heldout else None
        extractor, reference = make_reference(KeyedStore(tmp_path), [400] * 4, others)
        images = reference.images
        generator = PerfectGenerator(
            training={"data_hash": images.content_hash, **training}, copied=images.images, copied_share=copied_share
        )
        return score_generator(generator, extractor, reference, config, "cpu")

    return score


def values_of(scores):
    return {each.metric: each.value for each in scores if each.identity["weights"] == "ema"}


@pytest.mark.parametrize("copied_share", [0, 0.1, 0.5])
def test_copies_lower_the_authenticity_and_all_scores_are_flagged(score, copied_share):
    scores = score(copied_share)
    values = values_of(scores)
    assert values["authenticity"] == pytest.approx((1 - copied_share) * values["heldout_authenticity"], abs=0.03)
    sentence = (
        f"The generator repeats training images: {values['authenticity']:.1%} of its samples are authentic, and "
        f"{values['heldout_authenticity']:.1%} of held-out images; look at the picture neighbours."
    )
    assert {each.flags for each in scores} == ({(sentence,)} if copied_share else {()})


def test_the_share_of_held_out_images_is_stored_and_they_are_in_its_key(score, tmp_path):
    scores = score()
    (stored,) = tmp_path.glob("*-authenticity-*/authenticity.npy")
    np.save(stored, 0.25)
    again = {each.metric: each for each in score()}
    assert again["heldout_authenticity"].value == 0.25
    keys = {each.metric: each.comparability for each in scores}
    assert keys["heldout_authenticity"]["heldout_hash"] == draw_image_set(HELDOUT, seed=6).content_hash
    assert "heldout_hash" not in keys["authenticity"]


def test_without_held_out_images_the_authenticity_is_measured_and_nothing_is_flagged(score):
    scores = score(0.5, heldout=False, config=replace(CONFIG, samples=500))
    assert values_of(scores)["authenticity"] < 0.5
    assert "heldout_authenticity" not in values_of(scores)
    assert {each.flags for each in scores} == {()}


def test_authenticity_against_other_images_than_those_of_the_training_is_left_out_and_a_note_says_so(score):
    scores = score(0.5, config=replace(CONFIG, samples=500), data_hash="of other images")
    assert not [metric for metric in values_of(scores) if "authenticity" in metric]
    assert {each.notes for each in scores} == {
        ("Authenticity is left out: the reference is not the images that the generator was trained on.",)
    }
