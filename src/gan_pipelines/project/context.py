"""Kedro's context of the project."""

from __future__ import annotations

import time
from typing import Any

from kedro.framework.context import KedroContext
from kedro.io import CatalogProtocol, DataCatalog
from kedro.io.core import generate_timestamp

from gan_pipelines.core.files import acquire
from gan_pipelines.tracking.hooks import MLRUNS


class ProjectContext(KedroContext):
    """A context whose parameters are plain values until `PreflightHooks` parses those that a run uses.

    Kedro would build the dataclasses that nodes ask for by itself: without laying a variant's settings over its row,
    and with errors that are not one sentence.
    """

    @property
    def params(self) -> dict[str, Any]:
        """Parameters of the environment, as YAML gives them."""
        return dict(self.config_loader["parameters"])

    def _get_catalog(
        self,
        catalog_class: type = DataCatalog,
        save_version: str | None = None,
        load_versions: dict[str, str] | None = None,
    ) -> CatalogProtocol[Any, Any]:
        """Create a run's catalog with a version that no other run has, even if both start in the same millisecond."""
        if save_version is not None:
            lock = self.project_path / MLRUNS / ".version.lock"
            lock.parent.mkdir(exist_ok=True)
            with acquire(lock, "choosing its version"):
                time.sleep(0.001)
                save_version = generate_timestamp()
        return super()._get_catalog(catalog_class, save_version, load_versions)
