"""Compare the scores of trainings in fp32 and in bf16 over several seeds.

    python benchmarks/precisions.py OUT

Runs `train_cdcgan` on the digits, with one thread. OUT/bf16_seeds.csv gets the scores of each training as soon as it is
done, OUT/bf16.csv mean and standard deviation over the seeds.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
from datetime import date
from pathlib import Path

import pandas as pd

from catalog import KEDRO, PROJECT, find_newest

EPOCHS = 30
SCORES = {"fid_ema": ("fid", "ema"), "fid_raw": ("fid", "raw"), "is_ema": ("is", "ema")}
"""Scores by their columns, each a metric and a set of weights."""


def main() -> None:
    """Train with each seed in both precisions, and write the scores."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path)
    parser.add_argument("--seeds", type=int, default=6)
    parser.add_argument("--epochs", type=int, default=EPOCHS)
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    rows = []
    for seed in range(options.seeds):
        for precision in ("fp32", "bf16"):
            scores = train(seed, precision, options.epochs)
            rows.append({"precision": precision, "seed": seed, **scores})
            pd.DataFrame(rows).round(2).to_csv(options.out / "bf16_seeds.csv", index=False)
    table = summarize(pd.DataFrame(rows))
    table.to_csv(options.out / "bf16.csv")
    print(table.to_string())


def train(seed: int, precision: str, epochs: int) -> dict[str, float]:
    """Train, and read the scores of the last generator."""
    settings = {"seed": seed, "precision": precision, "epochs": epochs}
    parameters = ",".join(f"variants.cdcgan.{name}={value}" for name, value in settings.items())
    subprocess.run(
        [KEDRO, "run", "--pipelines=train_cdcgan", f"--params={parameters}"],
        cwd=PROJECT,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
        check=True,
    )
    records = json.loads(find_newest(PROJECT, "08_reporting/digits/cdcgan/scores.json").read_text())
    values = {
        (record["metric"], record["identity"]["weights"]): record["value"]
        for record in records
        if record["identity"]["generator"] == "last"
    }
    return {column: values[score] for column, score in SCORES.items()}


def summarize(rows: pd.DataFrame) -> pd.DataFrame:
    """Mean and standard deviation of each score, by precision."""
    table = rows.groupby("precision", sort=False)[[*SCORES]].agg(["mean", "std"]).round(2)
    table.columns = ["_".join(column) for column in table.columns]
    table.insert(0, "measured", date.today())
    return table


if __name__ == "__main__":
    main()
