"""Files that runs leave in the catalog's folders."""

from __future__ import annotations

from pathlib import Path

PROJECT = Path(__file__).parents[1]


def find_newest(project: Path, entry: str) -> Path:
    """Find the file or folder of the newest version of a catalog entry, given by its path below ``data``."""
    return max((project / "data" / entry).glob(f"*/{Path(entry).name}"))
