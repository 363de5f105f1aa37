"""The last words of a run: what came out, and where to look."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any


def summarize_run(
    files: Mapping[str, Path],
    scores: Sequence[Mapping[str, Any]],
    verdicts: Sequence[Mapping[str, Any]] = (),
    env: str | None = None,
) -> str:
    """Say in a few lines what a run has measured and where its files lie.

    Args:
        files: of the run, by the kind of dataset: files, or folders of pictures, the last of which is shown.
        scores: as `describe_results` takes them.
        verdicts: likewise.
        env: Kedro's environment that the run was in, if any.
    """
    lines = describe_results(scores, verdicts)
    widest = max(map(len, files), default=0)
    for kind, path in files.items():
        shown = max(path.glob("*.png"), default=path)
        lines.append(f"{kind.replace('_', ' '):<{widest}} {shown}")
    compare = f"kedro run {f'--env={env} ' if env else ''}--pipelines=compare"
    lines.append(f"Compare runs: {compare} (one page), or make ui (MLflow). See the DAG: make viz.")
    return "\n".join(lines)


def describe_results(scores: Sequence[Mapping[str, Any]], verdicts: Sequence[Mapping[str, Any]] = ()) -> list[str]:
    """Say in a line each what a run has measured.

    Args:
        scores: records as the catalog has them; may be empty.
        verdicts: of an augmentation experiment, likewise.
    """
    lines = [
        _describe_scores([score for score in scores if _origin(score) == origin], *origin)
        for origin in dict.fromkeys(map(_origin, scores))
    ]
    lines += sorted({f"Careful: {flag}" for score in scores for flag in score["flags"]})
    return lines + [f"Augmentation with {verdict['sentence']}" for verdict in verdicts]


def _origin(score: Mapping[str, Any]) -> tuple[str, str]:
    return score["identity"]["generator"], score["identity"]["weights"]


def _describe_scores(scores: Sequence[Mapping[str, Any]], generator: str, weights: str) -> str:
    measured = {score["metric"]: score for score in scores}
    values = {metric: score["value"] for metric, score in measured.items()}
    fid = measured["fid"]
    key, extractor, identity = (fid[part] for part in ("comparability", "extractor", "identity"))
    accuracy = extractor.get("heldout_accuracy")
    trust = "" if accuracy is None else f", held-out accuracy {accuracy:.1%}"
    source = f"{key['samples']:,} samples against {key['reference_split']}, {key['extractor']}{trust}"
    return (
        f"{generator} epoch, {weights} weights: FID {values['fid']:.2f}, IS {values['is']:.2f} ± "
        f"{measured['is']['spread']:.2f}, KID {values['kid']:.4f}, precision {values['precision']:.2f}, recall "
        f"{values['recall']:.2f} ({source}; "
        f"epoch {identity['epoch']} of {identity['generator_version']})"
    )
