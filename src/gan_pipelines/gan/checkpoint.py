"""The last good state of a training, on disk."""

from __future__ import annotations

import math
import os
import time
from pathlib import Path
from typing import Any

import torch


class CheckpointStore:
    """A folder that keeps, for each training, its newest state.

    A state is a nest of dicts, lists, numbers, strings and tensors; no other object is ever unpickled.

    Attributes:
        root: the folder; it appears with the first state.
        min_interval_seconds: no state is due sooner than this after the one before, so that short epochs are not spent
            on writing.
    """

    def __init__(self, root: Path, min_interval_seconds: float = 0.0) -> None:
        self.root = root
        self.min_interval_seconds = min_interval_seconds
        self._next_due = -math.inf

    @property
    def is_due(self) -> bool:
        """Whether the time has come to save again."""
        return time.monotonic() >= self._next_due

    def path(self, fingerprint: str) -> Path:
        """Where the state of a training lies."""
        return self.root / f"{fingerprint}.pt"

    def save(self, fingerprint: str, state: dict[str, Any]) -> None:
        """Replace the state of a training. A kill at any moment leaves the old file or the new one, whole."""
        path = self.path(fingerprint)
        path.parent.mkdir(parents=True, exist_ok=True)
        unfinished = path.with_suffix(f".{os.getpid()}.partial")
        try:
            with unfinished.open("wb") as file:
                torch.save(state, file)
                file.flush()
                os.fsync(file.fileno())
            unfinished.replace(path)
        finally:
            unfinished.unlink(missing_ok=True)
        self._next_due = time.monotonic() + self.min_interval_seconds

    def load(self, fingerprint: str) -> dict[str, Any]:
        """Read the state of a training. Raises `FileNotFoundError` if there is none."""
        state: dict[str, Any] = torch.load(self.path(fingerprint), map_location="cpu", weights_only=True)
        return state
