"""The numbers of the page on a GPU."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pandas as pd


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
    return {
        "ceilings": json.loads((folder / "ceilings.json").read_text()),
        **speeds,
        "checks": checks,
        "failed": checks[~checks["is_right"]],
        "history": pd.read_csv(folder / "history.csv").set_index("epoch"),
        "by_epoch": scores[scores["metric"] == "fid_5k"].set_index("epoch")["value"],
        "last": scores[scores["samples"].notna()].pivot(index="metric", columns="weights", values="value"),
        "accuracy": scores["heldout_accuracy"].iloc[0],
        "epochs": scores["epochs"].iloc[0],
    }
