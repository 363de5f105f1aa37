"""Check of free disk space before a run."""

from __future__ import annotations

import shutil
from collections import Counter
from collections.abc import Mapping
from pathlib import Path

from gan_pipelines.core.errors import ProjectError


class DiskFull(ProjectError):
    """A disk with less free space than the run needs."""


def require_space(needs: Mapping[Path, int]) -> None:
    """Raise `DiskFull` if the disks of folders have fewer free bytes than these need; they need not exist yet."""
    wanted: Counter[int] = Counter()
    for folder, needed in needs.items():
        existing = next(parent for parent in (folder, *folder.absolute().parents) if parent.exists())
        disk = existing.stat().st_dev
        wanted[disk] += needed
        free = shutil.disk_usage(existing).free
        if wanted[disk] > free:
            raise DiskFull(
                f"The disk of {folder} has {free / 2**20:,.0f} MiB free, but about {wanted[disk] / 2**20:,.0f} MiB are "
                "needed; free some space."
            )
