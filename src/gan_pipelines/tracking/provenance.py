"""The code and the packages from which the results of a run come."""

from __future__ import annotations

import platform
import subprocess
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import NamedTuple

PACKAGES = ("torch", "torchvision", "torch-fidelity", "numpy", "scipy", "scikit-learn", "pandas", "pillow")
"""Packages with which results can change."""
OPTIONAL_PACKAGES = ("timm",)
"""Others, of extras: named if they are installed."""
COMMIT_TAG, DIRTY_TAG, VERSIONS_TAG = "mlflow.source.git.commit", "git_dirty", "versions"


class Commit(NamedTuple):
    """The git commit of a project.

    Attributes:
        hash: of the commit.
        is_dirty: whether files have changed since.
    """

    hash: str
    is_dirty: bool


def find_commit(project_path: Path) -> Commit | None:
    """Find the commit of a project; None if it has none."""
    command = ["git", "-C", str(project_path), "describe", "--always", "--dirty", "--abbrev=40", "--exclude=*"]
    try:
        commit = subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return None
    return Commit(commit.removesuffix("-dirty"), commit.endswith("-dirty"))


def list_versions() -> str:
    """List the versions of Python and of the packages with which results can change: ``python 3.12.1, torch 2.11``."""
    packages = (*PACKAGES, *filter(_is_installed, OPTIONAL_PACKAGES))
    return ", ".join([f"python {platform.python_version()}", *(f"{name} {version(name)}" for name in packages)])


def _is_installed(package: str) -> bool:
    try:
        version(package)
    except PackageNotFoundError:
        return False
    return True
