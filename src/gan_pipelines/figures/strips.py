"""Strips of dots and intervals for a web page: classifiers by arm, and differences between arms."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from gan_pipelines.core.findings import name_fraction
from gan_pipelines.figures.arms import select_main
from gan_pipelines.figures.charts import EXTENT, Scale, Tick

TICKS = 4
PADDING = 0.05


@dataclass(frozen=True)
class Dot:
    """A value: its place in units of the strip, and its text."""

    place: float
    text: str


@dataclass(frozen=True)
class Strip:
    """One row of a figure.

    Attributes:
        label: of the row.
        dots: single values.
        bar: ends of an interval, or None.
        middle: place of the mean or of the difference.
        text: the value in words.
        kind: verdict on a difference, or empty.
        is_primary: whether a verdict in words rests on the row.
    """

    label: str
    dots: Sequence[Dot]
    bar: tuple[float, float] | None
    middle: float
    text: str
    kind: str = ""
    is_primary: bool = False


@dataclass(frozen=True)
class StripFigure:
    """Rows over one axis in percent or percentage points; ``zero`` is its place on the axis, if it is there."""

    title: str
    ticks: Sequence[Tick]
    strips: Sequence[Strip]
    zero: float | None = None


def draw_arms(scores: pd.DataFrame, comparisons: pd.DataFrame) -> dict[str, list[StripFigure]]:
    """Lay out accuracies of the classifiers and differences between arms, by fraction.

    Args:
        scores: as `plot_arms` takes them.
        comparisons: as `plot_arms` takes them.
    """
    scores, comparisons = select_main(scores), select_main(comparisons)
    return {
        name_fraction(fraction): [
            _draw_accuracies(scores[scores["fraction"] == fraction]),
            _draw_differences(comparisons[comparisons["fraction"] == fraction]),
        ]
        for fraction in dict.fromkeys(scores["fraction"])
    }


def _draw_accuracies(scores: pd.DataFrame) -> StripFigure:
    percent = scores["accuracy"].to_numpy(dtype=float) * 100
    scale = Scale(percent, padding=PADDING)
    strips = []
    for arm, accuracies in scores.groupby("arm", sort=False)["accuracy"]:
        values = accuracies.to_numpy(dtype=float) * 100
        places = EXTENT * scale.places(values)
        dots = [Dot(float(place), f"{value:.1f} %") for place, value in zip(places, values, strict=True)]
        strips.append(Strip(_read(arm), dots, None, float(places.mean()), f"{values.mean():.1f} %"))
    return StripFigure("Accuracy on the test split, %", scale.ticks(TICKS), strips)


def _draw_differences(comparisons: pd.DataFrame) -> StripFigure:
    points = comparisons[["interval_low", "difference", "interval_high"]].to_numpy(dtype=float) * 100
    scale = Scale(np.append(points, 0.0), padding=PADDING)
    places = EXTENT * scale.places(points)
    strips = [
        Strip(
            f"{_read(row['arm'])} against {_read(row['baseline'])}",
            [],
            (low, high),
            middle,
            "{1:+.1f} ({0:+.1f} to {2:+.1f})".format(*values).replace("-", "\N{MINUS SIGN}"),
            str(row["verdict"]),
            bool(row["is_primary"]),
        )
        for row, (low, middle, high), values in zip(
            comparisons.to_dict("records"), places.tolist(), points.tolist(), strict=True
        )
    ]
    title = "Differences in accuracy with 95 % intervals, points"
    return StripFigure(title, scale.ticks(TICKS), strips, float(scale.places(np.zeros(1))[0]))


def _read(arm: object) -> str:
    return str(arm).replace("_", " ")
