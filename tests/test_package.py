"""The package as `kedro package` builds it, in an environment of its own, far from the project."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import sysconfig
import venv

import pytest

from command_line import copy_project

PIP = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check"]


def call(*command, **options):
    result = subprocess.run([*map(str, command)], capture_output=True, text=True, check=False, **options)
    assert result.returncode == 0, f"{command}\n{result.stdout}{result.stderr}"
    return result.stdout + result.stderr


@pytest.fixture
def installed(tmp_path):
    """The Python of a fresh environment with the wheel, beside the libraries of this one."""
    project = copy_project(tmp_path / "project")
    wheels = tmp_path / "wheels"
    call(*PIP, "wheel", "--no-deps", "--no-build-isolation", f"--wheel-dir={wheels}", project)
    venv.create(tmp_path / "fresh", with_pip=False, symlinks=True)
    python = tmp_path / "fresh/bin/python"
    (packages,) = (tmp_path / "fresh/lib").glob("*/site-packages")
    (packages / "libraries.pth").write_text(sysconfig.get_path("purelib"))
    # Beside the libraries is the package that these tests run, which counts as installed.
    call(*PIP, f"--python={python}", "install", "--no-deps", "--no-index", "--ignore-installed", *wheels.iterdir())
    return python


@pytest.mark.integration
def test_the_package_runs_in_a_folder_with_nothing_but_conf(installed, tmp_path):
    work = tmp_path / "work"
    work.mkdir()
    (tmp_path / "project/conf").rename(work / "conf")
    before = {*installed.parents[1].rglob("*")}
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": str(tmp_path / "home"),
        "OMP_NUM_THREADS": "1",
        "DO_NOT_TRACK": "1",
        "PYTHONDONTWRITEBYTECODE": "1",
    }
    arguments = ["-m", "gan_pipelines", "--pipelines=ingest", "--params=dataset.image_size=8"]
    printed = call(installed, *arguments, cwd=work, env=environment)
    assert "Running node: prepare_images" in printed
    (manifest,) = work.glob("data/08_reporting/digits/manifest.json/*/manifest.json")
    assert json.loads(manifest.read_text())["split_sizes"] == {"train": 1257, "test": 360, "valid": 180}
    assert (work / "mlruns/mlflow.db").is_file()
    assert [*(work / "mlruns/artifacts/digits").rglob("manifest.json")]
    assert {*installed.parents[1].rglob("*")} == before
    assert {path.name for path in tmp_path.iterdir()} == {"project", "wheels", "fresh", "work", "home"}
    assert (next(installed.parents[1].rglob("gan_pipelines")) / "py.typed").is_file()
