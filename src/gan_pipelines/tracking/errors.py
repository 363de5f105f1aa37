"""What can be wrong with MLflow, in sentences."""

from __future__ import annotations

from gan_pipelines.core.errors import ProjectError


class TrackingUnavailable(ProjectError):
    """MLflow cannot be used as it is configured."""
