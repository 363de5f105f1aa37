"""Scores of several seeds as one, and of several variants side by side."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import pandas as pd

from gan_pipelines.hashing import hash_values
from gan_pipelines.metrics.config import abbreviate

SYSTEM = ["variant", "generator", "weights", "trained_epochs", "recipe"]
"""What is scored, but for seeds: ``generator`` is last or best, ``recipe`` the fingerprint of all other settings.

The best epoch is another one for each seed: what counts is of how many it is the best."""


def average_scores(scores: Mapping[str, Iterable[Mapping[str, Any]]]) -> pd.DataFrame:
    """Average scores over seeds, where all else that must be equal is.

    Scores of several sampling seeds of one training count as one, their mean: n is the number of trainings. Where there
    is but one training, the standard deviation is that over its sampling seeds.

    Args:
        scores: records of `Score`, by variant; of two of the same training and samples the later one counts.

    Returns:
        one row for each system and comparability key: `SYSTEM`, ``metric``, ``mean``, ``std``, ``n``,
        ``sampling_seeds``, ``key``, the hash of the comparability key, and its parts.
    """
    rows = [_flatten(variant, record) for variant, records in scores.items() for record in records]
    table = pd.DataFrame(rows).drop_duplicates([*SYSTEM, "key", "seed", "sampling_seed"], keep="last")
    averages = []
    for _, group in table.groupby([*SYSTEM, "key"], sort=False, dropna=False):
        by_training = group.groupby("seed")["value"].mean()
        spread = by_training if len(by_training) > 1 else group["value"]
        averages.append(
            {
                **group.iloc[0].drop(["value", "seed", "sampling_seed"]),
                "mean": by_training.mean(),
                "std": spread.std(),
                "n": len(by_training),
                "sampling_seeds": group["sampling_seed"].nunique(),
            }
        )
    return pd.DataFrame(averages)


def tabulate_scores(averages: pd.DataFrame) -> pd.DataFrame:
    """Lay averages out for the eye, without those of classes: a row for each system, a column for each key.

    Args:
        averages: as `average_scores` gives them.
    """
    shown = averages[averages["metric"] != "class_kid"].copy()
    shown["column"] = shown["metric"] + "_" + shown["samples"].map(abbreviate) + " [" + shown["key"] + "]"
    shown["shown"] = list(map(_describe, shown["mean"], shown["std"], shown["n"]))
    return shown.pivot(index=SYSTEM, columns="column", values="shown").reset_index().rename_axis(columns=None)


def _flatten(variant: str, record: Mapping[str, Any]) -> dict[str, Any]:
    identity, key = record["identity"], record["comparability"]
    system = {name: variant if name == "variant" else identity[name] for name in [*SYSTEM, "seed", "sampling_seed"]}
    return {**system, **key, "key": hash_values(key), "value": record["value"]}


def _describe(mean: float, std: float, count: int) -> str:
    return f"{mean:.4g} (n={count})" if pd.isna(std) else f"{mean:.4g} ± {std:.2g} (n={count})"
