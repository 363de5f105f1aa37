"""The numbers of the page on scores."""

from __future__ import annotations

import math
from collections.abc import Hashable
from pathlib import Path
from typing import Any

import pandas as pd
from scipy.special import stdtrit

from plot_scores import read_tables
from scores import FLOORS, RANDOM, STRATIFIED, TEST


def compute(folder: Path) -> dict[str, Any]:
    """Variation of FID by seed and number of samples, scores of real images, and responses to damage."""
    chance = pd.concat(read_tables(folder, "chance-"), names=["env", None]).reset_index("env")
    by_seed = chance[chance["what"] == "sampling seeds"]
    tables = read_tables(folder, "floors-")
    damaged = {env: dict(list(table.groupby("damage"))) for env, table in tables.items()}
    undamaged = {env: table.query("damage.str.startswith('noise') and amount == 0") for env, table in tables.items()}
    floors = {env: dict(list(table[table["damage"].isin(FLOORS)].groupby("damage"))) for env, table in tables.items()}
    dropped, repeated = ("dropped classes, share of them", "repeated images, copies of each")
    raw_logs = _by_weights(by_seed[by_seed["sampling_seed"] == 0])["base", "raw"].map(math.log)
    frechet = pd.read_csv(folder / "frechet_distance.csv")
    seconds = frechet.pivot(index=["features", "singular"], columns="contender", values="seconds")
    return {
        "frechet": frechet,
        "to_torch_fidelity": seconds["ours"] / seconds["torch-fidelity"],
        "to_sqrtm": (seconds["ours"] / seconds["scipy sqrtm"])[2048],
        "costs": pd.read_csv(folder / "costs.csv").set_index("stem"),
        "sampling": _by_weights(by_seed[by_seed["training_seed"] == 0]),
        "training": _by_weights(by_seed[by_seed["sampling_seed"] == 0]),
        "counts": {
            env: rows.set_index(["training_seed", "samples"])["fid"]
            for env, rows in chance[chance["what"] == "number of samples"].groupby("env")
        },
        "floors": floors,
        "random": RANDOM,
        "stratified": STRATIFIED,
        "test": TEST,
        "part": lambda rows: f"{rows.get('is_part', rows['images']).iloc[0]:,.0f}",
        "raw_log_deviation": raw_logs.std(),
        "raw_ratio": math.exp(1.96 * math.sqrt(2) * raw_logs.std()),
        "raw_ratio_of_three_seeds": math.exp(float(stdtrit(len(raw_logs) - 1, 0.975)) * math.sqrt(2) * raw_logs.std()),
        "dropped": damaged["base"][dropped].iloc[[0, -1]],
        "repeated": damaged["base"][repeated].iloc[[0, -1]],
        "unnoticed": max(
            (rows[["precision", "density"]] - rows[["precision", "density"]].iloc[0])
            .iloc[: -1 if env == "base" else None]
            .abs()
            .max(axis=None)
            for env in damaged
            for rows in (damaged[env][dropped], damaged[env][repeated])
        ),
        "undamaged": undamaged,
        "scores": [("fid", 2), ("kid", 3), ("is", 2), ("precision", 2), ("recall", 2), ("density", 2), ("coverage", 2)],
        "others": [
            ("Fashion-MNIST", "fashion_mnist"),
            ("CIFAR-10, 32x32", "cifar10_32"),
            ("playing cards, 64x64", "playing_cards"),
        ],
        "damages": [
            ("noise, standard deviation in grey levels", ""),
            ("blur, standard deviation in pixels", " (a kernel of 13 pixels, which cuts the 4 off to about 3)"),
            ("dropped classes, share of them", ""),
            ("repeated images, copies of each", ""),
        ],
        "percent": lambda values: f"{values.std() / values.mean():.0%}".replace("%", " %"),
        "percent_of": lambda rows: f"{rows['heldout_accuracy'].iloc[0]:.1%}",
        "sizes": lambda rows: f"{rows['images'].iloc[0]:,} / {rows['reference_images'].iloc[0]:,}",
        "amounts": lambda damage: ", ".join(f"{amount:g}" for amount in damaged["base"][damage]["amount"]),
        "responses": lambda env, damage: "; ".join(f"{fid:,.3g}" for fid in damaged[env][damage]["fid"]),
    }


def _by_weights(rows: pd.DataFrame) -> dict[Hashable, pd.Series[float]]:
    """FIDs by environment and set of weights."""
    return dict(list(rows.groupby(["env", "weights"])["fid"]))
