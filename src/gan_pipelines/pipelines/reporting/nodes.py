"""Nodes of the comparison of variants."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping
from typing import Any

import pandas as pd

from gan_pipelines import figures, metrics


def average_scores(all_scores: Mapping[str, Callable[[], list[dict[str, Any]]]]) -> pd.DataFrame:
    """Average the scores of every run of every variant over seeds."""
    by_variant: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for partition, load in sorted(all_scores.items()):  # by variant and version: the newest last
        by_variant[_variant_of(partition)] += load()
    return metrics.average_scores(by_variant)


def tabulate_scores(average_scores: pd.DataFrame) -> pd.DataFrame:
    """Lay the averages out, a column for each comparability key."""
    return metrics.tabulate_scores(average_scores)


def plot_scores_by_epoch(all_histories: Mapping[str, Callable[[], pd.DataFrame]]) -> figures.Figure:
    """Draw FID and Inception Score over epochs, a line for each variant, of its newest run."""
    newest = {_variant_of(partition): load for partition, load in sorted(all_histories.items())}
    return figures.plot_scores_by_epoch({variant: load() for variant, load in newest.items()})


def _variant_of(partition: str) -> str:
    """The variant of a partition such as ``dcgan/scores.json/2026-01-02T03.04.05.678Z/scores.json``."""
    return partition.partition("/")[0]
