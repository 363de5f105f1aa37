"""Kedro's context of the project."""

from __future__ import annotations

from typing import Any

from kedro.framework.context import KedroContext


class ProjectContext(KedroContext):
    """A context whose parameters are plain values until `PreflightHooks` parses those that a run uses.

    Kedro would build the dataclasses that nodes ask for by itself: without laying a variant's settings over its row,
    and with errors that are not one sentence.
    """

    @property
    def params(self) -> dict[str, Any]:
        """Parameters of the environment, as YAML gives them."""
        return dict(self.config_loader["parameters"])
