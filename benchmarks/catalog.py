"""The project, its copies, its command line, and files that runs leave in the catalog's folders."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

PROJECT = Path(__file__).parents[1]
KEDRO = Path(sys.executable).with_name("kedro")
"""Kedro's command."""


def copy_files(copy: Path) -> Path:
    """Copy the project's files to a folder, without data and runs; return the folder."""
    listed = subprocess.run(["git", "ls-files"], cwd=PROJECT, capture_output=True, text=True, check=True).stdout
    for name in listed.splitlines():
        (copy / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(PROJECT / name, copy / name)
    return copy


def find_newest(project: Path, entry: str) -> Path:
    """Find the file or folder of the newest version of a catalog entry, given by its path below ``data``."""
    return max((project / "data" / entry).glob(f"*/{Path(entry).name}"))
