"""Write pages of docs/results, figures of their rows, and docs/experiments.md from rows: `make results-<page>`.

A page has a template, templates/<page>.md.jinja, and a module here that computes its numbers from the rows in
docs/results/<page>/, or beside it. So no number of a page is typed by hand.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import jinja2
import pandas as pd

from pages import augmentation, experiments, fashion_mnist, gpu, quality, robustness, scores, serving, speed, variants
from plot_scores import write_figures
from plot_speed import write_figure

RESULTS = Path(__file__).parents[2] / "docs/results"

PAGES: dict[str, Callable[[Path], dict[str, Any]]] = {
    "augmentation": augmentation.compute,
    "experiments": experiments.compute,
    "fashion_mnist": fashion_mnist.compute,
    "gpu": gpu.compute,
    "quality": quality.compute,
    "robustness": robustness.compute,
    "scores": scores.compute,
    "serving": serving.compute,
    "speed": speed.compute,
    "variants": variants.compute,
}
"""Computes the numbers of a page from the folder of its rows, by page."""

FIGURES: dict[str, Callable[[Path], None]] = {
    "experiments": experiments.write_figures,
    "scores": write_figures,
    "speed": write_figure,
}
"""Writes the figures of a page to the folder of its rows, by page."""


def locate(page: str) -> Path:
    """The file of a page: among the results, but for the overview of the experiments."""
    return (RESULTS.parent if page == "experiments" else RESULTS) / f"{page}.md"


def write(page: str) -> None:
    """Write a page and its figures."""
    locate(page).write_text(render(page))
    if page in FIGURES:
        FIGURES[page](RESULTS / page)


def render(page: str) -> str:
    """Render a page from its rows."""
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent / "templates"),
        undefined=jinja2.StrictUndefined,
        autoescape=False,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters["fixed"] = lambda number, digits=0: f"{number:,.{digits}f}"
    environment.filters["signed"] = lambda number, digits=2: f"{number:+.{digits}f}"
    environment.filters["rate"] = lambda number: f"{number:,.{1 if number < 1000 else 0}f}"
    environment.filters["rounded"] = lambda number: f"{number:#.3g}" if number >= 1 else f"{number:.3f}"
    environment.filters["exponent"] = lambda number: f"{number:.0e}".replace("e-0", "e-")
    environment.filters["points"] = lambda share: f"{share * 100:+.1f}"
    environment.filters["percent"] = lambda share, digits=0: f"{share * 100:.{digits}f} %"
    environment.filters["spread"] = format_spread
    return environment.get_template(f"{page}.md.jinja").render(PAGES[page](RESULTS / page))


def format_spread(values: pd.Series, digits: int = 1) -> str:
    """Mean and standard deviation; of a single value, the value."""
    spread = f" ± {values.std():.{digits}f}" if len(values) > 1 else ""
    return f"{values.mean():.{digits}f}{spread}"
