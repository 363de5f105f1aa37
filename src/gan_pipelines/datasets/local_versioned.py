"""Base of the project's versioned datasets on the local disk."""

from __future__ import annotations

from abc import abstractmethod
from pathlib import Path, PurePosixPath
from typing import Any, TypeVar

from kedro.io import AbstractVersionedDataset, Version
from kedro.io.core import VersionNotFoundError

from gan_pipelines.core.files import atomic_write
from gan_pipelines.datasets.local import LocalDataset

Data = TypeVar("Data")


class LocalVersionedDataset(LocalDataset, AbstractVersionedDataset[Data, Data]):
    """Saves to a temporary path and renames: an interrupted save leaves no half-written version."""

    def __init__(
        self, *, filepath: str, version: Version | None = None, metadata: dict[str, Any] | None = None
    ) -> None:
        super().__init__(filepath=PurePosixPath(filepath), version=version)
        self.metadata = metadata

    @abstractmethod
    def write(self, data: Data, path: Path) -> None:
        """Write a file or a folder to a path that does not exist yet."""

    def save(self, data: Data) -> None:
        """Save as a new version; replace the old data if the entry is not versioned."""
        with atomic_write(Path(self._get_save_path())) as unfinished:
            self.write(data, unfinished)

    def _exists(self) -> bool:
        try:
            return Path(self._get_load_path()).exists()
        except VersionNotFoundError:
            return False

    def _describe(self) -> dict[str, Any]:
        return {"filepath": str(self._filepath), "version": self._version}
