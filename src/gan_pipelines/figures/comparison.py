"""A page that compares all runs of an experiment: one self-contained HTML file."""

from __future__ import annotations

import base64
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import jinja2
import matplotlib as mpl
import numpy as np
import pandas as pd
from markupsafe import Markup
from matplotlib.figure import Figure
from numpy.typing import NDArray
from PIL import Image

from gan_pipelines.figures.arms import plot_arms
from gan_pipelines.figures.curves import Panels, draw_panel, loss_panels, score_panels

Pixels = NDArray[np.uint8]
PICTURE_QUALITY = 90


@dataclass(frozen=True)
class Arms:
    """The results of an augmentation experiment: arguments of `plot_arms`, and verdicts in words."""

    scores: pd.DataFrame
    comparisons: pd.DataFrame
    verdicts: Sequence[str]


@dataclass(frozen=True)
class Comparison:
    """The contents of the page; any part may be empty.

    Attributes:
        experiment: name of the experiment.
        manifest: manifest of the real images.
        runs: one row for each run, with scores, settings that differ, and provenance.
        scores: one row for each system, one column for each metric and comparability key, as texts.
        keys: one row for each comparability key, named as in the columns of ``scores``.
        verdicts: sentences that say which of two recipes has the lower FID.
        histories: histories of comparable trainings, by recipe.
        losses: history of the newest training of each variant, by variant and version.
        real: grid (height, width, 3) of real images.
        progress: grids of the same latents by epoch, by variant and version.
        interpolations: grid whose rows interpolate between two latents, by variant and version.
        arms: results of the newest augmentation experiment, by variant and version.
    """

    experiment: str
    manifest: Mapping[str, Any]
    runs: pd.DataFrame
    scores: pd.DataFrame
    keys: pd.DataFrame
    verdicts: Sequence[str]
    histories: Mapping[str, Sequence[pd.DataFrame]]
    losses: Mapping[str, pd.DataFrame]
    real: Pixels
    progress: Mapping[str, Mapping[int, Pixels]]
    interpolations: Mapping[str, Pixels]
    arms: Mapping[str, Arms]


def render_comparison(comparison: Comparison) -> str:
    """Render the page, with pictures and figures embedded."""
    loader = jinja2.PackageLoader("gan_pipelines.figures")
    environment = jinja2.Environment(loader=loader, autoescape=True, trim_blocks=True, lstrip_blocks=True)
    environment.filters["picture"] = _picture
    figures = _Figures()
    return environment.get_template("comparison.html.jinja").render(
        comparison=comparison,
        flags=sorted(set(comparison.runs["flags"].fillna("")) - {""}),
        score_figures=figures.panels(score_panels(comparison.histories)),
        loss_figures={run: figures.panels(loss_panels(history)) for run, history in comparison.losses.items()},
        arm_figures={
            run: figures.svg(plot_arms(arms.scores, arms.comparisons)) for run, arms in comparison.arms.items()
        },
    )


class _Figures:
    """Converts figures to SVG in the colours of the page, with unique ids."""

    def __init__(self) -> None:
        self._count = 0

    def panels(self, panels: Panels) -> list[Markup]:
        """Draw one figure for each panel, for the page to lay out."""
        drawn = []
        for title, lines in panels.items():
            figure = Figure(figsize=(4.8, 3.2), layout="constrained")
            draw_panel(figure.subplots(), title, lines)
            drawn.append(self.svg(figure))
        return drawn

    def svg(self, figure: Figure) -> Markup:
        """Convert a figure to SVG, with the colour of the surrounding text instead of black."""
        self._count += 1
        file = io.StringIO()
        with mpl.rc_context({"svg.fonttype": "none", "svg.hashsalt": str(self._count)}):
            figure.savefig(file, format="svg", transparent=True, metadata={"Date": None})
        svg = file.getvalue()
        return Markup(svg[svg.index("<svg") :].replace("#000000", "currentColor"))


def _picture(pixels: Pixels) -> str:
    """Encode a picture as a data URL."""
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "WEBP", quality=PICTURE_QUALITY)
    return f"data:image/webp;base64,{base64.b64encode(file.getvalue()).decode()}"
