"""Errors of tracking that a user can act on."""

from __future__ import annotations

from gan_pipelines.core.errors import ProjectError


class TrackingUnavailable(ProjectError):
    """An MLflow that does not answer at the start of a run."""
