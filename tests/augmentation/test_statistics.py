from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from gan_pipelines.augmentation import AugmentationConfig, compare_paired, statistics
from gan_pipelines.augmentation.statistics import correct_holm, decide
from gan_pipelines.augmentation.verdicts import _state_power
from gan_pipelines.core.statistics import Interval


def experiments(count, replicates=5, images=120, *, of_replicates, of_images, effect=0.02, seed=0):
    """Differences in accuracy with a known mean, and known deviations between replicates and between images."""
    random = np.random.default_rng(seed)
    for _ in range(count):
        yield (
            effect
            + of_replicates * random.standard_normal((replicates, 1))
            + of_images * random.standard_normal(images)
            + 0.3 * random.standard_normal((replicates, images))
        )


def verdict_of(differences):
    comparison = compare_paired(differences)
    return decide(comparison.difference, comparison.p_value)


def share(truths):
    return np.mean(list(truths))


@pytest.fixture
def no_bootstrap(monkeypatch):
    """It takes long, and only `over_images` comes from it."""
    monkeypatch.setattr(statistics, "_bootstrap", lambda *_: None)


@pytest.mark.parametrize(
    ("of_replicates", "of_images", "most"),
    # Without any differences between replicates or images the interval is wider than it need be.
    [(0.05, 0.0, 0.975), (0.0, 0.5, 0.975), (0.03, 0.3, 0.975), (0.0, 0.0, 1.0)],
)
def test_intervals_cover_the_true_difference_in_about_95_of_100_experiments(
    of_replicates, of_images, most, no_bootstrap
):
    drawn = experiments(1000, of_replicates=of_replicates, of_images=of_images)
    intervals = [compare_paired(differences).interval for differences in drawn]
    covered = share(low <= 0.02 <= high for low, high in intervals)
    assert 0.93 <= covered <= most


@pytest.mark.parametrize(
    ("replicates", "images", "of_replicates", "least", "most"),
    # Two to five replicates that do not differ beyond chance have intervals that are too wide.
    [(2, 60, 0.0, 0.99, 1.0), (3, 60, 0.0, 0.99, 1.0), (5, 60, 0.0, 0.99, 1.0), (5, 360, 0.1, 0.94, 0.98)],
)
def test_intervals_cover_also_where_images_are_right_or_wrong(
    replicates, images, of_replicates, least, most, no_bootstrap
):
    random = np.random.default_rng(0)
    covered = []
    for _ in range(1000):
        hard = random.random(images) < 0.3  # images on which the arms disagree at all
        gain = 0.35 + of_replicates * random.uniform(-(3**0.5), 3**0.5, (replicates, 1))
        draws = random.random((replicates, images))
        values = np.select([draws < gain, draws >= 0.75], [1, -1], 0) * hard
        low, high = compare_paired(values).interval
        covered.append(low <= 0.3 * 0.1 <= high)
    assert least <= np.mean(covered) <= most


def test_two_replicates_that_agree_by_chance_show_nothing():
    differences = np.zeros((2, 50))
    differences[[0, 1], [3, 7]] = 1  # one image gained in each, another one
    assert verdict_of(differences) == "no difference shown"


def test_an_interval_over_replicates_alone_would_miss_the_test_images(monkeypatch):
    monkeypatch.setattr(statistics, "RESAMPLES", 200)
    drawn = [compare_paired(d) for d in experiments(100, of_replicates=0.0, of_images=1.5)]
    assert share(c.over_replicates.low <= 0.02 <= c.over_replicates.high for c in drawn) < 0.8
    assert share(c.over_images.low <= 0.02 <= c.over_images.high for c in drawn) > 0.9


def test_without_a_true_difference_about_one_verdict_in_twenty_is_wrong(no_bootstrap):
    drawn = experiments(1000, of_replicates=0.03, of_images=0.3, effect=0.0)
    assert share(verdict_of(d) != "no difference shown" for d in drawn) < 0.08


def test_the_smallest_visible_difference_is_seen_four_times_in_five(no_bootstrap):
    first = compare_paired(next(experiments(1, 12, of_replicates=0.05, of_images=0.2, effect=0.0)))
    # What this one design names varies with its own deviations; over many it is right.
    named = np.median(
        [compare_paired(d).smallest_visible for d in experiments(300, 12, of_replicates=0.05, of_images=0.2)]
    )
    assert first.smallest_visible == pytest.approx(named, rel=0.6)
    drawn = experiments(600, 12, of_replicates=0.05, of_images=0.2, effect=named, seed=1)
    assert 0.75 <= share(verdict_of(d) == "helps" for d in drawn) <= 0.85


def test_where_images_do_not_matter_it_is_the_paired_t_test():
    by_replicate = np.array([0.01, 0.03, 0.02, 0.06])
    comparison = compare_paired(np.repeat(by_replicate[:, None], 50, axis=1))
    expected = stats.ttest_1samp(by_replicate, 0).confidence_interval(0.95)
    assert comparison.interval == pytest.approx(expected)
    assert comparison.over_replicates == pytest.approx(expected)
    assert comparison.over_images == pytest.approx((0.03, 0.03))
    assert decide(comparison.difference, comparison.p_value) == "no difference shown"
    assert comparison.p_value == pytest.approx(stats.ttest_1samp(by_replicate, 0).pvalue)


def test_where_images_differ_no_more_than_by_chance_it_is_the_paired_t_test(no_bootstrap):
    by_replicate = np.array([0.0, 1.0])
    chance = np.array([[1, 0, 0, -1], [0, -1, 1, 0]])  # mean squares of 2/3, of the images as of what is left
    comparison = compare_paired(by_replicate[:, None] + chance)
    assert comparison.interval == pytest.approx(stats.ttest_1samp(by_replicate, 0).confidence_interval(0.95))


def test_the_bootstrap_agrees_with_the_normal_interval_of_a_mean(monkeypatch):
    monkeypatch.setattr(statistics, "RESAMPLES", 5000)
    by_image = np.random.default_rng(0).normal(0.1, 0.5, 400)
    comparison = compare_paired(np.stack([by_image, by_image]))
    expected = stats.norm.interval(0.95, by_image.mean(), by_image.std() / 20)
    assert comparison.over_images == pytest.approx(expected, abs=0.004)


def test_the_verdict_is_the_side_of_zero():
    differences = np.random.default_rng(0).normal(0.2, 0.1, (5, 100))
    assert verdict_of(differences) == "helps"
    assert verdict_of(-differences) == "hurts"
    assert compare_paired(differences * 0).interval == Interval(0.0, 0.0)
    assert verdict_of(differences * 0) == "no difference shown"


def test_what_never_varies_says_nothing_about_what_would_be_seen():
    comparison = compare_paired(np.zeros((3, 50)))
    assert np.isnan(comparison.smallest_visible)
    assert comparison.replicates_for_a_point is None
    assert _state_power(vars(comparison), [], AugmentationConfig()) == (
        "All test images have the same difference in all replicates: what these would have shown cannot be told."
    )


def test_replicates_that_a_point_takes(no_bootstrap):
    def needed(of_replicates, of_images, images):
        drawn = next(experiments(1, 8, images, of_replicates=of_replicates, of_images=of_images))
        return compare_paired(drawn).replicates_for_a_point

    several, many = needed(0.01, 0.0, 10_000), needed(0.03, 0.0, 10_000)
    assert 2 <= several < many < 300
    assert needed(0.01, 0.5, 100) is None  # 0.05 from the images alone


def test_an_interval_excludes_zero_where_the_p_value_is_below_five_percent(no_bootstrap):
    drawn = experiments(200, of_replicates=0.02, of_images=0.2, effect=0.04)
    comparisons = [compare_paired(differences) for differences in drawn]
    excludes = [low > 0 or high < 0 for low, high in (comparison.interval for comparison in comparisons)]
    assert excludes == [comparison.p_value < 0.05 for comparison in comparisons]
    assert 20 < sum(excludes) < 180


def test_holm_is_as_in_statsmodels():
    # statsmodels.stats.multitest.multipletests(..., method="holm")
    assert correct_holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert correct_holm([0.6, 0.7]) == pytest.approx([1.0, 1.0])
    assert correct_holm([0.03]) == pytest.approx([0.03])


def test_with_holms_correction_one_family_in_twenty_has_a_false_verdict():
    families = np.random.default_rng(0).random((4000, 4))
    uncorrected = np.mean(families.min(axis=1) < 0.05)
    corrected = np.mean([correct_holm(family).min() < 0.05 for family in families])
    assert uncorrected > 0.17
    assert 0.04 < corrected < 0.06
