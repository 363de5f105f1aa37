"""What the README says, done."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

PROJECT = Path(__file__).parents[1]
README = (PROJECT / "README.md").read_text()


def test_the_example_without_kedro_runs(tmp_path):
    (code,) = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
    assert len([line for line in code.splitlines() if line]) < 15
    check = "import sys; assert not {'kedro', 'mlflow'} & set(sys.modules); print(tuple(samples.shape))"
    printed = subprocess.run(
        [sys.executable, "-c", f"{code}\n{check}"], cwd=tmp_path, capture_output=True, text=True, check=True
    ).stdout
    assert printed.splitlines()[-1] == "(64, 1, 8, 8)"
    assert (tmp_path / "generator.safetensors").is_file()


def test_nothing_is_left_to_fill_in():
    assert not re.findall(r"@[A-Z_]+@|TODO", README)


def test_the_files_that_it_names_exist():
    for path in re.findall(r"`((?:src|conf|benchmarks)/[^`<]*)`", README):
        assert (PROJECT / path).exists(), path
