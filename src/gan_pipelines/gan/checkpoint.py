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
SEPARATOR = "-epoch-"
"""What precedes the number of the epoch in the name of a state that is kept, and in the version of a milestone."""


class TrainingLocked(ProjectError):
    """Another process runs the same training."""


class CheckpointUnusable(ProjectError):
    """No checkpoint of a training can be used: torn, of another training, or of another format."""


class CheckpointStore:
    """A folder with the newest checkpoints of each training, in a subfolder named by the training's fingerprint.

    States of chosen epochs are kept as well, however many checkpoints come after them.

    Attributes:
        root: the folder. It is created by the first training.
        keep: number of checkpoints kept of each training, 1 or more, without those of chosen epochs.
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

    def keep_epoch(self, fingerprint: str, epoch: int, images_seen: int, state: dict[str, Any]) -> None:
        """Keep the state after an epoch; only the process that has the training open may do so.

        Args:
            fingerprint: fingerprint of the training.
            epoch: number of the epoch.
            images_seen: real images seen since the start.
            state: as `Checkpoints.save` takes it.

        Raises:
            OSError: if it cannot be written.
        """
        _write(self.root / fingerprint / f"{images_seen:012d}{SEPARATOR}{epoch:04d}.pt", fingerprint, state)

    def list_epochs(self, fingerprint: str) -> list[int]:
        """The epochs of a training whose states are kept."""
        return sorted(map(_epoch_of, _list_epochs(self.root / fingerprint)))

    def go_back(self, fingerprint: str, epoch: int) -> None:
        """Delete the checkpoints that are newer than the state of an epoch that is kept.

        Raises:
            ConfigError: if the state of that epoch is not kept.
            CheckpointUnusable: if it cannot be used.
            TrainingLocked: if another process has the training open.
        """
        with self.open(fingerprint) as checkpoints:
            kept = {_epoch_of(path): path for path in _list_epochs(checkpoints.folder)}
            known = ", ".join(map(str, kept)) or "none"
            allowed = (
                f"an epoch whose state is kept of this training: {known}; with other settings it is another training"
            )
            require(epoch in kept, "restart_epoch", epoch, allowed)
            try:
                checkpoints.load(kept[epoch])
            except CheckpointUnusable as error:
                remedy = "Put back a copy, or restart from another epoch that is kept."
                raise CheckpointUnusable(f"{error} {remedy}") from error
            for path in checkpoints.paths:
                if path > kept[epoch]:
                    path.unlink()

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
            _write(self.folder / f"{images_seen:012d}.pt", self._fingerprint, state)
        finally:
            self._next_due = time.monotonic() + self._interval_seconds
        passing = sorted({*self.paths}.difference(_list_epochs(self.folder)))
        for old in passing[: -self._keep]:
            old.unlink()

    def load_newest(self) -> dict[str, Any] | None:
        """Load the newest checkpoint that can be used; None if there are no checkpoints.

        Raises:
            CheckpointUnusable: if there are checkpoints and none can be used.
        """
        for path in reversed(self.paths):
            try:
                return self.load(path)
            except CheckpointUnusable as error:
                logger.warning("%s The one before it is tried.", error)
        if self.paths:
            raise CheckpointUnusable(
                f"None of the checkpoints in {self.folder} can be used, as said above; put back a copy, or start over "
                "with runtime.fresh: true."
            )
        return None

    def load(self, path: Path) -> dict[str, Any]:
        """Load one of the files. Raises `CheckpointUnusable` if it is torn, or of another training or format."""
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


def _list_epochs(folder: Path) -> list[Path]:
    """Those of them that are kept of chosen epochs."""
    return [path for path in _list_checkpoints(folder) if SEPARATOR in path.name]


def _epoch_of(path: Path) -> int:
    return int(path.stem.partition(SEPARATOR)[2])


def _write(path: Path, fingerprint: str, state: dict[str, Any]) -> None:
    with atomic_write(path) as unfinished, unfinished.open("wb") as file:
        torch.save({"format": FORMAT, "fingerprint": fingerprint, "state": state}, file)
