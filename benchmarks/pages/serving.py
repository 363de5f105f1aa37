"""The numbers of the page on serving."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pandas as pd


def compute(folder: Path) -> dict[str, Any]:
    """Differences from PyTorch by variant, and the measurements of one service by name."""
    parity = pd.read_csv(folder / "parity.csv")
    rows = pd.read_csv(folder / "service.csv").assign(details=lambda table: table["details"].map(json.loads))
    measured = rows.set_index("what")
    return {
        "parity": parity.groupby("variant", sort=False).agg(
            {"largest_difference": "max", "share_of_values": "max", "contrast": "min", "bytes": "first"}
        ),
        "compared": parity["images"].iloc[0],
        "values": measured["value"],
        "details": measured["details"],
        "measured": rows["measured"].iloc[0],
    }
