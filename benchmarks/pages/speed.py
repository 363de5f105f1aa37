"""The numbers of the page on speed."""

from __future__ import annotations

from math import log2
from pathlib import Path
from typing import Any

import pandas as pd
from scipy import stats

from pages.experiments import read_rate
from plot_speed import tabulate_speeds

MILLION = 1_000_000
PAPER_IMAGES = 10 * MILLION
PAPER_BYTES = PAPER_IMAGES * 64 * 64 * 3
"""Number and size of the images of the example on paper."""


def compute(folder: Path) -> dict[str, Any]:
    """Speeds, ratios, scores by precision, times of start-up, evaluation and engines, growth, what follows."""
    rows, remedies = (pd.read_json(folder / f"{name}.jsonl", lines=True) for name in ("speed", "remedies"))
    growth = pd.read_csv(folder / "growth.csv")
    others = pd.read_csv(folder / "others.csv").set_index("number")
    starts = pd.read_csv(folder / "starts.csv")
    first_run = pd.read_csv(folder / "first_run.csv")
    ingestion = pd.read_csv(folder.parent / "robustness/ingestion.csv").query("contender == 'ours'")
    engines = pd.read_csv(folder / "engines.csv")
    seconds = engines.pivot_table("seconds", "workload", "engine", "median", sort=False)
    speeds = tabulate_speeds(rows)
    return {
        "rows": rows,
        "speeds": speeds,
        "bf16_gains": speeds[["bare, bf16 to fp32", "ours, bf16 to fp32"]].stack(),
        "remedy_rows": remedies,
        "remedies": tabulate_speeds(remedies),
        "bf16": pd.read_csv(folder / "bf16.csv").set_index("precision"),
        "seeds": pd.read_csv(folder / "bf16_seeds.csv").set_index(["precision", "seed"])["fid_ema"],
        "startup": pd.read_csv(folder / "startup.csv").set_index("reached").loc[["first node", "first step"]],
        "starts": starts.pivot_table("seconds", "reached", "version", "median"),
        "start_rounds": starts["round"].max(),
        "first_run": first_run.pivot_table("value", "reached", "run", sort=False),
        "first_run_measured": first_run["measured"].max(),
        "engines": engines,
        "engine_seconds": seconds,
        "overhead": seconds["ray"] - seconds["pool"],
        "waiting": pd.read_csv(folder / "waiting_threads.csv").pivot(
            index=["beside", "round"], columns="spins", values="images_per_second"
        ),
        "growth": growth,
        "others": others["value"],
        "measured": others["measured"].max(),
        "ingestion": ingestion,
        "paper": extrapolate(
            growth.set_index(["growing", "value"]),
            others["value"],
            ingestion["images_per_second"],
            read_rate(folder.parent / "gpu/recorded.jsonl", "dcgan 64", "fp32"),
        ),
        **compare_precisions(folder),
    }


def compare_precisions(folder: Path) -> dict[str, float]:
    """Mean difference of FID between the precisions over pairs of a seed, its 95 % interval and p-value."""
    fids = pd.read_csv(folder / "bf16_seeds.csv").pivot(index="seed", columns="precision", values="fid_ema")
    test = stats.ttest_rel(fids["bf16"], fids["fp32"])
    interval = test.confidence_interval()
    return {
        "pairs": len(fids),
        "difference": (fids["bf16"] - fids["fp32"]).mean(),
        "low": interval.low,
        "high": interval.high,
        "p": test.pvalue,
    }


def extrapolate(
    grown: pd.DataFrame, others: pd.Series[float], speeds: pd.Series[float], gpu_rate: float
) -> dict[str, float]:
    """Times, memory and disk of the example on paper, in minutes, hours, GiB and MB/s.

    Args:
        grown: rows of growth.csv by quantity and value.
        others: the numbers of others.csv by name.
        speeds: images per second of each ingestion.
        gpu_rate: images per second of a training on a GPU.
    """
    twins = [others[f"near-duplicates of 5000 among {known}"] for known in (20_000, 40_000)]
    doublings = log2(PAPER_IMAGES / 40_000)
    return {
        "ingestion_low": PAPER_IMAGES / speeds.max() / 60,
        "ingestion_high": PAPER_IMAGES / speeds.min() / 60,
        "ingestion_memory": PAPER_IMAGES * others["ingestion's memory for an image"] / 2**30,
        "twins": MILLION / 5_000 * twins[1] * (twins[1] / twins[0]) ** doublings / 60,
        "hash": PAPER_BYTES / others["hashing"] / 1e9 / 60,
        "moments": grown.loc[("samples", MILLION), "seconds_before"] * PAPER_IMAGES / MILLION / 60,
        "epoch": PAPER_IMAGES / grown.loc[("size", 64), "images_per_second"] / 3600,
        "gpu_rate": gpu_rate,
        "gpu_epoch": PAPER_IMAGES / gpu_rate / 60,
        "disk": gpu_rate * PAPER_BYTES / PAPER_IMAGES / 1e6,
    }
