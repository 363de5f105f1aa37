"""The numbers of the page on a GPU."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pandas as pd

SLOWED = 0.75
"""Share of the highest speed below which another process is at work."""


def compute(folder: Path) -> dict[str, Any]:
    """Ceilings, speeds before and after steps were recorded, checks, and an experiment with its scores."""
    speeds = {
        name: pd.read_json(folder / f"{name}.jsonl", lines=True).pivot_table(
            "images_per_second", "workload", "contender", "median", sort=False
        )
        for name in ("launched", "recorded")
    }
    checks = pd.read_json(folder / "correctness.jsonl", lines=True).set_index(["check", "variant"])
    scores = pd.read_csv(folder / "scores.csv")
    history = pd.read_csv(folder / "history.csv").set_index("epoch")
    utilisation = pd.read_csv(folder / "utilisation.csv")
    return {
        "ceilings": json.loads((folder / "ceilings.json").read_text()),
        **speeds,
        "checks": checks,
        "failed": checks[~checks["is_right"]],
        "history": history,
        "is_alone": history["images_per_second"] >= SLOWED * history["images_per_second"].max(),
        "busy": utilisation[utilisation["percent"] > 0].median(),
        "others": pd.read_csv(folder / "others.csv").set_index("number")["value"],
        "by_epoch": scores[scores["metric"] == "fid_5k"].set_index("epoch")["value"],
        "last": scores[scores["samples"].notna()].pivot(index="metric", columns="weights", values="value"),
        "accuracy": scores["heldout_accuracy"].iloc[0],
        "epochs": scores["epochs"].iloc[0],
    }
