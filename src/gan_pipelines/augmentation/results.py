"""Tables of the experiment."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from statistics import fmean
from typing import Any

import numpy as np
import pandas as pd

from gan_pipelines.augmentation.arms import ArmFit
from gan_pipelines.augmentation.config import Arm, AugmentationConfig, list_contrasts
from gan_pipelines.augmentation.rates import common_rates, own_rates, select_fits
from gan_pipelines.augmentation.statistics import Comparison, Numbers, compare_paired, correct_holm, decide
from gan_pipelines.augmentation.synthesis import Selection
from gan_pipelines.core.statistics import Interval, t_interval

Pairs = list[tuple[ArmFit, ArmFit]]
"""Fits of an arm and of its baseline, one pair for each replicate."""


def tabulate_fits(fits: Sequence[ArmFit], class_names: Sequence[str]) -> pd.DataFrame:
    """Tabulate the classifiers, one row each, with their scores on the test split.

    Columns: ``fraction``, ``seed``, ``arm``, ``learning_rate``, ``real_images``, ``valid_images``,
    ``synthetic_images``, ``synthetic_diversity``, ``steps``, ``seconds``, ``best_epoch``, ``valid_accuracy``, the
    fields of `Selection`, ``accuracy``, ``macro_f1``, ``calibration_error``, ``loss``, ``accuracy_<class>`` of each
    class (its recall), and ``is_main``: whether the learning rate is that of the main analysis.
    """
    rates = common_rates(fits)
    rows = []
    for fit in fits:
        apart = ("selection", "scores", "correct", "history")
        row = {key: value for key, value in asdict(fit).items() if key not in apart}
        row |= fit.selection._asdict() if fit.selection else dict.fromkeys(Selection._fields)
        row |= {key: value for key, value in fit.scores._asdict().items() if key != "class_accuracy"}
        by_class = zip(class_names, fit.scores.class_accuracy, strict=True)
        row |= {f"accuracy_{name}": accuracy for name, accuracy in by_class}
        rows.append(row | {"is_main": fit.learning_rate == rates[fit.fraction, fit.arm]})
    return pd.DataFrame(rows)


def tabulate_histories(fits: Sequence[ArmFit]) -> pd.DataFrame:
    """Tabulate the epochs of the classifiers in the main analysis.

    Columns: ``fraction``, ``seed``, ``arm`` and those of `ArmFit.history`.
    """
    chosen = select_fits(fits, common_rates(fits))
    return pd.DataFrame(
        [{"fraction": fit.fraction, "seed": fit.seed, "arm": fit.arm, **row} for fit in chosen for row in fit.history]
    )


def tabulate_comparisons(fits: Sequence[ArmFit], config: AugmentationConfig) -> pd.DataFrame:
    """Tabulate the paired differences between arms, one row for each analysis, fraction and pair.

    In the main analysis, all arms of a fraction have the learning rate of the real images alone. With several learning
    rates there is a second analysis, in which each arm has its own.

    Columns: ``is_main`` (the analysis), ``fraction``, ``arm``, ``baseline``, ``learning_rate``,
    ``baseline_learning_rate``, ``is_primary`` (for each baseline the best ratio on the validation split), the fields of
    `Comparison`, intervals as ``_low`` and ``_high``, and difference and t interval over replicates of ``macro_f1`` and
    ``calibration_error``. ``verdict`` follows from ``corrected_p_value`` if the row is primary, which is Holm's
    correction over the fractions, and from ``p_value`` otherwise. Accuracies are from 0 to 1.
    """
    analyses = [(True, common_rates(fits))]
    if len(config.classifier.learning_rates) > 1:
        analyses.append((False, own_rates(fits)))
    rows = []
    for is_main, rates in analyses:
        for names, pairs in _list_pairs(select_fits(fits, rates), config):
            (one, other), *_ = pairs
            rows.append(
                {
                    "is_main": is_main,
                    **names,
                    "learning_rate": one.learning_rate,
                    "baseline_learning_rate": other.learning_rate,
                    **_flatten(compare_paired(np.array([a.correct.astype(int) - b.correct for a, b in pairs]))),
                    **_compare_scores("macro_f1", _pick(pairs, "macro_f1")),
                    **_compare_scores("calibration_error", _pick(pairs, "calibration_error")),
                }
            )
    return _decide(pd.DataFrame(rows))


def tabulate_class_comparisons(
    fits: Sequence[ArmFit], config: AugmentationConfig, class_names: Sequence[str]
) -> pd.DataFrame:
    """Tabulate the differences in the recall of each class in the main analysis.

    Columns: ``fraction``, ``arm``, ``baseline``, ``is_primary``, ``class``, ``recall`` and ``baseline_recall`` (means
    over the replicates, from 0 to 1), ``recall_difference``, and its paired t interval over the replicates,
    ``recall_low`` and ``recall_high``, uncorrected. All are NaN for a class without test images.
    """
    rows = []
    for names, pairs in _list_pairs(select_fits(fits, common_rates(fits)), config):
        for label, name in enumerate(class_names):
            recalls = np.array([[fit.scores.class_accuracy[label] for fit in pair] for pair in pairs])
            recall, baseline_recall = recalls.mean(axis=0).tolist()
            means = {"class": name, "recall": recall, "baseline_recall": baseline_recall}
            rows.append({**names, **means, **_compare_scores("recall", recalls)})
    return pd.DataFrame(rows)


def _list_pairs(fits: Sequence[ArmFit], config: AugmentationConfig) -> Iterator[tuple[dict[str, Any], Pairs]]:
    """For each fraction and contrast its first columns, and the fits to compare."""
    table = {(fit.fraction, fit.arm, fit.seed): fit for fit in fits}
    for fraction in config.fractions:
        by_arm = {
            arm: [table[fraction, arm.name, seed] for seed in config.seeds]
            for arm in dict.fromkeys(arm for contrast in list_contrasts(config) for arm in contrast)
        }
        primary = _choose_ratios(by_arm, config)
        for arm, baseline in list_contrasts(config):
            names = {"fraction": fraction, "arm": arm.name, "baseline": baseline.name, "is_primary": arm in primary}
            yield names, list(zip(by_arm[arm], by_arm[baseline], strict=True))


def _choose_ratios(by_arm: dict[Arm, list[ArmFit]], config: AugmentationConfig) -> list[Arm]:
    """For each baseline the arm with synthetic images that has the highest mean accuracy on the validation split.

    The mean loss there breaks ties, which are many where the split is small.
    """

    def rank(arm: Arm) -> tuple[float, float]:
        fits = by_arm[arm]
        return fmean(fit.valid_accuracy for fit in fits), -fmean(fit.valid_loss for fit in fits)

    candidates = defaultdict(list)
    for arm, baseline in list_contrasts(config):
        if arm.has_both:
            candidates[baseline].append(arm)
    return [max(arms, key=rank) for arms in candidates.values()]


def _decide(comparisons: pd.DataFrame) -> pd.DataFrame:
    """Add p-values of the primary comparisons, corrected over the fractions, and all verdicts."""
    primary = comparisons[comparisons["is_primary"]]
    corrected = primary.groupby(["is_main", "baseline"])["p_value"].transform(correct_holm)
    table = comparisons.assign(corrected_p_value=corrected)
    decisive = table["corrected_p_value"].fillna(table["p_value"])
    return table.assign(verdict=[decide(*pair) for pair in zip(table["difference"], decisive, strict=True)])


def _flatten(comparison: Comparison) -> dict[str, Any]:
    row: dict[str, Any] = {}
    for name, value in vars(comparison).items():
        row |= _flatten_interval(name, value) if isinstance(value, Interval) else {name: value}
    return row


def _flatten_interval(name: str, interval: Interval) -> dict[str, float]:
    return {f"{name}_low": interval.low, f"{name}_high": interval.high}


def _pick(pairs: Pairs, score: str) -> Numbers:
    """A score of each fit: (replicates, arm and baseline)."""
    return np.array([[getattr(fit.scores, score) for fit in pair] for pair in pairs])


def _compare_scores(name: str, scores: Numbers) -> dict[str, float]:
    """Mean difference between scores (replicates, arm and baseline), with its t interval over the replicates."""
    differences = scores[:, 0] - scores[:, 1]
    return {f"{name}_difference": float(differences.mean()), **_flatten_interval(name, t_interval(differences))}
