"""The numbers of the page on quality per minute."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd

from quality import REAL

EXTRACTOR = "imagenet"
"""The features of the FIDs in the table; the classifier's are in the rows."""


def compute(folder: Path) -> dict[str, Any]:
    """Scores of trainings of a few minutes, for each number of minutes by FID, beside that of real images."""
    rows, speeds = (pd.read_csv(folder / f"{name}.csv") for name in ("scores", "speeds"))
    rows = rows[rows["extractor"] == EXTRACTOR]
    trained = rows[rows["row"] != REAL]
    return {
        "real": rows[rows["row"] == REAL].iloc[0],
        "minutes": {minutes: sort_rows(at) for minutes, at in trained.groupby("wanted_minutes")},
        "settings": trained.groupby("row")["settings"].first().to_dict(),
        "speeds": speeds.groupby("settings")["images_per_minute"].median() / 60,
    }


def sort_rows(scores: pd.DataFrame) -> dict[str, pd.DataFrame]:
    """The scores of each row, the lowest mean FID first."""
    return dict(sorted(scores.groupby("row"), key=lambda named: named[1]["fid"].mean()))
