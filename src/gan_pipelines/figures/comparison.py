"""One page that compares all runs of an experiment: a single HTML file that needs nothing else."""

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
    """An augmentation experiment: what `plot_arms` takes, and the verdicts in words."""

    scores: pd.DataFrame
    comparisons: pd.DataFrame
    verdicts: Sequence[str]


@dataclass(frozen=True)
class Comparison:
    """What the page shows; any part may be empty.

    Attributes:
        experiment: its name.
        manifest: of the real images.
        runs: a row for each, with its scores, settings that differ, and where it all comes from.
        scores: a row for each system, a column for each metric and comparability key, in words.
        keys: a row for each comparability key, by the name that the columns of ``scores`` have.
        histories: by variant those of its trainings, with scores that may be compared.
        losses: by variant and version the history of its newest training.
        real: grid (height, width, 3) of real images.
        progress: likewise grids of the same latents, by epoch.
        interpolations: likewise a grid whose rows lead from one latent to another.
        arms: likewise.
    """

    experiment: str
    manifest: Mapping[str, Any]
    runs: pd.DataFrame
    scores: pd.DataFrame
    keys: pd.DataFrame
    histories: Mapping[str, Sequence[pd.DataFrame]]
    losses: Mapping[str, pd.DataFrame]
    real: Pixels
    progress: Mapping[str, Mapping[int, Pixels]]
    interpolations: Mapping[str, Pixels]
    arms: Mapping[str, Arms]


def render_comparison(comparison: Comparison) -> str:
    """Write the page, with its pictures and figures inside."""
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
    """Turns figures into SVG that takes the page's colours, each with names of its own inside."""

    def __init__(self) -> None:
        self._count = 0

    def panels(self, panels: Panels) -> list[Markup]:
        """A figure for each panel, so that the page can lay them out."""
        drawn = []
        for title, lines in panels.items():
            figure = Figure(figsize=(4.8, 3.2), layout="constrained")
            draw_panel(figure.subplots(), title, lines)
            drawn.append(self.svg(figure))
        return drawn

    def svg(self, figure: Figure) -> Markup:
        """The figure as SVG whose black is the colour of the text around it."""
        self._count += 1
        file = io.StringIO()
        with mpl.rc_context({"svg.fonttype": "none", "svg.hashsalt": str(self._count)}):
            figure.savefig(file, format="svg", transparent=True, metadata={"Date": None})
        svg = file.getvalue()
        return Markup(svg[svg.index("<svg") :].replace("#000000", "currentColor"))


def _picture(pixels: Pixels) -> str:
    """A picture as an address that holds it."""
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "WEBP", quality=PICTURE_QUALITY)
    return f"data:image/webp;base64,{base64.b64encode(file.getvalue()).decode()}"
