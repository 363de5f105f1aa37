"""Results of the augmentation experiment in brief."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from gan_pipelines.augmentation.config import REAL_LONGER
from gan_pipelines.core.findings import Findings


def summarize_experiment(
    arm_scores: pd.DataFrame, comparisons: pd.DataFrame, verdicts: Sequence[Mapping[str, Any]]
) -> Findings:
    """Summarize an experiment.

    Args:
        arm_scores: from `tabulate_fits`.
        comparisons: from `tabulate_comparisons`.
        verdicts: from `state_verdicts`.

    Returns:
        metrics of the main analysis: ``accuracy_real`` and ``accuracy_with_generated``, the mean accuracies behind the
        first verdict, which is on the first fraction without transforms; and in the section ``augmentation/`` of all
        arms and fractions ``accuracy_<arm>_<fraction>``, means over the replicates, ``difference_<arm>_<fraction>``
        and ``learning_rate_<fraction>``. The verdicts are a tag and sentences.
    """
    main_scores, main_comparisons = arm_scores[arm_scores["is_main"]], comparisons[comparisons["is_main"]]
    accuracies = main_scores.groupby(["arm", "fraction"])["accuracy"].mean().reset_index()
    rates = main_scores.groupby("fraction")["learning_rate"].first()
    details = (
        _name_metrics(accuracies, "accuracy")
        | _name_metrics(main_comparisons, "difference")
        | {f"learning_rate_{fraction:g}": rate for fraction, rate in rates.items()}
    )
    primary = main_comparisons[main_comparisons["is_primary"] & (main_comparisons["baseline"] == REAL_LONGER.name)]
    fraction, arm = primary[["fraction", "arm"]].iloc[0]
    return Findings(
        metrics={
            "accuracy_real": details[_name_metric("accuracy", REAL_LONGER.name, fraction)],
            "accuracy_with_generated": details[_name_metric("accuracy", arm, fraction)],
            **{f"augmentation/{name}": value for name, value in details.items()},
        },
        tags={"verdict": " ".join(verdict["sentence"] for verdict in verdicts)},
        sentences=tuple(f"Augmentation with {verdict['sentence']}" for verdict in verdicts),
    )


def _name_metrics(table: pd.DataFrame, column: str) -> dict[str, float]:
    rows = zip(table["arm"], table["fraction"], table[column], strict=True)
    return {_name_metric(column, arm, fraction): value for arm, fraction, value in rows}


def _name_metric(column: str, arm: str, fraction: float) -> str:
    return f"{column}_{arm}_{fraction:g}"
