"""Run three variants with five seeds on the digits, and keep the tables of the comparison.

    python benchmarks/sweep.py OUT

Runs one `kedro sweep` in a copy of the project. OUT/sweep_scores.csv has the score of each variant, and
OUT/sweep_comparisons.csv which of two is better.
"""

from __future__ import annotations

import argparse
import subprocess
from datetime import date
from pathlib import Path

import pandas as pd

from catalog import KEDRO, find_newest
from kill_and_resume import copy_project

SWEEP = ["sweep", "--pipelines=train_cdcgan,train_acgan,train_wgan_gp", "--seeds=0-4"]
TABLES = {"sweep_scores": "score_table", "sweep_comparisons": "recipe_comparisons"}
"""Entries of the catalog by the names of the files that are kept."""


def main() -> None:
    """Run the sweep, and copy its tables with the date."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path)
    out = parser.parse_args().out
    project = copy_project()
    subprocess.run([KEDRO, *SWEEP], cwd=project, check=True)
    keep_tables(project, out)


def keep_tables(project: Path, out: Path) -> None:
    """Copy the tables of the newest comparison of a project."""
    for name, entry in TABLES.items():
        table = pd.read_csv(find_newest(project, f"08_reporting/digits/{entry}.csv"), dtype=str)
        table.insert(0, "measured", date.today())
        table.to_csv(out / f"{name}.csv", index=False)


if __name__ == "__main__":
    main()
