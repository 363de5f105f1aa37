"""Errors of tracking that a user can act on."""

from __future__ import annotations

from gan_pipelines.core.errors import ProjectError

ELSEWHERE = (
    "set another address in MLFLOW_TRACKING_URI, or in server.mlflow_tracking_uri of mlflow.yml in conf/local or, with "
    "--env, in its folder"
)
"""Half a sentence: where the address of MLflow's store comes from."""


class TrackingUnavailable(ProjectError):
    """An MLflow that cannot be used at the start of a run."""
