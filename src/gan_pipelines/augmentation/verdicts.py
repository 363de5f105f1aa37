"""Verdicts of the experiment in words."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from gan_pipelines.augmentation.arms import ArmFit
from gan_pipelines.augmentation.config import REAL_LONGER, TRANSFORMED, AugmentationConfig, list_contrasts
from gan_pipelines.augmentation.rates import common_rates, select_fits
from gan_pipelines.augmentation.statistics import MAX_REPLICATES, POWER
from gan_pipelines.core.findings import name_fraction
from gan_pipelines.core.statistics import CONFIDENCE
from gan_pipelines.gan.health import NARROW_BELOW

Row = Mapping[Hashable, Any]
"""A row of the table of comparisons."""

SETTINGS = {REAL_LONGER.name: "", TRANSFORMED.name: ", with transforms"}
BASELINES = {REAL_LONGER.name: "the real ones alone", TRANSFORMED.name: "transforms of the real ones alone"}


def state_verdicts(
    fits: Sequence[ArmFit],
    comparisons: pd.DataFrame,
    simple_scores: pd.DataFrame,
    config: AugmentationConfig,
    near_copies: Mapping[str, Any] | None = None,
) -> list[dict[str, Any]]:
    """State for each fraction whether synthetic images help, by its primary comparisons.

    There are two: of synthetic images with real ones alone, and, if there are transforms, of synthetic images on top of
    transforms with transforms alone.

    Args:
        fits: the classifiers.
        comparisons: from `tabulate_comparisons`.
        simple_scores: from `score_simple_classifiers`.
        config: fractions, replicates, learning rates and filters.
        near_copies: of pictures that were made elsewhere, `Pool.report` with their ``name``; None for own generators.

    Returns:
        plain values for each comparison: ``fraction``, ``baseline``, ``verdict``, and a ``sentence`` that explains it;
        of pictures that were made elsewhere also the ``name``.
    """
    primary = comparisons[comparisons["is_primary"]]
    own = {(row["fraction"], row["baseline"]): row for row in primary[~primary["is_main"]].to_dict("records")}
    chosen = select_fits(fits, common_rates(fits))
    verdicts = []
    for row in primary[primary["is_main"]].to_dict("records"):
        arm, baseline = (
            [fit for fit in chosen if (fit.fraction, fit.arm) == (row["fraction"], row[name])]
            for name in ("arm", "baseline")
        )
        sentences = [
            _state_verdict(row, arm, config),
            _state_filters(arm, config),
            _state_low_diversity(arm, near_copies),
            _state_power(row, arm, config),
            _state_own_rates(own.get((row["fraction"], row["baseline"]))),
            _state_simple(simple_scores[simple_scores["fraction"] == row["fraction"]], baseline),
            _state_near_copies(near_copies, row["fraction"]),
        ]
        names = {name: row[name] for name in ("fraction", "baseline", "verdict")}
        origin = {} if near_copies is None else {"name": near_copies["name"]}
        verdicts.append({**origin, **names, "sentence": " ".join(filter(None, sentences))})
    return verdicts


def _state_verdict(row: Row, arm: Sequence[ArmFit], config: AugmentationConfig) -> str:
    count, images = len(config.fractions), len(arm[0].correct)
    return (
        f"{name_fraction(row['fraction'])} ({_range(fit.real_images for fit in arm)})"
        f"{SETTINGS[row['baseline']]}: {row['verdict']}"
        f"{f', corrected for {count} fractions (Holm)' if count > 1 else ''}. "
        f"With {_range(fit.synthetic_images for fit in arm)} generated ones added ({_state_choices(row, config)}), "
        f"accuracy changes by {_points(row['difference'])} points against {BASELINES[row['baseline']]} for as many "
        f"steps ({'uncorrected ' if count > 1 else ''}{CONFIDENCE:.0%} interval {_points(row['interval_low'])} to "
        f"{_points(row['interval_high'])}; {config.replicates} replicates, "
        f"{_range(fit.valid_images for fit in arm)} validation and {images:,} test images), and "
        f"macro-F1 by {_points(row['macro_f1_difference'])}."
    )


def _state_choices(row: Row, config: AugmentationConfig) -> str:
    """The arm, and what the validation split decided."""
    rivals = [arm for arm, baseline in list_contrasts(config) if arm.has_both and baseline.name == row["baseline"]]
    ratio = f"{row['arm']}, chosen on the validation split" if len(rivals) > 1 else row["arm"]
    if len(config.classifier.learning_rates) == 1:
        return ratio
    return f"{ratio}; learning rate {row['learning_rate']:g}, the best of {REAL_LONGER.name} there"


def _state_filters(arm: Sequence[ArmFit], config: AugmentationConfig) -> str:
    """How many of the images that were offered the filters kept, if there are filters."""
    selections = [fit.selection for fit in arm if fit.selection is not None]
    if not config.synthetic.has_filters or len(selections) < len(arm):
        return ""
    offered, _, kept = zip(*selections, strict=True)
    return f"Of {_range(offered)} images that were offered for each replicate, the filters kept {_range(kept)}."


def _state_low_diversity(arm: Sequence[ArmFit], near_copies: Mapping[str, Any] | None) -> str:
    """That the verdict is one on images that look alike, if they do."""
    diversities = [fit.synthetic_diversity for fit in arm if fit.synthetic_diversity is not None]
    narrow = sum(diversity < NARROW_BELOW for diversity in diversities)
    if not narrow:
        return ""
    cause = "; the generator has collapsed, or was trained for too few steps" if near_copies is None else ""
    return (
        f"Careful: in {narrow} of {len(arm)} replicates most generated images look alike (the lowest diversity is "
        f"{min(diversities):.0%} of that of real images){cause}."
    )


def _state_power(row: Row, arm: Sequence[ArmFit], config: AugmentationConfig) -> str:
    if np.isnan(row["smallest_visible"]):
        return "All test images have the same difference in all replicates: what these would have shown cannot be told."
    needed, images = row["replicates_for_a_point"], len(arm[0].correct)
    to_see_a_point = (
        f"to see one point it would take {needed:.0f} replicates."
        if needed is not None and not np.isnan(needed)
        else f"to see one point on these {images:,} test images, {MAX_REPLICATES:,} replicates would not do."
    )
    return (
        f"{'Without the correction, a' if len(config.fractions) > 1 else 'A'} difference of "
        f"{row['smallest_visible'] * 100:.1f} points would have been shown {POWER:.0%} of the time; {to_see_a_point}"
    )


def _state_own_rates(row: Row | None) -> str:
    """The second analysis, if there is one."""
    if row is None:
        return ""
    return (
        f"With the learning rate that is best for each arm on the validation split: {row['verdict']} ({row['arm']}: "
        f"{_points(row['difference'])} points, {_points(row['interval_low'])} to {_points(row['interval_high'])})."
    )


def _state_simple(scores: pd.DataFrame, baseline: Sequence[ArmFit]) -> str:
    means = scores.groupby("classifier", sort=False)["accuracy"].mean()
    listed = ", ".join(f"{name} {accuracy:.1%}" for name, accuracy in means.items())
    is_part = scores["images"].min() < min(fit.real_images for fit in baseline)
    images = f"{_range(scores['images'])} of the same images" if is_part else "the same images"
    network = np.mean([fit.scores.accuracy for fit in baseline])
    return f"Simple classifiers on {images}: {listed}; {baseline[0].arm} {network:.1%}."


def _state_near_copies(near_copies: Mapping[str, Any] | None, fraction: float) -> str:
    """What is known of the leaks from real images into pictures that were made elsewhere, and what is not."""
    if near_copies is None:
        return ""
    usable = near_copies["pictures"] - near_copies["left_out"]
    withheld = (
        " If it was trained on more of the real images than the classifiers have here, they may stand for those that "
        "are withheld; augmentation.fractions: [1] withholds none."
    )
    return (
        f"Of the {near_copies['pictures']:,} pictures of {near_copies['name']}, {near_copies['left_out']:,} "
        f"({near_copies['left_out_share']:.1%}) are duplicates or near-duplicates of test or validation images, and "
        f"were left out, as were {near_copies['real_left_out_share']:.1%} of the real training images. Of the other "
        f"{usable:,}, {near_copies['train_share']:.1%} are duplicates or near-duplicates of training images; "
        f"{near_copies['train_copies']:,} are equal to one in every pixel. Whether the generator of these pictures was "
        "trained on the test images is not known; if it was, they may help more here than on new images."
        f"{withheld if fraction < 1 else ''}"
    )


def _range(counts: Iterable[int]) -> str:
    """A count, or its range over the replicates."""
    lowest, *_, highest = sorted(counts)  # of two replicates or more
    return f"{lowest:,}" if lowest == highest else f"{lowest:,} to {highest:,}"


def _points(share: float) -> str:
    return f"{share * 100:+.1f}"
