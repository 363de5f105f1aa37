"""Tables of the experiment, and its verdicts in words."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import asdict
from typing import Any

import numpy as np
import pandas as pd

from gan_pipelines.augmentation.arms import ArmFit
from gan_pipelines.augmentation.config import REAL_LONGER, Arm, AugmentationConfig, list_contrasts
from gan_pipelines.augmentation.statistics import MAX_REPLICATES, POWER, Comparison, compare_paired
from gan_pipelines.core.statistics import CONFIDENCE, Interval, t_interval

Table = dict[tuple[float, str, int], ArmFit]


def tabulate_fits(fits: Sequence[ArmFit], class_names: Sequence[str]) -> pd.DataFrame:
    """Tabulate the classifiers, one row each, with their scores on the test split.

    Columns: ``fraction``, ``seed``, ``arm``, ``real_images``, ``synthetic_images``, ``steps``, ``seconds``,
    ``best_epoch``, ``valid_accuracy``, ``accuracy``, ``macro_f1``, ``calibration_error``, and
    ``accuracy_<class>`` of each class.
    """
    rows = []
    for fit in fits:
        row = {key: value for key, value in asdict(fit).items() if key not in ("scores", "correct", "history")}
        row |= {key: value for key, value in fit.scores._asdict().items() if key != "class_accuracy"}
        by_class = zip(class_names, fit.scores.class_accuracy, strict=True)
        rows.append(row | {f"accuracy_{name}": accuracy for name, accuracy in by_class})
    return pd.DataFrame(rows)


def tabulate_histories(fits: Sequence[ArmFit]) -> pd.DataFrame:
    """Tabulate the epochs of the classifiers: ``fraction``, ``seed``, ``arm`` and the columns of `ArmFit.history`."""
    return pd.DataFrame(
        [{"fraction": fit.fraction, "seed": fit.seed, "arm": fit.arm, **row} for fit in fits for row in fit.history]
    )


def tabulate_comparisons(fits: Sequence[ArmFit], config: AugmentationConfig) -> pd.DataFrame:
    """Tabulate the paired differences between arms, one row for each fraction and pair; accuracies are from 0 to 1.

    Columns: ``fraction``, ``arm``, ``baseline``, ``is_primary`` (the best ratio on the validation split), the fields of
    `Comparison`, intervals as ``_low`` and ``_high``, and difference and t interval over replicates of ``macro_f1`` and
    ``calibration_error``.
    """
    table = {(fit.fraction, fit.arm, fit.seed): fit for fit in fits}
    rows = []
    for fraction in config.fractions:
        primary = _best_ratio(table, fraction, config)
        for arm, baseline in list_contrasts(config):
            pairs = [(table[fraction, arm.name, seed], table[fraction, baseline.name, seed]) for seed in config.seeds]
            rows.append(
                {
                    "fraction": fraction,
                    "arm": arm.name,
                    "baseline": baseline.name,
                    "is_primary": arm == primary,
                    **_flatten(compare_paired(np.array([a.correct.astype(int) - b.correct for a, b in pairs]))),
                    **_compare_scores(pairs, "macro_f1"),
                    **_compare_scores(pairs, "calibration_error"),
                }
            )
    return pd.DataFrame(rows)


def state_verdicts(
    fits: Sequence[ArmFit], comparisons: pd.DataFrame, config: AugmentationConfig
) -> list[dict[str, Any]]:
    """State for each fraction whether synthetic images help, by its primary comparison.

    Returns:
        plain values for each fraction: ``fraction``, ``verdict``, and a ``sentence`` that explains it.
    """
    verdicts = []
    for row in comparisons[comparisons["is_primary"]].to_dict("records"):
        arm = [fit for fit in fits if (fit.fraction, fit.arm) == (row["fraction"], row["arm"])]
        verdicts.append(
            {
                "fraction": row["fraction"],
                "verdict": row["verdict"],
                "sentence": _state_verdict(row, arm, config),
            }
        )
    return verdicts


def _best_ratio(table: Table, fraction: float, config: AugmentationConfig) -> Arm:
    """The arm with real and synthetic images that has the highest mean accuracy on the validation split."""
    arms = [arm for arm, baseline in list_contrasts(config) if arm.ratio and arm.has_real and baseline == REAL_LONGER]
    return max(arms, key=lambda arm: np.mean([table[fraction, arm.name, seed].valid_accuracy for seed in config.seeds]))


def _flatten(comparison: Comparison) -> dict[str, Any]:
    row: dict[str, Any] = {}
    for name, value in vars(comparison).items():
        row |= _flatten_interval(name, value) if isinstance(value, Interval) else {name: value}
    return row


def _flatten_interval(name: str, interval: Interval) -> dict[str, float]:
    return {f"{name}_low": interval.low, f"{name}_high": interval.high}


def _compare_scores(pairs: Sequence[tuple[ArmFit, ArmFit]], score: str) -> dict[str, float]:
    differences = np.array([getattr(a.scores, score) - getattr(b.scores, score) for a, b in pairs])
    interval = t_interval(differences)
    return {f"{score}_difference": float(differences.mean()), **_flatten_interval(score, interval)}


def _state_verdict(row: Mapping[Hashable, Any], arm: Sequence[ArmFit], config: AugmentationConfig) -> str:
    replicates, images = config.replicates, len(arm[0].correct)
    needed = row["replicates_for_a_point"]
    to_see_a_point = (
        f"to see one point it would take {needed:.0f} replicates."
        if needed is not None and not np.isnan(needed)
        else f"to see one point on these {images:,} test images, {MAX_REPLICATES:,} replicates would not do."
    )
    return (
        f"{row['fraction']:.0%} of the real images ({_range(fit.real_images for fit in arm)}): {row['verdict']}. With "
        f"{_range(fit.synthetic_images for fit in arm)} generated ones added ({row['arm']}, chosen on the validation "
        f"split), accuracy changes by {_points(row['difference'])} points against the real ones alone for as many "
        f"steps ({CONFIDENCE:.0%} interval {_points(row['interval_low'])} to {_points(row['interval_high'])}; "
        f"{replicates} replicates, {images:,} test images). A difference of "
        f"{row['smallest_visible'] * 100:.1f} points would have been shown {POWER:.0%} of the time; {to_see_a_point}"
    )


def _range(counts: Iterable[int]) -> str:
    """A count, or its range over the replicates."""
    lowest, *_, highest = sorted(counts)  # of two replicates or more
    return f"{lowest:,}" if lowest == highest else f"{lowest:,} to {highest:,}"


def _points(share: float) -> str:
    return f"{share * 100:+.1f}"
