"""A page that compares all runs of an experiment: one self-contained HTML file."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from gan_pipelines.core.findings import name_fraction
from gan_pipelines.core.versions import parse_version
from gan_pipelines.figures.charts import EXTENT, Chart, draw_chart, format_number, spread
from gan_pipelines.figures.curves import Panels, loss_panels, score_panels
from gan_pipelines.figures.pages import Pixels, render_page
from gan_pipelines.figures.score_tables import Measured, lay_out_scores, list_keys
from gan_pipelines.figures.strips import StripFigure, draw_arms

MAX_FRAMES = 64
"""Maximum number of grids by epoch on a page, which all variants share; each shows at least its first and last."""
FRAMES_PER_VARIANT = 8


@dataclass(frozen=True)
class Arms:
    """The results of an augmentation experiment: arguments of `plot_arms`, and verdicts with their ``sentence``."""

    scores: pd.DataFrame
    comparisons: pd.DataFrame
    verdicts: Sequence[Mapping[str, Any]]


@dataclass(frozen=True)
class Comparison:
    """The contents of the page; any part may be empty. Keys are a variant and a version, unless said otherwise.

    Attributes:
        experiment: name of the experiment.
        manifest: manifest of the real images.
        names: of the recipes, by variant and recipe.
        measured: averages of scores, a group for each way to measure, the newest first.
        pairs: a row for each two recipes, with ``weights``, ``verdict`` and a ``sentence``.
        flags: warnings about scores, by name of the recipe.
        histories: histories of comparable trainings, by name of the recipe.
        losses: history of the newest training of each variant.
        real: grid (height, width, 3) of real images.
        progress: grids of the same latents by epoch.
        interpolations: grid whose rows interpolate between two latents.
        neighbours: grid of samples, each beside its nearest real images.
        arms: results of the newest augmentation experiment of each variant, and of each folder of pictures, by name.
        runs: one row for each scored run, with scores, settings that differ, and provenance.
    """

    experiment: str
    manifest: Mapping[str, Any]
    names: Mapping[tuple[str, str], str]
    measured: Sequence[Measured]
    pairs: pd.DataFrame
    flags: Mapping[str, Sequence[str]]
    histories: Mapping[str, Sequence[pd.DataFrame]]
    losses: Mapping[tuple[str, str], pd.DataFrame]
    real: Pixels
    progress: Mapping[tuple[str, str], Mapping[float, Pixels]]
    interpolations: Mapping[tuple[str, str], Pixels]
    neighbours: Mapping[tuple[str, str], Pixels]
    arms: Mapping[tuple[str, str], Arms]
    runs: pd.DataFrame


def render_comparison(comparison: Comparison) -> str:
    """Render the page, with pictures and figures embedded."""
    arms: dict[tuple[str, str], dict[str, list[StripFigure]]] = {
        run: draw_arms(arms.scores, arms.comparisons) for run, arms in comparison.arms.items()
    }
    return render_page(
        "comparison.html.jinja",
        {"when": _when, "known": _known, "number": _number, "name_fraction": name_fraction},
        comparison=comparison,
        extent=EXTENT,
        tables=[(each, lay_out_scores(each, comparison.names), list_keys(each)) for each in comparison.measured],
        pairs=comparison.pairs.sort_values("verdict", kind="stable").to_dict("records"),  # "better" comes first
        score_charts=_draw_charts(score_panels(comparison.histories)),
        loss_charts={run: _draw_charts(loss_panels(history)) for run, history in comparison.losses.items()},
        progress=_choose_frames(comparison.progress),
        arms=arms,
        runs=comparison.runs.sort_values("run", ascending=False, kind="stable").to_dict("records"),
    )


def _draw_charts(panels: Panels) -> list[Chart]:
    charts = (draw_chart(title, lines) for title, lines in panels.items())
    return [chart for chart in charts if chart is not None]


def _choose_frames(
    progress: Mapping[tuple[str, str], Mapping[float, Pixels]],
) -> dict[tuple[str, str], dict[float, Pixels]]:
    """Choose grids evenly over the epochs, few enough for a page."""
    count = min(FRAMES_PER_VARIANT, max(2, MAX_FRAMES // max(1, len(progress))))
    chosen: dict[tuple[str, str], dict[float, Pixels]] = {}
    for run, grids in progress.items():
        epochs = [*grids]
        chosen[run] = {epochs[place]: grids[epochs[place]] for place in spread(len(epochs), count)}
    return chosen


def _when(version: str) -> str:
    """Write a version as a date and time; leave any other text as it is."""
    time = parse_version(version)
    return version if time is None else time.strftime("%d %b %Y, %H:%M UTC").lstrip("0")


def _number(value: float | None) -> str:
    """A score; an empty text if it is missing."""
    return "" if value is None or pd.isna(value) else format_number(value)


def _known(row: Mapping[str, Any]) -> dict[str, Any]:
    """The values of a row that are neither missing nor empty."""
    return {name: value for name, value in row.items() if not pd.isna(value) and value != ""}
