"""Scores of several seeds as one, and of several variants side by side."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import pandas as pd

from gan_pipelines.core.hashing import hash_values
from gan_pipelines.metrics.config import abbreviate

SYSTEM = ["variant", "generator", "weights", "trained_epochs", "recipe"]
"""What is scored, but for seeds: ``generator`` is last or best, ``recipe`` the fingerprint of all other settings.

The best epoch is another one for each seed: what counts is of how many it is the best."""
KEY = ["metric", "samples", "extractor", "extractor_weights", "resize_filter", "reference_split", "reference_hash"]
"""Parts of a comparability key that all scores but those of classes have."""
KEY_DIGITS = 8
"""Of a key's hash, shown to tell columns apart."""


def average_scores(scores: Mapping[str, Iterable[Mapping[str, Any]]]) -> pd.DataFrame:
    """Average scores over seeds, where all else that must be equal is.

    Scores of several sampling seeds of one training count as one, their mean: n is the number of trainings. Where there
    is but one training, the standard deviation is that over its sampling seeds.

    Args:
        scores: records of `Score`, by variant; of two of the same training and samples the later one counts.

    Returns:
        one row for each system and comparability key: `SYSTEM`, ``metric``, ``mean``, ``std``, ``n``,
        ``sampling_seeds``, ``key``, the hash of the comparability key, and its parts.
    """
    rows = [_flatten(variant, record) for variant, records in scores.items() for record in records]
    table = pd.DataFrame(rows).drop_duplicates([*SYSTEM, "key", "seed", "sampling_seed"], keep="last")
    averages = []
    for _, group in table.groupby([*SYSTEM, "key"], sort=False, dropna=False):
        by_training = group.groupby("seed")["value"].mean()
        spread = by_training if len(by_training) > 1 else group["value"]
        averages.append(
            {
                **group.iloc[0].drop(["value", "seed", "sampling_seed"]),
                "mean": by_training.mean(),
                "std": spread.std(),
                "n": len(by_training),
                "sampling_seeds": group["sampling_seed"].nunique(),
            }
        )
    return pd.DataFrame(averages)


def tabulate_scores(averages: pd.DataFrame) -> pd.DataFrame:
    """Lay averages out for the eye, without those of classes: a row for each system, a column for each key.

    Args:
        averages: as `average_scores` gives them.
    """
    shown = averages[averages["metric"] != "class_kid"].copy()
    shown["column"] = (
        shown["metric"] + "_" + shown["samples"].map(abbreviate) + " [" + shown["key"].str[:KEY_DIGITS] + "]"
    )
    shown["shown"] = list(map(_describe, shown["mean"], shown["std"], shown["n"]))
    table = shown.pivot(index=SYSTEM, columns="column", values="shown")
    return table[shown["column"].unique()].reset_index().rename_axis(columns=None)


def list_keys(averages: pd.DataFrame) -> pd.DataFrame:
    """What the columns of `tabulate_scores` stand for: a row for each comparability key.

    Args:
        averages: as `average_scores` gives them.
    """
    shown = averages.loc[averages["metric"] != "class_kid", ["key", *KEY]].drop_duplicates()
    return shown.assign(key=shown["key"].str[:KEY_DIGITS], reference_hash=shown["reference_hash"].str[:12])


def list_runs(scores: Mapping[tuple[str, str], Sequence[Mapping[str, Any]]]) -> pd.DataFrame:
    """List runs with their scores, but those of classes, and where these come from.

    Args:
        scores: records of `Score`, by variant and version.

    Returns:
        a row for each run: ``run``, the version; ``variant``, ``seed``, ``epochs``; ``recipe``, the fingerprint of all
        other settings; scores as `score_name` names them; what they were measured with, on and by; and ``flags``.
    """
    return pd.DataFrame([_describe_run(*run, records) for run, records in scores.items()])


def score_name(score: Mapping[str, Any]) -> str:
    """Name a score within its run: ``fid_ema``, and ``best_fid_ema`` of the best epoch's generator."""
    identity = score["identity"]
    return f"{'best_' if identity['generator'] == 'best' else ''}{score['metric']}_{identity['weights']}"


def _describe_run(variant: str, version: str, records: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    newest = records[-1]  # of the best generator
    key, identity, extractor = newest["comparability"], newest["identity"], newest["extractor"]
    return {
        "run": version,
        "variant": variant,
        "seed": identity["seed"],
        "epochs": identity["trained_epochs"],
        "recipe": identity["recipe"],
        **{score_name(score): score["value"] for score in records if score["metric"] != "class_kid"},
        "best_epoch": identity["epoch"],
        "samples": key["samples"],
        "extractor": key["extractor"],
        "extractor_accuracy": extractor.get("heldout_accuracy"),
        "reference": key["reference_split"],
        "data": identity["data_hash"][:12],
        "training": identity["fingerprint"],
        "device": identity["device"],
        "mlflow_run": identity["mlflow_run_id"],
        "flags": " ".join(sorted({flag for score in records for flag in score["flags"]})),
    }


def _flatten(variant: str, record: Mapping[str, Any]) -> dict[str, Any]:
    identity, key = record["identity"], record["comparability"]
    system = {name: variant if name == "variant" else identity[name] for name in [*SYSTEM, "seed", "sampling_seed"]}
    return {**system, **key, "key": hash_values(key), "value": record["value"]}


def _describe(mean: float, std: float, count: int) -> str:
    return f"{mean:.4g} (n={count})" if pd.isna(std) else f"{mean:.4g} ± {std:.2g} (n={count})"
