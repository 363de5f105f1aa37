"""Errors of engines that a user can act on."""

from __future__ import annotations

from gan_pipelines.core.errors import ProjectError


class EngineUnavailable(ProjectError):
    """An engine that cannot be used, or is gone."""
