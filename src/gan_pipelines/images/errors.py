"""Errors about images on disk."""

from __future__ import annotations

from gan_pipelines.core.errors import ProjectError


class DatasetUnusable(ProjectError):
    """A dataset cannot be prepared."""


class BadImage(ProjectError):
    """A file is no picture, or cannot be decoded."""


class UnreadFile(BadImage):
    """A file could not be read this time, as when a network disk fails: it may well be a picture."""
