"""The numbers of the page on robustness."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd


def compute(folder: Path) -> dict[str, Any]:
    """Killed runs, failures and what was left, speed and memory of ingestion, and duplicates across splits."""
    ingestion = pd.read_csv(folder / "ingestion.csv")
    speeds = ingestion.pivot(index="folder", columns="contender", values="images_per_second")
    on_ray = pd.read_csv(folder / "kills_on_ray.csv", dtype={"exit_codes": str})
    return {
        "on_ray": on_ray,
        "what_happened": _describe_end,
        "heads_message": on_ray[on_ray["killed"] == "head"]["last_line"].iloc[0].partition(": ")[2].partition(". ")[0],
        "killed": pd.read_csv(folder / "kill_and_resume.csv").iloc[0],
        "failures": pd.read_csv(folder / "failures.csv"),
        "ingestion": ingestion,
        "folders": {name: rows.set_index("contender") for name, rows in ingestion.groupby("folder", sort=False)},
        "gains": speeds[["ours"]].values / speeds[["torchvision_uint8", "torchvision_float"]],
        "duplicates": pd.read_csv(folder / "duplicates.csv").set_index("images"),
        "others": pd.read_csv(folder / "others.csv").set_index("number")["value"],
    }


def _describe_end(row: Any) -> str:
    """What became of a command of which something was killed."""
    if row.exit_codes == "0":
        return "it went on"
    if row.killed == "command":
        return "the same command went on"
    return f"ended by Ray after {row.ended_after:.0f} s with {row.exit_codes.split()[0]}; the same command went on"
