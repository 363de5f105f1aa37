"""Line charts for a web page: the coordinates that a template draws as SVG."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray

EXTENT = 1000
"""Width and height of a chart in its own units; the page stretches it to any size."""
MAX_POINTS = 200
"""Maximum number of points of a line: more cannot be told apart on a screen."""
MAX_LOG_TICKS = 7
PADDING = 0.04
"""Empty part of a chart below the lowest and above the highest value."""


@dataclass(frozen=True)
class Tick:
    """A labelled place on an axis, from 0 (left, bottom) to 1."""

    place: float
    text: str


@dataclass(frozen=True)
class Line:
    """One line: its points in units of the chart, from the top left, and what they mean.

    Attributes:
        label: name in the legend; lines with the same label look alike.
        detail: what tells the line from others with its label; may be empty.
        style: number of the label, from 0.
        points: as SVG writes them.
        epochs: of the points.
        values: of the points, as texts.
    """

    label: str
    detail: str
    style: int
    points: str
    epochs: Sequence[str]
    values: Sequence[str]


@dataclass(frozen=True)
class Chart:
    """A line chart over epochs."""

    title: str
    x_ticks: Sequence[Tick]
    y_ticks: Sequence[Tick]
    lines: Sequence[Line]

    @property
    def legend(self) -> dict[str, int]:
        """Styles by label."""
        return {line.label: line.style for line in self.lines}


class Scale:
    """Places of values between the lowest and the highest: linear, or logarithmic if all are positive.

    Args:
        values: the values, at least one.
        is_log: whether factors rather than differences have the same length.
        padding: part that stays empty at both ends.
    """

    def __init__(self, values: NDArray[np.float64], *, is_log: bool = False, padding: float = 0.0) -> None:
        self.is_log = is_log and bool(values.min() > 0)
        shown = self._shown(values)
        low, high = float(shown.min()), float(shown.max())
        margin = padding * (high - low) or (0.5 if low == high else 0.0)
        self.low, self.high = low - margin, high + margin

    def places(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        """From 0 at the low end to 1 at the high end."""
        return (self._shown(values) - self.low) / (self.high - self.low)

    def ticks(self, count: int = 6, *, integer: bool = False) -> list[Tick]:
        """Round values within the scale."""
        locator = MaxNLocator(count, steps=[1, 2, 5, 10], integer=integer, min_n_ticks=1)
        values = np.asarray(
            _round_logs(10**self.low, 10**self.high) if self.is_log else locator.tick_values(self.low, self.high),
            dtype=np.float64,
        )
        places = self.places(values)
        inside = (places >= 0) & (places <= 1)
        return [
            Tick(float(place), format_number(value))
            for place, value in zip(places[inside], values[inside], strict=True)
        ]

    def _shown(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.log10(values) if self.is_log else values


def draw_chart(title: str, lines: Mapping[str, Sequence[pd.Series[float]]]) -> Chart | None:
    """Lay out a chart; None if there is no finite value.

    Args:
        title: of the chart; FIDs get a logarithmic axis, since they decrease from hundreds to single digits.
        lines: values by epoch, by label; several series with one label are told apart by their names.
    """
    finite = {
        label: [_thin(values[np.isfinite(values)]) for values in series if np.isfinite(values).any()]
        for label, series in lines.items()
    }
    drawn = [values for series in finite.values() for values in series]
    if not drawn:
        return None
    x_scale = Scale(np.concatenate([np.zeros(1), *(values.index.to_numpy(dtype=np.float64) for values in drawn)]))
    y_scale = Scale(
        np.concatenate([values.to_numpy(dtype=np.float64) for values in drawn]),
        is_log=title.startswith("FID"),
        padding=PADDING,
    )
    return Chart(
        title,
        x_scale.ticks(integer=True),
        y_scale.ticks(),
        [
            _draw_line(label, style, values, x_scale, y_scale)
            for style, (label, series) in enumerate(finite.items())
            for values in series
        ],
    )


def format_number(value: float) -> str:
    """Three significant digits, with commas and without an exponent from a thousand to a billion."""
    return f"{value:,.0f}" if 1000 <= abs(value) < 1e9 else f"{value:.3g}".replace("-", "\N{MINUS SIGN}")


def spread(count: int, most: int) -> NDArray[np.intp]:
    """At most ``most`` of the indices below ``count``, evenly spaced, with the first and the last."""
    return np.linspace(0, count - 1, min(count, most)).round().astype(np.intp)


def _draw_line(label: str, style: int, values: pd.Series[float], x_scale: Scale, y_scale: Scale) -> Line:
    x = EXTENT * x_scale.places(np.asarray(values.index, dtype=np.float64))
    y = EXTENT * (1 - y_scale.places(np.asarray(values, dtype=np.float64)))
    return Line(
        label,
        str(values.name or ""),
        style,
        " ".join(f"{across:.0f},{down:.0f}" for across, down in zip(x, y, strict=True)),
        [f"{epoch:g}" for epoch in values.index],
        [format_number(value) for value in values],
    )


def _thin(values: pd.Series[float]) -> pd.Series[float]:
    """At most `MAX_POINTS` of the values, evenly spaced, with the first and the last."""
    return values.iloc[spread(len(values), MAX_POINTS)]


def _round_logs(low: float, high: float) -> list[float]:
    """Powers of ten, with their twofold and fivefold if there are few."""
    powers = [10.0**power for power in range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)]
    inside = [power * part for power in powers for part in (1, 2, 5) if low <= power * part <= high]
    return inside if len(inside) <= MAX_LOG_TICKS else powers
