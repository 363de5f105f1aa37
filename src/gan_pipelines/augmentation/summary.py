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
        metrics ``accuracy_<arm>_<fraction>``, means over the replicates, and ``difference_<arm>_<fraction>``; the
        verdicts as a tag and as sentences.
    """
    accuracies = arm_scores.groupby(["arm", "fraction"])["accuracy"].mean().reset_index()
    return Findings(
        metrics=_name_metrics(accuracies, "accuracy") | _name_metrics(comparisons, "difference"),
        tags={"verdict": " ".join(verdict["sentence"] for verdict in verdicts)},
        sentences=tuple(f"Augmentation with {verdict['sentence']}" for verdict in verdicts),
    )


def _name_metrics(table: pd.DataFrame, column: str) -> dict[str, float]:
    rows = zip(table["arm"], table["fraction"], table[column], strict=True)
    return {f"{column}_{arm}_{fraction:g}": value for arm, fraction, value in rows}
