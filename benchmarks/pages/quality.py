"""The numbers of the page on quality per minute."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd

from quality import REAL

EXTRACTOR = "imagenet"
"""The features of the FIDs in the table; the classifier's are in the rows."""
BARE = "none of these"
"""The networks and the loss to which the parts are added."""


def compute(folder: Path) -> dict[str, Any]:
    """Scores of trainings of a few minutes, of three sets of images, and what the parts of a recipe cost in time."""
    return {
        "cifar10": read_scores(folder),
        "cards": read_scores(folder / "cards"),
        "few": read_scores(folder / "few"),
        "parts": compare_times(pd.read_csv(folder / "parts.csv")),
    }


def read_scores(folder: Path) -> dict[str, Any]:
    """Scores for each number of minutes, by FID, beside that of real images."""
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


def compare_times(parts: pd.DataFrame) -> dict[str, pd.Series]:
    """The time of a step with each part beside one without it, measured in turn: quotients by round."""
    speeds = parts.pivot(index="part", columns="round", values="images_per_minute")
    quotients = speeds.loc[BARE] / speeds.drop(BARE)
    return {part: quotients.loc[part] for part in parts["part"].unique() if part != BARE}
