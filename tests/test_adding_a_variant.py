"""The page on adding a variant, done: its changes are applied to a copy of the project, tested, and trained."""

from __future__ import annotations

import re
import shutil
import sys
from pathlib import Path

import pandas as pd

import processes
from command_line import check, git, kedro, small
from processes import ONE_THREAD

PYTEST = Path(sys.executable).with_name("pytest")
PROJECT = Path(__file__).parents[1]
PAGE = (PROJECT / "docs/adding_a_variant.md").read_text()


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

    (tmp_path / "page.patch").write_text(patch)
    git(tmp_path, "init", "--quiet")
    git(tmp_path, "apply", "page.patch")
    selected = ["tests/gan/test_objectives.py", "-k", "smoothed or every_objective"]
    check(processes.run(PYTEST, "-q", *selected, folder=tmp_path, env=environment), 0)
    budget = small("smoothed_dcgan", epochs=1)
    kedro(tmp_path, "run", "--pipelines=train_smoothed_dcgan", f"--params={budget}", env=environment)
    (history,) = tmp_path.glob("data/08_reporting/digits/smoothed_dcgan/history.csv/*/history.csv")
    assert len(pd.read_csv(history)) == 1
