"""Paired differences between two arms: confidence intervals, verdicts, and the power of the design."""

from __future__ import annotations

import math
from bisect import bisect_left
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import special, stats

from gan_pipelines.core.statistics import CONFIDENCE, Interval, t_interval

Numbers = NDArray[np.float64]
Verdict = Literal["helps", "hurts", "no difference shown"]

POWER = 0.8
"""Probability with which a difference of `Comparison.smallest_visible` is shown."""
RESAMPLES = 2_000
MAX_REPLICATES = 1_000
"""Maximum number of replicates that `Comparison.replicates_for_a_point` considers."""


@dataclass(frozen=True)
class Comparison:
    """A mean paired difference in accuracy; accuracies are from 0 to 1.

    Attributes:
        difference: mean over replicates and test images.
        over_replicates: paired t interval over replicates, for these test images.
        over_images: bootstrap interval over test images, for these replicates.
        interval: interval over both replicates and test images; it decides the verdict.
        p_value: two-sided probability of a difference as large without a true one; ``interval`` excludes zero where it
            is below 0.05.
        smallest_visible: difference that this design shows in 8 of 10 experiments; NaN if all differences are the same.
        replicates_for_a_point: replicates that show a difference of 0.01 in 8 of 10 experiments; None if
            `MAX_REPLICATES` are not enough, for instance because there are few test images.
    """

    difference: float
    over_replicates: Interval
    over_images: Interval
    interval: Interval
    p_value: float
    smallest_visible: float
    replicates_for_a_point: int | None


def compare_paired(differences: NDArray[np.floating], *, seed: int = 0) -> Comparison:
    """Compare two arms, replicate by replicate and test image by test image.

    Replicates and test images are crossed random effects, as readers and cases are in radiology. With the mean squares
    of a two-way analysis of variance, the variance of the mean is (max(MS_R, MS_E) + max(MS_I - MS_E, 0)) / RN. The
    first maximum keeps the interval wide if replicates agree by chance. Degrees of freedom follow Hillis 2007, "A
    comparison of denominator degrees of freedom methods for multiple observer ROC analysis".

    Args:
        differences: (replicates, test images), at least 2 x 2: 1 if only the first arm is right, -1 if only the second
            is, else 0.
        seed: seed of the bootstrap.
    """
    values = np.asarray(differences, dtype=np.float64)
    replicates, images = values.shape
    mean = float(values.mean())
    by_replicate, by_image = values.mean(axis=1), values.mean(axis=0)
    replicate_variance = float(by_replicate.var(ddof=1))
    residuals = values - by_replicate[:, None] - by_image + mean
    noise = float((residuals**2).sum()) / ((replicates - 1) * (images - 1))
    image_variance = max(float(by_image.var(ddof=1)) - noise / replicates, 0.0)
    design = _Design(max(replicate_variance, noise / images), image_variance / images)
    margin = design.standard_error(replicates) * design.quantile(replicates, (1 + CONFIDENCE) / 2)
    return Comparison(
        difference=mean,
        over_replicates=t_interval(by_replicate),
        over_images=_bootstrap(by_image, seed),
        interval=Interval(mean - margin, mean + margin),
        p_value=design.p_value(replicates, mean),
        smallest_visible=design.smallest_visible(replicates),
        replicates_for_a_point=design.replicates_to_see(0.01),
    )


def decide(difference: float, p_value: float) -> Verdict:
    """State the side of zero on which a difference lies, if it is significant."""
    if p_value >= 1 - CONFIDENCE:
        return "no difference shown"
    return "helps" if difference > 0 else "hurts"


def correct_holm(p_values: ArrayLike) -> Numbers:
    """Adjust p-values so that the probability of any false verdict among them stays below 0.05.

    Holm 1979, "A simple sequentially rejective multiple test procedure": the smallest of N is multiplied by N, the next
    by N - 1, and so on; none becomes smaller than the one before it, or larger than 1.
    """
    values = np.asarray(p_values, dtype=np.float64)
    order = values.argsort()
    adjusted = np.empty_like(values)
    adjusted[order] = np.minimum(np.maximum.accumulate(values[order] * np.arange(len(values), 0, -1)), 1)
    return adjusted


@dataclass(frozen=True)
class _Design:
    """Variance of the mean: a part that more replicates reduce, and one of the test images that they do not."""

    per_replicate: float
    of_images: float

    def standard_error(self, replicates: int) -> float:
        return math.sqrt(self.per_replicate / replicates + self.of_images)

    def degrees_of_freedom(self, replicates: int) -> float:
        """Degrees of freedom of Hillis 2007."""
        share = self.of_images / max(self.per_replicate / replicates, 1e-12)  # without either, 0 / 0
        return (replicates - 1) * (1 + share) ** 2

    def quantile(self, replicates: int, probability: float) -> float:
        """Student's t below which the statistic lies with this probability."""
        return float(special.stdtrit(self.degrees_of_freedom(replicates), probability))

    def p_value(self, replicates: int, difference: float) -> float:
        """Two-sided p-value of a mean difference."""
        error = self.standard_error(replicates)
        if not error:
            return float(not difference)
        return float(2 * special.stdtr(self.degrees_of_freedom(replicates), -abs(difference) / error))

    def smallest_visible(self, replicates: int) -> float:
        quantiles = self.quantile(replicates, (1 + CONFIDENCE) / 2) + self.quantile(replicates, POWER)
        return quantiles * self.standard_error(replicates) or math.nan

    def replicates_to_see(self, difference: float) -> int | None:
        counts = range(2, MAX_REPLICATES + 1)  # the more, the smaller is what they show
        fewest = bisect_left(counts, True, key=lambda count: self.smallest_visible(count) <= difference)
        return counts[fewest] if fewest < len(counts) else None


def _bootstrap(by_image: NDArray[np.float64], seed: int) -> Interval:
    """Percentile interval of the mean over resampled test images."""
    result = stats.bootstrap(
        (by_image,),
        np.mean,
        n_resamples=RESAMPLES,
        batch=100,
        confidence_level=CONFIDENCE,
        method="percentile",
        rng=np.random.default_rng(seed),
    )
    return Interval(*map(float, result.confidence_interval))
