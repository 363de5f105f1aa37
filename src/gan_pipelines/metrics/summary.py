"""Scores of a run in brief."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from gan_pipelines.core.findings import Findings
from gan_pipelines.core.score_names import HEADLINES, MADE_ELSEWHERE, MILESTONE
from gan_pipelines.metrics.averages import KEY_DIGITS, hash_key

REPORTED = (("last", "ema"), (MADE_ELSEWHERE, MADE_ELSEWHERE))
"""Generator and set of weights whose scores stand for a run: of a training, or of images made elsewhere."""
PREFIXES = dict.fromkeys(REPORTED, "scores/") | {
    ("last", "raw"): "raw/",
    ("best", "ema"): "best/",
    (MILESTONE, "ema"): "milestone/",
    (MILESTONE, "raw"): "milestone/raw/",
}
"""Prefix of all metrics but the `HEADLINES` of `REPORTED`; MLflow shows what is before a slash as a section."""


def summarize_scores(scores: Sequence[Mapping[str, Any]]) -> Findings:
    """Summarize the scores of one run.

    Args:
        scores: records of `Score`, with the ``generator`` (last, best or `MILESTONE`) in their identity.

    Returns:
        metrics, without those of single classes: the `HEADLINES` of `REPORTED`, and all others with one of the
        `PREFIXES`; the best generator counts with its EMA weights only. The tags are ``weights``, ``seed``, ``epochs``,
        ``score_key``, which is equal for runs with comparable FID, and ``flags``, if there are any; images made
        elsewhere have the last two only. One sentence for each generator, each note and each flag; that of a flag
        names the generators that have it, unless all have.
    """
    flags, notes = (sorted({text for score in scores for text in score[kind]}) for kind in ("flags", "notes"))
    groups: dict[tuple[str, str], list[Mapping[str, Any]]] = {}
    for score in scores:
        groups.setdefault(_origin(score), []).append(score)
    metrics = {
        _name_metric(score["metric"], _origin(score)): score["value"]
        for score in scores
        if "class" not in score["comparability"] and _origin(score) in PREFIXES
    }
    return Findings(
        metrics=dict(sorted(metrics.items(), key=lambda metric: "/" in metric[0])),  # MLflow shows them in this order
        tags=_tag_scores(scores) | ({"flags": " ".join(flags)} if flags else {}),
        sentences=(
            *(_describe(group) for group in groups.values()),
            *notes,
            *(_warn(flag, [*groups.values()]) for flag in flags),
        ),
    )


def _origin(score: Mapping[str, Any]) -> tuple[str, str]:
    """Which generator it is, and its set of weights."""
    return score["identity"]["generator"], score["identity"]["weights"]


def _name_metric(metric: str, origin: tuple[str, str]) -> str:
    return metric if metric in HEADLINES and origin in REPORTED else PREFIXES[origin] + metric


def _tag_scores(scores: Sequence[Mapping[str, Any]]) -> dict[str, str]:
    tagged = (*REPORTED, (MILESTONE, "ema"))
    fid = next(score for score in scores if score["metric"] == "fid" and _origin(score) in tagged)
    key, identity = {"score_key": hash_key(fid)[:KEY_DIGITS]}, fid["identity"]
    if identity["generator"] == MADE_ELSEWHERE:
        return key
    return {
        "weights": identity["weights"],
        "seed": str(identity["seed"]),
        "epochs": str(identity["trained_epochs"]),
        **key,
    }


def _describe(scores: Sequence[Mapping[str, Any]]) -> str:
    measured = {score["metric"]: score for score in scores}
    values = {metric: score["value"] for metric, score in measured.items()}
    fid = measured["fid"]
    key, extractor, identity = (fid[part] for part in ("comparability", "extractor", "identity"))
    accuracy = extractor.get("heldout_accuracy")
    trust = "" if accuracy is None else f", held-out accuracy {accuracy:.1%}"
    source = f"{key['samples']:,} samples against {key['reference_split']}, {key['extractor']}{trust}"
    inception = f"IS {values['is']:.2f} ± {measured['is']['spread']:.2f}, " if "is" in values else ""
    kept_out = f" (held-out images {values['heldout_authenticity']:.2f})" if "heldout_authenticity" in values else ""
    copying = f", authenticity {values['authenticity']:.2f}{kept_out}" if "authenticity" in values else ""
    copying += f", copies {values['copies']:.1%}" if "copies" in values else ""
    origin = "" if identity["generator"] == MADE_ELSEWHERE else "; epoch {epoch} of {generator_version}"
    return (
        f"{_name_generator(identity)}: FID {values['fid']:.2f}, {inception}KID {values['kid']:.4f}, "
        f"precision {values['precision']:.2f}, recall {values['recall']:.2f}{copying} "
        f"({source}{origin.format(**identity)})"
    )


def _warn(flag: str, groups: Sequence[Sequence[Mapping[str, Any]]]) -> str:
    """Name the generators and weights with the flag, unless all have it."""
    flagged = [group for group in groups if any(flag in score["flags"] for score in group)]
    if len(flagged) == len(groups):
        return f"Careful: {flag}"
    return f"Careful, {' and '.join(_name_generator(group[0]['identity']) for group in flagged)}: {flag}"


def _name_generator(identity: Mapping[str, Any]) -> str:
    """Name a generator and its set of weights."""
    name = "{generator} epoch, {weights} weights"
    if identity["generator"] == MILESTONE:
        name = "milestone of epoch {epoch} ({images_seen:,} images), {weights} weights"
    if identity["generator"] == MADE_ELSEWHERE:
        name = "{name}, made elsewhere"
    return name.format(**identity)
