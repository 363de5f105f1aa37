"""The numbers of the page on a GPU."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pandas as pd

from pages.experiments import show

TRAINING = "cifar10_32-wgan_gp-0"
"""The training that the page describes."""
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
    scores, history = (
        pd.read_csv(folder.parent / f"experiments/{name}.csv").query("training == @TRAINING")
        for name in ("scores", "history")
    )
    history = history.set_index("epoch")
    utilisation = pd.read_csv(folder / "utilisation.csv")
    return {
        "ceilings": json.loads((folder / "ceilings.json").read_text()),
        **speeds,
        "checks": checks,
        "failed": checks[~checks["is_right"]],
        "newer": group_checks(folder / "correctness_32.jsonl"),
        "history": history,
        "is_alone": history["images_per_second"] >= SLOWED * history["images_per_second"].max(),
        "busy": utilisation[utilisation["percent"] > 0].median(),
        "others": pd.read_csv(folder / "others.csv").set_index("number")["value"],
        "by_epoch": scores[scores["metric"] == "fid_5k"].set_index("epoch")["value"],
        "last": scores[scores["samples"].notna()].pivot(index="metric", columns="weights", values="value"),
        "accuracy": scores["heldout_accuracy"].iloc[0],
        "epochs": scores["epochs"].iloc[0],
    }


def group_checks(path: Path) -> list[dict[str, Any]]:
    """Group variants on which the same checks ran with the same changed settings, with the rows of these checks."""
    rows = pd.DataFrame(map(json.loads, path.read_text().splitlines()))
    rows = rows.assign(changes=rows["changes"].map(lambda each: show(each) if each else ""))
    checks = rows.groupby(["changes", "variant"])["check"].agg("; ".join).rename("checks").reset_index()
    return [
        {
            "changes": changes,
            "checks": names,
            "variants": of_same["variant"].tolist(),
            "rows": rows[(rows["changes"] == changes) & rows["variant"].isin(of_same["variant"])],
        }
        for (changes, names), of_same in checks.groupby(["changes", "checks"])
    ]
