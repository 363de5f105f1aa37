"""Tables of scores: averages over seeds, variants side by side, and lists of runs."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import pandas as pd

from gan_pipelines.core.hashing import hash_values
from gan_pipelines.core.score_names import MADE_ELSEWHERE, MILESTONE
from gan_pipelines.metrics.config import abbreviate

SYSTEM = ["variant", "generator", "weights", "trained_epochs", "recipe"]
"""Columns that identify what is scored, apart from seeds.

``generator`` is ``last``, ``best`` or `MILESTONE`; ``recipe`` is the fingerprint of all settings but the seed. The
number of the best epoch is not among them, since it differs between seeds. Of images made elsewhere, ``generator`` and
``weights`` are `MADE_ELSEWHERE`, and ``recipe`` is their hash."""
KEY = [
    "metric",
    "samples",
    "extractor",
    "extractor_weights",
    "resize_filter",
    "reference_split",
    "reference_hash",
    "class_frequencies",
]
"""Columns of the comparability key that all metrics have."""
METRIC_KEY = ["is_splits", "heldout_hash"]
"""Columns of the comparability key that some metrics have as well, apart from the class of ``class_kid``."""
EARLIER_KEY = {"class_frequencies": "uniform"}
"""Parts of the comparability key that scores of version 0.1 do not name."""
RUN = ["run", "variant", "seed", "epochs", "recipe", "flags"]
"""Columns of a list of runs that are always there."""
AVERAGE = [*SYSTEM, *KEY, "key", "mean", "std", "n", "sampling_seeds"]
"""Columns of averages that are always there."""
KEY_DIGITS = 8
"""Number of digits of a comparability key's hash in the names of columns, and in MLflow."""
HASH_DIGITS = 12
"""Number of digits of a data hash in a table."""


def average_scores(scores: Mapping[str, Iterable[Mapping[str, Any]]]) -> pd.DataFrame:
    """Average scores over training seeds; only scores with equal comparability keys are averaged.

    Several sampling seeds of one training are averaged first and count as one. If there is only one training, the
    standard deviation is taken over its sampling seeds.

    Args:
        scores: records of `Score`, by variant. Of two records of the same training and samples, the later one is used.

    Returns:
        one row for each system and comparability key, with the columns of `SYSTEM`; ``mean`` and ``std``; ``n``, the
        number of trainings; ``sampling_seeds``, the number of sampling seeds; ``key``, the hash of the comparability
        key; and the parts of the key.
    """
    table = list_scores(scores)
    if table.empty:
        return pd.DataFrame(columns=AVERAGE)
    system = [*SYSTEM, "key"]
    groups = table.groupby(system, sort=False, dropna=False)
    trainings = table.groupby([*system, "seed"], sort=False, dropna=False)["value"].mean()
    by_training = trainings.groupby(level=system, sort=False, dropna=False)
    n = by_training.count()
    averages = {
        "mean": by_training.mean(),
        "std": by_training.std().where(n > 1, groups["value"].std()),
        "n": n,
        "sampling_seeds": groups["sampling_seed"].nunique(),
    }
    described = groups.head(1).drop(columns=["value", "seed", "sampling_seed"])
    return described.merge(pd.DataFrame(averages).reset_index(), on=system)


def list_scores(scores: Mapping[str, Iterable[Mapping[str, Any]]]) -> pd.DataFrame:
    """List scores, one in a row; of two records of the same training and samples, the later one.

    Args:
        scores: records of `Score`, by variant.

    Returns:
        the columns of `SYSTEM`, ``seed``, ``sampling_seed``, ``value``, the parts of the comparability key, and
        ``key``, its hash.
    """
    rows = [_flatten(variant, record) for variant, records in scores.items() for record in records]
    if not rows:
        return pd.DataFrame(columns=[*SYSTEM, "seed", "sampling_seed", *KEY, "key", "value"])
    return pd.DataFrame(rows).drop_duplicates([*SYSTEM, "key", "seed", "sampling_seed"], keep="last")


def tabulate_scores(averages: pd.DataFrame) -> pd.DataFrame:
    """Format averages as a table with a row for each system and a column for each comparability key.

    Scores of single classes are left out.

    Args:
        averages: the result of `average_scores`.
    """
    shown = averages[averages["metric"] != "class_kid"].copy()
    shown["column"] = (
        shown["metric"] + "_" + shown["samples"].map(abbreviate) + " [" + shown["key"].str[:KEY_DIGITS] + "]"
    )
    shown["shown"] = list(map(_format_average, shown["mean"], shown["std"], shown["n"]))
    table = shown.pivot(index=SYSTEM, columns="column", values="shown")
    return table[shown["column"].unique()].reset_index().rename_axis(columns=None)


def group_by_measure(averages: pd.DataFrame) -> list[tuple[dict[str, Any], pd.DataFrame]]:
    """Split averages into groups that were measured alike, each with what its comparability keys have in common.

    Args:
        averages: the result of `average_scores`.
    """
    parts = [part for part in KEY if part != "metric" and part in averages]
    groups = averages.groupby(parts, sort=False, dropna=False)
    return [(dict(zip(parts, values, strict=True)), group) for values, group in groups]


def list_keys(averages: pd.DataFrame) -> pd.DataFrame:
    """List the comparability keys behind the columns of `tabulate_scores`, one in a row.

    Args:
        averages: the result of `average_scores`.
    """
    shown = averages[averages["metric"] != "class_kid"]
    keys = shown.reindex(columns=["key", *KEY, *METRIC_KEY]).drop_duplicates()
    lengths = {"key": KEY_DIGITS, "reference_hash": HASH_DIGITS, "heldout_hash": HASH_DIGITS}
    return keys.assign(
        **{part: keys[part].str[:digits] for part, digits in lengths.items() if keys[part].notna().any()}
    )


def list_runs(scores: Mapping[tuple[str, str], Sequence[Mapping[str, Any]]]) -> pd.DataFrame:
    """List runs with their scores, settings, data and flags.

    Scores of single classes are left out.

    Args:
        scores: records of `Score`, by variant and version.

    Returns:
        a row for each run: ``run``, its version; ``variant``, ``seed``, ``epochs``; ``recipe``, the fingerprint of all
        settings but the seed; the scores, named by `score_name`; how they were measured; and ``flags``.
    """
    rows = [_describe_run(*run, records) for run, records in scores.items()]
    return pd.DataFrame(rows, columns=None if rows else RUN)


def hash_key(score: Mapping[str, Any]) -> str:
    """Hash the comparability key of a score: only scores with equal keys may be compared."""
    return hash_values(EARLIER_KEY | score["comparability"])


def score_name(score: Mapping[str, Any]) -> str:
    """Name a score within its run: ``fid_ema`` for the last epoch, ``best_fid_ema``, ``milestone_fid_ema``; ``fid``."""
    identity = score["identity"]
    if identity["generator"] == MADE_ELSEWHERE:
        return str(score["metric"])
    prefix = f"{identity['generator']}_" if identity["generator"] in ("best", MILESTONE) else ""
    return f"{prefix}{score['metric']}_{identity['weights']}"


def _describe_run(variant: str, version: str, records: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    newest = records[-1]  # scores of the best generator come last, so its epoch is in ``best_epoch``
    key, identity, extractor = newest["comparability"], newest["identity"], newest["extractor"]
    return {
        "run": version,
        "variant": variant,
        "seed": identity["seed"],
        "epochs": identity["trained_epochs"],
        "recipe": identity["recipe"],
        **{score_name(score): score["value"] for score in records if score["metric"] != "class_kid"},
        "best_epoch": identity.get("epoch") if identity["generator"] == "best" else None,
        "samples": key["samples"],
        "extractor": key["extractor"],
        "extractor_accuracy": extractor.get("heldout_accuracy"),
        "reference": key["reference_split"],
        "data": identity["data_hash"][:HASH_DIGITS],
        "training": identity.get("fingerprint"),
        "device": identity["device"],
        "mlflow_run": identity.get("mlflow_run_id"),
        "flags": " ".join(sorted({flag for score in records for flag in score["flags"]})),
    }


def _flatten(variant: str, record: Mapping[str, Any]) -> dict[str, Any]:
    key, identity = EARLIER_KEY | record["comparability"], {**record["identity"], "variant": variant}
    system = {name: identity[name] for name in [*SYSTEM, "seed", "sampling_seed"]}
    return {**system, **key, "key": hash_key(record), "value": record["value"]}


def _format_average(mean: float, std: float, count: int) -> str:
    return f"{mean:.4g} (n={count})" if pd.isna(std) else f"{mean:.4g} ± {std:.2g} (n={count})"
