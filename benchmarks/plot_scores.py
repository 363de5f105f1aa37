"""Figures of the page on scores, from the results of benchmarks/scores.py."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
from matplotlib.figure import Figure

from scores import FLOORS


def write_figures(folder: Path) -> None:
    """Write responses.png from floors-*.csv and chance.png from chance-*.csv in the same folder."""
    plot_responses(read_tables(folder, "floors-")).savefig(folder / "responses.png")
    plot_chance(read_tables(folder, "chance-")).savefig(folder / "chance.png")


def read_tables(folder: Path, prefix: str) -> dict[str, pd.DataFrame]:
    """Read the tables whose names begin with ``prefix``, by environment."""
    return {path.stem.removeprefix(prefix): pd.read_csv(path) for path in sorted(folder.glob(f"{prefix}*.csv"))}


def plot_responses(tables: dict[str, pd.DataFrame]) -> Figure:
    """Plot FID over the amount of damage, relative to undamaged images: panels by kind of damage, lines by dataset."""
    kinds = [kind for kind in next(iter(tables.values()))["damage"].unique() if kind not in FLOORS]
    figure = Figure(figsize=(4 * len(kinds), 3), layout="constrained", dpi=80)
    for axes, kind in zip(figure.subplots(1, len(kinds)), kinds, strict=True):
        for name, table in tables.items():
            rows = table[table["damage"] == kind]
            axes.plot(range(len(rows)), rows["fid"] / rows["fid"].iloc[0], marker=".", label=name)
            axes.set_xticks(range(len(rows)), rows["amount"].map("{:g}".format))
        axes.set(title=kind, yscale="log", ylabel="FID / FID of the undamaged")
        axes.title.set_fontsize(9)
        axes.legend(frameon=False, fontsize=8)
        axes.grid(alpha=0.3)
    return figure


def plot_chance(tables: dict[str, pd.DataFrame]) -> Figure:
    """Plot FID over the number of samples for each training seed, and FID of several sampling seeds."""
    figure = Figure(figsize=(8, 3 * len(tables)), layout="constrained", dpi=80)
    panels = figure.subplots(len(tables), 2, squeeze=False)
    for (by_count, by_seed), (name, table) in zip(panels, tables.items(), strict=True):
        counts = table[table["what"] == "number of samples"]
        for seed, rows in counts.groupby("training_seed"):
            (line,) = by_count.plot(rows["samples"], rows["fid"], marker=".", label=f"training seed {seed}")
            by_count.axhline(rows["fid_infinity"].iloc[-1], color=line.get_color(), linestyle=":", linewidth=1)
        by_count.set(title=f"{name}: FID by number of samples (dotted: infinite)", xscale="log", xlabel="samples")
        seeds = table[(table["what"] == "sampling seeds") & (table["weights"] == "ema")]
        by_seed.plot(seeds["training_seed"], seeds["fid"], "o", markerfacecolor="none")
        by_seed.set(
            title=f"{name}: ten sampling seeds, and two more trainings", xlabel="training seed", xticks=[0, 1, 2]
        )
        by_count.legend(frameon=False, fontsize=8)
        for axes in (by_count, by_seed):
            axes.title.set_fontsize(9)
            axes.grid(alpha=0.3)
    return figure
