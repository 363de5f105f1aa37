"""The numbers of the page on scores."""

from __future__ import annotations

import math
from collections.abc import Hashable
from pathlib import Path
from typing import Any

import pandas as pd
from scipy.special import stdtrit

from plot_scores import read_tables
from scores import RANDOM, STRATIFIED, TEST

NOISE = "noise, standard deviation in grey levels"
BLUR = "blur, standard deviation in pixels"
DROPPED = "dropped classes, share of them"
REPEATED = "repeated images, copies of each"
TITLES = {
    "base": "digits, 16x16",
    "fashion_mnist": "Fashion-MNIST",
    "cifar10_32": "CIFAR-10, 32x32",
    "playing_cards": "playing cards, 64x64",
}
"""Names of the datasets by environment."""
CONTENDERS = {
    "imagenet": "extractor `imagenet`",
    "classifier, small stem": "extractor `classifier`, ResNet-18 with the small stem",
    "classifier, 7x7 stem": "the same with the 7x7 stem",
    "kedro score, first time": "`kedro score` of two folders",
    "kedro score, again": "the same again: the features of the second folder were kept",
    "evaluate_folder": "`evaluate_folder`, with the second folder as the dataset, whose features were kept as well",
}
"""What scoring costs is measured of, by the name in the rows."""


def compute(folder: Path) -> dict[str, Any]:
    """Variation of FID by seed and number of samples, scores of real images, and responses to damage."""
    chance = pd.concat(read_tables(folder, "chance-"), names=["env", None]).reset_index("env")
    by_seed = chance[chance["what"] == "sampling seeds"]
    damaged = _by_damage(folder, "floors-")
    imagenet = _by_damage(folder, "imagenet_floors-")
    raw_logs = _by_weights(by_seed[by_seed["sampling_seed"] == 0])["base", "raw"].map(math.log)
    frechet = pd.read_csv(folder / "frechet_distance.csv")
    seconds = frechet.pivot(index=["features", "singular"], columns="contender", values="seconds")
    return {
        "frechet": frechet,
        "to_torch_fidelity": seconds["ours"] / seconds["torch-fidelity"],
        "to_sqrtm": (seconds["ours"] / seconds["scipy sqrtm"])[2048],
        "costs": pd.read_csv(folder / "costs.csv").set_index("stem"),
        "scoring_costs": pd.read_csv(folder / "scoring_costs.csv"),
        "labels": CONTENDERS,
        "sampling": _by_weights(by_seed[by_seed["training_seed"] == 0]),
        "training": _by_weights(by_seed[by_seed["sampling_seed"] == 0]),
        "counts": {
            env: rows.set_index(["training_seed", "samples"])["fid"]
            for env, rows in chance[chance["what"] == "number of samples"].groupby("env")
        },
        "floors": damaged,
        "imagenet": imagenet,
        "random": RANDOM,
        "stratified": STRATIFIED,
        "test": TEST,
        "part": lambda rows: f"{rows.get('is_part', rows['images']).iloc[0]:,.0f}",
        "raw_log_deviation": raw_logs.std(),
        "raw_ratio": math.exp(1.96 * math.sqrt(2) * raw_logs.std()),
        "raw_ratio_of_three_seeds": math.exp(float(stdtrit(len(raw_logs) - 1, 0.975)) * math.sqrt(2) * raw_logs.std()),
        "dropped": damaged["base"][DROPPED].iloc[[0, -1]],
        "repeated": damaged["base"][REPEATED].iloc[[0, -1]],
        "unnoticed": max(
            (rows[["precision", "density"]] - rows[["precision", "density"]].iloc[0])
            .iloc[: -1 if env == "base" else None]
            .abs()
            .max(axis=None)
            for env in damaged
            for rows in (damaged[env][DROPPED], damaged[env][REPEATED])
        ),
        "undamaged": _undamaged(damaged),
        "imagenet_undamaged": _undamaged(imagenet),
        "scores": [("fid", 2), ("kid", 3), ("is", 2), ("precision", 2), ("recall", 2), ("density", 2), ("coverage", 2)],
        "others": [(title, env) for env, title in TITLES.items() if env != "base"],
        "both": [(title, env) for env, title in TITLES.items() if env in imagenet],
        "damages": [
            (NOISE, ""),
            (BLUR, " (a kernel of 13 pixels, which cuts the 4 off to about 3)"),
            (DROPPED, ""),
            (REPEATED, ""),
        ],
        "percent": lambda values: f"{values.std() / values.mean():.0%}".replace("%", " %"),
        "percent_of": lambda rows: f"{rows['heldout_accuracy'].iloc[0]:.1%}",
        "sizes": lambda rows: f"{rows['images'].iloc[0]:,} / {rows['reference_images'].iloc[0]:,}",
        "amounts": lambda damage: ", ".join(f"{amount:g}" for amount in damaged["base"][damage]["amount"]),
        "responses": lambda tables, env, damage: "; ".join(f"{fid:,.3g}" for fid in tables[env][damage]["fid"]),
        "first_step": lambda tables, env, damage: (
            tables[env][damage]["fid"].iloc[1] / tables[env][damage]["fid"].iloc[0]
        ),
        "noise": NOISE,
        "blur": BLUR,
        "without_classes": DROPPED,
        "monotone": lambda score, env, damage: (
            " and ".join(
                name
                for name, tables in {"`classifier`": damaged, "`imagenet`": imagenet}.items()
                if tables[env][damage][score].is_monotonic_increasing
            )
            or "neither"
        ),
    }


def _by_damage(folder: Path, prefix: str) -> dict[str, dict[Hashable, pd.DataFrame]]:
    """Rows by environment and damage."""
    return {env: dict(list(table.groupby("damage"))) for env, table in read_tables(folder, prefix).items()}


def _undamaged(tables: dict[str, dict[Hashable, pd.DataFrame]]) -> dict[str, pd.DataFrame]:
    """The row of one half of the train split against the other, by environment."""
    return {env: rows[NOISE].query("amount == 0") for env, rows in tables.items()}


def _by_weights(rows: pd.DataFrame) -> dict[Hashable, pd.Series[float]]:
    """FIDs by environment and set of weights."""
    return dict(list(rows.groupby(["env", "weights"])["fid"]))
