"""Hash-keyed disk cache: one folder for each entry, named by the hash of what it is computed from."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

from filelock import AcquireReturnProxy, FileLock, Timeout

from gan_pipelines.core.files import atomic_write

logger = logging.getLogger(__name__)


class KeyedStore:
    """A folder of entries, each built once and then found by every process.

    Attributes:
        root: the folder; it appears with the first entry.
    """

    def __init__(self, root: Path) -> None:
        self.root = root

    def __contains__(self, key: str) -> bool:
        return (self.root / key).exists()

    def get_or_build(self, key: str, build: Callable[[Path], None]) -> Path:
        """Return the folder of an entry; if it does not exist, ``build`` fills it first.

        An entry is complete or absent, even if the process is killed. If two processes need the same entry, the second
        waits for the first.
        """
        entry = self.root / key
        if not entry.exists():
            self.root.mkdir(parents=True, exist_ok=True)
            with _acquire(FileLock(self.root / f".{key}.lock")):
                if not entry.exists():
                    with atomic_write(entry) as unfinished:
                        unfinished.mkdir()
                        build(unfinished)
        return entry


def _acquire(lock: FileLock) -> AcquireReturnProxy[Any]:
    try:
        return lock.acquire(blocking=False)
    except Timeout:
        logger.info("Waiting for another process that is building the same entry (%s)", lock.lock_file)
        return lock.acquire()
