"""Detection of MLflow runs whose process was killed."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path
from typing import Any, ClassVar

from filelock import AcquireReturnProxy, FileLock, Timeout

from gan_pipelines.core.config import ConfigError
from gan_pipelines.core.errors import hide_passwords


class RunningRuns:
    """A folder with a locked file for each open run on this machine.

    The operating system releases a lock when its process ends, however it ends. So a file without a lock belongs to a
    run that was killed. A file holds the address of the run's tracking server.

    Args:
        folder: the folder; it appears with the first run.
    """

    _locks: ClassVar[dict[Path, FileLock]] = {}
    """Locks of this process, shared by all objects: two Kedro sessions in it can use one run."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def begin(self, run_id: str, address: str) -> None:
        """Mark the run as open until `end` or the end of this process.

        Raises:
            ConfigError: if another process has it open.
        """
        self._folder.mkdir(parents=True, exist_ok=True)
        path = self._folder / run_id
        with self._alone():
            if path in self._locks:
                return
            lock = FileLock(path.with_suffix(".lock"))
            try:
                lock.acquire(blocking=False)
            except Timeout as error:
                raise ConfigError(f"The run {run_id} is at work already; wait for its end, or end it.") from error
            self._locks[path] = lock
            path.write_text(hide_passwords(address))

    def touch(self, run_id: str) -> None:
        """Record a sign of life."""
        with suppress(OSError):
            os.utime(self._folder / run_id)

    def end(self, run_id: str) -> None:
        """Remove the run, whose end has been recorded, unless another process has it open."""
        if not self._folder.exists():
            return
        path = self._folder / run_id
        with self._alone():
            if path not in self._locks and self._is_alive(path):
                return
            path.unlink(missing_ok=True)
            path.with_suffix(".lock").unlink(missing_ok=True)
            if path in self._locks:
                self._locks.pop(path).release()

    def killed(self, address: str) -> dict[str, float]:
        """Find the runs of a tracking server that were open when their process ended.

        Returns:
            time of the last sign of life by run id, in seconds since the epoch.
        """
        if not self._folder.exists():
            return {}
        with self._alone():
            return {
                path.name: path.stat().st_mtime
                for path in self._list()
                if hide_passwords(path.read_text()) == hide_passwords(address) and not self._is_alive(path)
            }

    def alive(self) -> list[str]:
        """Find the runs on this machine that are at work, of any tracking server."""
        if not self._folder.exists():
            return []
        with self._alone():
            return [path.name for path in self._list() if self._is_alive(path)]

    def _list(self) -> list[Path]:
        return sorted(path for path in self._folder.iterdir() if not path.suffix)

    def _alone(self) -> AcquireReturnProxy[Any]:
        """Lock the folder against other processes."""
        return FileLock(self._folder / "all.lock").acquire()

    def _is_alive(self, path: Path) -> bool:
        if path in self._locks:
            return True
        try:
            with FileLock(path.with_suffix(".lock")).acquire(blocking=False):
                return False
        except Timeout:
            return True
