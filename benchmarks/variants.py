"""Write a table of all variants on the digits: parameters, speed, scores, samples.

    python benchmarks/variants.py docs/results

Runs ``train_<variant>`` for each variant, which takes minutes, or seconds if it was trained before. Writes
FOLDER/variants.md and a grid of samples for each variant.
"""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import sys
from pathlib import Path

import pandas as pd

from gan_pipelines.gan.variants import VARIANTS

DATA = Path(__file__).parents[1] / "data"
HEADER = """# Every variant on the digits

Written by `make table`. Speed: real images per second that the discriminator sees, median over the epochs, on the
machine that ran it. FID and Inception Score: {samples:,} samples of the averaged generator against the train split, by
{extractor} with {accuracy:.1%} of held-out images right; one seed each.

The settings of `conf/base` were chosen by hand until the digits were legible, and not tuned for the scores: two rows
differ in settings as well as in methods. `dcgan` scores badly because of its grey background, which affects the
features more than the eye; `wgan` because of shapes between two digits.

| variant | generator | discriminator | epochs | images/s | FID | FID, raw weights | IS | samples |
|---|---:|---:|---:|---:|---:|---:|---:|---|
"""


def main() -> None:
    """Train all variants and write the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    folder = parser.parse_args().folder
    folder.mkdir(parents=True, exist_ok=True)
    kedro = Path(sys.executable).with_name("kedro")
    rows = []
    for variant in VARIANTS:
        subprocess.run([kedro, "run", f"--pipelines=train_{variant}"], cwd=DATA.parent, check=True)
        rows.append(describe(variant, folder))
    scores = json.loads(find_newest("08_reporting", "wgan_gp", "scores.json").read_text())[0]
    header = HEADER.format(
        samples=scores["comparability"]["samples"],
        extractor=scores["comparability"]["extractor"],
        accuracy=scores["extractor"]["heldout_accuracy"],
    )
    (folder / "variants.md").write_text(header + "\n".join(rows) + "\n")
    print((folder / "variants.md").read_text())


def describe(variant: str, folder: Path) -> str:
    """Copy the newest grid of samples to ``folder`` and make the variant's row of the table."""
    summary = pd.read_csv(find_newest("08_reporting", variant, "model_summary.csv"))
    totals = summary[summary["layer"] == "total"].set_index("network")["parameters"]
    history = pd.read_csv(find_newest("08_reporting", variant, "history.csv"))
    records = json.loads(find_newest("08_reporting", variant, "scores.json").read_text())
    last = [record for record in records if record["identity"]["generator"] == "last"]
    scores = {(record["identity"]["weights"], record["metric"]): record["value"] for record in last}
    picture = f"digits_{variant}.png"
    shutil.copyfile(max(find_newest("07_model_output", variant, "sample_grids").glob("*.png")), folder / picture)
    cells = [
        f"`{variant}`",
        f"{totals['generator']:,}",
        f"{totals['discriminator']:,}",
        f"{len(history)}",
        f"{history['images_per_second'].median():,.0f}",
        f"{scores['ema', 'fid']:.1f}",
        f"{scores['raw', 'fid']:.1f}",
        f"{scores['ema', 'is']:.2f}",
        f"![samples of {variant}]({picture})",
    ]
    return f"| {' | '.join(cells)} |"


def find_newest(layer: str, variant: str, name: str) -> Path:
    """Find the newest version of a catalog entry."""
    return max((DATA / layer / "digits" / variant / name).glob(f"*/{name}"))


if __name__ == "__main__":
    main()
