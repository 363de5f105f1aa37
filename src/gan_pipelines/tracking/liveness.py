"""Which runs are under way on this machine, also after one was killed."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path
from typing import Any, ClassVar

from filelock import AcquireReturnProxy, FileLock, Timeout


class RunningRuns:
    """A folder with a locked file for each run that is under way.

    The system releases the lock of a process however it ends: a file without a lock is a run that was killed. A file
    holds the address of the MLflow that knows the run.

    Args:
        folder: it appears with the first run.
    """

    _locks: ClassVar[dict[Path, FileLock]] = {}
    """Of this process; two sessions in it may follow the same run."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def begin(self, run_id: str, address: str) -> None:
        """From now on, and until this process ends, the run is under way."""
        self._folder.mkdir(parents=True, exist_ok=True)
        path = self._folder / run_id
        with self._alone():
            if path not in self._locks:
                self._locks[path] = FileLock(path.with_suffix(".lock"))
                self._locks[path].acquire()
                path.write_text(address)

    def touch(self, run_id: str) -> None:
        """Note that the run is alive."""
        with suppress(OSError):
            os.utime(self._folder / run_id)

    def end(self, run_id: str) -> None:
        """The run is over, and its end is noted elsewhere."""
        path = self._folder / run_id
        path.unlink(missing_ok=True)
        path.with_suffix(".lock").unlink(missing_ok=True)
        if path in self._locks:
            self._locks.pop(path).release()

    def killed(self, address: str) -> dict[str, float]:
        """Runs, known to this MLflow, that were under way when their process ended.

        Returns:
            for each the time of its last sign of life, in seconds since the epoch.
        """
        if not self._folder.exists():
            return {}
        with self._alone():
            paths = [path for path in self._folder.iterdir() if not path.suffix]
            return {
                path.name: path.stat().st_mtime
                for path in sorted(paths)
                if path not in self._locks and path.read_text() == address and self._is_free(path)
            }

    def _alone(self) -> AcquireReturnProxy[Any]:
        """Keep other processes out of the folder for a moment."""
        return FileLock(self._folder / "all.lock").acquire()

    def _is_free(self, path: Path) -> bool:
        try:
            with FileLock(path.with_suffix(".lock")).acquire(blocking=False):
                return True
        except Timeout:
            return False
