"""The page on adding a variant, done: its changes are applied to a copy of the project, tested, and trained."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pandas as pd

from command_line import ONE_THREAD, kedro

PROJECT = Path(__file__).parents[1]
PAGE = (PROJECT / "docs/adding_a_variant.md").read_text()
SMALL = "variants.smoothed_dcgan.epochs=1,variants.smoothed_dcgan.networks.width=4,dataset.image_size=16"


def test_the_page_adds_a_variant_in_less_than_thirty_lines(tmp_path):
    patch = "".join(re.findall(r"```diff\n(.*?)```", PAGE, re.DOTALL))
    assert 0 < len(re.findall(r"^\+(?!\+\+)", patch, re.MULTILINE)) < 30
    for folder in ("conf", "src", "tests"):
        shutil.copytree(
            PROJECT / folder, tmp_path / folder, ignore=shutil.ignore_patterns("__pycache__", "*.egg-info", "local")
        )
    shutil.copy2(PROJECT / "pyproject.toml", tmp_path)
    (tmp_path / "conf/local").mkdir()
    environment = {**ONE_THREAD, "PYTHONPATH": str(tmp_path / "src")}

    def run(*command, stdin=None):
        subprocess.run(command, cwd=tmp_path, env=environment, input=stdin, text=True, check=True)

    run("git", "init", "--quiet")
    run("git", "apply", "-", stdin=patch)
    run(sys.executable, "-m", "pytest", "-q", "tests/gan/test_objectives.py", "-k", "smoothed or every_objective")
    scoring = "scoring.samples=40,scoring.classifier.epochs=1,scoring.during_training.samples=30"
    kedro(tmp_path, "run", "--pipelines=train_smoothed_dcgan", f"--params={SMALL},{scoring}", env=environment)
    (history,) = tmp_path.glob("data/08_reporting/digits/smoothed_dcgan/history.csv/*/history.csv")
    assert len(pd.read_csv(history)) == 1
