"""The project, its copies, its command line with its costs, and files that runs leave in the catalog's folders."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Sequence
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


def run_measured(command: Sequence[str], folder: Path) -> tuple[float, float, str]:
    """Run a command in a folder (Linux); return its seconds, its peak of resident memory in MiB, and what it prints."""
    started = time.perf_counter()
    with subprocess.Popen(command, cwd=folder, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        printed = process.stdout.read()
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise RuntimeError(f"{' '.join(command)} has failed.")
    return time.perf_counter() - started, usage.ru_maxrss / 1024, printed


def find_newest(project: Path, entry: str) -> Path:
    """Find the file or folder of the newest version of a catalog entry, given by its path below ``data``."""
    return max((project / "data" / entry).glob(f"*/{Path(entry).name}"))
