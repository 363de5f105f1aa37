"""The real command line, in a copy of the project, with budgets that finish in seconds."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import processes
from processes import ONE_THREAD

PROJECT = Path(__file__).parents[1]
KEDRO = Path(sys.executable).with_name("kedro")


def small(variant, epochs):
    """Parameters, as --params takes them, of runs that are as short as they can be."""
    return ",".join(
        [
            f"variants.{variant}.epochs={epochs}",
            f"variants.{variant}.networks.width=4",
            "dataset.image_size=16",
            "scoring.samples=40",
            "scoring.during_training.samples=30",
            "scoring.during_training.every_epochs=2",
            "scoring.classifier.epochs=1",
            "scoring.classifier.batch_size=256",
            "reporting.grid_every_epochs=2",
            "augmentation.replicates=2",
            "augmentation.generator_epochs=1",
            "augmentation.classifier.epochs=1",
            "augmentation.classifier.batch_size=128",
            "augmentation.classifier.learning_rates=0.02;0.05",
        ]
    )


def cold_kedro(folder, *arguments, code=0, env=ONE_THREAD):
    """Run the console script, which imports everything anew."""
    result = subprocess.run([KEDRO, *arguments], cwd=folder, env=env, capture_output=True, text=True, check=False)
    return check(result, code)


def kedro(folder, *arguments, code=0, env=ONE_THREAD):
    """Run the console script in a process that has PyTorch and MLflow loaded."""
    return check(processes.run(KEDRO, *arguments, folder=folder, env=env), code)


def check(result, code):
    command = " ".join(map(str, result.args))
    assert result.returncode == code, f"{command}\n{result.stdout}{result.stderr}"
    return result


def git(folder, *arguments):
    return subprocess.run(["git", *arguments], cwd=folder, capture_output=True, text=True, check=True).stdout.strip()


def copy_project(copy):
    """Copy the project as git would clone it: no data, no runs."""
    for name in git(PROJECT, "ls-files").splitlines():
        if not name.startswith(("tests/", "docs/")):
            (copy / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(PROJECT / name, copy / name)
    git(copy, "init", "--quiet")
    git(copy, "add", ".")
    git(copy, "-c", "user.name=Nobody", "-c", "user.email=nobody@localhost", "commit", "--quiet", "--message=A copy")
    return copy


def latest(project, entry):
    """The file or folder of the newest version of a catalog entry."""
    return max((project / "data" / entry).glob(f"*/{Path(entry).name}"))
