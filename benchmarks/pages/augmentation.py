"""The numbers of the page on the augmentation experiments."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pandas as pd


def compute(folder: Path) -> dict[str, Any]:
    """Accuracies, differences and verdicts of the augmentation experiments."""
    scores, comparisons = (pd.read_csv(folder / f"digits_{table}.csv") for table in ("arm_scores", "comparisons"))
    main = scores[scores["is_main"]]
    recalls = pd.read_csv(folder / "digits_class_comparisons.csv").query("is_primary and baseline == 'transformed'")
    return {
        "arms": {str(arm): rows for arm, rows in main.groupby("arm", sort=False)},
        "by_rate": scores.pivot_table("accuracy", "arm", "learning_rate", sort=False),
        "learning_rate": main["learning_rate"].iloc[0],
        "differences": comparisons[comparisons["is_main"]].set_index("arm"),
        "simple": pd.read_csv(folder / "digits_simple_scores.csv").groupby("classifier", sort=False)["accuracy"],
        "most_changed": recalls.loc[recalls["recall_difference"].abs().idxmax()],
        "verdicts": json.loads((folder / "digits_verdicts.json").read_text()),
        "planted": pd.read_csv(folder / "planted_comparisons.csv").query("is_primary").to_dict("records"),
        "planted_3x": pd.read_csv(folder / "planted_3x_comparisons.csv")
        .query("plant == 'held_back' and is_primary and is_main")
        .itertuples(),
        "scored": pd.read_csv(folder / "made_elsewhere_scores.csv").to_dict("records"),
        "helping": pd.read_csv(folder / "made_elsewhere_verdicts.csv").to_dict("records"),
        "cards": pd.read_csv(folder / "cards_comparisons.csv").set_index("arm"),
    }
