"""The real command line, in a copy of the project, with budgets that finish in seconds."""

from __future__ import annotations

import atexit
import json
import os
import shutil
import subprocess
import sys
import tempfile
from functools import cache
from pathlib import Path

PROJECT = Path(__file__).parents[1]
KEDRO = Path(sys.executable).with_name("kedro")
ONE_THREAD = {**os.environ, "OMP_NUM_THREADS": "1"}  # their number changes the last bits


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
            "augmentation.classifier.batch_size=64",
        ]
    )


def cold_kedro(folder, *arguments, code=0, env=ONE_THREAD):
    """Run the console script, which imports everything anew."""
    result = subprocess.run([KEDRO, *arguments], cwd=folder, env=env, capture_output=True, text=True, check=False)
    return check(result, code)


def kedro(folder, *arguments, code=0, env=ONE_THREAD):
    """Run the same as the console script in a process that has PyTorch and MLflow loaded: see warm_kedro."""
    with tempfile.TemporaryDirectory() as scratch:
        printed = [Path(scratch) / name for name in ("stdout", "stderr")]
        request = {
            "script": str(KEDRO),
            "arguments": arguments,
            "folder": str(folder),
            "env": env,
            "stdout": str(printed[0]),
            "stderr": str(printed[1]),
        }
        server = warm_kedro()
        print(json.dumps(request), file=server.stdin, flush=True)
        ended = int(server.stdout.readline())
        result = subprocess.CompletedProcess([KEDRO, *arguments], ended, *(path.read_text() for path in printed))
    return check(result, code)


def check(result, code):
    command = " ".join(map(str, result.args))
    assert result.returncode == code, f"{command}\n{result.stdout}{result.stderr}"
    return result


@cache
def warm_kedro():
    """One such process for all tests; it ends when its stdin does."""
    command = [sys.executable, Path(__file__).with_name("warm_kedro.py")]
    server = subprocess.Popen(command, env=ONE_THREAD, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    atexit.register(server.communicate)
    assert server.stdout.readline() == "ready\n"
    return server


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
