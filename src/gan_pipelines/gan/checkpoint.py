"""The newest states of trainings, on disk."""

from __future__ import annotations

import logging
import time
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from filelock import FileLock, Timeout

from gan_pipelines.core.config import require
from gan_pipelines.core.errors import ProjectError
from gan_pipelines.core.files import atomic_write

logger = logging.getLogger(__name__)

FORMAT = 5
"""Written into every file: raise it when a state gets another layout."""


class TrainingLocked(ProjectError):
    """Another process is at work on the same training."""


class CheckpointUnusable(ProjectError):
    """A file that is not a whole state of the training in question."""


class CheckpointStore:
    """A folder that holds the newest states of each training in a subfolder named by its fingerprint.

    Attributes:
        root: the folder; it appears with the first training.
        keep: number of states kept of each training.
        interval_seconds: time between two states.
    """

    def __init__(self, root: Path, keep: int = 2, interval_seconds: float = 30.0) -> None:
        require(keep >= 1, "keep", keep, "1 or more")
        require(interval_seconds >= 0, "interval_seconds", interval_seconds, "0 or more")
        self.root = root
        self.keep = keep
        self.interval_seconds = interval_seconds

    @contextmanager
    def open(self, fingerprint: str) -> Iterator[Checkpoints]:
        """Open the states of one training, for this process alone.

        Raises:
            TrainingLocked: if another process has them open.
        """
        folder = self.root / fingerprint
        folder.mkdir(parents=True, exist_ok=True)
        try:
            lock = FileLock(folder / "lock").acquire(blocking=False)
        except Timeout as error:
            raise TrainingLocked(
                f"Another process is at work on this very training (it holds {folder}); wait for its end, or change a "
                "setting or the seed."
            ) from error
        with lock:
            for leftover in folder.glob(".unfinished-*"):  # of a process that was killed
                leftover.unlink()
            yield Checkpoints(folder, fingerprint, self.keep, self.interval_seconds)

    def discard(self, fingerprint: str) -> None:
        """Remove the states of one training. Raises `TrainingLocked` as `open` does."""
        with self.open(fingerprint) as kept:
            for path in kept.paths:
                path.unlink()


class Checkpoints:
    """The states of one training, oldest first; no other process touches them meanwhile.

    A state is a nest of dicts, lists, numbers, strings and tensors; no other object is ever unpickled.
    """

    def __init__(self, folder: Path, fingerprint: str, keep: int, interval_seconds: float) -> None:
        self.folder = folder
        self._fingerprint = fingerprint
        self._keep = keep
        self._interval_seconds = interval_seconds
        self._next_due = time.monotonic() + interval_seconds

    @property
    def paths(self) -> list[Path]:
        """The files, oldest first."""
        return sorted(self.folder.glob("[0-9]*.pt"))

    @property
    def is_due(self) -> bool:
        """Whether the time has come to save again."""
        return time.monotonic() >= self._next_due

    def save(self, images_seen: int, state: dict[str, Any]) -> None:
        """Write the state after so many images, and remove the oldest beyond those to keep.

        A kill or an error at any moment leaves the states that there were.

        Raises:
            OSError: if it cannot be written, for instance because the disk is full.
        """
        try:
            with atomic_write(self.folder / f"{images_seen:012d}.pt") as unfinished, unfinished.open("wb") as file:
                torch.save({"format": FORMAT, "fingerprint": self._fingerprint, "state": state}, file)
        finally:
            self._next_due = time.monotonic() + self._interval_seconds
        for old in self.paths[: -self._keep]:
            old.unlink()

    def load_newest(self) -> dict[str, Any] | None:
        """Read the newest state that can be read; None if there are no files.

        Raises:
            CheckpointUnusable: if there are files and none can be used.
        """
        for path in reversed(self.paths):
            try:
                return self._load(path)
            except CheckpointUnusable as error:
                logger.warning("%s The one before it is tried.", error)
        if self.paths:
            raise CheckpointUnusable(
                f"None of the checkpoints in {self.folder} can be used, as said above; put back a copy, or start over "
                "with runtime.fresh: true."
            )
        return None

    def _load(self, path: Path) -> dict[str, Any]:
        try:
            with zipfile.ZipFile(path) as archive:
                if archive.testzip() is not None:  # PyTorch does not look at the checksums
                    raise zipfile.BadZipFile
            content = torch.load(path, map_location="cpu", weights_only=True)
            found = (content["format"], content["fingerprint"])
        except OSError as error:
            raise CheckpointUnusable(f"{path} cannot be read ({error.strerror}).") from error
        except Exception as error:  # whatever a torn or foreign file comes up with
            raise CheckpointUnusable(f"{path} is torn, or no checkpoint.") from error
        if found[0] != FORMAT:
            raise CheckpointUnusable(f"{path} has format {found[0]}, but this version of the project reads {FORMAT}.")
        if found[1] != self._fingerprint:
            raise CheckpointUnusable(f"{path} belongs to another training.")
        state: dict[str, Any] = content["state"]
        return state
