"""Run the augmentation experiment on the digits, and copy its tables and figures.

    python benchmarks/augmentation.py OUT

OUT gets digits_<table>.csv, digits_verdicts.json, digits_arms.png and digits_curves.png.
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
from pathlib import Path

from catalog import KEDRO, PROJECT, find_newest

ENTRIES = {
    "arm_scores.csv": "arm_scores.csv",
    "comparisons.csv": "comparisons.csv",
    "class_comparisons.csv": "class_comparisons.csv",
    "simple_scores.csv": "simple_scores.csv",
    "verdicts.json": "verdicts.json",
    "arms_figure.png": "arms.png",
    "arm_curves.png": "curves.png",
}
"""Files of the catalog, and what they are called in OUT, after ``digits_``."""


def main() -> None:
    """Run the experiment, and copy what it has left."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path)
    out = parser.parse_args().out
    out.mkdir(parents=True, exist_ok=True)
    subprocess.run([KEDRO, "run"], cwd=PROJECT, check=True)
    copy_results(PROJECT, out)


def copy_results(project: Path, out: Path) -> None:
    """Copy the newest version of each entry."""
    for entry, name in ENTRIES.items():
        shutil.copyfile(find_newest(project, f"08_reporting/digits/cdcgan/{entry}"), out / f"digits_{name}")


if __name__ == "__main__":
    main()
