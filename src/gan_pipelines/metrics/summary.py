"""Scores of a run in brief."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from gan_pipelines.core.findings import Findings
from gan_pipelines.metrics.averages import score_name


def summarize_scores(scores: Sequence[Mapping[str, Any]]) -> Findings:
    """Summarize the scores of one run.

    Args:
        scores: records of `Score`, with the ``generator`` (last or best) in their identity.

    Returns:
        metrics ``[best/]<metric>_<weights>`` of all scores but those of single classes (MLflow shows what is before a
        slash as a section), the flags as a tag, and one sentence for each generator, each note and each flag.
    """
    flags, notes = (sorted({text for score in scores for text in score[kind]}) for kind in ("flags", "notes"))
    groups: dict[tuple[str, str], list[Mapping[str, Any]]] = {}
    for score in scores:
        groups.setdefault((score["identity"]["generator"], score["identity"]["weights"]), []).append(score)
    return Findings(
        metrics={
            score_name(score).replace("best_", "best/"): score["value"]
            for score in scores
            if "class" not in score["comparability"]
        },
        tags={"flags": " ".join(flags)} if flags else {},
        sentences=(
            *(_describe(group, *origin) for origin, group in groups.items()),
            *notes,
            *(f"Careful: {flag}" for flag in flags),
        ),
    )


def _describe(scores: Sequence[Mapping[str, Any]], generator: str, weights: str) -> str:
    measured = {score["metric"]: score for score in scores}
    values = {metric: score["value"] for metric, score in measured.items()}
    fid = measured["fid"]
    key, extractor, identity = (fid[part] for part in ("comparability", "extractor", "identity"))
    accuracy = extractor.get("heldout_accuracy")
    trust = "" if accuracy is None else f", held-out accuracy {accuracy:.1%}"
    source = f"{key['samples']:,} samples against {key['reference_split']}, {key['extractor']}{trust}"
    kept_out = f" (held-out images {values['heldout_authenticity']:.2f})" if "heldout_authenticity" in values else ""
    copying = f", authenticity {values['authenticity']:.2f}{kept_out}" if "authenticity" in values else ""
    copying += f", copies {values['copies']:.1%}" if "copies" in values else ""
    return (
        f"{generator} epoch, {weights} weights: FID {values['fid']:.2f}, IS {values['is']:.2f} ± "
        f"{measured['is']['spread']:.2f}, KID {values['kid']:.4f}, precision {values['precision']:.2f}, recall "
        f"{values['recall']:.2f}{copying} ({source}; epoch {identity['epoch']} of {identity['generator_version']})"
    )
