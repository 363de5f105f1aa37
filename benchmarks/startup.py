"""Measure the time from `kedro run` to the first training step.

    python benchmarks/startup.py OUT ROUNDS

A first run fills the stores: images, extractor, reference statistics. Then each round trains one step anew and measures
when certain lines appear in the log. OUT/startup.csv has their medians
and extremes.
"""

from __future__ import annotations

import argparse
import subprocess
import time
from datetime import date
from pathlib import Path

import pandas as pd

COMMAND = [
    "kedro", "run", "--pipelines=train_cdcgan",
    "--params=runtime.fresh=true,variants.cdcgan.epochs=1,variants.cdcgan.batch_size=1257,scoring.samples=100",
]  # fmt: skip
LOG_LINES = {"first node": "Running node", "first step": "Training on"}
"""Beginnings of log messages that mark what has been reached."""


def main() -> None:
    """Run one training after another."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path)
    parser.add_argument("rounds", type=int)
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    subprocess.run(COMMAND, check=True, capture_output=True)
    rows = pd.DataFrame([measure() for _ in range(options.rounds)])
    table = rows.agg(["median", "min", "max"]).round(1).T.set_axis(["median", "lowest", "highest"], axis=1)
    table.insert(0, "measured", date.today())
    table.insert(1, "starts", len(rows))
    table.to_csv(options.out / "startup.csv", index_label="reached")
    print(table.to_string())


def measure() -> dict[str, float]:
    """Measure the seconds until each log line and until the end."""
    started, found = time.perf_counter(), {}
    with subprocess.Popen(COMMAND, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as process:
        for line in process.stdout or ():
            for name, text in LOG_LINES.items():
                if text in line:
                    found.setdefault(name, time.perf_counter() - started)
    if process.returncode:
        raise RuntimeError("The training failed.")
    return {**found, "end": time.perf_counter() - started}


if __name__ == "__main__":
    main()
