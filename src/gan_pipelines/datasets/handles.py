"""Datasets that load to a handle, such as a store, which a node reads from and writes to while it runs.

Nodes stay free of paths even where a plain dataset does not suffice: a store has many entries, keyed by a hash of their
inputs, and metrics are logged before a node ends.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Generic, Never, TypeVar

from kedro.io import AbstractDataset, DatasetError

from gan_pipelines.core.stores import KeyedStore
from gan_pipelines.datasets.local import LocalDataset
from gan_pipelines.gan.checkpoint import CheckpointStore
from gan_pipelines.gan.milestones import MilestoneStore
from gan_pipelines.tracking import MlflowTracker

Handle = TypeVar("Handle")


class HandleDataset(AbstractDataset[Never, Handle], Generic[Handle]):
    """Base of the datasets that are inputs only."""

    def __init__(self, *, metadata: dict[str, Any] | None = None) -> None:
        self.metadata = metadata

    def save(self, data: Never) -> Never:
        """Raise a `DatasetError`: nodes write through the handle."""
        raise DatasetError(f"{type(self).__name__} is an input only: nodes write through what it loads.")


class FolderHandleDataset(LocalDataset, HandleDataset[Handle]):
    """Base of the handles on a local folder, which is created when something is written to it."""

    def __init__(self, *, filepath: str, metadata: dict[str, Any] | None = None) -> None:
        super().__init__(metadata=metadata)
        self._filepath = Path(filepath)

    def _describe(self) -> dict[str, Any]:
        return {"filepath": str(self._filepath)}


class KeyedStoreDataset(FolderHandleDataset[KeyedStore]):
    """Loads to a `KeyedStore`.

    Example in the catalog::

        image_sets:
          type: gan_pipelines.datasets.KeyedStoreDataset
          filepath: data/02_intermediate/image_sets
    """

    def load(self) -> KeyedStore:
        """Return the store."""
        return KeyedStore(self._filepath)


class CheckpointStoreDataset(FolderHandleDataset[CheckpointStore]):
    """Loads to a `CheckpointStore`.

    Example in the catalog::

        "{variant}.checkpoints":
          type: gan_pipelines.datasets.CheckpointStoreDataset
          filepath: data/06_models/{variant}/checkpoints
          keep: 2
          interval_seconds: 30
    """

    def __init__(
        self,
        *,
        filepath: str,
        keep: int = 2,
        interval_seconds: float = 30.0,
        metadata: dict[str, Any] | None = None,
    ) -> None:
        super().__init__(filepath=filepath, metadata=metadata)
        self._keep = keep
        self._interval_seconds = interval_seconds

    def load(self) -> CheckpointStore:
        """Return the store."""
        return CheckpointStore(self._filepath, self._keep, self._interval_seconds)


class MilestoneStoreDataset(FolderHandleDataset[MilestoneStore]):
    """Loads to a `MilestoneStore`, whose milestones are versions of the `GeneratorDataset` with the same path.

    Example in the catalog::

        "{variant}.milestones":
          type: gan_pipelines.datasets.MilestoneStoreDataset
          filepath: data/06_models/{variant}/generator.safetensors
    """

    def load(self) -> MilestoneStore:
        """Return the store."""
        return MilestoneStore(self._filepath)


class TrackerDataset(FolderHandleDataset[MlflowTracker]):
    """Loads to the `MlflowTracker` of the run, the same object each time.

    Example in the catalog::

        tracker:
          type: gan_pipelines.datasets.TrackerDataset
          filepath: mlruns
    """

    def __init__(self, *, filepath: str, metadata: dict[str, Any] | None = None) -> None:
        super().__init__(filepath=filepath, metadata=metadata)
        self._tracker = MlflowTracker(self._filepath)

    def load(self) -> MlflowTracker:
        """Return the tracker."""
        return self._tracker
