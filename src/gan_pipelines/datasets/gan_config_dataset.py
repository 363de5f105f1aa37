"""Configurations of variants in the catalog."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

from kedro_datasets._typing import JSONPreview

from gan_pipelines.datasets.local_versioned import LocalVersionedDataset
from gan_pipelines.gan.config import GanConfig, parse_saved


class GanConfigDataset(LocalVersionedDataset[GanConfig]):
    """A `GanConfig` as a JSON file.

    Example in the catalog::

        "{variant}.config":
          type: gan_pipelines.datasets.GanConfigDataset
          filepath: data/06_models/{variant}/config.json
          versioned: true

    Example in Python::

        config = GanConfigDataset(filepath="config.json").load()
    """

    def write(self, data: GanConfig, path: Path) -> None:
        """Write one file."""
        path.write_text(json.dumps(asdict(data), indent=2))

    def load(self) -> GanConfig:
        """Read and check the configuration, also one of an earlier version.

        Raises `kedro.io.DatasetError` if there is none, or it has settings that this version of the project lacks.
        """
        path = Path(self._get_load_path())
        return parse_saved(json.loads(path.read_text()), str(path))

    def preview(self) -> JSONPreview:
        """The settings, for kedro-viz."""
        return JSONPreview(Path(self._get_load_path()).read_text())
