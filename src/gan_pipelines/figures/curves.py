"""Curves over epochs."""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd
from matplotlib.figure import Figure

__all__ = ["Figure", "plot_losses", "plot_scores_by_epoch"]

PANELS = {
    "Loss": ["discriminator_loss", "generator_loss"],
    "Discriminator's accuracy": ["real_accuracy", "fake_accuracy", "class_accuracy"],
    "Class loss": ["class_loss", "generator_class_loss"],
    "Gradient penalty (weighted)": ["penalty"],
}
SCORES = {"fid_": "FID", "is_": "Inception Score"}
"""Titles by the beginning of the columns of a history that hold scores; the number of samples follows."""


def plot_losses(history: pd.DataFrame) -> Figure:
    """Plot losses, the discriminator's accuracies and, if there are, class loss, penalty and scores by epoch.

    Args:
        history: one row per epoch, with the column ``epoch`` and, of those named in `PANELS` and `SCORES`, the ones
            that it has.
    """
    named = {name: [column for column in columns if column in history] for name, columns in PANELS.items()}
    scores = {title: _score_columns(history, prefix) for prefix, title in SCORES.items()}
    panels = {
        title: {column.replace("_", " "): _by_epoch(history, column) for column in columns}
        for title, columns in {**named, **scores}.items()
        if columns
    }
    return _plot(panels)


def plot_scores_by_epoch(histories: Mapping[str, pd.DataFrame]) -> Figure:
    """Plot each score that was taken during training over epochs, a line for each variant, a panel for each metric.

    Scores of different numbers of samples never share a panel.

    Args:
        histories: by variant, as `plot_losses` takes them.
    """
    panels: dict[str, dict[str, pd.Series]] = {}
    for prefix, title in SCORES.items():
        for variant, history in histories.items():
            for column in _score_columns(history, prefix):
                lines = panels.setdefault(f"{title}, {column.removeprefix(prefix)} samples", {})
                lines[variant] = _by_epoch(history, column)
    return _plot(panels)


def _score_columns(history: pd.DataFrame, prefix: str) -> list[str]:
    return [column for column in map(str, history.columns) if column.startswith(prefix)]


def _by_epoch(history: pd.DataFrame, column: str) -> pd.Series:
    """What was measured, without the epochs in which it was not."""
    return history.set_index("epoch")[column].dropna()


def _plot(panels: Mapping[str, Mapping[str, pd.Series]]) -> Figure:
    """Draw labelled lines over epochs, in panels by title."""
    figure = Figure(figsize=(4.5 * len(panels), 3.2), layout="constrained", dpi=120)
    for axes, (title, lines) in zip(figure.subplots(1, len(panels), squeeze=False)[0], panels.items(), strict=True):
        for label, values in lines.items():
            axes.plot(values.index, values, label=label, marker="." if len(values) < 20 else None)
        axes.set(title=title, xlabel="epoch")
        axes.grid(alpha=0.3)
        axes.legend(frameon=False)
    return figure
