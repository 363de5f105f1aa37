"""The numbers of the page on robustness."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd


def compute(folder: Path) -> dict[str, Any]:
    """Killed runs, failures and what was left, speed and memory of ingestion, and duplicates across splits."""
    ingestion = pd.read_csv(folder / "ingestion.csv")
    speeds = ingestion.pivot(index="folder", columns="contender", values="images_per_second")
    return {
        "killed": pd.read_csv(folder / "kill_and_resume.csv").iloc[0],
        "failures": pd.read_csv(folder / "failures.csv"),
        "ingestion": ingestion,
        "folders": {name: rows.set_index("contender") for name, rows in ingestion.groupby("folder", sort=False)},
        "gains": speeds[["ours"]].values / speeds[["torchvision_uint8", "torchvision_float"]],
        "duplicates": pd.read_csv(folder / "duplicates.csv").set_index("images"),
        "others": pd.read_csv(folder / "others.csv").set_index("number")["value"],
    }
