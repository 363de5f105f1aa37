"""Curves over epochs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

__all__ = ["Figure", "draw_panel", "loss_panels", "plot_losses", "plot_scores_by_epoch", "score_panels"]

Panels = dict[str, dict[str, list["pd.Series[float]"]]]
"""Values over epochs, by title and label; several series with one label are several seeds."""

PANELS = {
    "Loss": ["discriminator_loss", "generator_loss"],
    "Discriminator's accuracy": ["real_accuracy", "fake_accuracy", "class_accuracy"],
    "Class loss": ["class_loss", "generator_class_loss"],
    "Gradient penalty (weighted)": ["penalty"],
    "Probability of differentiable transforms": ["transform_probability"],
}
SCORES = {"fid_": "FID", "is_": "Inception Score"}
"""Titles of scores by the prefix of their column in a history; the number of samples follows the prefix."""


def plot_losses(history: pd.DataFrame) -> Figure:
    """Plot by epoch what `PANELS` names, and scores, as far as a history has them."""
    return plot_panels(loss_panels(history))


def plot_scores_by_epoch(histories: Mapping[str, Sequence[pd.DataFrame]]) -> Figure:
    """Plot the scores during training by epoch, one panel for each metric and number of samples."""
    return plot_panels(score_panels(histories))


def loss_panels(history: pd.DataFrame) -> Panels:
    """Sort what `PANELS` names, and scores of a training, into panels.

    Args:
        history: one row for each epoch, with ``epoch`` and any columns named in `PANELS` and `SCORES`.
    """
    named = {name: [column for column in columns if column in history] for name, columns in PANELS.items()}
    scores = {title: _score_columns(history, prefix) for prefix, title in SCORES.items()}
    return {
        title: {column.replace("_", " "): [_by_epoch(history, column)] for column in columns}
        for title, columns in {**named, **scores}.items()
        if columns
    }


def score_panels(histories: Mapping[str, Sequence[pd.DataFrame]]) -> Panels:
    """Sort scores during training into panels, one for each metric and number of samples.

    Args:
        histories: histories of trainings, as `loss_panels` takes them, by label; those of one label are several seeds,
            which a column ``seed`` may name.
    """
    panels: Panels = {}
    for prefix, title in SCORES.items():
        for label, trainings in histories.items():
            for history in trainings:
                for column in _score_columns(history, prefix):
                    lines = panels.setdefault(f"{title}, {column.removeprefix(prefix)} samples", {})
                    lines.setdefault(label, []).append(_by_epoch(history, column))
    return panels


def draw_panel(axes: Axes, title: str, lines: Mapping[str, Sequence[pd.Series[float]]]) -> None:
    """Draw labelled lines over epochs; lines with the same label have the same colour."""
    for number, (label, seeds) in enumerate(lines.items()):
        for seed, values in enumerate(seeds):
            axes.plot(
                values.index,
                values,
                label="_" if seed else label,
                color=f"C{number % 10}",
                marker="." if len(values) < 20 else None,
            )
    axes.set(title=title, xlabel="epoch")
    if title.startswith("FID"):
        axes.set_yscale("log")  # it decreases from hundreds to single digits
    axes.grid(alpha=0.3)
    axes.legend(frameon=False)


def _score_columns(history: pd.DataFrame, prefix: str) -> list[str]:
    return [column for column in map(str, history.columns) if column.startswith(prefix)]


def _by_epoch(history: pd.DataFrame, column: str) -> pd.Series[float]:
    """Values of a column by epoch, without missing ones, named after the seed if it is there."""
    name = f"seed {history['seed'].iloc[0]}" if "seed" in history else None
    return history.set_index("epoch")[column].dropna().rename(name)


def plot_panels(panels: Panels) -> Figure:
    """Draw panels side by side; without panels, a note that there is nothing to show."""
    if not panels:
        figure = Figure(figsize=(4.5, 3.2), dpi=120)
        figure.text(0.5, 0.5, "nothing was measured", ha="center")
        return figure
    figure = Figure(figsize=(4.5 * len(panels), 3.2), layout="constrained", dpi=120)
    for axes, (title, lines) in zip(figure.subplots(1, len(panels), squeeze=False)[0], panels.items(), strict=True):
        draw_panel(axes, title, lines)
    return figure
