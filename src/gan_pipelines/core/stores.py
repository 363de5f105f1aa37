"""Hash-keyed disk cache: one folder for each entry, named by the hash of what it is computed from."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from filelock import AcquireReturnProxy

from gan_pipelines.core.files import acquire, atomic_write, delete


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
        if not _mark_used(entry):
            self.root.mkdir(parents=True, exist_ok=True)
            with self._acquire(key):
                if not entry.exists():
                    with atomic_write(entry) as unfinished:
                        unfinished.mkdir()
                        build(unfinished)
        return entry

    def list_keys(self) -> list[str]:
        """The keys of all entries."""
        return sorted(path.name for path in self.root.glob("[!.]*"))

    def last_used(self, key: str) -> float:
        """Time at which an entry was built or last found, in seconds since the epoch."""
        return (self.root / key).stat().st_mtime

    def discard(self, key: str, unused_since: float) -> bool:
        """Delete an entry, unless it is gone or has been used since a time; return whether it was deleted."""
        with self._acquire(key):
            if key not in self or self.last_used(key) >= unused_since:
                return False
            delete(self.root / key)
        return True

    def _acquire(self, key: str) -> AcquireReturnProxy[Any]:
        return acquire(self.root / f".{key}.lock", "building or deleting the same entry")


def _mark_used(entry: Path) -> bool:
    """Record in the time of an entry's folder that it is used; return whether there is one."""
    try:
        os.utime(entry)
    except FileNotFoundError:
        return False
    except OSError:  # the store of another user, or a disk that is read-only
        pass
    return True
