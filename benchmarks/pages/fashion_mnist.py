"""The numbers of the page on Fashion-MNIST."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd

from gan_pipelines.metrics import compare_recipes


def compute(folder: Path) -> dict[str, Any]:
    """Losses and accuracies beside the published ones, and the scores of the objectives over three seeds."""
    history, scores = pd.read_csv(folder / "history.csv"), pd.read_csv(folder / "scores.csv", dtype={"seed": str})
    by_run = history.groupby(["variant", "objective", "seed", "precision"])
    batch_accuracies = ["batch_real_accuracy", "batch_fake_accuracy"]
    steps = by_run[batch_accuracies].diff().abs().stack()
    plain = history[(history["objective"] == "non_saturating") & (history["seed"] == 0)]
    plain = plain[plain["precision"] == plain["variant"].map({"mlp_gan": "fp32", "dcgan": "bf16"})]
    runs = scores.set_index([*scores.columns[: scores.columns.get_loc("weights") + 1]])
    fids = runs["fid"].unstack("weights")
    scores = scores.rename(columns={"extractor_heldout_accuracy": "heldout_accuracy"})
    objectives = scores.query("variant == 'mlp_gan' and precision == 'bf16'")
    published = pd.read_csv(folder.parent / "experiments/published.csv").query("figure == 'judgements'")
    return {
        "published": published.to_dict("records"),
        "epochs": plain.assign(epoch=plain["epoch"] - 1).set_index(["variant", "epoch"]),
        "largest_step": steps.max(),
        "median_step": steps.median(),
        "by_objective": dict(list(objectives.set_index("weights").groupby("objective"))),
        "fids": fids,
        "single": runs.xs(("non_saturating", "0"), level=("objective", "seed")),
        "raw_ratios": compare_objectives(objectives[objectives["weights"] == "raw"]),
        "ema_gain": (fids["raw"] / fids["ema"]).loc["mlp_gan"],
        "heldout_accuracy": scores["heldout_accuracy"].iloc[0],
    }


def compare_objectives(runs: pd.DataFrame) -> pd.DataFrame:
    """Compare the FIDs of objectives as `compare` does, by the objective with the lower FID and the other.

    Classifiers that were fitted apart are told by their accuracy: their FIDs are not compared.
    """
    scores: dict[str, list[dict[str, Any]]] = {objective: [] for objective in runs["objective"].unique()}
    for run in runs.to_dict("records"):
        trained = {"recipe": "", "trained_epochs": run["epoch"], "seed": run["seed"], "sampling_seed": 0}
        scores[run["objective"]].append(
            {
                "metric": "fid",
                "value": run["fid"],
                "comparability": {"metric": "fid", "samples": run["samples"], "extractor": run["heldout_accuracy"]},
                "identity": {"generator": "last", "weights": run["weights"], **trained},
            }
        )
    compared = compare_recipes(scores, {(objective, ""): objective for objective in scores})
    return compared.set_index(["variant", "other_variant"])
