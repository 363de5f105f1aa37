"""Curves over epochs."""

from __future__ import annotations

import pandas as pd
from matplotlib.figure import Figure

__all__ = ["Figure", "plot_losses"]

PANELS = {
    "Loss": ["discriminator_loss", "generator_loss"],
    "Discriminator's accuracy": ["real_accuracy", "fake_accuracy", "class_accuracy"],
    "Class loss": ["class_loss", "generator_class_loss"],
    "Gradient penalty (weighted)": ["penalty"],
}


def plot_losses(history: pd.DataFrame) -> Figure:
    """Plot losses, the discriminator's accuracies and, if there are, class loss and penalty by epoch.

    Args:
        history: one row per epoch, with the column ``epoch`` and, of those named in `PANELS`, the ones that it has.
    """
    present = {name: [column for column in columns if column in history] for name, columns in PANELS.items()}
    panels = {name: columns for name, columns in present.items() if columns}
    figure = Figure(figsize=(4.5 * len(panels), 3.2), layout="constrained", dpi=120)
    for axes, (name, columns) in zip(figure.subplots(1, len(panels), squeeze=False)[0], panels.items(), strict=True):
        for column in columns:
            axes.plot(history["epoch"], history[column], label=column.replace("_", " "))
        axes.set(title=name, xlabel="epoch")
        axes.grid(alpha=0.3)
        axes.legend(frameon=False)
    return figure
