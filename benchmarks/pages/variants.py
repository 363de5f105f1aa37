"""The numbers of the page on the variants."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd

from scores import RANDOM, STRATIFIED

WITHIN = 3
"""A good variant has at most this many times the FID of real images."""


def compute(folder: Path) -> dict[str, Any]:
    """Scores of every variant over the seeds, beside those of real images, and a sweep that compares three of them."""
    rows, floors = pd.read_csv(folder / "scores.csv"), pd.read_csv(folder / "floors.csv")
    by_kind = {
        conditional: floors[floors["damage"] == kind] for conditional, kind in {True: STRATIFIED, False: RANDOM}.items()
    }
    floor = rows["conditional"].map({conditional: real["fid"].mean() for conditional, real in by_kind.items()})
    rows["times_floor"] = rows["fid_heldout_count"] / floor
    averaged = rows[rows["weights"] == "ema"].groupby("variant", sort=False)["times_floor"].mean()
    swept = pd.read_csv(folder / "sweep_scores.csv").query("generator == 'last' and weights == 'ema'")
    return {
        "swept": swept.rename(columns=lambda name: name.partition("_2k")[0]),
        "compared": pd.read_csv(folder / "sweep_comparisons.csv").query("weights == 'ema'"),
        "above": averaged[averaged > WITHIN].to_dict(),
        "variants": {
            variant: dict(list(by_variant.groupby("weights")))
            for variant, by_variant in rows.groupby("variant", sort=False)
        },
        "seeds": rows["seed"].nunique(),
        "stratified": by_kind[True],
        "random": by_kind[False],
        "within": WITHIN,
    }
