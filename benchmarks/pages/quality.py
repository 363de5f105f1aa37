"""The numbers of the page on quality per minute."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd

from quality import REAL


def compute(folder: Path) -> dict[str, Any]:
    """Scores of trainings with few images, with and without differentiable augmentation, by minutes."""
    rows = pd.read_csv(folder / "few_pictures/scores.csv")
    trained = rows[rows["row"] != REAL]
    return {
        "real": rows[rows["row"] == REAL].iloc[0],
        "settings": trained.groupby("row", sort=False)["settings"].first(),
        "seeds": trained["seed"].nunique(),
        "few": {
            minutes: dict(list(at.groupby("row", sort=False))) for minutes, at in trained.groupby("wanted_minutes")
        },
    }
