"""Folders of things that are expensive to make and never change: one subfolder each, named by a hash of its origin."""

from __future__ import annotations

import shutil
import uuid
from collections.abc import Callable
from pathlib import Path


class KeyedStore:
    """Builds each entry once; later calls, in this process or another, find it."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def get_or_build(self, key: str, build: Callable[[Path], None]) -> Path:
        """Return the folder of an entry, after ``build`` has filled it if it did not exist.

        An entry appears whole or not at all, whenever the process is killed; if two processes build the same one, the
        first to finish wins.
        """
        entry = self.root / key
        if entry.exists():
            return entry
        unfinished = self.root / f".{key}-{uuid.uuid4().hex}"
        unfinished.mkdir(parents=True)
        try:
            build(unfinished)
            unfinished.rename(entry)
        except OSError:
            if not entry.exists():
                raise
        finally:
            shutil.rmtree(unfinished, ignore_errors=True)
        return entry
