"""Figures of the augmentation experiment: scores of arms, differences between them, and curves."""

from __future__ import annotations

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from gan_pipelines.core.findings import name_fraction

CURVES = {
    "train_loss": "Loss on the training images",
    "valid_loss": "Loss on the validation split",
    "valid_accuracy": "Accuracy on the validation split",
    "test_loss": "Loss on the test split",
    "test_accuracy": "Accuracy on the test split",
}
"""Titles of the curves by the columns of a history; not every history has a test split."""
BAND_ALPHA = 0.12


def plot_arms(scores: pd.DataFrame, comparisons: pd.DataFrame) -> Figure:
    """Plot for each fraction the accuracies of the classifiers by arm, and the differences with their intervals.

    Args:
        scores: one row for each classifier, with ``fraction``, ``arm``, ``accuracy`` and ``is_main``.
        comparisons: one row for each difference, with ``fraction``, ``arm``, ``baseline``, ``is_primary``,
            ``difference``, ``interval_low``, ``interval_high`` and ``is_main``.
    """
    scores, comparisons = select_main(scores), select_main(comparisons)
    fractions = list(dict.fromkeys(scores["fraction"]))
    size = (11, 0.8 + 3.2 * len(fractions))
    figure = Figure(figsize=size, layout="constrained", dpi=120)
    panels = figure.subplots(len(fractions), 2, squeeze=False)
    for (left, right), fraction in zip(panels, fractions, strict=True):
        _plot_accuracies(left, scores[scores["fraction"] == fraction])
        _plot_differences(right, comparisons[comparisons["fraction"] == fraction])
        left.set_title(name_fraction(fraction))
    return figure


def plot_arm_curves(histories: pd.DataFrame) -> Figure:
    """Plot loss and accuracy by epoch: for each arm the mean as a line, and a band from the lowest to the highest fit.

    Args:
        histories: one row for each epoch of each fit, with ``fraction``, ``arm``, ``epoch`` and keys of `CURVES`.
    """
    curves = {column: title for column, title in CURVES.items() if column in histories}
    fractions = list(dict.fromkeys(histories["fraction"]))
    figure = Figure(figsize=(4.3 * len(curves), 0.6 + 3.2 * len(fractions)), layout="constrained", dpi=120)
    panels = figure.subplots(len(fractions), len(curves), squeeze=False)
    for row, fraction in zip(panels, fractions, strict=True):
        part = histories[histories["fraction"] == fraction]
        for axes, (column, title) in zip(row, curves.items(), strict=True):
            for arm, group in part.groupby("arm", sort=False):
                by_epoch = group.groupby("epoch")[column]
                mean = by_epoch.mean()
                (line,) = axes.plot(mean.index, mean, label=str(arm).replace("_", " "))
                axes.fill_between(mean.index, by_epoch.min(), by_epoch.max(), alpha=BAND_ALPHA, color=line.get_color())
            axes.set(title=title, xlabel="epoch (a part of the steps)")
            axes.set_yscale("log" if column.endswith("loss") else "linear")
            axes.grid(alpha=0.3)
        row[0].set_ylabel(name_fraction(fraction))
    panels[0][-1].legend(frameon=False, fontsize="small")
    return figure


def select_main(table: pd.DataFrame) -> pd.DataFrame:
    """The rows of the main analysis; tables of earlier versions have no other."""
    return table[table["is_main"]] if "is_main" in table else table


def _plot_accuracies(axes: Axes, scores: pd.DataFrame) -> None:
    arms = list(dict.fromkeys(scores["arm"]))
    places = scores["arm"].map(arms.index)
    axes.scatter(scores["accuracy"] * 100, places, s=18, alpha=0.6)
    means = scores.groupby("arm")["accuracy"].mean()
    axes.scatter(means[arms] * 100, range(len(arms)), marker="|", s=400, color="black")
    axes.set_yticks(range(len(arms)), [arm.replace("_", " ") for arm in arms])
    axes.invert_yaxis()
    axes.set_xlabel("accuracy on the test split, % (bar: mean)")
    axes.grid(alpha=0.3)


def _plot_differences(axes: Axes, comparisons: pd.DataFrame) -> None:
    points = comparisons[["interval_low", "difference", "interval_high"]] * 100
    labels = []
    for place, (row, (low, middle, high)) in enumerate(
        zip(comparisons.itertuples(), points.to_numpy().tolist(), strict=True)
    ):
        color = {"helps": "tab:green", "hurts": "tab:red"}.get(str(row.verdict), "tab:gray")
        axes.plot([low, high], [place, place], color=color)
        axes.plot(middle, place, marker="D" if row.is_primary else "o", color=color)
        labels.append(f"{row.arm} against {row.baseline}".replace("_", " "))
    axes.axvline(0, color="black", linewidth=0.8)
    axes.set_yticks(range(len(labels)), labels)
    axes.invert_yaxis()
    axes.set_title("Differences, 95 % intervals")
    axes.set_xlabel("points (diamond: the verdict's)")
    axes.grid(alpha=0.3)
