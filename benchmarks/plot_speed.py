"""Table and figure of the page on speed, from the rows of benchmarks/training_speed.py."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
from matplotlib.figure import Figure


def tabulate_speeds(rows: pd.DataFrame) -> pd.DataFrame:
    """Tabulate the medians of the contenders by workload, and this project's speed relative to others.

    The ratios are medians of those within a round. Beside the tutorial stands the faster precision.
    """
    by_round = rows.pivot_table(
        index=["workload", "round"], columns="contender", values="images_per_second", sort=False
    )

    def divide(contender: str, other: str) -> pd.Series[float]:
        return (by_round[contender] / by_round[other]).groupby(level="workload", sort=False).median()

    table = by_round.groupby(level="workload", sort=False).median()
    for other in ("tutorial", "tutorial, detached"):
        if other in table:
            table[f"to the {other}"] = divide("ours fp32", other).combine(divide("ours bf16", other), max)
    for precision in ("fp32", "bf16"):
        table[f"to the bare step, {precision}"] = divide(f"ours {precision}", f"bare {precision}")
    for contender in ("bare", "ours"):
        table[f"{contender}, bf16 to fp32"] = divide(f"{contender} bf16", f"{contender} fp32")
    return table


def write_figure(folder: Path) -> None:
    """Write speed.png from speed.jsonl: speeds relative to the tutorial, in a group of bars for each workload."""
    rows = pd.read_json(folder / "speed.jsonl", lines=True)
    medians = rows.groupby(["workload", "contender"], sort=False)["images_per_second"].median().unstack()
    figure = Figure(figsize=(11, 4), layout="constrained", dpi=120)
    axes = figure.subplots()
    medians.div(medians["tutorial"], axis=0).plot.bar(ax=axes, rot=0, width=0.8)
    axes.axhline(1, color="black", linewidth=0.8)
    axes.set(xlabel="", ylabel="training images per second, tutorial = 1")
    axes.legend(frameon=False, ncols=3)
    figure.savefig(folder / "speed.png")
