from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from gan_pipelines.core.config import ConfigError
from gan_pipelines.core.stores import KeyedStore
from gan_pipelines.metrics import (
    Moments,
    MonitorConfig,
    ScoringConfig,
    allocate_samples,
    averages,
    check_class_sizes,
    frechet_distance,
    make_monitor,
    sample_candidates,
    score_generator,
    stratified_labels,
)
from planted import NAMES, PerfectGenerator, draw_image_set, draw_images, make_reference


@pytest.mark.parametrize(
    ("sizes", "samples", "expected"),
    [
        ([5, 5, 5], 9, [3, 3, 3]),
        ([5, 5, 5], 8, [3, 3, 2]),  # equal remainders: the first classes are rounded up
        ([20, 1, 1], 11, [10, 1, 0]),
        ([47, 16, 16, 21], 10, [5, 2, 1, 2]),  # quotas 4.7, 1.6, 1.6 and 2.1
        ([3, 0, 1], 100, [75, 0, 25]),
    ],
)
def test_samples_are_divided_by_largest_remainders(sizes, samples, expected):
    assert allocate_samples(np.array(sizes), samples).tolist() == expected


def test_classes_of_equal_size_take_turns():
    assert stratified_labels(np.array([4, 4, 4]), 8).tolist() == [0, 1, 2, 0, 1, 2, 0, 1]


def test_every_part_of_the_labels_has_the_frequencies_of_the_whole():
    sizes = np.array([200, 100, 50, 10])
    labels = stratified_labels(sizes, 3600)
    assert torch.bincount(labels).tolist() == [2000, 1000, 500, 100]
    for start in range(0, 3600, 90):
        counts = torch.bincount(labels[start : start + 90], minlength=4)
        np.testing.assert_allclose(counts, 90 * sizes / 360, atol=1)


@pytest.mark.parametrize(
    ("sizes", "samples", "message"),
    [
        ([50, 1], 100, "number of reference images of class b is 1, but must be 2 or more: add some"),
        ([50, 0], 100, "number of reference images of class b is 0, but must be 2 or more: add some"),
        ([50, 2], 20, "number of samples of class b is 1, but must be 2 or more: raise scoring.samples"),
    ],
)
def test_too_few_images_of_a_class_are_refused(sizes, samples, message):
    check_class_sizes(NAMES[:2], np.array([50, 2]), 52)
    with pytest.raises(ConfigError, match=message):
        check_class_sizes(NAMES[:2], np.array(sizes), samples)


@pytest.mark.parametrize("ratio", [2, 5, 20])
def test_a_perfect_generator_of_imbalanced_classes_is_as_good_as_real_images(tmp_path, ratio):
    extractor, reference = make_reference(KeyedStore(tmp_path), [20 * ratio, 20 * ratio, 20, 20])
    config = ScoringConfig(samples=500, during_training=MonitorConfig(samples=500))
    real_labels = np.random.default_rng(4).choice(reference.images.labels, 500)
    real = extractor(torch.from_numpy(draw_images(real_labels, seed=5))).features
    floor = frechet_distance(reference.moments, Moments.of(real))
    measure = make_monitor(extractor, reference, config, "cpu").measure
    fid = measure(PerfectGenerator())["fid_500"]
    assert fid < 1.5 * floor
    of_classes_in_turn = PerfectGenerator(is_conditional=False)
    assert measure(of_classes_in_turn)["fid_500"] > 3 * fid


def test_wherever_a_generator_is_judged_its_classes_are_as_frequent_as_in_the_reference(tmp_path):
    extractor, reference = make_reference(KeyedStore(tmp_path), [160, 80, 40, 40])
    config = ScoringConfig(samples=100, during_training=MonitorConfig(samples=80))
    generator = PerfectGenerator()
    score_generator(generator, extractor, reference, config, "cpu")
    make_monitor(extractor, reference, config, "cpu").measure(generator)
    sample_candidates(generator, reference.images, "cpu")
    assert {sum(asked) for asked in generator.asked} == {100, 80, 256}
    for asked in generator.asked:
        np.testing.assert_allclose(np.array(asked) / sum(asked), [0.5, 0.25, 0.125, 0.125], atol=0.01)


def test_scores_and_monitor_ask_for_the_same_labels(tmp_path):
    extractor, reference = make_reference(KeyedStore(tmp_path), [60, 20, 10, 5])
    config = ScoringConfig(samples=100, during_training=MonitorConfig(samples=100))
    monitored = make_monitor(extractor, reference, config, "cpu").measure(PerfectGenerator())
    scores = {each.metric: each.value for each in score_generator(PerfectGenerator(), extractor, reference, config)}
    assert (scores["fid"], scores["is"]) == pytest.approx((monitored["fid_100"], monitored["is_100"]))


def test_the_parts_of_all_keys_have_columns(tmp_path):
    extractor, reference = make_reference(KeyedStore(tmp_path), [60, 20, 10, 5], draw_image_set([9] * 4, seed=6))
    generator = PerfectGenerator(training={"data_hash": reference.images.content_hash})
    scores = score_generator(generator, extractor, reference, ScoringConfig(samples=100), "cpu")
    parts = {part for score in scores for part in score.comparability}
    assert parts == {*averages.KEY, *averages.METRIC_KEY, "class"}


def test_the_samples_that_choose_the_best_epoch_are_not_those_of_its_score(tmp_path):
    seeds = []

    class Spy(PerfectGenerator):
        def sample_batches(self, count, *, seed, **rest):
            seeds.append(seed)
            return super().sample_batches(count, **rest)

    extractor, reference = make_reference(KeyedStore(tmp_path), [9] * 4)
    config = ScoringConfig(samples=50, seed=7, during_training=MonitorConfig(samples=50))
    score_generator(Spy(), extractor, reference, config, "cpu")
    make_monitor(extractor, reference, config, "cpu").measure(Spy())
    *scored, monitored = seeds
    assert set(scored) == {7}
    draws = [torch.randn(9, generator=torch.Generator().manual_seed(seed)) for seed in (7, monitored)]
    assert not torch.equal(*draws)


def test_a_class_with_too_few_images_has_no_kid_of_its_own_and_a_note_says_why(tmp_path):
    extractor, reference = make_reference(KeyedStore(tmp_path), [300, 100, 1, 2])
    scores = score_generator(PerfectGenerator(), extractor, reference, ScoringConfig(samples=100), "cpu")
    assert [score.comparability["class"] for score in scores if score.metric == "class_kid"] == ["a", "b"] * 2
    (note,) = {note for score in scores for note in score.notes if "KID" in note}
    assert note == "KID of class c, d is left out: it needs 2 samples and 2 reference images of a class."


def test_a_monitor_that_measures_otherwise_has_another_key(tmp_path):
    extractor, reference = make_reference(KeyedStore(tmp_path), [9, 9, 9, 9])
    config = ScoringConfig()
    changed = [
        replace(config, is_splits=5),
        replace(config, seed=1),
        replace(config, during_training=MonitorConfig(samples=99)),
        replace(config, during_training=MonitorConfig(batch=9)),
    ]
    keys = {make_monitor(extractor, reference, each, "cpu").key for each in [config, *changed]}
    assert len(keys) == 5
