"""Which of two recipes has the lower FID: paired over the training seeds that both have."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from itertools import combinations
from typing import Any

import numpy as np
import pandas as pd

from gan_pipelines.core.statistics import CONFIDENCE, t_interval
from gan_pipelines.metrics.averages import KEY_DIGITS, list_scores

MIN_SEEDS = 3
"""Minimum number of training seeds that two recipes must have in common."""
TRAINED = ["variant", "recipe", "trained_epochs"]
"""Columns that identify what is compared: recipes do not name the number of epochs."""
COLUMNS = [
    "key", "weights", "variant", "recipe", "epochs", "other_variant", "other_recipe", "other_epochs", "seeds", "ratio",
    "ratio_low", "ratio_high", "verdict", "sentence",
]  # fmt: skip


def compare_recipes(
    scores: Mapping[str, Iterable[Mapping[str, Any]]], names: Mapping[tuple[str, str], str]
) -> pd.DataFrame:
    """Compare the FID of the last epoch between all pairs of recipes with at least `MIN_SEEDS` common training seeds.

    Trainings of a recipe for other numbers of epochs count as those of another recipe; failed ones do not count. FIDs
    differ by factors rather than by amounts, so the paired differences are those of their logarithms. Their t interval
    decides the verdict. It is not corrected for the number of pairs.

    Args:
        scores: records of `Score`, by variant. Several sampling seeds of one training are averaged first.
        names: how sentences call a recipe, by variant and recipe.

    Returns:
        a row for each pair, set of weights and comparability key, the recipe with the lower mean first: ``epochs``,
        those of its trainings; ``ratio``, its FID divided by that of the other, the geometric mean over the seeds;
        ``ratio_low`` and ``ratio_high``, its interval; ``verdict`` (``better`` or ``no difference shown``); and a
        ``sentence``.
    """
    table = list_scores(
        {name: [each for each in records if "failure" not in each["identity"]] for name, records in scores.items()}
    )
    table = table[(table["metric"] == "fid") & (table["generator"] == "last")]
    rows = [
        {"key": str(key)[:KEY_DIGITS], "weights": weights, **row}
        for (key, weights), group in table.groupby(["key", "weights"], sort=False)
        for row in _compare_pairs(group, names)
    ]
    return pd.DataFrame(rows, columns=COLUMNS)


def _compare_pairs(scores: pd.DataFrame, names: Mapping[tuple[str, str], str]) -> Iterator[dict[str, Any]]:
    """Compare all pairs of recipes by scores with one comparability key."""
    by_seed = np.log(scores.groupby([*TRAINED, "seed"])["value"].mean())
    samples, weights = scores["samples"].iloc[0], scores["weights"].iloc[0]
    recipes = {recipe: values.droplevel(TRAINED) for recipe, values in by_seed.groupby(level=TRAINED, sort=False)}
    for first, other in combinations(recipes, 2):
        differences = (recipes[first] - recipes[other]).dropna()
        if len(differences) < MIN_SEEDS:
            continue
        if differences.mean() > 0:
            first, other, differences = other, first, -differences  # noqa: PLW2901
        interval = t_interval(differences.to_numpy())
        verdict = "better" if interval.high < 0 else "no difference shown"
        ratio, ratio_low, ratio_high = map(math.exp, (differences.mean(), *interval))
        yield {
            "variant": first[0],
            "recipe": first[1],
            "epochs": first[2],
            "other_variant": other[0],
            "other_recipe": other[1],
            "other_epochs": other[2],
            "seeds": len(differences),
            "ratio": ratio,
            "ratio_low": ratio_low,
            "ratio_high": ratio_high,
            "verdict": verdict,
            "sentence": (
                f"{names[first[:2]]} after {first[2]} epochs against {names[other[:2]]} after {other[2]} epochs, "
                f"{weights} weights: {verdict}. Its FID is {ratio:.2f} times as high ({CONFIDENCE:.0%} interval "
                f"{ratio_low:.2f} to {ratio_high:.2f}; {len(differences)} seeds, {samples:,} samples)."
            ),
        }
