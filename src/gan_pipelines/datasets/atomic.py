"""Kedro's own datasets with atomic saves."""

from __future__ import annotations

from pathlib import Path, PurePosixPath
from typing import Any

from kedro_datasets import json, matplotlib, pandas, text

from gan_pipelines.core.files import atomic_write
from gan_pipelines.datasets.local import LocalDataset


class AtomicSave(LocalDataset):
    """Mixin for a versioned dataset of one local file: an interrupted save leaves no half-written version."""

    def save(self: Any, data: Any) -> None:
        """Save to a temporary path, then rename."""
        with atomic_write(Path(self._get_save_path())) as unfinished:
            elsewhere = self._copy(_filepath=PurePosixPath(unfinished), _version=None)
            super(AtomicSave, elsewhere).save(data)  # type: ignore[misc]


class JSONDataset(AtomicSave, json.JSONDataset):
    """Kedro's ``json.JSONDataset``, with the same arguments."""


class CSVDataset(AtomicSave, pandas.CSVDataset):
    """Kedro's ``pandas.CSVDataset``, with the same arguments."""


class MatplotlibDataset(AtomicSave, matplotlib.MatplotlibDataset):
    """Kedro's ``matplotlib.MatplotlibDataset`` of a single figure, with the same arguments."""


class TextDataset(AtomicSave, text.TextDataset):
    """Kedro's ``text.TextDataset``, with the same arguments."""
