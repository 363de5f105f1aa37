"""Folders of things that are expensive to make and never change: one subfolder each, named by a hash of its origin."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

from filelock import AcquireReturnProxy, FileLock, Timeout

from gan_pipelines.core.files import atomic_write

logger = logging.getLogger(__name__)


class KeyedStore:
    """Builds each entry once; later calls, in this process or another, find it."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def __contains__(self, key: str) -> bool:
        return (self.root / key).exists()

    def get_or_build(self, key: str, build: Callable[[Path], None]) -> Path:
        """Return the folder of an entry, after ``build`` has filled it if it did not exist.

        An entry appears whole or not at all, whenever the process is killed. Of two processes that want the same one,
        the second waits for the first.
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
        logger.info("Another process is making what this one needs (%s): waiting for it", lock.lock_file)
        return lock.acquire()
