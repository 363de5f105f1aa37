"""Checkpoints of trainings on disk."""

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

FORMAT = 6
"""Version of the layout of a checkpoint, written into every file. Raise it when the layout changes."""


class TrainingLocked(ProjectError):
    """Another process runs the same training."""


class CheckpointUnusable(ProjectError):
    """No checkpoint of a training can be used: torn, of another training, or of another format."""


class CheckpointStore:
    """A folder with the newest checkpoints of each training, in a subfolder named by the training's fingerprint.

    Attributes:
        root: the folder. It is created by the first training.
        keep: number of checkpoints kept of each training, 1 or more.
        interval_seconds: time between two checkpoints.
    """

    def __init__(self, root: Path, keep: int = 2, interval_seconds: float = 30.0) -> None:
        require(keep >= 1, "keep", keep, "1 or more")
        require(interval_seconds >= 0, "interval_seconds", interval_seconds, "0 or more")
        self.root = root
        self.keep = keep
        self.interval_seconds = interval_seconds

    @contextmanager
    def open(self, fingerprint: str) -> Iterator[Checkpoints]:
        """Open the checkpoints of one training. Until the block ends, no other process can.

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
            for leftover in folder.glob(".unfinished-*"):  # left by a process that was killed
                leftover.unlink()
            yield Checkpoints(folder, fingerprint, self.keep, self.interval_seconds)

    def list_trainings(self) -> dict[str, float]:
        """Time of the newest checkpoint of each training that has one, in seconds since the epoch."""
        folders = [folder for folder in self.root.glob("[!.]*") if folder.is_dir()]
        paths = {folder.name: _list_checkpoints(folder) for folder in sorted(folders)}
        return {fingerprint: found[-1].stat().st_mtime for fingerprint, found in paths.items() if found}

    def discard(self, fingerprint: str) -> None:
        """Delete the checkpoints of one training, the newest last.

        Raises:
            TrainingLocked: if another process has them open.
        """
        with self.open(fingerprint) as checkpoints:
            for path in checkpoints.paths:
                path.unlink()


class Checkpoints:
    """The checkpoints of one training; `CheckpointStore.open` makes them.

    A state consists of dicts, lists, numbers, strings and tensors. A file with any other object is refused, so loading
    a checkpoint runs no code.
    """

    def __init__(self, folder: Path, fingerprint: str, keep: int, interval_seconds: float) -> None:
        self.folder = folder
        self._fingerprint = fingerprint
        self._keep = keep
        self._interval_seconds = interval_seconds
        self._next_due = time.monotonic() + interval_seconds

    @property
    def paths(self) -> list[Path]:
        """The files, from oldest to newest."""
        return _list_checkpoints(self.folder)

    @property
    def is_due(self) -> bool:
        """Whether the interval since the last checkpoint has passed."""
        return time.monotonic() >= self._next_due

    def save(self, images_seen: int, state: dict[str, Any]) -> None:
        """Write a checkpoint, then delete the oldest beyond the number to keep.

        If this fails or the process is killed, the earlier checkpoints stay.

        Args:
            images_seen: real images seen since the start, which name the file.
            state: what to save.

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
        """Load the newest checkpoint that can be used; None if there are no checkpoints.

        Raises:
            CheckpointUnusable: if there are checkpoints and none can be used.
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
                if archive.testzip() is not None:  # PyTorch does not check the checksums
                    raise zipfile.BadZipFile
            content = torch.load(path, map_location="cpu", weights_only=True)
            found = (content["format"], content["fingerprint"])
        except OSError as error:
            raise CheckpointUnusable(f"{path} cannot be read ({error.strerror}).") from error
        except Exception as error:  # a torn or foreign file can raise anything
            raise CheckpointUnusable(f"{path} is torn, or no checkpoint.") from error
        if found[0] != FORMAT:
            raise CheckpointUnusable(f"{path} has format {found[0]}, but this version of the project reads {FORMAT}.")
        if found[1] != self._fingerprint:
            raise CheckpointUnusable(f"{path} belongs to another training.")
        state: dict[str, Any] = content["state"]
        return state


def _list_checkpoints(folder: Path) -> list[Path]:
    """The files of a training, from oldest to newest."""
    return sorted(folder.glob("[0-9]*.pt"))
