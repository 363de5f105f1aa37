"""Which runs are under way on this machine, also after one was killed."""

from __future__ import annotations

import os
from pathlib import Path

from filelock import FileLock, Timeout


class RunningRuns:
    """A folder with a locked file for each run that is under way.

    The system releases the lock of a process however it ends: a file without a lock is a run that was killed.

    Args:
        folder: it appears with the first run.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._locks: dict[str, FileLock] = {}

    def begin(self, run_id: str) -> None:
        """From now on, and until this process ends, the run is under way."""
        self._folder.mkdir(parents=True, exist_ok=True)
        self._locks[run_id] = FileLock(self._folder / run_id)
        self._locks[run_id].acquire()

    def touch(self, run_id: str) -> None:
        """Note that the run is alive."""
        os.utime(self._folder / run_id)

    def end(self, run_id: str) -> None:
        """The run is over, and its end is noted elsewhere."""
        (self._folder / run_id).unlink(missing_ok=True)
        if run_id in self._locks:
            self._locks.pop(run_id).release()

    def killed(self) -> dict[str, float]:
        """Runs that were under way when their process ended, with the time of their last sign of life.

        In seconds since the epoch.
        """
        found = {}
        for path in sorted(self._folder.glob("*")):
            seen = path.stat().st_mtime
            try:
                with FileLock(path).acquire(blocking=False):
                    found[path.name] = seen
            except Timeout:
                continue
        return found
