"""Names of tags of MLflow runs. This module is for those who must not load MLflow, which takes two seconds."""

from __future__ import annotations

from collections.abc import Mapping

from kedro.pipeline import Pipeline

PARENT = "mlflow.parentRunId"
"""Tag of a nested run with the id of the run that it is part of."""
VERSION = "catalog_version"
"""Tag with the version under which a run saves the entries of the catalog."""
TRAINING = "training"
"""Tag of a run, or parameter of a nested one, with the fingerprint of its training."""
REQUEST = "request"
"""Tag of a run of a sweep: the hash of its settings."""
SWEEP = "sweep"
"""Tag of the run of a sweep, which is the parent of its runs: the hash of what it runs."""


def is_part(tags: Mapping[str, str]) -> bool:
    """Whether a run is a part of another, as one of an experiment's classifiers; the runs of a sweep are whole."""
    return PARENT in tags and REQUEST not in tags


def list_subjects(pipeline: Pipeline) -> list[str]:
    """What a run is about, for its tag ``variant``: the variants, or the folder of pictures, of its nodes."""
    return sorted({node.namespace for node in pipeline.nodes if node.namespace})
