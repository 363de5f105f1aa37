"""Tables of scores for a web page: a row for each recipe and each milestone."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from gan_pipelines.core.score_names import HEADLINES, MADE_ELSEWHERE, MILESTONE
from gan_pipelines.figures.charts import format_number

TITLES = {
    "fid": "FID ↓",
    "is": "IS ↑",
    "kid": "KID ↓",
    "precision": "Precision ↑",
    "recall": "Recall ↑",
    "copies": "Copies ↓",
    "fid_infinity": "FID∞ ↓",
    "density": "Density ↑",
    "coverage": "Coverage ↑",
    "authenticity": "Authenticity",
    "heldout_authenticity": "Authenticity of held-out images",
}
"""Titles of columns by metric, in their order; the arrow points to what is better."""
HIDDEN = ("class_kid",)
SHOWN_FIRST = "ema"
"""Set of weights that is shown first."""
ROW = ["variant", "recipe", "trained_epochs"]


@dataclass(frozen=True)
class Measured:
    """Scores that were measured alike.

    Attributes:
        parts: what their comparability keys have in common, by name.
        averages: a row for each system and metric, with the columns of `ROW`; ``generator`` (``last``,
            ``best``, `MILESTONE` or `MADE_ELSEWHERE`), ``weights``, ``metric``, ``key`` (hash of the comparability
            key), ``mean``, ``std`` and ``n``.
    """

    parts: Mapping[str, Any]
    averages: pd.DataFrame


@dataclass(frozen=True)
class Average:
    """A mean; the same and its standard deviation as texts, the latter empty if there is none."""

    value: float
    mean: str
    std: str


@dataclass(frozen=True)
class Cell:
    """A score of the last epoch and, where the best epoch is another, of that."""

    last: Average | None
    best: Average | None


@dataclass(frozen=True)
class Row:
    """The scores of a recipe; there are 0 epochs of images made elsewhere."""

    name: str
    epochs: int
    seeds: int
    cells: Sequence[Cell]


@dataclass(frozen=True)
class ScoreTable:
    """Scores of one set of weights, the lowest FID first.

    Attributes:
        weights: the set of weights.
        is_headline: whether the metrics are those that are shown first.
        titles: of the columns with scores.
        rows: one for each recipe and number of epochs, and one for each milestone.
    """

    weights: str
    is_headline: bool
    titles: Sequence[str]
    rows: Sequence[Row]


def lay_out_scores(measured: Measured, names: Mapping[tuple[str, str], str]) -> list[ScoreTable]:
    """Lay out scores in tables that fit on a page, the most important one first.

    Images made elsewhere stand in the table of each set of weights.

    Args:
        measured: the scores.
        names: of the recipes, by variant and recipe.
    """
    averages = measured.averages[~measured.averages["metric"].isin(HIDDEN)]
    weights = sorted({*averages["weights"]} - {MADE_ELSEWHERE}, key=lambda name: name != SHOWN_FIRST)
    return list(_lay_out_tables(averages, weights or [MADE_ELSEWHERE], names))


def list_keys(measured: Measured) -> dict[str, str]:
    """Hashes of the comparability keys by title of their column."""
    return {title: key for key, title in _titles(measured.averages).items()}


def _lay_out_tables(
    averages: pd.DataFrame, weights: Sequence[str], names: Mapping[tuple[str, str], str]
) -> Iterator[ScoreTable]:
    for each in weights:
        of_weights = averages[averages["weights"].isin([each, MADE_ELSEWHERE])]
        for is_headline in (True, False):
            part = of_weights[of_weights["metric"].isin(HEADLINES) == is_headline]
            if len(part):
                titles = _titles(part)
                systems = part.groupby([*ROW, part["generator"] == MILESTONE], sort=False)
                rows = [_lay_out_row(system, [*titles], names) for _, system in systems]
                rows.sort(key=lambda row: row.cells[0].last.value if row.cells[0].last else math.inf)
                yield ScoreTable(each, is_headline, [*titles.values()], rows)


def _lay_out_row(system: pd.DataFrame, keys: Sequence[str], names: Mapping[tuple[str, str], str]) -> Row:
    variant, recipe, epochs = system.iloc[0][ROW]
    is_best = system["generator"] == "best"
    last, best = _average(system[~is_best]), _average(system[is_best])
    shown = {} if best == last else best
    kind = f", {MILESTONE}" if MILESTONE in {*system["generator"]} else ""
    return Row(
        names[variant, recipe] + kind,
        int(epochs),
        int(system["n"].max()),
        [Cell(last.get(key), shown.get(key)) for key in keys],
    )


def _average(scores: pd.DataFrame) -> dict[str, Average]:
    """Averages of one generator by comparability key."""
    columns = (scores[column] for column in ("key", "mean", "std"))
    return {
        key: Average(mean, format_number(mean), "" if pd.isna(std) else f"{std:.2g}")
        for key, mean, std in zip(*columns, strict=True)
    }


def _titles(averages: pd.DataFrame) -> dict[str, str]:
    """Titles of columns by comparability key; those of a metric with several keys end in the hash."""
    metrics = dict(zip(averages["key"], averages["metric"], strict=True))
    order = [*TITLES, *sorted({*metrics.values()} - {*TITLES})]
    columns = sorted(metrics.items(), key=lambda column: order.index(column[1]))
    names = [metric for _, metric in columns]
    return {
        key: TITLES.get(metric, metric.replace("_", " ")) + (f" [{key[:8]}]" if names.count(metric) > 1 else "")
        for key, metric in columns
    }
