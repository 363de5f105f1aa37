"""What is wrong with images on disk, in sentences."""

from __future__ import annotations

from gan_pipelines.core.errors import ProjectError


class DatasetUnusable(ProjectError):
    """A dataset that cannot be prepared as it is."""


class BadImage(ProjectError):
    """A file that is no picture, or none that can be decoded."""
