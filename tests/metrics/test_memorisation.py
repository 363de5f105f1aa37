from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from gan_pipelines.core.hashing import hash_images
from gan_pipelines.core.stores import KeyedStore
from gan_pipelines.images.duplicates import make_thumbnails
from gan_pipelines.metrics import Nearness, Radii, ScoringConfig, find_copies, kernel, score_generator
from planted import PerfectGenerator, draw_image_set, make_reference

CONFIG = ScoringConfig(samples=1000)
UNSEEN = draw_image_set([250] * 4, seed=6)


@pytest.fixture(autouse=True)
def _few_subsets(monkeypatch):
    monkeypatch.setattr(kernel, "SUBSETS", 1)


@pytest.fixture
def score(tmp_path):
    """Score a generator that copies a share of its samples from the training images."""

    def score(copied_share=0.0, *, spread=1.0, heldout=UNSEEN, config=CONFIG, **training):
        extractor, reference = make_reference(KeyedStore(tmp_path), [400] * 4, heldout)
        images = reference.images
        generator = PerfectGenerator(
            training={"data_hash": images.content_hash, **training},
            copied=images.images,
            copied_share=copied_share,
            spread=spread,
        )
        return score_generator(generator, extractor, reference, config, "cpu")

    return score


def values_of(scores):
    return {each.metric: each.value for each in scores if each.identity["weights"] == "ema"}


@pytest.mark.parametrize("spread", [1.0, 1.4, 0.7])
@pytest.mark.parametrize("copied_share", [0.05, 0.2])
def test_copies_are_counted_and_all_scores_are_flagged_however_good_the_other_samples_are(score, copied_share, spread):
    scores = score(copied_share, spread=spread)
    copies = values_of(scores)["copies"]
    assert copies == pytest.approx(copied_share, abs=0.015)
    sentence = (
        f"Samples repeat training images: {copies:.1%} of them are as near to one as the nearest 10 of "
        "1,000 held-out images (distance to the nearest training image, relative to the 50 nearest); look at the "
        "picture neighbours."
    )
    assert {each.flags for each in scores} == {(sentence,)}


@pytest.mark.parametrize("spread", [1.0, 1.4, 0.7, 0.5, 0.3])
def test_a_generator_that_copies_nothing_is_not_flagged_however_varied_its_samples_are(score, spread):
    scores = score(spread=spread)
    values = values_of(scores)
    assert values["copies"] < 0.015
    assert not any("repeats" in flag for each in scores for flag in each.flags)
    assert (values["authenticity"] < 0.8 * values["heldout_authenticity"]) == (spread < 1)


@pytest.mark.parametrize("difference", [0, 1])
def test_held_out_images_that_are_training_images_hide_no_copies(score, difference):
    """They are 20 of 1,000, twice as many as those to which samples are compared."""
    images = UNSEEN.images.copy()
    images[::50] = draw_image_set([400] * 4, seed=3).images[::80] ^ difference
    seen = replace(UNSEEN, images=images, image_hashes=hash_images(images), thumbnails=make_thumbnails(images))
    scores = score(0.2, heldout=seen)
    assert values_of(scores)["copies"] == pytest.approx(0.2, abs=0.015)
    assert "as the nearest 10 of 980 held-out images" in scores[0].flags[0]
    (key,) = {each.comparability["heldout_hash"] for each in scores if each.metric == "copies"}
    assert key == UNSEEN.take(np.flatnonzero(np.arange(1000) % 50), "heldout").content_hash


def test_where_all_held_out_images_are_training_images_copies_are_left_out(score):
    scores = score(0.5, heldout=draw_image_set([400] * 4, seed=3).take(np.arange(0, 1600, 4), "heldout"))
    assert {"heldout_authenticity", "copies"}.isdisjoint(values_of(scores))


@pytest.mark.parametrize(("heldout", "rank"), [(360, 4), (20, 1)])
def test_the_probability_of_copies_is_that_of_as_many_samples_among_the_first_of_all_in_a_random_order(heldout, rank):
    draws = torch.Generator().manual_seed(0)
    orders = torch.rand(4000, 100 + heldout, generator=draws)
    below = orders[:, :100] <= orders[:, 100:].kthvalue(rank, dim=1, keepdim=True).values
    counts = below.sum(dim=1)
    for copies in (2, 5):
        made = torch.cat([torch.zeros(copies), torch.ones(100 - copies)])
        found = find_copies(Nearness(0, made), Nearness(0, torch.linspace(0.1, 0.9, heldout)))
        assert (found.share, found.rank, found.heldout) == (copies / 100, rank, heldout)
        assert found.probability == pytest.approx((counts >= copies).double().mean().item(), abs=0.02)


def test_authenticity_and_relative_distance_equal_their_definitions():
    training, samples = torch.randn(60, 4), torch.randn(45, 4) * 0.7
    distances = torch.cdist(samples.double(), training.double()).numpy()
    between = torch.cdist(training.double(), training.double()).fill_diagonal_(torch.inf).numpy()
    found = Nearness.of(samples, training, Radii.of(training))
    is_authentic = [row.min() > between[row.argmin()].min() for row in distances]
    assert found.authenticity == pytest.approx(np.mean(is_authentic))
    assert 0.2 < found.authenticity < 0.8
    np.testing.assert_allclose(found.relative, [row.min() / np.sort(row)[:50].mean() for row in distances])


def test_copies_of_images_that_occur_often_are_copies():
    training = torch.randn(3, 3).repeat_interleave(60, dim=0)
    found = Nearness.of(training[:10], training, Radii.of(training))
    assert found.authenticity < 0.1
    assert found.relative.max() < 1e-3


def test_the_nearness_of_held_out_images_is_stored_and_they_are_in_the_keys(score, tmp_path):
    scores = score()
    (stored,) = tmp_path.glob("*-heldout-*/nearness.npz")
    np.savez(stored, authenticity=0.25, relative=np.ones(1000))
    again = {each.metric: each for each in score()}
    assert (again["heldout_authenticity"].value, again["copies"].value) == (0.25, 1.0)
    keys = {each.metric: each.comparability for each in scores}
    for metric in ("heldout_authenticity", "copies"):
        assert keys[metric]["heldout_hash"] == UNSEEN.content_hash
    assert "heldout_hash" not in keys["authenticity"]


def test_without_held_out_images_the_authenticity_is_measured_and_nothing_is_flagged(score):
    scores = score(0.5, heldout=None, config=replace(CONFIG, samples=500))
    assert values_of(scores)["authenticity"] < 0.5
    assert {"heldout_authenticity", "copies"}.isdisjoint(values_of(scores))
    assert {each.flags for each in scores} == {()}
    assert {each.notes for each in scores} == {
        ("Copies are left out: no test or valid split has images that they could be compared with.",)
    }


def test_memorisation_against_other_images_than_those_of_the_training_is_left_out_and_a_note_says_so(score):
    scores = score(0.5, config=replace(CONFIG, samples=500), data_hash="of other images")
    assert {"authenticity", "heldout_authenticity", "copies"}.isdisjoint(values_of(scores))
    assert {each.notes for each in scores} == {
        ("Authenticity and copies are left out: the reference is not the images that the generator was trained on.",)
    }
