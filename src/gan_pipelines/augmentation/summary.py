"""Results of the augmentation experiment in brief."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

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
        metrics of the main analysis: ``accuracy_<arm>_<fraction>``, means over the replicates,
        ``difference_<arm>_<fraction>`` and ``learning_rate_<fraction>``; the verdicts as a tag and as sentences.
    """
    main_scores, main_comparisons = arm_scores[arm_scores["is_main"]], comparisons[comparisons["is_main"]]
    accuracies = main_scores.groupby(["arm", "fraction"])["accuracy"].mean().reset_index()
    rates = main_scores.groupby("fraction")["learning_rate"].first()
    return Findings(
        metrics=_name_metrics(accuracies, "accuracy")
        | _name_metrics(main_comparisons, "difference")
        | {f"learning_rate_{fraction:g}": rate for fraction, rate in rates.items()},
        tags={"verdict": " ".join(verdict["sentence"] for verdict in verdicts)},
        sentences=tuple(f"Augmentation with {verdict['sentence']}" for verdict in verdicts),
    )


def _name_metrics(table: pd.DataFrame, column: str) -> dict[str, float]:
    rows = zip(table["arm"], table["fraction"], table[column], strict=True)
    return {f"{column}_{arm}_{fraction:g}": value for arm, fraction, value in rows}
