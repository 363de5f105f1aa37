"""Nodes of the export of a variant."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from gan_pipelines import gan, metrics, serving
from gan_pipelines.core.findings import Findings
from gan_pipelines.core.runtime import DeviceName


def export_generator(
    generator: gan.TrainedGenerator,
    scores: list[dict[str, Any]],
    export: serving.ExportConfig,
    experiment: str,
    *_saved: object,
) -> serving.ExportedGenerator:
    """Export a generator, with those of the scores that are its own, after all else that must be saved."""
    return serving.export_generator(generator, scores, export, experiment)


def score_exported(
    exported: serving.ExportedGenerator,
    extractor: metrics.FeatureExtractor,
    reference: metrics.Reference,
    scoring: metrics.ScoringConfig,
    device: DeviceName,
) -> list[dict[str, Any]]:
    """Score a generator through its exported files; return one plain record for each score."""
    origin = {"generator": "exported", "trained_epochs": exported.training["epoch"]}
    records = map(asdict, metrics.score_generator(exported, extractor, reference, scoring, device))
    return [{**record, "identity": {**record["identity"], **origin}} for record in records]


def compare_scores(scores: list[dict[str, Any]], exported: serving.ExportedGenerator) -> Findings:
    """Compare the scores of the exported files with those of the generator."""
    return serving.compare_scores(scores, exported)
