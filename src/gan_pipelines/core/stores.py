"""Hash-keyed disk cache: one folder for each entry, named by the hash of what it is computed from."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from gan_pipelines.core.files import acquire, atomic_write


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
            with acquire(self.root / f".{key}.lock", "building the same entry"):
                if not entry.exists():
                    with atomic_write(entry) as unfinished:
                        unfinished.mkdir()
                        build(unfinished)
        return entry
