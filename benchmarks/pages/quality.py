"""The numbers of the page on quality per minute."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd
from scipy import stats

from quality import REAL

EXTRACTOR = "imagenet"
"""The features of the FIDs in the table; the classifier's are in the rows."""
BARE = "none of these"
"""The networks and the loss to which the parts are added."""


def compute(folder: Path) -> dict[str, Any]:
    """Scores of trainings of a few minutes, two losses beside each other, and what the parts of a recipe cost."""
    return {
        "cifar10": read_scores(folder),
        "trials": count_trials(pd.read_csv(folder / "scores.csv")),
        "faster": read_scores(folder / "faster"),
        "cards": read_scores(folder / "cards"),
        "few": read_scores(folder / "few"),
        "suggested": read_scores(folder / "suggested"),
        "losses": compare_losses(pd.read_csv(folder / "losses/scores.csv")),
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


def count_trials(rows: pd.DataFrame) -> dict[str, int]:
    """How many recipes were tried, by variant, without the settings of the papers."""
    tried = rows[(rows["row"] != REAL) & ~rows["row"].str.contains("the paper's")].drop_duplicates("row")
    return tried["settings"].str.partition(":")[0].value_counts().to_dict()


def sort_rows(scores: pd.DataFrame) -> dict[str, pd.DataFrame]:
    """The scores of each row, the lowest mean FID first."""
    return dict(sorted(scores.groupby("row"), key=lambda named: named[1]["fid"].mean()))


def compare_losses(rows: pd.DataFrame) -> dict[str, Any]:
    """The scores of two losses over pairs of a seed, their trainings that failed, and the difference of their FIDs."""
    scored = rows[(rows["extractor"] == EXTRACTOR) & (rows["row"] != REAL)]
    fids = scored.pivot(index="seed", columns="row", values="fid").dropna()
    test = stats.ttest_rel(*(fids[row] for row in fids))
    return {
        "real": rows[rows["row"] == REAL].iloc[0],
        "scores": sort_rows(scored),
        "failed": rows[rows["row"] != REAL].groupby("row")["failure"].count(),
        "pairs": len(fids),
        "difference": float((fids.iloc[:, 0] - fids.iloc[:, 1]).mean()),
        "interval": tuple(test.confidence_interval()),
    }


def compare_times(parts: pd.DataFrame) -> dict[str, pd.Series]:
    """The time of a step with each part beside one without it, measured in turn: quotients by round."""
    speeds = parts.pivot(index="part", columns="round", values="images_per_minute")
    quotients = speeds.loc[BARE] / speeds.drop(BARE)
    return {part: quotients.loc[part] for part in parts["part"].unique() if part != BARE}
